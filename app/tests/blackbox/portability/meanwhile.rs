//! Others go on while somebody imports.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{import, interrupted::binder, packed};
use crate::harness::{Data, Start, eventually};

/// How many records, of which as many as fit into the time of a test have files.
const RECORDS: usize = 5000;
const FILES: usize = 200;

#[test]
fn others_save_while_somebody_imports_a_whole_binder() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let archive = packed(&binder(RECORDS, FILES));
    let is_done = AtomicBool::new(false);
    let (took, waits) = thread::scope(|scope| {
        let saver = scope.spawn(|| {
            let mut waits = Vec::new();
            while !is_done.load(Ordering::Relaxed) {
                let begun = Instant::now();
                app.create(&json!({ "title": "Meanwhile", "notes": "saved by another" }));
                waits.push(begun.elapsed());
                thread::sleep(Duration::from_millis(50));
            }
            waits
        });
        let begun = Instant::now();
        let report = import(&app, &archive);
        let took = begun.elapsed();
        is_done.store(true, Ordering::Relaxed);
        let report = report.json();
        assert_eq!((&report["records"], &report["attachments"]), (&json!(RECORDS), &json!(FILES)));
        (took, saver.join().unwrap())
    });
    let longest = waits.iter().max().unwrap();
    println!("an import of {RECORDS} records took {took:?}; of {} saves the longest took {longest:?}", waits.len());
    // Not a second on any machine where this is not compiled for tests: there it is a fraction of that.
    assert!(*longest < Duration::from_secs(10), "{longest:?}");
    let saved = i64::try_from(RECORDS + waits.len()).unwrap();
    assert_eq!(data.count("SELECT count(*) FROM record"), saved);
    // The search is told of all of them, while others go on.
    let found = || app.get("/api/v1/records?search=00004999").json()["items"].as_array().unwrap().len();
    eventually("the last record found", || (found() == 1).then_some(()));
    eventually("all known to the search", || {
        (data.count("SELECT count(*) FROM record WHERE fold_version = 0") == 0).then_some(())
    });
    app.stop();
}
