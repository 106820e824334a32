//! Which documents does the supervisor keep in the data directory?
//!
//! All are JSON with `"format": 1`; times are RFC 3339 in UTC with seconds. They are information: decisions
//! come from the link and the databases.

use std::{io, path::Path};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::backup::BackupId;
use super::{DataDir, GenerationId, access, durable::read_small};
use crate::failure::{Cause, Failure};

/// The format of the documents that this version writes and reads.
pub const FORMAT: u32 = 1;

/// `supervisor/state.json`: what was committed, and what was left behind when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// [`FORMAT`].
    pub format: u32,
    /// The generation that the last commit, or start, made the live one.
    pub live: GenerationId,
    /// The version of the supervisor that wrote this.
    pub version: String,
    /// The generations that an upgrade or restore left behind and that are still kept, oldest first.
    pub snapshots: Vec<Snapshot>,
}

/// A generation that was left behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Which one.
    pub generation: GenerationId,
    /// When it was left behind.
    pub left_at: String,
    /// When the household last wrote to it, if it ever did since its commit.
    pub written_at: Option<String>,
    /// What left it behind.
    pub reason: Reason,
}

/// Why a generation was staged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The first start on an empty data directory.
    FirstStart,
    /// Pending migrations.
    Upgrade,
    /// The operator's `supervisor restore`.
    Restore,
}

/// `generations/<n>/generation.json`: what a generation is, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// [`FORMAT`].
    pub format: u32,
    /// Why it was made.
    pub reason: Reason,
    /// The generation it is a clone of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<GenerationId>,
    /// The backup it was restored from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupId>,
    /// The version that made it.
    pub version: String,
    /// The name of the last applied migration.
    pub schema: String,
    /// BLAKE3 of app.db when it was finalized, hexadecimal.
    pub blake3: String,
    /// The length of app.db when it was finalized.
    pub bytes: u64,
    /// When app.db was last modified when it was finalized, in nanoseconds since the epoch: the household has
    /// written since if this or the length is another.
    pub modified_ns: u64,
    /// When it was finalized.
    pub sealed_at: String,
}

/// `supervisor/held.json`: why the supervisor waits for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// [`FORMAT`].
    pub format: u32,
    /// What happened and the way out.
    pub failure: Failure,
    /// What the supervisor was doing ("upgrading 0006 to v0.2.0").
    pub doing: String,
    /// Since when.
    pub since: String,
    /// The version of the image that was held.
    pub version: String,
    /// The identity of the image that was held: version and hash of its programs. The same one is not tried
    /// again by itself.
    pub image: String,
    /// The live generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<GenerationId>,
    /// Further commands that lead out, each with what it does.
    #[serde(default)]
    pub ways_out: Vec<WayOut>,
    /// The step that was reached; 0.4.0 did not write it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// The fingerprint of the settings: with other ones it is tried again by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
    /// What is known of the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataState>,
}

/// The steps from a start to serving, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Lock, socket, preflight.
    Starting,
    /// What was not committed is removed.
    Recovering,
    /// What is pending is found out.
    Planning,
    /// The next generation is made; up to here everything was only looked at.
    Staging,
    /// The migrations run on it.
    Migrating,
    /// The app runs on it in private.
    Proving,
    /// It becomes the live one.
    Committing,
    /// The app runs on the live generation.
    Serving,
}

/// What is known of the data while the supervisor is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataState {
    /// It is as it was.
    Unchanged,
    /// An app has served it: it is there with everything that was written.
    Written,
    /// A commit failed, and whether it is done could not be found out. Both generations are complete.
    Unknown,
}

/// One way out of *held*.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayOut {
    /// The command to type.
    pub command: String,
    /// What it does, to which data.
    pub effect: String,
}

impl WayOut {
    /// Returns it as it is typed on the machine: in a container, with what leads into it.
    pub fn on_the_machine(&self) -> Self {
        let inside = access::in_container() && self.command.starts_with("supervisor ");
        let command = if inside { format!("docker compose exec web {}", self.command) } else { self.command.clone() };
        Self { command, effect: self.effect.clone() }
    }
}

/// The longest document that is read: a state with thousands of snapshots fits.
const LIMIT: u64 = 4 << 20;

/// Reads `supervisor/state.json`; `None` when there is none.
///
/// # Errors
/// [`Cause::UnknownFormat`] when a newer version wrote it; [`Cause::Io`] when it cannot be read or understood.
pub fn read_state(data: &DataDir) -> Result<Option<State>, Failure> {
    read(&data.state())
}

/// Reads `supervisor/held.json`; `None` when there is none.
pub fn read_held(data: &DataDir) -> Result<Option<Held>, Failure> {
    read(&data.held())
}

/// Reads a generation's `generation.json`. It is for people, so one that is missing, damaged or of another
/// format is no failure: `None`.
pub fn read_description(data: &DataDir, id: GenerationId) -> Option<Description> {
    read(&data.description(id)).ok().flatten()
}

/// Returns a document as it is written: indented, for people who look.
pub fn to_bytes<T: Serialize>(document: &T) -> Result<Vec<u8>, Failure> {
    let mut bytes = serde_json::to_vec_pretty(document)
        .map_err(|error| Failure::new(Cause::Io, format!("cannot write a document as JSON: {error}")))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads a document of this format; `None` when there is none.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Failure> {
    match read_small(path, LIMIT) {
        Ok(bytes) => understand(path, &bytes).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::io(format!("cannot read {}", path.display()), &error)),
    }
}

/// Understands a document that was read from a path.
///
/// # Errors
/// [`Cause::UnknownFormat`] for another format; a sentence for what is no such document.
pub fn understand<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, Failure> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let damaged = |error| Failure::new(Cause::Io, format!("cannot understand {}: {error}", path.display()));
    // The format first: what else is in a document of another format is not for this version to judge.
    let Format { format } = serde_json::from_slice(bytes).map_err(damaged)?;
    if format != FORMAT {
        return Err(Failure::new(
            Cause::UnknownFormat,
            format!(
                "{} has the format {format}, and this version knows only {FORMAT}: a newer version wrote it",
                path.display()
            ),
        )
        .hint("start the newer version again; nothing was touched"));
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_format_is_told_from_a_damaged_document() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::new(directory.path().to_owned());
        std::fs::create_dir(data.supervisor()).unwrap();
        assert_eq!(read_state(&data).unwrap(), None);
        std::fs::write(data.state(), r#"{"format":2,"of":"another kind"}"#).unwrap();
        assert_eq!(read_state(&data).unwrap_err().cause, Cause::UnknownFormat);
        for damaged in ["", "{", "[]", r#"{"format":1}"#, "\0\0\0\0"] {
            std::fs::write(data.state(), damaged).unwrap();
            let failure = read_state(&data).unwrap_err();
            assert_eq!(failure.cause, Cause::Io, "{damaged}");
            assert!(failure.message.contains("state.json"), "{failure}");
        }
    }
}
