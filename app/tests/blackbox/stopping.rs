//! How it stops, and what does not stop it.

use std::{
    fs,
    io::{Read, Write},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    client::read_answer,
    harness::{Data, Start, eventually},
};

#[test]
fn stopping_leaves_no_write_ahead_log() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    app.create(&json!({ "title": "x" }));
    assert!(data.wal().metadata().unwrap().len() > 0);
    app.stop();
    assert!(!data.wal().exists());
    assert_eq!(fs::read_dir(data.directory.path()).unwrap().count(), 2, "app.db and files");
    assert_eq!(data.count("SELECT count(*) FROM record"), 1);
}

#[test]
fn idle_connections_do_not_delay_the_stop() {
    let data = Data::new();
    let mut app = Start::alone(&data).start();
    // Kept alive after a request, opened ahead without one, and begun but not asked.
    let mut kept = app.connect();
    kept.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut kept).status, 200);
    let ahead = app.connect();
    let mut begun = app.connect();
    begun.write_all(b"GET /health HT").unwrap();
    let start = Instant::now();
    app.signal(Signal::SIGTERM);
    assert!(app.wait().success());
    // The grace period is 8 s.
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    drop((kept, ahead, begun));
}

#[test]
fn a_request_under_way_is_finished() {
    let data = Data::new();
    let mut app = Start::alone(&data).start();
    let mut slow = app.connect();
    let body = br#"{"title":"Slow"}"#;
    let head = format!(
        "POST /api/v1/records HTTP/1.1\r\nhost: x\r\nauthorization: Bearer hearth_0000000000000000000000000000000000000000000\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    slow.write_all(head.as_bytes()).unwrap();
    // The app has begun with it when it asks for the body.
    assert_eq!(read_answer(&mut slow).status, 100);
    slow.write_all(&body[..5]).unwrap();
    app.signal(Signal::SIGTERM);
    app.log.wait("Stopping");
    eventually("nobody accepts any more", || {
        std::net::TcpStream::connect(app.address.as_deref().unwrap()).is_err().then_some(())
    });
    slow.write_all(&body[5..]).unwrap();
    let answer = read_answer(&mut slow);
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(app.wait().success());
    assert_eq!(data.count("SELECT count(*) FROM record"), 1);
    assert!(!data.wal().exists());
}

#[test]
fn a_connection_that_was_accepted_right_before_the_stop_may_still_ask() {
    // Its first request comes within a moment of the stop; on a busy machine this client may miss that moment.
    let answered = (0..5).any(|_| {
        let data = Data::new();
        let mut app = Start::alone(&data).start();
        let mut accepted = app.connect();
        // Accepted in turn, so that one was before this.
        assert_eq!(app.get("/health").status, 200);
        app.signal(Signal::SIGTERM);
        app.log.wait("Stopping");
        let mut answer = Vec::new();
        let asked = accepted.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
        let _ = asked.and_then(|()| accepted.read_to_end(&mut answer));
        assert!(app.wait().success());
        answer.starts_with(b"HTTP/1.1 200")
    });
    assert!(answered);
}

#[test]
fn a_client_that_never_ends_is_cut_off_within_the_grace_period() {
    let data = Data::new();
    let mut app = Start::alone(&data).env("HEARTH_STOP__GRACE", "2s").start();
    let mut stuck = app.connect();
    stuck
        .write_all(b"POST /api/v1/records HTTP/1.1\r\nhost: x\r\nauthorization: Bearer hearth_0000000000000000000000000000000000000000000\r\nexpect: 100-continue\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n")
        .unwrap();
    assert_eq!(read_answer(&mut stuck).status, 100);
    let start = Instant::now();
    app.signal(Signal::SIGTERM);
    assert!(app.wait().success());
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert!(!data.wal().exists());
    app.log.wait("1 connection did not finish in time");
    let mut rest = Vec::new();
    let _ = stuck.read_to_end(&mut rest);
}

#[test]
fn a_second_signal_hastens() {
    let data = Data::new();
    let mut app = Start::alone(&data).env("HEARTH_STOP__GRACE", "10m").start();
    let mut stuck = app.connect();
    stuck
        .write_all(b"POST /api/v1/records HTTP/1.1\r\nhost: x\r\nauthorization: Bearer hearth_0000000000000000000000000000000000000000000\r\nexpect: 100-continue\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n")
        .unwrap();
    assert_eq!(read_answer(&mut stuck).status, 100);
    app.signal(Signal::SIGTERM);
    app.log.wait("Stopping");
    app.signal(Signal::SIGINT);
    assert!(app.wait().success());
    assert!(!data.wal().exists());
}

#[test]
fn other_signals_do_not_end_it() {
    let data = Data::new();
    let app = Start::alone(&data).env("HEARTH_LOG__LEVEL", "debug").start();
    for (signal, name) in
        [(Signal::SIGHUP, "HUP"), (Signal::SIGUSR1, "USR1"), (Signal::SIGUSR2, "USR2"), (Signal::SIGWINCH, "WINCH")]
    {
        app.signal(signal);
        app.log.wait(&format!("Signal {name}"));
    }
    app.signal(Signal::SIGPIPE);
    assert_eq!(app.get("/health").status, 200);
    app.stop();
}

#[test]
fn a_stop_right_after_the_start_is_a_clean_one() {
    for _ in 0..5 {
        let data = Data::new();
        let mut app = Start::alone(&data).spawn();
        app.log.wait("[App]");
        app.signal(Signal::SIGTERM);
        assert!(app.wait().success(), "{:#?}", app.log.lines());
        assert!(!data.wal().exists());
    }
}
