//! An engine whose seccomp profile knows nothing of the last years' system calls, and refuses them with EPERM.

use std::path::Path;

use crate::{
    engine::{Container, Volume, image},
    harness::household,
};

#[test]
#[ignore = "needs a container engine and the image"]
fn an_old_seccomp_profile_boots_serves_and_backs_up() {
    let profile = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/container/old-seccomp.json");
    let volume = Volume::new();
    let profile = format!("seccomp={}", profile.display());
    let options = ["--security-opt", &profile, "--volume", &volume.as_data()];
    let container = Container::run(&image(), &options, &[]);
    let address = container.wait_serving();
    household::fill(address, 20);
    let records = household::all(address);
    container.exec(&["supervisor", "backup"]);
    household::add(address, &household::record(20));
    container.exec(&["supervisor", "restore", "latest", "--yes"]);
    assert_eq!(household::all(container.wait_serving()), records);
    // Started by the supervisor, a program of its own has the filter, too.
    assert!(container.exec(&["supervisor", "migrator", "status"]).contains("Nothing is pending."));
    let status = container.status().unwrap();
    let notes = status["notes"].to_string();
    assert!(notes.contains("seccomp profile is old") && notes.contains("has no Landlock"), "{status}");
    assert_eq!(status["sandbox"], "seccomp");
    container.wait_health("healthy");
    container.stop();
}
