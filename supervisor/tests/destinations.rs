//! Backups elsewhere: in a directory (a NAS) and on an S3 server, copied, pruned, listed and restored from.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use harness::{Hearth, household, wait_for};
use serde_json::Value;

fn copying_to(destination: &str) -> Hearth {
    let mut hearth = Hearth::new();
    hearth.set("HEARTH_BACKUP__DESTINATIONS", format!("[{destination:?}]"));
    hearth
}

fn id(made: &Value) -> String {
    made["backup"]["id"].as_str().unwrap().to_owned()
}

/// The backups that `backup list` finds at a destination, the newest first.
fn there(hearth: &Hearth) -> Vec<String> {
    hearth.backups().iter().filter(|listed| listed["kind"] == "destination").map(id).collect()
}

fn keep_one(hearth: &mut Hearth) {
    for (key, count) in [("LAST", "1"), ("DAILY", "0"), ("WEEKLY", "0"), ("MONTHLY", "0"), ("YEARLY", "0")] {
        hearth.set(&format!("HEARTH_BACKUP__KEEP_{key}"), count);
    }
}

#[test]
fn a_house_that_burnt_down_comes_back_from_the_nas() {
    let nas = tempfile::tempdir().unwrap();
    let nas = nas.path().to_str().unwrap();
    let first = copying_to(nas);
    let mut running = first.start();
    household::fill(running.wait_serving(), 9);
    let attachment = first.attach(b"the deed of the house");
    let made = id(&first.backup(&[]));
    running.stop();
    drop(first);

    let second = copying_to(nas);
    assert_eq!(there(&second), std::slice::from_ref(&made));
    second.done(&["restore", "latest", "--yes"]);
    let mut running = second.start();
    let address = running.wait_serving();
    assert_eq!(household::all(address).len(), 9);
    assert_eq!(fs::read(second.data.join(attachment)).unwrap(), b"the deed of the house");
    // It is an instance of its own now, and leaves the other's copies alone.
    second.backup(&[]);
    let houses: BTreeSet<String> = second
        .backups()
        .iter()
        .filter(|listed| listed["kind"] == "destination")
        .map(|listed| listed["backup"]["instance"].to_string())
        .collect();
    assert_eq!(houses.len(), 2, "{houses:?}");
    assert!(there(&second).contains(&made));
    let said = second.refused(&["restore", "2020-01-01T00-00-00Z-manual", "--yes"]);
    assert!(said.contains("nor at any destination"), "{said}");
}

#[test]
fn two_houses_share_a_nas_and_prune_only_their_own() {
    let nas = tempfile::tempdir().unwrap();
    let nas = nas.path().to_str().unwrap();
    let mut houses: Vec<_> = (0..2).map(|_| copying_to(nas)).collect();
    let mut kept = Vec::new();
    for hearth in &mut houses {
        keep_one(hearth);
        let mut running = hearth.start();
        household::fill(running.wait_serving(), 2);
        running.stop();
        hearth.backup(&[]);
        kept.push(id(&hearth.backup(&[])));
    }
    kept.sort();
    for hearth in &houses {
        let mut ids = there(hearth);
        ids.sort();
        assert_eq!(ids, kept);
    }
    // An empty house does not guess whose backup is meant.
    let said = copying_to(nas).refused(&["restore", "latest", "--yes"]);
    assert!(said.contains("backups of 2 instances"), "{said}");
}

#[test]
fn a_nas_that_is_away_is_told_and_caught_up_with() {
    let place = tempfile::tempdir().unwrap();
    let nas = place.path().join("nas");
    let hearth = copying_to(nas.to_str().unwrap());
    let mut running = hearth.start();
    household::fill(running.wait_serving(), 2);
    let said = hearth.refused(&["backup"]);
    assert!(said.contains("is made and verified") && said.contains(nas.to_str().unwrap()), "{said}");
    assert_eq!(hearth.backups_here().len(), 1, "it is here all the same");
    let status = running.wait("the alarm", || hearth.status().filter(|status| status["health"] == "degraded"));
    assert!(status["backups"]["trouble"][0].as_str().unwrap().starts_with("copy to "), "{status}");
    fs::create_dir(&nas).unwrap();
    hearth.backup(&[]);
    assert_eq!(there(&hearth).len(), 2, "what it missed, too");
    running.wait("the end of it", || hearth.status().filter(|status| status["health"] == "healthy"));
}

#[test]
fn a_destination_that_is_no_longer_wanted_is_no_trouble() {
    let mut hearth = copying_to("/nowhere/at/all");
    let mut running = hearth.start();
    running.wait_serving();
    hearth.refused(&["backup"]);
    running.wait("the alarm", || hearth.status().filter(|status| status["health"] == "degraded"));
    running.stop();
    hearth.unset("HEARTH_BACKUP__DESTINATIONS");
    let mut running = hearth.start();
    running.wait_serving();
    running.wait("the last backup to be known", || {
        hearth.status().filter(|status| status["backups"]["last"].is_object() && status["health"] == "healthy")
    });
}

#[test]
fn latest_is_the_own_one_where_houses_share_a_place() {
    let nas = tempfile::tempdir().unwrap();
    let nas = nas.path().to_str().unwrap();
    let houses = [copying_to(nas), copying_to(nas)];
    let mut made = Vec::new();
    for (count, hearth) in houses.iter().enumerate() {
        let mut running = hearth.start();
        household::fill(running.wait_serving(), count + 2);
        running.stop();
        made.push(hearth.backup(&[]));
        fs::remove_dir_all(hearth.data.join("backups")).unwrap();
    }
    for (count, hearth) in houses.iter().enumerate() {
        let table = hearth.done(&["backup", "list"]);
        assert!(table.contains(&format!("({})", made[count]["backup"]["instance"].as_str().unwrap())), "{table}");
        hearth.done(&["restore", "latest", "--yes"]);
        let mut running = hearth.start();
        assert_eq!(household::all(running.wait_serving()).len(), count + 2);
    }
}

#[test]
fn what_is_damaged_at_a_destination_is_not_restored() {
    let nas = tempfile::tempdir().unwrap();
    let hearth = copying_to(nas.path().to_str().unwrap());
    let mut running = hearth.start();
    let address = running.wait_serving();
    household::fill(address, 4);
    let made = hearth.backup(&[]);
    let local = Path::new(made["archive"].as_str().unwrap());
    fs::remove_file(local).unwrap();
    let copy = find(nas.path(), local.file_name().unwrap().to_str().unwrap());
    let mut bytes = fs::read(&copy).unwrap();
    let at = bytes.len() * 3 / 4;
    bytes[at] ^= 1;
    fs::write(&copy, bytes).unwrap();
    let said = hearth.refused(&["restore", &id(&made), "--yes"]);
    assert!(said.contains(&id(&made)), "{said}");
    assert_eq!(hearth.generations(), ["0001"]);
    assert_eq!(household::all(address).len(), 4);
}

fn find(directory: &Path, name: &str) -> PathBuf {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path().join(name)).find(|path| path.exists()).unwrap()
}

/// A real S3 server on a directory.
struct Server {
    child: Child,
    endpoint: String,
    _root: tempfile::TempDir,
}

impl Server {
    /// Starts it; `None`, and a line that says so, where it is not installed.
    fn start(test: &str) -> Option<Self> {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("house-backups")).unwrap();
        // A port that was just free; nobody else is likely to take it within this moment.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let program = std::env::var("HEARTH_TEST_S3S_FS").unwrap_or_else(|_| "s3s-fs".into());
        let child = Command::new(program)
            .args(["--access-key", "house", "--secret-key", "hush-hush", "--host", "127.0.0.1", "--port"])
            .arg(port.to_string())
            .arg(root.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match child {
            Ok(child) => child,
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "skipped in CI: {test} needs s3s-fs: {error}");
                println!("skipped: {test} needs s3s-fs: {error}");
                return None;
            }
        };
        wait_for("the S3 server", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        Some(Self { child, endpoint: format!("http://127.0.0.1:{port}"), _root: root })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_house_that_burnt_down_comes_back_from_s3() {
    let Some(server) = Server::start("a restore from S3") else { return };
    let secret = tempfile::tempdir().unwrap();
    let secret_file = secret.path().join("secret");
    fs::write(&secret_file, "hush-hush\n").unwrap();
    let house = || {
        let mut hearth = copying_to(&format!("s3://house-backups/hearth?endpoint={}", server.endpoint));
        hearth.set("HEARTH_BACKUP__S3_ACCESS_KEY_ID", "house");
        hearth.set("HEARTH_BACKUP__S3_SECRET_ACCESS_KEY_FILE", secret_file.to_str().unwrap());
        keep_one(&mut hearth);
        hearth
    };
    let first = house();
    let mut running = first.start();
    household::fill(running.wait_serving(), 7);
    first.attach(&vec![7; 100_000]);
    first.backup(&[]);
    let made = id(&first.backup(&[]));
    assert_eq!(there(&first), std::slice::from_ref(&made), "pruned by the same policy");
    running.stop();
    drop(first);

    let second = house();
    second.done(&["restore", &made, "--yes"]);
    let mut running = second.start();
    assert_eq!(household::all(running.wait_serving()).len(), 7);
    running.stop();
    let shown = [second.done(&["config"]), second.done(&["backup", "list"]), running.log()].concat();
    assert!(!shown.contains("hush-hush"), "{shown}");
}
