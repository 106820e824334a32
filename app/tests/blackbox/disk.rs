//! A full disk, with a real one: a small tmpfs, for which the test has to be root; and one that does
//! not answer.

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    harness::{Data, OWNER, Start, add_person, eventually, migrate},
    portability,
};

#[path = "../../../supervisor/tests/harness/hung.rs"]
mod hung;

/// A file system of this many KiB at a directory that is there.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path, kib: u32) -> Self {
        let disk = Self(at);
        disk.with(&format!("size={kib}k"));
        disk
    }

    fn grow(&self, kib: u32) {
        self.with(&format!("remount,size={kib}k"));
    }

    fn with(&self, options: &str) {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(self.0).output().unwrap();
        assert!(mounted.status.success(), "{mounted:?}");
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn in_ci_nothing_is_missing_that_a_test_needs() {
    let missing = env!("TESTS_MISS");
    assert!(std::env::var_os("CI").is_none() || missing.is_empty(), "missing: {missing}");
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn a_full_disk_refuses_writes_keeps_reading_and_recovers() {
    let (data, directory) = (Data::new(), tempfile::tempdir().unwrap());
    let disk = SmallDisk::mount(directory.path(), 4096);
    let path = disk.0.join("app.db");
    migrate(&path);
    add_person(&path, "owner", OWNER);
    let app = Start::alone(&data).env("HEARTH_DATABASE", path.display()).start();
    let first = app.create(&json!({ "title": "first" }));
    let health = app.get("/health");
    // Nothing can be written below 16 MiB, but reading goes on: not a reason to be restarted.
    assert_eq!(health.status, 200);
    assert_eq!(health.json()["status"], "degraded");
    assert_eq!(health.json()["checks"]["disk"]["status"], "failing");

    let ballast = disk.0.join("ballast");
    let _ = fs::write(&ballast, vec![1; 8 << 20]);
    let notes = "x".repeat(50_000);
    let refused = (0..50)
        .map(|_| app.send("POST", "/api/v1/records", &json!({ "title": "more", "notes": notes })))
        .find(|answer| answer.status != 201)
        .expect("the disk is full");
    refused.problem(507);
    let kept = app.get("/api/v1/records?limit=200").json();
    let kept = kept["items"].as_array().unwrap().len();
    assert_eq!(app.get(&format!("/api/v1/records/{}", first["id"])).json(), first);
    assert_eq!(app.get("/health").status, 200);

    fs::remove_file(&ballast).unwrap();
    app.create(&json!({ "title": "again" }));
    let now = app.get("/api/v1/records?limit=200").json();
    assert_eq!(now["items"].as_array().unwrap().len(), kept + 1);
    app.stop();
    assert!(!disk.0.join("app.db-wal").exists());
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn files_for_which_the_disk_has_no_room_are_refused_as_a_whole_and_come_in_once_it_has() {
    const FILE: usize = 4 << 20;
    let content = |seed: u32| -> Vec<u8> {
        (0..u32::try_from(FILE).unwrap())
            .map(|place| (place.wrapping_mul(2_654_435_761 + 2 * seed) >> 13) as u8)
            .collect()
    };
    let from = Data::new();
    let app = Start::alone(&from).start();
    for number in 0..6 {
        let record = app.create(&json!({ "title": format!("Record {number}") }))["id"].as_i64().unwrap();
        portability::attach(&app, record, "noise.bin", "other", &content(number));
    }
    let archive = portability::export_as(&app, OWNER);
    app.stop();

    // Everything of the data directory is on it. Hearth leaves 64 MiB free, so there is room for the archive, and not for what is in it.
    let data = Data::new();
    let database = fs::read(data.database()).unwrap();
    let disk = SmallDisk::mount(data.directory.path(), 110 << 10);
    fs::write(data.database(), database).unwrap();
    fs::create_dir(data.files()).unwrap();
    let app = Start::alone(&data).start();
    let record = app.create(&json!({ "title": "Boiler" }))["id"].as_i64().unwrap();
    portability::attach(&app, record, "there.bin", "other", &content(7));
    let is_whole = |records: i64, files: i64| {
        assert_eq!(data.count("SELECT count(*) FROM record"), records);
        assert_eq!(data.count("SELECT count(*) FROM attachment"), files);
        let kept = fs::read_dir(data.directory.path().join("uploads")).unwrap().count();
        assert_eq!(kept, 0, "something is left in uploads/");
        let check = Command::new(env!("CARGO_BIN_EXE_app"))
            .args(["files", "check", "--hash"])
            .env("HEARTH_FILES", data.files())
            .env("HEARTH_DATABASE", data.database())
            .output()
            .unwrap();
        assert!(check.status.success(), "{check:?}");
    };
    portability::import(&app, &archive).problem(507);
    is_whole(1, 1);
    let upload = vec![9; 60 << 20];
    let path = format!("/api/v1/records/{record}/attachments?name=large.bin");
    app.ask("POST", &path, &[portability::FILE], &upload).problem(507);
    is_whole(1, 1);
    disk.grow(300 << 10);
    assert_eq!(portability::import(&app, &archive).status, 200);
    is_whole(7, 7);
    app.stop();
    drop(disk);
}

#[test]
fn a_database_that_another_process_locks_is_busy_and_recovers() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    app.create(&json!({ "title": "before" }));
    let other = rusqlite::Connection::open(data.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = std::thread::scope(|scope| {
        let write = scope.spawn(|| app.send("POST", "/api/v1/records", &json!({ "title": "meanwhile" })));
        // That is no reason to be restarted.
        eventually("a degraded app", || (app.get("/health").json()["status"] == "degraded").then_some(()));
        let health = app.get("/health");
        assert_eq!((health.status, &health.json()["checks"]["database"]["status"]), (200, &json!("degraded")));
        write.join().unwrap()
    });
    answer.problem(503);
    assert!(answer.header("retry-after").is_some());
    assert_eq!(app.get("/api/v1/records").json()["items"].as_array().unwrap().len(), 1);
    other.execute_batch("ROLLBACK").unwrap();
    app.create(&json!({ "title": "after" }));
    app.stop();
}

#[test]
#[cfg_attr(not(has = "fuse"), ignore = "needs root and /dev/fuse")]
fn a_disk_that_does_not_answer_holds_up_neither_health_nor_anybody() {
    // Where the attachments are, and where the database is, too.
    for place in ["files", ""] {
        let data = Data::new();
        let app = Start::alone(&data).start();
        app.create(&json!({ "title": "Boiler" }));
        assert_eq!(app.get("/health").json()["status"], "ok");
        let hung = hung::Hung::mount(&data.directory.path().join(place));
        thread::scope(|scope| {
            // More than the app has threads.
            let asked: Vec<_> = (0..8).map(|_| scope.spawn(|| app.get("/health"))).collect();
            let begun = Instant::now();
            // Without its database it cannot answer but for its health.
            let asked_for = if place.is_empty() { 0 } else { 5 };
            for _ in 0..asked_for {
                assert_eq!(app.get("/api/v1/records").json()["items"][0]["title"], "Boiler", "{place:?}");
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{place:?}: {:?}", begun.elapsed());
            for health in asked {
                let health = health.join().unwrap().json();
                assert_eq!(health["status"], "degraded", "{place:?}: {health}");
                assert!(health.to_string().contains("answered for"), "{place:?}: {health}");
            }
        });
        drop(hung);
        eventually("health", || (app.get("/health").json()["status"] == "ok").then_some(()));
        app.stop();
    }
}
