//! Which files are the programs that the supervisor starts?
//!
//! Those that were there at its own start. Each is kept open and started by its descriptor, so that a file that is replaced
//! under a running supervisor changes nothing before the next start: no new app on a database that nothing has migrated.

use std::{
    fs::{self, File},
    io::Read,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
};

use nix::libc;

use super::{launch::FIRST, sandbox::rules};

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
    /// The app.
    pub app: Program,
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
        Self {
            own: Program::open(OWN.into()),
            job: Program::open(supervisor.with_file_name(JOB)),
            migrator: first(migrator, "migrator"),
            app: first(app, "app serve"),
        }
    }

    /// Returns them for a child to read: the paths that they have there, and the descriptors that it has to inherit for that,
    /// one after the other from [`FIRST`] on.
    pub fn to_read(&self) -> (Vec<PathBuf>, Vec<(&str, BorrowedFd<'_>)>) {
        let mut descriptors = Vec::new();
        let mut paths = Vec::new();
        let mut at = FIRST;
        for program in [&self.own, &self.job, &self.migrator, &self.app] {
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
        let programs = [("migrator.command", &self.migrator), ("app.command", &self.app)];
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
