//! How do the supervisor's sockets stay open whatever a child does to them?
//!
//! The supervisor binds them and never accepts on them. App and door share their file descriptions, so a child can clear
//! O_NONBLOCK or shut one down for all; after each exit [`ListeningSocket::restore`] puts it right. There are two: the public
//! socket, and that of `tailscale serve` (`auth.tailscale_listen`). The app believes what is said on the second of who somebody
//! is, so it is one of its own: a unix socket for this uid and root alone, or an address. The address of a peer is never a reason
//! to believe it (docs/SECURITY.md).

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::FileTypeExt,
    },
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        socket::{
            AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, getsockopt, listen, socket, sockopt,
        },
        stat::{Mode, umask},
    },
};

use super::endpoint::Endpoint;
use crate::failure::{Cause, Failure};

/// Connections that wait while nobody accepts; the kernel caps it at net.core.somaxconn.
const BACKLOG: u16 = 1024;
/// What sets where the public socket is.
pub const PUBLIC: &str = "HEARTH_LISTEN or --listen";
/// What sets where that of `tailscale serve` is.
pub const IDENTITY: &str = "HEARTH_AUTH__TAILSCALE_LISTEN";

/// A socket that the supervisor listens on.
pub struct ListeningSocket {
    socket: OwnedFd,
    endpoint: Endpoint,
    setting: &'static str,
}

impl AsFd for ListeningSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl ListeningSocket {
    /// Binds it where `setting` says. A unix socket's file on which nobody answers, left by an earlier start, makes way; nothing
    /// else does.
    ///
    /// # Errors
    /// A sentence that names the place and the setting.
    pub fn bind(endpoint: Endpoint, setting: &'static str) -> Result<Self, Failure> {
        let (socket, endpoint) = match endpoint {
            Endpoint::Tcp(address) => {
                let listener = listen_at(address).map_err(|error| explain(address, setting, &error))?;
                let address = listener.local_addr().unwrap_or(address);
                (listener.into(), Endpoint::Tcp(address))
            }
            Endpoint::Unix(path) => {
                make_way(&path, setting)?;
                (listen_in(&path).map_err(|errno| explain_path(&path, setting, &errno.into()))?, Endpoint::Unix(path))
            }
        };
        Ok(Self { socket, endpoint, setting })
    }

    /// Returns where it is, with the port that the system chose for port 0.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether it still listens: a child's shutdown(2) ends that for every process that shares it. A unix socket listens on after
    /// that by its state (SO_ACCEPTCONN), and refuses all.
    pub fn listens(&self) -> bool {
        let mut asked = [PollFd::new(self.socket.as_fd(), PollFlags::from_bits_retain(libc::POLLRDHUP))];
        getsockopt(&self.socket, sockopt::AcceptConn).unwrap_or(false) && poll(&mut asked, PollTimeout::ZERO) == Ok(0)
    }

    /// Puts right what a child may have done: sets O_NONBLOCK, and binds anew if it was shut down. Returns whether it had to.
    pub fn restore(&mut self) -> Result<bool, Failure> {
        if !self.listens() {
            *self = Self::bind(self.endpoint.clone(), self.setting)?;
            return Ok(true);
        }
        fcntl(&self.socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|errno| {
            Failure::io(format!("cannot set the flags of the socket {}", self.endpoint), &errno.into())
        })?;
        Ok(false)
    }

    /// Takes its file away at the end.
    pub fn forget(self) {
        if let Endpoint::Unix(path) = self.endpoint {
            let _ = fs::remove_file(path);
        }
    }
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { tokio::net::TcpSocket::new_v4()? } else { tokio::net::TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG.into())?.into_std()
}

fn listen_in(path: &Path) -> nix::Result<OwnedFd> {
    let socket = stream()?;
    let address = UnixAddr::new(path)?;
    // With this mode from its first moment on: whoever connects can be anybody. No other thread makes files meanwhile.
    let before = umask(Mode::from_bits_truncate(0o177));
    let bound = bind(socket.as_raw_fd(), &address);
    umask(before);
    bound.and_then(|()| listen(&socket, Backlog::new(BACKLOG)?))?;
    Ok(socket)
}

fn stream() -> nix::Result<OwnedFd> {
    socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)
}

/// Removes a socket's file on which nobody answers.
fn make_way(path: &Path, setting: &str) -> Result<(), Failure> {
    let refuse = |what: &str| {
        Err(Failure::new(Cause::Configuration, format!("cannot listen on {}: {what}", path.display()))
            .hint(format!("choose another path with {setting}, or move away what is there; nothing was touched")))
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::io(format!("cannot look at {}", path.display()), &error)),
        Ok(found) if !found.file_type().is_socket() => return refuse("something else is there, which is no socket"),
        Ok(_) => {}
    }
    match answers(path) {
        Err(Errno::ECONNREFUSED) => fs::remove_file(path)
            .map_err(|error| Failure::io(format!("cannot remove the old socket {}", path.display()), &error)),
        Err(Errno::ENOENT) => Ok(()),
        Ok(()) | Err(Errno::EAGAIN) => refuse("another program answers there"),
        Err(errno) => refuse(&format!("whether a program answers there cannot be told: {}", errno.desc())),
    }
}

/// Connects, without waiting: EAGAIN is a queue that is full, and so somebody's.
fn answers(path: &Path) -> nix::Result<()> {
    connect(stream()?.as_raw_fd(), &UnixAddr::new(path)?)
}

fn explain(address: SocketAddr, setting: &str, error: &io::Error) -> Failure {
    let failure = |message: String| Failure::new(Cause::Configuration, message);
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EADDRINUSE) => {
            failure(format!("cannot listen on {address}: another program has this port")).hint(format!(
                "stop that program (ss -ltnp 'sport = :{}' names it), or choose another address with {setting}",
                address.port()
            ))
        }
        Some(Errno::EADDRNOTAVAIL) => {
            failure(format!("cannot listen on {address}: this machine has no such address now"))
                .hint(format!("set {setting} to an address of this machine, such as 127.0.0.1:3000 or 0.0.0.0:3000"))
        }
        Some(Errno::EACCES) => failure(format!(
            "cannot listen on {address}: ports under 1024 need a privilege that uid {} does not have",
            nix::unistd::geteuid()
        ))
        .hint(format!("choose a port of 1024 or more with {setting}")),
        _ => Failure::io(format!("cannot listen on {address}"), error),
    }
}

fn explain_path(path: &Path, setting: &str, error: &io::Error) -> Failure {
    let failure = Failure::io(format!("cannot listen on {}, which {setting} names", path.display()), error);
    if failure.hint.is_some() {
        return failure;
    }
    let parent = path.parent().unwrap_or(Path::new("/")).display();
    let uid = nix::unistd::geteuid();
    failure.hint(format!("the directory {parent} has to be there, and uid {uid} has to be able to write in it"))
}

/// Says what is not well chosen, for whoever may come in there besides `tailscale serve`.
pub fn exposed(address: SocketAddr) -> Option<String> {
    let who = if !address.ip().is_loopback() {
        "whoever can reach this address"
    } else if address.ip() == std::net::Ipv4Addr::LOCALHOST {
        // tailscaled without an interface of its own hands each connection to the machine's tailnet address on to this
        // very address, at the same port, whoever it comes from (wgengine/netstack).
        "where Tailscale runs in its userspace mode, every device of the tailnet"
    } else {
        return None;
    };
    Some(format!(
        "auth.tailscale_listen is {address}: {who} can sign in as anybody there, past `tailscale serve`; take a unix socket, or an address such as 127.0.0.2:{} that nothing but it reaches (docs/TAILSCALE.md)",
        address.port()
    ))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::os::unix::{
        fs::PermissionsExt,
        net::{UnixDatagram, UnixListener, UnixStream},
    };

    use nix::sys::socket::{Shutdown, shutdown};

    use super::*;

    #[test]
    fn a_stale_socket_makes_way_and_nothing_else_does() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("tailscale.sock");
        let here = Endpoint::Unix(path.clone());
        // Left by a start that was killed.
        drop(UnixListener::bind(&path).unwrap());
        let socket = ListeningSocket::bind(here.clone(), IDENTITY).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        UnixStream::connect(&path).unwrap();
        let refused = ListeningSocket::bind(here.clone(), IDENTITY).err().unwrap();
        assert!(refused.message.ends_with("another program answers there"), "{refused}");
        UnixStream::connect(&path).unwrap();
        socket.forget();
        assert!(!path.exists());
        let _datagrams = UnixDatagram::bind(&path).unwrap();
        let refused = ListeningSocket::bind(here.clone(), IDENTITY).err().unwrap();
        assert!(refused.message.contains("cannot be told"), "{refused}");
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        let refused = ListeningSocket::bind(here.clone(), IDENTITY).err().unwrap();
        assert!(refused.message.contains("no socket") && refused.hint.unwrap().contains(IDENTITY));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        let nowhere = ListeningSocket::bind(Endpoint::Unix("/nowhere/at/all.sock".into()), IDENTITY).err().unwrap();
        assert!(nowhere.message.contains("/nowhere/at/all.sock") && nowhere.hint.is_some(), "{nowhere}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn one_that_was_shut_down_is_bound_anew_at_the_same_place() {
        let directory = tempfile::tempdir().unwrap();
        for place in [Endpoint::Tcp("127.0.0.1:0".parse().unwrap()), Endpoint::Unix(directory.path().join("socket"))] {
            let mut socket = ListeningSocket::bind(place, PUBLIC).unwrap();
            let endpoint = socket.endpoint().clone();
            assert!(socket.listens() && !socket.restore().unwrap(), "{endpoint}");
            shutdown(socket.as_fd().as_raw_fd(), Shutdown::Both).unwrap();
            assert!(!socket.listens() && socket.restore().unwrap(), "{endpoint}");
            assert!(socket.listens() && *socket.endpoint() == endpoint, "{endpoint}");
            match &endpoint {
                Endpoint::Tcp(address) => drop(TcpStream::connect(address).unwrap()),
                Endpoint::Unix(path) => drop(UnixStream::connect(path).unwrap()),
            }
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_taken_port_is_named() {
        let first = ListeningSocket::bind(Endpoint::Tcp("127.0.0.1:0".parse().unwrap()), PUBLIC).unwrap();
        let refused = ListeningSocket::bind(first.endpoint().clone(), PUBLIC).err().unwrap();
        assert!(refused.message.contains(&first.endpoint().to_string()), "{refused}");
        assert!(refused.hint.unwrap().contains("HEARTH_LISTEN"));
    }

    #[test]
    fn an_address_that_others_reach_is_said() {
        let said = |address: &str| exposed(address.parse().unwrap());
        assert!(said("0.0.0.0:3001").unwrap().contains("whoever can reach this address"));
        assert!(said("192.168.1.2:3001").unwrap().contains("127.0.0.2:3001"));
        assert!(said("127.0.0.1:3001").unwrap().contains("userspace mode"));
        assert_eq!(said("127.0.0.2:3001"), None);
        assert_eq!(said("[::1]:3001"), None);
    }
}
