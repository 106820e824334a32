//! What does an older release's app make of this source's databases? `cargo migration floor` runs these (docs/MIGRATIONS.md),
//! with `HEARTH_TEST_OLDER_APP` the program.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use crate::{
    client::{Answer, exchange_with_anything},
    harness::{App, Data, OWNER, Start, digest, eventually},
};

fn given(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: cargo migration floor runs this test"))
}

fn get(app: &App, token: Option<&str>, path: &str) -> Answer {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
    exchange_with_anything(app.connect(), "GET", path, &headers, b"")
}

/// The numbers of all records that somebody is shown; none where the app refuses.
fn shown(app: &App, token: Option<&str>) -> BTreeSet<i64> {
    let mut shown = BTreeSet::new();
    let mut after = String::new();
    loop {
        let answer = get(app, token, &format!("/api/v1/records?limit=100{after}"));
        if answer.status != 200 {
            assert!([401, 403].contains(&answer.status), "{answer:?}");
            return shown;
        }
        let page = answer.json();
        // As 0.3.0 had it.
        let items = page["items"].as_array().or(page["records"].as_array()).unwrap();
        shown.extend(items.iter().map(|record| record["id"].as_i64().unwrap()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return shown,
        }
    }
}

/// A token for each of the household, and none for a stranger.
fn viewers(data: &Data) -> Vec<(String, Option<String>)> {
    let connection = rusqlite::Connection::open(data.database()).unwrap();
    let people: Vec<(i64, String)> = connection
        .prepare("SELECT id, role FROM user WHERE NOT disabled")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    let mut viewers = vec![("a stranger".to_owned(), None)];
    for (id, role) in people {
        let token = format!("hearth_{:0>43}", 7000 + id);
        connection
            .execute(
                "INSERT INTO api_token (user_id, name, token_hash, scope, created_at)
                 VALUES (?, 'viewer', ?, 'admin', '2026-11-24T12:00:00.000Z')",
                rusqlite::params![id, digest(&token)],
            )
            .unwrap();
        viewers.push((format!("the {role} {id}"), Some(token)));
    }
    viewers
}

#[test]
#[ignore = "cargo migration floor runs it: it needs the program of an older release"]
fn an_older_program_shows_nobody_more() {
    let (data, older) = (Data::new(), given("HEARTH_TEST_OLDER_APP"));
    let viewers = viewers(&data);
    let lists = ["users", "people", "invitations", "audit-events", "tokens", "sessions"];
    let seen = |start: Start| {
        let app = start.start();
        let seen: Vec<(BTreeSet<i64>, Vec<u16>)> = viewers
            .iter()
            .map(|(_, token)| {
                let token = token.as_deref();
                let statuses = lists.iter().map(|list| get(&app, token, &format!("/api/v1/{list}")).status);
                (shown(&app, token), statuses.collect())
            })
            .collect();
        app.stop();
        seen
    };
    let ours = seen(Start::alone(&data));
    assert!(ours.iter().any(|(records, _)| !records.is_empty()), "nobody sees a record");
    let theirs = seen(Start::alone(&data).program(&older));
    for (((viewer, _), ours), theirs) in viewers.iter().zip(ours).zip(theirs) {
        let more: Vec<_> = theirs.0.difference(&ours.0).collect();
        assert!(
            more.is_empty(),
            "it shows {viewer} {} records that this source's app keeps from them, such as {}",
            more.len(),
            more[0]
        );
        for ((list, ours), theirs) in lists.iter().zip(ours.1).zip(theirs.1) {
            assert!(
                theirs != 200 || ours == 200,
                "it shows {viewer} /api/v1/{list}, which this source's app answers with {ours}"
            );
        }
    }
}

/// Whether this program is content with a database that is being proven.
fn accepts(data: &Data, program: Option<&str>) -> bool {
    let start = Start::probation(data);
    let mut app = match program {
        Some(program) => start.program(program),
        None => start,
    }
    .spawn();
    let is_ready = eventually("readiness or the exit", || {
        if app.said().iter().any(|said| said.starts_with("READY=1")) {
            return Some(true);
        }
        app.child.try_wait().unwrap().map(|_| false)
    });
    if is_ready {
        app.stop();
    }
    is_ready
}

#[test]
#[ignore = "cargo migration floor runs it: it needs what the tests of an older release left"]
fn what_an_older_program_left_is_read() {
    let older = given("HEARTH_TEST_OLDER_APP");
    let directory = PathBuf::from(given("HEARTH_TEST_KEPT"));
    let is_database = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "db");
    let mut kept: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    kept.retain(is_database);
    kept.sort();
    assert!(!kept.is_empty(), "no test of the older release left a database");
    let kept = std::sync::Mutex::new(kept.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let next = kept.lock().unwrap().next();
                    match next {
                        Some(database) => is_read(&database, &older),
                        None => return,
                    }
                }
            });
        }
    });
}

/// This source's app proves the database as after an upgrade, and shows all of it that its owner may see.
fn is_read(database: &Path, older: &str) {
    let of = database.file_stem().unwrap().to_string_lossy().into_owned();
    let data = Data::new();
    for suffix in ["", "-wal"] {
        let from = PathBuf::from(format!("{}{suffix}", database.display()));
        if from.exists() {
            fs::copy(from, format!("{}{suffix}", data.database().display())).unwrap();
        }
    }
    if !accepts(&data, None) {
        // Some tests leave what no program accepts, by intent.
        assert!(!accepts(&data, Some(older)), "what its test {of} left is not read by this source's app");
        return;
    }
    let owner = format!(
        "SELECT id FROM user WHERE id = (SELECT user_id FROM api_token WHERE token_hash = '{}')",
        digest(OWNER)
    );
    if data.count(&format!("SELECT count(*) FROM ({owner} AND role = 'owner' AND NOT disabled)")) == 0 {
        return;
    }
    let app = Start::alone(&data).start();
    for list in ["users", "people", "invitations", "audit-events", "tokens", "records/changes"] {
        let answer = get(&app, Some(OWNER), &format!("/api/v1/{list}"));
        assert_eq!(answer.status, 200, "after its test {of}, /api/v1/{list}: {answer:?}");
    }
    let records = shown(&app, Some(OWNER)).len();
    app.stop();
    let visible =
        data.count(&format!("SELECT count(*) FROM record WHERE visibility = 'household' OR owner_id = ({owner})"));
    assert_eq!(i64::try_from(records).unwrap(), visible, "after its test {of}, not each record is shown");
}
