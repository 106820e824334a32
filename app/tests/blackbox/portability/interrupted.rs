//! The app is killed while an import goes on, or its disk fills up.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{FILE, attach, choose, foreign::homebox, hidden, packed, send_file};
use crate::{
    client::Answer,
    faults::{assert_sound, disarm, send_and_die, with_fault},
    harness::{App, Data, Start, eventually},
};

/// Records of an import here.
const RECORDS: i64 = 3;

/// An import: where it is sent, what of, and how many files it has.
struct Import {
    path: &'static str,
    body: Vec<u8>,
    files: i64,
}

impl Import {
    /// One of each kind.
    fn all() -> [Self; 3] {
        let table = b"HB.name,HB.location\nDrill,Home / Cellar\nSaw,Home\nBit,\n".to_vec();
        let item = |number: usize| json!({ "id": format!("e{number}"), "name": format!("Thing {number}") });
        let file = |number: usize| json!({ "id": format!("a{number}"), "title": format!("{number}.bin"), "entity_attachments": format!("e{number}") });
        let mut entries = homebox((0..3).map(item).collect(), (0..2).map(file).collect());
        entries.insert("attachments/a0".to_owned(), content(0));
        entries.insert("attachments/a1".to_owned(), content(1));
        [
            Self { path: "/api/v1/imports/binder", body: packed(&binder(3, 2)), files: 2 },
            Self { path: "/api/v1/imports/homebox", body: packed(&entries), files: 2 },
            Self { path: "/api/v1/imports/homebox", body: table, files: 0 },
        ]
    }

    fn send(&self, app: &App) -> Answer {
        app.ask("POST", self.path, &[FILE, ("idempotency-key", "one")], &self.body)
    }
}

fn content(number: usize) -> Vec<u8> {
    (0..150_000).map(|place| (place * (number + 3) % 251) as u8).collect()
}

/// The entries of an export of Hearth with so many records, of which the first have a file.
pub(super) fn binder(records: usize, files: usize) -> BTreeMap<String, Vec<u8>> {
    let mut entries = BTreeMap::new();
    let record = |number: usize| {
        let mut record = json!({
            "id": number, "title": format!("Record {number}"), "place": ["Home", "Cellar"], "tags": ["imported"],
            "fields": [{ "key": "serial_number", "label": "Serial number", "value": format!("{number:08}") }],
            "notes": "Bought at the market hall. ".repeat(20),
        });
        if number < files {
            let (content, path) = (content(number), format!("records/{number}/file.bin"));
            let hash = blake3::hash(&content).to_hex().to_string();
            record["attachments"] =
                json!([{ "path": path, "name": "file.bin", "bytes": content.len(), "blake3": hash }]);
            entries.insert(path, content);
        }
        record
    };
    let records: Vec<_> = (0..records).map(record).collect();
    let binder = json!({ "format": "hearth-binder", "version": 1, "places": [["Shed"]], "records": records });
    entries.insert("binder.json".to_owned(), binder.to_string().into_bytes());
    entries
}

/// What lies in `uploads/`.
fn left(data: &Data) -> usize {
    std::fs::read_dir(data.directory.path().join("uploads")).map_or(0, Iterator::count)
}

fn counts(data: &Data) -> (i64, i64) {
    (data.count("SELECT count(*) FROM record"), data.count("SELECT count(*) FROM attachment"))
}

/// A binder with a record and its file, before an import.
fn begun(data: &Data) {
    let app = Start::alone(data).start();
    let id = app.create(&json!({ "title": "Before" }))["id"].as_i64().unwrap();
    attach(&app, id, "before.bin", "other", &content(9));
    app.stop();
}

#[test]
fn an_import_that_is_killed_at_any_point_is_there_as_a_whole_or_not_at_all_and_once() {
    for import in Import::all() {
        let of_files = ["app.received=kill", "app.stored=kill", "app.stored=kill:2"];
        let of_all = [
            "app.receiving=kill",
            "app.spooled=kill",
            "app.adding=kill",
            "app.adding=kill:3",
            "app.committing=kill",
            "app.committed=kill",
            // When the search is told of it.
            "app.committing=kill:2",
            "app.committed=kill:2",
        ];
        for fault in of_all.iter().chain(of_files.iter().filter(|_| import.files > 0)) {
            let when = format!("{} {fault}", import.path);
            let data = Data::new();
            begun(&data);
            let (mut app, arm) = with_fault(&data, fault);
            arm();
            send_and_die(&mut app, |app| drop(import.send(app)));
            let is_done = fault.starts_with("app.committed") || fault.ends_with(":2") && fault.contains("commit");
            let expected = if is_done { (1 + RECORDS, 1 + import.files) } else { (1, 1) };
            assert_eq!(counts(&data), expected, "{when}");
            assert!(is_done || data.count("SELECT count(*) FROM place") == 0, "{when}");
            assert_sound(&data, &when);
            let app = Start::alone(&data).start();
            eventually("nothing left of the request", || (left(&data) == 0).then_some(()));
            assert_eq!(data.count("SELECT count(*) FROM record WHERE fold_version = 0"), 0, "{when}");
            let report = import.send(&app).json();
            assert_eq!(report["was_done"], is_done, "{when}: {report}");
            assert_eq!(counts(&data), (1 + RECORDS, 1 + import.files), "{when}");
            app.stop();
            assert_eq!((assert_sound(&data, &when), left(&data)), (0, 0), "{when}");
        }
    }
}

#[test]
fn a_disk_that_fills_up_refuses_an_import_with_a_way_out_and_keeps_nothing_of_it() {
    for import in Import::all() {
        let of_files = ["app.received", "app.stored"];
        let of_all = ["app.receiving", "app.spooled", "app.committing"];
        for point in of_all.iter().chain(of_files.iter().filter(|_| import.files > 0)) {
            let when = format!("{} {point}", import.path);
            let data = Data::new();
            begun(&data);
            let (app, arm) = with_fault(&data, &format!("{point}=enospc"));
            arm();
            let problem = import.send(&app).problem(507);
            assert_eq!(problem["code"], "disk_full", "{when}: {problem}");
            assert!(problem["detail"].as_str().unwrap().contains("disk is full"), "{when}: {problem}");
            assert_eq!((counts(&data), left(&data)), ((1, 1), 0), "{when}");
            // Reading goes on, and the same import is done once there is room.
            assert_eq!(app.get("/api/v1/records").json()["items"][0]["title"], "Before");
            disarm(&data);
            assert_eq!(import.send(&app).json()["records"], RECORDS, "{when}");
            app.stop();
            assert_eq!(assert_sound(&data, &when), 0, "{when}");
        }
    }
}

#[test]
fn a_table_that_waits_for_its_columns_outlives_a_kill_and_is_imported_once() {
    for fault in ["app.committing=kill", "app.committed=kill"] {
        let data = Data::new();
        let (mut app, arm) = with_fault(&data, fault);
        let page = send_file(&app, "tools.csv", b"Name;Price\nDrill;12\nSaw;7\n");
        let (file, key) = (hidden(page.text(), "file"), hidden(page.text(), "key"));
        let columns = "column0=title&column1=field";
        arm();
        send_and_die(&mut app, |app| drop(choose(app, &file, &key, columns)));
        let app = Start::alone(&data).start();
        let done = choose(&app, &file, &key, columns);
        let words = if fault.starts_with("app.committed") { "imported already" } else { "2 records were added" };
        assert!(done.text().contains(words), "{fault}: {}", done.text());
        app.stop();
        assert_eq!(counts(&data), (2, 0), "{fault}");
        assert_sound(&data, fault);
    }
}

#[test]
fn another_file_under_the_same_key_is_refused() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let send = |body: &[u8], query: &str| {
        let path = format!("/api/v1/imports/homebox{query}");
        app.ask("POST", &path, &[FILE, ("idempotency-key", "one")], body)
    };
    // As long as each other.
    let (one, other) = (b"HB.name\nDrill\n", b"HB.name\nLathe\n");
    assert_eq!(send(one, "").json()["records"], 1);
    assert_eq!(send(other, "").problem(422)["code"], "idempotency_key_reused");
    assert_eq!(send(one, "?currency=EUR").problem(422)["code"], "idempotency_key_reused");
    assert_eq!(send(one, "").json()["was_done"], true);
    // A page that somebody went back to says so in its own words.
    assert!(send_file(&app, "one.csv", one).text().contains("1 record was added"));
    let again = send_file(&app, "other.csv", other);
    assert!(again.status == 422 && again.text().contains("was used for another import"), "{again:?}");
    let titles: Vec<Value> = app.get("/api/v1/records").json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["title"].clone())
        .collect();
    assert_eq!(titles, ["Drill", "Drill"]);
    app.stop();
}
