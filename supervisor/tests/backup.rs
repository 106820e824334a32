//! Backups as the operator makes, looks at, checks and prunes them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use harness::{Hearth, Running, get, household};
use serde_json::Value;

fn serving(hearth: &Hearth, records: usize) -> (Running, std::net::SocketAddr) {
    let mut running = hearth.start();
    let address = running.wait_serving();
    household::fill(address, records);
    (running, address)
}

fn archive(made: &Value) -> PathBuf {
    PathBuf::from(made["archive"].as_str().unwrap())
}

fn id(made: &Value) -> &str {
    made["backup"]["id"].as_str().unwrap()
}

/// Runs a program of the system's.
fn tool(program: &str, arguments: &[&str], directory: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(directory).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Makes a pair of age keys; returns the recipient and the identity file.
fn keys(directory: &Path) -> (String, PathBuf) {
    let file = directory.join(format!("key-{}.txt", fs::read_dir(directory).unwrap().count()));
    tool("age-keygen", &["-o", file.to_str().unwrap()], directory);
    let recipient = tool("age-keygen", &["-y", file.to_str().unwrap()], directory);
    (recipient.trim().to_owned(), file)
}

fn leftovers(hearth: &Hearth) -> Vec<String> {
    let hidden = fs::read_dir(hearth.data.join("backups")).into_iter().flatten().flatten();
    let mut left: Vec<_> =
        hidden.map(|entry| entry.file_name().into_string().unwrap()).filter(|name| name.starts_with('.')).collect();
    if hearth.data.join("supervisor/scratch").exists() {
        left.push("supervisor/scratch".into());
    }
    left
}

#[test]
#[cfg_attr(not(has = "zstd"), ignore = "needs tar and zstd")]
fn a_backup_of_a_serving_instance_is_verified_listed_and_opens_with_tar() {
    let hearth = Hearth::new();
    let (mut running, _) = serving(&hearth, 50);
    let attachment = hearth.attach(b"a photograph");
    let made = hearth.backup(&["--label", "before the move"]);
    assert_eq!(made["backup"]["reason"], "manual");
    assert_eq!(made["backup"]["rows"]["record"], 50);
    assert_eq!(made["backup"]["files"], 1);
    assert_eq!(leftovers(&hearth), Vec::<String>::new());
    let second = hearth.backup(&[]);
    let listed = hearth.backups();
    let ids: Vec<_> = listed.iter().map(|listed| listed["backup"]["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [id(&second), id(&made)], "the newest first");
    assert_eq!(listed[1]["backup"]["label"], "before the move");
    assert!(listed[1]["backup"]["verified_at"].is_string());
    let table = hearth.done(&["backup", "list"]);
    assert!(table.contains("manual: before the move") && table.contains("plain"), "{table}");
    assert!(running.log().contains("[Backup] made and verified"), "{}", running.log());
    assert_eq!(running.stop().code(), Some(0));

    let place = tempfile::tempdir().unwrap();
    let archive = archive(&made);
    let names = tool("tar", &["--zstd", "-xvf", archive.to_str().unwrap()], place.path());
    assert_eq!(names.lines().collect::<Vec<_>>(), ["manifest.json", "app.db", &attachment]);
    assert_eq!(fs::read(place.path().join(&attachment)).unwrap(), b"a photograph");
    let rows = rusqlite::Connection::open(place.path().join("app.db")).unwrap().query_row(
        "SELECT count(*) FROM record",
        [],
        |row| row.get::<_, i64>(0),
    );
    assert_eq!(rows.unwrap(), 50);
    let manifest: Value = serde_json::from_slice(&fs::read(place.path().join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["members"][0]["blake3"], harness::hash(&place.path().join("app.db")));
}

#[test]
fn a_stopped_instance_is_backed_up_under_the_lock() {
    let hearth = Hearth::new();
    let (mut running, _) = serving(&hearth, 5);
    running.stop();
    let made = hearth.backup(&[]);
    assert_eq!(made["backup"]["rows"]["record"], 5);
    assert!(archive(&made).is_file());
    assert_eq!(leftovers(&hearth), Vec::<String>::new());
    hearth.assert_tidy();
    let mut running = hearth.start();
    let address = running.wait_serving();
    assert_eq!(household::all(address).len(), 5);
}

#[test]
fn a_flipped_bit_is_found_and_the_backup_counts_no_more() {
    let hearth = Hearth::new();
    let (_running, _) = serving(&hearth, 20);
    let good = hearth.backup(&[]);
    let bad = hearth.backup(&[]);
    assert!(hearth.done(&["backup", "verify", "--all"]).contains("2 backups verified"));
    let mut bytes = fs::read(archive(&bad)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(archive(&bad), bytes).unwrap();
    let said = hearth.refused(&["backup", "verify", "--all"]);
    assert!(said.contains(id(&bad)) && said.contains("is damaged"), "{said}");
    assert!(hearth.done(&["backup", "list"]).contains("DAMAGED"));
    assert!(hearth.done(&["backup", "verify", id(&good)]).contains("1 backup verified"));
    // The newest is not to be had, so the newest is the one before.
    let said = hearth.run(&["restore", "latest"]);
    assert!(String::from_utf8_lossy(&said.stderr).contains(id(&good)));
}

#[test]
fn prune_keeps_what_the_policy_says_and_says_why() {
    let mut hearth = Hearth::new();
    let (mut running, _) = serving(&hearth, 2);
    let made: Vec<Value> = (0..3).map(|_| hearth.backup(&[])).collect();
    for key in ["DAILY", "WEEKLY", "MONTHLY", "YEARLY"] {
        hearth.set(&format!("HEARTH_BACKUP__KEEP_{key}"), "0");
    }
    hearth.set("HEARTH_BACKUP__KEEP_LAST", "1");
    running.stop();
    let said = hearth.done(&["backup", "prune", "--dry-run"]);
    assert!(said.contains(&format!("kept     {}  (last", id(&made[2]))), "{said}");
    assert!(said.contains(&format!("would go {}", id(&made[0]))), "{said}");
    assert_eq!(hearth.backups().len(), 3);
    hearth.done(&["backup", "prune"]);
    let listed = hearth.backups();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["backup"]["id"], id(&made[2]));
    assert_eq!(fs::read_dir(hearth.data.join("backups")).unwrap().count(), 2, "the archive and its description");
}

#[test]
#[cfg_attr(not(has = "age"), ignore = "needs age and age-keygen")]
fn an_encrypted_backup_opens_with_its_identity_alone() {
    let mut hearth = Hearth::new();
    let place = tempfile::tempdir().unwrap();
    let (recipient, identity) = keys(place.path());
    let (_, another) = keys(place.path());
    hearth.set("HEARTH_BACKUP__RECIPIENTS", format!("[{recipient:?}]"));
    let (mut running, address) = serving(&hearth, 12);
    let made = hearth.backup(&["--drill"]);
    assert!(archive(&made).to_str().unwrap().ends_with(".tar.zst.age"));
    assert!(made["backup"]["drilled_at"].is_string());
    assert_eq!(leftovers(&hearth), Vec::<String>::new());
    let said = hearth.done(&["backup", "verify"]);
    assert!(said.contains("by the hash of the encrypted file"), "{said}");
    hearth.done(&["backup", "verify", "--identity", identity.to_str().unwrap()]);
    for wrong in [
        vec!["restore", "latest", "--yes"],
        vec!["restore", "latest", "--yes", "--identity", another.to_str().unwrap()],
    ] {
        let said = hearth.refused(&wrong);
        assert!(said.contains("error:") && said.contains("hint:"), "{said}");
    }
    household::fill(address, 3);
    hearth.done(&["restore", "latest", "--yes", "--identity", identity.to_str().unwrap()]);
    let address = running.wait_serving();
    assert_eq!(household::all(address).len(), 12);
    // By hand.
    let plain = place.path().join("plain.tar.zst");
    let words =
        ["-d", "-i", identity.to_str().unwrap(), "-o", plain.to_str().unwrap(), archive(&made).to_str().unwrap()]
            .map(str::to_owned);
    tool("age", &words.iter().map(String::as_str).collect::<Vec<_>>(), place.path());
    tool("tar", &["--zstd", "-tf", plain.to_str().unwrap()], place.path());
}

#[test]
fn a_backup_that_the_app_cannot_start_from_is_no_backup() {
    let mut hearth = Hearth::new();
    let (mut running, address) = serving(&hearth, 3);
    let made = hearth.backup(&[]);
    assert!(hearth.done(&["backup", "verify", "--drill"]).contains("1 backup verified and booted from"));
    assert!(hearth.backups()[0]["backup"]["drilled_at"].is_string());
    assert_eq!(get(address, "/health").status, 200, "the app itself is not touched");
    running.stop();
    hearth.next_migrator("unhealthy", "9.9.0");
    let said = hearth.refused(&["backup", "verify", "--drill", id(&made)]);
    assert!(said.contains("could not be started"), "{said}");
    assert!(hearth.done(&["backup", "list"]).contains("DAMAGED"));
    assert_eq!(leftovers(&hearth), Vec::<String>::new());
}

#[test]
fn a_drill_that_something_else_ended_says_nothing_of_the_backup() {
    for (fault, words) in [
        ("app.opened=enospc", "exited with status 1"),
        ("app.tested=kill", "SIGKILL"),
        ("migrator.launched=enospc", "no space left"),
        ("migrate.applied=kill", ""),
    ] {
        let mut hearth = Hearth::new();
        let (mut running, _) = serving(&hearth, 3);
        let made = hearth.backup(&[]);
        running.stop();
        if fault.starts_with("migrate.") {
            hearth.next_migrator("good", "9.9.0");
        }
        hearth.set("HEARTH_FAULT", fault);
        let output = hearth.run(&["backup", "verify", "--drill", "--json", id(&made)]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{fault}: {said}");
        assert!(said.contains("could not be drilled") && said.contains(words), "{fault}: {said}");
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        let verified = &printed["backups"][0];
        assert!(verified["damage"].is_null() && verified["drilled_at"].is_null(), "{fault}: {verified}");
        assert!(verified["not_drilled"].as_str().unwrap().contains(words), "{fault}: {verified}");
        let listed = &hearth.backups()[0]["backup"];
        assert!(listed["damage"].is_null() && listed["verified_at"].is_string(), "{fault}: {listed}");
        // The same of the one that is drilled as it is made.
        let output = hearth.run(&["backup", "--drill", "--json"]);
        assert_eq!(output.status.code(), Some(1), "{fault}");
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(printed["backup"]["damage"].is_null() && printed["not_drilled"].is_string(), "{fault}: {printed}");
        hearth.unset("HEARTH_FAULT").own_migrator();
        hearth.done(&["backup", "verify", "--drill", id(&made)]);
    }
}

#[test]
fn what_a_killed_backup_left_goes_at_the_next_start() {
    let mut hearth = Hearth::new();
    hearth.set("HEARTH_FAULT", "backup.written=kill");
    let (mut running, address) = serving(&hearth, 3);
    let said = hearth.refused(&["backup"]);
    assert!(said.contains("SIGKILL"), "{said}");
    assert_eq!(get(address, "/health").status, 200);
    assert!(!leftovers(&hearth).is_empty());
    assert!(hearth.backups().is_empty(), "no half archive is listed");
    running.stop();
    hearth.unset("HEARTH_FAULT");
    let mut running = hearth.start();
    running.wait_serving();
    running.wait("nothing to be left", || leftovers(&hearth).is_empty().then_some(()));
}

#[test]
fn an_archive_that_lies_there_twice_is_kept_or_removed_as_one() {
    let mut hearth = Hearth::new();
    let (mut running, _) = serving(&hearth, 2);
    let sound = hearth.backup(&[]);
    let newest = hearth.backup(&[]);
    running.stop();
    // As `age -d` leaves it beside the encrypted one; which of the two is which does not matter here.
    let twin = archive(&sound).with_extension("zst.age");
    fs::copy(archive(&sound), &twin).unwrap();
    fs::write(archive(&newest), "rotten").unwrap();
    hearth.refused(&["backup", "verify", id(&newest)]);
    for key in ["DAILY", "WEEKLY", "MONTHLY", "YEARLY"] {
        hearth.set(&format!("HEARTH_BACKUP__KEEP_{key}"), "0");
    }
    hearth.set("HEARTH_BACKUP__KEEP_LAST", "1");
    let said = hearth.done(&["backup", "prune"]);
    assert!(!said.contains(&format!("removed  {}", id(&sound))), "{said}");
    assert!(archive(&sound).is_file() && twin.is_file(), "the last verified one is kept: {said}");
    hearth.done(&["backup", "verify", id(&sound)]);
}

#[test]
fn a_rotten_attachment_is_told_until_it_is_mended() {
    let hearth = Hearth::new();
    let (running, _) = serving(&hearth, 1);
    let attachment = hearth.attach(b"the only copy");
    let good = hearth.backup(&[]);
    fs::write(hearth.data.join(&attachment), "rotten").unwrap();
    hearth.backup(&[]);
    let status = running.wait("the alarm", || hearth.status().filter(|status| status["health"] == "degraded"));
    let trouble = status["backups"]["trouble"][0].as_str().unwrap();
    assert!(trouble.starts_with("attachments: 1 of them are damaged"), "{trouble}");
    hearth.done(&["restore", id(&good), "--yes"]);
    assert_eq!(fs::read(hearth.data.join(&attachment)).unwrap(), b"the only copy");
    hearth.backup(&[]);
    running.wait("the end of it", || hearth.status().filter(|status| status["health"] == "healthy"));
}

#[test]
fn a_place_for_backups_that_cannot_be_read_keeps_no_app_from_serving_and_is_told() {
    let mut hearth = Hearth::new();
    let (mut running, _) = serving(&hearth, 1);
    running.stop();
    let place = hearth.root.path().join("usb-disk");
    fs::write(&place, "no directory").unwrap();
    hearth.set("HEARTH_BACKUP__DIR", place.to_str().unwrap());
    let mut running = hearth.start();
    let address = running.wait_serving();
    assert_eq!(household::all(address).len(), 1);
    let status = running.wait("the alarm", || hearth.status().filter(|status| status["health"] == "degraded"));
    assert!(status["backups"]["trouble"][0].as_str().unwrap().contains("usb-disk"), "{status}");
}

#[test]
fn when_it_cannot_be_told_what_is_due_that_is_told() {
    let hearth = Hearth::new();
    let (mut running, _) = serving(&hearth, 1);
    running.stop();
    fs::write(hearth.data.join("supervisor/instance"), "No Name!\n").unwrap();
    let mut running = hearth.start();
    running.wait_serving();
    let status = running.wait("the alarm", || hearth.status().filter(|status| status["health"] == "degraded"));
    assert!(status["backups"]["trouble"][0].as_str().unwrap().contains("is no name of an instance"), "{status}");
}

#[test]
fn what_lies_beside_an_archive_cannot_steer_the_terminal() {
    let hearth = Hearth::new();
    let (mut running, _) = serving(&hearth, 1);
    let made = hearth.backup(&["--label", "mine"]);
    running.stop();
    let path = archive(&made).with_file_name(format!("{}.json", id(&made)));
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"mine\"", "\"\\u001b[2Jmine\\nnot\"")).unwrap();
    let shown = hearth.done(&["backup", "list"]);
    assert!(!shown.contains('\u{1b}') && shown.contains("\\u{1b}[2Jmine\\nnot"), "{shown}");
}

#[test]
fn a_labelled_backup_stays_until_a_person_removes_it() {
    let nas = tempfile::tempdir().unwrap();
    let mut hearth = Hearth::new();
    hearth.set("HEARTH_BACKUP__DESTINATIONS", format!("[{:?}]", nas.path()));
    for rule in ["DAILY", "WEEKLY", "MONTHLY", "YEARLY"] {
        hearth.set(&format!("HEARTH_BACKUP__KEEP_{rule}"), "0");
    }
    hearth.set("HEARTH_BACKUP__KEEP_LAST", "1");
    let (mut running, _) = serving(&hearth, 1);
    let labelled = id(&hearth.backup(&["--label", "before the move"])).to_owned();
    (0..3).for_each(|_| drop(hearth.backup(&[])));
    let last = id(&hearth.backup(&[])).to_owned();
    // Here and at the destination.
    let listed = || -> Vec<String> { hearth.backups().iter().map(|listed| id(listed).to_owned()).collect() };
    assert_eq!(listed(), [&*last, &*labelled, &*last, &*labelled]);
    let table = hearth.done(&["backup", "list"]);
    assert!(table.contains("manual: before the move (kept)"), "{table}");
    assert!(hearth.done(&["backup", "prune", "--dry-run"]).contains(&format!("kept     {labelled}  (labelled)")));
    let said = hearth.refused(&["backup", "remove", &labelled]);
    assert!(said.contains("not removing without being asked to") && said.contains("--yes"), "{said}");
    let removed = hearth.done(&["backup", "remove", &labelled, "--yes", "--json"]);
    let removed: Value = serde_json::from_str(&removed).unwrap();
    assert_eq!(removed["removed"], serde_json::json!([labelled]));
    assert_eq!(listed(), [&*last, &*last]);
    running.stop();
    // Without a supervisor, too; and one that is not there is told.
    let output = hearth.run(&["backup", "remove", &last, &labelled, "--yes"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains(&format!("there is no backup {labelled} in ")) && said.contains("removed 1 backup"),
        "{said}"
    );
    assert_eq!(listed(), Vec::<String>::new());
}

#[test]
fn progress_without_a_terminal_is_a_line_from_time_to_time_that_only_grows_and_ends_with_the_work() {
    let mut hearth = Hearth::new();
    // Each look of the command tells, where else each ten seconds do.
    hearth.set("TEST_TELL_EACH", "1ms").set("HEARTH_FAULT", "rest=300").patient();
    let (mut running, _) = serving(&hearth, 1);
    // So much that each part says how far it is before it is done.
    for number in 0..24_u8 {
        let noise: Vec<u8> =
            (0..1_u32 << 20).map(|place| (place.wrapping_mul(2_654_435_761) >> 13) as u8 ^ number).collect();
        hearth.attach(&noise);
    }
    let told = |arguments: &[&str]| -> Vec<u64> {
        let output = hearth.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let percent = |line: &str| line.split_once(": ")?.1.split_once(" %, ")?.0.trim().parse().ok();
        said.lines().filter_map(percent).collect()
    };
    for command in [&["backup"][..], &["backup", "verify"], &["restore", "latest", "--yes"]] {
        let percents = told(command);
        assert!(!percents.is_empty() && percents.is_sorted(), "{command:?}: {percents:?}");
        assert!(percents.iter().all(|percent| *percent < 100), "{command:?}: {percents:?}");
    }
    assert!(hearth.run(&["backup", "--quiet"]).stderr.is_empty());
    running.stop();
    // Without a supervisor, too.
    assert!(!told(&["backup"]).is_empty());
}
