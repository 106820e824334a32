//! How is the public socket answered while no app does?
//!
//! This is the `door` job. The listening socket is its descriptor 3; that of `tailscale serve`, if there is one, is 4. Notices come
//! as JSON lines on standard input. The job ends when that ends, or at TERM, after the requests under way are answered. Every
//! response is 503 with `Retry-After` and ends its connection, so that the next connection reaches the app. Nothing that a client
//! does is logged, and no client can hold up the others.

pub mod host;
pub mod page;

use std::{
    convert::Infallible,
    future::Future,
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::{Body, Incoming},
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage, getsockname, getsockopt, sockopt},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, UnixListener, unix::pipe},
    signal::unix::{SignalKind, signal},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};

use self::host::{Host, Names};
use crate::{
    failure::{Cause, Failure},
    jobs::door::notice::Notice,
    process::sandbox,
};

/// The descriptor of the listening socket, the first that sd_listen_fds(3) counts.
const SOCKET: i32 = 3;
/// That of the socket of `tailscale serve`.
const IDENTITY: i32 = 4;
/// Connections at a time; those above wait in the kernel's queue.
const CONNECTIONS: u32 = 256;
/// How long a client may take to send its request's head.
const HEAD: Duration = Duration::from_secs(5);
/// How long a whole connection may take.
const WHOLE: Duration = Duration::from_secs(10);
/// How long what is under way has at the end. The app starts only after it.
const ENDING: Duration = Duration::from_secs(1);
/// The wait after an accept that failed for want of descriptors or memory.
const BREATH: Duration = Duration::from_millis(100);
/// The longest head of a request, in bytes: hyper's least.
const LONGEST_HEAD: usize = 8192;
/// How much of a request's body is taken in and thrown away, so that the answer is not lost to a reset: a socket
/// that is closed with unread data sends one (RFC 9112, section 9.6).
const LONGEST_BODY: u64 = 1 << 20;
/// How long that may take.
const LINGER: Duration = Duration::from_millis(500);

/// Runs the door until it is closed.
///
/// # Errors
/// When it was not given a listening socket and a pipe, or the socket no longer listens.
pub fn main() -> Result<(), Failure> {
    let failure = |doing: &'static str| move |error: io::Error| Failure::io(doing, &error);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failure("cannot start the door"))?;
    // What strangers send is parsed with nothing else at hand.
    sandbox::keep_nothing();
    runtime.block_on(async {
        let listeners = Listeners::inherited()?;
        let notices = io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .and_then(pipe::Receiver::from_owned_fd)
            .map_err(failure("cannot read the notices of the door: standard input is no pipe"))?;
        let mut term = signal(SignalKind::terminate()).map_err(failure("cannot wait for TERM"))?;
        let closed = async move {
            term.recv().await;
        };
        serve(listeners, Names::handed_on(), notices, closed)
            .await
            .map_err(failure("cannot answer on the public socket"))
    })
}

/// Where the door answers.
struct Listeners {
    public: Listener,
    /// What `tailscale serve` connects to. It gets the same page: no identity is believed here.
    identity: Option<Listener>,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection, whichever way it came.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Listeners {
    fn inherited() -> Result<Self, Failure> {
        let take = |at| {
            Listener::new(inherited(at)?)
                .map_err(|error| Failure::io(format!("cannot use the socket at descriptor {at}"), &error))
        };
        let has_identity = std::env::var("LISTEN_FDS").is_ok_and(|count| count == "2");
        Ok(Self { public: take(SOCKET)?, identity: has_identity.then(|| take(IDENTITY)).transpose()? })
    }

    /// Waits for the next connection; dropped while it waits, it loses none.
    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        let identity = async {
            match &self.identity {
                None => std::future::pending().await,
                Some(listener) => listener.accept().await,
            }
        };
        tokio::select! {
            accepted = self.public.accept() => accepted,
            accepted = identity => accepted,
        }
    }
}

impl Listener {
    fn new(socket: OwnedFd) -> io::Result<Self> {
        let is_unix = getsockname::<SockaddrStorage>(socket.as_raw_fd())?.family() == Some(AddressFamily::Unix);
        // Whoever had it before may have cleared the flag.
        if is_unix {
            let listener = std::os::unix::net::UnixListener::from(socket);
            listener.set_nonblocking(true)?;
            return UnixListener::from_std(listener).map(Self::Unix);
        }
        let listener = std::net::TcpListener::from(socket);
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener).map(Self::Tcp)
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Tcp(listener) => Box::new(listener.accept().await?.0),
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

/// Takes a listening socket that the supervisor put at this place.
fn inherited(descriptor: i32) -> Result<OwnedFd, Failure> {
    let missing =
        || Failure::new(Cause::Launch, format!("the door got no listening socket as descriptor {descriptor}"));
    // SAFETY: only asks; a descriptor that is not open is an error.
    if unsafe { nix::libc::fcntl(descriptor, nix::libc::F_GETFD) } < 0 {
        return Err(missing());
    }
    // SAFETY: it is open, as was just seen, and it is ours: the launch passed it for this, and this job opens nothing
    // before the runtime, whose own descriptors are numbered after those that are passed.
    let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
    if getsockopt(&socket, sockopt::AcceptConn).unwrap_or(false) { Ok(socket) } else { Err(missing()) }
}

/// Answers until `closed`, or until there are no more notices.
async fn serve(
    listeners: Listeners,
    names: Names,
    notices: impl AsyncRead + Unpin,
    closed: impl Future<Output = ()>,
) -> io::Result<()> {
    let (sender, notice) = watch::channel(Arc::new(Notice::default()));
    let mut reading = pin!(read(notices, sender));
    let mut closed = pin!(closed);
    let names = Arc::new(names);
    let places = Arc::new(Semaphore::new(CONNECTIONS as usize));
    let ending = watch::Sender::new(false);
    loop {
        let next = async {
            // The place first: whoever finds none stays in the kernel's queue, for the app to answer if it comes.
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            listeners.accept().await.map(|stream| (stream, place))
        };
        tokio::select! {
            biased;
            () = &mut closed => break,
            () = &mut reading => break,
            accepted = next => match accepted {
                Ok((stream, place)) => {
                    let (notice, names, ending) = (notice.clone(), Arc::clone(&names), ending.subscribe());
                    tokio::spawn(async move {
                        let _ = timeout(WHOLE, answer(stream, notice, names, ending)).await;
                        drop(place);
                    });
                }
                Err(error) => recover(error).await?,
            },
        }
    }
    drop(listeners);
    ending.send_replace(true);
    // All places are free again when all are answered.
    let _ = timeout(ENDING, places.acquire_many(CONNECTIONS)).await;
    Ok(())
}

/// Waits out what passes; what does not is the end of the door.
async fn recover(error: io::Error) -> io::Result<()> {
    match error.raw_os_error().map(Errno::from_raw) {
        // Shut down by whoever shares it, or no listening socket at all.
        Some(Errno::EINVAL | Errno::EBADF | Errno::ENOTSOCK) => Err(error),
        // Descriptors or memory, of this process or of the system: asking again at once would spin.
        Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM) => {
            sleep(BREATH).await;
            Ok(())
        }
        // The client's own end (ECONNABORTED, and network errors that Linux hands on: accept(2)).
        _ => Ok(()),
    }
}

/// Takes in notices, a JSON line each, until there are no more.
async fn read(notices: impl AsyncRead + Unpin, sender: watch::Sender<Arc<Notice>>) {
    let mut lines = BufReader::new(notices).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // One that cannot be read leaves the one before: the page is for waiting, and the log tells the operator.
        if let Ok(notice) = serde_json::from_str(&line) {
            sender.send_replace(Arc::new(notice));
        }
    }
}

/// Answers the one request of a connection. At the end a client whose request has come in whole is not waited for, though
/// it keeps its connection open.
async fn answer(
    stream: Box<dyn Stream>,
    notice: watch::Receiver<Arc<Notice>>,
    names: Arc<Names>,
    mut ending: watch::Receiver<bool>,
) {
    let is_whole = AtomicBool::new(false);
    let service = service_fn(|request: Request<Incoming>| {
        is_whole.store(request.body().is_end_stream(), Ordering::Relaxed);
        let answer = match names.judge(&request) {
            Host::Own => respond(&request, &Arc::clone(&notice.borrow())),
            Host::Foreign(name) => refuse(&request, StatusCode::MISDIRECTED_REQUEST, &foreign(&name)),
            Host::Unclear => refuse(&request, StatusCode::BAD_REQUEST, UNCLEAR),
        };
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .without_shutdown()
        .await;
    let Ok(parts) = connection else { return };
    let mut stream = parts.io.into_inner();
    if stream.shutdown().await.is_ok() {
        let mut rest = stream.take(LONGEST_BODY);
        let is_whole = is_whole.into_inner();
        let mut sink = tokio::io::sink();
        let ended = async {
            let _ = ending.wait_for(|ending| *ending).await;
        };
        tokio::select! {
            _ = timeout(LINGER, tokio::io::copy(&mut rest, &mut sink)) => {}
            () = ended, if is_whole => {}
        }
    }
}

/// What is said to a request without a host that can be read.
const UNCLEAR: &str = "The request has to name one host, and names none, several, or one that cannot be read.";

/// What is said to a request for somebody else.
fn foreign(name: &str) -> String {
    format!(
        "Hearth was asked for as {name}, and does not go by that name. If it should, whoever runs this server adds it to \
         http.hosts (HEARTH_HTTP__HOSTS={name}) and starts Hearth again."
    )
}

/// Makes the answer to a request.
fn respond<B: Body>(request: &Request<B>, notice: &Notice) -> Response<Full<Bytes>> {
    let is_page = wants_page(request);
    let body = if is_page { page::html(notice) } else { page::problem(notice) };
    let mut response = built(StatusCode::SERVICE_UNAVAILABLE, is_page, body);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(notice.retry_after_seconds));
    response
}

/// Makes the answer to a request that is not meant for Hearth.
fn refuse<B: Body>(request: &Request<B>, status: StatusCode, why: &str) -> Response<Full<Bytes>> {
    let (title, kind) = match status {
        StatusCode::BAD_REQUEST => ("Which host is meant?", "bad-request"),
        _ => ("Not the name of this Hearth", "misdirected"),
    };
    let is_page = wants_page(request);
    let body = if is_page {
        page::refusal(title, why)
    } else {
        let kind = format!("urn:hearth:problem:{kind}");
        serde_json::json!({"type": kind, "title": title, "status": status.as_u16(), "detail": why}).to_string()
    };
    built(status, is_page, body)
}

fn built(status: StatusCode, is_page: bool, body: String) -> Response<Full<Bytes>> {
    let kind = if is_page { "text/html; charset=utf-8" } else { "application/problem+json" };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "accept"),
        (header::CONNECTION, "close"),
        (header::CONTENT_SECURITY_POLICY, page::POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether a person asks: a browser says so, and never for these paths.
fn wants_page<B: Body>(request: &Request<B>) -> bool {
    let path = request.uri().path();
    let for_programs = path == "/health" || path == "/api" || path.starts_with("/api/");
    let accepts = |value: &HeaderValue| {
        value.to_str().is_ok_and(|value| {
            value.split(',').any(|range| {
                let mut parts = range.split(';').map(str::trim);
                let is_page = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"));
                let refused =
                    parts.any(|part| part.replace(' ', "").strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)));
                is_page && !refused
            })
        })
    };
    !for_programs && request.headers().get_all(header::ACCEPT).iter().any(accepts)
}

#[cfg(test)]
mod tests;
