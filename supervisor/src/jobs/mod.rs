//! Which work does PID 1 hand to a child, and how does the child answer?
//!
//! This is the protocol, and the running of a job. Another program does the work ([`crate::work`]). The request is one
//! JSON document on standard input; answers are JSON documents on standard output, one a line: any number of progress
//! lines, then one result. A job may be killed at any moment: each leaves something that the recovery or a second run of
//! the same job puts right.

pub mod backup;
pub mod child;
pub mod door;
mod results;
pub mod update;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use self::results::{
    Checkpointed, Committed, Finalize, Findings, Kept, Method, Origin, Rehearsal, Source, Staged, Start,
};
use crate::{
    config::{SandboxMode, Unchecked},
    data::{
        DataDir, GenerationId,
        programs::KeptPrograms,
        state::{Held, State},
        tries::Tries,
    },
    failure::{Cause, Failure},
    process::sandbox::SandboxSupport,
};

/// What a job is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The data directory.
    pub data: DataDir,
    /// What it is confined by while it works on what a stranger may have written.
    #[serde(default)]
    pub support: SandboxSupport,
    /// The work.
    pub job: Job,
}

/// The kinds of work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Job {
    /// Probe what the data directory's file system can do. Result: [`Findings`].
    Preflight,
    /// As [`Job::Preflight`], then enter a sandbox by what means there are, and in it do as [`Job::Recover`]. Result: [`Start`].
    Start {
        /// Whether there is to be a sandbox.
        sandbox: SandboxMode,
        /// `backup.dir`.
        backups: PathBuf,
    },
    /// Find out what a sandbox can be made of. Result: [`SandboxSupport`].
    Sandbox(SandboxMode),
    /// Check what only a library can tell of the settings. Result: the mistakes, a failure each.
    CheckSettings(Vec<Unchecked>),
    /// Remove what was not committed, fsync, and look. Result: [`crate::data::view::View`].
    Recover {
        /// `backup.dir`: where there are backups, a start is not the first one.
        backups: PathBuf,
    },
    /// Check and checkpoint a database that no process has open. Result: [`Checkpointed`].
    Checkpoint {
        /// Whose database.
        generation: GenerationId,
        /// Whether it is checked; else its clone will be.
        check: bool,
        /// Whether its content is hashed after that.
        hash: bool,
    },
    /// Make the generation `target` with its marker. Result: [`Staged`].
    Stage {
        /// Its number.
        target: GenerationId,
        /// What it is made from.
        source: Source,
    },
    /// Checkpoint, describe and fsync a staged and proven generation. Result: null.
    Finalize(Finalize),
    /// Make a finalized generation the live one, and write state.json. Result: [`Committed`].
    Commit {
        /// Which one.
        generation: GenerationId,
        /// How it is finalized first, if it is not yet.
        finalize: Option<Finalize>,
        /// What state.json is to say then.
        state: State,
    },
    /// Remove generations that retention no longer keeps. Result: the ones that are gone.
    Retire {
        /// Which ones; never the live one, nor one with a marker.
        generations: Vec<GenerationId>,
    },
    /// Write state.json, held.json, or remove held.json. Result: null.
    Save(Document),
    /// Name the image and the settings by their hashes. Result: [`crate::data::programs::Identity`].
    Identify {
        /// The supervisor, its jobs' program, the migrator and the app.
        programs: Vec<PathBuf>,
        /// All settings in force, secrets included.
        settings: String,
    },
    /// Keep a program in the data directory. Result: [`Kept`].
    Keep {
        /// It, as the job can read it.
        program: PathBuf,
    },
    /// Copy a kept program into a file in memory, which is the first descriptor, if it is still the same, and seal it. Result: null.
    Load {
        /// BLAKE3 of the program.
        blake3: String,
        /// Its length.
        bytes: u64,
    },
    /// Copy the database of a generation, which an app may serve, to the directory of the rehearsal. Result: [`Rehearsal`].
    Rehearse {
        /// Which one.
        generation: GenerationId,
    },
    /// Remove the directory of the rehearsal. Result: null.
    EndRehearsal,
    /// Ask the registry for a newer version. Result: the newest, or null. It gets no secret.
    Update(update::Question),
    /// Make backups and look after them.
    Backup(backup::BackupJob),
    /// Answer on the public socket while no app does; ends at TERM. See [`door`].
    Door,
}

/// A document to save.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Document {
    /// state.json.
    State(State),
    /// held.json; `None` removes it.
    Held(Option<Box<Held>>),
    /// programs.json; programs that it does not name are removed.
    Programs(Box<KeptPrograms>),
    /// tries.json.
    Tries(Tries),
    /// update.json. One of a format that is not known stays.
    Update(update::Known),
}

/// One line of a job's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// How far it is.
    Progress {
        /// Bytes done.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A start has probed the file systems, and recovers.
    Recovering,
    /// It is done; the value is of the type that [`Job`] names.
    Done(serde_json::Value),
    /// It could not be done.
    Failed(Failure),
}

/// Says whether a program and the supervisor belong to one version. Where only some of the programs were replaced, they do not.
///
/// # Errors
/// [`Cause::Launch`], with both versions.
pub fn same_version(program: &str, version: &str, supervisor: &str) -> Result<(), Failure> {
    if version == supervisor {
        return Ok(());
    }
    let message = format!("the program {program} is v{version}, and the supervisor that starts it is v{supervisor}");
    Err(Failure::new(Cause::Launch, message)
        .hint("the supervisor's programs belong to one version: install all of them together, then start it again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_written_as_it_is_read() {
        let request = r#"{"data":"/data","support":{"landlock":7,"seccomp":true},"job":{"stage":{"target":7,"source":{"generation":6}}}}"#;
        let read: Request = serde_json::from_str(request).unwrap();
        assert_eq!(read.job, Job::Stage { target: GenerationId(7), source: Source::Generation(GenerationId(6)) });
        assert_eq!(serde_json::to_string(&read).unwrap(), request);
        let door: Request = serde_json::from_str(r#"{"data":"/data","job":"door"}"#).unwrap();
        assert_eq!(door.job, Job::Door);
    }
}
