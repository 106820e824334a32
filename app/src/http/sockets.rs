//! On which sockets does the app listen?
//!
//! On those it inherited (systemd's socket activation: `LISTEN_FDS`, `LISTEN_PID`, `LISTEN_FDNAMES` with the names
//! `public`, `private` and `tailscale`), or, run alone, on its own.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::FileTypeExt,
        net::{UnixListener, UnixStream},
    },
    path::Path,
};

use listenfd::ListenFd;
use nix::sys::{
    socket::{
        setsockopt,
        sockopt::{SndBuf, TcpNoDelay, TcpUserTimeout},
    },
    stat::{Mode, umask},
};

use crate::{
    config::{Config, TailscaleListen, TailscaleSettings},
    failure::Failure,
};

/// The names of the sockets that may be inherited.
pub(crate) const NAMES: [&str; 3] = ["public", "private", "tailscale"];

/// What there is to listen on.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) public: Option<Public>,
    pub(crate) private: Option<UnixListener>,
    pub(crate) tailscale: Option<ServeSocket>,
}

/// The socket that nothing but `tailscale serve` can reach.
#[derive(Debug)]
pub(crate) enum ServeSocket {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener),
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
            let tailscale = match &config.auth.tailscale {
                TailscaleSettings::Serve { listen: Some(listen), .. } => Some(bind_tailscale(listen)?),
                TailscaleSettings::Serve { listen: None, .. } => {
                    return Err(Failure::new("auth.tailscale is serve, and auth.tailscale_listen is not set").hint(
                        "auth.tailscale_listen (HEARTH_AUTH__TAILSCALE_LISTEN) is an address and a port that nothing but \
                         `tailscale serve` can reach, or the absolute path of a unix socket",
                    ));
                }
                _ => None,
            };
            Self { public: Some(bind(config.listen)?), private: None, tailscale }
        };
        if config.probation && (sockets.public.is_some() || sockets.tailscale.is_some()) {
            return Err(Failure::new(
                "in probation (HEARTH_PROBATION) the app must be given no socket but the private one",
            ));
        }
        let serves = matches!(config.auth.tailscale, TailscaleSettings::Serve { .. });
        match &sockets.tailscale {
            // Whoever reaches it says who they are: it is opened on purpose or not at all.
            Some(_) if !serves => {
                Err(Failure::new("a socket named tailscale was inherited, and auth.tailscale is not serve"))
            }
            None if serves && !config.probation => {
                Err(Failure::new("auth.tailscale is serve, and no socket named tailscale was inherited"))
            }
            _ => Ok(sockets),
        }
    }
}

fn take(inherited: &mut ListenFd, names: &str) -> Result<Sockets, Failure> {
    let mut sockets = Sockets { public: None, private: None, tailscale: None };
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
            // A socket of the other kind is left where it is.
            "tailscale" => match inherited.take_tcp_listener(index) {
                Ok(listener) => {
                    let listener = listener.ok_or_else(|| unusable(name, "it is gone".to_owned()))?;
                    sockets.tailscale = Some(serve_tcp(listener).map_err(said)?);
                }
                Err(_) => {
                    let listener = inherited.take_unix_listener(index).map_err(said)?;
                    let listener = listener.ok_or_else(|| unusable(name, "it is gone".to_owned()))?;
                    listener.set_nonblocking(true).map_err(said)?;
                    sockets.tailscale = Some(ServeSocket::Unix(listener));
                }
            },
            _ => {
                return Err(unusable(name, format!("LISTEN_FDNAMES may name {}", NAMES.join(", "))));
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

/// What the kernel keeps of a response that its client has not taken yet, in bytes; it doubles this for its own needs (tcp(7)).
/// Left to itself it would keep 4 MiB and more of each, which half a thousand slow readers make gigabytes. Over a line with a
/// round trip of 50 ms it is 2.5 MB a second.
const SEND_BUFFER: usize = 64 * 1024;

fn public(listener: TcpListener, inherited: bool) -> io::Result<Public> {
    let address = prepare(&listener)?;
    Ok(Public { listener, address, inherited })
}

fn serve_tcp(listener: TcpListener) -> io::Result<ServeSocket> {
    let address = prepare(&listener)?;
    Ok(ServeSocket::Tcp(listener, address))
}

fn prepare(listener: &TcpListener) -> io::Result<SocketAddr> {
    listener.set_nonblocking(true)?;
    // Accepted connections inherit it on Linux: an answer is one write, and waiting to fill a packet only delays it.
    setsockopt(listener, TcpNoDelay, &true)?;
    // Inherited as well. A client that takes nothing of its answer for so long, a phone gone to sleep or one that means
    // harm, gives its place and the answer's memory back.
    setsockopt(listener, TcpUserTimeout, &UNTAKEN)?;
    setsockopt(listener, SndBuf, &SEND_BUFFER)?;
    listener.local_addr()
}

fn bind_tailscale(listen: &TailscaleListen) -> Result<ServeSocket, Failure> {
    let bound = match listen {
        TailscaleListen::Address(address) => TcpListener::bind(address).and_then(serve_tcp),
        TailscaleListen::Socket(path) => bind_unix(path).map(ServeSocket::Unix),
    };
    bound.map_err(|error| {
        let failure = Failure::new(format!("{listen} cannot be listened on: {error}"));
        let another = "another program has it; stop it, or choose another place for `tailscale serve` to find";
        let setting = "auth.tailscale_listen (HEARTH_AUTH__TAILSCALE_LISTEN)";
        match error.kind() {
            io::ErrorKind::AddrInUse => failure.hint(format!("{another} with {setting}")),
            _ => failure.hint(format!("{setting} says so")),
        }
    })
}

/// Binds a unix socket for this user and root alone, who may say there who they are; tailscaled is usually root. One that an
/// earlier app left behind makes room.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let bind = || {
        // For the whole process, which has no other thread yet.
        let before = umask(Mode::from_bits_truncate(0o177));
        let bound = UnixListener::bind(path);
        umask(before);
        bound
    };
    let listener = match bind() {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_behind(path) => {
            fs::remove_file(path)?;
            bind()?
        }
        bound => bound?,
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Whether this is a socket that nobody listens on.
fn is_left_behind(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
        && UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_unix_socket_is_its_owners_alone_and_takes_the_place_of_one_left_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("serve");
        let listener = bind_unix(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(bind_unix(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        bind_unix(&path).unwrap();

        let file = directory.path().join("file");
        fs::write(&file, "kept").unwrap();
        assert!(bind_unix(&file).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
    }
}
