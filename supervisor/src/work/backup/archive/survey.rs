//! What of `files/` goes into a backup, and what does not?
//!
//! Only attachments do. A hijacked app may have put anything there: links to what it must not read, FIFOs that never
//! answer, files that claim to be large. Each such thing is named in a sentence, and left out.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::AtFlags,
    sys::stat::{FileStat, SFlag, fstatat},
    unistd::{Whence, lseek},
};

use super::{
    attachment::{self, ROOT, is_hash, is_prefix, is_something_else},
    printable,
};
use crate::{
    data::durable::Explain,
    failure::{Cause, Failure},
    work::backup::manifest::{LONGEST, Member},
};

/// As many sentences say what was left out; of the rest, a last one says how much there is.
const SENTENCES: usize = 20;
/// The shortest that the manifest says of an attachment: two hashes, and the punctuation.
const SHORTEST: u64 = 171;
/// As many attachments fit into a manifest.
const MOST: usize = (LONGEST / SHORTEST) as usize;
/// A file above this length which takes on its disk less than this part of it, and has a hole, is a bomb. The app writes
/// attachments from their beginning to their end, so they have no holes, but a file system that compresses makes holes
/// of zeros: much less than that stays of no picture and no scan.
const BOMB: (u64, u64) = (16 << 20, 64);

/// What of `files/` goes into a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The members, sorted by path.
    pub members: Vec<Member>,
    /// What stays out, as sentences.
    pub left_out: Vec<String>,
    /// How many of these have the name of an attachment, and another content.
    pub damaged: u64,
}

/// Looks through `files/`; none is as good as an empty one. With `trust_names` no file is opened: its hash is taken from
/// its name, and [`super::write::write`] finds out if that is wrong. Without it each one is hashed, and those are left
/// out whose name is wrong.
///
/// # Errors
/// What keeps an attachment from being read; more attachments than a manifest can name.
pub fn survey(files: &Path, trust_names: bool) -> Result<Survey, Failure> {
    let root = match attachment::open_root(files) {
        Ok(root) => root,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Survey::default()),
        Err(error) => return Err(unreadable_root(files, &error)),
    };
    let mut walk = Walk { files, trust_names, members: Vec::new(), left_out: LeftOut::default(), damaged: 0 };
    let mut directories = Vec::new();
    each_name(&root, files, &mut |name| {
        if let Some(stat) = look(&root, files, name)? {
            if is_prefix(name) && kind(&stat) == SFlag::S_IFDIR {
                directories.push(String::from_utf8_lossy(name).into_owned());
            } else {
                walk.left_out.add(&[name], what(&stat));
            }
        }
        Ok(())
    })?;
    for directory in directories {
        walk.directory(&root, &directory)?;
    }
    walk.members.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(Survey { members: walk.members, left_out: walk.left_out.finish(), damaged: walk.damaged })
}

/// Says why `files/` itself cannot be read or written in.
pub(super) fn unreadable_root(files: &Path, error: &io::Error) -> Failure {
    let failure = Failure::io(format!("cannot read the attachments in {}", files.display()), error);
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOTDIR | Errno::ELOOP) => {
            failure.hint("it must be a directory, not a link to one; to have it on another disk, mount that there")
        }
        _ => failure,
    }
}

struct Walk<'a> {
    files: &'a Path,
    trust_names: bool,
    members: Vec<Member>,
    left_out: LeftOut,
    damaged: u64,
}

impl Walk<'_> {
    fn directory(&mut self, root: &OwnedFd, name: &str) -> Result<(), Failure> {
        let path = self.files.join(name);
        let directory = match attachment::open_directory(root, name) {
            Ok(directory) => directory,
            // It was another thing a moment ago.
            Err(errno) if is_something_else(errno) => {
                self.left_out.add(&[name.as_bytes()], "it changed meanwhile");
                return Ok(());
            }
            Err(errno) => return Err(errno).explain(|| format!("cannot read the directory {}", path.display())),
        };
        each_name(&directory, &path, &mut |file| {
            let Some(stat) = look(&directory, &path, file)? else { return Ok(()) };
            let hash = std::str::from_utf8(file).ok().filter(|hash| is_hash(hash) && attachment::prefix(hash) == name);
            let why = match hash {
                Some(hash) if kind(&stat) == SFlag::S_IFREG => self.attachment(&directory, &path, hash, &stat)?,
                _ => Some(what(&stat)),
            };
            if let Some(why) = why {
                self.left_out.add(&[name.as_bytes(), file], why);
            }
            Ok(())
        })
    }

    /// Takes what is called as an attachment is; returns why not, if it is none.
    fn attachment(
        &mut self,
        directory: &OwnedFd,
        path: &Path,
        hash: &str,
        stat: &FileStat,
    ) -> Result<Option<&'static str>, Failure> {
        let doing = || format!("cannot read {}", path.join(hash).display());
        let bytes = u64::try_from(stat.st_size).unwrap_or(0);
        if !self.trust_names || seems_a_bomb(stat) {
            let Some(file) = attachment::open_file(directory, hash).explain(doing)? else {
                return Ok(Some("it changed meanwhile"));
            };
            if seems_a_bomb(stat) && has_hole(&file) {
                return Ok(Some("it claims to be much longer than it is"));
            }
            if !self.trust_names {
                // No longer than it was: one that grows all the time would never end.
                let mut hasher = blake3::Hasher::new();
                hasher.update_reader(file.take(bytes)).explain(doing)?;
                if hasher.count() < bytes || hasher.finalize().to_hex().as_str() != hash {
                    self.damaged += 1;
                    return Ok(Some("its content is not what its name says"));
                }
            }
        }
        if self.members.len() >= MOST {
            let message = format!(
                "cannot make a backup: {} holds more than {MOST} attachments, as many as one can have",
                self.files.display()
            );
            return Err(Failure::new(Cause::Io, message)
                .hint("are all of them the household's? A backup's manifest names each one"));
        }
        self.members.push(Member { path: attachment::path(hash), bytes, blake3: hash.to_owned() });
        Ok(None)
    }
}

/// Goes through the names in a directory but for those that are no one's matter: what is hidden, as what is not finished
/// yet and the traces of a file manager are, and what a file system makes by itself.
pub(super) fn each_name(
    directory: impl AsFd,
    path: &Path,
    then: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    each_of_all(directory, path, &mut |name| {
        if name.starts_with(b".") || name == b"lost+found" { Ok(()) } else { then(name) }
    })
}

/// Goes through all names in a directory but `.` and `..`.
pub(super) fn each_of_all(
    directory: impl AsFd,
    path: &Path,
    then: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let doing = || format!("cannot read the directory {}", path.display());
    let mut entries = attachment::open_directory(directory, ".").and_then(Dir::from_fd).explain(doing)?;
    for entry in entries.iter() {
        let entry = entry.explain(doing)?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            then(name)?;
        }
    }
    Ok(())
}

/// Looks at what lies in a directory; `None` when it has gone meanwhile.
fn look(directory: &OwnedFd, path: &Path, name: &[u8]) -> Result<Option<FileStat>, Failure> {
    match fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno).explain(|| format!("cannot look at {} in {}", printable(name), path.display())),
    }
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

/// Says what something is that is no attachment.
fn what(stat: &FileStat) -> &'static str {
    match kind(stat) {
        SFlag::S_IFREG => "it does not have the name of an attachment",
        SFlag::S_IFDIR => "it is a directory that holds no attachments",
        SFlag::S_IFLNK => "it is a link",
        SFlag::S_IFIFO => "it is a FIFO",
        SFlag::S_IFSOCK => "it is a socket",
        _ => "it is a device",
    }
}

fn seems_a_bomb(stat: &FileStat) -> bool {
    let (length, part) = BOMB;
    let bytes = u64::try_from(stat.st_size).unwrap_or(0);
    // st_blocks counts units of 512 bytes, whatever the block size: stat(2).
    let taken = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512);
    bytes > length && taken < bytes / part
}

/// Whether there is a hole. Asked as well, for some file systems say of every file that it takes nothing.
fn has_hole(file: &File) -> bool {
    let bytes = file.metadata().map_or(0, |stat| stat.len());
    let hole = lseek(file, 0, Whence::SeekHole).ok().and_then(|at| u64::try_from(at).ok());
    let _ = lseek(file, 0, Whence::SeekSet);
    hole.is_some_and(|hole| hole < bytes)
}

#[derive(Default)]
struct LeftOut {
    sentences: Vec<String>,
    more: u64,
}

impl LeftOut {
    fn add(&mut self, path: &[&[u8]], why: &str) {
        if self.sentences.len() < SENTENCES {
            let path: Vec<_> = path.iter().map(|name| printable(name)).collect();
            self.sentences.push(format!("{ROOT}/{} was left out: {why}", path.join("/")));
        } else {
            self.more += 1;
        }
    }

    fn finish(mut self) -> Vec<String> {
        self.sentences.sort();
        if self.more > 0 {
            self.sentences.push(format!("{} more in {ROOT}/ were left out", self.more));
        }
        self.sentences
    }
}
