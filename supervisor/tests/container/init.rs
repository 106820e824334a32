//! The supervisor as PID 1 of a container: orphans, signals, and what it is allowed to do.

use std::fs;

use crate::{
    engine::{Container, docker, image},
    images,
};

/// Returns the states of the children of the container's PID 1, as this machine sees them.
fn children(container: &Container) -> Vec<char> {
    let pid = container.state()["Pid"].as_u64().unwrap();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let state = |pid: &str| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.trim_start().chars().next()
    };
    children.split_whitespace().filter_map(state).collect()
}

#[test]
#[ignore = "needs a container engine and the image"]
fn a_thousand_orphans_leave_no_zombie_and_term_is_answered() {
    let orders = images::orders("orphans=1000");
    let container = Container::run(images::strange(), &["--env", &orders], &[]);
    container.wait_serving();
    let copied = tempfile::tempdir().unwrap();
    let log = copied.path().join("app.log");
    container.wait("a thousand orphans", || {
        docker(&["cp", &format!("{}:/app/data/app.log", container.name), log.to_str().unwrap()]);
        fs::read_to_string(&log).unwrap().contains("orphaned").then_some(())
    });
    container.wait("no zombie", || (!children(&container).contains(&'Z')).then_some(()));
    assert_eq!(children(&container).len(), 1, "the app");
    container.stop();
}

#[test]
#[ignore = "needs a container engine and the image"]
fn it_is_named_by_its_image_and_listens_and_stops_as_the_image_says() {
    let of = |path: &str| docker(&["image", "inspect", "--format", &format!("{{{{json {path}}}}}"), &image()]);
    assert_eq!(of(".Config.User"), "\"1001:1001\"");
    assert_eq!(of(".Config.Entrypoint"), "[\"/app/supervisor\"]");
    assert_eq!(of(".Config.Volumes"), "{\"/app/data\":{}}");
    assert_eq!(of(".Config.ExposedPorts"), "{\"3000/tcp\":{}}");
    assert_eq!(of(".Config.StopSignal"), "\"SIGTERM\"");
    let health = of(".Config.Healthcheck");
    assert!(health.contains("[\"CMD\",\"/app/supervisor\",\"healthcheck\"]"), "no shell: {health}");
    assert!(health.contains("StartPeriod"), "{health}");
    let labels: serde_json::Value = serde_json::from_str(&of(".Config.Labels")).unwrap();
    for label in ["title", "version", "revision", "source", "licenses"] {
        assert!(labels[format!("org.opencontainers.image.{label}")].is_string(), "{label}: {labels}");
    }
    assert_eq!(labels["org.opencontainers.image.licenses"], "MIT OR Apache-2.0");
}
