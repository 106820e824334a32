//! How is an archive read, wherever it comes from?
//!
//! Its manifest comes first and says what follows; only that is accepted, each member once, with the length and the hash
//! that the manifest says, and then nothing more. Nothing else in the archive decides where something is written. Files
//! that were unpacked and packed again by hand are an archive, too: the members after the manifest may come in any order,
//! and the directories they lie in may be there.
//!
//! A reader alone cannot see what is not content: the modes, times and owners in the headers are covered by a sum of
//! their bytes, and the zstd stream by its checksum if it has one. Whoever has an archive's hash compares that as well.

use std::{io::Read, io::Write, path::Path};

use super::{
    BLOCK, CHUNK, Meter, attachment,
    header::{self, Block},
    padding, printable,
    restore::{Attachments, Unfinished},
    stream::{Stream, no_backup},
};
use crate::{
    data::durable::{self, Explain},
    failure::Failure,
    work::backup::manifest::{LONGEST, Manifest, Member, NAME},
};

pub use super::restore::tidy;

/// As many directories can there be: `files`, and one for each first two digits.
const DIRECTORIES: u32 = 257;
/// The most zeros after the last member, in bytes. GNU tar fills up to 10 KiB, and other programs to as much as a tape's
/// block, but without a limit a small file could keep its reader busy for days.
const LONGEST_END: usize = 1 << 20;

/// An archive whose manifest was read and believed; the rest follows.
pub struct Opened<'a> {
    stream: Stream<'a>,
    manifest: Manifest,
}

/// What becomes of the attachments.
#[derive(Clone, Copy, Debug)]
pub enum Files<'a> {
    /// They are hashed and written nowhere.
    Check,
    /// Those that are not there yet, or are not what their name in the manifest says, are written below this directory
    /// (`files/`).
    Restore(&'a Path),
}

/// Opens an archive and reads its manifest. `name` is what sentences call it.
///
/// # Errors
/// [`crate::failure::Cause::Configuration`] for what is no backup, [`crate::failure::Cause::UnknownFormat`] for one of a
/// newer version, [`crate::failure::Cause::Damaged`] for one that is not what was written; what the input said.
pub fn open<'a>(input: impl Read + 'a, name: &str) -> Result<Opened<'a>, Failure> {
    let mut stream = Stream::open(input, name)?;
    let bytes = match header::parse(&block(&mut stream)?) {
        Ok(Block::File { path, bytes }) if path == NAME.as_bytes() => bytes,
        Ok(_) => return Err(no_backup(name, &format!("it does not begin with {NAME}"))),
        Err(why) => return Err(no_backup(name, &why)),
    };
    if bytes > LONGEST {
        return Err(stream.damaged(&format!("its {NAME} is longer than {LONGEST} bytes")));
    }
    let mut document = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
    let mut chunk = vec![0; CHUNK];
    content(&mut stream, bytes, &mut chunk, &mut |bytes| {
        document.extend_from_slice(bytes);
        Ok(())
    })?;
    Ok(Opened { manifest: Manifest::parse(&document, name)?, stream })
}

impl Opened<'_> {
    /// Returns what the archive says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Reads the rest: writes the database to `database`, which must not be there, and makes it durable (its name is for
    /// the caller to make durable); does with the attachments as `files` says. `progress` is told the bytes that came
    /// out, of all of them. Returns the manifest, all of which was found to be true.
    ///
    /// # Errors
    /// As [`open`]; what the file system said. Then part of the database may have been written, which is worth nothing;
    /// and attachments, each of them complete, which do no harm.
    pub fn extract(
        self,
        database: &Path,
        files: Files<'_>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Manifest, Failure> {
        let Self { mut stream, manifest } = self;
        let mut restored = match files {
            Files::Check => None,
            Files::Restore(files) => Some(Attachments::open(files)?),
        };
        let mut meter = Meter::new(manifest.bytes(), progress);
        let mut awaited = vec![true; manifest.members.len()];
        let mut directories = 0;
        let mut chunk = vec![0; CHUNK];
        loop {
            let (path, bytes) = match next(&mut stream)? {
                Block::End => break,
                Block::Directory { path } => {
                    directories += 1;
                    if !is_directory(&path) || directories > DIRECTORIES {
                        return Err(unexpected(&stream, &path));
                    }
                    continue;
                }
                Block::File { path, bytes } => (path, bytes),
            };
            let index = manifest.members.binary_search_by(|member| member.path.as_bytes().cmp(&path));
            let Some(index) = index.ok().filter(|index| awaited[*index]) else {
                return Err(unexpected(&stream, &path));
            };
            let member = &manifest.members[index];
            if bytes != member.bytes {
                let why = format!("{} is {bytes} bytes long in it, and its {NAME} says {}", member.path, member.bytes);
                return Err(stream.damaged(&why));
            }
            awaited[index] = false;
            let target = match &mut restored {
                _ if index == 0 => Target::database(database)?,
                None => Target::Nowhere,
                Some(restored) => restored.begin(member)?.map_or(Target::Nowhere, Target::Attachment),
            };
            one(&mut stream, member, target, &mut chunk, &mut meter)?;
        }
        if let Some(index) = awaited.iter().position(|awaited| *awaited) {
            return Err(stream.damaged(&format!("{} is missing", manifest.members[index].path)));
        }
        end(stream, &mut chunk)?;
        if let Some(restored) = restored {
            restored.finish()?;
        }
        Ok(manifest)
    }
}

/// Where a member's content goes.
enum Target<'a> {
    Nowhere,
    Database { path: &'a Path, file: std::fs::File },
    Attachment(Unfinished),
}

impl<'a> Target<'a> {
    fn database(path: &'a Path) -> Result<Self, Failure> {
        Ok(Self::Database { path, file: durable::create_file(path)? })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Nowhere => Ok(()),
            Self::Database { path, file } => {
                file.write_all(bytes).explain(|| format!("cannot write {}", path.display()))
            }
            Self::Attachment(attachment) => attachment.write(bytes),
        }
    }

    /// What was written is what it should be.
    fn put(self) -> Result<(), Failure> {
        match self {
            Self::Nowhere => Ok(()),
            Self::Database { path, file } => {
                file.sync_all().explain(|| format!("cannot make {} durable", path.display()))
            }
            Self::Attachment(attachment) => attachment.put(),
        }
    }
}

/// Reads one member, and puts it in its place if it is what the manifest says.
fn one(
    stream: &mut Stream<'_>,
    member: &Member,
    mut target: Target<'_>,
    chunk: &mut [u8],
    meter: &mut Meter<'_>,
) -> Result<(), Failure> {
    let mut hasher = blake3::Hasher::new();
    content(stream, member.bytes, chunk, &mut |bytes| {
        hasher.update(bytes);
        target.write(bytes)?;
        meter.add(bytes.len());
        Ok(())
    })?;
    if hasher.finalize().to_hex().as_str() != member.blake3 {
        return Err(stream.damaged(&format!("{} is not what was backed up", member.path)));
    }
    target.put()
}

/// Reads so many bytes of content, and the zeros that fill them up to whole blocks.
fn content(
    stream: &mut Stream<'_>,
    bytes: u64,
    chunk: &mut [u8],
    then: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut left = bytes;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
        stream.fill(&mut chunk[..most])?;
        then(&chunk[..most])?;
        left -= most as u64;
    }
    let fill = &mut chunk[..padding(bytes)];
    stream.fill(fill)?;
    if fill.iter().any(|byte| *byte != 0) {
        return Err(stream.damaged("there is something between its members"));
    }
    Ok(())
}

/// Reads the next header.
fn next(stream: &mut Stream<'_>) -> Result<Block, Failure> {
    header::parse(&block(stream)?).map_err(|why| stream.damaged(&why))
}

fn block(stream: &mut Stream<'_>) -> Result<[u8; BLOCK], Failure> {
    let mut block = [0; BLOCK];
    stream.fill(&mut block)?;
    Ok(block)
}

/// Reads the end, of which one block of zeros was read: at least one more, nothing but zeros, and nothing after it.
fn end(mut stream: Stream<'_>, chunk: &mut [u8]) -> Result<(), Failure> {
    let mut zeros = BLOCK;
    loop {
        let read = stream.read(chunk)?;
        if read == 0 {
            break;
        }
        zeros += read;
        if chunk[..read].iter().any(|byte| *byte != 0) || zeros > LONGEST_END {
            return Err(stream.damaged("something follows after its last member"));
        }
    }
    if zeros < 2 * BLOCK || !zeros.is_multiple_of(BLOCK) {
        return Err(stream.damaged("it ends too early"));
    }
    stream.end()
}

/// Whether attachments lie in a directory of this path.
fn is_directory(path: &[u8]) -> bool {
    match path.strip_prefix(attachment::ROOT.as_bytes()) {
        Some([]) => true,
        Some([b'/', name @ ..]) => attachment::is_prefix(name),
        _ => false,
    }
}

fn unexpected(stream: &Stream<'_>, path: &[u8]) -> Failure {
    stream.damaged(&format!("it holds {}, which its {NAME} does not name, or names once", printable(path)))
}
