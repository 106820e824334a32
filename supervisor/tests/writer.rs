//! A backup beside a writer of 200 commits a second, each with an fsync: no write fails, and the copy is of one moment.
//!
//! `HEARTH_TEST_DATABASE_MIB=1024` makes it the long version. What the writer felt is printed and not asserted.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    fs::{self, File},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use harness::{Hearth, get};
use rusqlite::{Connection, params};
use serde_json::Value;

/// Time between two commits: 200 a second.
const PACE: Duration = Duration::from_millis(5);
/// The database of the short version.
const MIB: u64 = 24;
/// How long the writer is watched at least, in each part.
const WATCHED: Duration = Duration::from_secs(2);

/// Fills a table with what compresses to about half.
fn fill(path: &Path, mib: u64) {
    const ROW: usize = 64 << 10;
    let mut database = Connection::open(path).unwrap();
    database.execute_batch("CREATE TABLE ballast (x BLOB); CREATE TABLE written (number INTEGER PRIMARY KEY)").unwrap();
    let mut row = vec![0; ROW];
    let transaction = database.transaction().unwrap();
    for number in 0..(mib << 20) / ROW as u64 {
        blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut row[..ROW / 2]);
        transaction.execute("INSERT INTO ballast VALUES (?1)", params![row]).unwrap();
    }
    transaction.commit().unwrap();
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

/// Writes number after number, each in a commit of its own.
struct Writer {
    stop: Arc<AtomicBool>,
    /// The last number that was committed.
    committed: Arc<AtomicI64>,
    hand: JoinHandle<Vec<(Instant, Duration)>>,
}

impl Writer {
    fn start(path: &Path) -> Self {
        let database = Connection::open(path).unwrap();
        database.execute_batch("PRAGMA synchronous = FULL").unwrap();
        database.busy_timeout(Duration::from_secs(5)).unwrap();
        let (stop, committed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
        let (stopped, done) = (stop.clone(), committed.clone());
        let hand = thread::spawn(move || {
            let mut felt = Vec::new();
            let mut due = Instant::now();
            for number in 1.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                thread::sleep(due.saturating_duration_since(Instant::now()));
                database
                    .execute("INSERT INTO written VALUES (?1)", params![number])
                    .unwrap_or_else(|error| panic!("write {number} failed: {error}"));
                // From when it was due: who had to wait behind another waited, too.
                felt.push((due, due.elapsed()));
                done.store(number, Ordering::Release);
                due += PACE;
            }
            felt
        });
        Self { stop, committed, hand }
    }

    fn committed(&self) -> i64 {
        self.committed.load(Ordering::Acquire)
    }

    fn finish(self) -> Vec<(Instant, Duration)> {
        self.stop.store(true, Ordering::Relaxed);
        self.hand.join().expect("no write failed")
    }
}

/// Does something over and over while the writer is watched; returns from when to when.
fn watched(mut work: impl FnMut()) -> (Instant, Instant) {
    let since = Instant::now();
    loop {
        work();
        if since.elapsed() >= WATCHED {
            return (since, Instant::now());
        }
    }
}

fn tell(name: &str, felt: &[(Instant, Duration)], (since, until): (Instant, Instant)) {
    let mut felt: Vec<Duration> =
        felt.iter().filter(|(due, _)| (since..until).contains(due)).map(|(_, time)| *time).collect();
    felt.sort();
    let at = |part: f64| felt.get((felt.len() as f64 * part) as usize).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    println!(
        "{name:22} {:6} writes in {:5.1} s: p50 {:6.2} ms, p99 {:7.2} ms, longest {:7.2} ms",
        felt.len(),
        until.duration_since(since).as_secs_f64(),
        at(0.5),
        at(0.99),
        felt.last().map_or(0.0, |time| time.as_secs_f64() * 1e3)
    );
}

#[test]
fn no_write_fails_beside_a_backup_and_it_holds_a_prefix_of_them_without_a_gap() {
    let mib = std::env::var("HEARTH_TEST_DATABASE_MIB").map_or(MIB, |mib| mib.parse().expect("a number of MiB"));
    let mut hearth = Hearth::new();
    // However many are made while the writer is watched, each is looked at afterwards.
    hearth.patient().set("HEARTH_BACKUP__KEEP_LAST", "1000");
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    let database = hearth.database().canonicalize().unwrap();
    fill(&database, mib);
    let mut running = hearth.start();
    let address = running.wait_serving();

    let writer = Writer::start(&database);
    let alone = watched(|| thread::sleep(WATCHED));
    let mut made: Vec<(i64, Value)> = Vec::new();
    let backing_up = watched(|| {
        let before = writer.committed();
        made.push((before, hearth.backup(&[])));
    });
    let copying = watched(|| {
        let copy = hearth.root.path().join("copy.db");
        fs::copy(&database, &copy).unwrap();
        File::open(&copy).unwrap().sync_all().unwrap();
        fs::remove_file(copy).unwrap();
    });
    let last = writer.committed();
    let felt = writer.finish();
    println!("a database of {mib} MiB, 200 commits a second, synchronous=FULL");
    tell("the writer alone", &felt, alone);
    tell("beside backups", &felt, backing_up);
    tell("beside cp and fsync", &felt, copying);
    assert_eq!(get(address, "/health").status, 200);

    for (before, made) in &made {
        let archive = made["archive"].as_str().unwrap();
        let restored = hearth.root.path().join("restored.db");
        let opened = supervisor::work::backup::archive::read::open(File::open(archive).unwrap(), archive).unwrap();
        opened.extract(&restored, supervisor::work::backup::archive::read::Files::Check, &mut |_, _| ()).unwrap();
        let copy = Connection::open(&restored).unwrap();
        let one = |sql: &str| copy.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        let check = copy.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap();
        assert_eq!(check, "ok");
        let (count, highest) =
            (one("SELECT count(*) FROM written"), one("SELECT coalesce(max(number), 0) FROM written"));
        assert_eq!(count, highest, "there is a gap");
        assert!((*before..=last).contains(&highest), "{highest} is not between {before} and {last}");
        drop(copy);
        fs::remove_file(restored).unwrap();
    }
}
