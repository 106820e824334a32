//! Volumes that belong to somebody else, and users other than the image's own.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
};

use crate::{
    engine::{Container, Volume, docker, image, mounted, try_docker},
    harness::household,
};

/// A directory on the machine that belongs to this user.
fn directory_of(uid: u32, gid: u32) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    chown(directory.path(), Some(uid), Some(gid)).unwrap();
    directory
}

/// Waits until it is held for a permission; returns the message and the hint. From the log, since without a directory that
/// it may write in it has no control socket.
fn held_for_permission(container: &Container) -> (String, String) {
    let found = container.wait("held for a permission", || {
        let log = container.log();
        let line = |words: &str| log.lines().find(|line| line.contains(words)).map(str::to_owned);
        Some((line("permission denied")?, line("hint: ")?))
    });
    container.wait("the maintenance page", || (container.health()? == 503).then_some(()));
    found
}

#[test]
#[ignore = "needs a container engine and the image"]
fn any_user_can_use_a_fresh_volume_with_nothing_allowed() {
    for user in ["1001:1001", "99:100", "568:568", "65534", "0:0"] {
        let (data, backups) = (Volume::new(), Volume::new());
        let (data, backups) = (data.as_data(), format!("{}:/app/backups", backups.0));
        let mut options = vec!["--user", user, "--volume", &data, "--volume", &backups];
        options.extend(["--env", "HEARTH_BACKUP__DIR=/app/backups", "--read-only", "--cap-drop", "ALL"]);
        options.extend(["--security-opt", "no-new-privileges", "--tmpfs", "/tmp:noexec,nosuid,nodev"]);
        let container = Container::run(&image(), &options, &[]);
        let address = container.wait_serving();
        household::fill(address, 5);
        container.exec(&["supervisor", "backup"]);
        container.wait_health("healthy");
        let uid = user.split(':').next().unwrap();
        assert!(container.log().contains(&format!("as uid {uid} gid ")), "{}", container.log());
        container.stop();
        docker(&["start", &container.name]);
        container.wait_serving();
        assert_eq!(household::all(address).len(), 5);
        // While the volumes are removed, nothing may use them.
        container.remove();
    }
}

#[test]
#[ignore = "needs a container engine and the image"]
fn a_directory_of_roots_gives_the_chown_and_passes_once_that_is_done() {
    let directory = directory_of(0, 0);
    let container = Container::run(&image(), &["--volume", &mounted(directory.path())], &[]);
    let (message, hint) = held_for_permission(&container);
    assert!(
        message.contains("/app/data belongs to uid 0 gid 0 (mode 755), and the supervisor runs as uid 1001 gid 1001"),
        "{message}"
    );
    assert!(hint.contains("sudo chown -R 1001:1001 DIRECTORY (on the host; "), "{hint}");
    assert!(!hint.contains("user:"), "nobody is told to run as root: {hint}");
    container.wait_health("unhealthy");
    chown(directory.path(), Some(1001), Some(1001)).unwrap();
    // The cause passes, so it is looked at again by itself.
    container.wait_serving();
    container.wait_health("healthy");
    container.stop();
}

#[test]
#[ignore = "needs a container engine and the image"]
fn a_directory_of_another_user_gives_the_user_to_run_as_and_that_works() {
    let directory = directory_of(99, 100);
    let volume = mounted(directory.path());
    let container = Container::run(&image(), &["--volume", &volume], &[]);
    let (message, hint) = held_for_permission(&container);
    assert!(message.contains("/app/data belongs to uid 99 gid 100 (mode 755)"), "{message}");
    assert!(hint.contains("user: \"99:100\""), "{hint}");
    container.stop();
    container.remove();

    let as_told = ["--volume", &volume, "--user", "99:100", "--env", "PUID=99", "--env", "PGID=100"];
    container.start_as(&image(), &as_told, &[]);
    household::fill(container.wait_serving(), 3);
    let log = container.log();
    assert!(log.contains("as uid 99 gid 100"), "{log}");
    assert!(!log.contains("PUID"), "what is so already needs no warning: {log}");
    container.stop();
    container.remove();

    // Back to the image's own user: what is there belongs to the other one, and so it says again.
    container.start_as(&image(), &["--volume", &volume], &[]);
    let (_, hint) = held_for_permission(&container);
    assert!(hint.contains("user: \"99:100\""), "{hint}");
    container.stop();
    assert_eq!(fs::metadata(directory.path().join("live/app.db")).unwrap().uid(), 99);
}

#[test]
#[ignore = "needs a container engine and the image"]
fn whoever_sets_puid_and_pgid_is_told_of_user() {
    let container = Container::run(&image(), &["--env", "PUID=99", "--env", "PGID=100"], &[]);
    container.wait_serving();
    let log = container.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("PUID")).collect();
    assert!(lines.len() == 1 && lines[0].contains("user: \"99:100\""), "{log}");
    container.stop();
}

#[test]
#[ignore = "needs a container engine and the image"]
fn root_can_look_at_the_live_database_from_outside() {
    // A sticky mount point would keep even root from following `live` (fs.protected_symlinks).
    let volume = Volume::new();
    let container = Container::run(&image(), &["--volume", &volume.as_data()], &[]);
    container.wait_serving();
    let place = docker(&["volume", "inspect", "--format", "{{.Mountpoint}}", &volume.0]);
    assert!(Path::new(&place).join("live/app.db").metadata().is_ok());
    let by_root = try_docker(&["exec", "--user", "0:0", &container.name, "supervisor", "status"]);
    assert!(by_root.status.success(), "{by_root:?}");
    container.stop();
}
