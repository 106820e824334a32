//! How does the public socket stay open whatever a child does to it?
//!
//! The supervisor binds it and never accepts on it. App and door share its file description, so a child
//! can clear O_NONBLOCK or shut it down for all; after each exit [`PublicSocket::restore_listener`] puts it right. The one for
//! `tailscale serve` ([`super::identity`]) is kept in the same way.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    os::fd::{AsFd, BorrowedFd},
};

use nix::{
    errno::Errno,
    sys::socket::{getsockopt, sockopt},
};

use crate::failure::{Cause, Failure};

/// Connections that wait while nobody accepts; the kernel caps it at net.core.somaxconn.
pub(super) const BACKLOG: u32 = 1024;
/// What sets the public address.
pub const PUBLIC: &str = "HEARTH_LISTEN or --listen";

/// The public socket.
pub struct PublicSocket {
    listener: TcpListener,
    address: SocketAddr,
    setting: &'static str,
}

impl AsFd for PublicSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl PublicSocket {
    /// Binds it to the address that `setting` gives.
    pub fn bind(address: SocketAddr, setting: &'static str) -> Result<Self, Failure> {
        let listener = listen(address).map_err(|error| explain(address, setting, &error))?;
        let address = listener.local_addr().unwrap_or(address);
        Ok(Self { listener, address, setting })
    }

    /// Returns the address it is bound to, with the port that the system chose for port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it still listens: a child's shutdown(2) ends that for every process that shares it.
    pub fn listens(&self) -> bool {
        getsockopt(&self.listener, sockopt::AcceptConn).unwrap_or(false)
    }

    /// Puts right what a child may have done: sets O_NONBLOCK, and binds anew if it was shut down.
    /// Returns whether it had to bind anew.
    pub fn restore_listener(&mut self) -> Result<bool, Failure> {
        if self.listens() {
            self.listener
                .set_nonblocking(true)
                .map_err(|error| Failure::io(format!("cannot set the flags of the socket {}", self.address), &error))?;
            return Ok(false);
        }
        self.listener = listen(self.address).map_err(|error| explain(self.address, self.setting, &error))?;
        Ok(true)
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { tokio::net::TcpSocket::new_v4()? } else { tokio::net::TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

fn explain(address: SocketAddr, setting: &str, error: &io::Error) -> Failure {
    let failure = |cause, message: String| Failure::new(cause, message);
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EADDRINUSE) => {
            failure(Cause::Configuration, format!("cannot listen on {address}: another program has this port")).hint(
                format!(
                    "stop that program (ss -ltnp 'sport = :{}' names it), or choose another address with {setting}",
                    address.port()
                ),
            )
        }
        Some(Errno::EADDRNOTAVAIL) => {
            failure(Cause::Configuration, format!("cannot listen on {address}: this machine has no such address now"))
                .hint(format!("set {setting} to an address of this machine, such as 127.0.0.1:3000 or 0.0.0.0:3000"))
        }
        Some(Errno::EACCES) => failure(
            Cause::Configuration,
            format!(
                "cannot listen on {address}: ports under 1024 need a privilege that uid {} does not have",
                nix::unistd::geteuid()
            ),
        )
        .hint(format!("choose a port of 1024 or more with {setting}")),
        _ => Failure::io(format!("cannot listen on {address}"), error),
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::socket::{Shutdown, shutdown};
    use std::os::fd::AsRawFd;

    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_socket_that_was_shut_down_is_bound_anew_at_the_same_port() {
        let mut socket = PublicSocket::bind("127.0.0.1:0".parse().unwrap(), PUBLIC).unwrap();
        let address = socket.address();
        assert!(socket.listens());
        assert!(!socket.restore_listener().unwrap());
        shutdown(socket.as_fd().as_raw_fd(), Shutdown::Both).unwrap();
        assert!(!socket.listens());
        assert!(socket.restore_listener().unwrap());
        assert!(socket.listens());
        assert_eq!(socket.address(), address);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_taken_port_is_named() {
        let first = PublicSocket::bind("127.0.0.1:0".parse().unwrap(), PUBLIC).unwrap();
        let refused = PublicSocket::bind(first.address(), PUBLIC).err().unwrap();
        assert!(refused.message.contains(&first.address().to_string()), "{refused}");
        assert!(refused.hint.unwrap().contains("HEARTH_LISTEN"));
    }
}
