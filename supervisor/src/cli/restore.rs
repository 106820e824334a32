//! What does `restore` say before it goes back to a backup or snapshot, and while it does?

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use super::{
    backup::{self, age, read_identity},
    confirm::confirm,
    look, say, say_failure, talk,
    work::{Restoring, run_operation},
};
use crate::{
    config::{Config, Flags, Loaded},
    control::orders::{From, Operation},
    data::{
        DataDir, GenerationId,
        backup::{About, BackupId, Description},
        size::counted,
        state::FORMAT,
        view::{self, Live, View},
    },
    failure::{Cause, Failure},
    jobs::{
        Job,
        backup::{Archive, ArchiveSource, BackupJob, Listing, Preview},
    },
    operations::{alone, restore::is_restorable},
};

/// Tables that only Hearth itself knows: how many rows they have is no help to a person.
const INTERNAL: [&str; 9] = [
    "seaql_migrations",
    "migration_ledger",
    "account",
    "session",
    "verification",
    "passkey",
    "totp",
    "api_token",
    "audit_event",
];
/// How many tables are compared on the screen.
const TABLES: usize = 50;

/// `supervisor restore`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  supervisor restore latest                                   the newest backup\n  supervisor restore 2026-11-24T03-30-00Z-manual              one that `supervisor backup list` shows\n  supervisor restore /mnt/usb/2026-11-24T03-30-00Z-manual.tar.zst   a file from anywhere\n  supervisor restore latest --identity key.txt                an encrypted one\n  supervisor restore 0006                                     a snapshot"
)]
pub(super) struct Restore {
    /// A backup's id or file, `latest`, or a snapshot's number (see: supervisor backup list, supervisor snapshot list)
    #[arg(value_name = "BACKUP|SNAPSHOT|PATH|latest")]
    what: String,
    /// The file with the age identity that opens an encrypted backup
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn restore(flags: &Flags, data: &DataDir, asked: &Restore) -> Result<u8, Failure> {
    let (from, lines) = chosen(flags, data, asked)?;
    let before = view::live(data).unwrap_or_default();
    if !asked.json {
        lines.iter().for_each(|line| talk(line));
    }
    if !asked.yes {
        confirm("restoring")?;
    }
    let what = match &from {
        From::Snapshot(snapshot) => snapshot.to_string(),
        From::Archive(_) => asked.what.clone(),
    };
    let again = format!("try again with: supervisor restore {what}");
    let restoring = Restoring { before: &before, again: &again };
    match run_operation(flags, data, Operation::Restore(from), asked.json, Some(&restoring))
        .and_then(|done| done.outcome)
    {
        Ok(done) if asked.json => {
            let live = match view::live(data) {
                Ok(Live::Generation(live)) => Some(live),
                _ => None,
            };
            say(&json!({"format": FORMAT, "live": live, "done": done}).to_string());
            Ok(0)
        }
        Ok(done) => {
            say(&done);
            Ok(0)
        }
        Err(failure) if may_pass(failure.cause) && view::live(data).is_ok_and(|now| now == before) => {
            if asked.json {
                let hint = failure.hint.as_ref().map_or(again.clone(), |hint| format!("{hint}; {again}"));
                say_failure(&failure.hint(hint));
            } else {
                say_failure(&failure);
                talk(&format!("hint: {again}"));
            }
            Ok(1)
        }
        Err(failure) => Err(failure),
    }
}

/// Finds out what is meant, and says what restoring it will do.
fn chosen(flags: &Flags, data: &DataDir, asked: &Restore) -> Result<(From, Vec<String>), Failure> {
    let what = asked.what.as_str();
    if let Ok(snapshot) = what.parse::<GenerationId>() {
        if !data.path().is_dir() {
            let place = data.path().display();
            let message = format!("there is no snapshot {snapshot}: there is no data directory {place}");
            return Err(Failure::new(Cause::Configuration, message)
                .hint("--data-dir or HEARTH_DATA_DIR names another; a backup can be restored without one: supervisor restore PATH"));
        }
        let view = look(data)?;
        is_restorable(&view, snapshot)?;
        return Ok((From::Snapshot(snapshot), proposal(&view, snapshot)));
    }
    let config = Loaded::load(flags)?.config;
    let place = place(what, &config)?;
    let identities = asked.identity.as_deref().map(read_identity).transpose()?;
    let archive = Archive { place, identities };
    let settings = Box::new(config.backup.clone());
    let preview = BackupJob::Preview { archive: Box::new(archive.clone()), settings, rows_now: is_own(data) };
    let preview = alone::look(config, Job::Backup(preview))?;
    let view = if data.path().is_dir() { look(data)? } else { View::default() };
    Ok((From::Archive(archive), backup_proposal(&view, preview)))
}

/// Whether the data directory is this user's. A database that another user opens may get files beside it that its owner
/// cannot write to.
fn is_own(data: &DataDir) -> bool {
    std::fs::metadata(data.path()).is_ok_and(|stat| stat.uid() == nix::unistd::geteuid().as_raw())
}

/// Returns where the backup lies that is meant: a path, an id, or `latest`.
fn place(what: &str, config: &Config) -> Result<ArchiveSource, Failure> {
    let path = Path::new(what);
    if what.contains('/') || BackupId::of_archive(what).is_some() || path.is_file() {
        let path =
            std::path::absolute(path).map_err(|error| Failure::io(format!("cannot tell where {what} is"), &error))?;
        return Ok(ArchiveSource::File(path));
    }
    let id: Option<BackupId> = match what {
        "latest" => None,
        id => Some(id.parse().map_err(|wrong| {
            Failure::new(Cause::Configuration, format!("{wrong}, nor a snapshot's number, nor a file")).hint(
                "supervisor backup list and supervisor snapshot list show what there is; latest is the newest backup",
            )
        })?),
    };
    // Here first: what lies at a destination is a copy of it, and need not be asked for. This house's own before all others.
    let Listing { own, here: mut local, .. } = backup::listing(config.clone(), false)?;
    let is_ours = |description: &Description| Some(&description.instance) == own.as_ref();
    // Last come those of which nothing is known.
    local.sort_by_key(|local| (!is_ours(&local.description), local.description.instance.is_empty()));
    let fits = |description: &Description| match &id {
        Some(id) => description.id == *id,
        None => description.damage.is_none(),
    };
    if let Some(chosen) = local.iter().find(|local| fits(&local.description)) {
        if id.is_none() {
            let newer = local.iter().filter(|other| other.description.id > chosen.description.id);
            newer.for_each(|other| passed_over(&other.description));
        }
        return Ok(chosen.place.clone());
    }
    let settings = &config.backup;
    let Listing { mut there, failures, .. } = match settings.destinations.is_empty() {
        true => Listing::default(),
        false => backup::listing(config.clone(), true)?,
    };
    failures.iter().for_each(say_failure);
    there.retain(|listed| fits(&listed.description));
    if there.iter().any(|listed| is_ours(&listed.description)) {
        there.retain(|listed| is_ours(&listed.description));
    }
    let instances: BTreeSet<_> = there.iter().map(|listed| listed.description.instance.clone()).collect();
    if instances.len() > 1 {
        let (count, names) = (instances.len(), Vec::from_iter(instances).join(", "));
        let message = format!("there are backups of {count} instances at the destinations: {names}");
        let hint = "name the one that you mean by its id (supervisor backup list)";
        return Err(Failure::new(Cause::Configuration, message).hint(hint));
    }
    match there.into_iter().max_by_key(|listed| (listed.description.sequence, listed.description.id.clone())) {
        Some(listed) => Ok(listed.place),
        None => {
            let elsewhere = match (settings.destinations.is_empty(), failures.is_empty()) {
                (true, _) => "",
                (false, true) => ", nor at any destination",
                (false, false) => ", nor at any destination that could be read",
            };
            let (which, first) = match id {
                Some(id) => (format!("backup {id}"), "supervisor backup list shows the backups there are"),
                None => ("backup".to_owned(), "make one with: supervisor backup"),
            };
            let message = format!("there is no {which} in {}{elsewhere}", settings.dir.display());
            let hint = format!("{first}; a file from elsewhere is named by its path");
            Err(Failure::new(Cause::Configuration, message).hint(hint))
        }
    }
}

/// Says why a backup that may be newer than the chosen one was passed over, if there is a reason.
fn passed_over(backup: &Description) {
    let why = match (&backup.damage, backup.instance.is_empty()) {
        (Some(_), _) => "it is damaged",
        (None, true) => "its description is lost, so that nothing is known of it",
        (None, false) => return,
    };
    talk(&format!("{} may be newer, but {why}", backup.id));
}

/// Whether the same restore may succeed another time. What was refused will be refused again, and what was interrupted
/// says itself what came of it.
fn may_pass(cause: Cause) -> bool {
    !matches!(cause, Cause::Configuration | Cause::UnknownFormat | Cause::Newer | Cause::Damaged | Cause::Interrupted)
}

/// Says what a restore will do.
fn proposal(view: &View, snapshot: GenerationId) -> Vec<String> {
    let from = format!("snapshot {}", describe(view, snapshot));
    let mut lines = vec![format!("This makes a new generation from {from} and goes over to it.")];
    lines.extend(stays_behind(view));
    lines
}

fn describe(view: &View, id: GenerationId) -> String {
    let generation = view.generations.iter().find(|generation| generation.id == id);
    match generation.and_then(|generation| generation.description.as_ref()) {
        Some(description) => format!("{id} (made on {} by v{})", description.sealed_at, description.version),
        None => id.to_string(),
    }
}

/// Says what becomes of the present.
fn stays_behind(view: &View) -> Option<String> {
    let Live::Generation(live) = view.live else { return None };
    let described = describe(view, live);
    Some(format!(
        "What is live now, generation {described}, stays behind as a snapshot: this can be taken back with: supervisor restore {live}"
    ))
}

/// Says what restoring a backup will do.
fn backup_proposal(view: &View, preview: Preview) -> Vec<String> {
    let Preview { about: About { id, version, created_at, rows, .. }, files, rows_now } = preview;
    let mut lines = vec![format!(
        "This makes a new generation from the backup {id} (of {created_at}, {} ago, by v{version}) and goes over to it.",
        age(&created_at)
    )];
    if files > 0 {
        lines.push(format!(
            "It has {}; those that are not there any more come back, and none is removed.",
            counted(files, "attachment", "attachments")
        ));
    }
    let of_the_household = |table: &&String| !INTERNAL.contains(&table.as_str());
    let tables: BTreeSet<&String> =
        rows.keys().chain(rows_now.iter().flat_map(BTreeMap::keys)).filter(of_the_household).collect();
    // An archive may come from anywhere: a screenful of names is enough, and none of them moves the cursor.
    for table in tables.into_iter().take(TABLES) {
        let then = rows.get(table).map_or("no rows".to_owned(), |count| counted(*count, "row", "rows"));
        let now = |now: &BTreeMap<String, u64>| now.get(table).map_or("none".to_owned(), u64::to_string);
        let now = rows_now.as_ref().map(|rows| format!(" then, {} now", now(rows))).unwrap_or_default();
        lines.push(format!("  {}: {then}{now}", table.escape_debug()));
    }
    lines.extend(stays_behind(view));
    lines
}
