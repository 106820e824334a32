//! How does the supervisor ask the app how it is?
//!
//! `GET` of the health path on the private unix socket, so that a full public backlog is not taken for a hang.

use std::{
    fs,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::UnixListener,
    },
    path::Path,
    time::Duration,
};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, body::Bytes, header::HeaderValue};
use hyper_util::rt::TokioIo;
use nix::{
    fcntl::{OFlag, open},
    sys::stat::Mode,
};
use tokio::net::UnixStream;

use super::proof::{self, Proof};
use crate::{
    data::state::FORMAT,
    failure::Failure,
    jobs::same_version,
    process::deadline::within,
    process::endpoint::short,
    status::{Backups, TimeZone, as_header, update::Update},
};

/// The longest health document that is read, in bytes.
const LONGEST: usize = 16 * 1024;

/// The header of the question that says how the backups are: `ok`, `overdue` or `failing`.
const BACKUPS: &str = "hearth-backups";
/// The header of the question that names the newest backup, if there is one.
const BACKUPS_LAST: &str = "hearth-backups-last";
/// The header of the question that says all that is known of the backups, for those who look after the instance: JSON, as
/// docs/contracts/app-backups.json has it.
const BACKUPS_DETAIL: &str = "hearth-backups-detail";
/// The longest such text, in bytes: programs take 16 KiB of headers, as a rule.
const LONGEST_DETAIL: usize = 8 << 10;
/// The header of the question that says which time clocks show: JSON, as docs/contracts/time-zone.json has it.
const TIME_ZONE: &str = "hearth-time-zone";
/// The headers of the question that name a newer version, if there is one, and the address of its notes, if it is known.
const UPDATE: &str = "hearth-update";
const UPDATE_NOTES: &str = "hearth-update-notes";
/// The header of the question that says why an earlier version serves, while it does.
const NOTICE: &str = "hearth-notice";

/// What the app is told with the question, for everybody who asks it.
pub struct Told {
    /// How the backups are.
    pub backups: Backups,
    /// What is known of newer versions.
    pub update: Update,
    /// The time zone of `TZ`.
    pub time_zone: TimeZone,
    /// The version that it has to be of: a release's app is, others may be of any.
    pub version: Option<String>,
    /// Why an earlier version serves, for owners and admins: JSON, as docs/contracts/app-notice.json has it.
    pub notice: Option<String>,
}

/// The private socket: the app accepts on it, the supervisor connects to it.
pub struct PrivateSocket {
    /// The listening end, for the app to inherit.
    pub listener: UnixListener,
    /// Its file: to look for it by its path could take for ever, where the data lies on a file system that no longer answers.
    file: OwnedFd,
}

/// What one health check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answered 200; the word is its `status`. Where that is not `ok`, what its checks say.
    Serving(String, Option<String>),
    /// It answered, but not with 200: alive, and not fit to serve.
    Unfit {
        /// Why, in a sentence, as far as it said so.
        why: String,
        /// Whether it says that its database is damaged.
        damaged: bool,
    },
    /// It did not answer in time, or not in HTTP.
    Silent(String),
}

impl PrivateSocket {
    /// Binds it at this place by this name, in place of an earlier one.
    pub fn bind(place: &Path, name: &str) -> Result<Self, Failure> {
        let path = place.join(name);
        let trouble =
            |error: std::io::Error| Failure::io(format!("cannot make the private socket {}", path.display()), &error);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(trouble(error)),
            _ => {}
        }
        let listener = UnixListener::bind(short(&path)).map_err(trouble)?;
        listener.set_nonblocking(true).map_err(trouble)?;
        let file = open(&short(&path), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
        Ok(Self { listener, file: file.map_err(|errno| trouble(errno.into()))? })
    }

    /// Asks once, and tells the app what it is to know.
    pub async fn ask(&self, path: &str, timeout: Duration, told: &Told) -> Result<Verdict, Failure> {
        match within(timeout, self.get(path, told)).await {
            Some(Ok(verdict)) => verdict,
            Some(Err(error)) => Ok(Verdict::Silent(error.to_string())),
            None => Ok(Verdict::Silent(format!("no answer within {}", humantime::format_duration(timeout)))),
        }
    }

    /// Sends a request, and returns the answer's status and body, of up to so many bytes.
    async fn send(
        &self,
        mut request: Request<Empty<Bytes>>,
        longest: usize,
    ) -> Result<(hyper::StatusCode, Bytes), Box<dyn std::error::Error>> {
        let stream = UnixStream::connect(format!("/proc/self/fd/{}", self.file.as_raw_fd())).await?;
        let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends when the client below is dropped, or with the time-out of the whole question.
        let connection = tokio::task::spawn_local(connection);
        request.headers_mut().insert("host", HeaderValue::from_static("localhost"));
        request.headers_mut().insert("connection", HeaderValue::from_static("close"));
        let answered = async {
            let answer = client.send_request(request).await?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), longest)
                .collect()
                .await
                .map_err(|error| error as Box<dyn std::error::Error>)?;
            Ok((status, body.to_bytes()))
        }
        .await;
        connection.abort();
        answered
    }

    /// Asks what people see at this moment.
    ///
    /// # Errors
    /// A sentence that says what it answered instead.
    pub async fn proof(&self, at: &str, timeout: Duration) -> Result<Proof, String> {
        let asked = async {
            let request = Request::get(format!("/proof?at={at}")).body(Empty::<Bytes>::new())?;
            let (status, body) = self.send(request, proof::LONGEST).await?;
            if status != hyper::StatusCode::OK {
                let document: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
                let said = document["detail"].as_str().or(document["title"].as_str()).unwrap_or_default();
                return Err(format!("{status} {said}").trim_end().into());
            }
            Ok::<_, Box<dyn std::error::Error>>(Proof::read(&body)?)
        };
        let why = match within(timeout, asked).await {
            Some(Ok(proof)) => return Ok(proof),
            Some(Err(error)) => error.to_string(),
            None => format!("no answer within {}", humantime::format_duration(timeout)),
        };
        Err(format!("the app could not say what people see: {why}"))
    }

    async fn get(&self, path: &str, told: &Told) -> Result<Result<Verdict, Failure>, Box<dyn std::error::Error>> {
        let mut request = Request::get(path).header(BACKUPS, told.backups.word()).body(Empty::<Bytes>::new())?;
        let last = told.backups.last.as_ref().map(|last| last.id.to_string());
        let detail = detail(&told.backups);
        let zone = serde_json::to_string(&told.time_zone).ok();
        for (name, text) in [
            (BACKUPS_LAST, &last),
            (BACKUPS_DETAIL, &detail),
            (TIME_ZONE, &zone),
            (UPDATE, &told.update.newest),
            (UPDATE_NOTES, &told.update.notes),
            (NOTICE, &told.notice),
        ] {
            // What could not stand in a header would be no version, and no reason not to ask.
            if let Some(value) = text.as_ref().and_then(|text| HeaderValue::from_str(text).ok()) {
                request.headers_mut().insert(name, value);
            }
        }
        let (status, body) = self.send(request, LONGEST).await?;
        let document: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        if let Some(expected) = &told.version
            && let Some(version) = document["version"].as_str()
            && let Err(failure) = same_version("app", version, expected)
        {
            return Ok(Err(failure));
        }
        let word = document["status"].as_str();
        Ok(Ok(if status == hyper::StatusCode::OK {
            let word = word.unwrap_or("ok");
            Verdict::Serving(word.to_owned(), (word != "ok").then(|| complaints(&document)).flatten())
        } else {
            let damaged = document["checks"]["database"]["damaged"] == true;
            Verdict::Unfit { why: explain(status, &document), damaged }
        }))
    }
}

/// Returns all that is known of the backups as JSON that can stand in a header. Long sentences are cut where it would be too long.
fn detail(backups: &Backups) -> Option<String> {
    let cut = |text: &str, longest: usize| match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    };
    [600, 200, 60].into_iter().find_map(|longest| {
        let mut backups = backups.clone();
        let places = backups.storage.iter_mut().filter_map(|storage| storage.trouble.as_mut());
        backups.trouble.iter_mut().chain(places).for_each(|text| *text = cut(text, longest));
        let mut document = serde_json::to_value(&backups).ok()?;
        document["format"] = FORMAT.into();
        let text = as_header(&document);
        (text.len() <= LONGEST_DETAIL).then_some(text)
    })
}

/// Says why an app is not fit to serve.
fn explain(status: hyper::StatusCode, document: &serde_json::Value) -> String {
    match complaints(document) {
        None => format!("its health check answers {status}"),
        Some(complaints) => format!("its health check answers {status} ({complaints})"),
    }
}

/// Names the checks that are not well, in the app's words.
fn complaints(document: &serde_json::Value) -> Option<String> {
    let complaints: Vec<String> = document["checks"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, check)| check["status"] != "ok")
        .map(|(name, check)| match check["detail"].as_str() {
            Some(message) => format!("{name}: {message}"),
            None => format!("{name}: {}", check["status"].as_str().unwrap_or("not ok")),
        })
        .collect();
    (!complaints.is_empty()).then(|| complaints.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_the_backups_is_the_contracts_and_can_stand_in_a_header() {
        let golden = include_str!("../../../docs/contracts/app-backups.json");
        let mut backups: Backups = serde_json::from_str(golden).unwrap();
        let told: serde_json::Value = serde_json::from_str(&detail(&backups).unwrap()).unwrap();
        assert_eq!(told, serde_json::from_str::<serde_json::Value>(golden).unwrap());
        backups.trouble = vec!["Überlauf 🏠: \"no\"\n".to_owned()];
        let text = detail(&backups).unwrap();
        assert!(HeaderValue::from_str(&text).is_ok() && text.is_ascii(), "{text}");
        assert_eq!(serde_json::from_str::<Backups>(&text).unwrap(), backups);
        backups.trouble = vec!["é".repeat(5000); 20];
        let text = detail(&backups).unwrap();
        assert!(text.len() <= LONGEST_DETAIL && text.contains("\\u2026"), "{}", text.len());
    }

    #[test]
    fn a_failing_check_is_named_in_the_apps_words() {
        let document = serde_json::json!({"checks": {"database": {"status": "ok"}, "disk": {"status": "failing", "detail": "4 MiB left"}}});
        let said = explain(hyper::StatusCode::SERVICE_UNAVAILABLE, &document);
        assert_eq!(said, "its health check answers 503 Service Unavailable (disk: 4 MiB left)");
        assert_eq!(complaints(&document).as_deref(), Some("disk: 4 MiB left"));
        assert_eq!(complaints(&serde_json::json!({"status": "degraded"})), None);
    }
}
