//! How is an archive written?
//!
//! From the manifest, which says of each member how long it is and what its hash is; each is read once, hashed while it is
//! written, and must be that. Nothing is held in memory but the manifest and what is being compressed.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    os::fd::OwnedFd,
    path::Path,
    thread,
    time::SystemTime,
};

use zstd::{stream::write::Encoder, zstd_safe::CParameter};

pub use super::survey::{Survey, survey};
use super::{BLOCK, CHUNK, Meter, WINDOW_LOG, attachment, padding};
use crate::{
    data::durable::{Explain, open_regular},
    failure::{Cause, Failure},
    work::backup::manifest::{LONGEST, Manifest, Member, NAME},
};

/// zstd's own default: above it each step costs much time for little space.
const LEVEL: i32 = 3;
/// Two threads compress as fast as most disks read.
const WORKERS: u32 = 2;
/// What a thread compresses at once, in bytes. Several such pieces are in memory, before and after; by itself zstd takes
/// 8 MiB each, 80 together.
const PIECE: u32 = 1 << 20;

/// Describes a file as a member of this name.
pub fn member(path: &Path, name: &str) -> Result<Member, Failure> {
    let doing = || format!("cannot read {}", path.display());
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(open_regular(path).explain(doing)?).explain(doing)?;
    Ok(Member { path: name.to_owned(), bytes: hasher.count(), blake3: hasher.finalize().to_hex().to_string() })
}

/// Why an archive was not written to its end.
#[derive(Debug)]
pub enum Unwritten {
    /// This attachment is not what its name says.
    Misnamed(String),
    /// Anything else.
    Failed(Failure),
}

impl From<Failure> for Unwritten {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Writes an archive: the manifest, `database` under the name of the first member, and the attachments of `files`.
/// `progress` is told the bytes that went in, of all of them.
///
/// # Errors
/// The first attachment that is gone, or is not what the manifest says of it; what the file system said.
pub fn write(
    output: &mut dyn Write,
    manifest: &Manifest,
    database: &Path,
    files: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), Unwritten> {
    let doing = || format!("cannot write the archive of the backup {}", manifest.id);
    let mut meter = Meter::new(manifest.bytes(), progress);
    let mut archive = Archive { output: encoder(output).explain(doing)?, manifest, buffer: vec![0; CHUNK] };
    archive.manifest()?;
    let mut root = None;
    for (index, member) in manifest.members.iter().enumerate() {
        if index == 0 {
            let file = open_regular(database).explain(|| format!("cannot read {}", database.display()))?;
            if !archive.member(member, file, database, &mut meter)? {
                return Err(Failure::new(Cause::Io, format!("{} changed while it was read", database.display())).into());
            }
            continue;
        }
        let misnamed = || Unwritten::Misnamed(member.path.clone());
        let file = open_attachment(files, &mut root, member)?.ok_or_else(misnamed)?;
        if !archive.member(member, file, &attachment::place(files, &member.blake3), &mut meter)? {
            return Err(misnamed());
        }
    }
    // The end of a tar archive is two blocks of zeros.
    archive.output.write_all(&[0; 2 * BLOCK]).explain(doing)?;
    archive.output.finish().explain(doing)?;
    Ok(())
}

fn encoder(output: &mut dyn Write) -> io::Result<Encoder<'static, &mut dyn Write>> {
    let mut encoder = Encoder::new(output, LEVEL)?;
    encoder.include_checksum(true)?;
    encoder.window_log(WINDOW_LOG)?;
    if thread::available_parallelism().is_ok_and(|cores| cores.get() > 1) {
        encoder.multithread(WORKERS)?;
        encoder.set_parameter(CParameter::JobSize(PIECE))?;
    }
    Ok(encoder)
}

/// Opens an attachment that a survey found; `None` when it is not there, or not a file, any more.
fn open_attachment(files: &Path, root: &mut Option<OwnedFd>, member: &Member) -> Result<Option<File>, Failure> {
    let Some(hash) = attachment::hash_of(&member.path) else { return Ok(None) };
    let doing = || format!("cannot read {}", attachment::place(files, hash).display());
    let root = match root {
        Some(root) => &*root,
        None => root.insert(attachment::open_root(files).explain(doing)?),
    };
    let directory = match attachment::open_directory(root, attachment::prefix(hash)) {
        Ok(directory) => directory,
        Err(errno) if attachment::is_something_else(errno) => return Ok(None),
        Err(errno) => return Err(errno).explain(doing),
    };
    attachment::open_file(&directory, hash).explain(doing)
}

struct Archive<'a> {
    output: Encoder<'static, &'a mut dyn Write>,
    manifest: &'a Manifest,
    buffer: Vec<u8>,
}

impl Archive<'_> {
    /// Writes the manifest, indented for people who look, as long as there is room for that. It is rendered twice, so
    /// that it is never in memory.
    fn manifest(&mut self) -> Result<(), Failure> {
        let doing = || format!("cannot write the manifest of the backup {}", self.manifest.id);
        let length = |pretty| {
            let mut counter = Counter(0);
            render(self.manifest, pretty, &mut counter).explain(doing)?;
            Ok::<u64, Failure>(counter.0)
        };
        let (mut pretty, mut bytes) = (true, length(true)?);
        if bytes > LONGEST {
            (pretty, bytes) = (false, length(false)?);
        }
        if bytes > LONGEST {
            let message = format!("{}: it would be longer than {LONGEST} bytes", doing());
            return Err(Failure::new(Cause::Io, message)
                .hint(format!("{} attachments are more than one backup can hold", self.manifest.members.len())));
        }
        self.output.write_all(&self.header(NAME, bytes)?).explain(doing)?;
        let mut buffered = BufWriter::with_capacity(CHUNK, &mut self.output);
        render(self.manifest, pretty, &mut buffered).and_then(|()| buffered.flush()).explain(doing)?;
        drop(buffered);
        self.output.write_all(&[0; BLOCK][..padding(bytes)]).explain(doing)
    }

    /// Writes one member; returns whether it was what the manifest says.
    fn member(&mut self, member: &Member, mut file: File, path: &Path, meter: &mut Meter<'_>) -> Result<bool, Failure> {
        let id = &self.manifest.id;
        let writing = || format!("cannot write the archive of the backup {id}");
        let header = self.header(&member.path, member.bytes)?;
        self.output.write_all(&header).explain(writing)?;
        let mut hasher = blake3::Hasher::new();
        let mut left = member.bytes;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let read = read(&mut file, &mut self.buffer[..most], path)?;
            if read == 0 {
                return Ok(false);
            }
            hasher.update(&self.buffer[..read]);
            self.output.write_all(&self.buffer[..read]).explain(writing)?;
            meter.add(read);
            left -= read as u64;
        }
        self.output.write_all(&[0; BLOCK][..padding(member.bytes)]).explain(writing)?;
        // It must end there, too.
        let longer = read(&mut file, &mut self.buffer[..1], path)? > 0;
        Ok(!longer && hasher.finalize().to_hex().as_str() == member.blake3)
    }

    fn header(&self, name: &str, bytes: u64) -> Result<[u8; BLOCK], Failure> {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).explain(|| format!("cannot name {name} in an archive"))?;
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o600);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(
            humantime::parse_rfc3339(&self.manifest.created_at)
                .ok()
                .and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok())
                .map_or(0, |at| at.as_secs()),
        );
        header.set_size(bytes);
        header.set_cksum();
        Ok(*header.as_bytes())
    }
}

fn render(manifest: &Manifest, pretty: bool, output: &mut impl Write) -> io::Result<()> {
    if pretty {
        serde_json::to_writer_pretty(&mut *output, manifest)?
    } else {
        serde_json::to_writer(&mut *output, manifest)?
    }
    output.write_all(b"\n")
}

fn read(file: &mut File, buffer: &mut [u8], path: &Path) -> Result<usize, Failure> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read.explain(|| format!("cannot read {}", path.display())),
        }
    }
}

/// Counts what it is given.
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
