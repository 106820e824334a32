//! What does the control socket answer?
//!
//! | call | token | answer |
//! |---|---|---|
//! | `GET /v1/health` | no | `{"format":1,"health":"healthy"}` |
//! | `GET /v1/status` | yes | [`crate::status::Status`] |
//! | `GET /v1/config` | yes | the effective values and where each came from |
//! | `POST /v1/restart`, `POST /v1/resume` | yes | `{"format":1,"done":"…"}`; the body of resume: the findings to accept, if any |
//! | `POST /v1/update` | yes | the same, once the registry was asked; the status has what was found |
//! | `POST /v1/operations` | yes | the same with the operation's number, once it has begun; its body is an [`Operation`] |
//!
//! What is refused comes with a status of 4xx and `{"format":1,"error":<Failure>}`.

use std::{
    convert::Infallible,
    ffi::OsString,
    fs, io,
    os::{
        fd::{AsFd, AsRawFd, RawFd},
        unix::fs::{MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use serde_json::{Value, json};
use tokio::{
    io::unix::AsyncFd,
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::{
    orders::{Operation, Order, Orders},
    token,
};
use crate::{
    data::{DataDir, state::FORMAT},
    failure::{Cause, Failure},
    instance::Instance,
    process::endpoint::short,
    status::Health,
};

/// How long a caller may take to send its request.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest request that is read, in bytes: the ids of some ten thousand backups.
const LONGEST: usize = 1024 * 1024;

/// When socket and token are tried again that could not be made again at once.
const AGAIN: Duration = Duration::from_secs(5);

/// How many callers are served at once; more wait in the kernel's queue, and cannot use up the descriptors that the
/// supervisor itself needs.
const PLACES: usize = 32;

struct Server {
    instance: Rc<Instance>,
    orders: Orders,
    token: String,
    config: Value,
}

/// Opens the control socket, and answers on it for as long as the supervisor runs. The lock is held, so a socket
/// that lies there is an earlier one's.
pub fn open(instance: &Rc<Instance>, orders: Orders, config: Value) -> Result<(), Failure> {
    let token = token::read_or_make(&instance.data)?;
    let mut socket = Socket::bind(&instance.data).map_err(|error| {
        Failure::io(format!("cannot make the control socket {}", instance.data.control_socket().display()), &error)
    })?;
    let watch = Watch::begin(&instance.data);
    if let Err(error) = &watch {
        instance
            .publisher
            .note(format!("a control socket that is deleted will not be made again: cannot watch for it: {error}"));
    }
    let server = Rc::new(Server { instance: Rc::clone(instance), orders, token, config });
    let places = std::sync::Arc::new(Semaphore::new(PLACES));
    tokio::task::spawn_local(async move {
        let mut failed = false;
        loop {
            let gone = async {
                match &watch {
                    _ if failed => tokio::time::sleep(AGAIN).await,
                    Ok(watch) => watch.gone().await,
                    Err(_) => std::future::pending().await,
                }
            };
            tokio::select! {
                accepted = socket.accept(&places) => match accepted {
                    Ok((stream, place)) => {
                        let server = Rc::clone(&server);
                        tokio::task::spawn_local(async move {
                            serve(server, stream).await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::debug!(%error, "cannot accept on the control socket");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                () = gone => {
                    let restored = socket.restore(&server.instance.data, &server.token);
                    failed = restored.is_err();
                    if let Err(error) = restored {
                        tracing::debug!(%error, "cannot make the control socket again");
                    }
                }
            }
        }
    });
    Ok(())
}

/// Tells when somebody has removed or replaced socket or token. The kernel says so by itself: to look for them from time to time
/// would stop PID 1 where the data directory lies on a file system that no longer answers.
struct Watch(AsyncFd<Directory>);

/// The directory that both lie in.
struct Directory {
    inotify: Inotify,
    names: [PathBuf; 2],
}

impl AsRawFd for Directory {
    fn as_raw_fd(&self) -> RawFd {
        self.inotify.as_fd().as_raw_fd()
    }
}

impl Directory {
    /// Whether one of them is among what has happened since the last time.
    fn is_one_gone(&self) -> io::Result<bool> {
        let is_one = |name: &OsString| self.names.iter().any(|own| own.file_name() == Some(name));
        // Without a name: there were too many to be told one by one.
        Ok(self.inotify.read_events()?.iter().any(|event| event.name.as_ref().is_none_or(is_one)))
    }
}

impl Watch {
    fn begin(data: &DataDir) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        inotify.add_watch(&data.supervisor(), AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVE)?;
        let directory = Directory { inotify, names: [data.control_socket(), data.token()] };
        // SAFETY: an Inotify owns its descriptor and always names the same one, and AsyncFd keeps it until its end.
        let registered = unsafe { AsyncFd::register(directory) };
        registered.map(Self).map_err(|error| error.into_parts().1)
    }

    /// Waits until one of them is gone.
    async fn gone(&self) {
        loop {
            let Ok(mut ready) = self.0.readable().await else { return std::future::pending().await };
            if let Ok(Ok(true)) = ready.try_io(|directory| directory.get_ref().is_one_gone()) {
                return;
            }
        }
    }
}

/// The control socket, listening.
struct Socket {
    listener: UnixListener,
    /// Device and number of the file that it is reached by.
    file: (u64, u64),
    /// Those of the directory that it was made in.
    directory: (u64, u64),
}

impl Socket {
    fn bind(data: &DataDir) -> io::Result<Self> {
        let path = data.control_socket();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(short(&path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, file: number(&path)?, directory: number(&data.supervisor())? })
    }

    async fn accept(&self, places: &std::sync::Arc<Semaphore>) -> io::Result<(UnixStream, OwnedSemaphorePermit)> {
        let place = std::sync::Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
        Ok((self.listener.accept().await?.0, place))
    }

    /// Makes socket and token again where they are gone, but not where the directory is gone that they lay in: the data
    /// was moved away then, and another instance's may come in its place.
    fn restore(&mut self, data: &DataDir, token: &str) -> io::Result<()> {
        if !number(&data.supervisor()).is_ok_and(|number| number == self.directory) {
            return Ok(());
        }
        if !number(&data.control_socket()).is_ok_and(|number| number == self.file) {
            *self = Self::bind(data)?;
            tracing::warn!(target: "Supervisor", "the control socket was gone; it was made again");
        }
        match fs::symlink_metadata(data.token()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => token::write(data, token),
            _ => Ok(()),
        }
    }
}

/// Returns the device and the number of a file, links not followed.
fn number(path: &Path) -> io::Result<(u64, u64)> {
    let stat = fs::symlink_metadata(path)?;
    Ok((stat.dev(), stat.ino()))
}

async fn serve(server: Rc<Server>, stream: UnixStream) {
    let service = service_fn(move |request| {
        let server = Rc::clone(&server);
        async move { Ok::<_, Infallible>(server.answer(request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false).max_buf_size(16 * 1024);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a control connection ended early");
    }
}

impl Server {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        if (request.method(), path) == (&Method::GET, "/v1/health") {
            return json_response(
                StatusCode::OK,
                &json!({"format": FORMAT, "health": self.instance.publisher.status().health}),
            );
        }
        let presented_token = request
            .headers()
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        if !presented_token.is_some_and(|presented| token::same(presented, &self.token)) {
            let failure =
                Failure::new(Cause::Permission, "this call needs the token of supervisor/token in the data directory");
            return refusal(StatusCode::UNAUTHORIZED, &failure);
        }
        match (request.method(), path) {
            (&Method::GET, "/v1/status") => json_response(StatusCode::OK, &json!(self.instance.publisher.status())),
            (&Method::GET, "/v1/config") => json_response(StatusCode::OK, &self.config),
            (&Method::POST, "/v1/restart") => self.give("restart", Order::Restart).await,
            (&Method::POST, "/v1/resume") => match accepted(request).await {
                Ok(findings) => self.give("resume", |reply| Order::Resume(findings, reply)).await,
                Err(failure) => refusal(StatusCode::BAD_REQUEST, &failure),
            },
            (&Method::POST, "/v1/update") => self.give("check for updates", Order::Update).await,
            (&Method::POST, "/v1/operations") => match operation(request).await {
                Ok(operation) => {
                    let what = operation.what();
                    self.give(&what, |reply| Order::Begin(operation, reply)).await
                }
                Err(failure) => refusal(StatusCode::BAD_REQUEST, &failure),
            },
            _ => refusal(
                StatusCode::NOT_FOUND,
                &Failure::new(Cause::Configuration, "the control socket knows no such call"),
            ),
        }
    }

    /// Gives the order if this is a moment for it.
    async fn give(&self, what: &str, order: impl FnOnce(super::orders::Reply) -> Order) -> Response<Full<Bytes>> {
        let status = self.instance.publisher.status();
        if let Err(failure) = admit(what, &status.phase, status.health) {
            return refusal(StatusCode::CONFLICT, &failure);
        }
        match self.orders.give(order).await {
            Ok(done) => json_response(StatusCode::ACCEPTED, &json!({"format": FORMAT, "done": done})),
            Err(failure) => refusal(StatusCode::CONFLICT, &failure),
        }
    }
}

/// Reads what is to be done.
async fn operation(request: Request<Incoming>) -> Result<Operation, Failure> {
    let body = body(request).await?;
    serde_json::from_slice(&body).map_err(|error| unreadable(error.to_string()))
}

/// Reads in spite of which findings it is tried again; no body is none.
async fn accepted(request: Request<Incoming>) -> Result<Vec<String>, Failure> {
    let body = body(request).await?;
    if body.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_slice(&body).map_err(|error| unreadable(error.to_string()))
}

fn unreadable(error: String) -> Failure {
    Failure::new(Cause::Configuration, format!("this is no operation that the supervisor knows: {error}"))
}

async fn body(request: Request<Incoming>) -> Result<Bytes, Failure> {
    let body = Limited::new(request.into_body(), LONGEST);
    let body = tokio::time::timeout(PATIENCE, body.collect()).await.map_err(|_| unreadable("it never ended".into()))?;
    Ok(body.map_err(|error| unreadable(error.to_string()))?.to_bytes())
}

/// Says whether an order fits the phase. Pure.
fn admit(what: &str, phase: &str, health: Health) -> Result<(), Failure> {
    let refuse = |message: String, hint: &str| Err(Failure::new(Cause::Busy, message).hint(hint));
    match (what, phase) {
        ("resume", _) if health != Health::Held => {
            refuse(format!("nothing is held: the supervisor is {phase}"), "supervisor status says what it is doing")
        }
        ("restart", "held") => {
            refuse("the supervisor is held, so there is no app to restart".into(), "try again with: supervisor resume")
        }
        (_, "serving" | "restarting" | "held") => Ok(()),
        _ => refuse(
            format!("cannot {what} now: the supervisor is {phase}"),
            "one operation on the data at a time; try again when it is done (supervisor status)",
        ),
    }
}

fn json_response(status: StatusCode, document: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(document.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    response
}

fn refusal(status: StatusCode, failure: &Failure) -> Response<Full<Bytes>> {
    json_response(status, &json!({"format": FORMAT, "error": failure}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_admitted_only_where_it_makes_sense() {
        for (what, phase, health, admitted) in [
            ("resume", "held", Health::Held, true),
            ("resume", "serving", Health::Healthy, false),
            ("restart", "serving", Health::Degraded, true),
            ("restart", "held", Health::Held, false),
            ("restart", "migrating", Health::Working, false),
            ("restore", "held", Health::Held, true),
            ("restore", "committing", Health::Working, false),
            ("check for updates", "held", Health::Held, true),
            ("check for updates", "migrating", Health::Working, false),
            ("restore", "stopping", Health::Working, false),
        ] {
            assert_eq!(admit(what, phase, health).is_ok(), admitted, "{what} while {phase}");
        }
    }
}
