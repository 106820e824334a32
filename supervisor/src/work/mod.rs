//! What do the jobs do?
//!
//! This is the program `supervisor-job`. PID 1 starts it for each piece of work that opens a database, unpacks, compresses,
//! encrypts, or reads what strangers have sent, so that a crash is an exit status to PID 1. The program `supervisor` runs nothing
//! of this folder. This folder uses the supervisor's [protocol of jobs](crate::jobs), its sandbox and its
//! [data directory](crate::data).

pub mod backup;
pub mod checkpoint;
mod clone;
pub mod commit;
mod database;
pub mod door;
mod filesystem;
pub mod finalize;
pub mod identify;
pub mod keep;
mod parts;
pub mod preflight;
mod reach;
pub mod recover;
pub mod rehearsal;
pub mod retire;
mod roots;
pub mod save;
pub mod settings;
pub mod stage;
#[cfg(test)]
mod testing;
mod time_zone;
pub mod update;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{
    config::SandboxMode,
    data::{DataDir, space},
    failure::{Cause, Failure},
    fault,
    jobs::{Committed, Document, Job, Reply, Request, Start, child::DOOR, same_version},
    process::{
        programs::JOB,
        sandbox::{self, Rules, SandboxSupport, Sockets, rules},
    },
    status::VERSION,
};

/// The shortest time between two progress lines.
const PROGRESS: Duration = Duration::from_millis(100);

/// Does the work of `supervisor-job <name> <version>`, whose [`Request`] is on standard input. The name is for people who list the
/// machine's processes; the version is the supervisor's. Prints [`Reply`] lines to standard output, the result last, and exits 0
/// when the work is done, 1 when it could not be done. The door prints no result when it is closed.
pub fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [name, version] = &words[..] else {
        let about = "what the supervisor starts for its work on data, and no command of its own";
        return match words.first().map(String::as_str) {
            Some("--version" | "-V") => {
                println!("{JOB} {VERSION}");
                ExitCode::SUCCESS
            }
            Some("--help" | "-h") => {
                println!("{JOB} is {about}. The commands are those of the supervisor: supervisor --help");
                ExitCode::SUCCESS
            }
            _ => {
                eprintln!("error: {JOB} is {about}");
                eprintln!("hint: the commands are those of the supervisor: supervisor --help");
                ExitCode::from(2)
            }
        };
    };
    // The keys of an S3 server, a household's data: nobody else's to read.
    sandbox::close_to_others();
    // Started by a descriptor, the process would be called by its number before Linux 6.14.
    let _ = nix::sys::prctl::set_name(c"supervisor-job");
    if let Err(failure) = same_version(JOB, VERSION, version) {
        return answer(Err(failure));
    }
    // The door's standard input brings what it is to show, so its name is its request.
    if name == DOOR {
        return answer(door::main().map(|()| None));
    }
    let result = serde_json::from_reader(std::io::stdin().lock())
        .map_err(|error| Failure::new(Cause::Configuration, format!("this is not the request of a job: {error}")))
        .and_then(|Request { data, support, job }| run(&data, support, job));
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
fn run(data: &DataDir, support: SandboxSupport, job: Job) -> Result<Option<serde_json::Value>, Failure> {
    match job {
        Job::Preflight => preflight::preflight(data).and_then(value),
        Job::Start { sandbox, backups } => {
            let findings = preflight::preflight(data)?;
            let time_zone = time_zone::time_zone();
            let support = enter(sandbox, &recover::rules(data, backups.clone()))?;
            let _ = print(&Reply::Recovering);
            recover::recover(data, support, &backups)
                .and_then(|view| value(Start { findings, support, view, time_zone }))
        }
        Job::Sandbox(mode) => enter(mode, &Rules::default()).and_then(value),
        Job::CheckSettings(settings) => {
            support.confine([], &[], Sockets::None)?;
            value(settings::check(&settings))
        }
        Job::Recover { backups } => recover::recover(data, support, &backups).and_then(value),
        Job::Checkpoint { generation, check, hash } => {
            support.confine(data.places(), &[&data.generation(generation)], Sockets::None)?;
            checkpoint::checkpoint(data, generation, check, hash).and_then(value)
        }
        Job::Stage { target, source } => {
            let staged = stage::stage_and_check(data, support, target, &source, &mut progress());
            staged.map_err(|failure| space::explain(failure, &[&data.generations(), &data.files()])).and_then(value)
        }
        Job::Finalize(order) => {
            support.confine(data.places(), &[&data.generation(order.generation)], Sockets::None)?;
            finalize::finalize(data, order).and_then(value)
        }
        Job::Commit { generation, finalize, state } => {
            if let Some(order) = finalize {
                let places = data.places();
                support.confine([], &places.each_ref().map(PathBuf::as_path), Sockets::None)?;
                finalize::finalize(data, order)?;
            }
            commit::commit(data, generation)?;
            value(Committed { state_trouble: save::save(data, &Document::State(state)).err() })
        }
        Job::Retire { generations } => retire::retire(data, &generations).and_then(value),
        Job::Save(document) => save::save(data, &document).and_then(value),
        Job::Identify { programs, settings } => identify::identify(data, &programs, &settings).and_then(value),
        Job::Keep { program } => keep::keep(data, &program).and_then(value),
        Job::Load { blake3, bytes } => keep::load(data, &blake3, bytes).and_then(value),
        Job::Rehearse { generation } => rehearsal::begin(data, support, generation).and_then(value),
        Job::EndRehearsal => rehearsal::end(data).and_then(value),
        Job::Update(question) => {
            support.confine(rules::system(), &[], Sockets::Network)?;
            update::check(&question).and_then(value)
        }
        Job::Backup(job) => backup::run(data, support, job, &mut progress()),
        Job::Door => door::main().map(|()| None),
    }
}

/// Enters a sandbox by what means there are, unless there is to be none; returns the means.
///
/// # Errors
/// [`Cause::Configuration`] when `sandbox.mode` insists on what this kernel does not support.
fn enter(mode: SandboxMode, rules: &Rules) -> Result<SandboxSupport, Failure> {
    let support = if mode == SandboxMode::Off { SandboxSupport::default() } else { sandbox::try_out(rules) };
    if mode == SandboxMode::Enforce && !support.is_whole() {
        return Err(Failure::new(
            Cause::Configuration,
            format!("sandbox.mode is enforce, and all that this kernel supports is: {support}"),
        )
        .hint("Landlock takes Linux 5.13 or newer with landlock among its security modules (/sys/kernel/security/lsm), and a container engine whose seccomp profile knows it; HEARTH_SANDBOX__MODE=best-effort takes what there is"));
    }
    Ok(support)
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
            // Whoever no longer reads is not the job's concern.
            let _ = print(&Reply::Progress { done, total });
            if done < total {
                fault::rest();
            }
            last = Some(Instant::now());
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
