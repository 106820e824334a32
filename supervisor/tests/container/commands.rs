//! What operators type: the programs by their names, and the commands of the documentation.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    engine::{Container, Volume, both, docker, image, output, try_docker},
    harness::household,
    project::{Project, composes},
};

#[test]
#[ignore = "needs a container engine and the image"]
fn the_first_word_after_the_image_names_the_program() {
    let image = image();
    let run = |words: &[&str]| docker(&[&["run", "--rm", &image], words].concat());
    for words in [&["--version"][..], &["supervisor", "--version"]] {
        assert!(run(words).starts_with("supervisor "), "{}", run(words));
    }
    assert!(run(&["migrator", "--version"]).starts_with("migrator "));
    let document: Value = serde_json::from_str(&run(&["app", "openapi"])).unwrap();
    assert!(document["paths"]["/api/v1/records"].is_object() || document["paths"].is_object(), "{document}");
    // Wrong usage is wrong usage in each of them.
    for words in
        [&["frobnicate"][..], &["supervisor", "frobnicate"], &["migrator", "frobnicate"], &["app", "frobnicate"]]
    {
        let wrong = try_docker(&[&["run", "--rm", &image], words].concat());
        assert_eq!(wrong.status.code(), Some(2), "{words:?}: {}", both(&wrong));
        assert!(both(&wrong).contains("frobnicate"), "{words:?}: {}", both(&wrong));
    }

    let volume = Volume::new();
    let container = Container::run(&image, &["--volume", &volume.as_data()], &["supervisor"]);
    household::fill(container.wait_serving(), 3);
    // By itself, on the same volume, and in the running container.
    let beside = docker(&["run", "--rm", "--volume", &volume.as_data(), &image, "migrator", "status"]);
    assert!(beside.contains("Nothing is pending."), "{beside}");
    assert!(container.exec(&["migrator", "status"]).contains("Nothing is pending."));
    let beside = docker(&["run", "--rm", "--volume", &volume.as_data(), &image, "supervisor", "status"]);
    assert!(beside.contains("serving"), "the control socket is reached from another container: {beside}");
    assert_eq!(container.exec(&["supervisor", "healthcheck"]), "healthy: serving");
    container.stop();
}

#[test]
#[ignore = "needs a container engine and the image"]
fn the_operators_commands_work_as_they_stand() {
    let project = Project::new(&["compose.yml", "tier-recommended.yml"], &image());
    project.compose(&["up", "-d"]);
    let address = project.wait_serving();
    household::fill(address, 30);
    let records = household::all(address);

    let log = project.compose(&["logs", "web"]);
    assert!(log.lines().any(|line| line.contains("Starting server")), "{log}");
    let answer = output("curl", &["--fail", "--silent", &format!("http://{address}/health")]);
    assert!(answer.status.success(), "{answer:?}");

    let made = project.compose(&["exec", "-T", "web", "supervisor", "backup"]);
    let list = project.compose(&["exec", "-T", "web", "supervisor", "backup", "list"]);
    assert!(made.contains("-manual") || list.contains("manual"), "{made}\n{list}");
    // They lie on the volume for backups, and none of them on the one for the data.
    let archives = |directory: &str| {
        let names = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.filter(|name| name.to_string_lossy().ends_with(".tar.zst")).count()
    };
    let place = |volume: &str| docker(&["volume", "inspect", "--format", "{{.Mountpoint}}", volume]);
    assert_eq!(archives(&place(&format!("{}-backups", project.name))), 1);
    assert_eq!(archives(&format!("{}/backups", place(&format!("{}-data", project.name)))), 0);

    household::add(address, &household::record(30));
    // Beside the one that serves, which carries it out; asked on a terminal, and answered there.
    restore_on_a_terminal(&project);
    project.wait_serving();
    assert_eq!(household::all(address), records);

    household::add(address, &household::record(31));
    project.stop_well();
    project.compose(&["run", "--rm", "-T", "web", "supervisor", "restore", "latest", "--yes"]);
    project.compose(&["up", "-d"]);
    project.wait_serving();
    assert_eq!(household::all(address), records);
}

/// `docker compose run --rm web supervisor restore latest`, and a yes.
fn restore_on_a_terminal(project: &Project) {
    let line = format!("{} run --rm web supervisor restore latest", composes()[0].join(" "));
    let compose = project.command(&[]);
    let mut script = Command::new("script");
    script.args(["-qefc", &line, "/dev/null"]).current_dir(project.directory.path());
    for (name, _) in compose.get_envs().filter(|(_, value)| value.is_none()) {
        script.env_remove(name);
    }
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"y\n").unwrap();
    let restored = child.wait_with_output().unwrap();
    assert!(restored.status.success(), "{}\n{}", both(&restored), project.log());
    assert!(both(&restored).contains(" is live"), "{}", both(&restored));
}
