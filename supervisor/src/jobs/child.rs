//! How does PID 1 run a job and read its answer?

use std::{
    fs::File,
    io::{self, Seek, Write},
    os::fd::{BorrowedFd, OwnedFd},
};

use nix::{
    fcntl::OFlag,
    sys::memfd::{MFdFlags, memfd_create},
    unistd::pipe2,
};
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::unix::pipe,
};

use super::{Job, Reply, Request};
use crate::{
    failure::{Cause, Failure},
    instance::Instance,
    process::spawn::Launch,
    status::{Phase, Unit, VERSION},
};

/// The longest line that is read, in bytes: a status with thousands of migrations fits.
const LONGEST_LINE: u64 = 4 << 20;

/// The name of the one job that has no request.
pub const DOOR: &str = "door";

/// Returns the launch of a job, for the caller to add descriptors to.
pub fn launch<'a>(instance: &'a Instance, job: Job) -> Result<Launch<'a>, Failure> {
    let background = matches!(job, Job::Backup(_) | Job::Rehearse { .. });
    let name = name(&job);
    let request = Request { data: instance.data.clone(), support: instance.support.get(), job };
    let mut environment = instance.environment();
    // Of an index that is built anew, and is larger than memory: where the job may write.
    let temporary = match &request.job {
        Job::Stage { target, .. } => instance.data.generation(*target),
        _ => instance.data.supervisor(),
    };
    environment.push(("SQLITE_TMPDIR".into(), temporary.into()));
    let request = serde_json::to_vec(&request)
        .map_err(|error| Failure::new(Cause::Launch, format!("cannot write down a job: {error}")))?;
    let program = &instance.programs.job;
    let command = vec![program.path().display().to_string(), name.into(), VERSION.into()];
    let mut launch = Launch::new(program, command, environment, instance.locks());
    launch.stdin = Some(in_memory(&request).map_err(|error| Failure::io("cannot hand over a job", &error))?);
    launch.background = background;
    Ok(launch)
}

/// Returns a file in memory from which these bytes can be read: a command line could be read by every process of the
/// machine, and a request may hold a secret.
fn in_memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(c"job", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

/// Runs a job to its end and returns its result. Dropped before that, the job is killed.
///
/// # Errors
/// The job's own failure; [`Cause::Interrupted`] if something killed it.
pub async fn run<T: DeserializeOwned>(instance: &Instance, job: Job) -> Result<T, Failure> {
    run_with(instance, job, Vec::new()).await
}

/// As [`run`], for a job that gets these descriptors as well, one after the other from [`crate::process::launch::FIRST`] on.
pub async fn run_with<'a, T: DeserializeOwned>(
    instance: &'a Instance,
    job: Job,
    descriptors: Vec<(&'a str, BorrowedFd<'a>)>,
) -> Result<T, Failure> {
    let name = name(&job);
    let mut result = None;
    let mut launch = launch(instance, job)?;
    launch.sockets = descriptors;
    let exit = lines(instance, launch, |line| {
        match serde_json::from_slice::<Reply>(line) {
            Ok(Reply::Progress { done, total }) => instance.publisher.progress(done, total, Unit::Bytes),
            Ok(Reply::Recovering) => instance.publisher.enter(Phase::Recovering),
            Ok(Reply::Done(value)) => result = Some(serde_json::from_value(value).map_err(|error| error.to_string())),
            Ok(Reply::Failed(failure)) => return Err(failure),
            Err(error) => result = Some(Err(error.to_string())),
        }
        Ok(())
    })
    .await?;
    match result {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(Failure::new(
            Cause::UnknownFormat,
            format!("the job {name} gave an answer that cannot be read: {error}"),
        )),
        None => Err(Failure::new(Cause::Interrupted, format!("the job {name} {exit} before it was done"))
            .hint("what it had begun is put right by itself; then try again")),
    }
}

/// Starts a program with its standard output in a pipe, gives each line of it to `each`, and returns its exit.
///
/// # Errors
/// What starting it met; the first error of `each`, after the program's end.
pub async fn lines(
    instance: &Instance,
    mut launch: Launch<'_>,
    mut each: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<crate::process::reaper::Exit, Failure> {
    let program = launch.command.join(" ");
    let trouble = |error: io::Error| Failure::io(format!("cannot read the output of {program}"), &error);
    let (output, input) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(|errno| trouble(errno.into()))?;
    // Programs expect a standard output that blocks.
    nix::fcntl::fcntl(&input, nix::fcntl::FcntlArg::F_SETFL(OFlag::empty())).map_err(|errno| trouble(errno.into()))?;
    launch.stdout = Some(input);
    let child = launch.start(&instance.reaper).await?;
    let mut output = BufReader::new(pipe::Receiver::from_owned_fd(output).map_err(trouble)?);
    let mut failed = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        // A line ends with the program, too, should something that it left behind keep the pipe open.
        let read = tokio::select! {
            biased;
            read = async { (&mut output).take(LONGEST_LINE).read_until(b'\n', &mut line).await } => read,
            _ = child.wait() => {
                let rest = tokio::time::timeout(std::time::Duration::from_millis(200), output.read_until(b'\n', &mut line));
                rest.await.unwrap_or(Ok(0))
            }
        };
        if read.map_err(trouble)? == 0 {
            break;
        }
        if line.len() as u64 == LONGEST_LINE && !line.ends_with(b"\n") {
            failed.get_or_insert(Failure::new(
                Cause::UnknownFormat,
                format!("{program} printed a line of over {LONGEST_LINE} bytes, which is no document of ours"),
            ));
            child.kill_group();
            break;
        }
        if let Err(failure) = each(&line) {
            failed.get_or_insert(failure);
        }
    }
    let exit = child.wait().await;
    failed.map_or(Ok(exit), Err)
}

fn name(job: &Job) -> &'static str {
    match job {
        Job::Preflight => "preflight",
        Job::Start { .. } => "start",
        Job::Sandbox(_) => "sandbox",
        Job::CheckSettings(_) => "check-settings",
        Job::Recover { .. } => "recover",
        Job::Checkpoint { .. } => "checkpoint",
        Job::Stage { .. } => "stage",
        Job::Finalize(_) => "finalize",
        Job::Commit { .. } => "commit",
        Job::Retire { .. } => "retire",
        Job::Save(_) => "save",
        Job::Identify { .. } => "identify",
        Job::Keep { .. } => "keep",
        Job::Load { .. } => "load",
        Job::Rehearse { .. } => "rehearse",
        Job::EndRehearsal => "end-rehearsal",
        Job::Update(_) => "update",
        Job::Backup(job) => job.name(),
        Job::Door => DOOR,
    }
}
