//! A file that is sent back.

use std::io::{Read, Write};

use serde_json::json;

use super::{FILE, PDF, attach, bytes, content, list, photo, png, record};
use crate::harness::{Data, OWNER, Start, eventually};

#[test]
fn a_part_of_a_file_is_sent_where_it_is_wanted() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let whole = bytes(200_000);
    let made = attach(&app, record(&app), "film.bin", &whole);
    let address = format!("/api/v1/attachments/{}/content", made["id"]);
    let answer = app.get(&address);
    let tag = answer.header("etag").unwrap().to_owned();
    assert_eq!((answer.header("accept-ranges"), answer.header("content-length")), (Some("bytes"), Some("200000")));
    let part = |range: &str, if_range: &str| {
        let mut headers = vec![("range", range)];
        if !if_range.is_empty() {
            headers.push(("if-range", if_range));
        }
        app.ask("GET", &address, &headers, b"")
    };
    for (range, from, to) in [
        ("bytes=0-9", 0, 10),
        ("bytes=65530-131080", 65_530, 131_081),
        ("bytes=199990-", 199_990, 200_000),
        ("bytes=-5", 199_995, 200_000),
    ] {
        for if_range in ["", &*tag] {
            let answer = part(range, if_range);
            assert_eq!(answer.status, 206, "{range} {answer:?}");
            let sent = format!("bytes {from}-{}/200000", to - 1);
            assert_eq!(answer.header("content-range"), Some(&*sent));
            assert_eq!(answer.body, whole[from..to], "{range}");
        }
    }
    assert_eq!(part("bytes=0-9", "\"another\"").status, 200);
    let refused = part("bytes=200000-", "");
    assert_eq!(refused.problem(416)["code"], "range_not_satisfiable");
    assert_eq!(refused.header("content-range"), Some("bytes */200000"));
    let known = app.ask("GET", &address, &[("if-none-match", &tag)], b"");
    assert_eq!((known.status, known.body.len()), (304, 0));
    let mut connection = app.connect();
    let request = format!(
        "HEAD {address} HTTP/1.1\r\nhost: hearth\r\nauthorization: Bearer {OWNER}\r\nconnection: close\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).unwrap();
    let mut head = String::new();
    connection.read_to_string(&mut head).unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200") && head.contains("content-length: 200000\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    app.stop();
}

#[test]
fn a_pdf_is_shown_and_may_load_nothing() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let made = attach(&app, record(&app), "letter.bin", PDF);
    assert_eq!(made["media_type"], "application/pdf");
    let answer = app.get(&format!("/api/v1/attachments/{}/content", made["id"]));
    assert_eq!(answer.header("content-disposition"), Some("inline; filename=\"letter.bin\""));
    assert!(answer.header("content-security-policy").unwrap().contains("default-src 'none'"), "{answer:?}");
    app.stop();
}

#[test]
fn a_name_comes_back_in_each_spelling() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let record = record(&app);
    for (name, kept, header) in [
        (
            "Rechnung%20M%C3%BCller.pdf",
            "Rechnung Müller.pdf",
            "attachment; filename=\"Rechnung M_ller.pdf\"; filename*=UTF-8''Rechnung%20M%C3%BCller.pdf",
        ),
        ("invoice%E2%80%AEfdp.exe", "invoicefdp.exe", "attachment; filename=\"invoicefdp.exe\""),
    ] {
        let made = attach(&app, record, name, name.as_bytes());
        assert_eq!(made["name"], kept);
        let answer = app.get(&format!("/api/v1/attachments/{}/content", made["id"]));
        assert_eq!(answer.header("content-disposition"), Some(header));
        assert!(answer.header("set-cookie").is_none());
    }
    app.stop();
}

#[test]
fn an_attachment_is_renamed_moved_and_deleted_as_a_change_of_its_record() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let record = record(&app);
    let made: Vec<_> = ["a.txt", "b.txt", "c.txt"].map(|name| attach(&app, record, name, name.as_bytes())).into();
    let version = || app.get(&format!("/api/v1/records/{record}")).json()["version"].as_i64().unwrap();
    let before = version();
    assert_eq!(before, 4);
    let address = |number: usize| format!("/api/v1/attachments/{}", made[number]["id"]);
    let changed = app.send("PATCH", &address(2), &json!({ "name": "../first.txt", "role": "manual", "position": 0 }));
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"5\"")), "{changed:?}");
    let by_position = || {
        let mut all = list(&app, record);
        all.sort_by_key(|one| one["position"].as_i64());
        all.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(by_position(), ["first.txt", "a.txt", "b.txt"]);
    assert_eq!(app.get(&address(2)).json(), changed.json());
    // What changes nothing is no version, and nothing is changed of a record that somebody else has changed.
    assert_eq!(app.send("PATCH", &address(2), &json!({ "role": "manual" })).header("etag"), Some("\"5\""));
    let stale = [("if-match", "\"4\""), ("content-type", "application/json")];
    app.ask("PATCH", &address(0), &stale, br#"{"name":"x"}"#).problem(412);
    app.ask("DELETE", &address(0), &stale, b"").problem(412);
    app.ask("POST", &format!("/api/v1/records/{record}/attachments?name=x"), &stale, b"x").problem(412);
    assert_eq!(version(), 5);
    assert_eq!(app.ask("DELETE", &address(0), &[("if-match", "\"5\"")], b"").status, 204);
    app.get(&address(0)).problem(404);
    app.get(&format!("{}/content", address(0))).problem(404);
    assert_eq!((by_position(), version()), (vec!["first.txt".to_owned(), "b.txt".to_owned()], 6));
    assert_eq!(content(&app, &made[1]), b"b.txt");
    // Each version before is kept, with the files that it had.
    let kept = "SELECT count(*) FROM version_file JOIN record_version ON id = version_id WHERE version = 5";
    assert_eq!(data.count(kept), 3);
    app.stop();
}

/// A PDF with a page that says these words.
fn pdf(words: &str) -> Vec<u8> {
    let text = format!("BT /F1 12 Tf 72 720 Td ({words}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{text}\nendstream", text.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    let (mut file, mut offsets) = (b"%PDF-1.4\n".to_vec(), Vec::new());
    for (number, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        file.extend(format!("{} 0 obj\n{object}\nendobj\n", number + 1).bytes());
    }
    let start = file.len();
    file.extend(b"xref\n0 6\n0000000000 65535 f \n");
    offsets.iter().for_each(|offset| file.extend(format!("{offset:010} 00000 n \n").bytes()));
    file.extend(format!("trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n").bytes());
    file
}

#[test]
fn a_record_is_found_by_a_word_of_its_pdf_by_who_sees_it() {
    let data = Data::new();
    data.add_person("guest", "hearth_guest");
    data.add_person("member", "hearth_anna");
    let app = Start::alone(&data).start();
    let record = record(&app);
    let private = app.create(&json!({ "title": "Diary", "visibility": "private" }))["id"].as_i64().unwrap();
    attach(&app, record, "warranty.pdf", &pdf("Compressor warranty for twelve years"));
    attach(&app, private, "secret.pdf", &pdf("Compressor of mine"));
    let found = |token: &str, word: &str| {
        let list = app.get_as(token, &format!("/api/v1/records?search={word}")).json();
        list["items"].as_array().unwrap().iter().map(|one| one["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    eventually("the texts", || (found(OWNER, "compressor").len() == 2).then_some(()));
    assert_eq!(found("hearth_anna", "compressor"), [record]);
    assert_eq!(found(OWNER, "twelve%20warranty.pdf"), [record], "its name as well");
    assert!(found("hearth_guest", "compressor").is_empty());
    data.sql(&format!("UPDATE record SET guests_see_attachments = 1 WHERE id = {record}"));
    assert_eq!(found("hearth_guest", "compressor"), [record]);
    // What is removed is no longer found by its text.
    let id = list(&app, record)[0]["id"].clone();
    assert_eq!(app.ask("DELETE", &format!("/api/v1/attachments/{id}"), &[], b"").status, 204);
    assert_eq!(found(OWNER, "compressor"), [private]);
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM file WHERE text IS NULL"), 0);
}

#[test]
fn a_pdf_that_was_not_read_before_the_app_ended_is_read_after_its_next_start() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let record = record(&app);
    attach(&app, record, "warranty.pdf", &pdf("Compressor warranty"));
    app.stop();
    data.sql("UPDATE file SET text = NULL; DELETE FROM record_text_search; DELETE FROM record_text");
    let app = Start::alone(&data).start();
    let search = || app.get("/api/v1/records?search=compressor").json()["items"].as_array().unwrap().len();
    eventually("the text", || (search() == 1).then_some(()));
    app.stop();
}

#[test]
fn a_picture_has_a_preview_that_only_those_get_who_see_it() {
    let data = Data::new();
    data.add_person("member", "hearth_anna");
    let app = Start::alone(&data).start();
    let private = app.create(&json!({ "title": "Diary", "visibility": "private" }))["id"].as_i64().unwrap();
    let made = attach(&app, private, "photo.png", &png(1500, 900));
    assert_eq!(made["media_type"], "image/png");
    let address = format!("/api/v1/attachments/{}/preview", made["id"]);
    let cache = data.directory.path().join("cache");
    for kept in [false, true] {
        assert_eq!(cache.join(blake3::hash(&png(1500, 900)).to_hex().as_str()).exists(), kept);
        let answer = app.get(&address);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/jpeg")), "{answer:?}");
        let preview = image::load_from_memory(&answer.body).unwrap();
        assert!(preview.width() < 1500 && preview.height() * 5 == preview.width() * 3, "{}", preview.width());
        let tag = answer.header("etag").unwrap();
        assert_eq!(app.ask("GET", &address, &[("if-none-match", tag)], b"").status, 304);
    }
    app.get_as("hearth_anna", &address).problem(404);
    // What is no picture has none, and neither has what only begins like one.
    for (name, file) in [("notes.txt", &b"words"[..]), ("broken.png", b"\x89PNG\r\n\x1a\n and no more")] {
        let answer = app.ask(
            "POST",
            &format!("/api/v1/records/{private}/attachments?name={name}&keep_location=true"),
            &[FILE],
            file,
        );
        assert_eq!(answer.status, 201, "{answer:?}");
        for _ in 0..2 {
            app.get(&format!("/api/v1/attachments/{}/preview", answer.json()["id"])).problem(404);
        }
    }
    app.stop();
}

#[test]
fn a_picture_is_not_kept_with_the_place_where_it_was_taken_unless_that_is_wanted() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let record = record(&app);
    let (photo, place) = photo();
    let has_place = |content: &[u8]| content.windows(place.len()).any(|part| part == place);
    assert!(has_place(&photo));
    let removed = content(&app, &attach(&app, record, "photo.jpg", &photo));
    assert!(!has_place(&removed) && removed.len() == photo.len());
    let path = format!("/api/v1/records/{record}/attachments?name=photo.jpg&keep_location=true");
    let kept = app.ask("POST", &path, &[FILE], &photo).json();
    assert_eq!(content(&app, &kept), photo);
    // A picture that cannot be looked into is refused, and says how it is taken all the same.
    let broken = [&photo[..30], b"and no more"].concat();
    let refused = app.ask("POST", &format!("/api/v1/records/{record}/attachments?name=broken.jpg"), &[FILE], &broken);
    assert!(matches!(refused.status, 201 | 422), "{refused:?}");
    app.stop();
}
