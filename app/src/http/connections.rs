//! How is HTTP spoken on a socket, and how does that end?
//!
//! poem answers requests; its own server is not used, because it sets no timeout for a request's head and, when
//! descriptors run out, accepts in a busy loop.

use std::{
    convert::Infallible,
    future::Future,
    marker::PhantomData,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::{Endpoint, Request, listener::Acceptor};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Notify, Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::{
    App,
    guests::{Guests, PER_ADDRESS},
    proxies::Proxies,
    refused::read_to_the_end,
};

/// Time for a request's head, and so for which a connection may be idle between requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// A longer head is refused with 431; browsers send a few kilobytes.
const HEAD_BYTES: usize = 32 * 1024;

/// What a connection may buffer of a request; bodies go on to where they are limited.
const BUFFER_BYTES: usize = 64 * 1024;

/// Connections at a time; when all are users', more wait in the kernel's queue. Half of the usual limit of 1024 descriptors.
const CONNECTIONS: usize = 512;

/// When stopping: how long a connection that was opened but has not asked anything may still begin to.
const LAST_CHANCE: Duration = Duration::from_millis(300);

/// How long to wait when accepting fails for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A request to stop a server: none yet, or the deadline.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<Option<Instant>>);

impl Stop {
    /// Returns the sending and the receiving end.
    pub(crate) fn channel() -> (watch::Sender<Option<Instant>>, Self) {
        let (sender, receiver) = watch::channel(None);
        (sender, Self(receiver))
    }

    /// Waits until a stop is requested.
    async fn requested(&mut self) {
        // An error means that the sender is gone, which is a stop as well.
        let _ = self.0.wait_for(Option::is_some).await;
    }

    /// Waits until the time is up.
    async fn time_is_up(&mut self) {
        loop {
            let deadline = *self.0.borrow_and_update();
            match deadline {
                None if self.0.changed().await.is_err() => return,
                None => {}
                // A second signal may bring it forward.
                Some(deadline) => tokio::select! {
                    () = sleep_until(deadline) => return,
                    changed = self.0.changed() => if changed.is_err() {
                        sleep_until(deadline).await;
                        return;
                    },
                },
            }
        }
    }
}

/// A server on one socket. Each connection has a `P` of its own, which its requests carry: what was learnt of who is at the
/// other end holds for as long as the connection does.
pub(crate) struct Server<A, P = ()> {
    pub(crate) acceptor: A,
    pub(crate) app: App,
    pub(crate) proxies: Proxies,
    pub(crate) stop: Stop,
    pub(crate) peer: PhantomData<P>,
}

impl<A: Acceptor + 'static, P: Clone + Default + Send + Sync + 'static> Server<A, P> {
    /// Accepts and answers until told to stop; then finishes the requests under way, within the time given.
    /// Returns how many connections had to be cut off.
    pub(crate) async fn run(self) -> usize {
        let Self { mut acceptor, app, proxies, mut stop, peer: _ } = self;
        let app = Arc::new(app);
        let told = stop.clone();
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let guests = Arc::new(Guests::new(proxies, PER_ADDRESS));
        let mut connections = JoinSet::new();
        loop {
            if room.available_permits() == 0 {
                guests.make_room();
            }
            let permit = tokio::select! {
                permit = room.clone().acquire_owned() => permit,
                () = stop.requested() => break,
            };
            let accepted = tokio::select! {
                accepted = acceptor.accept() => accepted,
                () = stop.requested() => break,
            };
            // Forget those that have ended.
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((socket, local, remote, scheme)) => {
                    let app = app.clone();
                    let stop = told.clone();
                    let peer = P::default();
                    let guest = guests.enter(remote.as_socket_addr().map(std::net::SocketAddr::ip));
                    let (guests, own) = (guests.clone(), guest.clone());
                    let answer = move |request: hyper::Request<Incoming>| {
                        let app = app.clone();
                        let mut request = Request::from((request, local.clone(), remote.clone(), scheme.clone()));
                        request.set_data(peer.clone());
                        request.set_data(own.clone());
                        read_to_the_end(&mut request);
                        let own = own.clone();
                        async move {
                            let response = app.get_response(request).await;
                            own.answered();
                            response
                        }
                    };
                    connections.spawn(async move {
                        tokio::select! {
                            () = connection(socket, answer, stop) => {}
                            () = guest.shown_out() => {}
                        }
                        guests.leave(&guest);
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!("Failed to accept a connection: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Those that still wait in the kernel's queue are the next app's.
        drop(acceptor);
        let drained = async { while connections.join_next().await.is_some() {} };
        let in_time = {
            let mut drained = pin!(drained);
            tokio::select! {
                () = &mut drained => true,
                () = stop.time_is_up() => false,
            }
        };
        if in_time {
            return 0;
        }
        let cut_off = connections.len();
        connections.shutdown().await;
        cut_off
    }
}

/// Serves one connection until it ends or, after a stop, until its last request is answered.
async fn connection<I, S, F>(socket: I, answer: S, mut stop: Stop)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Fn(hyper::Request<Incoming>) -> F,
    F: Future<Output = poem::Response>,
{
    let (has_asked, asks) = (AtomicBool::new(false), Notify::new());
    let service = service_fn(|request| {
        has_asked.store(true, Ordering::Relaxed);
        asks.notify_one();
        let answer = answer(request);
        async move { Ok::<_, Infallible>(hyper::Response::from(answer.await)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(socket), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // Errors are the client's: it went away, or did not speak HTTP.
        _ = connection.as_mut() => return,
        () = stop.requested() => {}
    }
    if !has_asked.load(Ordering::Relaxed) {
        // It was accepted a moment ago, and its first request may be on its way: hyper, asked to shut down, would
        // close it at once and without an answer. Others are only opened ahead, as browsers do.
        tokio::select! {
            _ = connection.as_mut() => return,
            () = asks.notified() => {}
            () = sleep(LAST_CHANCE) => return,
        }
    }
    // Idle connections end at once, others after the answer that is under way.
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
