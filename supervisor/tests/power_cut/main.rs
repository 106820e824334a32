//! The power is cut at random moments of an upgrade, a backup and a restore: what is on the disk then boots to a
//! complete state that holds every write which was answered before.
//!
//! Needs root, for mounts. `HEARTH_TEST_POWER_CUTS=50` makes it the long version: so many cuts in all tests together.
//! A failure names its seed; it is repeated, as far as time can be, with `HEARTH_TEST_SEED=<seed>`.
//!
//! [`disk`] says what a cut is, [`story`] what is under way, [`ledger`] and [`imports`] what may be there afterwards, and
//! [`aftermath`] looks whether it is.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod aftermath;
mod disk;
#[path = "../harness/mod.rs"]
mod harness;
mod imports;
mod ledger;
mod story;

use std::{
    fs,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use nix::sys::signal::Signal;

use crate::{
    disk::Ground,
    harness::chance::{Telling, number},
    story::{Moment, Story},
};

/// The cuts of the default version, in all tests together.
const CUTS: u64 = 8;
/// The tests that share them.
const TESTS: u64 = 4;
/// The cuts while a story is lived through once: each costs a start, and so does each story.
const CUTS_AT_ONCE: u64 = 3;
/// How long after the deed is done the cuts come that are to show whether it is done for good; the app starts meanwhile.
const SHORTLY: Duration = Duration::from_millis(200);
/// One test at a time: what is cut is to be busy with itself, and loop devices are few.
static TURN: Mutex<()> = Mutex::new(());

/// Returns a number that only the seed and the throw decide.
fn dice(seed: u64, throw: u64) -> u64 {
    let hash = blake3::hash(&[seed.to_le_bytes(), throw.to_le_bytes()].concat());
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap())
}

/// Lives through the story again and again, and looks at every disk that a cut leaves.
fn cut_at_random_moments(story: Story) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let ground = Ground::make();
    let cuts = number("HEARTH_TEST_POWER_CUTS").unwrap_or(CUTS).div_ceil(TESTS);
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let first = number("HEARTH_TEST_SEED").unwrap_or(clock.as_secs() * 1_000_000);
    println!("HEARTH_TEST_SEED={first}: {story:?}, {cuts} power cuts");
    let beginning = story.prepare(&ground);
    let (longest, _) = story.live(&ground, &beginning, Signal::SIGTERM, &[]);
    for (round, left) in (0..cuts).rev().step_by(usize::try_from(CUTS_AT_ONCE).unwrap()).enumerate() {
        let seed = first + round as u64;
        let _telling = Telling(format!("{story:?}, HEARTH_TEST_SEED={seed}"));
        let end = if dice(seed, 0).is_multiple_of(2) { Signal::SIGKILL } else { Signal::SIGTERM };
        let part = |throw, of: Duration| of.mul_f64((dice(seed, throw) % 10_000) as f64 / 10_000.0);
        let moment = |throw| match throw % 2 {
            0 => Moment::OnceDone(part(throw, SHORTLY)),
            _ => Moment::Into(part(throw, longest)),
        };
        let moments: Vec<Moment> = (1..=CUTS_AT_ONCE.min(left + 1)).map(moment).collect();
        let (took, cuts) = story.live(&ground, &beginning, end, &moments);
        for cut in cuts {
            let since = Instant::now();
            let (answered, begun) = cut.window.answered_and_begun();
            let imports = cut.imports.len();
            let case = format!(
                "cut after {:?} of {took:?}, in {:?}, with {imports} imports and {answered} writes answered",
                cut.at, cut.took
            );
            let _telling = Telling(case.clone());
            let found = aftermath::check(story, &ground, &cut);
            println!("seed {seed}: {case} and {begun} begun: {found}, checked in {:?}", since.elapsed());
            fs::remove_file(&cut.disk).unwrap();
        }
    }
}

#[test]
#[cfg_attr(not(has = "disks"), ignore = "needs root, loop devices, mkfs.ext4, and mkfs.btrfs or mkfs.xfs")]
fn an_upgrade_whose_power_is_cut_leaves_the_old_version_or_the_new_one_with_every_answered_write() {
    cut_at_random_moments(Story::Upgrade);
}

#[test]
#[cfg_attr(not(has = "disks"), ignore = "needs root, loop devices, mkfs.ext4, and mkfs.btrfs or mkfs.xfs")]
fn a_restored_snapshot_whose_power_is_cut_leaves_one_state_or_the_other_with_every_answered_write() {
    cut_at_random_moments(Story::SnapshotRestore);
}

#[test]
#[cfg_attr(not(has = "disks"), ignore = "needs root, loop devices, mkfs.ext4, and mkfs.btrfs or mkfs.xfs")]
fn a_backup_whose_power_is_cut_is_complete_or_not_there_and_costs_no_answered_write() {
    cut_at_random_moments(Story::Backup);
}

#[test]
#[cfg_attr(not(has = "disks"), ignore = "needs root, loop devices, mkfs.ext4, and mkfs.btrfs or mkfs.xfs")]
fn a_restored_backup_whose_power_is_cut_leaves_one_state_or_the_other_with_every_attachment() {
    cut_at_random_moments(Story::BackupRestore);
}
