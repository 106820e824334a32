//! Socket activation with real inherited descriptors.

use std::{io::Write, net::TcpStream};

use nix::sys::signal::Signal;

use crate::{
    client::read_answer,
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
