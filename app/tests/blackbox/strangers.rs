//! What strangers can make the app spend before anybody knows who they are.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use crate::{
    accounts::browser::{PASSWORD, join},
    client::{exchange, read_answer},
    harness::{App, Data, OWNER, SESSION, Start, eventually},
};

/// The memory that the app has in use, in KiB, without what is in files.
fn memory(app: &App) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", app.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Writes as much as is taken, and leaves the connection open.
fn push(stream: &mut TcpStream, text: &[u8]) {
    stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let _ = stream.write_all(text);
}

fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let read = stream.read(&mut [0; 4096]);
    stream.set_nonblocking(false).unwrap();
    match read {
        Ok(length) => length == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

#[test]
fn hundreds_of_large_bodies_that_never_end_cost_little_memory_and_keep_nobody_out() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let browser = join(&app, "member", "anna@example.org");
    let cookie = browser.cookie();
    let of_a_user = |path: &str| app.ask("GET", path, &[("cookie", &cookie)], b"").status;
    assert_eq!(of_a_user("/api/v1/session"), 200);
    let before = memory(&app);
    let body = vec![b' '; 1 << 20];
    let head = |line: &str, more: &str| {
        format!("{line} HTTP/1.1\r\nhost: hearth\r\ncontent-type: application/json\r\n{more}\r\n\r\n").into_bytes()
    };
    let length = |length: usize| format!("content-length: {length}");
    // From several addresses, so that each has its share; all but the last byte of what each may send, or says it will.
    let attack = |number: usize| {
        let mut stream = app.connect_from(&format!("127.0.0.{}", 2 + number % 8));
        match number % 5 {
            0 => {
                push(&mut stream, &head("POST /api/v1/session", &length(body.len())));
                push(&mut stream, &body[1..]);
            }
            1 => {
                push(&mut stream, &head("POST /api/v1/session", "transfer-encoding: chunked"));
                push(&mut stream, format!("{:x}\r\n", body.len()).as_bytes());
                push(&mut stream, &body[1..]);
            }
            2 => {
                push(&mut stream, &head("POST /api/v1/invitations/accept", &length(16 << 10)));
                push(&mut stream, &body[..(16 << 10) - 1]);
            }
            3 => {
                let form = "accept: text/html\r\nsec-fetch-site: same-origin\r\ncontent-type: application/x-www-form-urlencoded";
                push(&mut stream, &head("POST /records", &format!("{form}\r\n{}", length(body.len()))));
                push(&mut stream, &body[1..]);
            }
            _ => push(&mut stream, &head("GET /", &format!("x: {}", "y".repeat(30_000)))[..30_000]),
        }
        stream
    };
    let connections: Vec<_> = thread::scope(|scope| {
        let of = |part: usize| (0..60).map(|number| attack(part * 60 + number)).collect::<Vec<_>>();
        let parts: Vec<_> = (0..8).map(|part| scope.spawn(move || of(part))).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    for path in ["/api/v1/session", "/api/v1/records", "/"] {
        assert_eq!(of_a_user(path), 200, "{path}");
    }
    // A user still writes as much as a record may hold.
    let record = format!("{{\"title\":\"x\",\"notes\":\"{}\"}}", "n".repeat(99_000));
    let headers = [("cookie", &*cookie), ("content-type", "application/json"), ("sec-fetch-site", "same-origin")];
    assert_eq!(app.ask("POST", "/api/v1/records", &headers, record.as_bytes()).status, 201);
    let grown = memory(&app).saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB more than before");
    drop(connections);
    app.stop();
}

#[test]
fn who_is_not_signed_in_sends_little() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let json = ("content-type", "application/json");
    let large = vec![b' '; (16 << 10) + 1];
    for path in ["/api/v1/session", "/api/v1/setup", "/api/v1/reset", "/api/v1/invitations/accept", "/nowhere"] {
        app.ask_as_nobody("POST", path, &[json], &large).problem(413);
    }
    let problem = app.ask_as_nobody("POST", "/api/v1/session", &[json], &large).problem(413);
    assert!(problem["detail"].as_str().unwrap().contains("16 KiB"), "{problem}");
    // Who is known sends what each route takes.
    app.ask("POST", "/api/v1/tokens", &[json], &large).problem(400);
    app.ask("POST", "/api/v1/tokens", &[json], &vec![b' '; (64 << 10) + 1]).problem(413);
    app.ask("POST", "/api/v1/records", &[json], &vec![b' '; 1 << 20]).problem(400);
    app.stop();
}

#[test]
fn one_address_has_a_share_of_the_connections_and_users_keep_theirs() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let browser = join(&app, "member", "anna@example.org");
    // The oldest of all is a user's.
    let request = format!("GET /api/v1/session HTTP/1.1\r\nhost: hearth\r\ncookie: {}\r\n\r\n", browser.cookie());
    let mut own = app.connect();
    own.write_all(request.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut own).status, 200);
    let mut elsewhere = app.connect_from("127.0.0.9");
    let mut crowd: Vec<_> = (0..300).map(|_| app.connect()).collect();
    // Whoever comes now is answered, from the crowd's own address as well.
    for _ in 0..20 {
        assert_eq!(app.ask("GET", "/api/v1/session", &[("cookie", &browser.cookie())], b"").status, 200);
    }
    eventually("the end of the crowd's oldest", || {
        let closed = crowd.iter_mut().filter_map(|stream| is_closed(stream).then_some(())).count();
        (closed >= 300 - 128).then_some(())
    });
    assert!(is_closed(&mut crowd[0]) && !is_closed(&mut crowd[299]));
    own.write_all(request.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut own).status, 200);
    elsewhere.write_all(b"GET /health HTTP/1.1\r\nhost: hearth\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut elsewhere).status, 200);
    app.stop();
}

#[test]
fn a_full_house_makes_room_for_who_comes_next() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let crowd: Vec<_> = (0..640).map(|number| app.connect_from(&format!("127.0.0.{}", 2 + number % 20))).collect();
    for _ in 0..5 {
        assert_eq!(app.get("/api/v1/records").status, 200);
    }
    drop(crowd);
    app.stop();
}

#[test]
fn the_kernel_keeps_little_of_a_response_that_nobody_takes() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let port: u16 = app.address.as_deref().unwrap().rsplit(':').next().unwrap().parse().unwrap();
    let mut stream = app.connect();
    write!(stream, "GET /api/v1/docs HTTP/1.1\r\nhost: hearth\r\nauthorization: Bearer {OWNER}\r\n\r\n").unwrap();
    let queued = || {
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let rows = table.lines().filter(|row| row.contains(&format!(":{port:04X} ")));
        let queues = rows.filter_map(|row| row.split_whitespace().nth(4)?.split(':').next());
        queues.map(|queue| u64::from_str_radix(queue, 16).unwrap()).max().unwrap_or_default()
    };
    let mut last = 0;
    // Until no more is added.
    eventually("a full queue", || {
        let now = queued();
        thread::sleep(Duration::from_millis(100));
        (now > 0 && now == std::mem::replace(&mut last, now)).then_some(())
    });
    assert!(last <= 256 << 10, "{last} bytes");
    // And the reader still gets all of it.
    let page = read_answer(&mut stream);
    assert!(page.text().contains("SwaggerUIBundle"));
    app.stop();
}

#[test]
fn the_interactive_page_is_for_users_and_the_document_for_everybody() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    app.ask_as_nobody("GET", "/api/v1/docs", &[], b"").problem(401);
    let page = app.ask_as_nobody("GET", "/api/v1/docs", &[("accept", "text/html")], b"");
    assert_eq!((page.status, page.header("location")), (303, Some("/sign-in?next=%2Fapi%2Fv1%2Fdocs")));
    let browser = join(&app, "guest", "gus@example.org");
    assert_eq!(app.ask("GET", "/api/v1/docs", &[("cookie", &browser.cookie())], b"").status, 200);
    assert_eq!(app.ask_as_nobody("GET", "/api/v1/openapi.json", &[], b"").status, 200);
    app.stop();
}

#[test]
fn a_trusted_proxy_says_who_its_clients_are_and_nobody_else_does() {
    let data = Data::new();
    let app = Start::alone(&data).env("HEARTH_HTTP__TRUSTED_PROXIES", "127.0.0.7, 10.0.0.0/8").start();
    join(&app, "member", "anna@example.org");
    let body = format!("{{\"email\":\"anna@example.org\",\"password\":\"{PASSWORD}\"}}");
    let sign_in = |from: &str, client: &str, host: &str| {
        let headers = [("content-type", "application/json"), ("x-forwarded-for", client), ("x-forwarded-host", host)];
        exchange(app.connect_from(from), "POST", "/api/v1/session", &headers, body.as_bytes())
    };
    for (from, client, address) in [
        ("127.0.0.7", "1.1.1.1, 203.0.113.7", "203.0.113.7"),
        ("127.0.0.7", "203.0.113.8, 10.3.2.1", "203.0.113.8"),
        ("127.0.0.7", "nonsense", "127.0.0.7"),
        ("127.0.0.8", "203.0.113.7", "127.0.0.8"),
    ] {
        let answer = sign_in(from, client, "hearth");
        assert_eq!(answer.status, 201, "{answer:?}");
        let token = answer.header("set-cookie").unwrap().split(['=', ';']).nth(1).unwrap().to_owned();
        let cookie = format!("{SESSION}={token}");
        let sessions = app.ask("GET", "/api/v1/sessions", &[("cookie", &cookie)], b"").json();
        let own = sessions["items"].as_array().unwrap().iter().find(|session| session["current"] == true);
        assert_eq!(own.unwrap()["address"], address, "{from} {client}");
    }
    // The name that the browser asked the proxy for is the one that counts.
    sign_in("127.0.0.7", "203.0.113.7", "evil.example").problem(421);
    // Some proxies add theirs to what the client wrote.
    assert_eq!(sign_in("127.0.0.7", "203.0.113.7", "evil.example, hearth").status, 201);
    assert_eq!(sign_in("127.0.0.7", "203.0.113.7", "evil.example,hearth:443 ").status, 201);
    sign_in("127.0.0.7", "203.0.113.7", "hearth, evil.example").problem(421);
    assert_eq!(sign_in("127.0.0.8", "203.0.113.7", "evil.example").status, 201);
    app.stop();
}

#[test]
fn the_answer_to_a_body_that_is_refused_arrives() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let owner = format!("Bearer {OWNER}");
    let cookie = format!("{SESSION}=x");
    // More than lies in the buffers of a connection.
    let length = 8 << 20;
    for (path, name, value, status) in [
        ("/api/v1/records", "authorization", &*owner, 413),
        ("/api/v1/records", "x-nothing", "x", 401),
        ("/api/v1/records", "authorization", "Bearer hearth_x", 401),
        ("/api/v1/records", "cookie", &*cookie, 401),
        ("/api/v1/records", "host", "evil.example", 421),
        ("/api/v1/session", "x-nothing", "x", 413),
        ("/api/v1/session", "origin", "http://evil.example", 403),
        ("/api/v1/nothing", "authorization", &*owner, 413),
        ("/records/add", "sec-fetch-site", "cross-site", 403),
        ("/sign-in", "accept", "text/html", 413),
    ] {
        for chunked in [false, true] {
            let mut stream = app.connect();
            let host = if name == "host" { "" } else { "host: hearth\r\n" };
            let framing = match chunked {
                true => "transfer-encoding: chunked".to_owned(),
                false => format!("content-length: {length}"),
            };
            let head = format!("POST {path} HTTP/1.1\r\n{host}{name}: {value}\r\n{framing}\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            let piece = [b' '; 64 << 10];
            for _ in 0..length / piece.len() {
                // As a proxy does, which reads the answer when it has sent everything.
                let sent = match chunked {
                    true => stream.write_all(&[b"10000\r\n", &piece[..], b"\r\n"].concat()),
                    false => stream.write_all(&piece),
                };
                sent.unwrap_or_else(|error| panic!("{path} {name}: {error}"));
            }
            if chunked {
                stream.write_all(b"0\r\n\r\n").unwrap();
            }
            let answer = read_answer(&mut stream);
            assert_eq!(answer.status, status, "{path} {name}: {answer:?}");
        }
    }
    app.stop();
}
