//! How is a backup made?
//!
//! The database is copied in a single step, then the attachments are looked through; both are streamed into an archive
//! under a hidden name. The archive is restored to a scratch place and checked, described, and only then gets the name
//! by which it counts, with one rename. Killed at any moment before, there is no backup, and what lies about is removed
//! at the next start.

use std::{
    fs::{self, File},
    io::{self, BufReader, Write},
    path::Path,
    thread,
    time::{Duration, SystemTime},
};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use super::{
    Hashing, Scratch,
    archive::{
        read,
        write::{self, Unwritten},
    },
    catalog::{self, History},
    check_database, check_space,
    destination::Destination,
    encryption, identity, lease,
    manifest::Manifest,
    marker,
};
use crate::{
    data::{
        DATABASE, DataDir, GenerationId,
        backup::{About, BackupId, Description, Reason},
        durable::{self, Explain, Unfinished, open_regular},
        permissions,
        state::{self, FORMAT},
        view::{self, Live},
    },
    failure::{Cause, Failure},
    fault,
    jobs::backup::{Create, Made},
    process::sandbox::{SandboxSupport, Sockets},
    status::now,
    work::{
        database::{Database, Indexes, beside, length},
        parts::Parts,
    },
};

/// Bytes in memory between the archive's writer and whoever checks it meanwhile.
const BUFFER: usize = 256 << 10;

/// The shares of the time that it takes to write an archive and to read it back; the rest is the check of the restored database.
const WRITE: f64 = 0.5;
const READ_BACK: f64 = 0.2;

/// What the trouble with attachments is called.
const ATTACHMENTS: &str = "attachments";
/// What the trouble with the indexes of the database in use is called.
pub(super) const INDEXES: &str = "indexes";
/// What leads out where the tables of the database in use are damaged.
const GO_BACK: &str = "older backups are whole: supervisor backup list; go back to one with: supervisor restore <id>";

/// Makes a backup of the live generation.
///
/// # Errors
/// What went wrong; then there is no backup, and nothing else was changed.
pub fn create(
    data: &DataDir,
    support: SandboxSupport,
    order: Create,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Made, Failure> {
    let mut history = catalog::history(data, &now())?;
    if order.reason == Reason::Scheduled {
        // Before anything can go wrong: what is tried again, and when, is counted from here.
        history.attempted_at = Some(now());
        catalog::remember(data, &history)?;
    }
    fault::point("backup.begun").explain(doing)?;
    let generation = match view::live(data)? {
        Live::Generation(generation) => generation,
        _ => {
            return Err(Failure::new(Cause::Live, "cannot make a backup: there is no live generation")
                .hint("supervisor status says why; a backup is of the data in use"));
        }
    };
    let dir = &order.settings.dir;
    // Where it lives is looked at, and where it has no name yet something random is read: not possible any more in a moment.
    let own = identity::identity(data)?;
    let shared = prepare_directory(data, dir, &own.instance, &mut history)?;
    let lease = lease::take(data, shared.as_ref(), own)?;
    if lease.may_remove().unwrap_or(false) {
        catalog::clean_up(dir, &lease.own.instance, shared.is_none())?;
    }
    let own = lease.own.instance;
    let mut scratch = Scratch::make(data)?;
    fault::point("backup.prepared").explain(doing)?;
    permissions::open_attachments(&data.files());
    // From here on it reads what an app may have written.
    let writes: [&Path; 3] = [&data.generation(generation), &data.supervisor(), dir];
    support.confine([data.files(), data.generations()], &writes, Sockets::None)?;

    // The database first, the files after it: what it refers to is there then, for files are only ever added.
    let copy = scratch.path.join("copy.db");
    let length = database_length(&data.database(generation))?;
    let need = if is_encrypted(&order) {
        (length.saturating_mul(2), "a copy of the database and the check of it")
    } else {
        (length, "a copy of the database")
    };
    check_space(doing(), &scratch.path, need.0, need.1)?;
    copy_database(data, generation, &copy)?;
    fault::point("backup.copied").explain(doing)?;

    let mut attempt = |trust_names| {
        let (manifest, damaged) = manifest(data, &order, &own, generation, &copy, history.sequence, trust_names)?;
        let what = "the archive, if nothing of it can be compressed";
        check_space(doing(), dir, manifest.bytes(), what)?;
        let (unfinished, description) = write_and_verify(data, &order, &manifest, &copy, &scratch, progress)?;
        Ok((unfinished, description, damaged))
    };
    let made = match attempt(true) {
        // Each file is hashed by itself then, and what is wrong with that one is told.
        Err(Unwritten::Misnamed(_)) => attempt(false),
        made => made,
    };
    let mut reindexed = None;
    let made = match made {
        // Perhaps only indexes are: then nothing is lost, and the backup gets new ones.
        Err(Unwritten::Failed(failure)) if failure.cause == Cause::Damaged => {
            reindexed = copy_with_new_indexes(data, generation, &copy)?;
            if reindexed.is_some() { attempt(false) } else { Err(failure.into()) }
        }
        made => made,
    };
    let (unfinished, description, damaged) = made.map_err(|unwritten| match unwritten {
        Unwritten::Failed(failure) => failure,
        Unwritten::Misnamed(path) => {
            Failure::new(Cause::Io, format!("cannot make a backup: {path} changed while it was read"))
                .hint("try again: supervisor backup")
        }
    })?;
    let archive = unfinished.target().to_owned();
    // Another instance with the same backup.dir may have made one in the same second.
    let [plain, encrypted] = [false, true].map(|encrypted| dir.join(description.id.archive(encrypted)));
    for path in [plain, encrypted, dir.join(description.id.description())] {
        if fs::symlink_metadata(&path).is_ok() {
            return Err(Failure::new(Cause::Io, format!("cannot make a backup: {} is there already", path.display()))
                .hint("another instance makes its backups in the same directory, and was a moment earlier; try again: supervisor backup"));
        }
    }
    catalog::write(dir, &own, &description)?;
    fault::point("backup.described").explain(doing)?;
    unfinished.put()?;
    fault::point("backup.renamed").explain(doing)?;
    durable::sync_directory(dir)?;
    history.sequence = history.sequence.max(description.sequence);
    history.trouble.remove("backup");
    match damaged {
        0 => history.trouble.remove(ATTACHMENTS),
        // Said until it is mended, for sooner or later the last backup with the good ones goes.
        damaged => history.trouble.insert(
            ATTACHMENTS.to_owned(),
            format!("{damaged} of them are damaged and not in the last backup; an older one brings them back: supervisor restore <id>"),
        ),
    };
    let mut notes = description.left_out.clone();
    notes.extend(lease.gave_way.map(|gave_way| format!("{} (backup.dir): {gave_way}", dir.display())));
    history.reindex = reindexed.as_ref().map(|_| generation);
    match reindexed {
        None => history.trouble.remove(INDEXES),
        Some(problem) => {
            let trouble = format!(
                "those of the database in use do not agree with its tables ({problem}); this backup has new ones, made from the tables. \
                 Stop the supervisor and start it again: it goes over to a copy of the database with new indexes"
            );
            notes.push(format!("{INDEXES}: {trouble}"));
            history.trouble.insert(INDEXES.to_owned(), trouble)
        }
    };
    // It is there and counts; the next one finds the numbers by looking.
    if let Err(failure) = catalog::remember(data, &history) {
        notes.push(failure.message);
    }
    fault::point("backup.remembered").explain(doing)?;
    scratch.keep = order.keep;
    let _ = durable::remove_if_there(&copy);
    Ok(Made { description, archive, notes })
}

fn doing() -> &'static str {
    "cannot make a backup"
}

fn is_encrypted(order: &Create) -> bool {
    !order.settings.recipients.is_empty()
}

/// Makes `backup.dir`, if that is not yet done, and sees to it that it is the one that was used before. Returns it if it is shared.
fn prepare_directory(
    data: &DataDir,
    dir: &Path,
    own: &str,
    history: &mut History,
) -> Result<Option<Destination>, Failure> {
    if history.sequence > 0 && *dir != data.backups() && !dir.is_dir() {
        return Err(Failure::new(
            Cause::Io,
            format!("cannot make a backup: the directory {} (backup.dir) is not there", dir.display()),
        )
        .hint(format!(
            "is it mounted? If it is a new place, create it: mkdir -p {}; backups made earlier stay where they were",
            dir.display()
        )));
    }
    let is_new = durable::create_directory_if_missing(dir)?;
    if is_new {
        durable::sync_parent(dir)?;
    }
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let place = real(dir);
    for of in [data.generations(), data.files(), data.supervisor()] {
        if place.starts_with(real(&of)) {
            return Err(Failure::new(
                Cause::Configuration,
                format!("cannot make a backup: {} (backup.dir) leads into {}", dir.display(), of.display()),
            )
            .hint("put it beside the data, or better on another disk"));
        }
    }
    if !is_new {
        marker::check(dir, history)?;
    }
    let shared = marker::shared(data, dir)?;
    if shared.is_some() {
        marker::put(dir, own, history)?;
    }
    Ok(shared)
}

fn database_length(path: &Path) -> Result<u64, Failure> {
    let own = length(path)?.unwrap_or(0);
    Ok(own + length(&beside(path, "-wal"))?.unwrap_or(0))
}

fn copy_database(data: &DataDir, generation: GenerationId, copy: &Path) -> Result<(), Failure> {
    let live = Database::open_live(&data.database(generation))?;
    drop(durable::create_file(copy)?);
    live.copy_to(copy)
}

/// Copies the database again, with new indexes. Returns what was wrong with the old ones; nothing, where they were not what is
/// wrong with the database.
///
/// # Errors
/// [`Cause::Damaged`] where the tables are.
fn copy_with_new_indexes(data: &DataDir, generation: GenerationId, copy: &Path) -> Result<Option<String>, Failure> {
    durable::remove_if_there(copy)?;
    copy_database(data, generation, copy)?;
    let Ok(database) = Database::open(copy) else { return Ok(None) };
    match database.rebuild_damaged_indexes()?.1 {
        Indexes::Rebuilt(problem) => Ok(Some(problem)),
        Indexes::Whole => Ok(None),
        Indexes::TablesDamaged(problem) => Err(damaged(&problem)),
    }
}

fn damaged(problem: &str) -> Failure {
    Failure::new(Cause::Damaged, format!("cannot make a backup: the database is damaged: {problem}")).hint(GO_BACK)
}

/// Says what the backup is and what goes into it, and how many attachments are damaged.
fn manifest(
    data: &DataDir,
    order: &Create,
    own: &str,
    generation: GenerationId,
    copy: &Path,
    sequence: u64,
    trust_names: bool,
) -> Result<(Manifest, u64), Failure> {
    let dir = &order.settings.dir;
    let others = catalog::list(dir)?;
    let sequence =
        others.iter().map(|other| other.description.sequence).max().unwrap_or(0).max(sequence).saturating_add(1);
    let now = SystemTime::now();
    let (mut at, mut id) = (now, BackupId::new(now, order.reason));
    // Two in one second get two names, also those of two instances.
    let taken = catalog::ids(dir)?;
    while taken.contains(&id) {
        at += Duration::from_secs(1);
        id = BackupId::new(at, order.reason);
    }
    let survey = write::survey(&data.files(), trust_names)?;
    // Counted, and closed, before the file is opened to be hashed. And checked before: what counts the rows of a table would
    // never come to the end of one whose pages lead in circles.
    let database = Database::open(copy)?;
    if let [problem, ..] = database.quick_check()?.as_slice() {
        return Err(damaged(problem));
    }
    let rows = database.rows()?;
    drop(database);
    let mut members = vec![write::member(copy, DATABASE)?];
    members.extend(survey.members);
    let about = About {
        format: FORMAT,
        id,
        sequence,
        reason: order.reason,
        label: order.label.clone(),
        created_at: humantime::format_rfc3339_seconds(now).to_string(),
        instance: own.to_owned(),
        version: order.version.clone(),
        // The app could have written this; what cannot be shown would make a manifest that is refused.
        schema: state::read_description(data, generation)
            .map(|found| found.schema.chars().filter(|letter| !letter.is_control()).collect())
            .unwrap_or_default(),
        generation,
        rows,
        left_out: survey.left_out,
    };
    Ok((Manifest { about, members }, survey.damaged))
}

/// Writes the archive under its hidden name, and restores it to the scratch place.
fn write_and_verify(
    data: &DataDir,
    order: &Create,
    manifest: &Manifest,
    copy: &Path,
    scratch: &Scratch,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(Unfinished, Description), Unwritten> {
    let encrypted = is_encrypted(order);
    let mut parts = Parts::begin(manifest.bytes(), progress);
    let archive = order.settings.dir.join(manifest.id.archive(encrypted));
    let (unfinished, file) = Unfinished::begin_of(&manifest.instance, &archive)?;
    let path = unfinished.path();
    let mut output = Hashing::new(io::BufWriter::with_capacity(BUFFER, &file));
    let restored = scratch.database();
    durable::remove_if_there(&restored)?;
    let (blake3, bytes) = parts.part(WRITE, |progress| -> Result<_, Unwritten> {
        if encrypted {
            return written_encrypted(order, manifest, copy, data, &restored, output, progress);
        }
        write::write(&mut output, manifest, copy, &data.files(), progress)?;
        Ok(flushed(output, path)?)
    })?;
    fault::point("backup.written").explain(doing)?;
    file.sync_all().explain(|| format!("cannot make {} durable", path.display()))?;
    fault::point("backup.synced").explain(doing)?;
    // From the disk, not from what the kernel still holds of it.
    let _ = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    drop(file);
    if !encrypted {
        // Its place is needed for the restored one.
        durable::remove_if_there(copy)?;
    }
    parts.part(READ_BACK, |progress| read_back(path, manifest, encrypted, &blake3, &restored, progress))?;
    if let Some(problem) = parts.untold(1.0 - WRITE - READ_BACK, || check_database(&restored, manifest))? {
        let message = format!("cannot make a backup: what was written was restored for a check, and {problem}");
        return Err(Failure::new(Cause::Damaged, message).hint(GO_BACK).into());
    }
    fault::point("backup.verified").explain(doing)?;
    let mut description = catalog::describe(manifest, encrypted, bytes, blake3);
    description.verified(None);
    Ok((unfinished, description))
}

fn flushed<W: Write>(mut output: Hashing<W>, path: &Path) -> Result<(String, u64), Failure> {
    output.flush().explain(|| format!("cannot write {}", path.display()))?;
    Ok((output.blake3(), output.bytes))
}

/// Writes an encrypted archive. Once it is encrypted nobody here can read it, so what goes in is restored at the same time.
fn written_encrypted<W: Write>(
    order: &Create,
    manifest: &Manifest,
    copy: &Path,
    data: &DataDir,
    restored: &Path,
    output: Hashing<W>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(String, u64), Unwritten> {
    let (reader, writer) = io::pipe().explain(|| "cannot make a pipe")?;
    thread::scope(|scope| {
        let check = scope.spawn(move || {
            let opened = read::open(BufReader::with_capacity(BUFFER, reader), "that is being written")?;
            opened.extract(restored, read::Files::Check, &mut |_, _| ())
        });
        let encrypted = encryption::encrypt(&order.settings.recipients, output)?;
        let mut both = Both { encrypted, plain: Some(writer) };
        let written = write::write(&mut both, manifest, copy, &data.files(), progress);
        // The end of the pipe is the end of what there is to check.
        let Both { encrypted, plain } = both;
        drop(plain);
        let checked = check.join().unwrap_or_else(|_| Err(Failure::new(Cause::Io, "the check of a backup gave up")));
        written?;
        checked?;
        let output = encrypted.finish().explain(|| "cannot finish the encryption of a backup")?;
        Ok(flushed(output, copy)?)
    })
}

/// Writes to both.
struct Both<W: Write> {
    encrypted: encryption::Encrypted<W>,
    plain: Option<io::PipeWriter>,
}

impl<W: Write> Write for Both<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.encrypted.write_all(bytes)?;
        if let Some(plain) = &mut self.plain
            && plain.write_all(bytes).is_err()
        {
            // The check has failed, and says why itself.
            self.plain = None;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.encrypted.flush()
    }
}

/// Reads the archive back from the disk: it is what was written, and (plain) it can be restored.
fn read_back(
    path: &Path,
    manifest: &Manifest,
    encrypted: bool,
    blake3: &str,
    restored: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), Failure> {
    let open = || -> Result<Hashing<File>, Failure> {
        open_regular(path).map(Hashing::new).explain(|| format!("cannot read {}", path.display()))
    };
    let mut file = open()?;
    let differs = || {
        Failure::new(
            Cause::Damaged,
            format!("cannot make a backup: {} is not on the disk as it was written", path.display()),
        )
        .hint("the disk, or the memory of this machine, is not to be trusted; check both")
    };
    if encrypted {
        io::copy(&mut file, &mut io::sink()).explain(|| format!("cannot read {}", path.display()))?;
    } else {
        let opened = read::open(BufReader::with_capacity(BUFFER, &mut file), "that was just written");
        let read = opened.and_then(|opened| opened.extract(restored, read::Files::Check, progress))?;
        if read != *manifest {
            return Err(differs());
        }
        io::copy(&mut file, &mut io::sink()).explain(|| format!("cannot read {}", path.display()))?;
    }
    if file.blake3() == blake3 { Ok(()) } else { Err(differs()) }
}
