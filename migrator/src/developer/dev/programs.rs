//! Which programs are run, and how are they built?

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::{failed, say};
use crate::developer::entity::{self, Entity};
use crate::developer::{Problem, cargo, releases};

/// How often it is looked whether a program has ended.
const PAUSE: Duration = Duration::from_millis(50);

/// The four programs of Hearth.
const NAMES: [&str; 4] = ["supervisor", "supervisor-job", "migrator", "app"];

/// Words of which one is in each file of the app that says what an entity has.
const OF_ENTITIES: [&str; 4] = ["DeriveEntityModel", "DeriveActiveEnum", "DeriveValueType", "ValueType for"];

/// Where the programs are.
pub(super) struct Programs {
    directory: PathBuf,
    /// Whether they are built from the sources; otherwise they are as they are found.
    are_built: bool,
    /// The app's entities, and the sources of which they were read.
    entities: RefCell<Option<(blake3::Hash, Vec<Entity>)>>,
}

impl Programs {
    /// Those in `directory`, or those that `cargo build` puts beside this program.
    pub(super) fn find(directory: Option<&Path>) -> Result<Programs, Problem> {
        if let Some(directory) = directory {
            return Ok(Programs { directory: directory.to_owned(), are_built: false, entities: RefCell::default() });
        }
        let own =
            std::env::current_exe().map_err(|error| Problem::new(format!("cannot find this program: {error}")))?;
        let directory = own.parent().unwrap_or(Path::new(".")).to_owned();
        Ok(Programs { directory, are_built: true, entities: RefCell::default() })
    }

    /// Cargo's directory for everything that it makes.
    pub(super) fn target(&self) -> &Path {
        self.directory.parent().unwrap_or(&self.directory)
    }

    /// What they are made of.
    pub(super) fn watched(&self) -> Vec<PathBuf> {
        if !self.are_built {
            return vec![self.directory.clone()];
        }
        let top = releases::root();
        ["app", "migrator", "supervisor", "Cargo.toml", "Cargo.lock", ".cargo/config.toml"]
            .map(|name| top.join(name))
            .to_vec()
    }

    /// Builds them. Cargo says itself what is wrong with the sources.
    pub(super) async fn build(&self) -> Result<(), Problem> {
        if !self.are_built {
            return Ok(());
        }
        say("cargo build");
        cargo(&["build"]).await
    }

    /// Returns what the app's entities say. Cargo makes the app a second time for that, so only if it may be something new.
    pub(super) async fn entities(&self) -> Result<Vec<Entity>, Problem> {
        if !self.are_built {
            let path = self.path("entities.json");
            let Ok(text) = fs::read(&path) else { return Ok(Vec::new()) };
            return serde_json::from_slice(&text).map_err(|error| failed("read", &path, &error));
        }
        let mut hasher = blake3::Hasher::new();
        sources_of_entities(&releases::root().join("app/src"), &mut hasher);
        let sources = hasher.finalize();
        if let Some((of, entities)) = &*self.entities.borrow()
            && *of == sources
        {
            return Ok(entities.clone());
        }
        say("reading the entities");
        // First, since this can be ended at any time.
        cargo(&["build", "--quiet", "--package", "app", "--example", "entities"]).await?;
        let entities = entity::of_app()?;
        self.entities.replace(Some((sources, entities.clone())));
        Ok(entities)
    }

    /// A command of one of them, with what all of them get.
    pub(super) fn command(&self, name: &str, data: &Path) -> Command {
        let mut command = Command::new(self.path(name));
        command.env("HEARTH_DATA_DIR", data).stdin(Stdio::null()).process_group(0);
        cargo::without_package(&mut command);
        command
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// What tells these programs from those that were built before or after.
    pub(super) fn fingerprint(&self) -> Result<Vec<(u64, i64, i64, u64)>, Problem> {
        let of = |name: &&str| {
            let path = self.path(name);
            let file = fs::metadata(&path).map_err(|error| {
                failed("find", &path, &error).hint("cargo build makes all programs of the workspace")
            })?;
            Ok((file.ino(), file.mtime(), file.mtime_nsec(), file.len()))
        };
        NAMES.iter().map(of).collect()
    }
}

/// Has cargo build something of this repository. It says itself what is wrong with the sources.
async fn cargo(arguments: &[&str]) -> Result<(), Problem> {
    let child = cargo::cargo()
        .args(arguments)
        .process_group(0)
        .spawn()
        .map_err(|error| Problem::new(format!("cannot run cargo: {error}")))?;
    match ended(&mut Group(child).0).await {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Problem::new(format!("cargo {} failed; it has said why", arguments.join(" ")))),
        Err(error) => Err(Problem::new(format!("cannot wait for cargo: {error}"))),
    }
}

/// Reads the files that say what an entity has, in the order of their names.
fn sources_of_entities(directory: &Path, hasher: &mut blake3::Hasher) {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            sources_of_entities(&path, hasher);
        } else if let Ok(text) = fs::read_to_string(&path)
            && OF_ENTITIES.iter().any(|word| text.contains(word))
        {
            hasher.update(text.as_bytes());
        }
    }
}

/// Waits for a program's end.
pub(super) async fn ended(child: &mut Child) -> io::Result<std::process::ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A program and all that it starts, which end when nobody waits for it any more.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let group = i32::try_from(self.0.id()).map(Pid::from_raw);
        if let (Ok(None), Ok(group)) = (self.0.try_wait(), group) {
            killpg(group, Signal::SIGTERM).ok();
            self.0.wait().ok();
        }
    }
}
