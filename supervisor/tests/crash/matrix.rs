//! Every step boundary of every story, killed there once: the process itself, and from within a child the supervisor.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::Value;

use crate::{
    harness::{chance::Telling, get},
    house::{House, told_by},
    story::{End, Fault, Story, is_tidy},
    vault,
};

/// How many stories are lived at a time, in each test.
const HANDS: usize = 3;

/// Does the work for each item, several at a time.
pub(crate) fn in_parallel<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..HANDS {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(item);
                }
            });
        }
    });
}

/// Returns the points that the story passes when nothing breaks. It is lived through for that once, whichever test
/// asks first, in a copy of the house if the test has one.
fn passed(story: Story, house: Option<&House>) -> &'static BTreeSet<String> {
    static PASSED: [OnceLock<BTreeSet<String>>; Story::ALL.len()] = [const { OnceLock::new() }; Story::ALL.len()];
    let at = Story::ALL.iter().position(|here| *here == story).unwrap();
    PASSED[at].get_or_init(|| {
        let _telling = Telling(format!("{story:?}, and nothing is killed"));
        let mut house = house.map_or_else(|| story.prepare(), House::copy);
        let before = house.complete();
        let fault = Fault::plant(&mut house, None);
        assert_eq!(story.live(&mut house, &fault), End::Whole);
        house.wait_left_alone();
        house.assert_whole(&before);
        go_on(story, &mut house, &before);
        fault.passed().into_iter().collect()
    })
}

/// Lives through the story with a fault at this point, and checks what is left, and what the next start makes of it.
fn crash(story: Story, house: &House, point: &str, action: &str) -> End {
    let _telling = Telling(format!("{story:?}, with {point}={action}"));
    let mut house = house.copy();
    let before = house.complete();
    let end = crash_in(story, &mut house, point, action, &before);
    go_on(story, &mut house, &before);
    end
}

fn crash_in(story: Story, house: &mut House, point: &str, action: &str, before: &[String]) -> End {
    let fault = Fault::plant(house, Some((point, action)));
    let end = story.live(house, &fault);
    house.wait_left_alone();
    assert!(fault.passed().iter().any(|passed| passed == point), "it was never reached");
    assert_ne!(end, End::Whole, "nothing was killed there");
    house.assert_whole(before);
    end
}

/// Starts again, without a fault: it serves, everything is there, and nothing is left of what was begun.
pub(crate) fn go_on(story: Story, house: &mut House, before: &[String]) {
    house.hearth.unset("HEARTH_FAULT");
    let held = fs::read(house.hearth.data.join("supervisor/held.json")).unwrap_or_default();
    let held: Value = serde_json::from_slice(&held).unwrap_or_default();
    // A supervisor that lived on when a step of it was killed, or the app in its probation, has left that to the
    // operator, and remembers it. Its own end leaves nothing to anybody.
    let remembered = matches!(held["failure"]["cause"].as_str(), Some("interrupted" | "unproven" | "crash-loop"));
    let mut running = house.hearth.start();
    let waits = running.wait_with("it to serve or to be held", |running| {
        let log = running.log();
        let waits = log.contains("The ways out");
        (waits || log.contains("serving on")).then_some(waits)
    });
    if waits {
        assert!(remembered, "it is held:\n{}", running.log());
        let resumed = house.hearth.run(&["resume"]);
        assert!(resumed.status.success(), "{}\n{}", String::from_utf8_lossy(&resumed.stderr), running.log());
    }
    let address = running.wait_serving();
    assert_eq!(get(address, "/health").status, 200);
    house.live_book().check(&told_by(address), "the app");
    assert!(house.live_book().add(address), "it takes no writes");
    running.wait("a tidy directory", || is_tidy(house, &running.log()).then_some(()));
    assert_eq!(running.stop().code(), Some(0), "{}", running.log());
    house.wait_left_alone();
    house.hearth.assert_tidy();
    house.assert_whole(before);
    assert!(!house.hearth.data.join(".live.new").is_symlink(), "a link that was never put in its place");

    let live = house.hearth.live().unwrap();
    if story.goes_forward() {
        assert_eq!(live, house.making.0);
    }
    // One snapshot for one upgrade: what was there before, and what is live now, and no more.
    let mut there = house.complete();
    there.retain(|name| *name != live && !before.contains(name));
    assert!(there.is_empty(), "left over: {there:?}");
    if house.far.is_some() {
        vault::assert_goes_on(house);
    }
}

/// Crashes the story at each point that it passes and that is wanted.
fn crash_at_each(story: Story, wanted: impl Fn(&str) -> bool) {
    let house = story.prepare();
    let points: Vec<&String> = passed(story, Some(&house)).iter().filter(|point| wanted(point)).collect();
    assert!(!points.is_empty());
    in_parallel(&points, |point| {
        // Where the supervisor did not die, it was a child that did, and the supervisor can be killed from there.
        if crash(story, &house, point, "kill") != End::Killed {
            assert_eq!(crash(story, &house, point, "kill-parent"), End::Killed, "{story:?}, {point}=kill-parent");
        }
    });
}

/// Returns the fault points that a program's source lists. The supervisor's crate knows nothing of the others, so
/// their lists are read as text.
fn listed(program: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(program).join("src/fault.rs");
    let source = fs::read_to_string(&path).unwrap();
    let list = source.split_once("pub const POINTS").and_then(|(_, rest)| rest.split_once("= ")?.1.split_once("];"));
    let (list, _) = list.unwrap_or_else(|| panic!("no list of fault points in {}", path.display()));
    let points: Vec<String> = list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(points.len() > 3, "{program}: {points:?}");
    points
}

/// What the app does for a request. Its own tests kill it there.
const OF_REQUESTS: [&str; 8] = [
    "app.receiving",
    "app.received",
    "app.final",
    "app.stored",
    "app.spooled",
    "app.adding",
    "app.previewing",
    "app.previewed",
];

/// What there is only while the last good version serves. The tests of that (tests/fallback) kill it there.
const OF_FALLBACK: [&str; 13] = [
    "keep.begun",
    "keep.written",
    "keep.renamed",
    "rehearse.begun",
    "rehearse.copied",
    "rehearse.migrated",
    "rehearse.proven",
    "app.hides",
    "app.loses",
    "app.finds-nothing",
    "app.other-hosts",
    "app.proof",
    "app.wrote",
];

#[test]
fn the_app_is_killed_at_each_point_of_a_request_by_its_own_tests() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../app/tests/blackbox");
    let files = ["attachments", "portability"].map(|feature| tests.join(feature).join("interrupted.rs"));
    let sources = files.map(|file| fs::read_to_string(file).unwrap()).concat();
    for point in OF_REQUESTS {
        assert!(sources.contains(&format!("{point}=")) || sources.contains(&format!("\"{point}\"")), "{point}");
    }
}

#[test]
fn every_fault_point_is_passed_in_some_story() {
    assert_eq!(listed("supervisor"), supervisor::fault::POINTS);
    let listed: BTreeSet<String> = ["supervisor", "migrator", "app"].into_iter().flat_map(listed).collect();
    let passed: BTreeSet<String> = Story::ALL.into_iter().flat_map(|story| passed(story, None).clone()).collect();
    let missed: Vec<_> = listed
        .difference(&passed)
        .filter(|point| ![&OF_REQUESTS[..], &OF_FALLBACK].concat().contains(&point.as_str()))
        .collect();
    assert!(missed.is_empty(), "no story passes {missed:?}, so nothing is ever killed there");
}

#[test]
fn a_first_start_killed_at_any_step_begins_again_or_is_complete() {
    crash_at_each(Story::FirstStart, |_| true);
}

#[test]
fn a_plain_day_killed_at_any_step_loses_no_write() {
    crash_at_each(Story::PlainDay, |_| true);
}

#[test]
fn an_upgrade_killed_at_any_step_leaves_the_old_version_or_the_new_one_complete() {
    crash_at_each(Story::Upgrade, |_| true);
}

#[test]
fn a_live_restore_killed_at_any_step_leaves_both_states_complete() {
    crash_at_each(Story::LiveRestore, |_| true);
}

#[test]
fn an_offline_restore_killed_at_any_step_leaves_both_states_complete() {
    crash_at_each(Story::OfflineRestore, |_| true);
}

#[test]
fn a_backup_killed_at_any_step_leaves_whole_backups_here_and_on_the_far_side() {
    let own = ["backup.", "prune.", "copy."];
    crash_at_each(Story::Backup, |point| own.iter().any(|own| point.starts_with(own)));
}

#[test]
fn a_drill_killed_at_any_step_leaves_the_backup_and_the_app_alone() {
    crash_at_each(Story::Drill, |point| !point.starts_with("stop.") && !point.starts_with("app."));
}

#[test]
fn a_live_restore_of_a_backup_killed_at_any_step_leaves_both_states_complete_with_their_files() {
    crash_at_each(Story::LiveBackupRestore, |_| true);
}

#[test]
fn an_offline_restore_of_a_backup_killed_at_any_step_leaves_both_states_complete_with_their_files() {
    crash_at_each(Story::OfflineBackupRestore, |_| true);
}

#[test]
fn a_recovery_killed_at_any_step_is_taken_up_by_the_next() {
    for point in ["finalize.synced", "commit.linked"] {
        crash_at_each(Story::AfterCrash(point), |point| point.starts_with("recover."));
    }
}

#[test]
fn an_upgrade_from_a_generation_that_the_operator_pointed_to_keeps_the_newer_one_when_it_is_killed() {
    let wanted =
        ["recover.begun", "checkpoint.begun", "stage.cloned", "finalize.synced", "commit.begun", "commit.linked"];
    crash_at_each(Story::AfterMove, |point| wanted.contains(&point));
}

#[test]
fn an_upgrade_that_is_killed_again_and_again_leaves_one_snapshot() {
    let mut house = Story::Upgrade.prepare();
    let before = house.complete();
    for (point, action) in [
        ("recover.begun", "kill-parent"),
        ("checkpoint.done", "kill-parent"),
        ("stage.marked", "kill-parent"),
        ("stage.cloned", "kill-parent"),
        ("recover.removed", "kill-parent"),
        ("migrate.applied", "kill-parent"),
        ("migrate.committed", "kill-parent"),
        ("prove.ready", "kill"),
        ("app.stopping", "kill-parent"),
        ("finalize.synced", "kill-parent"),
        ("commit.begun", "kill-parent"),
        ("commit.linked", "kill-parent"),
        ("recover.unmarked", "kill-parent"),
        ("save.written", "kill-parent"),
    ] {
        let _telling = Telling(format!("{point}={action}, one of many"));
        assert_eq!(crash_in(Story::Upgrade, &mut house, point, action, &before), End::Killed);
    }
    go_on(Story::Upgrade, &mut house, &before);
    assert_eq!(house.complete(), ["0001", "0002", "0003", "0004"]);
}
