//! Backups elsewhere: in a directory (a NAS) and on an S3 server, copied, pruned, listed and restored from.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;
#[path = "harness/hung.rs"]
mod hung;

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use harness::{Hearth, Running, get, household, wait_for};
use hung::Hung;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
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

/// What `status` says is wrong with the one destination, once it was tried.
fn trouble(hearth: &Hearth, running: &mut Running) -> String {
    running.wait("a trial that fails", || {
        let status = hearth.status()?;
        let there = status["backups"]["storage"].as_array()?.iter().find(|place| place["kind"] == "destination")?;
        let trouble = there["trouble"].as_str()?.to_owned();
        assert!(there["since"].is_string() && there["tried_at"].is_string(), "{status}");
        assert_eq!(status["health"], "degraded", "{status}");
        let told = format!("copy to {}: {trouble}", there["name"].as_str()?);
        assert!(status["backups"]["trouble"].as_array()?.iter().any(|known| *known == told), "{status}");
        Some(trouble)
    })
}

/// When the destination was last tried.
fn tried_at(hearth: &Hearth) -> Option<String> {
    let status = hearth.status()?;
    let there = status["backups"]["storage"].as_array()?.iter().find(|place| place["kind"] == "destination")?.clone();
    there["tried_at"].as_str().map(str::to_owned)
}

#[test]
fn a_nas_that_is_away_is_known_before_the_first_backup_and_so_is_its_return() {
    let place = tempfile::tempdir().unwrap();
    let nas = place.path().join("nas");
    let hearth = copying_to(nas.to_str().unwrap());
    let mut running = hearth.start();
    let address = running.wait_serving();
    let said = trouble(&hearth, &mut running);
    assert!(said.contains("is not there (is it mounted?"), "{said}");
    let health = running.wait("the app to hear of it", || {
        let health = get(address, "/health").json();
        (health["status"] == "degraded").then_some(health)
    });
    assert_eq!(health["checks"]["backups"]["status"], "degraded", "{health}");
    let text = hearth.done(&["status"]);
    assert!(text.contains(&format!("{}: cannot be written to since 20", nas.display())), "{text}");
    // It is tried again and again, and told once.
    let before = tried_at(&hearth);
    running.wait("another trial", || tried_at(&hearth).filter(|at| Some(at) != before.as_ref()));
    assert_eq!(running.log().matches("is not there").count(), 1, "{}", running.log());
    assert!(!nas.exists(), "a destination is never made");
    fs::create_dir(&nas).unwrap();
    running.wait("the end of it", || hearth.status().filter(|status| status["health"] == "healthy"));
    let words = format!("backups can be written to {} again", nas.display());
    assert_eq!(running.log().matches(&words).count(), 1, "{}", running.log());
    assert!(hearth.done(&["status"]).contains("could be written to"));
    assert!(there(&hearth).is_empty(), "no backup was made for it");
    let instances: Vec<_> = fs::read_dir(&nas).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(instances.len(), 1);
    wait_for("nothing to be left there", || fs::read_dir(&instances[0]).unwrap().next().is_none().then_some(()));
}

/// A file system in memory, mounted until it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(path: &Path, options: &str, flags: MsFlags) -> Self {
        mount(Some("nas"), path, Some("tmpfs"), flags, Some(options)).unwrap();
        Self(path.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn a_destination_that_is_read_only_or_full_is_known_before_the_first_backup() {
    let nas = tempfile::tempdir().unwrap();
    let hearth = copying_to(nas.path().to_str().unwrap());
    let mounted = Mounted::new(nas.path(), "", MsFlags::MS_RDONLY);
    let mut running = hearth.start();
    running.wait_serving();
    let said = trouble(&hearth, &mut running);
    assert!(said.contains("read-only file system") && said.contains("mount it read-write"), "{said}");
    running.stop();
    drop(mounted);
    let mounted = Mounted::new(nas.path(), "size=64k", MsFlags::empty());
    fs::write(nas.path().join("films"), vec![1; 40 << 10]).unwrap();
    let mut running = hearth.start();
    running.wait_serving();
    let said = trouble(&hearth, &mut running);
    assert!(said.contains("no space left on device") && said.contains("free some space"), "{said}");
    let before = tried_at(&hearth);
    running.wait("another trial", || tried_at(&hearth).filter(|at| Some(at) != before.as_ref()));
    assert_eq!(running.log().matches("no space left").count(), 1, "{}", running.log());
    let left = fs::read_dir(nas.path()).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir());
    left.for_each(|instance| assert_eq!(fs::read_dir(instance.unwrap().path()).unwrap().count(), 0));
    running.stop();
    drop(mounted);
}

#[test]
#[cfg_attr(not(has = "fuse"), ignore = "needs root and /dev/fuse")]
fn a_destination_or_backup_dir_that_does_not_answer_delays_neither_a_start_nor_a_stop() {
    let place = tempfile::tempdir().unwrap();
    let _hung = Hung::mount(place.path());
    let hearth = copying_to(place.path().to_str().unwrap());
    let mut running = hearth.start();
    let address = running.wait_serving();
    let said = trouble(&hearth, &mut running);
    assert!(said.contains("does not answer within"), "{said}");
    assert_eq!(get(address, "/health").status, 200);
    assert!(running.stop().success());
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn a_volume_for_backups_that_is_full_is_known_before_the_first_backup() {
    let volume = tempfile::tempdir().unwrap();
    let _mounted = Mounted::new(volume.path(), "size=64k", MsFlags::empty());
    fs::write(volume.path().join("films"), vec![1; 40 << 10]).unwrap();
    let mut hearth = Hearth::new();
    hearth.set("HEARTH_BACKUP__DIR", volume.path().to_str().unwrap());
    let mut running = hearth.start();
    running.wait_serving();
    let status = running.wait("the alarm", || hearth.status().filter(|status| status["health"] == "degraded"));
    let said = status["backups"]["trouble"][0].as_str().unwrap();
    assert!(said.starts_with(&format!("backups in {}: ", volume.path().display())), "{said}");
    assert!(said.contains("no space left on device"), "{said}");
    fs::remove_file(volume.path().join("films")).unwrap();
    running.wait("the end of it", || hearth.status().filter(|status| status["health"] == "healthy"));
}

/// Starts an instance that copies to an S3 server with this secret.
fn copying_to_s3(endpoint: &str, bucket: &str, secret: &str) -> (Hearth, Running) {
    let mut hearth = copying_to(&format!("s3://{bucket}/hearth?endpoint={endpoint}"));
    hearth.set("HEARTH_BACKUP__S3_ACCESS_KEY_ID", "house");
    hearth.set("HEARTH_BACKUP__S3_SECRET_ACCESS_KEY", secret);
    let mut running = hearth.start();
    running.wait_serving();
    (hearth, running)
}

#[test]
fn a_volume_for_backups_that_is_not_mounted_is_told_once_and_counts_as_no_place_to_write_to() {
    let volume = tempfile::tempdir().unwrap();
    let mut hearth = Hearth::new();
    hearth.set("HEARTH_BACKUP__DIR", volume.path().to_str().unwrap());
    let mut running = hearth.start();
    running.wait_serving();
    hearth.backup(&[]);
    running.stop();
    fs::remove_file(volume.path().join("hearth-backups.json")).unwrap();
    let mut running = hearth.start();
    running.wait_serving();
    let status = running
        .wait("a trial", || hearth.status().filter(|status| status["backups"]["storage"][0]["trouble"].is_string()));
    let trouble = &status["backups"]["storage"][0]["trouble"];
    assert!(trouble.as_str().unwrap().contains("its marker hearth-backups.json is missing"), "{status}");
    let told = running.wait("a look", || {
        hearth.status().filter(|status| status["backups"]["last"].is_object()).map(|status| status["backups"].clone())
    });
    assert_eq!(told["trouble"].as_array().unwrap().len(), 1, "{told}");
}

#[test]
fn a_server_that_is_dead_or_hangs_is_known_before_the_first_backup() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (address, words) in
        [(dead, "the server cannot be reached"), (silent.local_addr().unwrap(), "the server does not answer")]
    {
        let (hearth, mut running) = copying_to_s3(&format!("http://{address}"), "house-backups", "wrong");
        let said = trouble(&hearth, &mut running);
        assert!(said.contains(words), "{said}");
    }
}

#[test]
#[cfg_attr(not(has = "s3s-fs"), ignore = "needs s3s-fs: cargo install s3s-fs --features binary")]
fn a_server_that_refuses_is_known_before_the_first_backup_and_one_that_takes_copies_is_no_trouble() {
    let server = Server::start();
    for (bucket, secret, words) in [
        ("nobodys-bucket", "hush-hush", "there is no such bucket"),
        ("house-backups", "wrong", "not the one of this access key"),
    ] {
        let (hearth, mut running) = copying_to_s3(&server.endpoint, bucket, secret);
        let said = trouble(&hearth, &mut running);
        assert!(said.contains(words), "{said}");
        assert!(!running.log().contains("hush-hush"), "{}", running.log());
    }
    let (hearth, running) = copying_to_s3(&server.endpoint, "house-backups", "hush-hush");
    running.wait("a trial", || tried_at(&hearth));
    assert_eq!(hearth.status().unwrap()["health"], "healthy");
    assert!(there(&hearth).is_empty());
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
    fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("house-backups")).unwrap();
        // A port that was just free; nobody else is likely to take it within this moment.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(env!("TEST_S3S_FS"))
            .args(["--access-key", "house", "--secret-key", "hush-hush", "--host", "127.0.0.1", "--port"])
            .arg(port.to_string())
            .arg(root.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for("the S3 server", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        Self { child, endpoint: format!("http://127.0.0.1:{port}"), _root: root }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[cfg_attr(not(has = "s3s-fs"), ignore = "needs s3s-fs: cargo install s3s-fs --features binary")]
fn a_house_that_burnt_down_comes_back_from_s3() {
    let server = Server::start();
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
