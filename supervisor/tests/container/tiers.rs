//! Each tier of compose/: brought up, written to, restarted, stopped and brought up again.

use serde_json::Value;

use crate::{
    engine::{docker, image},
    harness::household,
    project::Project,
};

/// Lives through a day of this set of files.
fn a_day(files: &[&str]) -> Project {
    let project = Project::new(files, &image());
    project.compose(&["up", "-d"]);
    project.wait_health("healthy");
    let address = project.wait_serving();
    household::fill(address, 60);
    let records = household::all(address);
    assert_eq!(records.len(), 60);

    project.compose(&["restart"]);
    project.wait_serving();
    assert_eq!(household::all(address), records);
    let more = household::add(address, &household::record(60));

    project.stop_well();
    project.compose(&["up", "-d"]);
    project.wait_health("healthy");
    project.wait_serving();
    let mut all = household::all(address);
    assert_eq!(all.remove(&more["id"].as_i64().unwrap()), Some(more));
    assert_eq!(all, records);

    // Gone and made anew, as for a newer image: the volumes are what is left of it.
    project.compose(&["down"]);
    project.compose(&["up", "-d"]);
    project.wait_serving();
    assert_eq!(household::all(address).len(), 61);
    assert!(project.log().contains("as uid 1001 gid 1001"), "{}", project.log());
    project
}

/// Returns what the engine was told about the container, at this path of its document.
fn told(project: &Project, path: &str) -> Value {
    let answer = docker(&["inspect", "--format", &format!("{{{{json {path}}}}}"), &project.name]);
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

#[test]
#[ignore = "needs a container engine and the image"]
fn tier_1_by_itself() {
    a_day(&["compose.yml"]);
}

#[test]
#[ignore = "needs a container engine and the image"]
fn tier_2_recommended() {
    let project = a_day(&["compose.yml", "tier-recommended.yml"]);
    assert_eq!(told(&project, ".HostConfig.CapDrop"), serde_json::json!(["ALL"]));
    assert!(told(&project, ".HostConfig.SecurityOpt").to_string().contains("no-new-privileges"));
    assert!(told(&project, ".HostConfig.Memory").as_u64().unwrap() > 0);
    assert_eq!(told(&project, ".HostConfig.ReadonlyRootfs"), false);
}

#[test]
#[ignore = "needs a container engine and the image"]
fn tier_3_hardened() {
    let project = a_day(&["compose.yml", "tier-recommended.yml", "tier-hardened.yml"]);
    assert_eq!(told(&project, ".HostConfig.CapDrop"), serde_json::json!(["ALL"]));
    assert_eq!(told(&project, ".HostConfig.ReadonlyRootfs"), true);
}
