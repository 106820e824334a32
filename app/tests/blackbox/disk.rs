//! A full disk, with a real one: a small tmpfs, for which the test has to be root; and one that does
//! not answer.

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::harness::{Data, OWNER, Start, add_person, eventually, migrate};

#[path = "../../../supervisor/tests/harness/hung.rs"]
mod hung;

struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(kib: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"])
            .arg(directory.path())
            .output()
            .unwrap();
        assert!(mounted.status.success(), "{mounted:?}");
        Self(directory)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
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
    let disk = SmallDisk::mount(4096);
    let data = Data::new();
    let path = disk.0.path().join("app.db");
    migrate(&path);
    add_person(&path, "owner", OWNER);
    let app = Start::alone(&data).env("HEARTH_DATABASE", path.display()).start();
    let first = app.create(&json!({ "title": "first" }));
    let health = app.get("/health");
    // Nothing can be written below 16 MiB, but reading goes on: not a reason to be restarted.
    assert_eq!(health.status, 200);
    assert_eq!(health.json()["status"], "degraded");
    assert_eq!(health.json()["checks"]["disk"]["status"], "failing");

    let ballast = disk.0.path().join("ballast");
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
    assert!(!disk.0.path().join("app.db-wal").exists());
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
