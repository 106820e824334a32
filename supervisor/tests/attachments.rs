//! What a household attaches in the app is in backups and at destinations, comes back from them, and stops an upgrade that would lose
//! it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{collections::BTreeMap, fs, net::SocketAddr, path::PathBuf};

use harness::{Hearth, attach, get, household, program};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const FILES: [(&str, &str); 3] = [
    ("deed.txt", "the deed of the house"),
    ("letter.txt", "the letter of the bank"),
    ("again.txt", "the deed of the house"),
];

fn filled(address: SocketAddr) {
    for (name, content) in FILES {
        let record = household::add(address, &json!({ "title": name }));
        let answer = attach(address, &record["id"], name, content.as_bytes());
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
}

/// What each attachment says of itself and holds, as a client reads it.
fn attached(address: SocketAddr) -> BTreeMap<String, (Value, String)> {
    let of_record = |id: &i64| get(address, &format!("/api/v1/records/{id}/attachments")).json()["items"].clone();
    let items = household::all(address).keys().map(of_record).collect::<Vec<_>>();
    let items = items.iter().flat_map(|items| items.as_array().unwrap());
    let content = |item: &Value| get(address, &format!("/api/v1/attachments/{}/content", item["id"])).body;
    items.map(|item| (item["name"].as_str().unwrap().to_owned(), (item.clone(), content(item)))).collect()
}

fn file(hearth: &Hearth, content: &str) -> PathBuf {
    let name = blake3::hash(content.as_bytes()).to_hex().to_string();
    hearth.data.join("files").join(&name[..2]).join(name)
}

/// What `app files check --hash` says, by the app itself.
fn checked(hearth: &Hearth) -> Value {
    let mut command = std::process::Command::new(program("app"));
    let output = command.args(["files", "check", "--hash", "--json"]).env("HEARTH_DATA_DIR", &hearth.data).output();
    let output = output.unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn what_was_attached_comes_back_from_the_far_side_after_everything_was_killed() {
    let nas = tempfile::tempdir().unwrap();
    let copied = |hearth: &mut Hearth| {
        hearth.set("HEARTH_BACKUP__DESTINATIONS", format!("[{:?}]", nas.path().to_str().unwrap()));
    };
    let mut first = Hearth::new();
    copied(&mut first);
    let mut running = first.start();
    let address = running.wait_serving();
    filled(address);
    let before = attached(address);
    assert_eq!(before.len(), 3);
    let made = first.backup(&["--drill"]);
    assert_eq!(made["backup"]["files"], 2, "a content is there once: {made}");
    first.done(&["backup", "verify", "--all", "--drill"]);
    running.signal(Signal::SIGKILL);
    running.wait_end();
    drop(first);

    let mut second = Hearth::new();
    copied(&mut second);
    second.done(&["restore", "latest", "--yes"]);
    let mut running = second.start();
    let address = running.wait_serving();
    assert_eq!(attached(address), before);
    running.stop();
    let said = checked(&second);
    assert_eq!((&said["missing"], &said["damaged"]), (&json!([]), &json!([])), "{said}");
}

#[test]
fn an_upgrade_that_lost_an_attachment_is_not_committed_and_says_which() {
    let mut hearth = Hearth::new();
    let mut running = hearth.start();
    filled(running.wait_serving());
    running.stop();
    let (lost, live) = (file(&hearth, "the letter of the bank"), hearth.live());
    fs::rename(&lost, hearth.root.path().join("kept")).unwrap();
    hearth.next_migrator("good", "9.1.0");
    let mut running = hearth.start();
    let (_, status) = running.wait_held(&hearth);
    let message = status["held"]["failure"].to_string();
    assert!(message.contains("the file of attachment 2 (of record 2)") && message.contains("is missing"), "{message}");
    assert_eq!(hearth.live(), live);
    // Back in its place, the same upgrade goes through.
    fs::rename(hearth.root.path().join("kept"), &lost).unwrap();
    hearth.done(&["resume"]);
    assert_eq!(attached(running.wait_serving()).len(), 3, "{}", running.log());
    assert_ne!(hearth.live(), live);
}
