//! Which files are the programs that the supervisor starts?
//!
//! Those that were there at its own start. Each is kept open and started by its descriptor, so that a file that is replaced
//! under a running supervisor changes nothing before the next start: no new app on a database that nothing has migrated. Beside the
//! image's app there may be a kept one of an earlier image, which is started from a sealed file in memory and from nowhere else.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    rc::Rc,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, SealFlag, fcntl},
    libc,
    sys::memfd::{MFdFlags, memfd_create},
};

use super::{launch::FIRST, sandbox::rules};
use crate::data::programs::{Contract, KeptProgram};

/// The supervisor's own program, also when its file was replaced meanwhile.
pub const OWN: &str = "/proc/self/exe";
/// The name of the program that does the jobs; it lies beside the supervisor.
pub const JOB: &str = "supervisor-job";

/// One program.
pub struct Program {
    path: PathBuf,
    /// None of a file that was not there, of what is no file, and of a script.
    file: Option<OwnedFd>,
    is_script: bool,
    is_own: bool,
}

/// All of them.
pub struct Programs {
    /// The supervisor itself.
    pub own: Program,
    /// What does the jobs.
    pub job: Program,
    /// The migrator.
    pub migrator: Program,
    /// The app of the image.
    pub app: Rc<AppProgram>,
}

/// A program that can be the app: the image's, or one that was kept of an earlier image.
pub struct AppProgram {
    /// The program.
    pub program: Program,
    /// It and its arguments.
    pub command: Vec<String>,
    kept: Option<KeptProgram>,
}

impl AppProgram {
    /// Whether it belongs to a release of Hearth, this one or an earlier one: [`Program::is_own`].
    pub fn is_own(&self) -> bool {
        self.program.is_own()
    }

    /// What is known of it, if it is a kept one.
    pub fn kept(&self) -> Option<&KeptProgram> {
        self.kept.as_ref()
    }

    /// What a kept one said of itself: it is spoken to in its own words.
    pub fn contract(&self) -> Option<&Contract> {
        self.kept.as_ref().map(|kept| &kept.contract)
    }

    /// The version of a release's app; `current` is this supervisor's.
    pub fn version<'a>(&'a self, current: &'a str) -> &'a str {
        self.contract().map_or(current, |contract| &contract.version)
    }

    /// Makes the app of a kept program that lies at this path and was loaded into this file in memory.
    ///
    /// # Errors
    /// When the file in memory is not sealed, and so could be changed by whoever has it open.
    pub fn of_memory(memory: OwnedFd, path: PathBuf, kept: KeptProgram) -> io::Result<Self> {
        let seals = SealFlag::from_bits_truncate(fcntl(&memory, FcntlArg::F_GET_SEALS)?);
        if !seals.contains(SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK) {
            return Err(io::Error::other("it is not sealed"));
        }
        // By its path it cannot be started, should the descriptor fail: that file may be executed by nobody.
        let command = vec![path.display().to_string(), "serve".to_owned()];
        let program = Program { path, file: Some(memory), is_script: false, is_own: true };
        Ok(Self { program, command, kept: Some(kept) })
    }
}

impl std::fmt::Debug for AppProgram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppProgram").field("command", &self.command).field("kept", &self.kept).finish_non_exhaustive()
    }
}

/// Returns an empty file in memory that a program can be started from.
///
/// # Errors
/// EACCES where the system allows no such file (`vm.memfd_noexec=2`, sysctl(5)).
pub fn executable_memory() -> io::Result<OwnedFd> {
    // Linux 6.3; what nix has no name for yet.
    const MFD_EXEC: u32 = 0x10;
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    match memfd_create(c"app", flags | MFdFlags::from_bits_retain(MFD_EXEC)) {
        // An older kernel knows no flag for it, and allows it.
        Err(Errno::EINVAL) => Ok(memfd_create(c"app", flags)?),
        made => Ok(made?),
    }
}

impl Programs {
    /// Opens them: this program, the one for jobs beside it, and the first words of these commands.
    pub fn open(migrator: &[String], app: &[String]) -> Self {
        let supervisor = std::env::current_exe().unwrap_or_default();
        let first = |command: &[String], default: &str| {
            let program = Program::open(command.first().map(|program| rules::find(program)).unwrap_or_default());
            let is_own = Path::new(&command.join(" ")) == supervisor.with_file_name(default);
            Program { is_own, ..program }
        };
        let image = AppProgram { program: first(app, "app serve"), command: app.to_vec(), kept: None };
        Self {
            own: Program::open(OWN.into()),
            job: Program::open(supervisor.with_file_name(JOB)),
            migrator: first(migrator, "migrator"),
            app: Rc::new(image),
        }
    }

    /// Returns them for a child to read: the paths that they have there, and the descriptors that it has to inherit for that,
    /// one after the other from [`FIRST`] on.
    pub fn to_read(&self) -> (Vec<PathBuf>, Vec<(&str, BorrowedFd<'_>)>) {
        let mut descriptors = Vec::new();
        let mut paths = Vec::new();
        let mut at = FIRST;
        for program in [&self.own, &self.job, &self.migrator, &self.app.program] {
            match program.descriptor() {
                Some(descriptor) => {
                    paths.push(PathBuf::from(format!("/proc/self/fd/{at}")));
                    descriptors.push(("program", descriptor));
                    at += 1;
                }
                None => paths.push(program.path.clone()),
            }
        }
        (paths, descriptors)
    }

    /// Says of which programs a replaced file is started without a start of the supervisor.
    pub fn notes(&self) -> Vec<String> {
        let programs = [("migrator.command", &self.migrator), ("app.command", &self.app.program)];
        let scripts = programs.into_iter().filter(|(_, program)| program.is_script);
        let note = "is a script, which can only be started by its path: replaced while the supervisor runs, the new file is what starts next";
        scripts.map(|(setting, program)| format!("{} ({setting}) {note}", program.path.display())).collect()
    }
}

impl Program {
    fn open(path: PathBuf) -> Self {
        match open(&path) {
            Some((file, false)) => Self { path, file: Some(file), is_script: false, is_own: false },
            other => Self { path, file: None, is_script: other.is_some(), is_own: false },
        }
    }

    /// Whether it belongs to the supervisor's own release: the setting of its command has the default, the program beside the
    /// supervisor. A command that the operator has set may be of any version.
    pub fn is_own(&self) -> bool {
        self.is_own
    }

    /// Where it lay.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns length and time of modification of its file: the same file is known by them without being read.
    pub fn stamp(&self) -> Option<String> {
        let stat = File::from(self.file.as_ref()?.try_clone().ok()?).metadata().ok()?;
        Some(format!("{} {}.{:09}", stat.len(), stat.mtime(), stat.mtime_nsec()))
    }

    /// Its descriptor, if it is started by one.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }
}

/// Opens a regular file, and tells whether it is a script: an interpreter opens those by name, so they have to be started
/// by theirs.
fn open(path: &Path) -> Option<(OwnedFd, bool)> {
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let open = |flags| File::options().read(true).custom_flags(flags).open(path);
    // One that may be executed and not read is opened for neither; the kernel takes that as well.
    let Ok(mut file) = open(libc::O_NONBLOCK) else { return Some((open(libc::O_PATH).ok()?.into(), false)) };
    let mut head = [0; 2];
    let is_script = file.read_exact(&mut head).is_ok() && head == *b"#!";
    Some((file.into(), is_script))
}
