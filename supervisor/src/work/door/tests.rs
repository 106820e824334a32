//! Tests of the door, over real connections.

use std::{net::SocketAddr, time::Instant};

use tokio::{
    io::{DuplexStream, duplex},
    net::{TcpStream, UnixStream},
    sync::oneshot,
    task::JoinHandle,
};

use super::*;

/// A door on a free port.
struct Open {
    address: SocketAddr,
    notices: DuplexStream,
    close: oneshot::Sender<()>,
    ended: JoinHandle<io::Result<()>>,
}

async fn open() -> Open {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (notices, reader) = duplex(1 << 16);
    let (close, closed) = oneshot::channel();
    let listeners = Listeners { public: Listener::Tcp(listener), identity: None };
    let ended = tokio::spawn(serve(listeners, Names::default(), reader, async {
        let _ = closed.await;
    }));
    Open { address, notices, close, ended }
}

impl Open {
    /// Sends this and returns all that comes back until the end of the connection.
    async fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(Duration::from_secs(5), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        answer
    }

    async fn get(&self, path: &str, accept: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n")).await
    }

    async fn tell(&mut self, line: &str) {
        self.notices.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
        sleep(Duration::from_millis(20)).await;
    }
}

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[tokio::test(flavor = "current_thread")]
async fn people_get_the_page_and_programs_a_problem() {
    let door = open().await;
    let page = door.get("/records?x=1", BROWSER).await;
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
    for header in [
        "content-type: text/html; charset=utf-8",
        "retry-after: 5",
        "connection: close",
        "cache-control: no-store",
        "content-security-policy: default-src 'none'; style-src 'sha256-",
    ] {
        assert!(head.contains(&format!("\r\n{header}")), "{header}: {head}");
    }
    assert_eq!(head.matches("connection:").count(), 1, "{head}");
    assert!(body.contains("<h1>Hearth is starting</h1>"));
    for (path, accept) in
        [("/health", BROWSER), ("/api/v1/records", BROWSER), ("/", "*/*"), ("/", "application/json, text/html; q=0")]
    {
        let problem = door.get(path, accept).await;
        assert!(problem.contains("content-type: application/problem+json"), "{path} {accept}: {problem}");
        assert!(problem.contains("\"status\":503"), "{problem}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_newest_notice_is_shown_and_a_broken_one_is_not() {
    let mut door = open().await;
    let notice = Notice { title: "Copying".into(), retry_after_seconds: 60, ..Notice::default() };
    door.tell(&serde_json::to_string(&notice).unwrap()).await;
    door.tell("{\"title\":").await;
    let answer = door.get("/", BROWSER).await;
    assert!(answer.contains("<h1>Copying</h1>") && answer.contains("retry-after: 60"), "{answer}");
}

#[tokio::test(flavor = "current_thread")]
async fn head_gets_the_head_and_any_method_an_answer() {
    let door = open().await;
    let head = door.ask("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 503") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(head.contains("content-length: "), "{head}");
    for method in ["DELETE", "OPTIONS", "PROPFIND"] {
        assert!(
            door.ask(&format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n")).await.starts_with("HTTP/1.1 503"),
            "{method}"
        );
    }
    assert!(door.ask("GET / HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.0 503"));
}

#[tokio::test(flavor = "current_thread")]
async fn an_upload_gets_its_answer_and_no_reset() {
    let door = open().await;
    let body = "x".repeat(300_000);
    let answer =
        door.ask(&format!("POST /api/v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n{body}")).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
}

#[tokio::test(flavor = "current_thread")]
async fn garbage_and_endless_heads_are_turned_away() {
    let door = open().await;
    assert!(door.ask("\x16\x03\x01\x02\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    // A head that never ends is cut off; its answer may or may not come through the reset.
    let mut endless = TcpStream::connect(door.address).await.unwrap();
    while endless.write_all(&[b'x'; 4096]).await.is_ok() {}
    assert!(door.get("/", "*/*").await.starts_with("HTTP/1.1 503"), "and it goes on");
}

#[tokio::test(flavor = "current_thread")]
async fn slow_clients_hold_up_nobody() {
    let door = open().await;
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        stream.write_all(b"GET / HT").await.unwrap();
        slow.push(stream);
    }
    let begun = Instant::now();
    assert!(door.get("/", "*/*").await.starts_with("HTTP/1.1 503"));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "current_thread")]
async fn closing_finishes_what_is_under_way_and_waits_for_nobody_long() {
    let door = open().await;
    let mut busy = TcpStream::connect(door.address).await.unwrap();
    let _idle = TcpStream::connect(door.address).await.unwrap();
    sleep(Duration::from_millis(50)).await;
    let begun = Instant::now();
    door.close.send(()).unwrap();
    sleep(Duration::from_millis(100)).await;
    busy.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    busy.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    door.ended.await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "current_thread")]
async fn a_client_that_keeps_its_answered_connection_open_is_not_waited_for() {
    let ending = watch::Sender::new(false);
    let (mut client, server) = duplex(1 << 16);
    let (_notices, notice) = watch::channel(Arc::new(Notice::default()));
    let answered = tokio::spawn(answer(Box::new(server), notice, Arc::new(Names::default()), ending.subscribe()));
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(!answered.is_finished(), "as long as the door is open, what else it sends is taken in");
    ending.send_replace(true);
    // No time passes here, and so no limit: the task ends as soon as it has its turn.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(answered.is_finished());
}

#[tokio::test(flavor = "current_thread")]
async fn it_ends_with_its_supervisor() {
    let door = open().await;
    drop(door.notices);
    timeout(Duration::from_secs(2), door.ended).await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn a_socket_that_was_shut_down_ends_the_door() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let shared = listener.as_fd().try_clone_to_owned().unwrap();
    let (_notices, reader) = duplex(64);
    let listeners = Listeners { public: Listener::Tcp(listener), identity: None };
    let ended = tokio::spawn(serve(listeners, Names::default(), reader, std::future::pending()));
    sleep(Duration::from_millis(20)).await;
    nix::sys::socket::shutdown(std::os::fd::AsRawFd::as_raw_fd(&shared), nix::sys::socket::Shutdown::Both).unwrap();
    assert!(timeout(Duration::from_secs(2), ended).await.unwrap().unwrap().is_err());
}

#[tokio::test(flavor = "current_thread")]
async fn a_request_for_somebody_else_is_refused_whatever_it_asks_for() {
    let door = open().await;
    for (path, accept) in [("/", "*/*"), ("/health", BROWSER), ("/api/v1/records", "*/*")] {
        let answer = door.ask(&format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\nAccept: {accept}\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 421 Misdirected Request\r\n"), "{answer}");
        assert!(answer.contains("application/problem+json") && answer.contains("\"status\":421"), "{answer}");
        assert!(
            answer.contains("http.hosts (HEARTH_HTTP__HOSTS=evil.example)") && !answer.contains("retry-after"),
            "{answer}"
        );
    }
    let page = door.ask(&format!("GET / HTTP/1.1\r\nHost: evil.example\r\nAccept: {BROWSER}\r\n\r\n")).await;
    assert!(page.contains("<h1>Not the name of this Hearth</h1>") && page.contains("http.hosts"), "{page}");
    assert!(!page.contains("http-equiv"), "it does not ask again by itself: {page}");
    for unclear in ["GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n"] {
        let answer = door.ask(unclear).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("has to name one host"), "{answer}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn tailscale_serve_gets_the_same_page() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("tailscale.sock");
    let public = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let identity = Some(Listener::new(socket.into()).unwrap());
    let (_notices, reader) = duplex(64);
    let listeners = Listeners { public: Listener::Tcp(public), identity };
    tokio::spawn(serve(listeners, Names::default(), reader, std::future::pending()));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    timeout(Duration::from_secs(5), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(matches!(Listener::new(tcp.into()).unwrap(), Listener::Tcp(_)));
}
