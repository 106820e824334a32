//! Archives of Homebox: what is taken of them, and what is not, or not as it is.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{FILE, packed};
use crate::{
    attachments::photo,
    harness::{App, Data, Start},
};

/// The entries of an archive of Homebox with these items and these rows of files, without the files.
pub(crate) fn homebox(items: Vec<Value>, files: Vec<Value>) -> BTreeMap<String, Vec<u8>> {
    let tables = [
        ("manifest.json", json!({ "schemaVersion": 1 })),
        ("entities.json", items.into()),
        ("attachments.json", files.into()),
    ];
    tables.into_iter().map(|(name, value)| (name.to_owned(), value.to_string().into_bytes())).collect()
}

fn import(app: &App, entries: &BTreeMap<String, Vec<u8>>) -> Value {
    app.ask("POST", "/api/v1/imports/homebox", &[FILE], &packed(entries)).json()
}

/// Returns the content of the first attachment of the first record.
fn first_content(app: &App) -> Vec<u8> {
    let record = app.get("/api/v1/records").json()["items"][0]["id"].clone();
    let attachment = app.get(&format!("/api/v1/records/{record}/attachments")).json()["items"][0]["id"].clone();
    app.get(&format!("/api/v1/attachments/{attachment}/content")).body
}

#[test]
fn an_archive_of_homebox_comes_in_with_its_files_and_says_what_it_lacks() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let rows = |value: Value| value.to_string().into_bytes();
    let entries: BTreeMap<_, _> = [
        ("manifest.json", rows(json!({ "schemaVersion": 1, "exportedAt": "2026-08-01T00:00:00Z", "counts": {} }))),
        ("entity_types.json", rows(json!([{ "id": "t1", "is_location": 1 }, { "id": "t2", "is_location": false }]))),
        (
            "entities.json",
            rows(json!([
                { "id": "e2", "name": "Drill", "description": "Cordless", "asset_id": 42, "quantity": 1, "archived": 0,
                  "entity_type_entities": "t2", "entity_children": "e1", "purchase_price": 129.5,
                  "purchase_date": "2024-02-03T00:00:00Z", "created_at": "2024-02-03 10:00:00.5+00:00" },
                { "id": "e1", "name": "Cellar", "entity_type_entities": "t1", "entity_children": null },
                { "id": "e3", "name": "Bit", "entity_type_entities": "t2", "entity_children": "e2", "asset_id": 0 },
            ])),
        ),
        (
            "entity_fields.json",
            rows(
                json!([{ "id": "f1", "name": "Colour", "type": "text", "text_value": "green", "entity_fields": "e2" }]),
            ),
        ),
        ("tags.json", rows(json!([{ "id": "l1", "name": "tools" }]))),
        ("tag_entities.json", rows(json!([{ "tag_id": "l1", "entity_id": "e2" }]))),
        (
            "attachments.json",
            rows(json!([
                { "id": "a1", "type": "manual", "title": "manual.pdf", "entity_attachments": "e2" },
                { "id": "a2", "type": "photo", "title": "drill.jpg", "entity_attachments": "e2" },
                { "id": "a3", "type": "thumbnail", "title": "thumb", "entity_attachments": null },
            ])),
        ),
        ("attachments/a1", b"%PDF-1.7\n".to_vec()),
    ]
    .into_iter()
    .map(|(name, content)| (name.to_owned(), content))
    .collect();
    let answer = app.ask("POST", "/api/v1/imports/homebox", &[FILE], &packed(&entries));
    let left_out = json!([{ "what": "File “drill.jpg” of the item “Drill”", "why": "it is not in the archive" }]);
    assert_eq!(answer.json(), json!({ "records": 2, "attachments": 1, "left_out": left_out, "was_done": false }));
    let records = app.get("/api/v1/records?sort=title").json()["items"].clone();
    assert_eq!((&records[0]["title"], &records[1]["title"]), (&json!("Bit"), &json!("Drill")));
    assert_eq!(records[0]["fields"], json!([{ "label": "Part of", "value": "Drill" }]));
    assert_eq!(records[0]["place_id"], records[1]["place_id"]);
    let values: Vec<_> = records[1]["fields"].as_array().unwrap().iter().map(|field| field["value"].clone()).collect();
    assert_eq!(values, ["2024-02-03", "129.5", "000-042", "green"]);
    app.stop();
}

#[test]
fn a_photograph_of_homebox_does_not_say_where_it_was_taken_and_one_of_hearth_is_as_it_was() {
    let (photo, place) = photo();
    let says_where = |content: &[u8]| content.windows(place.len()).any(|part| part == place);
    assert!(says_where(&photo));
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut entries = homebox(
        vec![json!({ "id": "e1", "name": "Drill" })],
        vec![json!({ "id": "a1", "title": "drill.jpg", "type": "photo", "entity_attachments": "e1" })],
    );
    entries.insert("attachments/a1".to_owned(), photo.clone());
    assert_eq!(import(&app, &entries)["attachments"], 1);
    let taken = first_content(&app);
    assert!(!says_where(&taken) && taken.len() == photo.len());
    app.stop();

    // The user who attached it to a Hearth wanted to keep it.
    let data = Data::new();
    let app = Start::alone(&data).start();
    let id = app.create(&json!({ "title": "Drill" }))["id"].clone();
    let path = format!("/api/v1/records/{id}/attachments?name=drill.jpg&keep_location=true");
    assert_eq!(app.ask("POST", &path, &[FILE], &photo).status, 201);
    let archive = super::export_as(&app, crate::harness::OWNER);
    app.stop();
    let data = Data::new();
    let app = Start::alone(&data).start();
    assert_eq!(super::import(&app, &archive).json()["attachments"], 1);
    assert_eq!(first_content(&app), photo);
    app.stop();
}

#[test]
fn what_is_too_large_of_homebox_is_listed_and_all_else_is_taken() {
    let data = Data::new();
    let app = Start::alone(&data)
        .env("HEARTH_ATTACHMENTS__MAX_SIZE", "100kB")
        .env("HEARTH_ATTACHMENTS__QUOTA", "250kB")
        .start();
    let file = |number: usize| json!({ "id": format!("a{number}"), "title": format!("{number}.bin"), "entity_attachments": "e0" });
    let mut entries = homebox(
        vec![
            json!({ "id": "e0", "name": "Drill" }),
            json!({ "id": "e1", "name": "x".repeat(300) }),
            json!({ "id": "e2", "name": "Long", "notes": "y".repeat(100_001) }),
            json!({ "id": "e3", "name": "Odd", "serial_number": [[1, { "a": 2 }]], "quantity": null, "unknown": {} }),
        ],
        (0..6).map(file).collect(),
    );
    for (number, bytes) in [90_000, 110_000, 90_000, 90_000, 60_000].into_iter().enumerate() {
        entries.insert(format!("attachments/a{number}"), vec![number as u8; bytes]);
    }
    let report = import(&app, &entries);
    assert_eq!((&report["records"], &report["attachments"]), (&json!(2), &json!(3)), "{report}");
    let left_out: Vec<_> = report["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{}: {}", one["what"].as_str().unwrap(), one["why"].as_str().unwrap()))
        .collect();
    let file = |number: usize| format!("File “{number}.bin” of the item “Drill”");
    assert_eq!(
        left_out,
        [
            format!(
                "{}: it has 107.4 KiB, and an attachment may have 97.6 KiB at most (attachments.max_size)",
                file(1)
            ),
            format!(
                "{}: it has 87.8 KiB, and of the 244.1 KiB that all attachments may have together (attachments.quota) only 68.3 KiB were left",
                file(3)
            ),
            format!("{}: it is not in the archive", file(5)),
            format!("Item “{}”: title must be at most 200 characters long, not 300", "x".repeat(300)),
            "Item “Long”: notes must be at most 100000 characters long, not 100001".to_owned(),
        ]
    );
    // Nothing of what was not taken lies about.
    assert_eq!(data.count("SELECT sum(bytes) FROM file"), 240_000);
    app.stop();
    assert_eq!(crate::faults::assert_sound(&data, "after an import in part"), 0);
}

#[test]
fn an_archive_that_would_fill_the_memory_is_refused_with_a_sentence() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let refusal = |path: &str, entries: &BTreeMap<String, Vec<u8>>| {
        let problem = app.ask("POST", path, &[FILE], &packed(entries)).problem(422);
        let detail = problem["detail"].as_str().unwrap().to_owned();
        assert!(detail.ends_with("Nothing was imported."), "{detail}");
        detail
    };
    // Rows of a few letters, and one that is nothing but a list.
    let many = |row: &str, number: usize| format!("[{}]", vec![row; number].join(",")).into_bytes();
    let mut entries = homebox(Vec::new(), Vec::new());
    entries.insert("entities.json".to_owned(), many("{}", 200_001));
    let detail = refusal("/api/v1/imports/homebox", &entries);
    assert!(detail.contains("entities.json in the archive cannot be read: a list has more than 200000"), "{detail}");
    entries.insert("entities.json".to_owned(), vec![b' '; 64 << 20]);
    let detail = refusal("/api/v1/imports/homebox", &entries);
    assert!(detail.contains("All the data in the archive is larger than 64 MB"), "{detail}");
    let with = |records: &str| {
        let binder = format!(r#"{{"format":"hearth-binder","version":1,"records":{records}}}"#);
        BTreeMap::from([("binder.json".to_owned(), binder.into_bytes())])
    };
    let record = |rest: &str| format!(r#"{{"id":1,"title":"a"{rest}}}"#);
    let records = String::from_utf8(many(&record(""), 100_001)).unwrap();
    let detail = refusal("/api/v1/imports/binder", &with(&records));
    assert!(detail.contains("a list has more than 100000"), "{detail}");
    for member in ["tags", "place", "fields", "attachments"] {
        let list = String::from_utf8(many("null", 2000)).unwrap();
        refusal("/api/v1/imports/binder", &with(&format!("[{}]", record(&format!(r#","{member}":{list}"#)))));
    }
    let peak = std::fs::read_to_string(format!("/proc/{}/status", app.child.id())).unwrap();
    let peak = peak.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().trim_end_matches(" kB");
    assert!(peak.parse::<u64>().unwrap() < 300 << 10, "{peak} kB");
    assert_eq!(data.count("SELECT count(*) FROM record"), 0);
    app.stop();
}

#[test]
fn a_file_that_is_longer_than_its_archive_says_is_left_out() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut entries = homebox(
        vec![json!({ "id": "e1", "name": "Drill" })],
        vec![json!({ "id": "a1", "title": "a.bin", "entity_attachments": "e1" })],
    );
    entries.insert("attachments/a1".to_owned(), vec![7; 5000]);
    let mut archive = packed(&entries);
    let is_its_entry =
        |at: &usize| archive[*at..].starts_with(b"PK\x01\x02") && archive[at + 46..].starts_with(b"attachments/a1");
    // Both lengths, packed and unpacked, are those of a byte less.
    let lengths = (0..archive.len()).find(is_its_entry).unwrap() + 20;
    archive[lengths..lengths + 8].copy_from_slice(&[4999_u32.to_le_bytes(); 2].concat());
    let report = app.ask("POST", "/api/v1/imports/homebox", &[FILE], &archive).json();
    assert_eq!((&report["records"], &report["attachments"]), (&json!(1), &json!(0)), "{report}");
    assert!(report["left_out"][0]["why"].as_str().unwrap().starts_with("it cannot be read"), "{report}");
    app.stop();
    assert_eq!(crate::faults::assert_sound(&data, "after a file that is not what it says"), 0);
}
