//! Where does `tailscale serve` come in, and nobody else?
//!
//! On a socket of its own (`auth.tailscale_listen`), since the app believes what is said there of who somebody is: a unix
//! socket for this uid and root alone, or an address. Bound, handed on and kept open like the public one; the address of
//! a peer is never a reason to believe it (docs/SECURITY.md).

use std::{
    fs, io,
    net::SocketAddr,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::{fs::FileTypeExt, net::UnixListener},
    },
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    libc,
    sys::{
        socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, connect, listen, socket},
        stat::{Mode, umask},
    },
};

use super::{
    endpoint::Endpoint,
    listener::{BACKLOG, PublicSocket},
};
use crate::failure::{Cause, Failure};

/// What sets where it is.
const SETTING: &str = "HEARTH_AUTH__TAILSCALE_LISTEN";

/// The socket of `tailscale serve`, or the public one: app and door accept on both alike.
pub enum IdentitySocket {
    /// At an address.
    Tcp(PublicSocket),
    /// In the file system.
    Unix {
        /// The listening end.
        listener: UnixListener,
        /// Where.
        path: PathBuf,
    },
}

impl AsFd for IdentitySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix { listener, .. } => listener.as_fd(),
        }
    }
}

impl IdentitySocket {
    /// Binds it. A socket's file on which nobody answers, left by an earlier start, makes way; nothing else does.
    pub fn bind(place: &Endpoint) -> Result<Self, Failure> {
        match place {
            Endpoint::Tcp(address) => PublicSocket::bind(*address, SETTING).map(Self::Tcp),
            Endpoint::Unix(path) => bind_at(path).map(|listener| Self::Unix { listener, path: path.clone() }),
        }
    }

    /// Returns where it is, with the port that the system chose for port 0.
    pub fn place(&self) -> Endpoint {
        match self {
            Self::Tcp(socket) => Endpoint::Tcp(socket.address()),
            Self::Unix { path, .. } => Endpoint::Unix(path.clone()),
        }
    }

    /// Whether it still listens.
    pub fn listens(&self) -> bool {
        match self {
            Self::Tcp(socket) => socket.listens(),
            Self::Unix { listener, .. } => !was_shut_down(listener),
        }
    }

    /// Puts right what a child may have done to it, as [`PublicSocket::restore_listener`]. Returns whether it had to bind anew.
    pub fn restore_listener(&mut self) -> Result<bool, Failure> {
        let listens = self.listens();
        match self {
            Self::Tcp(socket) => socket.restore_listener(),
            Self::Unix { listener, path } if listens => listener
                .set_nonblocking(true)
                .map(|()| false)
                .map_err(|error| Failure::io(format!("cannot set the flags of the socket {}", path.display()), &error)),
            Self::Unix { listener, path } => {
                *listener = bind_at(path)?;
                Ok(true)
            }
        }
    }

    /// Takes its file away at the end.
    pub fn forget(self) {
        if let Self::Unix { path, .. } = self {
            let _ = fs::remove_file(path);
        }
    }
}

/// Whether a unix socket's shutdown(2) was called: it listens on after that by its state (SO_ACCEPTCONN), and refuses all.
fn was_shut_down(listener: &UnixListener) -> bool {
    let mut asked = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: one pollfd, which lives on, and no wait.
    let answered = unsafe { libc::poll(&raw mut asked, 1, 0) };
    answered > 0
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

fn bind_at(path: &Path) -> Result<UnixListener, Failure> {
    let trouble = |error: &io::Error| {
        let failure = Failure::io(format!("cannot listen on {}, which {SETTING} names", path.display()), error);
        if failure.hint.is_some() {
            return failure;
        }
        let parent = path.parent().unwrap_or(Path::new("/")).display();
        let uid = nix::unistd::geteuid();
        failure.hint(format!("the directory {parent} has to be there, and uid {uid} has to be able to write in it"))
    };
    make_way(path)?;
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)
        .map_err(|errno| trouble(&errno.into()))?;
    let address = UnixAddr::new(path).map_err(|errno| trouble(&errno.into()))?;
    // With this mode from its first moment on: whoever connects can be anybody. No other thread makes files meanwhile.
    let before = umask(Mode::from_bits_truncate(0o177));
    let bound = nix::sys::socket::bind(socket.as_raw_fd(), &address);
    umask(before);
    bound
        .and_then(|()| listen(&socket, Backlog::new(i32::try_from(BACKLOG).unwrap_or(128))?))
        .map_err(|errno| trouble(&errno.into()))?;
    Ok(UnixListener::from(socket))
}

/// Removes a socket's file on which nobody answers.
fn make_way(path: &Path) -> Result<(), Failure> {
    let refuse = |what: &str| {
        Err(Failure::new(Cause::Configuration, format!("cannot listen on {}: {what}", path.display()))
            .hint(format!("choose another path with {SETTING}, or move away what is there; nothing was touched")))
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
    let kind = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, kind, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::{
        fs::PermissionsExt,
        net::{UnixDatagram, UnixStream},
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
        let socket = IdentitySocket::bind(&here).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        UnixStream::connect(&path).unwrap();
        let refused = IdentitySocket::bind(&here).err().unwrap();
        assert!(refused.message.ends_with("another program answers there"), "{refused}");
        UnixStream::connect(&path).unwrap();
        socket.forget();
        assert!(!path.exists());
        let _datagrams = UnixDatagram::bind(&path).unwrap();
        let refused = IdentitySocket::bind(&here).err().unwrap();
        assert!(refused.message.contains("cannot be told"), "{refused}");
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        let refused = IdentitySocket::bind(&here).err().unwrap();
        assert!(refused.message.contains("no socket") && refused.hint.unwrap().contains(SETTING));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        let nowhere = IdentitySocket::bind(&Endpoint::Unix("/nowhere/at/all.sock".into())).err().unwrap();
        assert!(nowhere.message.contains("/nowhere/at/all.sock") && nowhere.hint.is_some(), "{nowhere}");
    }

    #[test]
    fn one_that_was_shut_down_is_bound_anew_at_the_same_path() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("tailscale.sock");
        let mut socket = IdentitySocket::bind(&Endpoint::Unix(path.clone())).unwrap();
        assert!(!socket.restore_listener().unwrap());
        shutdown(socket.as_fd().as_raw_fd(), Shutdown::Both).unwrap();
        assert!(!socket.listens());
        assert!(socket.restore_listener().unwrap());
        UnixStream::connect(&path).unwrap();
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
