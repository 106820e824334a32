//! What does the app say of itself?
//!
//! The datagrams of systemd's sd_notify(3), on a socket of the supervisor's own. Each carries its sender's pid,
//! written by the kernel (SCM_CREDENTIALS), and is believed only from the app's own.

use std::{
    io::{self, IoSliceMut},
    os::{fd::AsRawFd, linux::net::SocketAddrExt, unix::net},
    path::Path,
};

use nix::{
    cmsg_space,
    sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, UnixCredentials, recvmsg, setsockopt, sockopt},
    unistd::Pid,
};
use tokio::{io::Interest, net::UnixDatagram};

/// The longest message that is read; sd_notify messages are a few short lines.
const LONGEST: usize = 4096;
/// How many letters of a status are shown.
const LONGEST_SENTENCE: usize = 500;
/// The longest path that fits a unix socket's address on Linux, without its closing zero.
const LONGEST_PATH: usize = 107;

/// One thing that the app says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// `READY=1`: it can serve.
    Ready,
    /// `STOPPING=1`: it has begun to end.
    Stopping,
    /// `WATCHDOG=1`: it is alive.
    Watchdog,
    /// `STATUS=…`: a sentence for people.
    Status(String),
}

/// The socket that the app's messages come in on.
pub struct Notifications {
    socket: UnixDatagram,
    address: String,
}

impl Notifications {
    /// Binds the socket in `directory`, in place of an earlier one; as an abstract one where the path is too long.
    ///
    /// # Errors
    /// When it cannot be made there.
    pub fn bind(directory: &Path, name: &str) -> io::Result<Self> {
        let path = directory.join(name);
        let (socket, address) = if path.as_os_str().len() <= LONGEST_PATH {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            (net::UnixDatagram::bind(&path)?, path.display().to_string())
        } else {
            let name = format!("hearth-{name}-{}", std::process::id());
            (net::UnixDatagram::bind_addr(&net::SocketAddr::from_abstract_name(&name)?)?, format!("@{name}"))
        };
        setsockopt(&socket, sockopt::PassCred, &true)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket: UnixDatagram::from_std(socket)?, address })
    }

    /// Returns the value of `NOTIFY_SOCKET`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits for the next messages of this process; what others send is dropped.
    ///
    /// # Errors
    /// When the socket cannot be read.
    pub async fn next(&self, app: Pid) -> io::Result<Vec<Message>> {
        loop {
            let received = self.socket.async_io(Interest::READABLE, || receive(self.socket.as_raw_fd()));
            let (sender, text) = received.await?;
            if sender == Some(app) {
                return Ok(parse(&text));
            }
            tracing::debug!(sender = sender.map(Pid::as_raw), "dropped a message that is not the app's");
        }
    }
}

fn receive(socket: i32) -> io::Result<(Option<Pid>, Vec<u8>)> {
    let mut buffer = [0_u8; LONGEST];
    let mut slices = [IoSliceMut::new(&mut buffer)];
    // No room for descriptors: the kernel closes what a sender attached (as with `FDSTORE=1`).
    let mut control = cmsg_space!(UnixCredentials);
    let received = recvmsg::<UnixAddr>(socket, &mut slices, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let mut sender = None;
    // Truncated control data cannot name a sender, so such a message is nobody's.
    if let Ok(messages) = received.cmsgs() {
        for message in messages {
            if let ControlMessageOwned::ScmCredentials(credentials) = message {
                sender = Some(Pid::from_raw(credentials.pid()));
            }
        }
    }
    let length = received.bytes;
    Ok((sender, buffer[..length].to_vec()))
}

fn parse(text: &[u8]) -> Vec<Message> {
    String::from_utf8_lossy(text)
        .lines()
        .filter_map(|line| match line.split_once('=')? {
            ("READY", "1") => Some(Message::Ready),
            ("STOPPING", "1") => Some(Message::Stopping),
            ("WATCHDOG", "1") => Some(Message::Watchdog),
            // Shown on terminals as it is.
            ("STATUS", sentence) => {
                let letters = sentence.chars().filter(|letter| !letter.is_control());
                Some(Message::Status(letters.take(LONGEST_SENTENCE).collect()))
            }
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let text = b"READY=1\nSTATUS=all =\x1b well\nX=2\nMAINPID=1\n\xff\nWATCHDOG=trigger\nWATCHDOG=1";
        assert_eq!(parse(text), [Message::Ready, Message::Status("all = well".into()), Message::Watchdog]);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn only_the_apps_own_pid_is_believed() {
        let directory = tempfile::tempdir().unwrap();
        let notifications = Notifications::bind(directory.path(), "notify.sock").unwrap();
        // This same program as another process, which runs the test below alone.
        let mut stranger = Command::new(std::env::current_exe().unwrap());
        stranger.args(["--exact", "--ignored", "app::notify::tests::a_stranger_says_that_it_is_ready"]);
        let said = stranger.env("TEST_NOTIFY_SOCKET", notifications.address()).output().unwrap();
        assert!(said.status.success() && String::from_utf8_lossy(&said.stdout).contains("1 passed"), "{said:?}");
        net::UnixDatagram::unbound().unwrap().send_to(b"STOPPING=1", notifications.address()).unwrap();
        assert_eq!(notifications.next(Pid::this()).await.unwrap(), [Message::Stopping]);
    }

    #[test]
    #[ignore = "the other process of the test above"]
    fn a_stranger_says_that_it_is_ready() {
        let address = std::env::var("TEST_NOTIFY_SOCKET").unwrap();
        net::UnixDatagram::unbound().unwrap().send_to(b"READY=1", address).unwrap();
    }
}
