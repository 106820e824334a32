//! What does the app say of itself?
//!
//! The datagrams of systemd's sd_notify(3), on a socket of the supervisor's own. Each carries its sender's pid,
//! written by the kernel (SCM_CREDENTIALS), and is believed only from the app's own. Only a limited number is read at a time;
//! the kernel makes the rest wait.

use std::{
    cell::Cell,
    io::{self, IoSliceMut},
    os::{fd::AsRawFd, linux::net::SocketAddrExt, unix::net},
    path::Path,
    time::Duration,
};

use nix::{
    cmsg_space,
    sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, UnixCredentials, recvmsg, setsockopt, sockopt},
    unistd::Pid,
};
use tokio::{
    io::Interest,
    net::UnixDatagram,
    time::{Instant, sleep_until},
};

/// The longest message that is read; sd_notify messages are a few short lines.
const LONGEST: usize = 4096;
/// How many letters of a status are shown.
const LONGEST_SENTENCE: usize = 500;
/// The longest path that fits a unix socket's address on Linux, without its closing zero.
const LONGEST_PATH: usize = 107;

/// How many messages are read before everything else has its turn.
const BATCH: usize = 64;
/// How long nothing is read after so many, or after an error: a flood is not worth a processor.
const REST: Duration = Duration::from_millis(20);
/// More messages than the kernel keeps for a socket (`net.unix.max_dgram_qlen`, 512 at most by default).
const ALL: usize = 1024;

/// What the app said, taken together. That it stops (`STOPPING=1`) changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// `READY=1`: it can serve.
    pub ready: bool,
    /// `WATCHDOG=1`: it is alive.
    pub watchdog: bool,
    /// `STATUS=…`: a sentence for people, the last of several.
    pub status: Option<String>,
}

/// The socket that the app's messages come in on.
pub struct Notifications {
    socket: UnixDatagram,
    address: String,
    resting_until: Cell<Option<Instant>>,
}

impl Notifications {
    /// Binds the socket in `directory`, in place of an earlier one; as an abstract one where the path is too long.
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
        Ok(Self { socket: UnixDatagram::from_std(socket)?, address, resting_until: Cell::new(None) })
    }

    /// Returns the value of `NOTIFY_SOCKET`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits for the next messages of this process; what others send is dropped. Dropped while it waits, it loses none.
    pub async fn next(&self, app: Pid) -> io::Result<Messages> {
        loop {
            if let Some(until) = self.resting_until.get() {
                sleep_until(until).await;
                self.resting_until.set(None);
            }
            self.socket.readable().await?;
            let mut messages = Messages::default();
            let mut count = 0;
            let read = self.socket.try_io(Interest::READABLE, || {
                while count < BATCH {
                    self.read_one(app, &mut messages)?;
                    count += 1;
                }
                Ok(())
            });
            let failed = read.err().filter(|error| error.kind() != io::ErrorKind::WouldBlock);
            if count == BATCH || failed.is_some() {
                self.resting_until.set(Some(Instant::now() + REST));
            }
            match failed {
                Some(error) => return Err(error),
                None if messages != Messages::default() => return Ok(messages),
                None => {}
            }
        }
    }

    /// Returns what has come in from this process up to now, without waiting.
    pub fn remaining(&self, app: Pid) -> Messages {
        let mut messages = Messages::default();
        for _ in 0..ALL {
            if self.read_one(app, &mut messages).is_err() {
                break;
            }
        }
        messages
    }

    fn read_one(&self, app: Pid, messages: &mut Messages) -> io::Result<()> {
        let (sender, text) = receive(self.socket.as_raw_fd())?;
        if sender == Some(app) {
            messages.add(&text);
        } else {
            tracing::debug!(sender = sender.map(Pid::as_raw), "dropped a message that is not the app's");
        }
        Ok(())
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

impl Messages {
    fn add(&mut self, text: &[u8]) {
        for line in String::from_utf8_lossy(text).lines() {
            match line.split_once('=') {
                Some(("READY", "1")) => self.ready = true,
                Some(("WATCHDOG", "1")) => self.watchdog = true,
                // Shown on terminals as it is.
                Some(("STATUS", sentence)) => {
                    let letters = sentence.chars().filter(|letter| !letter.is_control());
                    self.status = Some(letters.take(LONGEST_SENTENCE).collect());
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let mut messages = Messages::default();
        messages.add(b"READY=1\nSTATUS=all =\x1b well\nX=2\nMAINPID=1\n\xff\nWATCHDOG=trigger\nSTOPPING=1");
        assert_eq!(messages, Messages { ready: true, watchdog: false, status: Some("all = well".into()) });
        messages.add(b"WATCHDOG=1\nSTATUS=better");
        assert_eq!(messages, Messages { ready: true, watchdog: true, status: Some("better".into()) });
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_flood_is_read_in_parts_and_the_end_of_it_is_heard() {
        let directory = tempfile::tempdir().unwrap();
        let notifications = Notifications::bind(directory.path(), "notify.sock").unwrap();
        let sender = net::UnixDatagram::unbound().unwrap();
        sender.connect(notifications.address()).unwrap();
        sender.set_nonblocking(true).unwrap();
        let mut sent = 0;
        let mut flood = || {
            while sender.send(format!("STATUS={}", sent + 1).as_bytes()).is_ok() {
                sent += 1;
            }
            sent
        };
        // As many as the kernel keeps, at once; the flood goes on as soon as there is room.
        for _ in 0..3 {
            let kept = flood();
            let heard = notifications.next(Pid::this()).await.unwrap().status.unwrap();
            assert!(heard.parse::<i32>().unwrap() <= kept);
            assert!(kept < BATCH as i32 || notifications.resting_until.get().is_some(), "everything else has its turn");
        }
        let last = flood();
        assert_eq!(notifications.remaining(Pid::this()).status.unwrap(), last.to_string());
        assert_eq!(notifications.remaining(Pid::this()), Messages::default());
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
        net::UnixDatagram::unbound().unwrap().send_to(b"WATCHDOG=1", notifications.address()).unwrap();
        let heard = notifications.next(Pid::this()).await.unwrap();
        assert!(heard.watchdog && !heard.ready, "{heard:?}");
    }

    #[test]
    #[ignore = "the other process of the test above"]
    fn a_stranger_says_that_it_is_ready() {
        let address = std::env::var("TEST_NOTIFY_SOCKET").unwrap();
        net::UnixDatagram::unbound().unwrap().send_to(b"READY=1", address).unwrap();
    }
}
