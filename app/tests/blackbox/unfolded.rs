//! What an older program wrote on the newer schema is made ready at the start, also where that start is killed.

use rusqlite::{Connection, ToSql};

use crate::harness::{App, Data, Start, eventually};

/// What 0.4.0 prepares to write a record, word for word.
fn released(beginning: &str) -> String {
    let text = include_str!("../../../migrator/releases/0.4.0.statements");
    text.lines().find(|line| line.starts_with(beginning)).unwrap().to_owned()
}

/// Does as 0.4.0 does.
fn as_released(data: &Data, beginning: &str, values: &[&dyn ToSql]) -> Option<i64> {
    let connection = Connection::open(data.database()).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    let mut statement = connection.prepare(&released(beginning)).unwrap();
    statement.query(values).unwrap().next().unwrap().map(|row| row.get(0).unwrap())
}

const MOMENT: &str = "2026-11-24T12:00:00.000Z";

fn ids(app: &App, query: &str) -> Vec<i64> {
    let (mut ids, mut after) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("/api/v1/records?limit=200&{query}{after}")).json();
        ids.extend(page["items"].as_array().unwrap().iter().map(|record| record["id"].as_i64().unwrap()));
        let Some(next) = page["next"].as_str() else { return ids };
        after = format!("&after={next}");
    }
}

/// The changes behind a cursor, and the cursor behind them.
fn changes(app: &App, after: &str) -> (Vec<(i64, bool)>, String) {
    let page = app.get(&format!("/api/v1/records/changes?limit=200{after}")).json();
    let of = |item: &serde_json::Value| (item["id"].as_i64().unwrap(), item["gone"] == true);
    (page["items"].as_array().unwrap().iter().map(of).collect(), format!("&after={}", page["cursor"].as_str().unwrap()))
}

#[test]
fn what_0_4_0_wrote_is_found_listed_and_counted_after_the_next_start() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    for (title, category) in [("Boiler", "house"), ("Führerschein", "papers"), ("Old", "x")] {
        app.create(&serde_json::json!({ "title": title, "category": category, "notes": "yearly" }));
    }
    let version = |app: &App, id: i64| app.get(&format!("/api/v1/records/{id}")).json()["version"].as_i64().unwrap();
    assert_eq!((version(&app, 1), version(&app, 2)), (1, 1));
    let cursor = changes(&app, "").1;
    app.stop();

    let insert = "INSERT INTO \"record\"";
    let update = "UPDATE \"record\"";
    let new = as_released(
        &data,
        insert,
        &[
            &"自動車保険",
            &"書類",
            &"毎年更新する",
            &"2027-01-31",
            &MOMENT,
            &"2026-11-28T12:00:00.000Z",
            &1,
            &"household",
        ],
    );
    assert_eq!(new, Some(4));
    assert_eq!(
        as_released(&data, insert, &[&"Tagebuch", &"Öl", &"", &None::<String>, &MOMENT, &MOMENT, &1, &"private"]),
        Some(5)
    );
    // Another title and category; and the due date alone, with all columns named as 0.4.0 names them.
    let moved = "2026-11-29T01:00:00.000Z";
    as_released(&data, update, &[&"Öltank", &"Öl", &"yearly", &None::<String>, &MOMENT, &moved, &1, &"household", &1]);
    as_released(
        &data,
        update,
        &[&"Führerschein", &"papers", &"yearly", &"2026-12-24", &MOMENT, &MOMENT, &1, &"household", &2],
    );
    as_released(&data, "DELETE FROM \"record\"", &[&3, &"household", &1]);

    let app = Start::alone(&data).start();
    for (query, expected) in [
        ("search=%E4%BF%9D%E9%99%BA", vec![4]),
        ("search=%E9%99%BA", vec![4]),
        ("search=oltank", vec![1]),
        ("search=%C3%B6l", vec![1, 5]),
        ("search=boiler", vec![]),
        ("search=fuhrer", vec![2]),
        ("search=yearly", vec![1, 2]),
        ("search=old", vec![]),
        ("category=OL", vec![1, 5]),
        ("category=house", vec![]),
        ("category=%E6%9B%B8%E9%A1%9E", vec![4]),
        ("visibility=private", vec![5]),
        ("due_before=2027-12-31&sort=due", vec![2, 4]),
        ("sort=title", vec![2, 1, 5, 4]),
    ] {
        let mut found = ids(&app, query);
        if !query.contains("sort=") {
            found.sort_unstable();
        }
        assert_eq!(found, expected, "{query}");
    }
    assert_eq!(ids(&app, "sort=updated_desc")[0], 1);
    assert_eq!([1, 2, 4, 5].map(|id| version(&app, id)), [2, 2, 1, 1]);
    let (changed, _) = changes(&app, &cursor);
    assert_eq!(changed, [(4, false), (1, false), (2, false), (3, true), (5, false)]);
    app.stop();
}

/// Adds so many records that are found by one word, as who does not know how they are searched.
fn add_stale(data: &Data, number: usize) {
    data.sql(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number})
         INSERT INTO record (title, category, notes, created_at, updated_at)
             SELECT 'Kühlschrank ' || i, 'house', 'word' || i, '{MOMENT}', '{MOMENT}' FROM n"
    ));
}

fn stale(data: &Data) -> i64 {
    data.count("SELECT count(*) FROM record WHERE fold_version <> 2")
}

/// What is folded is in the index, whole, and nothing else is.
fn assert_consistent(data: &Data, number: i64) {
    let indexed = "SELECT count(*) FROM record_search WHERE record_search MATCH '\".sch\" AND \"=house\"'";
    let folded =
        "SELECT count(*) FROM record WHERE fold_version = 2 AND folded LIKE 'kuhlschrank %' AND title_key NOT NULL";
    assert_eq!(data.count(indexed), data.count(folded));
    assert_eq!(data.count(folded) + stale(data), number);
}

fn assert_all_found(data: &Data, number: usize) {
    assert_eq!(stale(data), 0);
    let app = Start::alone(data).start();
    assert_eq!(ids(&app, "search=kuhlschrank").len(), number);
    assert_eq!(ids(&app, "category=HOUSE&sort=title").len(), number);
    assert_eq!(ids(&app, "search=k&sort=due").len(), number);
    assert_eq!(ids(&app, &format!("search=word{number}")).len(), 1);
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM record"), i64::try_from(number).unwrap());
    assert_eq!(data.count("SELECT count(*) FROM record WHERE version <> 1"), 0, "folding is no change");
    data.sql("INSERT INTO record_search (record_search) VALUES ('integrity-check')");
}

#[test]
fn a_start_killed_after_each_batch_of_folding_is_taken_up_by_the_next() {
    let data = Data::new();
    add_stale(&data, 350);
    let mut left = vec![stale(&data)];
    while stale(&data) > 0 && left.len() < 9 {
        let mut app = Start::alone(&data).env("HEARTH_FAULT", "app.committed=kill").spawn();
        assert!(!app.wait().success());
        assert_consistent(&data, 350);
        left.push(stale(&data));
    }
    assert_eq!(left, [350, 250, 150, 50, 0]);
    assert_all_found(&data, 350);
    // By the rules of another version: what is there is found until it is folded anew.
    data.sql("UPDATE record SET fold_version = 9, folded = 'other'; UPDATE record_state SET fold_version = 9");
    let mut app = Start::alone(&data).env("HEARTH_FAULT", "app.committed=kill").spawn();
    assert!(!app.wait().success());
    assert_eq!((stale(&data), data.count("SELECT fold_version FROM record_state")), (250, 9));
    Start::alone(&data).start().stop();
    assert_eq!((stale(&data), data.count("SELECT fold_version FROM record_state")), (0, 1));
    assert_all_found(&data, 350);
}

#[test]
fn a_start_killed_at_any_moment_of_folding_is_taken_up_by_the_next() {
    let data = Data::new();
    let number = 3000;
    add_stale(&data, number);
    let mut left = stale(&data);
    let mut kills = 0;
    while left > 500 {
        let mut app = Start::alone(&data).spawn();
        // Somewhere in a later batch than the first.
        eventually("progress", || (stale(&data) < left - 150).then_some(()));
        app.child.kill().unwrap();
        app.wait();
        kills += 1;
        assert_consistent(&data, i64::try_from(number).unwrap());
        left = stale(&data);
    }
    assert!(kills > 0);
    Start::alone(&data).start().stop();
    assert_all_found(&data, number);
}
