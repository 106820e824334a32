//! `cargo dev`: how does a developer see a change run?
//!
//! 1. [`programs`] builds the programs as `cargo build` does. If that fails, those that run serve on.
//! 2. [`scratch`] makes a database: the newest release's, a family, the migrations of this source, and what the entities have
//!    beyond those ([`difference`]). It is made anew whenever one of these changes, and otherwise kept.
//! 3. [`supervisor`] runs the real supervisor on it, and has the real app make a link to sign in.
//! 4. [`watch`] waits for the next change of the sources.
//!
//! All of it is in one directory, `target/dev`, which can be deleted whenever `cargo dev` does not run.

mod difference;
mod programs;
mod scratch;
mod supervisor;
mod watch;

use std::future;
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};
use std::{fmt, fs};

use nix::fcntl::{Flock, FlockArg};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::programs::Programs;
use self::scratch::{Scratch, State};
use self::supervisor::{Outcome, Supervisor};
use self::watch::Watch;
use super::Problem;

/// The ports that are tried if none is named: the supervisor's default, and those after it.
const PORTS: std::ops::Range<u16> = 3000..3020;

/// What `cargo dev` can be told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dev
  cargo dev --listen 127.0.0.1:8080
  HEARTH_LOG__LEVEL=debug cargo dev

The settings of docs/CONFIGURATION.md count, as they do for the supervisor. Ctrl-C ends everything.")]
pub(super) struct Arguments {
    /// Where Hearth listens [default: 127.0.0.1:3000, or the next free port]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where the scratch data directory is made [default: target/dev]
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// Run the programs in this directory, and watch these and not the sources
    #[arg(long, value_name = "DIRECTORY", hide = true)]
    programs: Option<PathBuf>,
}

/// Builds and runs the programs, until a signal ends it.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Problem> {
    let programs = Programs::find(arguments.programs.as_deref())?;
    let directory = arguments.directory.clone().unwrap_or_else(|| programs.target().join("dev"));
    fs::create_dir_all(&directory).map_err(|error| failed("create", &directory, &error))?;
    let directory = fs::canonicalize(&directory).map_err(|error| failed("find", &directory, &error))?;
    let _lock = lock(&directory)?;
    let listen = address(arguments.listen)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::new(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(session(&programs, &Scratch::new(directory), listen))
}

/// Works until a signal comes, then ends what runs.
async fn session(programs: &Programs, scratch: &Scratch, listen: SocketAddr) -> Result<ExitCode, Problem> {
    let mut stop = Stop::new()?;
    let mut running = None;
    let ended = tokio::select! {
        biased;
        () = stop.wait() => Ok(()),
        ended = work(programs, scratch, listen, &mut running) => ended,
    };
    if let Some(mut supervisor) = running {
        say("stopping");
        // A further signal hastens it, as it does where the supervisor runs by itself.
        while tokio::select! { () = supervisor.stop() => false, () = stop.wait() => true } {}
    }
    ended.map(|()| ExitCode::SUCCESS)
}

/// Builds, starts and waits for a change, again and again.
async fn work(
    programs: &Programs,
    scratch: &Scratch,
    listen: SocketAddr,
    running: &mut Option<Supervisor>,
) -> Result<(), Problem> {
    let mut watch = Watch::new(programs.watched());
    let mut is_new = true;
    loop {
        // What changes from here on is not in what is built now.
        watch.look();
        let mut brought_up = programs.build().await;
        if brought_up.is_ok() {
            if is_new {
                supervisor::nobody_else(programs, scratch)?;
            }
            brought_up = bring_up(programs, scratch, listen, running, is_new).await;
        }
        match brought_up {
            Ok(()) => is_new = false,
            Err(problem) => {
                problem.tell();
                match running {
                    Some(supervisor) => say(format_args!("what was built before serves on: {}", supervisor.address())),
                    None => say("nothing runs"),
                }
            }
        }
        say("waiting for a change");
        let changed = loop {
            let ended = async {
                match running.as_mut() {
                    Some(supervisor) => supervisor.ended().await,
                    None => future::pending().await,
                }
            };
            tokio::select! {
                changed = watch.change() => break changed,
                status = ended => {
                    say(format_args!("the supervisor ended ({status}); a change starts it again"));
                    *running = None;
                }
            }
        };
        say(format_args!("changed: {changed}"));
    }
}

/// Brings the database and the running programs to what was built.
async fn bring_up(
    programs: &Programs,
    scratch: &Scratch,
    listen: SocketAddr,
    running: &mut Option<Supervisor>,
    is_new: bool,
) -> Result<(), Problem> {
    let entities = programs.entities().await?;
    // Beside the one in use, which serves meanwhile, and on if this fails.
    let state = scratch.prepare(programs, &entities)?;
    let version = programs.fingerprint()?;
    if let Some(supervisor) = running {
        if state == State::Kept && supervisor.version == version {
            say(format_args!("the programs are the same; serving on {}", supervisor.address()));
            return Ok(());
        }
        supervisor.stop().await;
        *running = None;
    }
    scratch.commit(&state)?;
    let differences = scratch.differences();
    differences.iter().for_each(say);
    if !differences.is_empty() {
        say("no migration does this yet, only the scratch database has it: cargo migration new <name> writes one");
    }
    let supervisor = running.insert(Supervisor::start(programs, scratch, listen, version)?);
    match supervisor.wait_serving(programs, scratch).await {
        Outcome::Serving if is_new || state != State::Kept => {
            let link = supervisor.link(programs, scratch)?;
            print(&format!("\n  Hearth   {}\n  sign in  {link}\n\n", supervisor.address()));
        }
        Outcome::Serving => say(format_args!("serving again on {}", supervisor.address())),
        // Its log has said why.
        Outcome::Held => say("held: see above"),
        Outcome::Ended => {}
    }
    Ok(())
}

/// The signals that end it: Ctrl-C, TERM, a closed terminal.
struct Stop([Signal; 3]);

impl Stop {
    fn new() -> Result<Stop, Problem> {
        let listen = |kind| signal(kind).map_err(|error| Problem::new(format!("cannot wait for signals: {error}")));
        Ok(Stop([listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?]))
    }

    async fn wait(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Takes the directory for this process.
fn lock(directory: &Path) -> Result<Flock<fs::File>, Problem> {
    let path = directory.join("lock");
    let file = fs::File::options().create(true).truncate(false).read(true).write(true).open(&path);
    let file = file.map_err(|error| failed("open", &path, &error))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut lock) => {
            let written = lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| {
                let mut file: &fs::File = &lock;
                writeln!(file, "{}", std::process::id())
            });
            written.map_err(|error| failed("write", &path, &error))?;
            Ok(lock)
        }
        Err((mut file, nix::Error::EWOULDBLOCK)) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).ok();
            let holder = holder.trim();
            Err(Problem::new(format!("cargo dev already runs in {}, as process {holder}", directory.display())).hint(
                format!(
                    "end that one (kill {holder}), or run a second one beside it: cargo dev --directory target/dev2"
                ),
            ))
        }
        Err((_, error)) => Err(failed("lock", &path, &error)),
    }
}

/// Returns the address to listen on: the one that is named, or the first free one.
fn address(named: Option<SocketAddr>) -> Result<SocketAddr, Problem> {
    let is_taken = |address| match TcpListener::bind(address) {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(true),
        Err(error) => Err(Problem::new(format!("cannot listen on {address}: {error}"))),
    };
    if let Some(address) = named {
        return match is_taken(address)? {
            false => Ok(address),
            true => Err(Problem::new(format!("another program listens on {address}"))
                .hint("without --listen, cargo dev takes a port that is free")),
        };
    }
    for port in PORTS {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if !is_taken(address)? {
            if port != PORTS.start {
                say(format_args!("another program listens on port {}, so this is on port {port}", PORTS.start));
            }
            return Ok(address);
        }
    }
    Err(Problem::new(format!("the ports {} to {} are all taken", PORTS.start, PORTS.end - 1))
        .hint("name another address: cargo dev --listen 127.0.0.1:8080"))
}

/// Runs a program to its end, apart from this process's group: Ctrl-C is for this process, which then ends everything.
fn output(command: &mut Command) -> io::Result<Output> {
    command.stdin(Stdio::null()).process_group(0).output()
}

fn failed(doing: &str, path: &Path, error: &dyn fmt::Display) -> Problem {
    Problem::new(format!("cannot {doing} {}: {error}", path.display()))
}

/// Says something to the developer, between the lines of the programs' logs.
fn say(words: impl fmt::Display) {
    writeln!(io::stderr().lock(), "[Dev] {words}").ok();
}

fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).ok();
}
