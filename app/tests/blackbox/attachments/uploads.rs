//! A file that comes in several requests.

use std::{
    fs,
    io::Write,
    thread,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use super::{FILE, append, begin, bytes, content, list, offset, partials, record, stored};
use crate::{
    client::read_answer,
    harness::{Data, OWNER, Start, eventually},
};

#[test]
fn a_file_comes_in_parts_and_becomes_an_attachment() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let (record, whole) = (record(&app), bytes(300_000));
    let upload = begin(&app, record, "scan.bin", whole.len());
    assert!(list(&app, record).is_empty() && stored(&data).is_empty(), "nothing is there before the last byte");
    let version = app.get(&format!("/api/v1/records/{record}")).json()["version"].as_i64().unwrap();
    for (from, to) in [(0, 100_000), (100_000, 100_001), (100_001, 200_000)] {
        let answer = append(&app, &upload, from, &whole[from..to]);
        assert_eq!((answer.status, answer.header("upload-offset")), (200, Some(&*to.to_string())), "{answer:?}");
        assert!(answer.json().get("attachment").is_none());
        assert_eq!(offset(&app, &upload), to);
    }
    let made = append(&app, &upload, 200_000, &whole[200_000..]).json()["attachment"].clone();
    assert_eq!(
        (&made["name"], &made["bytes"], &made["record_id"]),
        (&json!("scan.bin"), &json!(300_000), &json!(record))
    );
    assert_eq!(content(&app, &made), whole);
    assert_eq!(list(&app, record), std::slice::from_ref(&made));
    assert_eq!(app.get(&format!("/api/v1/records/{record}")).json()["version"], version + 1);
    // Who missed the answer finds it, and changes nothing by sending the last part again.
    assert_eq!(app.get(&upload).json()["attachment"], made);
    assert_eq!(append(&app, &upload, 200_000, &whole[200_000..]).json()["attachment"], made);
    assert_eq!(list(&app, record).len(), 1);
    app.stop();
    // The bytes are in one place.
    assert_eq!(partials(&data).len(), 1, "{:?}", partials(&data));
    assert_eq!(stored(&data), [blake3::hash(&whole).to_hex().to_string()]);
}

#[test]
fn a_part_that_begins_elsewhere_is_refused_with_the_offset() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let record = record(&app);
    let upload = begin(&app, record, "a.txt", 10);
    assert_eq!(append(&app, &upload, 0, b"hello").status, 200);
    for wrong in [0, 4, 6, 10] {
        let answer = append(&app, &upload, wrong, b"world");
        assert_eq!(answer.problem(409)["code"], "conflict");
        assert_eq!(answer.header("upload-offset"), Some("5"), "{wrong}");
    }
    append(&app, &upload, 5, b"world and more").problem(413);
    assert_eq!(offset(&app, &upload), 5, "nothing of it was taken");
    let made = append(&app, &upload, 5, b"world").json()["attachment"].clone();
    assert_eq!(content(&app, &made), b"helloworld");
    app.stop();
}

#[test]
fn an_empty_file_is_a_file() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let record = record(&app);
    let upload = begin(&app, record, "empty.txt", 0);
    let made = append(&app, &upload, 0, b"").json()["attachment"].clone();
    assert_eq!((&made["bytes"], content(&app, &made).len()), (&json!(0), 0));
    app.stop();
}

#[test]
fn of_two_requests_at_once_one_is_told_to_wait() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let (record, whole) = (record(&app), bytes(100_000));
    let upload = begin(&app, record, "scan.bin", whole.len());
    let mut slow = app.connect();
    let head = format!(
        "PATCH {upload} HTTP/1.1\r\nhost: hearth\r\nauthorization: Bearer {OWNER}\r\nupload-offset: 0\r\n\
         content-type: application/octet-stream\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        whole.len()
    );
    slow.write_all(head.as_bytes()).unwrap();
    slow.write_all(&whole[..70_000]).unwrap();
    let so_far = eventually("the first bytes", || Some(offset(&app, &upload)).filter(|so_far| *so_far > 0));
    let refused = append(&app, &upload, so_far, &whole[so_far..]).problem(409);
    assert!(refused["detail"].as_str().unwrap().contains("Another request"), "{refused}");
    slow.write_all(&whole[70_000..]).unwrap();
    let made: Value = read_answer(&mut slow).json()["attachment"].clone();
    assert_eq!(content(&app, &made), whole);
    assert_eq!(list(&app, record).len(), 1);
    app.stop();
}

#[test]
fn what_came_before_the_connection_broke_counts() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let (record, whole) = (record(&app), bytes(1_000_000));
    let upload = begin(&app, record, "film.bin", whole.len());
    let mut broken = app.connect();
    let head = format!(
        "PATCH {upload} HTTP/1.1\r\nhost: hearth\r\nauthorization: Bearer {OWNER}\r\nupload-offset: 0\r\n\
         content-type: application/octet-stream\r\ncontent-length: {}\r\n\r\n",
        whole.len()
    );
    broken.write_all(head.as_bytes()).unwrap();
    broken.write_all(&whole[..700_000]).unwrap();
    drop(broken);
    let so_far = eventually("the bytes that came", || {
        let so_far = offset(&app, &upload);
        (so_far >= 600_000 && append(&app, &upload, 1, b"").header("upload-offset").is_some()).then_some(so_far)
    });
    assert!(so_far <= 700_000, "{so_far}");
    let made = append(&app, &upload, so_far, &whole[so_far..]).json()["attachment"].clone();
    assert_eq!(content(&app, &made), whole);
    app.stop();
}

#[test]
fn an_upload_belongs_to_who_began_it() {
    let data = Data::new();
    data.add_person("owner", "hearth_other");
    let app = Start::alone(&data).start();
    let record = record(&app);
    let upload = begin(&app, record, "a.txt", 5);
    app.get_as("hearth_other", &upload).problem(404);
    let bearer = ("authorization", "Bearer hearth_other");
    app.ask("PATCH", &upload, &[FILE, bearer, ("upload-offset", "0")], b"hello").problem(404);
    app.ask("DELETE", &upload, &[bearer], b"").problem(404);
    assert_eq!(offset(&app, &upload), 0);
    assert_eq!(app.ask("DELETE", &upload, &[], b"").status, 204);
    app.get(&upload).problem(404);
    app.ask("DELETE", &upload, &[], b"").problem(404);
    app.stop();
    assert!(partials(&data).is_empty());
}

#[test]
fn an_upload_expires_a_day_after_its_last_byte() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let record = record(&app);
    let (old, new) = (begin(&app, record, "a.txt", 5), begin(&app, record, "b.txt", 5));
    append(&app, &old, 0, b"hel");
    app.stop();
    let id = old.rsplit('/').next().unwrap();
    let age = |hours: u64| {
        for name in [id.to_owned(), format!("{id}.json")] {
            let file = fs::File::options().append(true).open(data.directory.path().join("uploads").join(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(hours * 3600)).unwrap();
        }
    };
    age(23);
    let app = Start::alone(&data).start();
    assert_eq!(offset(&app, &old), 3);
    app.stop();
    age(25);
    let app = Start::alone(&data).start();
    eventually("the old one goes", || (app.get(&old).status == 404).then_some(()));
    assert_eq!(offset(&app, &new), 0);
    app.stop();
    assert_eq!(partials(&data).len(), 2);
}

#[test]
fn one_that_does_not_move_is_cut_off_and_others_go_on_meanwhile() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let record = record(&app);
    // More than requests are worked on at a time.
    let waiting: Vec<_> = (0..12)
        .map(|number| {
            let upload = begin(&app, record, &format!("{number}.txt"), 10);
            let mut slow = app.connect();
            let head = format!(
                "PATCH {upload} HTTP/1.1\r\nhost: hearth\r\nauthorization: Bearer {OWNER}\r\nupload-offset: 0\r\n\
                 content-type: application/octet-stream\r\ncontent-length: 10\r\n\r\nx"
            );
            slow.write_all(head.as_bytes()).unwrap();
            slow
        })
        .collect();
    thread::scope(|scope| {
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(|| app.get("/api/v1/records").status)).collect();
        assert!(asked.into_iter().all(|answer| answer.join().unwrap() == 200));
    });
    let upload = begin(&app, record, "whole.txt", 5);
    assert_eq!(append(&app, &upload, 0, b"hello").status, 200);
    drop(waiting);
    app.stop();
}
