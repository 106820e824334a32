//! What a supervisor makes of what registries say: log, status, app, and what is remembered.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use supervisor::jobs::update::Known;

use crate::{
    asking::assert_anonymous,
    harness::{Hearth, get},
    real::NAME,
    stand_in::{StandIn, list},
};

/// A registry whose tags the test changes.
fn changing() -> (StandIn, Arc<Mutex<Vec<&'static str>>>) {
    let tags = Arc::new(Mutex::new(vec!["latest", "v98.0.0", "v99.0.0", "v100.0.0-rc.1"]));
    let listed = Arc::clone(&tags);
    let server = StandIn::start(move |_, stream| stream.write_all(&list(&listed.lock().unwrap(), "")).unwrap());
    (server, tags)
}

fn logged(log: &str) -> Vec<String> {
    log.lines().filter(|line| line.contains("[Update]")).map(str::to_owned).collect()
}

#[test]
fn a_new_version_is_told_once_in_log_status_and_app() {
    let (server, tags) = changing();
    let mut hearth = Hearth::new();
    hearth.set("HEARTH_UPDATE__IMAGE", server.image());
    // On this machine no proxy is asked, whatever the environment says.
    for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "https_proxy"] {
        hearth.set(name, "http://127.0.0.1:1");
    }
    let mut running = hearth.start();
    let address = running.wait_serving();
    running.wait_for_log("[Update] New version v99.0.0 available\n");
    assert_eq!(server.asked().len(), 1);
    server.asked().iter().for_each(assert_anonymous);
    let status = running.wait("all to be well", || hearth.status().filter(|status| status["health"] == "healthy"));
    assert_eq!(status["update"]["newest"], "99.0.0");
    assert!(status["update"]["checked"].is_string() && status["update"]["trouble"].is_null(), "{status}");
    assert!(hearth.done(&["status"]).contains("\nupdate     New version v99.0.0 available\n"));
    running.wait("the app to know", || {
        let shown = get(address, "/api/v1/instance").json();
        (shown["update"] == json!({"version": "99.0.0"})).then_some(())
    });
    let path = hearth.data.join("supervisor/update.json");
    let written: Value = running.wait("update.json", || serde_json::from_slice(&fs::read(&path).ok()?).ok());
    let golden = include_str!("../../../docs/contracts/update.json");
    let golden: Value = serde_json::from_str(golden).unwrap();
    let names = |document: &Value| document.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&written), names(&golden));
    running.stop();

    // The next start knows it, asks nobody so soon, and does not say it again.
    let mut running = hearth.start();
    let address = running.wait_serving();
    assert_eq!(hearth.status().unwrap()["update"], status["update"]);
    running.wait("the app to know", || (get(address, "/api/v1/instance").json()["update"].is_object()).then_some(()));
    assert_eq!(hearth.done(&["update", "check"]).trim(), "New version v99.0.0 available");
    assert_eq!(server.asked().len(), 2);
    assert_eq!(logged(&running.log()), [""; 0]);
    tags.lock().unwrap().push("v99.1.0");
    let checked: Value = serde_json::from_str(&hearth.done(&["update", "check", "--json"])).unwrap();
    assert_eq!((&checked["format"], &checked["version"]), (&json!(1), &json!(env!("CARGO_PKG_VERSION"))));
    assert_eq!(checked["update"]["newest"], "99.1.0");
    assert_eq!(logged(&running.log()).len(), 1, "{}", running.log());
    assert!(logged(&running.log())[0].ends_with("[Update] New version v99.1.0 available"));
    // It was taken back.
    *tags.lock().unwrap() = vec!["v0.1.0"];
    let told = hearth.done(&["update", "check"]);
    assert_eq!(told.trim(), format!("v{} is the newest version", env!("CARGO_PKG_VERSION")));
    running.wait("the app to know", || (get(address, "/api/v1/instance").json()["update"].is_null()).then_some(()));
    running.stop();
}

#[test]
fn a_registry_that_fails_is_a_quiet_field_of_the_status() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut hearth = Hearth::new();
    hearth.set("HEARTH_UPDATE__IMAGE", format!("{dead}/{NAME}"));
    let mut running = hearth.start();
    let address = running.wait_serving();
    let status = running.wait("the check", || hearth.status().filter(|status| status["update"]["trouble"].is_string()));
    let trouble = format!("the registry {dead} cannot be reached (connection refused)");
    assert_eq!(status["update"]["trouble"], trouble.as_str());
    assert_eq!(status["notes"], json!([]));
    running.wait("all to be well", || hearth.status().filter(|status| status["health"] == "healthy"));
    assert!(hearth.done(&["status"]).contains(&format!("could not tell: {trouble}")));
    assert_eq!(get(address, "/health").json()["status"], "ok");
    assert_eq!(get(address, "/api/v1/instance").json(), json!({"version": env!("CARGO_PKG_VERSION")}));
    // Whoever asks is told.
    let output = hearth.run(&["update", "check"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stderr).starts_with(&format!("error: {trouble}\nhint: is the network up?"))
    );
    assert_eq!(logged(&running.log()), [""; 0]);
    running.stop();
}

#[test]
fn a_registry_that_never_answers_holds_up_no_stop() {
    let server = StandIn::start(|_, stream| {
        let _ = stream.read(&mut [0]);
    });
    let mut hearth = Hearth::new();
    hearth.set("HEARTH_UPDATE__IMAGE", server.image());
    let mut running = hearth.start();
    running.wait_serving();
    running.wait("the question", || (!server.asked().is_empty()).then_some(()));
    let begun = Instant::now();
    assert!(running.stop().success(), "{}", running.log());
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert!(!running.anyone_left());
}

#[test]
fn nothing_is_asked_where_nothing_is_to_be_asked() {
    let (server, _) = changing();
    let mut hearth = Hearth::new();
    // From source there is no image.
    let output = hearth.run(&["update", "check"]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("not known from which registry") && told.contains("set update.image"), "{told}");
    hearth.set("HEARTH_UPDATE__IMAGE", server.image());
    hearth.set("HEARTH_UPDATE__CHECK", "off");
    let mut running = hearth.start();
    let address = running.wait_serving();
    // Longer than the first check would have taken in a test's build: several health checks.
    let begun = Instant::now();
    running.wait("some time", || (begun.elapsed() > Duration::from_secs(2)).then_some(()));
    assert!(server.asked().is_empty());
    let nothing = json!({"checked": null, "newest": null, "notes": null, "trouble": null});
    assert_eq!(hearth.status().unwrap()["update"], nothing);
    assert_eq!(get(address, "/api/v1/instance").json(), json!({"version": env!("CARGO_PKG_VERSION")}));
    // But whoever asks is answered.
    assert_eq!(hearth.done(&["update", "check"]).trim(), "New version v99.0.0 available");
    running.stop();
    let output = hearth.set("HEARTH_UPDATE__IMAGE", "ghcr.io/Owner/name:latest").run(&["config"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        told.contains("update.image (from HEARTH_UPDATE__IMAGE) cannot be used") && told.contains("has a tag"),
        "{told}"
    );
}

#[test]
fn what_was_remembered_is_harmless_whatever_it_is() {
    let (server, _) = changing();
    let mut hearth = Hearth::new();
    hearth.set("HEARTH_UPDATE__IMAGE", server.image());
    let mut running = hearth.start();
    running.wait_serving();
    running.wait_for_log("New version v99.0.0 available");
    let path = hearth.data.join("supervisor/update.json");
    let known: Known = running.wait("update.json", || serde_json::from_slice(&fs::read(&path).ok()?).ok());
    running.stop();
    let with = |change: fn(&mut Known)| {
        let mut known = known.clone();
        change(&mut known);
        serde_json::to_vec(&known).unwrap()
    };
    let questions = AtomicUsize::new(server.asked().len());
    for (remembered, stays) in [
        (b"".to_vec(), false),
        (b"\xff\0garbage".to_vec(), false),
        (br#"{"format":2,"of":"a later version's"}"#.to_vec(), true),
        (with(|known| known.checked = "2999-01-01T00:00:00Z".into()), false),
        (with(|known| known.checked = "yesterday".into()), false),
        (with(|known| known.image = "ghcr.io/owner/other".into()), false),
    ] {
        fs::write(&path, &remembered).unwrap();
        let mut running = hearth.start();
        running.wait_serving();
        // It is asked again, and what is found is known.
        running.wait("the check", || {
            let asked = server.asked().len() > questions.load(Ordering::Relaxed);
            (asked && hearth.status()?["update"]["newest"] == "99.0.0").then_some(())
        });
        if !stays {
            running.wait("what was written", || (fs::read(&path).ok()? != remembered).then_some(()));
        }
        running.stop();
        assert_eq!(fs::read(&path).unwrap() == remembered, stays, "{}", String::from_utf8_lossy(&remembered));
        questions.store(server.asked().len(), Ordering::Relaxed);
    }
    // What it says of a version is believed only if it is one that is newer.
    for newest in ["0.0.1", "v99.0.0\u{1b}[2J", "latest"] {
        let mut known = known.clone();
        known.newest = Some(newest.to_owned());
        fs::write(&path, serde_json::to_vec(&known).unwrap()).unwrap();
        let mut running = hearth.start();
        running.wait_serving();
        assert_eq!(hearth.status().unwrap()["update"]["newest"], Value::Null, "{newest:?}");
        running.stop();
    }
}
