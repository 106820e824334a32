//! Which work does PID 1 hand to a child of the same binary?
//!
//! `supervisor job <request>`: the request is one JSON document as an argument; answers are JSON documents on
//! standard output, one a line: any number of progress lines, then one result. A job may be killed at any
//! moment: each leaves something that [`recover`] or a second run of the same job puts right.

pub mod backup;
pub mod checkpoint;
pub mod child;
mod clone;
pub mod commit;
mod database;
mod filesystem;
pub mod finalize;
pub mod identify;
pub mod preflight;
pub mod recover;
pub mod retire;
pub mod save;
pub mod stage;
#[cfg(test)]
mod testing;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{
    data::{
        DataDir, GenerationId,
        state::{Held, Reason, State},
    },
    door,
    failure::{Cause, Failure},
    process::sandbox::{SandboxSupport, Sockets, rules},
    update,
};

/// The shortest time between two progress lines.
const PROGRESS: Duration = Duration::from_millis(100);

/// What a job is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The data directory.
    pub data: DataDir,
    /// What it is confined by while it works on what a stranger may have written.
    #[serde(default)]
    pub means: SandboxSupport,
    /// The work.
    pub job: Job,
}

/// The kinds of work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Job {
    /// Probe what the data directory's file system can do. Result: [`preflight::Findings`].
    Preflight {
        /// Whether to try out what a sandbox can be made of, too.
        sandbox: bool,
    },
    /// Remove what was not committed, fsync, and look. Result: [`crate::data::view::View`].
    Recover {
        /// `backup.dir`: where there are backups, a start is not the first one.
        backups: PathBuf,
    },
    /// Check and checkpoint a database that no process has open. Result: [`checkpoint::Checkpointed`].
    Checkpoint {
        /// Whose database.
        generation: GenerationId,
    },
    /// Make the generation `target` with its marker. Result: [`stage::Staged`].
    Stage {
        /// Its number.
        target: GenerationId,
        /// What it is made from.
        source: stage::Source,
    },
    /// Checkpoint, describe and fsync a staged and proven generation. Result: null.
    Finalize {
        /// Which one.
        generation: GenerationId,
        /// Why it was staged.
        reason: Reason,
        /// What it was made from.
        origin: stage::Origin,
        /// The name of its last applied migration.
        schema: String,
    },
    /// Make a sealed generation the live one. Result: null.
    Commit {
        /// Which one.
        generation: GenerationId,
    },
    /// Remove generations that retention no longer keeps. Result: the ones that are gone.
    Retire {
        /// Which ones; never the live one, nor one with a marker.
        generations: Vec<GenerationId>,
    },
    /// Write state.json, held.json, or remove held.json. Result: null.
    Save(Document),
    /// Name the image: BLAKE3 over its programs. Result: a string of hexadecimal digits.
    Identify {
        /// The supervisor, the migrator and the app.
        programs: Vec<PathBuf>,
    },
    /// Ask the registry for a newer version. Result: the newest, or null. It gets no secret.
    Update(update::Question),
    /// Make backups and look after them.
    Backup(backup::Job),
    /// Answer on the public socket while no app does; ends at TERM. See [`crate::door`].
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
    /// It is done; the value is of the type that [`Job`] names.
    Done(serde_json::Value),
    /// It could not be done.
    Failed(Failure),
}

/// Does the work of `supervisor job <name>`, whose [`Request`] is on standard input (the name is for whoever looks at the
/// machine's processes): prints [`Reply`] lines to standard output, the result last, and exits 0 when it is done, 1 when
/// it could not be done. The door prints no result when it is closed.
#[must_use]
pub fn main(name: &str) -> ExitCode {
    // The door's standard input brings what it is to show, so its name is its request.
    if name == child::DOOR {
        return answer(door::serve::main().map(|()| None));
    }
    let result = serde_json::from_reader(std::io::stdin().lock())
        .map_err(|error| Failure::new(Cause::Configuration, format!("this is not the request of a job: {error}")))
        .and_then(|Request { data, means, job }| run(&data, means, job));
    answer(result)
}

fn answer(result: Result<Option<serde_json::Value>, Failure>) -> ExitCode {
    let (reply, code) = match result {
        Ok(None) => return ExitCode::SUCCESS,
        Ok(Some(value)) => (Reply::Done(value), ExitCode::SUCCESS),
        Err(failure) => (Reply::Failed(failure), ExitCode::FAILURE),
    };
    // Nobody there to read the answer: the work is done all the same, and whoever starts next will look.
    if print(&reply).is_err() { ExitCode::FAILURE } else { code }
}

/// Does one job here and now, in this process.
///
/// # Errors
/// What the job says.
fn run(data: &DataDir, means: SandboxSupport, job: Job) -> Result<Option<serde_json::Value>, Failure> {
    match job {
        Job::Preflight { sandbox } => preflight::preflight(data, sandbox).and_then(value),
        Job::Recover { backups } => recover::recover(data, means, &backups).and_then(value),
        Job::Checkpoint { generation } => {
            means.confine(data.places(), &[&data.generation(generation)], Sockets::None)?;
            checkpoint::checkpoint(data, generation).and_then(value)
        }
        Job::Stage { target, source } => stage::stage(data, means, target, &source, &mut progress()).and_then(value),
        Job::Finalize { generation, reason, origin, schema } => {
            means.confine(data.places(), &[&data.generation(generation)], Sockets::None)?;
            finalize::finalize(data, generation, reason, origin, schema).and_then(value)
        }
        Job::Commit { generation } => commit::commit(data, generation).and_then(value),
        Job::Retire { generations } => retire::retire(data, &generations).and_then(value),
        Job::Save(document) => save::save(data, &document).and_then(value),
        Job::Identify { programs } => identify::identify(&programs).and_then(value),
        Job::Update(question) => {
            means.confine(rules::system(), &[], Sockets::Network)?;
            update::check(&question).and_then(value)
        }
        Job::Backup(job) => backup::run(data, means, job, &mut progress()),
        Job::Door => door::serve::main().map(|()| None),
    }
}

fn value<T: Serialize>(result: T) -> Result<Option<serde_json::Value>, Failure> {
    serde_json::to_value(result)
        .map(Some)
        .map_err(|error| Failure::new(Cause::Io, format!("cannot write the result of a job as JSON: {error}")))
}

/// Returns what prints progress lines: the first, the last, and between them not more often than is useful.
fn progress() -> impl FnMut(u64, u64) {
    let mut last: Option<Instant> = None;
    move |done, total| {
        if done >= total || last.is_none_or(|last| last.elapsed() >= PROGRESS) {
            last = Some(Instant::now());
            // Whoever no longer reads is not the job's concern.
            let _ = print(&Reply::Progress { done, total });
        }
    }
}

fn print(reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&line)?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_written_as_it_is_read() {
        let request = r#"{"data":"/data","means":{"landlock":7,"seccomp":true},"job":{"stage":{"target":7,"source":{"generation":6}}}}"#;
        let read: Request = serde_json::from_str(request).unwrap();
        assert_eq!(
            read.job,
            Job::Stage { target: GenerationId(7), source: stage::Source::Generation(GenerationId(6)) }
        );
        assert_eq!(serde_json::to_string(&read).unwrap(), request);
        let door: Request = serde_json::from_str(r#"{"data":"/data","job":"door"}"#).unwrap();
        assert_eq!(door.job, Job::Door);
    }
}
