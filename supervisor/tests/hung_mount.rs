//! A disk with the backups that does not answer keeps nothing but backups from being made, and one with the data does not stop
//! PID 1.
//!
//! It is a FUSE file system whose server reads no request: whoever asks it for anything waits until it goes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use harness::{Hearth, household, is_root};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Mounted until it is dropped.
struct Hung {
    path: PathBuf,
    /// Its end is the end of all waits.
    server: Option<File>,
}

impl Hung {
    /// Mounts it over a directory; `None`, and a line that says so, where that cannot be.
    fn mount(path: &Path) -> Option<Self> {
        let server = File::options().read(true).write(true).open("/dev/fuse");
        let options = |server: &File| format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
        let mounted = server.map_err(|error| error.to_string()).and_then(|server| {
            mount(Some("hung"), path, Some("fuse"), MsFlags::empty(), Some(options(&server).as_str()))
                .map(|()| server)
                .map_err(|errno| errno.to_string())
        });
        match mounted {
            Ok(server) => Some(Self { path: path.to_owned(), server: Some(server) }),
            Err(why) => {
                assert!(std::env::var_os("CI").is_none(), "skipped in CI: there is no FUSE: {why}");
                println!("skipped: there is no FUSE: {why}");
                None
            }
        }
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        drop(self.server.take());
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
    }
}

#[test]
fn a_healthy_instance_starts_serves_and_stops_whatever_its_backup_directory_does() {
    if !is_root("a_healthy_instance") {
        return;
    }
    let hearth = Hearth::new();
    let mut running = hearth.start();
    household::add(running.wait_serving(), &household::record(1));
    let backups = hearth.data.join("backups");
    fs::create_dir_all(&backups).unwrap();
    // Once before a start, and once under a supervisor that serves.
    let Some(hung) = Hung::mount(&backups) else { return };
    let pid = hearth.status().unwrap()["app"]["pid"].as_i64().unwrap();
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
    running.wait("another app", || {
        let status = hearth.status()?;
        (status["phase"] == "serving" && status["app"]["pid"].as_i64() != Some(pid)).then_some(())
    });
    running.stop();
    let mut running = hearth.start();
    assert_eq!(household::all(running.wait_serving()).len(), 1, "{}", running.log());
    hearth.done(&["healthcheck"]);
    hearth.done(&["snapshot", "list"]);
    running.stop();
    drop(hung);
}

#[test]
fn an_upgrade_needs_no_answer_of_the_backup_directory() {
    if !is_root("an_upgrade") {
        return;
    }
    let mut hearth = Hearth::new();
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    let backups = hearth.data.join("backups");
    fs::create_dir_all(&backups).unwrap();
    let Some(_hung) = Hung::mount(&backups) else { return };
    hearth.next_migrator("good", "9.1.0");
    let mut running = hearth.start();
    running.wait_serving();
    assert_eq!(hearth.live().as_deref(), Some("0002"), "{}", running.log());
    running.stop();
}

#[test]
fn a_supervisor_that_serves_asks_its_data_directory_for_nothing() {
    if !is_root("a_supervisor_that_serves") {
        return;
    }
    let hearth = Hearth::new();
    let mut running = hearth.start();
    running.wait_serving();
    // Opened before, this leads past what is mounted over it.
    let supervisor = File::open(hearth.data.join("supervisor")).unwrap();
    let socket = format!("/proc/self/fd/{}/control.sock", supervisor.as_raw_fd());
    let Some(hung) = Hung::mount(&hearth.data.join("supervisor")) else { return };
    // Once it looked for its socket every five seconds.
    let until = Instant::now() + Duration::from_secs(6);
    while Instant::now() < until {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        stream.write_all(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("healthy"), "{answer}");
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(hung);
    assert!(running.stop().success());
}
