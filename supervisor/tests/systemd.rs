//! What the supervisor says to systemd, to a stand-in for its notify socket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    fs,
    io::{ErrorKind, IoSliceMut},
    os::{
        fd::AsRawFd,
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    process::Command,
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

/// Returns what docs/systemd/hearth gives a command of the settings in this file: where systemd does not run, since there
/// systemd itself reads them.
fn settings_of_the_command(file: &[u8]) -> Vec<String> {
    let place = tempfile::tempdir().unwrap();
    let settings = place.path().join("hearth.env");
    fs::write(&settings, file).unwrap();
    let script: Vec<String> = include_str!("../../docs/systemd/hearth")
        .lines()
        .map(|line| match line.split_once('=') {
            Some(("settings", _)) => format!("settings={}", settings.display()),
            Some(("systemd", _)) => "systemd=/nowhere".to_owned(),
            _ if line.starts_with("exec runuser") => "exec env -0".to_owned(),
            _ if line.starts_with("if [ \"$(id -u)\"") => "if false; then".to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    let output = Command::new("sh").args(["-c", &script.join("\n")]).env_clear().env("PATH", "/usr/bin:/bin").output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let own =
        |variable: &&str| !["PATH=", "PWD=", "OLDPWD=", "SHLVL=", "_="].iter().any(|name| variable.starts_with(name));
    text.split_terminator('\0').filter(own).map(str::to_owned).collect()
}

/// Each line with what systemd makes of it: systemd.exec(5), `EnvironmentFile=`, and src/basic/env-file.c.
#[test]
fn the_command_hearth_reads_its_settings_as_systemd_does() {
    for (line, expected) in [
        ("A=1", &["A=1"][..]),
        // A blank before it is no reason to leave a line out.
        ("  A=1", &["A=1"]),
        ("\tA=1", &["A=1"]),
        ("A =1", &["A=1"]),
        ("A=  two words  ", &["A=two words"]),
        ("A=1\r\nB=2\r\n", &["A=1", "B=2"]),
        ("A='off'  ", &["A=off"]),
        ("A=\"  kept  \"", &["A=  kept  "]),
        ("A='[\"age1x\"]'", &["A=[\"age1x\"]"]),
        ("A='a b' c", &["A=a bc"]),
        ("A=it's", &["A=it's"]),
        ("A='no \\ escape'", &["A=no \\ escape"]),
        ("A=\"x\\\"y\\$z\\q\"", &["A=x\"y$z\\q"]),
        ("A=a\\b\\\\c", &["A=ab\\c"]),
        ("A=one\\\ntwo", &["A=onetwo"]),
        ("A=\"one\\\ntwo\"", &["A=onetwo"]),
        ("A=\"one\ntwo\"", &["A=one\ntwo"]),
        ("A=ends with a blank\\ ", &["A=ends with a blank "]),
        ("A=1#2 ;3", &["A=1#2 ;3"]),
        ("A=$B`c`", &["A=$B`c`"]),
        ("A=b=c", &["A=b=c"]),
        ("A=", &["A="]),
        ("A='open\nB=2", &["A=open\nB=2\n"]),
        ("A=1\nA=2", &["A=2"]),
        ("#A=1\n;B=2\n  # C=3\n\nnothing\nD=4", &["D=4"]),
        ("export A=1\n1A=1\nA-B=1\n=1\nD=4", &["D=4"]),
    ] {
        assert_eq!(settings_of_the_command(line.as_bytes()), expected, "{line:?}");
    }
}

/// The same against systemd's own reader, by way of the one of its programs that needs no running systemd.
#[test]
#[cfg_attr(not(has = "systemd"), ignore = "needs systemd")]
fn systemd_itself_reads_these_settings_so() {
    const READER: &str = "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator";
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("environment.d");
    fs::create_dir(&directory).unwrap();
    let file = "  A='[\"age1x\"]'  \nB=127.0.0.1:3000 \r\nC=a\\\nb\n;D=1\nE='x' y\nF=it's\n";
    fs::write(directory.join("hearth.conf"), file).unwrap();
    let output = Command::new(READER).env_clear().env("XDG_CONFIG_HOME", home.path()).env("HOME", home.path()).output();
    let said = String::from_utf8(output.unwrap().stdout).unwrap();
    for variable in settings_of_the_command(file.as_bytes()) {
        let (name, value) = variable.split_once('=').unwrap();
        let line = said
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}=")))
            .unwrap_or_else(|| panic!("{name}: {said}"));
        // It writes them for a shell.
        let plain = line.trim_matches('"').replace("\\\"", "\"");
        assert_eq!(plain, value, "{name}: {said}");
    }
}
