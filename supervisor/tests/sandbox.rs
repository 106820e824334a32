//! What can an app do that was taken over completely?
//!
//! A test program is started in the app's place, under a uid of its own as in a container, and tries everything: per
//! Landlock ABI, the newer ones masked. What comes of each attempt is what the table in docs/SECURITY.md says.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    fs,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::{MetadataExt, PermissionsExt, chown, symlink},
            net::{SocketAddr, UnixDatagram, UnixListener},
        },
    },
    path::{Path, PathBuf},
    process::Command,
};

use harness::{Hearth, copy_program, household, program};
use nix::sys::signal::Signal;

const UID: u32 = 1001;
const AS_UID: [&str; 4] = ["setpriv", "--reuid=1001", "--regid=1001", "--clear-groups"];
/// The columns of the table: Landlock's ABI, and the mask that a kernel without the newer ones looks like. The first shows
/// that the attempts are real: with no sandbox, most succeed.
const COLUMNS: [(&str, &[&str]); 6] = [
    ("off", &[""]),
    ("none", &["landlock=0"]),
    ("1", &["landlock=1"]),
    ("2", &["landlock=2"]),
    ("3", &["landlock=3"]),
    // 7 is what there is without a mask.
    ("6", &["landlock=6", ""]),
];

/// A household under a uid of its own, with a backup and a snapshot; not in /tmp, which the app may write.
struct Prison {
    hearth: Hearth,
    place: tempfile::TempDir,
}

impl Prison {
    fn new() -> Self {
        let mut hearth = Hearth::new();
        hearth.for_every_user().through(&AS_UID);
        let place = place();
        hearth.data = place.path().join("data");
        let mut running = hearth.start();
        let address = running.wait_serving();
        household::add(address, &household::record(1));
        running.stop();
        as_uid(&hearth, &["backup"]);
        as_uid(&hearth, &["restore", "latest", "--yes"]);
        Self { hearth, place }
    }

    /// The same once more, for what is going to be destroyed.
    fn copy(&self) -> Self {
        let mut hearth = self.hearth.copy();
        hearth.for_every_user();
        let place = place();
        let copied = Command::new("cp").arg("-a").arg(self.place.path().join("data")).arg(place.path()).status();
        assert!(copied.unwrap().success());
        hearth.data = place.path().join("data");
        Self { hearth, place }
    }

    /// Starts the test program in place of the app, or of the migrator, with all that it is to make its attempts on.
    fn take_over(&mut self, setting: &str) {
        // Who gives the app a secret of its own gives it to whoever takes it over; docs/SECURITY.md says so below the table.
        self.hearth.without_owner();
        let abstract_name = self.abstract_name();
        let hearth = &mut self.hearth;
        let bin = hearth.root.path().join("bin/prisoner");
        copy_program("examples/prisoner", &bin);
        hearth.set(setting, format!("[{:?}]", bin.display().to_string()));
        let data = hearth.data.clone();
        let suid = data.join("files/suid");
        fs::copy(&bin, &suid).unwrap();
        fs::set_permissions(&suid, fs::Permissions::from_mode(0o4755)).unwrap();
        let readable = self.place.path().join("readable");
        fs::write(&readable, "a certificate").unwrap();
        chown(&readable, Some(UID), Some(UID)).unwrap();
        let backups = fs::read_dir(data.join("backups")).unwrap().flatten().map(|entry| entry.path());
        let backup =
            backups.into_iter().find(|path| path.display().to_string().ends_with(".tar.zst")).expect("a backup");
        let kept = data.join("programs").join("1f".repeat(32));
        fs::create_dir_all(data.join("programs")).unwrap();
        for planted in [&kept, &data.join("supervisor/programs.json")] {
            fs::write(planted, r#"{"format":1}"#).unwrap();
            chown(planted, Some(UID), Some(UID)).unwrap();
        }
        chown(data.join("programs"), Some(UID), Some(UID)).unwrap();
        let places = [
            ("backup", backup),
            ("snapshot", data.join("generations/0001/app.db")),
            ("token", data.join("supervisor/token")),
            ("control", data.join("supervisor/control.sock")),
            ("live", data.join("live")),
            ("config", data.join("config.toml")),
            ("programs", data.join("supervisor/programs.json")),
            ("kept", kept),
            ("suid", suid),
            ("readable", readable.clone()),
            ("docker", self.place.path().join("docker.sock")),
            ("tailscaled", self.place.path().join("tailscaled.sock")),
            ("abstract", abstract_name.into()),
        ];
        let places: Vec<_> = places.iter().map(|(name, path)| format!("{name}={}", path.display())).collect();
        hearth.set("TEST_PLACES", places.join(","));
        hearth.set("SSL_CERT_FILE", readable.display().to_string());
        hearth.set("AWS_SECRET_ACCESS_KEY", "of another program");
        hearth.set("HEARTH_BACKUP__S3_SECRET_ACCESS_KEY", "of-the-backups");
    }

    fn abstract_name(&self) -> String {
        format!("hearth-test-{}", self.place.path().file_name().unwrap().display())
    }

    /// What anybody on the machine can connect to.
    fn others(&self) -> ([UnixListener; 2], UnixDatagram) {
        let listeners = ["docker.sock", "tailscaled.sock"].map(|name| {
            let path = self.place.path().join(name);
            let listener = UnixListener::bind(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
            listener
        });
        let name = SocketAddr::from_abstract_name(self.abstract_name()).unwrap();
        (listeners, UnixDatagram::bind_addr(&name).unwrap())
    }
}

/// A directory of the uid's, beside /tmp.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    chown(place.path(), Some(UID), Some(UID)).unwrap();
    place
}

fn as_uid(hearth: &Hearth, arguments: &[&str]) {
    let output = hearth.command(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Reads `denied<tab>attempt` lines.
fn outcomes(path: &Path) -> Option<Vec<(String, String)>> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.lines().filter_map(|line| line.split_once('\t')).map(|(how, what)| (what.into(), how.into())).collect())
}

/// The table of docs/SECURITY.md: each attempt with its outcome per column.
fn table() -> Vec<(String, Vec<String>)> {
    let document = include_str!("../../docs/SECURITY.md");
    let rows = document.lines().map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    rows.filter(|cells| cells.len() == COLUMNS.len() + 2 && ["denied", "possible"].contains(&cells[1]))
        .map(|cells| (cells[0].to_owned(), cells[1..=COLUMNS.len()].iter().map(|&cell| cell.to_owned()).collect()))
        .collect()
}

/// The shorter table of docs/SECURITY.md: what is possible besides where the app asks tailscaled.
fn lifted() -> Vec<String> {
    let document = include_str!("../../docs/SECURITY.md");
    let rows = document.lines().map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    rows.filter(|cells| cells.len() == 3 && cells[1] == "possible").map(|cells| cells[0].to_owned()).collect()
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn an_app_that_asks_tailscaled_may_connect_to_unix_sockets_and_do_nothing_else_more() {
    let (table, lifted) = (table(), lifted());
    assert_eq!(lifted.len(), 3, "{lifted:?}");
    let first = Prison::new();
    // (the mode, the mask, the column of the table that it looks like)
    for (mode, mask, column) in [("localapi", "", 5), ("localapi", "landlock=0", 1), ("serve", "", 5)] {
        let mut prison = first.copy();
        prison.take_over("HEARTH_APP__COMMAND");
        let socket = prison.place.path().join("tailscaled.sock");
        prison.hearth.set("HEARTH_AUTH__TAILSCALE", mode);
        prison.hearth.set("HEARTH_AUTH__TAILSCALE_SOCKET", socket.display().to_string());
        let listen = prison.place.path().join("serve.sock");
        prison.hearth.set("HEARTH_AUTH__TAILSCALE_LISTEN", listen.display().to_string());
        if !mask.is_empty() {
            prison.hearth.set("HEARTH_FAULT", mask);
        }
        let others = prison.others();
        let mut running = prison.hearth.start();
        let result = prison.hearth.data.join("generations/0002/attempts");
        let outcomes = running.wait("the attempts", || outcomes(&result));
        running.wait_serving();
        let mut wrong = String::new();
        for (attempt, outcome) in &outcomes {
            // In serve mode there is one descriptor more, which it was meant to get.
            if mode == "serve" && attempt.starts_with("find descriptors") {
                continue;
            }
            let usual = table.iter().find(|(said, _)| said == attempt).unwrap();
            let is_lifted = mode == "localapi" && lifted.contains(attempt);
            let expected = if is_lifted { "possible" } else { usual.1[column].as_str() };
            if outcome != expected {
                wrong += &format!("{mode} ({mask}): to {attempt} is {outcome}, not {expected}\n");
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
        let status = prison.hearth.status().unwrap();
        let said = status["sandbox"].as_str().unwrap().contains("auth.tailscale = localapi");
        assert_eq!(
            (said, running.log().contains("the app may connect to unix sockets")),
            (mode == "localapi", mode == "localapi"),
            "{status}"
        );
        running.stop();
        drop(others);
    }
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn each_attempt_of_a_hijacked_app_ends_as_the_table_says() {
    let table = table();
    let first = Prison::new();
    let mut seen = String::new();
    for (column, (abi, masks)) in COLUMNS.iter().enumerate() {
        for mask in *masks {
            let mut prison = first.copy();
            prison.take_over("HEARTH_APP__COMMAND");
            if !mask.is_empty() {
                prison.hearth.set("HEARTH_FAULT", *mask);
            }
            if *abi == "off" {
                prison.hearth.set("HEARTH_SANDBOX__MODE", "off");
            }
            let others = prison.others();
            let mut running = prison.hearth.start();
            let result = prison.hearth.data.join("generations/0002/attempts");
            let outcomes = running.wait("the attempts", || outcomes(&result));
            running.wait_serving();
            for (attempt, outcome) in &outcomes {
                let said = table.iter().find(|(said, _)| said == attempt);
                let said = said.map_or("not in the table", |(_, outcomes)| outcomes[column].as_str());
                if said != outcome {
                    seen += &format!("ABI {abi} ({mask}): to {attempt} is {outcome}; docs/SECURITY.md: {said}\n");
                }
            }
            for (said, _) in table.iter().filter(|(said, _)| outcomes.iter().all(|(attempt, _)| attempt != said)) {
                seen += &format!("docs/SECURITY.md has an attempt that nothing makes: {said}\n");
            }
            let log = running.log();
            let said = match *abi {
                "off" => "sandbox.mode is off",
                "none" => "has no Landlock",
                _ => "[Supervisor] sandbox: Landlock ABI ",
            };
            assert!(log.contains(said), "{log}");
            running.stop();
            drop(others);
        }
    }
    assert!(seen.is_empty(), "{seen}");
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn after_all_its_attempts_everything_is_there() {
    let mut prison = Prison::new();
    prison.take_over("HEARTH_APP__COMMAND");
    let mut running = prison.hearth.start();
    let result = prison.hearth.data.join("generations/0002/attempts");
    running.wait("the attempts", || outcomes(&result));
    running.wait_serving();
    let status = prison.hearth.status().expect("a status");
    assert!(status["sandbox"].as_str().unwrap().ends_with(", seccomp"), "{status}");
    running.stop();
    prison.hearth.unset("HEARTH_APP__COMMAND");
    as_uid(&prison.hearth, &["backup", "verify", "--all"]);
    as_uid(&prison.hearth, &["restore", "0001", "--yes"]);
    let mut running = prison.hearth.start();
    let address = running.wait_serving();
    assert_eq!(household::all(address).len(), 1);
    running.stop();
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn a_hijacked_migrator_reaches_its_own_generation_only() {
    let mut prison = Prison::new();
    prison.take_over("HEARTH_MIGRATOR__COMMAND");
    // As `status` it answers that something is pending, as `up` it makes its attempts.
    let pending = r#"{"format":1,"applied":[],"pending":["m9000_evil"],"unknown":[],"drift":[]}"#;
    prison.hearth.set("TEST_STATUS", pending);
    let stat = fs::metadata(&prison.hearth.data).unwrap();
    let temporary = std::env::temp_dir().join(format!("hearth-{:x}-{:x}", stat.dev(), stat.ino()));
    let result = temporary.join("attempts");
    let _others = prison.others();
    let running = prison.hearth.start();
    let outcomes = running.wait("the attempts", || outcomes(&result));
    let possible: Vec<_> =
        outcomes.iter().filter(|(_, how)| how == "possible").map(|(what, _)| what.as_str()).collect();
    // Under the same rules as itself.
    assert_eq!(possible, ["start its own program again"]);
    running.wait_for_log("held");
    fs::remove_dir_all(temporary).unwrap();
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn jobs_give_up_what_they_do_not_need_before_they_look() {
    let prison = Prison::new();
    // (fault point after which it is confined, the command)
    for (point, arguments) in [
        ("recover.begun", &["backup"][..]),
        ("backup.copied", &["backup"]),
        ("verify.read", &["backup", "verify", "--all"]),
        ("stage.unpacked", &["restore", "latest", "--yes"]),
        ("checkpoint.done", &["restore", "0001", "--yes"]),
        ("finalize.checkpointed", &["restore", "0001", "--yes"]),
    ] {
        let mut prison = prison.copy();
        prison.hearth.set("HEARTH_FAULT", format!("{point}=hang"));
        let mut child = prison.hearth.command(arguments).spawn().unwrap();
        let job = harness::wait_for("the job", || confined_child(i32::try_from(child.id()).unwrap()));
        assert!(job.contains("NoNewPrivs:\t1"), "{point}: {job}");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM)
            .unwrap();
        child.wait().unwrap();
    }
}

/// The status of the child of this process whose system calls are filtered.
fn confined_child(parent: i32) -> Option<String> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    let status = |pid: &str| fs::read_to_string(format!("/proc/{pid}/status")).ok();
    children.split_whitespace().filter_map(status).find(|status| status.contains("Seccomp:\t2"))
}

#[test]
fn what_is_insisted_on_and_not_there_is_a_reason_not_to_start() {
    let mut hearth = Hearth::new();
    hearth.set("HEARTH_SANDBOX__MODE", "enforce");
    for (mask, there) in [("landlock=0", "seccomp"), ("seccomp=none", "Landlock ABI ")] {
        hearth.set("HEARTH_FAULT", mask);
        let mut running = hearth.start();
        let (_, status) = running.wait_held(&hearth);
        let message = status["held"]["failure"]["message"].as_str().unwrap();
        assert!(message.starts_with("sandbox.mode is enforce") && message.contains(there), "{message}");
        running.stop();
        assert!(hearth.live().is_none(), "nothing was made");
    }
    hearth.unset("HEARTH_FAULT");
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    hearth.set("HEARTH_SANDBOX__MODE", "off");
    let mut running = hearth.start();
    running.wait_serving();
    let status = hearth.status().unwrap();
    assert_eq!(status["sandbox"], "none");
    assert!(status["notes"].to_string().contains("sandbox.mode is off"), "{status}");
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn what_guards_against_the_app_comes_from_where_the_app_cannot_write() {
    let mut hearth = Hearth::new();
    hearth.for_every_user().through(&AS_UID);
    let place = place();
    hearth.data = place.path().join("data");
    fs::create_dir(&hearth.data).unwrap();
    chown(&hearth.data, Some(UID), Some(UID)).unwrap();
    let text = "[sandbox]\nmode = \"off\"\n";
    // Root's own file, in a directory in which the uid can replace it.
    fs::write(hearth.data.join("config.toml"), text).unwrap();
    let mut running = hearth.start();
    assert_eq!(running.wait_end().code(), Some(2));
    let log = running.log();
    assert!(log.contains("sandbox.mode: set in ") && log.contains("set HEARTH_SANDBOX__MODE"), "{log}");
    fs::remove_file(hearth.data.join("config.toml")).unwrap();
    // And one that only root can change.
    let trusted: PathBuf = tempfile::Builder::new().prefix("hearth-test-").tempdir_in("/etc").unwrap().keep();
    fs::set_permissions(&trusted, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(trusted.join("hearth.toml"), text).unwrap();
    hearth.set("HEARTH_CONFIG", trusted.join("hearth.toml").display().to_string());
    let mut running = hearth.start();
    running.wait_for_log("sandbox.mode is off");
    running.wait_serving();
    running.stop();
    fs::remove_dir_all(trusted).unwrap();
}

#[test]
fn directories_that_are_links_to_another_disk_are_within_reach_of_whoever_needs_them() {
    let mut hearth = Hearth::new();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::create_dir(&hearth.data).unwrap();
    // Not files/, of which a backup asks that it is no link.
    for name in ["generations", "supervisor", "backups"] {
        fs::create_dir(elsewhere.path().join(name)).unwrap();
        symlink(elsewhere.path().join(name), hearth.data.join(name)).unwrap();
    }
    let mut running = hearth.start();
    let address = running.wait_serving();
    household::add(address, &household::record(1));
    let attachment = hearth.attach(b"a letter");
    hearth.backup(&[]);
    fs::remove_file(hearth.data.join(&attachment)).unwrap();
    hearth.done(&["restore", "latest", "--yes"]);
    hearth.done(&["backup", "verify", "--all", "--drill"]);
    running.wait_serving();
    running.stop();
    assert_eq!(fs::read(hearth.data.join(&attachment)).unwrap(), b"a letter");
    hearth.next_migrator("good", "9.1.0");
    let mut running = hearth.start();
    assert_eq!(household::all(running.wait_serving()).len(), 1);
    assert_eq!(hearth.live().as_deref(), Some("0003"));
    running.stop();
}

#[test]
fn an_old_landlock_cannot_rename_across_directories_and_nothing_needs_it_to() {
    let mut hearth = Hearth::new();
    hearth.set("HEARTH_FAULT", "landlock=1");
    let mut running = hearth.start();
    household::add(running.wait_serving(), &household::record(1));
    let attachment = hearth.attach(b"a letter");
    hearth.backup(&[]);
    fs::remove_dir_all(hearth.data.join("files").join(&attachment[6..8])).unwrap();
    hearth.done(&["restore", "latest", "--yes"]);
    hearth.done(&["backup", "verify", "--all", "--drill"]);
    running.stop();
    assert_eq!(fs::read(hearth.data.join(&attachment)).unwrap(), b"a letter");
    hearth.next_migrator("rebuilds", "9.1.0");
    let mut running = hearth.start();
    assert_eq!(household::all(running.wait_serving()).len(), 1);
    running.stop();
}

#[test]
fn a_data_directory_of_any_length_hears_from_its_app() {
    // 107 bytes are what the path of a unix socket has room for; a drill's is longer than that of the app that serves.
    for length in [82, 100] {
        let mut hearth = Hearth::new();
        let root = hearth.data.parent().unwrap().to_owned();
        let name = "d".repeat(length - root.as_os_str().len() - 1);
        hearth.data = root.join(name);
        assert_eq!(hearth.data.as_os_str().len(), length);
        let mut running = hearth.start();
        household::add(running.wait_serving(), &household::record(1));
        hearth.backup(&[]);
        hearth.done(&["backup", "verify", "--all", "--drill"]);
        running.stop();
    }
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn root_leaves_nothing_that_the_owner_cannot_use() {
    let mut prison = Prison::new();
    // Without the wrapper: as root.
    prison.hearth.through(&[]);
    as_uid(&prison.hearth, &["backup"]);
    as_uid(&prison.hearth, &["restore", "latest", "--yes"]);
    let found = Command::new("find").arg(&prison.hearth.data).args(["!", "-user", "1001"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    prison.hearth.through(&AS_UID);
    let mut running = prison.hearth.start();
    running.wait_serving();
    running.stop();
}

#[test]
fn an_app_may_be_a_script_that_starts_the_program_that_its_command_names() {
    let mut hearth = Hearth::new();
    let script = hearth.root.path().join("start");
    fs::write(&script, "#!/usr/bin/env sh\nexec \"$@\"\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let command = [script.display().to_string(), program("app").display().to_string(), "serve".into()];
    hearth.set("HEARTH_APP__COMMAND", format!("{command:?}"));
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
}
