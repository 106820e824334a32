//! What does the name of a file system tell about it?

use std::path::Path;

use nix::sys::statfs::statfs;

use crate::{data::durable::Explain, failure::Failure};

/// What a name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing bad.
    Fine,
    /// It may work, and the operator should know this.
    Note(&'static str),
    /// It cannot work, because of this.
    Refuse(&'static str),
}

use Verdict::{Fine, Note, Refuse};

const NETWORK: &str = "a network file system: SQLite's write-ahead log needs memory that all processes share, and its \
                       locks are not reliable there, so two could write at once (https://www.sqlite.org/wal.html)";
const FUSE: &str = "it was tried out and can do what Hearth needs; should it be Unraid's /mnt/user, \
                    /mnt/cache or a disk's own path is faster and safer";
const MEMORY: &str = "it is in memory: all data is lost when the machine or the container stops";
const LAYER: &str = "it is the container's own layer: all data is lost when the container is removed, as each \
                     upgrade of an image does; mount a volume at the data directory";
const P9: &str = "it is shared by the host of this machine and was tried out; a volume inside this machine is faster \
                  and safer";

/// Magic numbers of statfs(2) and linux/magic.h, with the names that mount(8) shows.
const KNOWN: &[(u64, &str, Verdict)] = &[
    (0xEF53, "ext4", Fine),
    (0x5846_5342, "xfs", Fine),
    (0x9123_683E, "btrfs", Fine),
    (0x2FC1_2FC1, "zfs", Fine),
    (0xCA45_1A4E, "bcachefs", Fine),
    (0xF2F5_2010, "f2fs", Fine),
    (0x3153_464A, "jfs", Fine),
    (0x5265_4973, "reiserfs", Fine),
    (0xF15F, "ecryptfs", Fine),
    (0x0102_1994, "tmpfs", Note(MEMORY)),
    (0x8584_58F6, "ramfs", Note(MEMORY)),
    (0x794C_7630, "overlayfs", Note(LAYER)),
    (0x6573_5546, "FUSE", Note(FUSE)),
    (0x0102_1997, "9p", Note(P9)),
    (0x786F_4256, "vboxsf", Note(P9)),
    // What these cannot do is found by trying.
    (0x4D44, "FAT", Fine),
    (0x2011_BAB0, "exFAT", Fine),
    (0x7366_746E, "NTFS", Fine),
    (0x6969, "NFS", Refuse(NETWORK)),
    (0x517B, "SMB", Refuse(NETWORK)),
    (0xFF53_4D42, "SMB (CIFS)", Refuse(NETWORK)),
    (0xFE53_4D42, "SMB", Refuse(NETWORK)),
    (0x564C, "NCP", Refuse(NETWORK)),
    (0x5346_414F, "AFS", Refuse(NETWORK)),
    (0x6B41_4653, "AFS", Refuse(NETWORK)),
    (0x7375_7245, "Coda", Refuse(NETWORK)),
    (0x00C3_6400, "CephFS", Refuse(NETWORK)),
    (0x0BD0_0BD0, "Lustre", Refuse(NETWORK)),
];

/// Returns the name of the file system that a path, or else what will hold it, is on, and what that tells.
pub(super) fn of(path: &Path) -> Result<(String, Verdict), Failure> {
    let place = path.ancestors().find(|place| place.exists()).unwrap_or(path);
    let found = statfs(place).explain(|| format!("cannot ask for the file system of {}", place.display()))?;
    // The field is signed on some architectures; all magic numbers have 32 bits.
    Ok(named(u64::from(found.filesystem_type().0 as u32)))
}

fn named(magic: u64) -> (String, Verdict) {
    match KNOWN.iter().find(|(known, ..)| *known == magic) {
        Some((_, name, verdict)) => ((*name).to_owned(), *verdict),
        None => (format!("a file system of type {magic:#x}"), Fine),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_refused_and_others_are_not() {
        for magic in [0x6969, 0x517B, 0xFF53_4D42, 0xFE53_4D42, 0x00C3_6400] {
            assert!(matches!(named(magic).1, Refuse(_)), "{magic:x}");
        }
        for magic in [0xEF53, 0x9123_683E, 0x1234_5678] {
            assert_eq!(named(magic).1, Fine, "{magic:x}");
        }
        assert_eq!(named(0x1234_5678).0, "a file system of type 0x12345678");
        assert_eq!(named(0x6573_5546).0, "FUSE");
    }

    #[test]
    fn a_directory_that_is_not_there_yet_is_judged_by_what_will_hold_it() {
        let (name, _) = of(Path::new("/proc/self/nothing/at/all")).unwrap();
        assert_eq!(name, "a file system of type 0x9fa0");
    }
}
