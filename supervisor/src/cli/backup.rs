//! What do `backup create`, `list`, `verify` and `prune` print?

use std::{collections::BTreeSet, fs::File, io::Read, path::Path, time::SystemTime};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    confirm::confirm,
    say, say_failure, talk,
    work::{Done, run_operation},
};
use crate::{
    config::{Config, Flags, Loaded, destination},
    control::orders::{Identities, Operation},
    data::{
        DataDir,
        backup::{BackupId, Reason},
        size::Size,
        state::FORMAT,
        text_file,
    },
    failure::{Cause, Failure},
    jobs::{
        Job,
        backup::{ArchiveSource, BackupJob, Listed, Listing},
    },
    operations::alone,
};

/// The longest identity file that is read, in bytes.
const LONGEST_IDENTITY: u64 = 64 << 10;

/// `supervisor backup`
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Backup {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    create: Create,
}

#[derive(Subcommand)]
enum Command {
    /// Make a backup now, and verify it (the default)
    Create(Create),
    /// List the backups there are, here and at the destinations
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Restore backups to a scratch place and check what was restored
    Verify(Verify),
    /// Remove backups, here and at the destinations; also one with a label, which is kept until then
    Remove {
        /// The backups' ids (see: supervisor backup list)
        #[arg(required = true)]
        ids: Vec<BackupId>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove the backups that the policy (backup.keep_*) does not keep
    Prune {
        /// Only say what would go, and why what is kept is kept
        #[arg(long)]
        dry_run: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
struct Create {
    /// What to call it in lists; with a label it is kept until you remove it (supervisor backup remove)
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// Boot an app from it in private, too
    #[arg(long)]
    drill: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Do not tell how far it is
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Args)]
struct Verify {
    /// The backups' ids (see: supervisor backup list); the newest one if none is given
    ids: Vec<BackupId>,
    /// All of them
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Boot an app from each in private, too
    #[arg(long)]
    drill: bool,
    /// The file with the age identity that opens encrypted ones
    #[arg(long, value_name = "FILE")]
    identity: Option<std::path::PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Do not tell how far it is
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn backup(flags: &Flags, data: &DataDir, asked: Backup) -> Result<u8, Failure> {
    match asked.command.unwrap_or(Command::Create(asked.create)) {
        Command::Create(Create { label, drill, json, quiet }) => {
            check_label(label.as_deref())?;
            let operation = Operation::Backup { reason: Reason::Manual, label, drill };
            told(run_operation(flags, data, operation, quiet, None)?, json)
        }
        Command::List { json } => list(Loaded::load(flags)?.config, json),
        Command::Verify(Verify { ids, all, drill, identity, json, quiet }) => {
            let ids = chosen(flags, ids, all)?;
            let identities = identity.as_deref().map(read_identity).transpose()?.map(Identities);
            told(run_operation(flags, data, Operation::Verify { ids, drill, identities }, quiet, None)?, json)
        }
        Command::Remove { ids, yes, json } => {
            if !yes {
                talk("This removes, here and at the destinations, for good:");
                ids.iter().for_each(|id| talk(&format!("  {id}")));
                confirm("removing")?;
            }
            told(run_operation(flags, data, Operation::Remove { ids }, true, None)?, json)
        }
        Command::Prune { dry_run, json } => {
            let done = run_operation(flags, data, Operation::Prune { dry_run }, true, None)?;
            if let (false, Some(result)) = (json, &done.result) {
                for backup in result["backups"].as_array().into_iter().flatten() {
                    let kept = backup["kept"].as_array().into_iter().flatten().filter_map(Value::as_str);
                    let kept = kept.collect::<Vec<_>>().join(", ");
                    let id = backup["id"].as_str().unwrap_or_default();
                    match (&*kept, dry_run) {
                        ("", true) => say(&format!("would go {id}")),
                        ("", false) => say(&format!("removed  {id}")),
                        (kept, _) => say(&format!("kept     {id}  ({kept})")),
                    }
                }
            }
            told(done, json)
        }
    }
}

fn told(done: Done, as_json: bool) -> Result<u8, Failure> {
    if let (true, Some(result)) = (as_json, &done.result) {
        say(&result.to_string());
    }
    let sentence = done.outcome?;
    if as_json {
        talk(&sentence)
    } else {
        say(&sentence)
    }
    Ok(0)
}

fn check_label(label: Option<&str>) -> Result<(), Failure> {
    match label {
        Some(label) if label.len() > 200 || label.chars().any(char::is_control) || label.trim().is_empty() => {
            Err(Failure::new(Cause::Configuration, "a label is one line of text, 200 bytes at most"))
        }
        _ => Ok(()),
    }
}

/// Reads the operator's identity file, as the operator: a file, a link to one, or a pipe (`/dev/stdin`, `<(pass show hearth)`).
pub(super) fn read_identity(path: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST_IDENTITY + 1).read_to_end(&mut bytes));
    read.map_err(|error| {
        let failure = Failure::reading(path, format!("cannot read the identity file {}", path.display()), &error);
        if failure.cause == Cause::Permission {
            return failure;
        }
        failure.hint("it is the file that age-keygen made; it need not be in the container for longer than this takes")
    })?;
    let wrong =
        |what: &str| Failure::new(Cause::Configuration, format!("{} is no identity file: {what}", path.display()));
    if bytes.len() as u64 > LONGEST_IDENTITY {
        return Err(wrong("it is too long").hint("it must be the file that age-keygen wrote"));
    }
    if bytes.starts_with(b"age-encryption.org/") {
        return Err(wrong("it is itself encrypted").hint("decrypt it first: age -d identity.age > identity.txt"));
    }
    text_file::decode(&bytes)
        .ok_or_else(|| wrong("it is not text").hint("it must be the file that age-keygen wrote, in UTF-8 or UTF-16"))
}

/// Returns the backups that are meant.
fn chosen(flags: &Flags, ids: Vec<BackupId>, all: bool) -> Result<Vec<BackupId>, Failure> {
    if !ids.is_empty() {
        return Ok(ids);
    }
    let config = Loaded::load(flags)?.config;
    let dir = config.backup.dir.clone();
    let mut local = listing(config, false)?.here.into_iter().map(|local| local.description.about.id);
    let ids: Vec<_> = if all { local.collect() } else { local.next().into_iter().collect() };
    if ids.is_empty() && !all {
        return Err(Failure::new(Cause::Configuration, format!("there is no backup in {}", dir.display()))
            .hint("make one with: supervisor backup"));
    }
    Ok(ids)
}

/// Has a job list the backups there are.
pub(super) fn listing(config: Config, elsewhere: bool) -> Result<Listing, Failure> {
    let settings = Box::new(config.backup.clone());
    alone::look(config, Job::Backup(BackupJob::List { settings, elsewhere }))
}

fn list(config: Config, as_json: bool) -> Result<u8, Failure> {
    let dir = config.backup.dir.clone();
    let Listing { here: mut listed, there, failures, .. } = listing(config, true)?;
    listed.extend(there);
    if as_json {
        let rows: Vec<Value> = listed
            .iter()
            .map(|Listed { description, place }| {
                let (kind, place) = match place {
                    ArchiveSource::File(path) => ("local", path.display().to_string()),
                    ArchiveSource::Destination { destination, .. } => ("destination", destination::named(destination)),
                };
                json!({"kind": kind, "place": place, "backup": description})
            })
            .collect();
        say(&json!({"format": FORMAT, "backups": rows, "errors": failures}).to_string());
    } else if listed.is_empty() {
        say(&format!("no backups in {}", dir.display()));
    } else {
        say(&table(&listed));
    }
    for failure in &failures {
        say_failure(failure);
    }
    Ok(u8::from(!failures.is_empty()))
}

fn table(listed: &[Listed]) -> String {
    let header = ["ID", "KIND", "AGE", "REASON", "VERSION", "SIZE", "VERIFIED", "WHERE"].map(str::to_owned);
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let instances = listed.iter().map(|listed| &listed.description.instance).collect::<BTreeSet<_>>().len();
    let rows = listed.iter().map(|Listed { description, place }| {
        let verified = match (&description.damage, &description.verified_at, &description.drilled_at) {
            (Some(_), ..) => "DAMAGED".to_owned(),
            (None, None, _) => "no".to_owned(),
            (None, Some(at), None) => at.clone(),
            (None, Some(at), Some(_)) => format!("{at} (drilled)"),
        };
        let mut place = match place {
            ArchiveSource::File(_) => "here".to_owned(),
            ArchiveSource::Destination { destination, .. } => destination::named(destination),
        };
        // Where several instances share a directory, it matters whose it is.
        if instances > 1 {
            place = format!("{place} ({})", or_dash(&description.instance));
        }
        let reason = match &description.label {
            Some(label) => format!("{}: {label} (kept)", description.reason),
            None => description.reason.to_string(),
        };
        [
            description.id.to_string(),
            if description.encrypted { "encrypted".to_owned() } else { "plain".to_owned() },
            age(&description.created_at),
            reason,
            or_dash(&description.version),
            Size(description.bytes).to_string(),
            verified,
            place,
        ]
    });
    crate::config::aligned(std::iter::once(header).chain(rows)).trim_end().to_owned()
}

/// How long ago that was, in its largest unit: `3h`.
pub(super) fn age(at: &str) -> String {
    let ago = humantime::parse_rfc3339(at).ok().and_then(|at| SystemTime::now().duration_since(at).ok());
    match ago.map(|ago| ago.as_secs()) {
        None => "-".to_owned(),
        Some(seconds) if seconds < 60 => format!("{seconds}s"),
        Some(seconds) if seconds < 3600 => format!("{}m", seconds / 60),
        Some(seconds) if seconds < 2 * 86_400 => format!("{}h", seconds / 3600),
        Some(seconds) => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write, thread};

    use super::*;

    const KEY: &str = "# created: 2026-11-24T03:30:00Z\nAGE-SECRET-KEY-1EXAMPLE\n";

    #[test]
    fn an_identity_comes_from_a_file_a_link_or_a_pipe_however_it_was_saved() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("key"), KEY).unwrap();
        std::os::unix::fs::symlink("key", path("link")).unwrap();
        let utf16: Vec<u8> = [0xFEFF].into_iter().chain(KEY.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        fs::write(path("powershell"), utf16).unwrap();
        for name in ["key", "link", "powershell"] {
            assert_eq!(read_identity(&path(name)).unwrap(), KEY, "{name}");
        }
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let pipe = path("pipe");
        let writer = thread::spawn(move || File::options().write(true).open(pipe).unwrap().write_all(KEY.as_bytes()));
        assert_eq!(read_identity(&path("pipe")).unwrap(), KEY);
        writer.join().unwrap().unwrap();
    }

    #[test]
    fn what_is_no_identity_is_called_what_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        for (content, words) in [
            (&b"age-encryption.org/v1\n-> scrypt \xFF"[..], "it is itself encrypted"),
            (b"\x89PNG\xFF\xFE", "it is not text"),
            (&[b'x'; 70_000], "it is too long"),
        ] {
            fs::write(&path, content).unwrap();
            let failure = read_identity(&path).unwrap_err();
            assert!(failure.message.ends_with(&format!("is no identity file: {words}")), "{failure}");
            assert!(failure.hint.is_some(), "{failure}");
        }
        assert!(read_identity(directory.path()).unwrap_err().message.contains("is a directory"));
    }
}
