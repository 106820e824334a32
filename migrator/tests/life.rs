//! An upgrade shows each second that it works, and how far it is; one that hangs shows nothing.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use common::{Place, next};
use serde_json::Value;

/// A migrator at work, and what it prints with the moment of each document.
struct AtWork {
    child: Child,
    printed: Receiver<(Instant, Value)>,
}

impl AtWork {
    fn start(place: &Place, mut command: Command) -> AtWork {
        command.args(["up", "--json", "--database"]).arg(&place.database).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, printed) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                sender.send((Instant::now(), serde_json::from_str(&line).unwrap())).ok();
            }
        });
        AtWork { child, printed }
    }

    /// Everything that it prints until its end.
    fn finish(mut self) -> Vec<(Instant, Value)> {
        let all = self.printed.iter().collect();
        assert!(self.child.wait().unwrap().success());
        all
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_statement_that_takes_some_seconds_shows_each_second_that_it_works() {
    let place = Place::with_records(10);
    let all = AtWork::start(&place, next("statement")).finish();
    let at = |event: &str| all.iter().position(|(_, document)| document["event"] == event).unwrap();
    let during = &all[at("applying")..=at("applied")];
    let took = during.last().unwrap().0 - during[0].0;
    assert!(took > Duration::from_secs(2), "only {took:?}: raise TEST_STATEMENT_MILLIONS");
    let longest = during.windows(2).map(|pair| pair[1].0 - pair[0].0).max().unwrap();
    // A second and what a loaded machine takes.
    assert!(longest < Duration::from_secs(5), "{longest:?} without a sign of life");
    let working = &during[1..during.len() - 1];
    for (_, document) in working {
        assert_eq!((&document["event"], &document["doing"]), (&"working".into(), &"applying m9015_statement".into()));
    }
    let seconds: Vec<u64> = working.iter().map(|(_, document)| document["seconds"].as_u64().unwrap()).collect();
    assert!(seconds.is_sorted() && seconds.len() as u64 >= took.as_secs() / 3, "{seconds:?} in {took:?}");
}

#[test]
fn of_a_migration_that_hangs_nothing_is_told() {
    let place = Place::with_records(10);
    let at_work = AtWork::start(&place, next("stuck"));
    while at_work.printed.recv().unwrap().1["event"] != "applying" {}
    // What it still did when it began may be told late.
    let since = Instant::now();
    while at_work.printed.recv_timeout(Duration::from_secs(5)) != Err(RecvTimeoutError::Timeout) {
        assert!(since.elapsed() < Duration::from_secs(60), "it shows signs of life");
    }
}

#[test]
fn progress_never_goes_backwards_and_reaches_its_end() {
    let place = Place::with_records(45_000);
    let all = AtWork::start(&place, next("helpers")).finish();
    let mut way: Vec<(String, u64, u64)> = Vec::new();
    for (_, document) in all.iter().filter(|(_, document)| document["event"] == "progress") {
        let number = |name: &str| document[name].as_u64().unwrap();
        way.push((document["table"].as_str().unwrap().to_owned(), number("done"), number("of")));
    }
    assert!(way.len() > 1, "{way:?}");
    for pair in way.windows(2) {
        let [(table, done, of), (next_table, next_done, next_of)] = pair else { unreachable!() };
        let goes_on = table == next_table && of == next_of && done <= next_done;
        assert!(goes_on || done == of, "{way:?}");
    }
    assert!(
        way.iter().all(|(_, done, of)| done <= of) && way.last().is_some_and(|(_, done, of)| done == of),
        "{way:?}"
    );
}
