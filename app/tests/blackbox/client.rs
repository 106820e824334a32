//! A client that sends and sees every byte.

use std::io::{BufRead, BufReader, Read, Write};

use std::sync::OnceLock;

use serde_json::Value;

/// An answer as it came over the wire.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Expects a problem document that agrees with its status, and returns it.
    pub(crate) fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        for key in ["type", "code", "title", "detail"] {
            assert!(problem[key].is_string(), "{key}: {problem}");
        }
        for word in ["SELECT", "INSERT", "sqlx", "src/"] {
            assert!(!self.text().contains(word), "{problem}");
        }
        problem
    }
}

/// Sends one request to what the household reaches, and reads the answer to its end: one that the API's document knows.
pub(crate) fn exchange(
    stream: impl Read + Write,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let answer = exchange_with_anything(stream, method, path, headers, body);
    assert_documented(method, path, body, &answer);
    answer
}

/// Sends one request, asking for the connection to be closed, and reads the answer to its end.
pub(crate) fn exchange_with_anything(
    mut stream: impl Read + Write,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    crate::watchdog::step();
    let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "host") {
        request.push_str("host: hearth\r\n");
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        request.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    // The server may answer and close before it has read all of a body that it refuses.
    let _ = stream.write_all(body);
    read_answer(&mut stream)
}

/// Expects a status that the API's document lists for the operation, whatever a test asks for.
fn assert_documented(method: &str, path: &str, body: &[u8], answer: &Answer) {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| serde_json::from_str(include_str!("openapi.json")).unwrap());
    let Some(path) = path.split('?').next().unwrap().strip_prefix("/api/v1") else { return };
    let method = if method == "HEAD" { "get".to_owned() } else { method.to_lowercase() };
    let segments: Vec<_> = path.split('/').collect();
    let fits = |known: &str| {
        let known: Vec<_> = known.split('/').collect();
        let same = |(known, asked): (&&str, &&str)| known.starts_with('{') || known == asked;
        known.len() == segments.len() && known.iter().zip(&segments).all(same)
    };
    // What is named outright goes before what fits a pattern.
    let paths = document["paths"].as_object().unwrap();
    let known = paths.keys().filter(|known| fits(known)).min_by_key(|known| known.matches('{').count());
    let Some(operation) = known.and_then(|known| paths[known].get(&method)) else { return };
    // Of a body that the operation does not take the document says nothing.
    if matches!(answer.status, 408 | 413) && operation.get("requestBody").is_none() && !body.is_empty() {
        return;
    }
    let is_listed = operation["responses"].get(answer.status.to_string()).is_some();
    assert!(is_listed, "the document does not list this status of {}: {answer:?}", operation["operationId"]);
}

/// Reads an answer; its body is as long as `content-length` says.
pub(crate) fn read_answer(stream: &mut impl Read) -> Answer {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        let length = reader.read_line(&mut line).unwrap();
        assert!(length > 0, "the connection was closed after {head:?}");
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut answer = Answer { status, head, body: Vec::new() };
    if let Some(length) = answer.header("content-length") {
        answer.body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut answer.body).unwrap();
    }
    answer
}
