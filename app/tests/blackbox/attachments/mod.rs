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

/// A photograph that says where it was taken, and the bytes that do.
pub(crate) fn photo() -> (Vec<u8>, Vec<u8>) {
    // A JPEG whose EXIF has coordinates: 1/1, 2/1, 3/1.
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0".to_vec();
    exif.extend([1, 0, 0x25, 0x88, 4, 0, 1, 0, 0, 0, 26, 0, 0, 0, 0, 0, 0, 0]);
    exif.extend([1, 0, 2, 0, 5, 0, 3, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0]);
    exif.extend([1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0]);
    let mut jpeg = Vec::new();
    image::RgbImage::from_pixel(8, 8, image::Rgb([9; 3]))
        .write_to(&mut std::io::Cursor::new(&mut jpeg), image::ImageFormat::Jpeg)
        .unwrap();
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    let place = exif[exif.len() - 24..].to_vec();
    ([&[0xff, 0xd8, 0xff, 0xe1], &length[..], &exif, &jpeg[2..]].concat(), place)
}

/// A PNG of so many white pixels.
pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    let mut data = Vec::new();
    image::RgbImage::from_pixel(width, height, image::Rgb([255; 3]))
        .write_to(&mut std::io::Cursor::new(&mut data), image::ImageFormat::Png)
        .unwrap();
    data
}
