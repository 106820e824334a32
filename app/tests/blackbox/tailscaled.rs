//! A stand-in for tailscaled: its local API on a unix socket, with a table of who is at which address.
//!
//! The answers are the real ones of tailscaled 1.80 with made-up people in them. The app's unit tests use it too.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

use tempfile::TempDir;

/// What it answers about an address.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A person's device.
    User { login: String, name: String },
    /// A device with tags.
    Tagged,
    /// 200 with this body.
    Json(String),
    /// This status, with tailscaled's kind of body.
    Status(u16),
    /// Nothing, and the connection stays open.
    Silence,
    /// What is not HTTP.
    Garbage,
    /// A good beginning.
    CutOff,
    /// A body without an end.
    Endless,
}

impl Reply {
    pub(crate) fn user(login: &str, name: &str) -> Self {
        Self::User { login: login.to_owned(), name: name.to_owned() }
    }
}

/// The running stand-in; it ends with the test.
pub(crate) struct StandIn {
    directory: TempDir,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    replies: HashMap<String, Reply>,
    asked: Vec<String>,
}

impl StandIn {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("tailscaled.sock")).unwrap();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let stand_in = Self { directory, shared: shared.clone() };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                thread::spawn(move || answer(stream, &shared));
            }
        });
        stand_in
    }

    /// Returns the path of its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("tailscaled.sock")
    }

    /// Says what it answers about `ip:port`, or about an `ip` with whatever port; nobody else is known.
    pub(crate) fn set(&self, address: &str, reply: Reply) {
        self.shared.lock().unwrap().replies.insert(address.to_owned(), reply);
    }

    /// Returns the addresses that it was asked about so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.shared.lock().unwrap().asked.clone()
    }
}

fn answer(mut stream: UnixStream, shared: &Mutex<Shared>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        match reader.read_line(&mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line == "\r\n" => break,
            Ok(_) => head.push(line.trim_end().to_owned()),
        }
    }
    let local = head.iter().any(|line| line.eq_ignore_ascii_case("host: local-tailscaled.sock"));
    let address = head[0].strip_prefix("GET /localapi/v0/whois?addr=").and_then(|rest| rest.strip_suffix(" HTTP/1.1"));
    let reply = match address.map(|address| address.replace("%3A", ":").replace("%5B", "[").replace("%5D", "]")) {
        Some(address) if local => {
            let ip = address.rsplit_once(':').map(|(ip, _)| ip.trim_matches(['[', ']']).to_owned()).unwrap();
            let mut shared = shared.lock().unwrap();
            shared.asked.push(address.clone());
            shared.replies.get(&address).or_else(|| shared.replies.get(&ip)).cloned().unwrap_or(Reply::Status(404))
        }
        _ => Reply::Status(403),
    };
    let json = |body: &str| {
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let text = match reply {
        Reply::User { login, name } => json(&whois(&login, &name, "")),
        Reply::Tagged => json(&whois("tagged-devices", "Tagged Devices", "\"Tags\":[\"tag:nas\"],")),
        Reply::Json(body) => json(&body),
        Reply::Status(status) => {
            let body = if status == 404 { "no match for IP:port\n" } else { "access denied\n" };
            format!(
                "HTTP/1.1 {status} X\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        }
        Reply::Silence => {
            // Until the other end goes.
            let _ = reader.read_line(&mut String::new());
            return;
        }
        Reply::Garbage => "SSH-2.0-Tailscale\r\n".to_owned(),
        Reply::CutOff => json(&whois("alice@example.org", "Alice", ""))[..300].to_owned(),
        Reply::Endless => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            while stream.write_all(chunk.as_bytes()).is_ok() {}
            return;
        }
    };
    let _ = stream.write_all(text.as_bytes());
}

fn whois(login: &str, name: &str, tags: &str) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    format!(
        r#"{{"Node":{{"ID":7415869382417203,"StableID":"nTQxBcF4CNTRL","Name":"phone.tail1234.ts.net.","User":2718281828459045,{tags}"Key":"nodekey:0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20","KeyExpiry":"2027-03-01T10:00:00Z","Machine":"mkey:0000000000000000000000000000000000000000000000000000000000000000","DiscoKey":"discokey:2102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20","Addresses":["100.64.0.7/32","fd7a:115c:a1e0::7/128"],"AllowedIPs":["100.64.0.7/32","fd7a:115c:a1e0::7/128"],"Endpoints":["192.168.1.20:41641"],"HomeDERP":4,"Hostinfo":{{"OS":"iOS","Hostname":"phone","Services":[{{"Proto":"peerapi4","Port":1}}]}},"Created":"2026-01-02T03:04:05.678901234Z","Cap":113,"Online":true,"MachineAuthorized":true,"CapMap":{{}},"ComputedName":"phone","ComputedNameWithHost":"phone"}},"UserProfile":{{"ID":2718281828459045,"LoginName":{},"DisplayName":{},"ProfilePicURL":"https://example.org/picture.png","Roles":[]}},"CapMap":{{"https://tailscale.com/cap/is-admin":[]}}}}"#,
        text(login),
        text(name),
    )
}
