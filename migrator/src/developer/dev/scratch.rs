//! What is in the scratch database, and when is it made anew?
//!
//! It is always made from the same four parts, in this order, so that nothing drifts: the newest release's database; the family of
//! `sample.sql`; the migrations of this source, which the migrator that was just built applies; and what the entities have beyond
//! those. Where none of them has changed, it is kept with everything that was written into it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::programs::Programs;
use super::{difference, failed, output, say};
use crate::developer::entity::Entity;
use crate::developer::{Problem, releases};

/// A family, with records that everybody sees and records that one person sees.
const SAMPLE: &str = include_str!("sample.sql");

/// The directory of `cargo dev`.
pub(super) struct Scratch {
    directory: PathBuf,
}

/// Whether a database has to take the place of the one that is there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The one that is there is what it should be.
    Kept,
    /// Another one was prepared.
    New {
        /// What it was made of.
        made_of: MadeOf,
        /// What has changed, if there was one before.
        because: Option<&'static str>,
    },
}

/// What a scratch database was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MadeOf {
    release: String,
    sample: String,
    migrator: String,
    entities: String,
    differences: Vec<String>,
}

impl Scratch {
    pub(super) fn new(directory: PathBuf) -> Scratch {
        Scratch { directory }
    }

    /// The data directory.
    pub(super) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn next(&self) -> PathBuf {
        self.directory.join("next")
    }

    /// The data directory before the one that is in use.
    fn before(&self) -> PathBuf {
        self.directory.join("before")
    }

    fn record(&self) -> PathBuf {
        self.directory.join("made-of.json")
    }

    /// Makes the database that there should be, beside the one in use, unless that one is it.
    pub(super) fn prepare(&self, programs: &Programs, entities: &[Entity]) -> Result<State, Problem> {
        let all = releases::all()?;
        let release = all.last().ok_or_else(|| Problem::new("there is no release in migrator/releases"))?;
        let hash = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
        let migrator = programs.path("migrator");
        let migrator = fs::read(&migrator).map_err(|error| failed("read", &migrator, &error))?;
        let entities_text = serde_json::to_vec(entities).map_err(|error| Problem::new(error.to_string()))?;
        let known = self.known();
        let mut made_of = MadeOf {
            release: release.version.to_string(),
            sample: hash(SAMPLE.as_bytes()),
            migrator: hash(&migrator),
            entities: hash(&entities_text),
            differences: known.as_ref().map(|known| known.differences.clone()).unwrap_or_default(),
        };
        if known.as_ref() == Some(&made_of) {
            return Ok(State::Kept);
        }
        let next = self.next();
        remove(&next)?;
        made_of.differences = make(&next, release, programs, entities)?;
        let because = match &known {
            None => None,
            Some(known) if known.migrator != made_of.migrator => Some("the migrator"),
            Some(known) if known.differences != made_of.differences => Some("the entities"),
            Some(known) if known.release != made_of.release || known.sample != made_of.sample => {
                Some("the sample data")
            }
            // An entity may say something new that makes no difference.
            Some(_) => {
                remove(&next)?;
                self.write_down(&made_of)?;
                return Ok(State::Kept);
            }
        };
        Ok(State::New { made_of, because })
    }

    /// Puts what was prepared in the place of what was in use. No supervisor may run on it.
    pub(super) fn commit(&self, state: &State) -> Result<(), Problem> {
        let State::New { made_of, because } = state else { return Ok(()) };
        let (data, next, before) = (self.data(), self.next(), self.before());
        // From here on, until it is written anew, nothing is known to be in use.
        remove(&self.record())?;
        if data.exists() {
            remove(&before)?;
            fs::rename(&data, &before).map_err(|error| failed("rename", &data, &error))?;
            say(format_args!(
                "the scratch database is made anew, since {} changed: what was typed into it is gone from it, and in {} until the next time",
                because.unwrap_or("something"),
                before.display()
            ));
        }
        fs::rename(&next, &data).map_err(|error| failed("rename", &next, &error))?;
        self.write_down(made_of)
    }

    /// Returns a sentence for each difference between the entities and the migrations.
    pub(super) fn differences(&self) -> Vec<String> {
        self.known().map(|known| known.differences).unwrap_or_default()
    }

    /// What the one in use was made of; nothing where that is not known, and it is made anew.
    fn known(&self) -> Option<MadeOf> {
        let text = fs::read(self.record()).ok()?;
        self.data().join("live/app.db").exists().then(|| serde_json::from_slice(&text).ok())?
    }

    fn write_down(&self, made_of: &MadeOf) -> Result<(), Problem> {
        let text = serde_json::to_vec_pretty(made_of).map_err(|error| Problem::new(error.to_string()))?;
        let path = self.record();
        fs::write(&path, text).map_err(|error| failed("write", &path, &error))
    }
}

/// Makes a data directory with one generation; returns what its entities have beyond the migrations.
fn make(
    data: &Path,
    release: &releases::Released,
    programs: &Programs,
    entities: &[Entity],
) -> Result<Vec<String>, Problem> {
    let generation = data.join("generations/0001");
    fs::create_dir_all(&generation).map_err(|error| failed("create", &generation, &error))?;
    let database = generation.join("app.db");
    release.make(&database)?;
    releases::place_files(data)?;
    let said = |error: rusqlite::Error| failed("write", &database, &error);
    Connection::open(&database).and_then(|connection| connection.execute_batch(SAMPLE)).map_err(said)?;

    let mut command = programs.command("migrator", data);
    command.args(["up", "--database"]).arg(&database).stdin(Stdio::null()).env_remove("HEARTH_DATABASE");
    let up = output(&mut command).map_err(|error| failed("run", &programs.path("migrator"), &error))?;
    if !up.status.success() {
        let said = String::from_utf8_lossy(&up.stderr);
        return Err(Problem::new(format!("the migrations do not run on the sample household:\n{}", said.trim()))
            .hint("cargo migration check says more; the scratch database is as it was"));
    }

    let connection = Connection::open(&database).map_err(said)?;
    let differences = difference::apply(&connection, entities)?;
    connection.close().map_err(|(_, error)| said(error))?;
    let live = data.join("live");
    symlink("generations/0001", &live).map_err(|error| failed("create", &live, &error))?;
    Ok(differences)
}

/// Removes a file or a directory, if it is there.
fn remove(path: &Path) -> Result<(), Problem> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", path, &error)),
        _ => Ok(()),
    }
}
