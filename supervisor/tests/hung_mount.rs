//! A disk with the backups that does not answer keeps nothing but backups from being made, and one with the data does not stop
//! PID 1.
//!
//! It is a FUSE file system whose server reads no request, so each access to it waits until it goes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;
#[path = "harness/hung.rs"]
mod hung;

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    time::{Duration, Instant},
};

use harness::{Hearth, household};
use hung::Hung;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

#[test]
#[cfg_attr(not(has = "fuse"), ignore = "needs root and /dev/fuse")]
fn a_healthy_instance_starts_serves_and_stops_whatever_its_backup_directory_does() {
    let hearth = Hearth::new();
    let mut running = hearth.start();
    household::add(running.wait_serving(), &household::record(1));
    let backups = hearth.data.join("backups");
    fs::create_dir_all(&backups).unwrap();
    // Once before a start, and once under a supervisor that serves.
    let hung = Hung::mount(&backups);
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
#[cfg_attr(not(has = "fuse"), ignore = "needs root and /dev/fuse")]
fn an_upgrade_needs_no_answer_of_the_backup_directory() {
    let mut hearth = Hearth::new();
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    let backups = hearth.data.join("backups");
    fs::create_dir_all(&backups).unwrap();
    let _hung = Hung::mount(&backups);
    hearth.next_migrator("good", "9.1.0");
    let mut running = hearth.start();
    running.wait_serving();
    assert_eq!(hearth.live().as_deref(), Some("0002"), "{}", running.log());
    running.stop();
}

#[test]
#[cfg_attr(not(has = "fuse"), ignore = "needs root and /dev/fuse")]
fn a_supervisor_that_serves_asks_its_data_directory_for_nothing() {
    let hearth = Hearth::new();
    let mut running = hearth.start();
    running.wait_serving();
    // Opened before, this leads past what is mounted over it.
    let supervisor = File::open(hearth.data.join("supervisor")).unwrap();
    let socket = format!("/proc/self/fd/{}/control.sock", supervisor.as_raw_fd());
    let hung = Hung::mount(&hearth.data.join("supervisor"));
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
