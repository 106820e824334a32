//! The files of records, from their first byte to a download.

mod access;
mod content;
mod files_check;
mod interrupted;
mod limits;
mod preview;
mod uploads;

use std::fs;

use serde_json::{Value, json};

use crate::{
    client::Answer,
    harness::{App, Data},
};

/// A PDF, as far as its first bytes go.
const PDF: &[u8] = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n";

/// The type of a file as it is sent; any other will do.
const FILE: (&str, &str) = ("content-type", "application/octet-stream");

/// Adds a record, and returns its id.
fn record(app: &App) -> i64 {
    app.create(&json!({ "title": "Boiler" }))["id"].as_i64().unwrap()
}

/// Adds a file in one request.
fn attach(app: &App, record: i64, name: &str, content: &[u8]) -> Value {
    let answer = try_to_attach(app, record, name, content);
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

fn try_to_attach(app: &App, record: i64, name: &str, content: &[u8]) -> Answer {
    app.ask("POST", &format!("/api/v1/records/{record}/attachments?name={name}"), &[FILE], content)
}

/// Begins an upload, and returns its address.
fn begin(app: &App, record: i64, name: &str, bytes: usize) -> String {
    let answer =
        app.send("POST", &format!("/api/v1/records/{record}/uploads"), &json!({ "name": name, "bytes": bytes }));
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.json()["offset"], 0);
    answer.header("location").unwrap().to_owned()
}

fn append(app: &App, upload: &str, offset: usize, content: &[u8]) -> Answer {
    let headers = [FILE, ("upload-offset", &*offset.to_string())];
    app.ask("PATCH", upload, &headers, content)
}

fn offset(app: &App, upload: &str) -> usize {
    app.get(upload).json()["offset"].as_u64().unwrap().try_into().unwrap()
}

fn list(app: &App, record: i64) -> Vec<Value> {
    app.get(&format!("/api/v1/records/{record}/attachments")).json()["items"].as_array().unwrap().clone()
}

fn content(app: &App, attachment: &Value) -> Vec<u8> {
    let answer = app.get(&format!("/api/v1/attachments/{}/content", attachment["id"]));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// Bytes that differ from place to place.
fn bytes(number: usize) -> Vec<u8> {
    (0..number).map(|place| (place * 7 % 251) as u8).collect()
}

/// The names of all files in `files/`.
fn stored(data: &Data) -> Vec<String> {
    let directories = fs::read_dir(data.files()).unwrap().map(|entry| entry.unwrap().path());
    let files = directories.filter(|path| path.is_dir()).flat_map(|path| fs::read_dir(path).unwrap());
    let mut names: Vec<_> = files.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

/// The names of all files in `uploads/`.
fn partials(data: &Data) -> Vec<String> {
    let directory = data.directory.path().join("uploads");
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
