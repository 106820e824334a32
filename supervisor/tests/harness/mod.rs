//! Starts the real binaries on a free port and a temporary directory, and waits for conditions.
//!
//! The one harness of all black-box tests. Nothing here sleeps and hopes: every wait is for something that can be
//! seen, with a limit after which the test fails and shows the log.

#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, missing_docs, reason = "a test fails by panicking, and its names say the rest")]

pub mod chance;
pub mod household;
pub mod http;
mod running;
pub mod watchdog;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File},
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{LazyLock, Once},
    thread,
    time::{Duration, Instant},
};

use nix::sys::{
    signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
    stat::{Mode, umask},
};
use serde_json::Value;

pub use self::{
    http::{Answer, attach, get, page, parse, request, token},
    running::Running,
};

/// What tests inherit and do not want to: settings of other programs, and of the machine that they run on.
const INHERITED: [&str; 25] = [
    "TZ",
    "LANG",
    "LANGUAGE",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "PUID",
    "PGID",
    "container",
    "JOURNAL_STREAM",
    "NO_COLOR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SQLITE_TMPDIR",
];

/// Makes what children inherit from this process that of any start: whoever ran the tests may have had signals ignored (a
/// script's background job has) or another umask. (The standard library empties a child's signal mask itself.)
fn inherit_nothing_odd() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        for signal in
            [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGCHLD]
        {
            // SAFETY: the default action runs no code of ours.
            unsafe { sigaction(signal, &default) }.expect("a signal's action can be set");
        }
        umask(Mode::from_bits_truncate(0o022));
    });
}

/// How long anything may take before a test fails. Generous: two busy cores are slow.
pub const LIMIT: Duration = Duration::from_secs(60);

/// This source's migrations, oldest first: each is called as its file.
pub static MIGRATIONS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrator/src/migrations");
    let files = fs::read_dir(sources).unwrap().map(|entry| entry.unwrap().path());
    let names = files.map(|file| file.file_stem().unwrap().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("m0")).collect();
    names.sort();
    assert!(names.len() >= 3, "the migrations are not found: {names:?}");
    names
});

/// Waits until `look` finds something.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "waited {LIMIT:?} for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Packs the libraries that a program is linked with, by their absolute paths, for an image that has none.
pub fn pack_libraries(program: &Path, archive: &Path) {
    let linked = Command::new("ldd").arg(program).output().expect("ldd runs").stdout;
    let linked = String::from_utf8(linked).expect("ldd prints text");
    let libraries = linked.split_whitespace().filter(|word| word.starts_with('/'));
    let packed = Command::new("tar").arg("-chPf").arg(archive).args(libraries).status();
    assert!(packed.expect("tar runs").success(), "the libraries of {} cannot be packed", program.display());
}

/// Returns the path of a program of this workspace, built beside the tests.
pub fn program(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("the test's own path");
    let target = tests.parent().and_then(Path::parent).expect("target/<profile>/deps");
    let path = target.join(name);
    assert!(path.exists(), "{} is not built; run the tests with: cargo test --workspace", path.display());
    path
}

/// The programs of an image.
pub const PROGRAMS: [&str; 4] = ["supervisor", "supervisor-job", "migrator", "app"];

/// Returns where `.ci/next-programs` has put the programs of the release after this one.
pub fn next_programs() -> PathBuf {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/next/app");
    assert!(place.join("app").exists(), "the next release's programs are not built: run .ci/next-programs");
    place
}

/// Returns what stands after the last byte of a program, where no loader looks: this name, by which its hash is another one, or how it is to
/// fail, in the words of `HEARTH_FAULT`, as a build for tests reads them there.
pub fn tail(name: &str, faults: &str) -> String {
    if faults.is_empty() { format!("\n{name}\n") } else { format!("\nHEARTH_FAULT={faults}\n") }
}

/// Makes the directory `place` with the programs of another one, each with what `tail` says of it at its end.
pub fn copy_programs(from: &Path, place: &Path, tail: impl Fn(&str) -> String) {
    fs::create_dir(place).expect("a directory");
    for name in PROGRAMS {
        let (from, to, tail) = (from.join(name), place.join(name), tail(name));
        // What stays as it is needs no room.
        if !tail.is_empty() || fs::hard_link(&from, &to).is_err() {
            let content = [fs::read(from).expect("a program"), tail.into_bytes()].concat();
            fs::write(&to, content).expect("a program can be written");
        }
        fs::set_permissions(to, PermissionsExt::from_mode(0o755)).expect("permissions can be set");
    }
}

/// Copies a program of this workspace so that every user can run it, whatever the umask it was built with.
pub fn copy_program(name: &str, to: &Path) {
    fs::copy(program(name), to).expect("a program can be copied");
    fs::set_permissions(to, PermissionsExt::from_mode(0o755)).expect("permissions can be set");
}

/// Returns BLAKE3 of a file.
pub fn hash(path: &Path) -> String {
    blake3::hash(&fs::read(path).unwrap()).to_hex().to_string()
}

/// A data directory, and how supervisors are started on it.
pub struct Hearth {
    /// Removed with this.
    pub root: tempfile::TempDir,
    /// The data directory.
    pub data: PathBuf,
    environment: BTreeMap<String, String>,
    programs: Option<PathBuf>,
    /// Whether commands are those of these programs, too.
    is_image: bool,
    wrapper: Vec<String>,
    limit: Duration,
}

impl Default for Hearth {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads to the end, on a thread of its own.
fn read_all(source: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        source.expect("a pipe").read_to_end(&mut bytes).expect("what the command prints");
        bytes
    })
}

impl Hearth {
    /// An empty data directory; the real app and migrator; quick restarts and checks.
    pub fn new() -> Self {
        watchdog::step();
        inherit_nothing_odd();
        let root = tempfile::tempdir().expect("a temporary directory");
        let data = root.path().join("data");
        let mut hearth = Self {
            root,
            data,
            environment: BTreeMap::new(),
            programs: None,
            is_image: false,
            wrapper: Vec::new(),
            limit: LIMIT,
        };
        hearth.set("HEARTH_LISTEN", "127.0.0.1:0");
        hearth.set("HEARTH_HEALTH__INTERVAL", "200ms");
        hearth.set("HEARTH_RESTART__BACKOFF", "20ms");
        hearth.set("HEARTH_LOCK__WAIT", "20s");
        // A test that wants backups by schedule says so: none is to meet one by chance at three in the morning.
        hearth.set("HEARTH_BACKUP__SCHEDULE", "off");
        // What an upgrade does where nothing can take the place of a version that fails; tests/fallback has the rest.
        hearth.set("HEARTH_UPGRADE__FALLBACK", "off");
        // Tests read lines from their beginning.
        hearth.set("HEARTH_LOG__TIMESTAMPS", "never");
        hearth.set("HEARTH_AUTH__ADMIN_EMAIL", http::EMAIL);
        hearth.set("HEARTH_AUTH__ADMIN_PASSWORD", http::PASSWORD);
        hearth
    }

    /// Another one: a copy of this data directory at rest, and the same environment.
    pub fn copy(&self) -> Self {
        watchdog::step();
        let root = tempfile::tempdir().expect("a temporary directory");
        let data = root.path().join("data");
        if self.data.exists() {
            // Links and times as they are: the times tell whether a database was written to.
            let copied = Command::new("cp").arg("-a").arg(&self.data).arg(&data).status();
            assert!(copied.expect("cp runs").success(), "{} cannot be copied", self.data.display());
        }
        Self {
            root,
            data,
            environment: self.environment.clone(),
            programs: self.programs.clone(),
            is_image: self.is_image,
            wrapper: self.wrapper.clone(),
            limit: self.limit,
        }
    }

    /// Another one on this same data directory, with the same environment and programs.
    pub fn beside(&self) -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        Self {
            root,
            data: self.data.clone(),
            environment: self.environment.clone(),
            programs: self.programs.clone(),
            is_image: self.is_image,
            wrapper: Vec::new(),
            limit: self.limit,
        }
    }

    /// Lets each command take as long as one does with a lot of data.
    pub fn patient(&mut self) -> &mut Self {
        self.limit = 10 * LIMIT;
        self
    }

    /// Sets an environment variable for every supervisor from here on.
    pub fn set(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Takes it back.
    pub fn unset(&mut self, name: &str) -> &mut Self {
        self.environment.remove(name);
        self
    }

    /// No settings name an owner: nothing of accounts is in the app's environment.
    pub fn without_owner(&mut self) -> &mut Self {
        self.environment.remove("HEARTH_AUTH__ADMIN_EMAIL");
        self.environment.remove("HEARTH_AUTH__ADMIN_PASSWORD");
        self
    }

    /// The app is `strange_app`, told to behave like this.
    pub fn strange(&mut self, orders: &str) -> &mut Self {
        let app = program("examples/strange_app").display().to_string();
        self.set("HEARTH_APP__COMMAND", format!("[{app:?}]"));
        // It has no accounts, and tells the environment that it got.
        self.without_owner();
        // It writes beside the data directory.
        self.set("HEARTH_SANDBOX__MODE", "off");
        self.set("TEST_LOG", self.root.path().join("app.log").display().to_string());
        self.set("TEST_APP", orders)
    }

    /// The migrator is one with more migrations, of a later version: the sets of migrator/examples/next_migrator.rs.
    pub fn next_migrator(&mut self, migrations: &str, version: &str) -> &mut Self {
        let migrator = program("examples/next_migrator").display().to_string();
        self.set("HEARTH_MIGRATOR__COMMAND", format!("[{migrator:?}]"));
        self.set("TEST_MIGRATIONS", migrations);
        // This source's app plays that version's.
        self.set("TEST_ANY_FLOOR", "1");
        self.set("TEST_VERSION", version)
    }

    /// The migrator is this release's own again.
    pub fn own_migrator(&mut self) -> &mut Self {
        self.unset("HEARTH_MIGRATOR__COMMAND");
        self.unset("TEST_MIGRATIONS");
        self.unset("TEST_ANY_FLOOR");
        self.unset("TEST_VERSION")
    }

    /// Starts supervisors through this program (`unshare`, `setsid`, …).
    pub fn through(&mut self, wrapper: &[&str]) -> &mut Self {
        self.wrapper = wrapper.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Copies the programs to where every user can reach them, and runs them from there.
    pub fn for_every_user(&mut self) -> &mut Self {
        let programs = self.root.path().join("bin");
        fs::create_dir(&programs).expect("a directory");
        for directory in [self.root.path(), &programs] {
            fs::set_permissions(directory, PermissionsExt::from_mode(0o755)).expect("permissions can be set");
        }
        for name in PROGRAMS {
            copy_program(name, &programs.join(name));
        }
        self.programs = Some(programs);
        self
    }

    /// Runs these programs from here on.
    pub fn run_programs(&mut self, programs: PathBuf) -> &mut Self {
        self.programs = Some(programs);
        self.is_image = true;
        self
    }

    /// Returns where the programs are that are run.
    pub fn programs(&self) -> PathBuf {
        self.programs.clone().unwrap_or_else(|| program("supervisor").parent().expect("a directory").to_owned())
    }

    /// What `strange_app` has written down.
    pub fn app_log(&self) -> String {
        fs::read_to_string(self.root.path().join("app.log")).unwrap_or_default()
    }

    /// Returns a command with this environment and the data directory.
    pub fn command(&self, arguments: &[&str]) -> Command {
        watchdog::step();
        let supervisor = match &self.programs {
            Some(programs) => programs.join("supervisor"),
            None => program("supervisor"),
        };
        let mut command = match self.wrapper.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(supervisor);
                command
            }
            None => Command::new(supervisor),
        };
        self.equip(&mut command).args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs a command of the supervisor's to its end, without the wrapper.
    pub fn run(&self, arguments: &[&str]) -> Output {
        watchdog::step();
        let own = if self.is_image { self.programs().join("supervisor") } else { program("supervisor") };
        let mut command = Command::new(own);
        self.equip(&mut command).args(arguments).stdin(Stdio::null());
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the supervisor's command starts");
        let until = Instant::now() + self.limit;
        // Read meanwhile: `app openapi` prints more than a pipe holds.
        let stdout = read_all(child.stdout.take());
        let stderr = read_all(child.stderr.take());
        while child.try_wait().expect("the command can be waited for").is_none() {
            if Instant::now() > until {
                let _ = child.kill();
                let _ = child.wait();
                let said = stderr.join().expect("its standard error");
                panic!("{arguments:?} has not ended within {:?}: {}", self.limit, String::from_utf8_lossy(&said));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Output {
            status: child.wait().expect("the command's status"),
            stdout: stdout.join().expect("its standard output"),
            stderr: stderr.join().expect("its standard error"),
        }
    }

    /// Runs a command that must be done; returns what it printed.
    pub fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?} failed ({}):\n{said}", output.status);
        String::from_utf8(output.stdout).expect("text")
    }

    /// Runs a command that must be refused or fail; returns what it said.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?} was done: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Makes a backup with these further arguments; returns its document.
    pub fn backup(&self, arguments: &[&str]) -> Value {
        let printed = self.done(&[&["backup", "--json"], arguments].concat());
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
    }

    /// Returns what `backup list` lists, the newest first.
    pub fn backups(&self) -> Vec<Value> {
        let printed = self.done(&["backup", "list", "--json"]);
        let list: Value = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
        list["backups"].as_array().expect("backups").clone()
    }

    /// As [`Self::backups`], but only those in `backup.dir`.
    pub fn backups_here(&self) -> Vec<Value> {
        let printed = self.run(&["backup", "list", "--json"]).stdout;
        let list: Value = serde_json::from_slice(&printed).expect("a list");
        list["backups"]
            .as_array()
            .expect("backups")
            .iter()
            .filter(|listed| listed["kind"] == "local")
            .cloned()
            .collect()
    }

    /// Adds an attachment as the app names them; returns its path below the data directory.
    pub fn attach(&self, content: &[u8]) -> String {
        let name = blake3::hash(content).to_hex().to_string();
        let path = format!("files/{}/{name}", &name[..2]);
        let target = self.data.join(&path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, content).unwrap();
        path
    }

    /// Gives a command this environment, and no setting from the one that the tests run in.
    fn equip<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let odd = |name: &OsString| {
            let bytes = name.as_encoded_bytes();
            [&b"HEARTH_"[..], b"LC_"].iter().any(|prefix| bytes.starts_with(prefix))
                || INHERITED.iter().any(|odd| name == odd)
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| odd(name)) {
            command.env_remove(name);
        }
        command.env("HEARTH_DATA_DIR", &self.data).envs(&self.environment)
    }

    /// Starts a supervisor.
    pub fn start(&self) -> Running {
        self.spawn(self.command(&[]))
    }

    /// Starts this command as a supervisor, its log in a file of its own.
    pub fn spawn(&self, mut command: Command) -> Running {
        let log = (0..)
            .map(|number| self.root.path().join(format!("log-{number}")))
            .find(|path| !path.exists())
            .expect("a name");
        let file = File::create(&log).expect("a log file");
        command.stdout(file.try_clone().expect("a descriptor")).stderr(file);
        Running {
            child: command.spawn().expect("the supervisor starts"),
            log,
            wrapped: !self.wrapper.is_empty(),
            data: self.data.clone(),
        }
    }

    /// Returns `supervisor status --json`, if a supervisor answers.
    pub fn status(&self) -> Option<Value> {
        let output = self.run(&["status", "--json"]);
        let status: Value = serde_json::from_slice(&output.stdout).ok()?;
        (status["phase"] != "stopped").then_some(status)
    }

    /// Returns the number of the live generation.
    pub fn live(&self) -> Option<String> {
        let target = fs::read_link(self.data.join("live")).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }

    /// Returns the path of the live database.
    pub fn database(&self) -> PathBuf {
        self.data.join("live/app.db")
    }

    /// Returns the names in `generations/`.
    pub fn generations(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.data.join("generations")) else { return Vec::new() };
        let mut names: Vec<String> = entries.flatten().map(|entry| entry.file_name().display().to_string()).collect();
        names.sort();
        names
    }

    /// Asserts that nothing in the data directory is half-done.
    pub fn assert_tidy(&self) {
        for name in self.generations() {
            assert!(name.bytes().all(|byte| byte.is_ascii_digit()), "left over: generations/{name}");
            let directory = self.data.join("generations").join(&name);
            assert!(!directory.join("STAGING").exists(), "{name} is marked");
            assert!(directory.join("app.db").exists(), "{name} has no database");
        }
    }
}

/// Counts the processes that have this file open.
pub fn holders(path: &Path) -> usize {
    let Ok(path) = path.canonicalize() else { return 0 };
    let Ok(processes) = fs::read_dir("/proc") else { return 0 };
    processes
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok()))
        .filter(|entry| {
            let Ok(open) = fs::read_dir(entry.path().join("fd")) else { return false };
            open.flatten().any(|descriptor| fs::read_link(descriptor.path()).is_ok_and(|target| target == path))
        })
        .count()
}

/// What a command printed to standard output.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a command printed to standard error.
pub fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
