//! How is a project of the files in compose/ brought up, asked and taken down?
//!
//! As an operator does it, with `docker compose` or the older `docker-compose`, in a directory with a `.env`. The volumes have
//! names of their own, so that tests run beside each other, and beside the real thing.

use std::{
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
    time::Instant,
};

use crate::engine::{Container, both, name_and_address, owner, try_docker};

/// The grace period of compose/compose.yml, in seconds.
const GRACE: f32 = 20.0;

/// A project, taken down with this, volumes and all. It is its container `web` as well.
pub(crate) struct Project {
    /// The directory with the files.
    pub(crate) directory: tempfile::TempDir,
    web: Container,
    compose: Compose,
}

impl Deref for Project {
    type Target = Container;

    fn deref(&self) -> &Container {
        &self.web
    }
}

/// A compose, as the words that start it.
pub(crate) type Compose = Vec<String>;

/// Returns each compose that is here: the one that `HEARTH_TEST_COMPOSE` names, `docker compose`, and `docker-compose`, which is
/// 1.x on Debian.
pub(crate) fn composes() -> &'static [Compose] {
    static COMPOSES: OnceLock<Vec<Compose>> = OnceLock::new();
    COMPOSES.get_or_init(|| {
        let named = std::env::var("HEARTH_TEST_COMPOSE").map(|path| vec![path]).ok();
        let plugin = try_docker(&["compose", "version"]).status.success();
        let plugin = plugin.then(|| vec!["docker".to_owned(), "compose".to_owned()]);
        let alone = Command::new("docker-compose").arg("version").output().is_ok_and(|output| output.status.success());
        let alone = alone.then(|| vec!["docker-compose".to_owned()]);
        let found: Vec<_> = [named, plugin, alone].into_iter().flatten().collect();
        assert!(!found.is_empty(), "no compose is here: install docker-compose");
        found
    })
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

impl Project {
    /// Sets one up from these files in compose/, with this image; nothing is started yet.
    pub(crate) fn new(files: &[&str], image: &str) -> Self {
        Self::by(&composes()[0], files, image)
    }

    /// The same, by this compose.
    pub(crate) fn by(compose: &Compose, files: &[&str], image: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            fs::copy(repository().join("compose").join(file), directory.path().join(file)).unwrap();
        }
        let (name, address) = name_and_address();
        let named = format!("services:\n  web:\n    container_name: {name}\n");
        fs::write(directory.path().join("apart.yml"), named).unwrap();
        let project = Self { directory, web: Container { name, address }, compose: compose.clone() };
        project.settings(&files.join(":"), image);
        project
    }

    /// Writes `.env` anew: the files that are in use, and the image.
    fn settings(&self, files: &str, image: &str) {
        let Container { name, address } = &self.web;
        let settings = format!(
            "COMPOSE_FILE={files}:apart.yml\nCOMPOSE_PROJECT_NAME={name}\nHEARTH_VOLUMES={name}\nHEARTH_IMAGE={image}\nHEARTH_BIND={}\nHEARTH_PORT={}\n",
            address.ip(),
            address.port()
        );
        let settings = format!("{settings}{}\n", owner().join("\n"));
        fs::write(self.directory.path().join(".env"), settings).unwrap();
    }

    /// Adds a line to `.env`.
    pub(crate) fn set(&self, name: &str, value: &str) {
        let path = self.directory.path().join(".env");
        let settings = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{settings}{name}={value}\n")).unwrap();
    }

    /// Names another image in `.env`, as an operator does for an upgrade, and brings it up.
    pub(crate) fn change_image(&self, image: &str) {
        let path = self.directory.path().join(".env");
        let settings = fs::read_to_string(&path).unwrap();
        let changed: Vec<String> = settings
            .lines()
            .map(|line| if line.starts_with("HEARTH_IMAGE=") { format!("HEARTH_IMAGE={image}") } else { line.into() })
            .collect();
        fs::write(&path, changed.join("\n") + "\n").unwrap();
        self.compose(&["up", "-d"]);
    }

    /// Returns `docker compose` with these arguments, to be run where the files are.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let (program, rest) = self.compose.split_first().unwrap();
        let mut command = Command::new(program);
        command.args(rest).args(arguments).current_dir(self.directory.path()).stdin(Stdio::null());
        // Nothing from the environment that the tests run in.
        for (name, _) in std::env::vars_os() {
            if ["HEARTH_", "COMPOSE_", "TS_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs `docker compose` to its end.
    pub(crate) fn try_compose(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs `docker compose`, which must do what it is asked; returns all that it said.
    pub(crate) fn compose(&self, arguments: &[&str]) -> String {
        let output = self.try_compose(arguments);
        assert!(output.status.success(), "{arguments:?} ({}):\n{}{}", output.status, both(&output), self.web.log());
        both(&output)
    }

    /// `docker compose stop`, and asserts that it ended by itself, in time and well.
    pub(crate) fn stop_well(&self) {
        let since = Instant::now();
        self.compose(&["stop"]);
        assert!(since.elapsed().as_secs_f32() < GRACE);
        self.web.ended_well();
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = self.try_compose(&["down", "--volumes", "--timeout", "0"]);
    }
}
