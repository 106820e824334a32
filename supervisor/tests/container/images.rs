//! Which images are there besides the one that is tested? Each is that one with another program in it.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::OnceLock};

use crate::{
    engine::{both, docker, image, output, try_docker},
    harness::{copy_programs, next_programs, pack_libraries, program, tail},
};

/// Makes an image: the tested one with `program` in place of its own at `place`, and this environment. The program is linked
/// dynamically, as all that is made for tests, and the image has no libraries: it gets this machine's.
fn variant(name: &str, from: &Path, place: &str, environment: &[(&str, &str)]) -> String {
    let directory = tempfile::tempdir().unwrap();
    // A name at its end, where no loader looks: an image is known by its programs, and these may be the same ones.
    let program = [fs::read(from).unwrap(), name.as_bytes().to_vec()].concat();
    let place_here = directory.path().join("program");
    fs::write(&place_here, program).unwrap();
    fs::set_permissions(&place_here, PermissionsExt::from_mode(0o755)).unwrap();
    pack_libraries(from, &directory.path().join("libraries.tar"));
    let mut lines = format!("FROM {}\nADD libraries.tar /\nCOPY program {place}\n", image());
    for (name, value) in environment {
        lines.push_str(&format!("ENV {name}='{value}'\n"));
    }
    fs::write(directory.path().join("Dockerfile"), lines).unwrap();
    let tag = format!("hearth-test/{name}");
    docker(&["build", "--quiet", "--tag", &tag, directory.path().to_str().unwrap()]);
    tag
}

/// An earlier release: `HEARTH_TEST_OLD_IMAGE`.
pub(crate) fn old() -> String {
    std::env::var("HEARTH_TEST_OLD_IMAGE").expect("HEARTH_TEST_OLD_IMAGE names the image of an earlier release")
}

/// The image of 0.4.0, where it is here (`.ci/previous-image 0.4.0`), for what its own files are tried with. The release after it
/// stands in for it otherwise: an installation may have taken that and kept the files.
pub(crate) fn of_0_4_0() -> String {
    const IMAGE: &str = "hearth:0.4.0";
    if try_docker(&["image", "inspect", IMAGE]).status.success() { IMAGE.to_owned() } else { old() }
}

/// Returns the version of the next release.
pub(crate) fn next_version() -> String {
    let said = output(next_programs().join("app").to_str().unwrap(), &["--version"]);
    both(&said).split_whitespace().nth(1).expect("a version").to_owned()
}

/// The next release with these faults, in the words of `HEARTH_FAULT`, in its app and its migrator; `mode` is the app's.
pub(crate) fn next_with(name: &str, app: &str, migrator: &str, mode: u32) -> String {
    let directory = tempfile::tempdir().unwrap();
    let programs = directory.path().join("app");
    copy_programs(&next_programs(), &programs, |program| match program {
        "app" => tail(name, app),
        "migrator" => tail(name, migrator),
        _ => tail(name, ""),
    });
    fs::set_permissions(programs.join("app"), PermissionsExt::from_mode(mode)).unwrap();
    pack_libraries(&next_programs().join("app"), &directory.path().join("libraries.tar"));
    let lines = format!("FROM {}\nADD libraries.tar /\nCOPY app /app/\n", image());
    fs::write(directory.path().join("Dockerfile"), lines).unwrap();
    let tag = format!("hearth-test/{name}");
    docker(&["build", "--quiet", "--tag", &tag, directory.path().to_str().unwrap()]);
    tag
}

/// The next release, with a migration.
pub(crate) fn next() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| next_with("next", "", "migrator.migration=good", 0o755))
}

/// The next release, whose migration fails half-way.
pub(crate) fn broken() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| next_with("broken", "", "migrator.migration=good,migrator.migration=fails", 0o755))
}

/// One with an app that behaves as [`orders`] say (supervisor/examples/strange_app.rs), and writes where no sandbox would let it.
pub(crate) fn strange() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        variant("strange", &program("examples/strange_app"), "/app/app", &[("HEARTH_SANDBOX__MODE", "off")])
    })
}

/// Returns the variable that gives these orders to the app of [`strange`].
pub(crate) fn orders(orders: &str) -> String {
    format!(r#"HEARTH_APP__COMMAND=["/app/app", "TEST_LOG=/app/data/app.log", "TEST_APP={orders}"]"#)
}
