//! Full disks, read-only ones, and file systems that cannot do what Hearth needs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use harness::{Hearth, get, household};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A file system of a size of its own, mounted while this lives.
struct Mount(PathBuf);

impl Mount {
    fn tmpfs(path: &Path, options: &str) -> Self {
        fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(path).status().unwrap();
        assert!(mounted.success());
        Self(path.to_owned())
    }

    fn free(&self) -> u64 {
        let stat = nix::sys::statvfs::statvfs(&self.0).unwrap();
        stat.blocks_available() * stat.fragment_size()
    }

    /// Fills it until this many bytes are free.
    fn fill(&self, leave: u64) {
        let mut ballast = File::options().create(true).append(true).open(self.0.join("ballast")).unwrap();
        let zeros = vec![0_u8; 4096];
        while self.free() > leave {
            if ballast.write_all(&zeros).is_err() {
                break;
            }
        }
    }

    fn empty(&self) {
        let _ = fs::remove_file(self.0.join("ballast"));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn a_full_disk_at_any_moment_of_an_upgrade_leaves_the_data_as_it_was_and_passes() {
    let mut hearth = Hearth::new();
    let volume = hearth.root.path().join("volume");
    let mount = Mount::tmpfs(&volume, "size=260m");
    hearth.data = volume.join("data");
    let mut running = hearth.start();
    let address = running.wait_serving();
    household::fill(address, 200);
    let before = household::all(address);
    running.stop();
    let hash = |hearth: &Hearth| blake3::hash(&fs::read(hearth.database()).unwrap());
    let left = hash(&hearth);
    let database = fs::metadata(hearth.database()).unwrap().len();
    let mib = 1 << 20;
    // From a disk that has nothing left to one with room for all but the last step; what is checked beforehand asks
    // for more than that, so the check itself is met as well.
    for leave in [0, 16 * 1024, 200 * 1024, mib, database + mib, 20 * mib, 60 * mib] {
        mount.fill(leave);
        hearth.next_migrator("good", "9.1.0");
        let mut running = hearth.start();
        let (address, status) = running.wait_held(&hearth);
        let failure = &status["held"]["failure"];
        assert_eq!(failure["cause"], "no-space", "with {leave} bytes free: {failure}");
        assert_eq!(get(address, "/health").status, 503);
        assert_eq!(hash(&hearth), left, "with {leave} bytes free");
        assert_eq!(hearth.generations(), ["0001"], "with {leave} bytes free");
        // Space is back: a further try is all it takes.
        mount.empty();
        if leave == mib {
            let resumed = hearth.run(&["resume"]);
            assert!(resumed.status.success(), "{}\n{}", String::from_utf8_lossy(&resumed.stderr), running.log());
            assert_eq!(household::all(running.wait_serving()), before);
            running.stop();
            // Back to where it was, for the next round.
            fs::remove_file(hearth.data.join("live")).unwrap();
            std::os::unix::fs::symlink("generations/0001", hearth.data.join("live")).unwrap();
            fs::remove_dir_all(hearth.data.join("generations/0002")).unwrap();
            fs::remove_file(hearth.data.join("supervisor/state.json")).unwrap();
        } else {
            running.stop();
        }
    }
    // A cause that passes is checked again at the next start by itself.
    let mut running = hearth.start();
    assert_eq!(household::all(running.wait_serving()), before);
    hearth.assert_tidy();
}

#[test]
fn a_disk_that_fills_up_in_each_step_is_an_ordinary_failure_of_that_step() {
    for point in [
        "stage.begun",
        "stage.marked",
        "stage.cloned",
        "stage.synced",
        "checkpoint.done",
        "finalize.begun",
        "finalize.checkpointed",
        "finalize.synced",
        "commit.begun",
        "migrate.begun",
        "migrate.applied",
        "migrate.checked",
    ] {
        let mut hearth = Hearth::new();
        let mut running = hearth.start();
        let address = running.wait_serving();
        household::fill(address, 5);
        let before = household::all(address);
        running.stop();
        hearth.next_migrator("good", "9.1.0").set("HEARTH_FAULT", format!("{point}=enospc"));
        let mut running = hearth.start();
        let (_, status) = running.wait_held(&hearth);
        assert_eq!(status["held"]["failure"]["cause"], "no-space", "{point}: {status}");
        assert_eq!(hearth.generations(), ["0001"], "{point}");
        running.stop();
        hearth.unset("HEARTH_FAULT");
        let mut running = hearth.start();
        assert_eq!(household::all(running.wait_serving()), before, "{point}");
        hearth.assert_tidy();
    }
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn an_app_that_ends_on_a_full_disk_is_held_for_the_disk_and_goes_on_by_itself_when_there_is_room() {
    let mut hearth = Hearth::new();
    let volume = hearth.root.path().join("volume");
    let mount = Mount::tmpfs(&volume, "size=200m");
    hearth.data = volume.join("data");
    hearth.set("HEARTH_RESTART__BACKOFF", "10ms");
    let mut running = hearth.start();
    let address = running.wait_serving();
    household::fill(address, 5);
    let before = household::all(address);
    mount.fill(0);
    // It ends each time it was started, until that is too often.
    let mut ended = None;
    let status = running.wait("held", || {
        let status = hearth.status()?;
        let app = status["app"]["pid"].as_i64();
        if let Some(pid) = app.filter(|_| app != ended) {
            let _ = kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL);
            ended = app;
        }
        (status["phase"] == "held").then_some(status)
    });
    let failure = &status["held"]["failure"];
    assert_eq!(failure["cause"], "no-space", "{failure}");
    let message = failure["message"].as_str().unwrap();
    assert!(message.starts_with("the disk is full: ") && message.contains(&volume.display().to_string()), "{message}");
    assert!(message.contains("the app ended"), "{message}");
    mount.empty();
    // Nobody asks for it: a cause that passes is looked at again each minute.
    let until = Instant::now() + 3 * harness::LIMIT;
    while hearth.status().is_none_or(|status| status["phase"] != "serving") {
        assert!(Instant::now() < until, "it is still held: {}", running.log());
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(household::all(running.address().unwrap()), before);
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn without_a_free_inode_the_operator_is_told_of_inodes() {
    let mut hearth = Hearth::new();
    let volume = hearth.root.path().join("volume");
    let _mount = Mount::tmpfs(&volume, "size=200m,nr_inodes=300");
    hearth.data = volume.join("data");
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    let many = volume.join("many");
    fs::create_dir(&many).unwrap();
    while File::create(many.join(fs::read_dir(&many).unwrap().count().to_string())).is_ok() {}
    let mut running = hearth.start();
    let (_, status) = running.wait_held(&hearth);
    let failure = &status["held"]["failure"];
    assert_eq!(failure["cause"], "no-space", "{failure}");
    assert!(failure["message"].as_str().unwrap().contains("no free inodes"), "{failure}");
    let hint = failure["hint"].as_str().unwrap();
    assert!(hint.contains("delete files") && !hint.contains("free some space"), "{hint}");
    fs::remove_dir_all(&many).unwrap();
    assert!(hearth.run(&["resume"]).status.success(), "{}", running.log());
    running.wait_serving();
}

#[test]
fn documents_that_cannot_be_saved_are_noted_and_stop_nothing() {
    let mut hearth = Hearth::new();
    hearth.set("HEARTH_FAULT", "save.written=enospc");
    let mut running = hearth.start();
    let address = running.wait_serving();
    assert_eq!(get(address, "/health").status, 200);
    running.wait_for_log("state.json could not be written");
    let status =
        running.wait("the note", || hearth.status().filter(|status| !status["notes"].as_array().unwrap().is_empty()));
    assert!(status["notes"].to_string().contains("state.json"), "{status}");
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn a_directory_of_another_owner_gets_the_very_command() {
    let mut hearth = Hearth::new();
    hearth.for_every_user();
    fs::create_dir(&hearth.data).unwrap();
    chown(&hearth.data, Some(99), Some(100)).unwrap();
    hearth.through(&["setpriv", "--reuid=1001", "--regid=1001", "--clear-groups", "--bounding-set=-all"]);
    let running = hearth.start();
    let data = hearth.data.display();
    running.wait_for_log(&format!("chown -R 1001:1001 {data}"));
    running.wait_for_log("user: \"99:100\"");
    running.wait_for_log("held");
    assert!(fs::read_dir(&hearth.data).unwrap().next().is_none(), "nothing was touched");
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn a_read_only_file_system_is_called_that() {
    let mut hearth = Hearth::new();
    let volume = hearth.root.path().join("volume");
    let _mount = Mount::tmpfs(&volume, "size=128m");
    hearth.data = volume.join("data");
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    assert!(Command::new("mount").args(["-o", "remount,ro"]).arg(&volume).status().unwrap().success());
    let running = hearth.start();
    running.wait_for_log("read-only");
    running.wait_for_log("held");
    assert!(Command::new("mount").args(["-o", "remount,rw"]).arg(&volume).status().unwrap().success());
}

#[test]
fn a_second_supervisor_waits_and_then_names_the_first() {
    let mut hearth = Hearth::new();
    let mut first = hearth.start();
    first.wait_serving();
    hearth.set("HEARTH_LOCK__WAIT", "300ms");
    let mut second = hearth.start();
    assert_eq!(second.wait_end().code(), Some(1));
    let log = second.log();
    let words = format!("is in use by process {} (supervisor)", first.pid());
    assert!(log.contains("error: the data directory") && (log.contains(&words) || log.contains("(app)")), "{log}");
    assert!(log.contains("hint: stop that one first"), "{log}");
    assert_eq!(hearth.status().unwrap()["phase"], "serving", "the first one is undisturbed");
}

#[test]
fn a_file_system_without_what_is_needed_is_refused_with_its_reason() {
    for (fault, words) in [
        ("preflight.links=eopnotsupp", "link"),
        ("preflight.locks=enolck", "lock"),
        ("preflight.maps=eopnotsupp", "mem"),
        ("preflight.sockets=eopnotsupp", "socket"),
    ] {
        let mut hearth = Hearth::new();
        hearth.set("HEARTH_FAULT", fault);
        let mut running = hearth.start();
        let (address, status) = running.wait_held(&hearth);
        let failure = &status["held"]["failure"];
        assert_eq!(failure["cause"], "file-system", "{fault}: {failure}");
        assert!(failure["message"].as_str().unwrap().contains(words), "{fault}: {failure}");
        assert!(failure["hint"].is_string(), "{fault}: {failure}");
        assert_eq!(get(address, "/health").status, 503);
        assert!(hearth.generations().is_empty(), "{fault}");
    }
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn a_full_disk_of_backups_is_pruned() {
    for was_used_before in [true, false] {
        let mut hearth = Hearth::new();
        let mount = Mount::tmpfs(&hearth.root.path().join("nas"), "size=200m");
        hearth.set("HEARTH_BACKUP__DIR", mount.0.display().to_string());
        for key in ["DAILY", "WEEKLY", "MONTHLY", "YEARLY"] {
            hearth.set(&format!("HEARTH_BACKUP__KEEP_{key}"), "0");
        }
        hearth.set("HEARTH_BACKUP__KEEP_LAST", "3");
        let mut running = hearth.start();
        running.wait_serving();
        running.stop();
        (0..3).for_each(|_| drop(hearth.backup(&[])));
        if !was_used_before {
            // As 0.4.0 leaves it: without a word on whose it is.
            let instance = fs::read_to_string(hearth.data.join("supervisor/instance")).unwrap();
            fs::remove_dir_all(mount.0.join(instance.trim())).unwrap();
        }
        mount.fill(0);
        hearth.set("HEARTH_BACKUP__KEEP_LAST", "1");
        hearth.done(&["backup", "prune"]);
        let left = fs::read_dir(&mount.0).unwrap().flatten();
        let archives = left.filter(|entry| entry.file_name().to_string_lossy().ends_with(".tar.zst")).count();
        assert_eq!(archives, 1, "{was_used_before}");
    }
}
