//! Killed at random moments: the supervisor, the migrator, the app or a job, whichever there is.
//!
//! `HEARTH_TEST_KILLS=200` makes it the long version. A failure names its seed; it is repeated, as far as time can be,
//! with `HEARTH_TEST_SEED=<seed> HEARTH_TEST_KILLS=1`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    process::Stdio,
    thread,
    time::{Duration, Instant, SystemTime},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    harness::chance::{Dice, Telling, number},
    house::House,
    matrix::{go_on, in_parallel},
    story::Story,
};

/// The kills of the default version.
const KILLS: u64 = 8;
/// How long the old version is written to, at the longest, before it ends.
const WRITING: Duration = Duration::from_millis(600);

/// Returns the children of a process, with the names of their programs.
fn children(parent: Pid) -> Vec<(Pid, String)> {
    let stats = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // `pid (name) state ppid …`: proc_pid_stat(5).
        let (head, tail) = stat.rsplit_once(')')?;
        let its_parent: i32 = tail.split_ascii_whitespace().nth(1)?.parse().ok()?;
        (its_parent == parent.as_raw()).then(|| (Pid::from_raw(pid), head.rsplit('(').next().unwrap().to_owned()))
    });
    stats.collect()
}

/// Kills the supervisor or one of its children; returns which.
fn kill_one(supervisor: Pid, dice: &mut Dice) -> String {
    let children = children(supervisor);
    let chosen = usize::try_from(dice.below(children.len() as u64 + 1)).unwrap();
    let (pid, name) = children.get(chosen).cloned().unwrap_or((supervisor, "the supervisor".into()));
    // It may have ended since.
    let _ = kill(pid, Signal::SIGKILL);
    name
}

/// Starts a supervisor, kills one process after a random time while the client writes whenever something answers,
/// and then the supervisor, if it is left, at once or when it has come to rest.
fn interrupt(house: &mut House, dice: &mut Dice, longest: Duration) {
    let delay = dice.time(longest);
    let mut killer_dice = Dice(dice.roll());
    let rests = dice.below(2) == 0;
    let end = if dice.below(2) == 0 { Signal::SIGKILL } else { Signal::SIGTERM };
    let mut running = house.hearth.start();
    let supervisor = running.pid();
    let killer = thread::spawn(move || {
        thread::sleep(delay);
        kill_one(supervisor, &mut killer_dice)
    });
    while !killer.is_finished() {
        match running.address() {
            Some(address) => {
                house.live_book().write(address);
            }
            None => thread::sleep(Duration::from_millis(2)),
        }
    }
    let victim = killer.join().unwrap();
    let _telling = Telling(format!("{victim} killed after {delay:?}"));
    if rests {
        let hearth = &house.hearth;
        running.wait_with("it to end or to come to rest", |running| {
            let ended = running.child.try_wait().unwrap().is_some();
            let rests =
                || hearth.status().is_some_and(|status| status["phase"] == "serving" || status["phase"] == "held");
            (ended || rests()).then_some(())
        });
    }
    if running.child.try_wait().unwrap().is_none() {
        running.signal(end);
    }
    running.wait_end();
    house.wait_left_alone();
}

/// Begins with an operation beside the serving app, kills one process after a random time, and ends the supervisor, if it is
/// left, once the operation has come to its end.
fn interrupt_operation(story: Story, house: &mut House, dice: &mut Dice, longest: Duration) {
    let delay = dice.time(longest);
    let mut killer_dice = Dice(dice.roll());
    let mut running = house.hearth.start();
    let address = running.wait_serving();
    assert!(house.live_book().write(address));
    let supervisor = running.pid();
    let mut command = house.hearth.command(story.command());
    let mut operator = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(delay);
    let victim = kill_one(supervisor, &mut killer_dice);
    let _telling = Telling(format!("{victim} killed after {delay:?}"));
    operator.wait().unwrap();
    running.signal(Signal::SIGTERM);
    running.wait_end();
    house.wait_left_alone();
}

/// How long an operation takes when nothing is killed.
fn undisturbed_operation(story: Story, house: &House) -> Duration {
    let house = house.copy();
    let mut running = house.hearth.start();
    running.wait_serving();
    let since = Instant::now();
    house.hearth.done(story.command());
    since.elapsed()
}

/// How long an upgrade takes when nothing is killed.
fn undisturbed(house: &House) -> Duration {
    let house = house.copy();
    let since = Instant::now();
    house.hearth.start().wait_serving();
    since.elapsed()
}

#[test]
fn an_upgrade_killed_at_random_moments_keeps_every_answered_write() {
    let kills = number("HEARTH_TEST_KILLS").unwrap_or(KILLS);
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let first = number("HEARTH_TEST_SEED").unwrap_or(clock.as_secs() * 1_000_000);
    println!("HEARTH_TEST_SEED={first} HEARTH_TEST_KILLS={kills}");
    let mut house = Story::Upgrade.prepare();
    house.make("0004", "0003", 3);
    house.hearth.set("TEST_SLOW_MILLISECONDS", "150");
    let longest = undisturbed(&house).mul_f64(1.2);
    let seeds: Vec<u64> = (first..first + kills).collect();
    in_parallel(&seeds, |seed| {
        let _telling = Telling(format!("HEARTH_TEST_SEED={seed} HEARTH_TEST_KILLS=1"));
        let mut dice = Dice(*seed);
        let mut house = house.copy();
        let before = house.complete();
        house.run_version(1);
        interrupt(&mut house, &mut dice, WRITING);
        house.assert_whole(&before);
        house.run_version(3);
        for _ in 0..=dice.below(2) {
            interrupt(&mut house, &mut dice, longest);
            house.assert_whole(&before);
        }
        go_on(Story::Upgrade, &mut house, &before);
    });
}

#[test]
fn a_backup_or_a_restore_of_one_killed_at_random_moments_leaves_whole_backups_and_every_answered_write() {
    let kills = number("HEARTH_TEST_KILLS").unwrap_or(KILLS);
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let first = number("HEARTH_TEST_SEED").unwrap_or(clock.as_secs() * 1_000_000);
    println!("HEARTH_TEST_SEED={first} HEARTH_TEST_KILLS={kills}");
    let houses = [Story::Backup, Story::LiveBackupRestore].map(|story| {
        let house = story.prepare();
        let longest = undisturbed_operation(story, &house).mul_f64(1.2);
        (story, house, longest)
    });
    let seeds: Vec<u64> = (first..first + kills).collect();
    in_parallel(&seeds, |seed| {
        let _telling = Telling(format!("HEARTH_TEST_SEED={seed} HEARTH_TEST_KILLS=1"));
        let mut dice = Dice(*seed);
        let (story, house, longest) = &houses[usize::from(dice.below(2) == 0)];
        let mut house = house.copy();
        let before = house.complete();
        interrupt_operation(*story, &mut house, &mut dice, *longest);
        house.assert_whole(&before);
        go_on(*story, &mut house, &before);
    });
}
