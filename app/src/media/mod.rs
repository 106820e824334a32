//! How does the app look into pictures and PDFs that a stranger may have made?
//!
//! It does not. A child process does (`app media …`, which no help mentions): it gives up everything but computing over the
//! descriptors that it was given, before it reads a byte (`confine`), and answers on a pipe. This module is the app's side: it
//! starts the child, one at a time, and believes of the answer only what it has checked. It knows no record and no database.
//!
//! The app may not signal its children (the supervisor's filter), so the child ends itself: by an alarm, and by limits of
//! processor time and memory. docs/SECURITY.md has the table of what it may not do.

#[cfg(feature = "faults")]
mod attempts;
pub(crate) mod child;
mod confine;
mod input;
mod location;
mod pdf;
mod picture;
mod report;
mod sniff;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::{Arc, LazyLock, Once},
    time::Duration,
};

use tokio::{sync::Semaphore, task, time};

pub use self::sniff::{is_inline, media_type};
use self::{
    child::Task,
    report::{Outcome, Report},
};

/// How many children there are at a time: each may take as much memory as [`confine`] allows.
const AT_A_TIME: usize = 1;
/// How long the app waits for an answer: a little longer than the child's own alarm.
const PATIENCE: Duration = Duration::from_secs(confine::ALARM_SECONDS as u64 + 5);
/// The largest preview that is believed. One of 640 × 640 pixels of noise has 400 KB.
const LARGEST_PREVIEW: u64 = 1024 * 1024;
/// The largest text: a character has up to four bytes.
const LARGEST_TEXT: u64 = 4 * pdf::MOST_CHARACTERS as u64;
/// The largest report.
const LARGEST_REPORT: u64 = 4096;

static CHILDREN: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(AT_A_TIME)));

/// Why there is no answer from the child.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// It could not be started, or not be spoken to.
    #[error("the process that reads pictures and PDFs could not be run: {0}")]
    Run(#[from] io::Error),
    /// The file is not what its type says, or is damaged.
    #[error("the file is damaged, or not of the kind that it seems to be")]
    Unreadable,
    /// The file has more bytes or pixels than are read.
    #[error("the file is too large to be read")]
    TooLarge,
    /// The child was ended, by its limits or for what it tried.
    #[error("the process that reads pictures and PDFs ended early ({0})")]
    Ended(ExitStatus),
    /// It gave an answer that no child of ours gives.
    #[error("the process that reads pictures and PDFs gave a wrong answer")]
    Answer,
    /// It gave none in time.
    #[error("the process that reads pictures and PDFs gave no answer in time")]
    Time,
}

/// Whether the child makes a preview of a file of this type.
pub fn has_preview(media_type: &str) -> bool {
    picture::TYPES.contains(&media_type)
}

/// Whether a file of this type is a picture that the child cannot decode. Who can may hand in a preview.
pub fn takes_preview(media_type: &str) -> bool {
    media_type.starts_with("image/") && is_inline(media_type) && !has_preview(media_type)
}

/// Returns a preview of a picture: a JPEG of at most 640 pixels, upright. `None` where the type has none.
///
/// # Errors
/// No picture could be made of the file; a page shows the type's symbol instead.
pub async fn preview(file: File, media_type: &str) -> Result<Option<Vec<u8>>, MediaError> {
    if !has_preview(media_type) {
        return Ok(None);
    }
    let Some(answer) = run(Task::Preview, file, LARGEST_PREVIEW).await? else { return Ok(None) };
    // It goes to browsers as a JPEG, and as nothing else.
    if sniff::media_type(&answer, "") != "image/jpeg" {
        return Err(MediaError::Answer);
    }
    Ok(Some(answer))
}

/// Returns the text of a PDF, page after page, cut after a million characters. `None` where it has none, such as a scan.
///
/// # Errors
/// The file could not be read as a PDF, or needs a password.
pub async fn pdf_text(file: File) -> Result<Option<String>, MediaError> {
    let Some(answer) = run(Task::Text, file, LARGEST_TEXT).await? else { return Ok(None) };
    let text = String::from_utf8(answer).map_err(|_| MediaError::Answer)?;
    let text: String = text.chars().filter(|character| !character.is_control() || *character == '\n').collect();
    Ok((!text.trim().is_empty()).then_some(text))
}

/// Overwrites where a picture was taken, in its EXIF, XMP and IPTC data, and returns whether there was something. All else stays,
/// byte for byte, and so does the length. The file has to be opened for reading and writing; whoever calls this syncs it.
///
/// # Errors
/// Some of it may still be there. To be called again, or the file to be refused.
pub async fn remove_location(file: File) -> Result<bool, MediaError> {
    Ok(run(Task::Location, file, 0).await?.is_some())
}

/// Runs the child with a file; returns what it wrote, `None` if it found nothing.
async fn run(task: Task, file: File, most: u64) -> Result<Option<Vec<u8>>, MediaError> {
    // It is never closed.
    let permit = CHILDREN.clone().acquire_owned().await.map_err(io::Error::other)?;
    let running = task::spawn_blocking(move || {
        // Until the child has ended, also when nobody waits for it any more.
        let _permit = permit;
        converse(&program()?, task, file, most)
    });
    match time::timeout(PATIENCE, running).await {
        Ok(joined) => joined.map_err(io::Error::other)?,
        Err(_) => Err(MediaError::Time),
    }
}

/// Starts the child, reads its answer, and waits for its end.
fn converse(program: &Path, task: Task, file: File, most: u64) -> Result<Option<Vec<u8>>, MediaError> {
    let mut command = Command::new(program);
    command.args([child::CHILD, task.name()]).env_clear();
    let mut child = command.stdin(file).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (mut answer, mut report) = (Vec::new(), Vec::new());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    // Its report comes last, so that neither waits for the other. One byte more shows that there is too much.
    let answered = stdout.map_or(Ok(0), |stdout| stdout.take(most + 1).read_to_end(&mut answer));
    let reported = stderr.map_or(Ok(0), |stderr| stderr.take(LARGEST_REPORT).read_to_end(&mut report));
    let status = child.wait()?;
    answered.and(reported)?;
    let report = Report::read(&report);
    if report.is_some_and(|report| !report.seccomp) {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            tracing::warn!(
                "this kernel has no seccomp filters: what reads pictures and PDFs has its limits, and no filter"
            );
        });
    }
    match report.map(|report| report.outcome) {
        _ if !status.success() => Err(MediaError::Ended(status)),
        _ if answer.len() as u64 > most => Err(MediaError::Answer),
        Some(Outcome::Done) => Ok(Some(answer)),
        Some(Outcome::Nothing) => Ok(None),
        Some(Outcome::TooLarge) => Err(MediaError::TooLarge),
        Some(Outcome::Unreadable) => Err(MediaError::Unreadable),
        None => Err(MediaError::Answer),
    }
}

/// Returns the program of the child: this one.
fn program() -> io::Result<PathBuf> {
    #[cfg(feature = "faults")]
    if let Some(program) = OTHER_PROGRAM.get() {
        return Ok(program.clone());
    }
    // The unit tests' program is another one, which would run the tests again.
    if cfg!(test) { Err(io::ErrorKind::Unsupported.into()) } else { Ok("/proc/self/exe".into()) }
}

#[cfg(feature = "faults")]
static OTHER_PROGRAM: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();

/// Has a test, which is no `app` itself, name the program.
#[cfg(feature = "faults")]
pub fn use_program(program: PathBuf) {
    let _ = OTHER_PROGRAM.set(program);
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    /// Returns what comes of a child that does this instead.
    fn told_by(script: &str) -> Result<Option<Vec<u8>>, MediaError> {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("child");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        loop {
            let file = File::open(&program).unwrap();
            match converse(&program, Task::Text, file, 100) {
                // A process that another test is just starting has it open still, for writing.
                Err(MediaError::Run(error)) if error.kind() == io::ErrorKind::ExecutableFileBusy => {}
                answer => return answer,
            }
        }
    }

    #[test]
    fn of_a_childs_answer_only_what_is_sound_is_believed() {
        let done = r#"echo '{"seccomp":true,"outcome":"done"}' >&2"#;
        assert_eq!(told_by(&format!("echo text; {done}")).unwrap(), Some(b"text\n".to_vec()));
        let nothing = r#"echo text; echo '{"seccomp":true,"outcome":"nothing"}' >&2"#;
        assert_eq!(told_by(nothing).unwrap(), None);
        // Too much, without end, also of what it reports; no report, another one, and one that it died of.
        assert!(matches!(told_by(&format!("printf %0101d 1; {done}")), Err(MediaError::Answer)));
        assert!(matches!(
            told_by("while :; do echo more || exit 0; done"),
            Err(MediaError::Answer | MediaError::Ended(_))
        ));
        assert!(told_by("exec >&-; while :; do echo more >&2 || exit 0; done").is_err());
        assert!(matches!(told_by("echo text"), Err(MediaError::Answer)));
        assert!(matches!(told_by("echo text; echo done >&2"), Err(MediaError::Answer)));
        assert!(matches!(told_by(&format!("echo text; {done}; exit 1")), Err(MediaError::Ended(_))));
        assert!(matches!(told_by(&format!("echo text; {done}; kill -KILL $$")), Err(MediaError::Ended(_))));
    }

    #[test]
    fn a_child_gets_nothing_but_the_file_and_two_pipes() {
        let said = told_by(r#"/usr/bin/env; read -r line; echo "$line"; echo '{"seccomp":true,"outcome":"done"}' >&2"#);
        let said = String::from_utf8(said.unwrap().unwrap()).unwrap();
        // What a shell adds of its own.
        let added = ["PWD=", "SHLVL=", "_=", "OLDPWD="];
        let lines = said.lines().filter(|line| !added.iter().any(|name| line.starts_with(name)));
        assert_eq!(lines.collect::<Vec<_>>(), ["#!/bin/sh"]);
    }
}
