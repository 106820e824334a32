//! How do backups lie elsewhere, and which of them count?
//!
//! A destination is a directory (a NAS that is mounted) or a bucket of an S3-compatible server. Several instances may share
//! one, each below its own name:
//!
//! ```text
//! <root>/<instance>/<id>.tar.zst[.age]     the archive, as it lies in backup.dir
//! <root>/<instance>/<id>.json              its description, the last to come and the first to go
//! <root>/<instance>/<id>.unfinished        while the two are written or removed
//! <root>/<instance>/try-<digits>           while it is tried whether anything can be written
//! ```
//!
//! A backup counts there once its description is there, fits the place it lies at, and the archive beside it has the
//! length it names. An archive is described only after it was read back from the far end and its BLAKE3 compared.
//! Nothing that is there is overwritten or removed but what carries the `.unfinished` mark, the mark being written before
//! anything else: an archive that a person put there without a description is left alone, and one that a killed copy left
//! is completed by the next [`Destination::put`] of it, or removed by [`Destination::tidy`].
//!
//! What lies there is read as hostile: names and lengths are checked, links are not followed, what is shown is escaped.
//! Only [`Destination::list`] looks at other instances' backups, and nothing writes below their names.

mod directory;
mod s3;
mod store;
mod trouble;
mod validate;

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::Path,
    time::Duration,
};

use self::{directory::Directory, s3::S3, store::Store, validate::understand};
use super::identity::random;
use crate::{
    config::destination::{Address, Kind},
    data::{
        backup::{About, BackupId, Description, is_instance},
        durable::{Explain, open_regular},
        state::{self, FORMAT},
    },
    failure::{Cause, Failure},
    fault,
};

/// The longest description that is read: one of ten thousand tables fits.
const LONGEST_DESCRIPTION: u64 = 1 << 20;
/// Bytes read at once where they are hashed.
const BUFFER: usize = 256 << 10;
/// What the name of the mark ends with.
const MARK: &str = ".unfinished";
/// What is in the mark, for people who find it. Not empty: some servers take an empty object for a directory.
const MARK_TEXT: &[u8] = b"Hearth is writing or removing this backup; the next copy finishes that.\n";

/// The note that says who last wrote under a name.
pub(super) const OWNER: &str = "owner.json";

/// What the name of a file begins with that is only written to try it.
const TRIAL: &str = "try-";
/// How long it is: nothing that fits beside the names of a full file system.
const TRIAL_LENGTH: usize = 64 << 10;

/// Where copies of backups go. See the module's documentation.
pub struct Destination {
    name: String,
    store: Box<dyn Store>,
}

/// What S3 destinations are opened with, unless they name a file of their own. Empty texts: there is none.
pub struct Credentials {
    /// The access key's id.
    pub access_key_id: String,
    /// The secret that belongs to it.
    pub secret_access_key: String,
}

/// How long a server that does not answer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// No further try of a request is begun after this time.
    pub request: Duration,
    /// The same while backups are listed, which a person may be waiting for.
    pub list: Duration,
    /// How long a connection may take, or be silent. A part of an archive must be sent within it.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        // Three minutes: a router that restarts; and 8 MiB in them are 0.4 Mbit/s, less than a slow line sends.
        Self { request: Duration::from_secs(180), list: Duration::from_secs(30), silence: Duration::from_secs(180) }
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Destination").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Destination {
    /// Opens a destination. Of a directory it is checked that it is there; nothing is sent to a server yet.
    ///
    /// # Errors
    /// A text that `config::destination::check` refuses; a directory that is not there; credentials that are missing; a system without
    /// root certificates.
    pub fn open(text: &str, credentials: &Credentials) -> Result<Self, Failure> {
        Self::open_with(text, credentials, Patience::default())
    }

    /// As [`Self::open`], with another patience.
    pub fn open_with(text: &str, credentials: &Credentials, patience: Patience) -> Result<Self, Failure> {
        let address = Address::parse(text).map_err(|wrong| {
            Failure::new(Cause::Configuration, format!("a destination of backups cannot be used: {wrong}"))
                .hint("backup.destinations names them; supervisor config shows where that was set")
        })?;
        let name = address.name;
        let store: Box<dyn Store> = match address.kind {
            Kind::Directory(root) => Box::new(Directory::open(root)?),
            Kind::S3(bucket) => Box::new(S3::open(&name, bucket, credentials, patience)?),
        };
        Ok(Self { name, store })
    }

    /// Opens a directory as one.
    pub fn directory(path: &Path) -> Result<Self, Failure> {
        Ok(Self { name: path.display().to_string(), store: Box::new(Directory::open(path.to_owned())?) })
    }

    /// Returns its name for people: the path, or `s3://bucket/prefix at https://host`, never with a credential.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the backups there, of all instances, in no order: those that are complete and described. A description fits the place
    /// it lies at, and what is in it can be shown on a terminal; that it is true is known only after the archive was read.
    pub fn list(&self) -> Result<Vec<Description>, Failure> {
        let mut found = Vec::new();
        for instance in self.store.instances()?.iter().filter(|name| is_instance(name)) {
            match self.list_of(instance) {
                Ok(more) => found.extend(more),
                // Another instance's, which may be another user's alone.
                Err(failure) if failure.cause == Cause::Permission => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(found)
    }

    /// Returns the backups of one instance there, as [`Self::list`] does of all. It looks at no other name, so that the
    /// credentials of a house need not allow it more.
    pub fn list_of(&self, instance: &str) -> Result<Vec<Description>, Failure> {
        expect_instance(instance)?;
        let mut found = Vec::new();
        let names = self.store.names(instance, true)?;
        for id in
            names.keys().filter_map(|name| name.strip_suffix(".json")).filter_map(|id| id.parse::<BackupId>().ok())
        {
            let archives = [false, true].map(|encrypted| names.get(&id.archive(encrypted)).copied());
            // Of an empty object S3 has no part to read.
            if archives == [None, None] || !(1..=LONGEST_DESCRIPTION).contains(&names[&id.description()]) {
                continue;
            }
            let Some(bytes) = self.store.small(instance, &id.description(), LONGEST_DESCRIPTION)? else { continue };
            let is_complete = |it: &Description| archives[usize::from(it.encrypted)] == Some(it.bytes);
            found.extend(understand(&bytes, instance, &id).filter(is_complete));
        }
        Ok(found)
    }

    /// Opens an archive there as it lies there; what is in it is for the reader to check.
    ///
    /// # Errors
    /// An archive that is not there; what keeps it from being read.
    pub fn read(&self, instance: &str, id: &BackupId, encrypted: bool) -> Result<Box<dyn Read + Send>, Failure> {
        expect_instance(instance)?;
        self.store.stream(instance, &id.archive(encrypted))
    }

    /// Copies an archive there, reads it back to compare its hash, and describes it. One that is there already is compared
    /// and described. `progress` is told how many bytes of how many were sent and read back.
    ///
    /// # Errors
    /// An archive here that is not the one that is described; another one there under the same name, which stays; one
    /// that arrived otherwise than it was sent, which is removed again; a full disk; what else went wrong. What a failed
    /// copy left is completed by the next one, or goes with [`Self::tidy`].
    pub fn put(
        &self,
        archive: &Path,
        description: &Description,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), Failure> {
        let Description { about: About { id, instance, .. }, encrypted, bytes, blake3, .. } = description;
        let doing = || format!("cannot copy the backup {id} to {}", self.name);
        expect_instance(instance)?;
        let mut file = open_regular(archive).explain(|| format!("cannot read {}", archive.display()))?;
        let length = file.metadata().explain(|| format!("cannot look at {}", archive.display()))?.len();
        if length != *bytes {
            return Err(changed(archive, &doing()));
        }
        let name = id.archive(*encrypted);
        let names = self.store.names(instance, false)?;
        let is_described = names.contains_key(&id.description());
        if names.get(&id.description()).is_some_and(|length| *length > 0) {
            self.expect_own_format(instance, id, &doing())?;
        }
        let mut compare = |read| progress(bytes.saturating_add(read), bytes.saturating_mul(2));
        match names.get(&name) {
            Some(there)
                if there == bytes
                    && self.hash_of(self.store.stream(instance, &name)?, &name, &mut compare)? == *blake3 => {}
            Some(_) if !names.contains_key(&mark(id)) => return Err(other(&doing(), &name)),
            there => {
                // Before anything is changed: what a kill leaves from here on is known for what it is.
                self.store.write(instance, &mark(id), MARK_TEXT)?;
                if is_described {
                    self.store.delete(instance, &id.description())?;
                }
                if there.is_some() {
                    // A copy of Hearth's that was cut off, or arrived damaged.
                    self.store.delete(instance, &name)?;
                }
                self.send(archive, &mut file, description, progress)?;
            }
        }
        self.store.write(instance, &id.description(), &state::to_bytes(description)?)?;
        fault::point("copy.described").explain(doing)?;
        self.store.delete(instance, &mark(id))
    }

    /// Sends an archive, reads it back, and gives it its name.
    fn send(
        &self,
        archive: &Path,
        file: &mut File,
        description: &Description,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), Failure> {
        let Description { about: About { id, instance, .. }, encrypted, bytes, blake3, .. } = description;
        let (name, total) = (id.archive(*encrypted), bytes.saturating_mul(2));
        let doing = || format!("cannot copy the backup {id} to {}", self.name);
        let sent = self.store.upload(instance, &name, file, *bytes, &mut |sent| progress(sent, total))?;
        fault::point("copy.uploaded").explain(doing)?;
        let mut compare = |read| progress(bytes.saturating_add(read), total);
        let trouble = if sent != *blake3 {
            changed(archive, &doing())
        } else if self.hash_of(self.store.uploaded(instance, &name)?, &name, &mut compare)? != *blake3 {
            Failure::new(Cause::Io, format!("{}: what was read back is not what was sent", doing())).hint(
                "it was removed again, and the next copy sends it anew; if it happens again, the memory, disk or network of one side loses bits",
            )
        } else {
            fault::point("copy.checked").explain(doing)?;
            return self.store.checkpoint(instance, &name);
        };
        self.store.discard(instance, &name)?;
        self.store.delete(instance, &mark(id))?;
        Err(trouble)
    }

    /// Removes a backup there: the description first, for it is what counts. One that is not there is no error.
    ///
    /// # Errors
    /// What went wrong; what is left goes with [`Self::tidy`].
    pub fn remove(&self, instance: &str, id: &BackupId, encrypted: bool) -> Result<(), Failure> {
        expect_instance(instance)?;
        let names = self.store.names(instance, false)?;
        let archive = id.archive(encrypted);
        if names.contains_key(&archive) || names.contains_key(&id.description()) {
            self.store.write(instance, &mark(id), MARK_TEXT)?;
            for name in [id.description(), archive, mark(id)] {
                self.store.delete(instance, &name)?;
            }
        }
        Ok(())
    }

    /// Finishes what killed copies and removals of this instance left: what carries the mark and is not described is
    /// removed, and so is what was never given its name. To be called when what is wanted there was put there, for an
    /// archive that was sent but not yet described is only described by [`Self::put`].
    ///
    /// Parts of an upload that was killed half-way lie in a bucket where no list shows them; a lifecycle rule of the
    /// bucket removes those ("abort incomplete multipart uploads").
    pub fn tidy(&self, instance: &str) -> Result<(), Failure> {
        expect_instance(instance)?;
        self.store.sweep(instance)?;
        self.remove_trials(instance)?;
        let names = self.store.names(instance, false)?;
        for id in names.keys().filter_map(|name| name.strip_suffix(MARK)).filter_map(|id| id.parse::<BackupId>().ok()) {
            if !names.contains_key(&id.description()) {
                for archive in [false, true].map(|encrypted| id.archive(encrypted)) {
                    if names.contains_key(&archive) {
                        self.store.delete(instance, &archive)?;
                    }
                }
            }
            self.store.delete(instance, &mark(&id))?;
        }
        Ok(())
    }

    /// Returns what a small file beside an instance's backups holds, if it is there.
    pub fn note(&self, instance: &str, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
        expect_instance(instance)?;
        // Looked for in the list first: S3 denies access to what is not there, where the key may only list below a prefix.
        // Of an empty one it has no part to read.
        if self.store.names(instance, true)?.get(name).is_none_or(|length| *length == 0) {
            return Ok(None);
        }
        self.store.small(instance, name, limit)
    }

    /// Writes a small file beside an instance's backups.
    pub fn leave_note(&self, instance: &str, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        expect_instance(instance)?;
        self.store.write(instance, name, bytes)
    }

    /// Writes a small file of an instance's, reads it back and removes it. What an earlier trial left goes as well. Another
    /// instance of the same name may try at the same time, so that a file that is gone is no trouble.
    ///
    /// # Errors
    /// What keeps a file from being written, read or removed. The sentence is the same for the same cause.
    pub fn try_out(&self, instance: &str) -> Result<(), Failure> {
        expect_instance(instance)?;
        let digits = random()?;
        let name = format!("{TRIAL}{digits}");
        let tried = self.try_with(instance, &name);
        if tried.is_err() {
            let _ = self.store.delete(instance, &name);
        }
        tried.map_err(|failure| Failure { message: failure.message.replace(&digits, "…"), ..failure })
    }

    fn try_with(&self, instance: &str, name: &str) -> Result<(), Failure> {
        // Nothing that a file system could compress.
        let mut bytes = vec![0; TRIAL_LENGTH];
        blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut bytes);
        self.remove_trials(instance)?;
        self.store.write_new(instance, name, &bytes)?;
        if self.store.names(instance, true)?.contains_key(name)
            && let Some(read) = self.store.small(instance, name, TRIAL_LENGTH as u64)?
            && read != bytes
        {
            let message = format!("what was written to {} is not what is read there", self.name);
            return Err(Failure::new(Cause::Io, message).hint("its disk, or the network, loses or changes data"));
        }
        self.store.delete(instance, name)
    }

    /// Removes what killed trials left.
    fn remove_trials(&self, instance: &str) -> Result<(), Failure> {
        for name in self.store.names(instance, true)?.keys().filter(|name| name.starts_with(TRIAL)) {
            self.store.delete(instance, name)?;
        }
        Ok(())
    }

    /// Refuses to replace a description that a newer version wrote. Any other one is replaced: the archive that it is
    /// about was compared byte for byte.
    fn expect_own_format(&self, instance: &str, id: &BackupId, doing: &str) -> Result<(), Failure> {
        let bytes = self.store.small(instance, &id.description(), LONGEST_DESCRIPTION)?.unwrap_or_default();
        let format =
            serde_json::from_slice::<serde_json::Value>(&bytes).ok().and_then(|value| value["format"].as_u64());
        match format {
            Some(format) if format != u64::from(FORMAT) => Err(Failure::new(
                Cause::UnknownFormat,
                format!("{doing}: its description there has the format {format}, and this version knows only {FORMAT}"),
            )
            .hint("a newer version wrote it; start that one again; nothing was touched")),
            _ => Ok(()),
        }
    }

    /// Returns the hash of what is read from there.
    fn hash_of(
        &self,
        mut stream: Box<dyn Read + Send>,
        name: &str,
        progress: &mut dyn FnMut(u64),
    ) -> Result<String, Failure> {
        hash(&mut stream, progress, |_| Ok(())).explain(|| format!("cannot read {name} back from {}", self.name))
    }
}

fn mark(id: &BackupId) -> String {
    format!("{id}{MARK}")
}

fn expect_instance(name: &str) -> Result<(), Failure> {
    if is_instance(name) {
        return Ok(());
    }
    Err(Failure::new(Cause::Configuration, format!("{} is not the name of an instance", name.escape_debug())))
}

/// Reads to the end, hands each piece on, and returns the BLAKE3 of all, hexadecimal.
fn hash(
    input: &mut dyn Read,
    progress: &mut dyn FnMut(u64),
    mut and: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize().to_hex().to_string()),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                and(&buffer[..read])?;
                progress(hasher.count());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn changed(archive: &Path, doing: &str) -> Failure {
    Failure::new(Cause::Damaged, format!("{doing}: {} is not what was verified here", archive.display()))
        .hint("supervisor backup verify finds out what is wrong with it; nothing was left at the destination")
}

fn other(doing: &str, name: &str) -> Failure {
    Failure::new(Cause::Io, format!("{doing}: another file is there already under the name {name}, and stays as it is"))
        .hint("look at what it is, and move it away there; the next copy then goes on")
}

#[cfg(test)]
mod tests;
