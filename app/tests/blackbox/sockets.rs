//! Socket activation with real inherited descriptors.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
};

use nix::sys::signal::Signal;

use crate::{
    client::{Answer, exchange, read_answer},
    harness::{Data, Start},
};

#[test]
fn it_serves_on_the_sockets_it_inherits_whatever_their_order() {
    let data = Data::new();
    for names in [&["public", "private"][..], &["private", "public"]] {
        let app = Start::with_sockets(&data, names).start();
        assert_eq!(app.get("/").status, 200);
        assert_eq!(app.ask_private("/health").status, 200);
        app.stop();
    }
}

#[test]
fn what_waits_in_the_queue_is_answered_by_the_next_app() {
    let data = Data::new();
    let mut app = Start::with_sockets(&data, &["public", "private"]).start();
    app.signal(Signal::SIGTERM);
    assert!(app.wait().success());
    // The supervisor holds the socket: connections wait instead of being refused.
    let mut waiting = TcpStream::connect(app.address.as_deref().unwrap()).unwrap();
    waiting.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    // A second app on a copy of the same socket.
    let listener = app.listeners.public.take().unwrap();
    let next = Start::with_sockets(&data, &["private"]).inheriting(listener).start();
    assert_eq!(read_answer(&mut waiting).status, 200);
    next.stop();
}

#[test]
fn a_blocking_socket_is_as_good() {
    let data = Data::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(false).unwrap();
    let app = Start::with_sockets(&data, &[]).inheriting(listener).start();
    assert_eq!(app.get("/health").status, 200);
    app.stop();
}

#[test]
fn a_socket_of_another_name_or_kind_is_refused_in_a_sentence() {
    let data = Data::new();
    let mut app = Start::with_sockets(&data, &["other"]).spawn();
    assert_eq!(app.wait().code(), Some(1));
    app.log.wait("error: the inherited socket \"other\" cannot be used");
    app.wait_said("STATUS=the inherited socket");
}

/// Asks on a unix socket.
fn ask(socket: &Path, headers: &[(&str, &str)]) -> Answer {
    exchange(UnixStream::connect(socket).unwrap(), "GET", "/health", headers, b"")
}

#[test]
fn tailscale_serve_has_a_socket_of_its_own() {
    let data = Data::new();
    let app =
        Start::with_sockets(&data, &["public", "private", "tailscale"]).env("HEARTH_AUTH__TAILSCALE", "serve").start();
    let socket = app.private.with_file_name("tailscale");
    assert_eq!(ask(&socket, &[]).status, 200);
    assert_eq!(ask(&socket, &[("tailscale-user-login", "alice@example.org")]).status, 200);
    assert_eq!(app.get("/health").status, 200);
    app.stop();
}

#[test]
fn alone_it_binds_what_the_setting_names() {
    let data = Data::new();
    let socket = data.directory.path().join("serve");
    let serving = || Start::alone(&data).env("HEARTH_AUTH__TAILSCALE", "serve");
    let app = serving().env("HEARTH_AUTH__TAILSCALE_LISTEN", socket.display()).start();
    assert_eq!(ask(&socket, &[]).status, 200);
    app.stop();
    // One that was killed leaves its socket behind.
    let app = serving().env("HEARTH_AUTH__TAILSCALE_LISTEN", socket.display()).start();
    assert_eq!(ask(&socket, &[]).status, 200);
    app.stop();
    let app = serving().env("HEARTH_AUTH__TAILSCALE_LISTEN", "127.0.0.1:0").start();
    let line = app.log.wait("Serving `tailscale serve` on http://");
    let stream = TcpStream::connect(line.rsplit_once('/').unwrap().1).unwrap();
    assert_eq!(exchange(stream, "GET", "/health", &[], b"").status, 200);
    app.stop();
}

#[test]
fn a_socket_that_believes_headers_is_there_on_purpose_or_not_at_all() {
    let data = Data::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let serve = ("HEARTH_AUTH__TAILSCALE", "serve".to_owned());
    let listen = ("HEARTH_AUTH__TAILSCALE_LISTEN", taken.local_addr().unwrap().to_string());
    for (start, settings, words) in [
        (Start::alone(&data), vec![&serve], "auth.tailscale is serve, and auth.tailscale_listen is not set"),
        (Start::alone(&data), vec![&serve, &listen], "another program has it; stop it, or choose another place"),
        (
            Start::with_sockets(&data, &["public", "private"]),
            vec![&serve, &listen],
            "auth.tailscale is serve, and no socket named tailscale was inherited",
        ),
        (
            Start::with_sockets(&data, &["public", "private", "tailscale"]),
            vec![&listen],
            "a socket named tailscale was inherited, and auth.tailscale is not serve",
        ),
        (
            Start::with_sockets(&data, &["private", "tailscale"]).env("HEARTH_PROBATION", "1"),
            vec![&serve],
            "in probation (HEARTH_PROBATION) the app must be given no socket but the private one",
        ),
    ] {
        let start = settings.into_iter().fold(start, |start, (name, value)| start.env(name, value));
        let mut app = start.spawn();
        assert_eq!(app.wait().code(), Some(1), "{words}");
        app.log.wait(words);
    }
}

#[test]
fn in_probation_the_settings_of_the_other_sockets_change_nothing() {
    let data = Data::new();
    Start::probation(&data).env("HEARTH_AUTH__TAILSCALE", "serve").start().stop();
}

const AUTH: &str = "/api/v1/auth";

/// Asks with these lines as the head.
fn asked(mut stream: impl Read + Write, path: &str, lines: &str) -> Answer {
    write!(stream, "GET {path} HTTP/1.1\r\nconnection: close\r\n{lines}\r\n").unwrap();
    read_answer(&mut stream)
}

#[test]
fn it_answers_to_its_names_alone_but_the_supervisor_may_ask_by_any() {
    let data = Data::new();
    let app = Start::with_sockets(&data, &["public", "private", "tailscale"])
        .env("HEARTH_AUTH__TAILSCALE", "serve")
        .env("HEARTH_HTTP__HOSTS", "nas.tail1.ts.net, hearth.lan")
        .env("HEARTH_HTTP__PUBLIC_URL", "https://hearth.example.org")
        .start();
    let serve = app.private.with_file_name("tailscale");
    for (lines, status) in [
        ("host: nas.tail1.ts.net\r\n", 200),
        ("host: hearth.example.org:443\r\n", 200),
        ("host: 127.0.0.1:3000\r\n", 200),
        ("host: evil.example\r\n", 421),
        ("host: nas\r\nhost: nas\r\n", 400),
        ("", 400),
    ] {
        let problem = asked(app.connect(), AUTH, lines);
        assert_eq!(problem.status, status, "{lines}");
        if status != 200 {
            problem.problem(status);
        }
        assert_eq!(asked(UnixStream::connect(&serve).unwrap(), AUTH, lines).status, status, "{lines}");
    }
    // To a unix socket serve says the name in a header of its own, which anybody could send elsewhere.
    let forwarded = "host: localhost\r\nx-forwarded-host: evil.example\r\n";
    assert_eq!(asked(UnixStream::connect(&serve).unwrap(), AUTH, forwarded).status, 421);
    assert_eq!(asked(app.connect(), AUTH, forwarded).status, 200);
    let forwarded = "host: evil.example\r\nx-forwarded-host: hearth.lan\r\n";
    assert_eq!(asked(UnixStream::connect(&serve).unwrap(), AUTH, forwarded).status, 200);
    assert_eq!(asked(app.connect(), AUTH, forwarded).status, 421);
    let refused = asked(app.connect(), AUTH, "host: evil.example\r\n").problem(421);
    assert!(refused["detail"].as_str().unwrap().contains("http.hosts (HEARTH_HTTP__HOSTS)"), "{refused}");
    let page = asked(app.connect(), AUTH, "host: evil.example\r\naccept: text/html\r\n");
    assert_eq!(page.status, 421);
    for lines in ["host: evil.example\r\n", ""] {
        assert_eq!(asked(UnixStream::connect(&app.private).unwrap(), "/health", lines).status, 200);
    }
    app.stop();
}
