//! A user is found by an e-mail through an index, no matter which program wrote the user and when.

use std::{collections::BTreeSet, fs};

use rusqlite::Connection;
use serde_json::json;

use super::browser::{PASSWORD, join, sign_in};
use crate::harness::{Data, Start};

/// What 0.4.0 prepares to write a user, word for word.
fn released(beginning: &str) -> String {
    let text = include_str!("../../../../migrator/releases/0.4.0.statements");
    text.lines().find(|line| line.starts_with(beginning)).unwrap().to_owned()
}

fn without_keys(data: &Data) -> i64 {
    data.count("SELECT count(*) FROM user WHERE email_key IS NULL")
}

/// Adds so many users, as who does not know the column.
fn add_users(data: &Data, number: usize) {
    data.sql(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number})
         INSERT INTO user (name, email, role, created_at, updated_at)
             SELECT 'N', 'n' || i || '@example.org', 'guest', '2026-11-24T12:00:00.000Z', '2026-11-24T12:00:00.000Z' FROM n"
    ));
}

#[test]
fn the_key_is_written_with_each_new_and_changed_email() {
    let data = Data::new();
    data.sql("UPDATE user SET email_key = NULL");
    let app = Start::alone(&data).start();
    let mut anna = join(&app, "member", "Anna@xn--bcher-kva.example");
    let key = |id: i64| -> Option<String> {
        let connection = Connection::open(data.database()).unwrap();
        connection.query_row("SELECT email_key FROM user WHERE id = ?", [id], |row| row.get(0)).unwrap()
    };
    assert_eq!(key(1).as_deref(), Some("owner0@example.org"), "the start fills what is missing");
    assert_eq!(key(2).as_deref(), Some("anna@b\u{fc}cher.example"));
    // Another e-mail, one with the same key, and another name.
    for (email, expected) in
        [("beck@stra\u{df}e.example", "beck@strasse.example"), ("beck@strasse.example", "beck@strasse.example")]
    {
        let answer = anna.send(&app, "PATCH", "/api/v1/profile", Some(&json!({ "email": email })));
        assert_eq!((answer.status, key(2).as_deref()), (200, Some(expected)), "{email}: {answer:?}");
    }
    assert_eq!(anna.send(&app, "PATCH", "/api/v1/profile", Some(&json!({ "name": "Anna" }))).status, 200);
    assert_eq!(key(2).as_deref(), Some("beck@strasse.example"));
    app.stop();
}

#[test]
fn whom_an_older_program_wrote_is_found_at_once_and_by_the_index_after_the_next_start() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    join(&app, "member", "first@example.org");
    join(&app, "member", "second@example.org");
    app.stop();
    assert_eq!(without_keys(&data), 0);
    // As 0.4.0 does after it was put back: another e-mail for one, and one more user.
    let connection = Connection::open(data.database()).unwrap();
    let moment = "2026-11-24T12:00:00.000Z";
    let rows = |sql: &str, values: &[&dyn rusqlite::ToSql]| connection.query_row(sql, values, |_| Ok(())).unwrap();
    rows(
        &released("UPDATE \"user\""),
        &[&"First", &"z\u{eb}@b\u{fc}cher.example", &"member", &0, &moment, &moment, &2],
    );
    // A change of the name alone names the e-mail too, and takes nothing away.
    rows(&released("UPDATE \"user\""), &[&"Two", &"second@example.org", &"member", &0, &moment, &moment, &3]);
    rows(&released("INSERT INTO \"user\""), &[&"New", &"beck@example.org", &"guest", &0, &moment, &moment]);
    drop(connection);
    assert_eq!(without_keys(&data), 2);
    let app = Start::alone(&data).start();
    assert_eq!(without_keys(&data), 0, "filled before it is ready");
    assert_eq!(sign_in(&app, "Z\u{cb}@xn--bcher-kva.example", PASSWORD).1.json()["user"]["id"], 2);
    let taken = |email: &str| app.send("POST", "/api/v1/invitations", &json!({ "role": "guest", "email": email }));
    taken("beck@example.org").problem(400);
    assert_eq!(taken("first@example.org").status, 201, "nobody's any more");
    // By hand, while the app runs: no key is left that is not the e-mail's.
    data.sql("UPDATE user SET email = 'third@example.org' WHERE id = 3");
    assert_eq!(without_keys(&data), 1);
    assert_eq!(sign_in(&app, "Third@example.org", PASSWORD).1.json()["user"]["id"], 3);
    assert_eq!(sign_in(&app, "second@example.org", PASSWORD).1.status, 401);
    app.stop();
}

#[test]
fn a_key_that_another_table_of_unicode_made_is_made_again_at_the_start() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    join(&app, "member", "beck@example.org");
    app.stop();
    data.sql("UPDATE user SET email_key = 'another table''s' WHERE id = 2");
    // The operator's commands find the user as well, with no start before.
    let mut command = std::process::Command::new(crate::served::program());
    command.args(["user", "set-role", "Beck@Example.org", "guest", "--database"]).arg(data.database()).env_clear();
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    data.sql("UPDATE user SET email_key = 'another table''s' WHERE id = 2");
    let app = Start::alone(&data).start();
    assert_eq!(sign_in(&app, "beck@example.org", PASSWORD).1.status, 201);
    app.stop();
}

#[test]
fn a_start_that_is_killed_while_it_writes_keys_is_finished_by_the_next() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    join(&app, "member", "beck@example.org");
    app.stop();
    add_users(&data, 1300);
    data.sql("UPDATE user SET email_key = NULL");
    let mut left = vec![without_keys(&data)];
    for _ in 0..2 {
        let mut app = Start::alone(&data).env("HEARTH_FAULT", "app.committed=kill").spawn();
        assert!(!app.wait().success());
        left.push(without_keys(&data));
    }
    assert_eq!(left, [1302, 802, 302], "each start goes on where the one before was");
    let app = Start::alone(&data).start();
    assert_eq!(without_keys(&data), 0);
    assert_eq!(sign_in(&app, "Beck@example.org", PASSWORD).1.status, 201);
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM user"), 1302);
}

#[test]
fn a_sign_in_looks_at_no_other_users() {
    let data = Data::new();
    let file = data.directory.path().join("statements");
    let app = Start::alone(&data).start();
    join(&app, "member", "beck@example.org");
    app.stop();
    add_users(&data, 10_000);
    let app = Start::alone(&data).env("HEARTH_RECORD_STATEMENTS", file.display()).start();
    fs::write(&file, "").unwrap();
    assert_eq!(sign_in(&app, "Beck@example.org", PASSWORD).1.status, 201);
    assert_eq!(sign_in(&app, "nobody@example.org", PASSWORD).1.status, 401);
    let invitation = json!({ "role": "guest", "email": "n77@example.org" });
    app.send("POST", "/api/v1/invitations", &invitation).problem(400);
    app.stop();
    let connection = Connection::open(data.database()).unwrap();
    let statements: BTreeSet<String> = fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect();
    let of_users: Vec<_> = statements.iter().filter(|statement| statement.contains("\"user\"")).collect();
    assert!(of_users.iter().any(|statement| statement.contains("email_key")), "{of_users:#?}");
    for statement in of_users {
        let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        let plan: Vec<String> = explained.raw_query().mapped(|row| row.get(3)).map(Result::unwrap).collect();
        // Whether there is anybody at all is known from the first.
        let is_short = statement.ends_with(" LIMIT ?");
        assert!(is_short || !plan.iter().any(|step| step.contains("SCAN user")), "{statement}: {plan:?}");
    }
}
