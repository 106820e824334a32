//! What the supervisor says to systemd, to a stand-in for its notify socket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    io::{ErrorKind, IoSliceMut},
    os::{
        fd::AsRawFd,
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    time::{Duration, Instant},
};

use harness::{Hearth, LIMIT, Running, wait_for};
use nix::{
    cmsg_space,
    sys::{
        signal::Signal,
        socket::{ControlMessageOwned, MsgFlags, UnixAddr, UnixCredentials, recvmsg, setsockopt, sockopt},
    },
};

/// Where systemd would listen.
struct Manager(UnixDatagram);

impl Manager {
    /// At a path in this Hearth's directory, or under an abstract name.
    fn listen(hearth: &mut Hearth, is_abstract: bool) -> Self {
        let (socket, address) = if is_abstract {
            let name = format!("hearth-test-{}", hearth.root.path().display());
            (UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap(), format!("@{name}"))
        } else {
            let path = hearth.root.path().join("notify");
            (UnixDatagram::bind(&path).unwrap(), path.display().to_string())
        };
        setsockopt(&socket, sockopt::PassCred, &true).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        hearth.set("NOTIFY_SOCKET", address);
        Self(socket)
    }

    /// Returns the next message and its sender's pid, if one comes soon.
    fn next(&self) -> Option<(i32, String)> {
        let mut buffer = [0; 4096];
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let mut control = cmsg_space!(UnixCredentials);
        let received =
            recvmsg::<UnixAddr>(self.0.as_raw_fd(), &mut slices, Some(&mut control), MsgFlags::empty()).ok()?;
        let sender = received.cmsgs().unwrap().find_map(|message| match message {
            ControlMessageOwned::ScmCredentials(credentials) => Some(credentials.pid()),
            _ => None,
        });
        let length = received.bytes;
        Some((sender.unwrap(), String::from_utf8(buffer[..length].to_vec()).unwrap()))
    }

    /// Collects lines until this one has come; each must be of this supervisor.
    fn until(&self, running: &Running, wanted: &str) -> Vec<String> {
        let mut lines = Vec::new();
        running.wait(wanted, || {
            let (sender, message) = self.next()?;
            assert_eq!(sender, running.pid().as_raw(), "somebody else said {message:?}");
            lines.extend(message.lines().map(str::to_owned));
            lines.iter().any(|line| line.starts_with(wanted)).then_some(())
        });
        lines
    }

    fn rest(&self) -> Vec<String> {
        std::iter::from_fn(|| self.next())
            .flat_map(|(_, message)| message.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }
}

fn count(lines: &[String], wanted: &str) -> usize {
    lines.iter().filter(|line| *line == wanted).count()
}

#[test]
fn systemd_hears_that_it_is_ready_what_it_does_and_that_it_stops_from_the_supervisor_alone() {
    for is_abstract in [false, true] {
        let mut hearth = Hearth::new();
        let manager = Manager::listen(&mut hearth, is_abstract);
        let mut running = hearth.start();
        let mut lines = manager.until(&running, "STATUS=serving on http://127.0.0.1:");
        assert_eq!(lines[0], "READY=1", "{lines:?}");
        assert!(lines.contains(&"STATUS=migrating generation 0001".to_owned()), "{lines:?}");
        running.signal(Signal::SIGTERM);
        lines.extend(manager.until(&running, "STOPPING=1"));
        assert!(running.wait_end().success());
        lines.extend(manager.rest());
        assert_eq!((count(&lines, "READY=1"), count(&lines, "STOPPING=1")), (1, 1), "{lines:?}");
        // Nobody asked for signs of life.
        assert_eq!(count(&lines, "WATCHDOG=1"), 0, "{lines:?}");
    }
}

#[test]
fn a_held_supervisor_is_ready_and_says_why_it_is_held() {
    let mut hearth = Hearth::new();
    let manager = Manager::listen(&mut hearth, false);
    hearth.set("HEARTH_APP__COMMAND", r#"["/nowhere/app"]"#);
    let mut running = hearth.start();
    let lines = manager.until(&running, "STATUS=held: ");
    assert_eq!(count(&lines, "READY=1"), 1, "{lines:?}");
    assert!(lines.last().unwrap().contains("/nowhere/app"), "{lines:?}");
    assert!(running.stop().success());
}

#[test]
fn the_watchdog_hears_from_a_supervisor_that_works_and_not_from_one_that_hangs() {
    let mut hearth = Hearth::new();
    let manager = Manager::listen(&mut hearth, false);
    hearth.set("WATCHDOG_USEC", "100000");
    let mut running = hearth.start();
    running.wait_serving();
    for _ in 0..3 {
        manager.until(&running, "WATCHDOG=1");
    }
    running.signal(Signal::SIGSTOP);
    wait_for("silence", || manager.rest().is_empty().then_some(()));
    let hung = Instant::now();
    manager.0.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert_eq!(manager.next(), None, "a sign of life {:?} after it was stopped", hung.elapsed());
    running.signal(Signal::SIGCONT);
    manager.until(&running, "WATCHDOG=1");
    assert!(running.stop().success());
}

#[test]
fn a_watchdog_that_is_set_for_another_process_hears_nothing() {
    let mut hearth = Hearth::new();
    let manager = Manager::listen(&mut hearth, false);
    hearth.set("WATCHDOG_USEC", "1000").set("WATCHDOG_PID", "1");
    let mut running = hearth.start();
    let mut lines = manager.until(&running, "STATUS=serving");
    assert!(running.stop().success());
    lines.extend(manager.rest());
    assert_eq!(count(&lines, "WATCHDOG=1"), 0, "{lines:?}");
}

#[test]
fn a_systemd_that_does_not_read_holds_nothing_up_and_hears_the_end_of_it_later() {
    let mut hearth = Hearth::new();
    let manager = Manager::listen(&mut hearth, false);
    // Until its queue is full.
    let filler = UnixDatagram::unbound().unwrap();
    filler.set_nonblocking(true).unwrap();
    let path = hearth.root.path().join("notify");
    let full = loop {
        if let Err(error) = filler.send_to(b"X=1", &path) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    let mut running = hearth.start();
    running.wait_serving();
    let until = Instant::now() + LIMIT;
    let mut lines = Vec::new();
    while !lines.contains(&"READY=1".to_owned()) {
        assert!(Instant::now() < until, "READY=1 never came: {}", running.log());
        lines = manager.rest();
    }
    assert!(running.stop().success());
}

#[test]
fn a_systemd_that_is_not_there_is_noted_and_nothing_else() {
    let mut hearth = Hearth::new();
    hearth.set("NOTIFY_SOCKET", "/nowhere/notify");
    let mut running = hearth.start();
    running.wait_serving();
    let said = "systemd cannot be told how it goes (NOTIFY_SOCKET): No such file or directory";
    running.wait_for_log(said);
    let status = hearth.status().unwrap();
    assert!(status["notes"].to_string().contains(said), "{status}");
    assert!(running.stop().success());
}
