//! A client that sends one request at a time and reads the whole answer; to the API as the household's owner.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Mutex,
};

use serde_json::{Value, json};

use super::LIMIT;

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// The owner that the settings of each test name.
pub const EMAIL: &str = "owner@example.org";
pub const PASSWORD: &str = "seven-green-bottles";

/// The session at each address.
static SESSIONS: Mutex<BTreeMap<SocketAddr, String>> = Mutex::new(BTreeMap::new());

/// Makes a token, and returns the headers of a program that has it: unlike a session it survives a restore. Nothing where
/// nobody answers who knows of tokens.
pub fn token(address: SocketAddr) -> String {
    let wanted = json!({ "name": "a test", "scope": "admin" });
    match request(address, "POST", "/api/v1/tokens", "application/json", Some(&wanted)) {
        Ok(answer) if answer.status == 201 => {
            format!("authorization: Bearer {}\r\n", answer.json()["secret"].as_str().unwrap_or_default())
        }
        _ => String::new(),
    }
}

/// Signs in anew; otherwise returns what the app answered to that.
fn sign_in(address: SocketAddr) -> io::Result<Result<String, Answer>> {
    let body = json!({ "email": EMAIL, "password": PASSWORD });
    let answer = send(address, "POST", "/api/v1/session", "application/json", "", Some(&body))?;
    let cookie = answer.headers.get("set-cookie").filter(|_| answer.status == 201);
    let Some(cookie) = cookie.and_then(|cookie| cookie.split(';').next()) else {
        return Ok(Err(answer));
    };
    let headers = format!("cookie: {cookie}\r\nsec-fetch-site: same-origin\r\n");
    SESSIONS.lock().unwrap().insert(address, headers.clone());
    Ok(Ok(headers))
}

/// Sends one request on a connection of its own.
pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    accept: &str,
    body: Option<&Value>,
) -> io::Result<Answer> {
    if !path.starts_with("/api/") {
        return send(address, method, path, accept, "", body);
    }
    let session = SESSIONS.lock().unwrap().get(&address).cloned().unwrap_or_default();
    let answer = send(address, method, path, accept, &session, body)?;
    // Not signed in yet, or not any more: a restore ends sessions.
    match answer.status {
        401 => match sign_in(address)? {
            Ok(session) => send(address, method, path, accept, &session, body),
            // It ends or is being restarted, and nothing was done.
            Err(refused) if refused.status == 503 => Ok(refused),
            Err(_) => Ok(answer),
        },
        _ => Ok(answer),
    }
}

fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    accept: &str,
    headers: &str,
    body: Option<&Value>,
) -> io::Result<Answer> {
    let headers = format!("accept: {accept}\r\ncontent-type: application/json\r\n{headers}");
    exchange(address, method, path, &headers, body.map(Value::to_string).unwrap_or_default().as_bytes())
}

fn exchange(address: SocketAddr, method: &str, path: &str, headers: &str, body: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    );
    // In one piece, so that a server that reads once has it all.
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parse(&bytes).ok_or_else(|| {
        io::Error::new(io::ErrorKind::UnexpectedEof, format!("half an answer: {:?}", String::from_utf8_lossy(&bytes)))
    })
}

/// Adds a file to a record, as the owner.
pub fn attach(address: SocketAddr, record: &Value, name: &str, content: &[u8]) -> Answer {
    let path = format!("/api/v1/records/{record}/attachments?name={name}");
    send_file(address, &path, &token(address), content).unwrap_or_else(|error| panic!("POST {path}: {error}"))
}

/// Sends a file, with these headers.
pub fn send_file(address: SocketAddr, path: &str, headers: &str, content: &[u8]) -> io::Result<Answer> {
    exchange(address, "POST", path, &format!("{headers}content-type: application/octet-stream\r\n"), content)
}

/// `GET` of a page, as the owner.
pub fn page(address: SocketAddr, path: &str) -> Answer {
    send(address, "GET", path, "text/html", &token(address), None).unwrap_or_else(|error| panic!("GET {path}: {error}"))
}

/// `GET`, as a program.
pub fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, "GET", path, "application/json", None).unwrap_or_else(|error| panic!("GET {path}: {error}"))
}

/// Reads a whole answer; `None` if something of it is missing.
pub fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        // The first of several, such as cookies.
        headers.entry(name.to_ascii_lowercase()).or_insert_with(|| value.trim().to_owned());
    }
    let mut body = bytes[end + 4..].to_vec();
    if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        body = unchunk(&body)?;
    } else if let Some(length) = headers.get("content-length").and_then(|length| length.parse::<usize>().ok())
        && body.len() < length
    {
        return None;
    }
    Some(Answer { status, headers, body: String::from_utf8(body).ok()? })
}

fn unchunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let line = bytes.windows(2).position(|window| window == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).ok()?.trim(), 16).ok()?;
        bytes = &bytes[line + 2..];
        if length == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(bytes.get(..length)?);
        bytes = bytes.get(length + 2..)?;
    }
}
