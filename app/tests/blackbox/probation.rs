//! While the supervisor proves it on a staged database.

use std::{collections::BTreeMap, fs};

use serde_json::json;

use crate::harness::{Data, Start};

fn contents(data: &Data) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(data.directory.path()).unwrap().map(Result::unwrap);
    files
        .filter(|file| file.file_type().unwrap().is_file())
        .map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()))
        .collect()
}

fn filled() -> Data {
    let data = Data::new();
    let app = Start::alone(&data).start();
    for number in 0..30 {
        let mut body = json!({ "title": format!("Versicherung 保险 {number}"), "category": "x", "notes": "y" });
        if number % 2 == 0 {
            body["due_date"] = "2027-01-01".into();
        }
        app.create(&body);
    }
    app.stop();
    data
}

#[test]
fn it_tests_itself_answers_health_and_changes_nothing() {
    for data in [Data::new(), filled()] {
        let before = contents(&data)["app.db"].clone();
        let app = Start::probation(&data).start();
        app.wait_said("STATUS=Every query could be read");
        assert_eq!(app.ask_private("/health").status, 200);
        app.stop();
        let after = contents(&data);
        assert_eq!(after["app.db"], before);
        assert!(after.get("app.db-wal").is_none_or(Vec::is_empty));
    }
}

#[test]
fn it_wants_the_private_socket_and_no_other() {
    let data = Data::new();
    for names in [&["public", "private"][..], &[]] {
        let mut app = Start::with_sockets(&data, names).env("HEARTH_PROBATION", "1").spawn();
        assert_eq!(app.wait().code(), Some(1));
        app.log.wait("error: in probation");
    }
}

#[test]
fn a_query_that_fails_is_named_and_the_app_is_not_ready() {
    for (harm, words) in [
        ("DROP TABLE record_search", "self-test could not list records by updated"),
        (
            "DROP TRIGGER record_search_update; UPDATE record SET updated_at = 'yesterday' WHERE id = 1",
            "self-test could not read the oldest records",
        ),
        (
            "DROP TRIGGER record_search_update; UPDATE record SET due_date = '2027-02-30' WHERE id = 30",
            "self-test could not read the oldest records",
        ),
        ("DROP TABLE seaql_migrations", "self-test could not read which migrations were applied"),
    ] {
        let data = filled();
        data.sql(harm);
        let mut app = Start::probation(&data).spawn();
        assert_eq!(app.wait().code(), Some(1), "{harm}");
        app.log.wait(&format!("error: the {words}"));
        app.log.wait("hint: nothing was changed");
        app.wait_said(&format!("STATUS=the {words}"));
        assert!(!app.said().iter().any(|line| line == "READY=1"));
    }
}

#[test]
fn a_damaged_database_is_not_ready() {
    let data = filled();
    let mut bytes = fs::read(data.database()).unwrap();
    let length = bytes.len();
    bytes[4096..length].fill(0xa5);
    fs::write(data.database(), bytes).unwrap();
    let mut app = Start::probation(&data).spawn();
    assert_eq!(app.wait().code(), Some(1));
    app.log.wait("error: ");
    assert!(!app.said().iter().any(|line| line == "READY=1"));
}
