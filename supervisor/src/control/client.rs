//! How does a command speak to the running supervisor?

use std::{fs, io, os::unix::fs::MetadataExt, path::Path, time::Duration};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, body::Bytes};
use hyper_util::rt::TokioIo;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;

use super::token::{self, Token};
use crate::{
    data::{DataDir, state::FORMAT},
    failure::{Cause, Failure},
    process::endpoint::short,
};

/// The longest answer that is read, in bytes.
const LONGEST: usize = 1024 * 1024;
/// How long an answer may take: a restart's is given once the app is being stopped.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks; `None` when no supervisor runs on this data directory.
///
/// # Errors
/// The supervisor's refusal, or why it could not be asked.
pub async fn call<T: DeserializeOwned>(data: &DataDir, method: Method, path: &str) -> Result<Option<T>, Failure> {
    call_with(data, method, path, Bytes::new()).await
}

/// As [`call`], with a body.
pub async fn call_with<T: DeserializeOwned>(
    data: &DataDir,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Option<T>, Failure> {
    match tokio::time::timeout(PATIENCE, ask(data, method, path, body)).await {
        Ok(answer) => answer,
        Err(_) => {
            Err(Failure::new(Cause::Busy, format!("the supervisor did not answer within {} s", PATIENCE.as_secs())))
        }
    }
}

async fn ask<T: DeserializeOwned>(
    data: &DataDir,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Option<T>, Failure> {
    let socket = data.control_socket();
    let trouble = |error: &io::Error| {
        let failure = Failure::io(format!("cannot reach the supervisor at {}", socket.display()), error);
        as_owner(data, &socket, failure)
    };
    let stream = match UnixStream::connect(short(&socket)).await {
        Ok(stream) => stream,
        // No socket, or one that a supervisor left behind.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(trouble(&error)),
    };
    let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
    if path != "/v1/health" {
        request = request.header("authorization", format!("Bearer {}", show_token(data, &stream)?));
    }
    let request = request
        .body(Full::new(body))
        .map_err(|error| Failure::new(Cause::Configuration, format!("cannot ask {path}: {error}")))?;
    let http = |error: hyper::Error| trouble(&io::Error::other(error));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    tokio::task::spawn_local(connection);
    let answer = sender.send_request(request).await.map_err(http)?;
    let body =
        Limited::new(answer.into_body(), LONGEST).collect().await.map_err(|error| trouble(&io::Error::other(error)))?;
    let unreadable = |error: serde_json::Error| {
        Failure::new(Cause::UnknownFormat, format!("the supervisor's answer cannot be read: {error}"))
            .hint("a supervisor of another version may be running; use the command of its own image")
    };
    let document: Value = serde_json::from_slice(&body.to_bytes()).map_err(unreadable)?;
    if document["format"] != FORMAT {
        return Err(Failure::new(
            Cause::UnknownFormat,
            "the supervisor answers in a format that this command does not know",
        )
        .hint("a supervisor of another version is running; use the command of its own image"));
    }
    match document.get("error") {
        Some(error) => Err(serde_json::from_value(error.clone()).map_err(unreadable)?),
        None => serde_json::from_value(document).map(Some).map_err(unreadable),
    }
}

/// Returns the token once it is sure whom it is shown to: the server runs as the token's owner.
fn show_token(data: &DataDir, stream: &UnixStream) -> Result<String, Failure> {
    let path = data.token();
    let trouble = |error: io::Error| {
        let doing = format!("cannot read {}, which shows the supervisor that you may do this", path.display());
        as_owner(data, &path, Failure::io(doing, &error))
    };
    let Token { token, owner } = token::read(data).map_err(trouble)?;
    let server = stream.peer_cred().map_err(trouble)?.uid();
    if server != owner && server != 0 {
        return Err(Failure::new(
            Cause::Permission,
            format!(
                "the process behind {} runs as uid {server}, but {} belongs to uid {owner}; it was not shown the token",
                data.control_socket().display(),
                path.display()
            ),
        ));
    }
    Ok(token)
}

/// Returns who answers on the control socket by what it wrote into the lock, if that is not the supervisor of this very
/// container, which this command runs beside: of two on one data directory the second one waits.
pub fn another(data: &DataDir) -> Option<String> {
    // A container of its own, for this command alone.
    if std::process::id() == 1 {
        return None;
    }
    let stream = std::os::unix::net::UnixStream::connect(short(&data.control_socket())).ok()?;
    let server = getsockopt(&stream, PeerCredentials).ok()?.pid();
    let beside_one = fs::read_to_string("/proc/1/comm").is_ok_and(|name| name.trim() == "supervisor");
    // The kernel says 0 for a process of another container, which cannot be seen from here.
    let is_another = server == 0 || beside_one && server != 1;
    is_another.then(|| fs::read_to_string(data.lock()).unwrap_or_default().trim().to_owned())
}

/// Adds to the failure of a command that may not look at `path` in the data directory whose that is, and says to run
/// the command as that user. Never to change the owner: a supervisor may be running on it.
pub fn as_owner(data: &DataDir, path: &Path, failure: Failure) -> Failure {
    if failure.cause != Cause::Permission {
        return failure;
    }
    // The next one upwards that this user can see.
    let seen = path.ancestors().find_map(|place| Some((place, fs::symlink_metadata(place).ok()?.uid())));
    let uid = nix::unistd::geteuid().as_raw();
    // A command that was kept out by the mode of its own user's file has another trouble.
    let Some((place, owner)) = seen.filter(|(_, owner)| *owner != uid) else { return failure };
    let message =
        format!("{}; {} belongs to uid {owner}, and this command runs as uid {uid}", failure.message, place.display());
    Failure::new(failure.cause, message).hint(format!(
        "run the command as that user, for example: sudo -u '#{owner}' supervisor status --data-dir {}; in a container: \
         docker exec -u {owner}",
        data.path().display()
    ))
}
