//! The app is killed, or its disk fills up, while something is deleted, put back or emptied.

use std::thread;

use serde_json::json;

use super::{age, assert_whole, create, delete, in_trash, patch};
use crate::{
    faults::{assert_sound, disarm, send_and_die, with_fault},
    harness::{App, Data, Start, eventually},
};

#[test]
fn an_app_that_is_killed_leaves_each_record_in_one_place() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let ids: Vec<i64> = (0..4).map(|number| create(&app, &format!("{number}"))).collect();
    app.stop();
    for round in 0..4_u64 {
        let mut app = Start::alone(&data).start();
        thread::scope(|scope| {
            for id in &ids {
                let address = app.address.clone().unwrap();
                scope.spawn(move || {
                    // Until the app is gone.
                    for path in [format!("/api/v1/records/{id}"), format!("/api/v1/trash/{id}/restore")].iter().cycle()
                    {
                        let method = if path.ends_with("restore") { "POST" } else { "DELETE" };
                        if send(&address, method, path).is_none() {
                            return;
                        }
                    }
                });
            }
            eventually("some deletions", || {
                let number = "SELECT count(*) FROM audit_event WHERE kind = 'record_put_back'";
                (data.count(number) > 20 * (i64::try_from(round).unwrap() + 1)).then_some(())
            });
            app.child.kill().unwrap();
        });
        app.wait();
        assert_whole(&data, 4);
    }
    let app = Start::alone(&data).start();
    for id in in_trash(&app) {
        assert_eq!(app.ask("POST", &format!("/api/v1/trash/{id}/restore"), &[], b"").status, 200);
    }
    let all = app.get("/api/v1/records?sort=title").json()["items"].clone();
    let titles: Vec<_> = all.as_array().unwrap().iter().map(|record| record["title"].clone()).collect();
    assert_eq!(titles, ["0", "1", "2", "3"]);
    app.stop();
}

/// Sends a request to an app that may be killed meanwhile; nothing where it was.
fn send(address: &str, method: &str, path: &str) -> Option<()> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    let token = crate::harness::OWNER;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: hearth\r\nconnection: close\r\nauthorization: Bearer {token}\r\ncontent-length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 ").then_some(())
}

#[test]
fn what_a_kill_interrupts_in_the_trash_was_done_as_a_whole_or_not_at_all() {
    let undeleted = |app: &App, id: i64| app.get(&format!("/api/v1/records/{id}")).status == 200;
    // What is done to a record with a file, and whether it is there before and after; beside it is one with the same file.
    for (method, path, there) in [
        ("DELETE", "/api/v1/records/ID", [true, false]),
        ("POST", "/api/v1/trash/ID/restore", [false, true]),
        ("DELETE", "/api/v1/trash/ID", [false, false]),
        ("DELETE", "/api/v1/attachments/1", [true, true]),
    ] {
        for fault in ["app.committing=kill", "app.committed=kill"] {
            let when = format!("{method} {path} {fault}");
            let data = Data::new();
            let (mut app, arm) = with_fault(&data, fault);
            let ids = ["one", "other"].map(|title| create(&app, title));
            for id in ids {
                let file = [("content-type", "application/octet-stream")];
                let path = format!("/api/v1/records/{id}/attachments?name=a.txt");
                assert_eq!(app.ask("POST", &path, &file, b"what is in it").status, 201);
            }
            if !there[0] {
                delete(&app, ids[0]);
            }
            arm();
            let path = path.replace("ID", &ids[0].to_string());
            send_and_die(&mut app, |app| drop(app.ask(method, &path, &[], b"")));
            assert_eq!(assert_sound(&data, &when), 0, "{when}");
            let is_done = fault.starts_with("app.committed");
            let app = Start::alone(&data).start();
            assert_eq!(undeleted(&app, ids[0]), there[usize::from(is_done)], "{when}");
            // Once more: it is done now, or there is nothing left to do.
            let again = app.ask(method, &path, &[], b"").status;
            assert_eq!(
                again,
                if is_done {
                    404
                } else if method == "POST" {
                    200
                } else {
                    204
                },
                "{when}"
            );
            assert_eq!(undeleted(&app, ids[0]), there[1], "{when}");
            let attachments = app.get(&format!("/api/v1/records/{}/attachments", ids[1])).json()["items"].clone();
            let content = app.get(&format!("/api/v1/attachments/{}/content", attachments[0]["id"]));
            assert_eq!(content.body, b"what is in it", "{when}");
            app.stop();
            assert_eq!(assert_sound(&data, &when), 0, "{when}");
        }
    }
}

#[test]
fn a_disk_that_is_full_at_the_commit_deletes_nothing_and_says_so() {
    let data = Data::new();
    let (app, arm) = with_fault(&data, "app.committing=enospc");
    let ids = ["kept", "in the trash"].map(|title| create(&app, title));
    delete(&app, ids[1]);
    arm();
    for (method, path) in [
        ("DELETE", format!("/api/v1/records/{}", ids[0])),
        ("POST", format!("/api/v1/trash/{}/restore", ids[1])),
        ("DELETE", format!("/api/v1/trash/{}", ids[1])),
    ] {
        assert_eq!(app.ask(method, &path, &[], b"").problem(507)["code"], "disk_full", "{path}");
        assert_eq!(in_trash(&app), ids[1..], "{path}");
    }
    disarm(&data);
    delete(&app, ids[0]);
    assert_eq!(in_trash(&app).len(), 2);
    app.stop();
    assert_sound(&data, "after a full disk");
}

#[test]
fn a_start_empties_what_is_old_enough_one_by_one_and_nothing_else() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let ids: Vec<i64> = (0..4).map(|number| create(&app, &format!("{number}"))).collect();
    for id in &ids[..3] {
        patch(&app, *id, &json!({ "notes": "changed" }));
        delete(&app, *id);
    }
    app.stop();
    age(&data);
    // In probation nothing is.
    Start::probation(&data).start().stop();
    assert_eq!(data.count("SELECT count(*) FROM trash"), 3);
    // One that was put back since is not.
    data.sql(&format!("UPDATE trash SET days = 29 WHERE record_id = {}", ids[0]));
    data.sql("UPDATE trash SET counted_on = date('now')");
    let mut left = vec![3];
    // Before the commit nothing is.
    let mut app = Start::alone(&data).env("HEARTH_FAULT", "app.committing=kill").spawn();
    assert!(!app.wait().success());
    assert_eq!(data.count("SELECT count(*) FROM trash"), 3);
    while *left.last().unwrap() > 1 && left.len() < 9 {
        let mut app = Start::alone(&data).env("HEARTH_FAULT", "app.committed=kill").spawn();
        assert!(!app.wait().success());
        left.push(data.count("SELECT count(*) FROM trash"));
    }
    // The versions before the last go first.
    assert_eq!(left, [3, 3, 2, 2, 1]);
    let app = Start::alone(&data).start();
    assert_eq!(in_trash(&app), ids[..1]);
    assert_eq!(app.get(&format!("/api/v1/records/{}", ids[3])).status, 200);
    app.stop();
    let kept = "SELECT count(*) FROM record_version WHERE record_id IN (SELECT record_id FROM trash)";
    assert_eq!(data.count("SELECT count(*) FROM record_version"), data.count(kept));
    assert_eq!(data.count("SELECT count(*) FROM audit_event WHERE kind = 'record_erased' AND who = 'Hearth'"), 2);
    assert_whole(&data, 2);
}
