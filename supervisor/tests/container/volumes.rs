//! Whose volumes are they? Each installation has its own, and an upgrade of the compose files takes none away.

use std::{fs, path::Path};

use crate::{
    engine::{image, name_and_address, try_docker},
    harness::household,
    images,
    project::{Compose, Project, composes},
};

const FILES: [&str; 2] = ["compose.yml", "tier-recommended.yml"];

fn exists(volume: &str) -> bool {
    try_docker(&["volume", "inspect", volume]).status.success()
}

/// Replaces words in a file of the project.
fn edit(project: &Project, file: &str, from: &str, to: &str) {
    let path = project.directory.path().join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no {from}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
#[ignore = "needs a container engine and the image"]
fn down_with_volumes_of_one_installation_leaves_the_others_data() {
    for compose in composes() {
        let (first, second) = (Project::by(compose, &FILES, &image()), Project::by(compose, &FILES, &image()));
        for project in [&first, &second] {
            project.compose(&["up", "-d"]);
        }
        let (one, two) = (first.wait_serving(), second.wait_serving());
        household::fill(one, 3);
        household::fill(two, 5);
        let records = household::all(two);
        first.compose(&["down", "-v"]);
        assert!(!exists(&format!("{}-data", first.name)) && !exists(&format!("{}-backups", first.name)));
        // Not only what it still has open: after a new container, too.
        second.compose(&["down"]);
        second.compose(&["up", "-d"]);
        assert_eq!(household::all(second.wait_serving()), records, "{compose:?}");
    }
}

/// Sets up an installation as 0.4.0's documents have it: its compose.yml, and its `.env.example` as `.env`, which knows nothing of names
/// for volumes. `app` is another word here, so that a real Hearth on this machine is left alone.
fn of_0_4_0(compose: &Compose) -> (Project, String) {
    let project = Project::by(compose, &FILES, &images::of_0_4_0());
    let (app, _) = name_and_address();
    let released = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/container/release-0.4.0");
    fs::copy(released.join("compose.yml"), project.directory.path().join("compose.yml")).unwrap();
    edit(&project, "compose.yml", "name: app-", &format!("name: {app}-"));
    edit(&project, ".env", &format!("HEARTH_VOLUMES={}\n", project.name), "");
    // What is this test's own comes last, and so it counts.
    let env = project.directory.path().join(".env");
    let own = fs::read_to_string(&env).unwrap();
    let example = fs::read_to_string(released.join(".env.example")).unwrap();
    assert!(!example.contains("HEARTH_VOLUMES"));
    fs::write(env, format!("{example}\n{own}")).unwrap();
    (project, app)
}

/// Fetches this release's compose files.
fn newer_files(project: &Project, app: &str) {
    let newer = Project::new(&FILES, &image());
    for file in FILES {
        fs::copy(newer.directory.path().join(file), project.directory.path().join(file)).unwrap();
    }
    edit(project, "compose.yml", ":-app}", &format!(":-{app}}}"));
}

#[test]
#[ignore = "needs a container engine and the image"]
fn an_older_env_with_newer_compose_files_keeps_its_data_with_the_older_image_and_with_the_newer() {
    for compose in composes() {
        let (project, app) = of_0_4_0(compose);
        project.compose(&["up", "-d"]);
        household::fill(project.wait_serving(), 20);
        let records = household::all(project.address);
        project.exec(&["supervisor", "backup"]);

        // The files before the image, with settings that 0.4.0 knows in .env: nothing that it does not know reaches it.
        newer_files(&project, &app);
        project.set("HEARTH_BACKUP__KEEP_DAILY", "30");
        project.compose(&["up", "-d"]);
        assert_eq!(household::all(project.wait_serving()), records, "{compose:?}");
        project.change_image(&image());
        assert_eq!(household::all(project.wait_serving()), records, "{compose:?}");
        let list = project.exec(&["supervisor", "backup", "list"]);
        assert!(list.contains("-manual"), "{list}");
        project.compose(&["down", "-v"]);
        assert!(!exists(&format!("{app}-data")), "the volumes were those of the older files");
    }
}

#[test]
#[ignore = "needs a container engine and the image"]
fn without_a_name_in_env_the_volumes_are_those_of_0_4_0() {
    for compose in composes() {
        for files in [&FILES[..], &["tailscale-sidecar.yml"]] {
            let project = Project::by(compose, files, &image());
            let volumes = |project: &Project| {
                let shown = project.compose(&["config"]);
                let names = shown.lines().filter_map(|line| line.trim().strip_prefix("name: "));
                let mut names: Vec<String> = names.map(str::to_owned).filter(|name| name.contains('-')).collect();
                names.retain(|name| ["-data", "-backups", "-tailscale"].iter().any(|end| name.ends_with(end)));
                names.sort();
                names
            };
            assert!(volumes(&project).iter().all(|name| name.starts_with(&project.name)), "{:?}", volumes(&project));
            edit(&project, ".env", &format!("HEARTH_VOLUMES={}\n", project.name), "");
            let mut expected = vec!["app-backups", "app-data"];
            expected.extend((files.len() == 1).then_some("app-tailscale"));
            assert_eq!(volumes(&project), expected, "{compose:?}");
            // Nothing of this test is to be taken down by these names.
            edit(&project, ".env", "COMPOSE_FILE=", "HEARTH_VOLUMES=none-of-hearths\nCOMPOSE_FILE=");
        }
    }
}
