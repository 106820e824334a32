//! What is found after the power is back?
//!
//! First on the disk as it is, and then as the next start makes of it: it serves without being asked to, and nothing
//! is left of what was under way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use crate::{
    disk::Ground,
    harness::{Hearth, get, hash, household},
    imports::{self, IMPORTED},
    ledger::{ATTACHED, Records, Window, live, told_by},
    story::{Cut, NEW, OLD, SNAPSHOT, Story, hearth_on},
};

/// Looks at the disk that a cut has left, and starts on it; returns what was found, in a few words.
pub(crate) fn check(story: Story, ground: &Ground, cut: &Cut) -> String {
    let mount = ground.mount(&cut.disk);
    let mut hearth = hearth_on(&mount);
    let live = live(mount.path()).expect("a live generation");
    assert!(cut.may_be_live.contains(&live), "{live} is live, and not one of {:?}", cut.may_be_live);
    let mut found = format!("generation {live} live");
    let missing = match live == NEW {
        true => &[][..],
        false => &cut.disturbed,
    };

    let complete = complete(&hearth, &live);
    for kept in [Some(OLD), Some(SNAPSHOT).filter(|_| live != NEW)].into_iter().flatten() {
        assert!(complete.contains(kept), "generation {kept} is gone, and {live} is live");
    }
    for generation in &complete {
        assert!(generation != NEW || live == NEW, "{NEW} is complete, though it is not live");
        let records = look_into(&hearth, generation, story.migrations(generation), &cut.imports);
        cut.window.check(generation, &records, "the disk");
    }
    let records = look_into(&hearth, &live, story.migrations(&live), &cut.imports);
    check_attachments(&hearth, &records, missing);

    story.run_last_version(&mut hearth);
    let mut running = hearth.start();
    let address = running.wait_serving();
    assert!(told_by(address) == records, "the app tells something else than what is on the disk:\n{}", running.log());
    assert_eq!(get(address, "/health").status, 200);
    household::add(address, &serde_json::json!({"title": "the power is back"}));
    running.wait("nothing to be left over", || leftovers(&hearth.data).is_empty().then_some(()));
    if story.has_backups() {
        let listed = check_backups(&hearth, cut);
        found = format!("{found}, {} backups", listed.len());
        if let (Some(begun), false) = (&cut.backup_begun, listed.is_subset(&cut.backups) && listed.len() == 1) {
            // What is in it was there at some moment after it was begun.
            hearth.done(&["restore", "latest", "--yes"]);
            let window = Window { before: begun.clone(), after: cut.window.after.clone() };
            window.check(OLD, &told_by(address), "the backup");
        }
    }
    let records = told_by(address);
    check_attachments(&hearth, &records, missing);
    assert_eq!(running.stop().code(), Some(0), "{}", running.log());
    hearth.assert_tidy();
    assert_eq!(leftovers(&hearth.data), Vec::<PathBuf>::new());
    let live = hearth.live().unwrap();
    let last = if story == Story::Upgrade { NEW } else { &live };
    assert!(look_into(&hearth, last, story.migrations(last), &[]) == records, "what was told is not what is there");
    found
}

/// Returns the generations that were committed.
fn complete(hearth: &Hearth, live: &str) -> BTreeSet<String> {
    let is_complete = |name: &String| {
        let directory = hearth.data.join("generations").join(name);
        let is_empty = || fs::read_dir(&directory).unwrap().next().is_none();
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
        is_number && (name == live || !(directory.join("STAGING").exists() || is_empty()))
    };
    hearth.generations().into_iter().filter(is_complete).collect()
}

/// Looks into a generation: its database is whole and of this version. On a copy, so that nothing is put right by looking.
fn look_into(hearth: &Hearth, generation: &str, migrations: usize, answered: &[(String, usize)]) -> Records {
    let place = tempfile::tempdir().unwrap();
    let number = generation;
    let generation = hearth.data.join("generations").join(generation);
    for name in ["app.db", "app.db-wal", "app.db-journal"] {
        if generation.join(name).exists() {
            fs::copy(generation.join(name), place.path().join(name)).unwrap();
        }
    }
    let database = Connection::open(place.path().join("app.db")).unwrap();
    let column = |sql: &str| -> Vec<String> {
        let mut statement = database.prepare(sql).unwrap_or_else(|error| panic!("{}: {error}", generation.display()));
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(column("PRAGMA integrity_check"), ["ok"], "{}", generation.display());
    assert!(column("SELECT \"table\" FROM pragma_foreign_key_check").is_empty(), "{}", generation.display());
    for ledger in ["SELECT version FROM seaql_migrations", "SELECT name FROM migration_ledger"] {
        assert_eq!(column(ledger).len(), migrations, "{}: {ledger}", generation.display());
    }
    imports::check(&database, number, &hearth.data, answered);
    column("SELECT title FROM record ORDER BY id")
        .into_iter()
        .zip(column("SELECT notes FROM record ORDER BY id"))
        .filter(|(title, _)| !title.starts_with(IMPORTED))
        .collect()
}

/// Asserts that every attachment that a record refers to is there, and that every file is what its name says; but for
/// those that are known to be missing.
fn check_attachments(hearth: &Hearth, records: &Records, missing: &[String]) {
    let is_missing = |path: &str| missing.iter().any(|missing| missing == path);
    let referred_to = records.values().filter_map(|notes| notes.strip_prefix(ATTACHED));
    for path in referred_to.filter(|path| !is_missing(path)) {
        assert!(hearth.data.join(path).is_file(), "{path} is referred to, and is not there");
    }
    for file in walk(&hearth.data.join("files")).into_iter().filter(|path| path.is_file() && !is_hidden(path)) {
        let path = file.strip_prefix(&hearth.data).unwrap().to_str().unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(is_missing(path) || hash(&file) == name, "{path} is not what its name says");
    }
}

/// Asserts that those backups are listed that were made, and that whatever is listed is complete; returns the ids.
fn check_backups(hearth: &Hearth, cut: &Cut) -> BTreeSet<String> {
    let listed: BTreeSet<String> =
        hearth.backups().iter().map(|listed| listed["backup"]["id"].as_str().unwrap().to_owned()).collect();
    assert!(listed.is_superset(&cut.backups), "{:?} were made, and {listed:?} are listed", cut.backups);
    hearth.done(&["backup", "verify", "--all"]);
    for backup in hearth.backups() {
        assert!(backup["backup"]["damage"].is_null() && backup["backup"]["verified_at"].is_string(), "{backup}");
    }
    listed
}

/// Returns what is there while something is under way, and must not be there afterwards.
fn leftovers(data: &Path) -> Vec<PathBuf> {
    let is_left_over =
        |path: &PathBuf| is_hidden(path) || path.ends_with("STAGING") || path.ends_with("supervisor/scratch");
    walk(data).into_iter().filter(is_left_over).collect()
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().unwrap().as_encoded_bytes().starts_with(b".")
}

/// Returns everything below a directory. What goes meanwhile is not there.
fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(walk(&path));
        }
        found.push(path);
    }
    found
}
