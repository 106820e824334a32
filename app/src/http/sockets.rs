//! On which sockets does the app listen?
//!
//! On those it inherited (systemd's socket activation: `LISTEN_FDS`, `LISTEN_PID`, `LISTEN_FDNAMES` with the names
//! `public` and `private`), or, run alone, on one of its own.

use std::{
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixListener,
};

use listenfd::ListenFd;
use nix::sys::socket::{
    setsockopt,
    sockopt::{TcpNoDelay, TcpUserTimeout},
};

use crate::{config::Config, failure::Failure};

/// What there is to listen on.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) public: Option<Public>,
    pub(crate) private: Option<UnixListener>,
}

/// The socket that the household reaches.
#[derive(Debug)]
pub(crate) struct Public {
    pub(crate) listener: TcpListener,
    pub(crate) address: SocketAddr,
    /// Whether the supervisor passed it; the app's own otherwise.
    pub(crate) inherited: bool,
}

impl Sockets {
    /// Takes the inherited sockets, or binds the app's own.
    pub(crate) fn open(config: &Config) -> Result<Self, Failure> {
        let mut inherited = ListenFd::from_env();
        let sockets = if inherited.len() > 0 {
            let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
            take(&mut inherited, &names)?
        } else if config.probation {
            return Err(Failure::new(
                "in probation (HEARTH_PROBATION) the app listens on an inherited private socket only, and there is none",
            ));
        } else {
            Self { public: Some(bind(config.listen)?), private: None }
        };
        if config.probation && sockets.public.is_some() {
            return Err(Failure::new("in probation (HEARTH_PROBATION) the app must not be given the public socket"));
        }
        Ok(sockets)
    }
}

fn take(inherited: &mut ListenFd, names: &str) -> Result<Sockets, Failure> {
    let mut sockets = Sockets { public: None, private: None };
    let unusable =
        |name: &str, why: String| Failure::new(format!("the inherited socket {name:?} cannot be used: {why}"));
    let names: Vec<_> = names.split(':').collect();
    for index in 0..inherited.len() {
        let name = names.get(index).copied().unwrap_or_default();
        let said = |error: std::io::Error| unusable(name, error.to_string());
        match name {
            "public" => {
                let listener = inherited.take_tcp_listener(index).map_err(said)?;
                let listener = listener.ok_or_else(|| unusable(name, "it is gone".to_owned()))?;
                sockets.public = Some(public(listener, true).map_err(said)?);
            }
            "private" => {
                let listener = inherited.take_unix_listener(index).map_err(said)?;
                let listener = listener.ok_or_else(|| unusable(name, "it is gone".to_owned()))?;
                listener.set_nonblocking(true).map_err(said)?;
                sockets.private = Some(listener);
            }
            _ => {
                return Err(unusable(name, "LISTEN_FDNAMES may name public and private".to_owned()));
            }
        }
    }
    Ok(sockets)
}

fn bind(address: SocketAddr) -> Result<Public, Failure> {
    TcpListener::bind(address).and_then(|listener| public(listener, false)).map_err(|error| {
        let failure = Failure::new(format!("{address} cannot be listened on: {error}"));
        match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                failure.hint("another program has the port; stop it, or choose another with --listen or HEARTH_LISTEN")
            }
            _ => failure,
        }
    })
}

/// How long an answer may wait for its client to take some of it, in milliseconds: TCP_USER_TIMEOUT, tcp(7).
const UNTAKEN: u32 = 30_000;

fn public(listener: TcpListener, inherited: bool) -> std::io::Result<Public> {
    listener.set_nonblocking(true)?;
    // Accepted connections inherit it on Linux: an answer is one write, and waiting to fill a packet only delays it.
    setsockopt(&listener, TcpNoDelay, &true)?;
    // Inherited as well. A client that takes nothing of its answer for so long, a phone gone to sleep or one that means
    // harm, gives its place and the answer's memory back.
    setsockopt(&listener, TcpUserTimeout, &UNTAKEN)?;
    let address = listener.local_addr()?;
    Ok(Public { listener, address, inherited })
}
