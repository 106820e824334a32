//! What has the household written, and is it there?
//!
//! A [`House`] is a data directory with a [`Book`] for each generation: what its client was answered, and what it has
//! asked for and never got an answer to, which may have been done or not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use nix::fcntl::{Flock, FlockArg};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::{
    harness::{Hearth, MIGRATIONS, household, request, wait_for},
    vault,
};

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    title: String,
    category: String,
    notes: String,
    due_date: Option<String>,
}

impl Content {
    fn of(record: &Value) -> Self {
        let text = |key: &str| record[key].as_str().map(str::to_owned);
        Self {
            title: text("title").unwrap_or_default(),
            category: text("category").unwrap_or_default(),
            notes: text("notes").unwrap_or_default(),
            due_date: text("due_date"),
        }
    }
}

/// What one generation holds, as far as its client can know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    /// By id, what a record may be; `None`: gone. More than one where a change was never answered.
    records: BTreeMap<i64, Vec<Option<Content>>>,
    /// The titles of records whose addition was never answered.
    unanswered: BTreeSet<String>,
    count: usize,
}

impl Book {
    /// Adds, changes or removes a record, in turn; returns whether it was answered with success.
    pub(crate) fn write(&mut self, address: SocketAddr) -> bool {
        let known: Vec<i64> =
            self.records.iter().filter(|(_, may_be)| may_be.iter().all(Option::is_some)).map(|(id, _)| *id).collect();
        let some = known.get(self.count % known.len().max(1)).copied();
        match (self.count % 8, some) {
            (2 | 5, Some(id)) => self.change(address, id),
            (7, Some(id)) => self.remove(address, id),
            _ => self.add(address),
        }
    }

    /// Adds a record that is like no other; returns whether it was answered with success.
    pub(crate) fn add(&mut self, address: SocketAddr) -> bool {
        self.count += 1;
        let mut record = household::record(self.count);
        let title = format!("{}, the only one", record["title"].as_str().unwrap());
        record["title"] = json!(title);
        match request(address, "POST", "/api/v1/records", "application/json", Some(&record)) {
            Ok(answer) if answer.status == 201 => {
                let answered = answer.json();
                let id = answered["id"].as_i64().unwrap();
                let earlier = self.records.insert(id, vec![Some(Content::of(&answered))]);
                assert!(earlier.is_none(), "the id {id} was given to two records");
                true
            }
            Ok(answer) if answer.status == 503 => false,
            Ok(answer) => panic!("adding a record: {answer:?}"),
            Err(_) => {
                self.unanswered.insert(title);
                false
            }
        }
    }

    fn change(&mut self, address: SocketAddr, id: i64) -> bool {
        self.count += 1;
        let path = format!("/api/v1/records/{id}");
        let mut after = self.records[&id].last().unwrap().clone().unwrap();
        after.notes = format!("changed {}", self.count);
        let body = json!({"notes": after.notes});
        match request(address, "PATCH", &path, "application/json", Some(&body)) {
            Ok(answer) if answer.status == 200 => {
                self.records.insert(id, vec![Some(Content::of(&answer.json()))]);
                true
            }
            Ok(answer) if answer.status == 503 => false,
            Ok(answer) => panic!("changing record {id}: {answer:?}"),
            Err(_) => {
                // As it was, or as it was to become.
                self.records.get_mut(&id).unwrap().push(Some(after));
                false
            }
        }
    }

    fn remove(&mut self, address: SocketAddr, id: i64) -> bool {
        self.count += 1;
        match request(address, "DELETE", &format!("/api/v1/records/{id}"), "application/json", None) {
            Ok(answer) if answer.status == 204 => {
                self.records.insert(id, vec![None]);
                true
            }
            Ok(answer) if answer.status == 503 => false,
            Ok(answer) => panic!("removing record {id}: {answer:?}"),
            Err(_) => {
                self.records.get_mut(&id).unwrap().push(None);
                false
            }
        }
    }

    /// Asserts that these records are the book's. What they say is then known of what had no answer: what is there
    /// after one crash must be there after the next.
    pub(crate) fn check(&mut self, found: &BTreeMap<i64, Content>, place: &str) {
        for (id, may_be) in &mut self.records {
            let here = found.get(id).cloned();
            assert!(may_be.contains(&here), "{place}: record {id} is {here:?} and not {may_be:?}");
            *may_be = vec![here];
        }
        for (id, here) in found.iter().filter(|(id, _)| !self.records.contains_key(id)).collect::<Vec<_>>() {
            assert!(self.unanswered.remove(&here.title), "{place}: nobody has written {here:?}");
            self.records.insert(*id, vec![Some(here.clone())]);
        }
    }
}

/// The migrations of releases that never were: version 0 has only those of this release, version 1 the first one of
/// these too, and so on.
const LATER: [&str; 3] = ["m9001_good", "m9002_good2", "m9010_slow"];

/// What a generation's database holds.
struct Inside {
    version: usize,
    records: BTreeMap<i64, Content>,
}

/// Looks into a generation: its database is whole, and of one version or the other. On a copy, so that nothing which
/// a crash has left is put right by looking.
fn look_into(generation: &Path) -> Inside {
    let place = tempfile::tempdir().unwrap();
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
    // The ledgers and what the migrations made say the same.
    let applied = column("SELECT version FROM seaql_migrations ORDER BY version");
    assert_eq!(column("SELECT name FROM migration_ledger ORDER BY name"), applied, "{}", generation.display());
    let all: Vec<&str> = MIGRATIONS.iter().map(String::as_str).chain(LATER).collect();
    assert_eq!(
        all.get(..applied.len()),
        Some(&applied.iter().map(String::as_str).collect::<Vec<_>>()[..]),
        "{}: a mixture",
        generation.display()
    );
    let version = applied.len().checked_sub(MIGRATIONS.len());
    let version = version.unwrap_or_else(|| panic!("{}: half of this release: {applied:?}", generation.display()));
    let made = column(
        "SELECT name FROM pragma_table_info('record') WHERE name IN ('colour', 'weight')
         UNION ALL SELECT name FROM sqlite_schema WHERE name IN
         ('label', 'record_colour', 'record_due', 'record_count', 'record_count_insert', 'slow')",
    );
    assert_eq!(made.len(), [0, 3, 7, 8][version], "{}: half upgraded: {made:?}", generation.display());
    let mut rows = database.prepare("SELECT id, title, category, notes, due_date FROM record").unwrap();
    let records = rows.query_map([], |row| {
        let (title, category, notes, due_date) = (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
        Ok((row.get(0)?, Content { title, category, notes, due_date }))
    });
    Inside { version, records: records.unwrap().map(Result::unwrap).collect() }
}

/// A household's data directory, and what is known of what is in it.
pub(crate) struct House {
    pub(crate) hearth: Hearth,
    /// What each generation holds.
    books: BTreeMap<String, Book>,
    /// Which of the versions each generation is of.
    versions: BTreeMap<String, usize>,
    /// The generation that is being made, and the one it is a clone of.
    pub(crate) making: (String, Option<String>),
    /// The snapshot that retention no longer keeps once that one is live.
    pub(crate) expendable: Option<String>,
    /// The directory that is its destination for backups, if it makes any.
    pub(crate) far: Option<PathBuf>,
    /// The attachments that a backup holds, by their paths below the data directory.
    pub(crate) attachments: BTreeMap<String, Vec<u8>>,
}

/// The name of the book of what is in the newest backup.
const BACKUP: &str = "backup";

impl House {
    pub(crate) fn new() -> Self {
        let mut hearth = Hearth::new();
        hearth.set("HEARTH_STOP__GRACE", "2s");
        let (books, versions) = (BTreeMap::new(), BTreeMap::from([("0001".into(), 0)]));
        Self {
            hearth,
            books,
            versions,
            making: ("0001".into(), None),
            expendable: None,
            far: None,
            attachments: BTreeMap::new(),
        }
    }

    pub(crate) fn copy(&self) -> Self {
        let mut copy = Self {
            hearth: self.hearth.copy(),
            books: self.books.clone(),
            versions: self.versions.clone(),
            making: self.making.clone(),
            expendable: self.expendable.clone(),
            far: None,
            attachments: self.attachments.clone(),
        };
        if let Some(far) = &self.far {
            let own = copy.hearth.root.path().join("far");
            assert!(Command::new("cp").arg("-a").args([far, &own]).status().unwrap().success());
            // It stands for this very house, and is no copy beside it, which would get a name of its own.
            for instance in fs::read_dir(&own).unwrap().flatten() {
                let _ = fs::remove_file(instance.path().join("owner.json"));
            }
            let _ = fs::remove_file(copy.hearth.data.join("supervisor/instance.json"));
            copy.keep_backups_at(own);
        }
        copy
    }

    /// From here on each backup is copied to this directory, and of all there are the newest is kept.
    pub(crate) fn keep_backups_at(&mut self, far: PathBuf) {
        self.hearth.set("HEARTH_BACKUP__DESTINATIONS", format!("[{far:?}]")).set("HEARTH_BACKUP__KEEP_LAST", "1");
        for other in ["DAILY", "WEEKLY", "MONTHLY", "YEARLY"] {
            self.hearth.set(&format!("HEARTH_BACKUP__KEEP_{other}"), "0");
        }
        self.far = Some(far);
    }

    /// Makes a backup, with two attachments, while no supervisor runs.
    pub(crate) fn back_up(&mut self) {
        let far = self.hearth.root.path().join("far");
        fs::create_dir_all(&far).unwrap();
        self.keep_backups_at(far);
        for content in [&b"a scan"[..], b"a photograph"] {
            self.attachments.insert(self.hearth.attach(content), content.to_vec());
        }
        self.hearth.backup(&[]);
        let book = self.live_book().clone();
        self.books.insert(BACKUP.into(), book);
    }

    /// Says what comes next: a generation of this number, restored from the backup.
    pub(crate) fn restore_backup(&mut self, number: &str) {
        self.make(number, BACKUP, 0);
    }

    /// Says what comes next: a generation of this number, as a clone of that one, of one of the versions.
    pub(crate) fn make(&mut self, number: &str, source: &str, version: usize) {
        self.making = (number.to_owned(), Some(source.to_owned()));
        self.versions.insert(number.to_owned(), version);
        self.run_version(version);
    }

    /// From here on this version is started.
    pub(crate) fn run_version(&mut self, version: usize) {
        match version {
            0 => self.hearth.own_migrator(),
            1 => self.hearth.next_migrator("good", "9.1.0"),
            2 => self.hearth.next_migrator("good,good2", "9.2.0"),
            _ => self.hearth.next_migrator("good,good2,slow", "9.3.0"),
        };
    }

    /// Returns the book of this generation; one that was just made begins as a copy of its source's.
    pub(crate) fn book(&mut self, generation: &str) -> &mut Book {
        if !self.books.contains_key(generation) {
            assert_eq!(generation, self.making.0, "nobody is making generation {generation}");
            let book = self.making.1.as_ref().map(|source| self.books[source].clone()).unwrap_or_default();
            self.books.insert(generation.to_owned(), book);
        }
        self.books.get_mut(generation).unwrap()
    }

    /// Returns the book of the live generation.
    pub(crate) fn live_book(&mut self) -> &mut Book {
        let live = self.hearth.live().expect("a live generation");
        self.book(&live)
    }

    /// Waits until no process has the data directory's lock any more.
    pub(crate) fn wait_left_alone(&self) {
        let Ok(lock) = fs::File::open(self.hearth.data.join("supervisor/lock")) else { return };
        let mut lock = Some(lock);
        wait_for("the lock to be free", || match Flock::lock(lock.take()?, FlockArg::LockExclusiveNonblock) {
            Ok(_) => Some(()),
            Err((back, _)) => {
                lock = Some(back);
                None
            }
        });
    }

    /// Asserts what holds at any moment at which no process runs: the live generation is the one before or the one
    /// that was being made, complete, and so is every other that is not marked.
    pub(crate) fn assert_whole(&mut self, before: &[String]) {
        let live = self.hearth.live();
        let complete = self.complete();
        match &live {
            Some(live) => assert!(complete.contains(live), "live is {live}, and {complete:?} are complete"),
            None => assert!(before.is_empty() && complete.is_empty(), "no live generation, and {complete:?}"),
        }
        for name in before.iter().filter(|name| !complete.contains(name)) {
            let may_go = self.expendable.as_ref() == Some(name) && live.as_ref() == Some(&self.making.0);
            assert!(may_go, "{name} is gone; live is {live:?}");
        }
        for name in &complete {
            let new = name == &self.making.0 && live.as_ref() == Some(name);
            assert!(before.contains(name) || new, "{name} is complete, though it is not live and was not there before");
            let inside = look_into(&self.hearth.data.join("generations").join(name));
            assert_eq!(inside.version, self.versions[name], "the version of generation {name}");
            self.book(name).check(&inside.records, &format!("generation {name}"));
        }
        if self.far.is_some() {
            vault::assert_whole(self);
        }
    }

    /// Returns the generations that were committed.
    pub(crate) fn complete(&self) -> Vec<String> {
        self.hearth.generations().into_iter().filter(|name| self.is_complete(name)).collect()
    }

    fn is_complete(&self, name: &str) -> bool {
        let directory = self.hearth.data.join("generations").join(name);
        let is_live = self.hearth.live().as_deref() == Some(name);
        let is_empty = fs::read_dir(&directory).is_ok_and(|mut entries| entries.next().is_none());
        name.bytes().all(|byte| byte.is_ascii_digit()) && !is_empty && (is_live || !directory.join("STAGING").exists())
    }
}

/// Returns all records as the app that serves tells them.
pub(crate) fn told_by(address: SocketAddr) -> BTreeMap<i64, Content> {
    household::all(address).into_iter().map(|(id, record)| (id, Content::of(&record))).collect()
}
