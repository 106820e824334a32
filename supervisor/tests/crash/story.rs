//! What is the supervisor in the middle of when it is killed?
//!
//! Each [`Story`] has a house at rest that it begins with, and is lived through with a [`Fault`] planted: to its end,
//! or until something is killed and what comes of that has come.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs::{self, File},
    os::unix::{fs::symlink, process::ExitStatusExt},
    path::PathBuf,
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{harness::Running, house::House};

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Story {
    /// A start on nothing at all.
    FirstStart,
    /// A start with nothing pending, a write, and a stop.
    PlainDay,
    /// An upgrade of a database that was not closed cleanly, after which retention lets one snapshot go.
    Upgrade,
    /// The start after an upgrade that crashed at this point.
    AfterCrash(&'static str),
    /// An upgrade from an older generation that the operator pointed `live` to by hand.
    AfterMove,
    /// A restore beside the serving app.
    LiveRestore,
    /// A restore while no supervisor runs.
    OfflineRestore,
    /// A backup beside the serving app, which pushes out the one before it, here and on the far side.
    Backup,
    /// A backup that is verified and booted from, beside the serving app.
    Drill,
    /// A restore of a backup beside the serving app.
    LiveBackupRestore,
    /// A restore of a backup while no supervisor runs.
    OfflineBackupRestore,
}

/// How a story ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As it does when nothing breaks.
    Whole,
    /// A child was killed.
    Struck,
    /// The supervisor itself was killed.
    Killed,
}

/// What is to break, and where.
pub(crate) struct Fault {
    point: Option<String>,
    trigger: PathBuf,
    trace: PathBuf,
}

impl Fault {
    /// Plants a fault such as `finalize.synced=kill`, or none; [`Fault::arm`] makes it sharp.
    pub(crate) fn plant(house: &mut House, fault: Option<(&str, &str)>) -> Self {
        let root = house.hearth.root.path();
        let (trigger, trace) = (root.join("trigger"), root.join("trace"));
        for earlier in [&trigger, &trace] {
            let _ = fs::remove_file(earlier);
        }
        let mut words = format!("armed-by={},trace={}", trigger.display(), trace.display());
        if let Some((point, action)) = fault {
            words = format!("{words},{point}={action}");
        }
        house.hearth.set("HEARTH_FAULT", words);
        Self { point: fault.map(|(point, _)| point.to_owned()), trigger, trace }
    }

    fn arm(&self) {
        File::create(&self.trigger).unwrap();
    }

    /// Returns the points that were passed since it was armed.
    pub(crate) fn passed(&self) -> Vec<String> {
        fs::read_to_string(&self.trace).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Whether it has killed something, and the supervisor has seen it.
    fn has_struck(&self, log: &str) -> bool {
        self.point.as_ref().is_some_and(|point| self.passed().contains(point)) && log.contains("SIGKILL")
    }
}

impl Story {
    pub(crate) const ALL: [Self; 12] = [
        Self::FirstStart,
        Self::PlainDay,
        Self::Upgrade,
        Self::AfterCrash("finalize.synced"),
        Self::AfterCrash("commit.linked"),
        Self::AfterMove,
        Self::LiveRestore,
        Self::OfflineRestore,
        Self::Backup,
        Self::Drill,
        Self::LiveBackupRestore,
        Self::OfflineBackupRestore,
    ];

    /// Makes the house that the story begins with.
    pub(crate) fn prepare(self) -> House {
        let mut house = House::new();
        match self {
            Self::FirstStart => {}
            Self::PlainDay => {
                a_day(&mut house, 6, Signal::SIGKILL);
            }
            Self::Upgrade => {
                // Two more snapshots than the one that the upgrade leaves, one of which is then no longer kept.
                house.hearth.set("HEARTH_SNAPSHOTS__KEEP", "2").set("HEARTH_SNAPSHOTS__KEEP_WRITTEN", "0s");
                a_day(&mut house, 10, Signal::SIGTERM);
                house.make("0002", "0001", 1);
                a_day(&mut house, 3, Signal::SIGTERM);
                house.make("0003", "0001", 1);
                let restored = house.hearth.run(&["restore", "1", "--yes"]);
                assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
                a_day(&mut house, 6, Signal::SIGKILL);
                house.make("0004", "0003", 2);
                house.expendable = Some("0001".into());
            }
            Self::AfterCrash(point) => {
                house = Self::Upgrade.prepare();
                let fault = Fault::plant(&mut house, Some((point, "kill-parent")));
                assert_eq!(Self::Upgrade.live(&mut house, &fault), End::Killed, "{point}");
                house.wait_left_alone();
            }
            Self::AfterMove => {
                a_day(&mut house, 5, Signal::SIGTERM);
                house.make("0002", "0001", 1);
                a_day(&mut house, 5, Signal::SIGTERM);
                let live = house.hearth.data.join("live");
                fs::remove_file(&live).unwrap();
                symlink("generations/0001", &live).unwrap();
                house.make("0003", "0001", 1);
            }
            Self::LiveRestore | Self::OfflineRestore => {
                a_day(&mut house, 8, Signal::SIGTERM);
                house.make("0002", "0001", 1);
                a_day(&mut house, 6, Signal::SIGKILL);
                house.make("0003", "0001", 1);
            }
            Self::Backup | Self::Drill => {
                a_day(&mut house, 8, Signal::SIGTERM);
                house.back_up();
            }
            Self::LiveBackupRestore | Self::OfflineBackupRestore => {
                a_day(&mut house, 8, Signal::SIGTERM);
                house.back_up();
                a_day(&mut house, 6, Signal::SIGKILL);
                let mut attachments = house.attachments.keys().map(|path| house.hearth.data.join(path));
                fs::remove_file(attachments.next().unwrap()).unwrap();
                fs::write(attachments.next().unwrap(), "damaged").unwrap();
                house.restore_backup("0002");
            }
        }
        house
    }

    /// Lives through the story.
    pub(crate) fn live(self, house: &mut House, fault: &Fault) -> End {
        match self {
            Self::OfflineRestore | Self::OfflineBackupRestore => {
                fault.arm();
                let restored = house.hearth.run(self.command());
                let said = String::from_utf8_lossy(&restored.stderr);
                match restored.status.signal() {
                    Some(signal) => {
                        assert_eq!(signal, Signal::SIGKILL as i32, "{said}");
                        End::Killed
                    }
                    None if said.contains("SIGKILL") => End::Struck,
                    None => {
                        assert!(restored.status.success(), "{said}");
                        End::Whole
                    }
                }
            }
            Self::LiveRestore | Self::Backup | Self::Drill | Self::LiveBackupRestore => {
                let mut running = house.hearth.start();
                let address = running.wait_serving();
                for _ in 0..3 {
                    assert!(house.live_book().write(address));
                }
                fault.arm();
                house.hearth.run(self.command());
                to_its_end(house, running, fault, |house, _| {
                    house.hearth.status().is_some_and(|status| status["phase"] == "serving")
                })
            }
            Self::FirstStart | Self::PlainDay | Self::Upgrade | Self::AfterCrash(_) | Self::AfterMove => {
                fault.arm();
                let running = house.hearth.start();
                to_its_end(house, running, fault, |_, log| log.contains("[Supervisor] serving on"))
            }
        }
    }

    /// What the operator orders.
    pub(crate) fn command(self) -> &'static [&'static str] {
        match self {
            Self::LiveRestore | Self::OfflineRestore => &["restore", "1", "--yes"],
            Self::LiveBackupRestore | Self::OfflineBackupRestore => &["restore", "latest", "--yes"],
            Self::Backup => &["backup"],
            Self::Drill => &["backup", "verify", "--drill"],
            Self::FirstStart | Self::PlainDay | Self::Upgrade | Self::AfterCrash(_) | Self::AfterMove => &[],
        }
    }

    /// Whether the story can only end with the generation that is being made as the live one, once it is lived
    /// through again.
    pub(crate) fn goes_forward(self) -> bool {
        match self {
            Self::FirstStart | Self::Upgrade | Self::AfterCrash(_) | Self::AfterMove => true,
            Self::PlainDay
            | Self::LiveRestore
            | Self::OfflineRestore
            | Self::Backup
            | Self::Drill
            | Self::LiveBackupRestore
            | Self::OfflineBackupRestore => false,
        }
    }
}

/// Serves, writes, and stops, well or badly.
fn a_day(house: &mut House, writes: usize, end: Signal) {
    let mut running = house.hearth.start();
    let address = running.wait_serving();
    for _ in 0..writes {
        assert!(house.live_book().write(address), "{}", running.log());
    }
    running.wait("a tidy directory", || is_tidy(house, &running.log()).then_some(()));
    running.signal(end);
    running.wait_end();
    house.wait_left_alone();
}

/// Waits until the app serves, writes, and stops everything; less of it when something was killed.
fn to_its_end(house: &mut House, mut running: Running, fault: &Fault, serves: impl Fn(&House, &str) -> bool) -> End {
    let is_held = |log: &str| log.contains("The ways out");
    let mut ended = None;
    running.wait_with("it to serve, to be held, or to end", |running| {
        ended = running.child.try_wait().unwrap();
        let log = running.log();
        (ended.is_some() || is_held(&log) || serves(house, &log)).then_some(())
    });
    if ended.is_none() && !is_held(&running.log()) {
        let address = running.address().unwrap();
        house.live_book().write(address);
        running.wait_with("everything to be tidy, or something to be killed", |running| {
            ended = running.child.try_wait().unwrap();
            let log = running.log();
            (ended.is_some() || is_held(&log) || fault.has_struck(&log) || is_tidy(house, &log)).then_some(())
        });
    }
    let held = is_held(&running.log());
    if ended.is_none() {
        running.signal(if held { Signal::SIGKILL } else { Signal::SIGTERM });
    }
    let status = running.wait_end();
    let log = running.log();
    let killed = status.signal() == Some(Signal::SIGKILL as i32);
    match status.code() {
        None if killed && !held => End::Killed,
        Some(0) | None if log.contains("SIGKILL") => End::Struck,
        // The app's own end, when it was told to stop.
        Some(137) => End::Struck,
        Some(0) => End::Whole,
        _ => panic!("ended with {status}:\n{log}"),
    }
}

/// Whether what follows a start is done: the state is written down, and what is no longer kept is gone.
pub(crate) fn is_tidy(house: &House, log: &str) -> bool {
    let supervisor = house.hearth.data.join("supervisor");
    let state: Value = fs::read(supervisor.join("state.json"))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let live = house.hearth.live().and_then(|live| live.parse::<u64>().ok());
    let known = state["snapshots"].as_array().map_or(0, Vec::len);
    state["live"].as_u64() == live
        && !supervisor.join("held.json").exists()
        && (house.expendable.is_none() || known <= 2 || log.contains("removed snapshot"))
}
