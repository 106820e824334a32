//! What does a disk hold at the moment at which its power is cut?
//!
//! The data directory lies on an ext4 whose disk is a file on a file system that can clone files, itself in a file:
//! what ext4 has written to its disk is in the file, and what it still keeps in memory is not. A clone of the file is
//! one moment of it, for while it is made no write to it goes on. Mounted, it is the disk after the power came back.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// The size of the file system of the disks, in bytes; sparse, so that what is used counts. A disk and its clones
/// share what they have in common.
const GROUND_BYTES: u64 = 4 << 30;
/// The size of a disk, in bytes.
const DISK_BYTES: u64 = 700 << 20;
/// How long something may be in use after the processes on it were ended.
const IN_USE: Duration = Duration::from_secs(20);
/// A disk that forgives nothing: a rename does not flush the file that it renames (`noauto_da_alloc`), names become
/// durable without the content of their files (`data`), and neither does by itself (`commit`, in seconds; 5 by default).
/// What nobody has synced is lost.
const HARSH: &str = "loop,noauto_da_alloc,data=writeback,commit=300";

/// A file system in a file, mounted while this lives. The loop device goes with the mount.
pub(crate) struct Mount(PathBuf);

impl Mount {
    fn new(image: &Path, place: &Path, options: &str) -> Result<Self, String> {
        fs::create_dir_all(place).map_err(|error| format!("cannot create {}: {error}", place.display()))?;
        run(Command::new("mount").args(["-o", options]).args([image, place]))?;
        Ok(Self(place.to_owned()))
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes down all that is only in memory.
    pub(crate) fn sync(&self) {
        run(Command::new("sync").arg("-f").arg(&self.0)).unwrap();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let until = Instant::now() + IN_USE;
        while let Err(trouble) = run(Command::new("umount").arg(&self.0)) {
            if Instant::now() > until || thread::panicking() {
                eprintln!("{trouble}; it goes when nobody uses it any more");
                let _ = run(Command::new("umount").arg("-l").arg(&self.0));
                break;
            }
            // The processes of a supervisor that was killed have not all ended yet.
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The file system that the disks are files on. Fields are dropped in their order: the mount, then its file.
pub(crate) struct Ground {
    mount: Mount,
    place: tempfile::TempDir,
}

impl Ground {
    /// Makes one.
    pub(crate) fn make() -> Self {
        Self::try_make().unwrap_or_else(|reason| panic!("{reason}"))
    }

    fn try_make() -> Result<Self, String> {
        apart()?;
        let place = tempfile::tempdir().map_err(|error| format!("no temporary directory: {error}"))?;
        let image = place.path().join("ground.img");
        let mut reasons = Vec::new();
        for (program, arguments) in [("mkfs.btrfs", &["-q"][..]), ("mkfs.xfs", &["-q", "-m", "reflink=1"])] {
            let made = sparse(&image, GROUND_BYTES)
                .and_then(|()| run(Command::new(program).args(arguments).arg(&image)))
                .and_then(|()| Mount::new(&image, &place.path().join("ground"), "loop"));
            match made {
                Ok(mount) => return Ok(Self { mount, place }),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(format!("no file system that can clone files: {}", reasons.join("; ")))
    }

    /// Makes an empty disk.
    pub(crate) fn disk(&self, name: &str) -> PathBuf {
        let disk = self.file(name);
        sparse(&disk, DISK_BYTES).and_then(|()| run(Command::new("mkfs.ext4").arg("-q").arg(&disk))).unwrap();
        disk
    }

    /// Clones a disk as it is at this moment; returns the clone.
    pub(crate) fn clone_of(&self, disk: &Path, name: &str) -> PathBuf {
        let clone = self.file(name);
        run(Command::new("cp").arg("--reflink=always").args([disk, &clone])).unwrap();
        clone
    }

    /// Mounts a disk.
    pub(crate) fn mount(&self, disk: &Path) -> Mount {
        let name = disk.file_stem().unwrap();
        Mount::new(disk, &self.place.path().join(name), HARSH).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.mount.path().join(format!("{name}.img"))
    }
}

/// Takes this thread, and what it starts, into a mount namespace of its own. In the common one a container that starts just
/// then would have copies of these mounts: they would live on after their end here, with what is not yet on the disk.
fn apart() -> Result<(), String> {
    // SAFETY: the call changes nothing but which mounts this thread sees.
    if unsafe { nix::libc::unshare(nix::libc::CLONE_NEWNS) } != 0 {
        return Err(format!("no mount namespace: {}", io::Error::last_os_error()));
    }
    run(Command::new("mount").args(["--make-rprivate", "/"]))
}

fn sparse(path: &Path, length: u64) -> Result<(), String> {
    // Made anew, so that it is empty.
    let made: io::Result<()> = File::create(path).and_then(|file| file.set_len(length));
    made.map_err(|error| format!("cannot create {}: {error}", path.display()))
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{:?} cannot be run: {error}", command.get_program()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}
