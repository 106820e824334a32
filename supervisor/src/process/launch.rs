//! What happens in a child between its start and its program?
//!
//! `supervisor launch <plan>` is a single-threaded step of its own: it can set what only the process itself can
//! (its session, its `LISTEN_PID`, its parent-death signal) and then becomes the program. A failure goes back to
//! the supervisor as a sentence over a pipe that a successful exec closes.

use std::{
    ffi::{CStr, CString, OsString},
    fs,
    io::{self, Read, Write},
    os::{
        fd::{FromRawFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
    process::ExitCode,
};

use nix::{
    errno::Errno,
    fcntl::{AtFlags, FcntlArg, FdFlag, fcntl},
    libc,
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, pthread_sigmask, sigaction},
    },
    unistd::{Pid, execve, execveat, getppid, setsid},
};
use serde::{Deserialize, Serialize};

use crate::{
    failure::{Cause, Failure},
    process::sandbox::{
        Sandbox, SandboxSupport,
        rules::{self, Private, Role},
    },
};

/// The exit status of a launch that did not come to its program, as in a shell.
const NOT_LAUNCHED: u8 = 127;
/// How many files a child may have open: the app's 512 connections and its databases, several times over.
const FILES: u64 = 4096;
/// The first descriptor after the standard ones: `SD_LISTEN_FDS_START` of sd_listen_fds(3).
pub const FIRST: RawFd = 3;

/// What to become. Descriptors are at fixed places: 0 to 2 the standard ones, from 3 on the sockets, then the
/// pipe for a failure, then the lock, then the program.
#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The supervisor's pid: another parent means that it is gone.
    pub parent: i32,
    /// How many descriptors the lock has.
    pub locks: usize,
    /// Whether the program is given by its descriptor.
    pub by_descriptor: bool,
    /// The names of the listening sockets (`LISTEN_FDNAMES`).
    pub sockets: Vec<String>,
    /// The watchdog's interval in microseconds, if it has one (`WATCHDOG_USEC`).
    pub watchdog: Option<u64>,
    /// Whether it gives way to everything else on the machine (`give_way`).
    pub background: bool,
    /// What it is confined to.
    pub confinement: Option<Confinement>,
}

/// What a program is confined to before it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// What enforces it.
    pub support: SandboxSupport,
    /// What it is there for, and so what it needs.
    pub role: Role,
    /// What is kept from it.
    pub private: Private,
}

/// Carries out the plan; returns only when it failed.
pub fn main(plan: &str) -> ExitCode {
    let Ok(plan) = serde_json::from_str::<Plan>(plan) else {
        eprintln!("error: launch is a step of the supervisor's own, not a command");
        return ExitCode::from(2);
    };
    let sockets = i32::try_from(plan.sockets.len()).unwrap_or(0);
    let report = FIRST + sockets;
    // SAFETY: the supervisor put the pipe at this place for this process alone, and nothing else here owns it.
    let mut pipe = fs::File::from(unsafe { OwnedFd::from_raw_fd(report) });
    let failure = become_program(&plan, report);
    let _ = serde_json::to_vec(&failure).map(|bytes| pipe.write_all(&bytes));
    ExitCode::from(NOT_LAUNCHED)
}

fn become_program(plan: &Plan, report: RawFd) -> Failure {
    if let Err(error) = prepare(report, plan.locks) {
        let message = format!("cannot prepare a process for {}: {error}", plan.command.join(" "));
        return Failure::new(Cause::Launch, message);
    }
    if plan.background {
        give_way();
    }
    let Some(program) = plan.command.first() else {
        return Failure::new(Cause::Launch, "the command to start is empty");
    };
    let temporary = plan.confinement.as_ref().and_then(|confinement| rules::temporary(&confinement.private.data));
    let mut environment: Vec<OsString> = std::env::vars_os()
        .filter(|(variable, _)| temporary.is_none() || variable != "TMPDIR")
        .map(|(mut variable, value)| {
            variable.push("=");
            variable.push(value);
            variable
        })
        .collect();
    let mut set = |name: &str, value: String| environment.push(format!("{name}={value}").into());
    if let Some(temporary) = &temporary {
        set("TMPDIR", temporary.display().to_string());
    }
    // `LISTEN_PID` and `WATCHDOG_PID` are this very process, which no parent can know beforehand.
    let pid = std::process::id().to_string();
    if !plan.sockets.is_empty() {
        set("LISTEN_PID", pid.clone());
        set("LISTEN_FDS", plan.sockets.len().to_string());
        set("LISTEN_FDNAMES", plan.sockets.join(":"));
    }
    if let Some(microseconds) = plan.watchdog {
        set("WATCHDOG_PID", pid);
        set("WATCHDOG_USEC", microseconds.to_string());
    }
    let descriptor = plan.by_descriptor.then(|| report + 1 + i32::try_from(plan.locks).unwrap_or(0));
    let sandbox = plan.confinement.as_ref().map(|Confinement { support, role, private }| Sandbox {
        support: *support,
        rules: role.rules(private, &plan.command, descriptor.map(own_descriptor), temporary),
    });
    if let Some(Err(failure)) = sandbox.as_ref().map(Sandbox::enter_files) {
        return failure;
    }
    // Last of all but the filter of system calls, which denies it: what was set before may clear it, and the parent may have
    // gone meanwhile.
    if let Err(errno) = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL) {
        return Failure::new(Cause::Launch, format!("cannot set the parent-death signal: {}", errno.desc()));
    }
    if getppid() != Pid::from_raw(plan.parent) {
        return Failure::new(Cause::Launch, "the supervisor ended while this process started");
    }
    let program = rules::find(program);
    if let Some(Err(failure)) = sandbox.as_ref().map(Sandbox::enter_calls) {
        return failure;
    }
    explain(&program, execute(&program, descriptor, &plan.command, &environment))
}

/// Executes the program; returns only why it could not be. Not by way of execvp(3), which hands a program of
/// another architecture to `/bin/sh` as a script. By its descriptor, if it has one, and by its path where that cannot be: what
/// an interpreter of the system's own (binfmt_misc) would have to open is closed by then.
fn execute(program: &Path, descriptor: Option<RawFd>, arguments: &[String], environment: &[OsString]) -> Errno {
    let zeroed = |words: &[&[u8]]| words.iter().map(|word| CString::new(*word)).collect::<Result<Vec<_>, _>>();
    let path = zeroed(&[program.as_os_str().as_bytes()]);
    let arguments = zeroed(&arguments.iter().map(String::as_bytes).collect::<Vec<_>>());
    let environment = zeroed(&environment.iter().map(|variable| variable.as_bytes()).collect::<Vec<_>>());
    match (path, arguments, environment) {
        (Ok(path), Ok(arguments), Ok(environment)) => {
            let by_path = |path: &CStr| match execve(path, &arguments, &environment) {
                Err(errno) => errno,
                Ok(never) => match never {},
            };
            let Some(descriptor) = descriptor else { return by_path(&path[0]) };
            let done = execveat(unsafe_borrow(descriptor), c"", &arguments, &environment, AtFlags::AT_EMPTY_PATH);
            match done {
                // Before Linux 3.19, or an old seccomp profile.
                Err(Errno::ENOSYS | Errno::EPERM) => zeroed(&[own_descriptor(descriptor).as_os_str().as_bytes()])
                    .map_or(Errno::EINVAL, |own| by_path(&own[0])),
                Err(Errno::ENOENT) => by_path(&path[0]),
                Err(errno) => errno,
                Ok(never) => match never {},
            }
        }
        _ => Errno::EINVAL,
    }
}

/// Returns the path of a descriptor of this process.
fn own_descriptor(descriptor: RawFd) -> PathBuf {
    format!("/proc/self/fd/{descriptor}").into()
}

fn prepare(report: RawFd, locks: usize) -> io::Result<()> {
    // EPERM: it leads a session already.
    let _ = setsid();
    fcntl(unsafe_borrow(report), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    // The lock stays; whatever else leaked in from outside goes with the exec.
    close_on_exec_from(report + 1 + i32::try_from(locks).unwrap_or(0));
    // A program with a set-user-ID bit gives nobody more than this uid may.
    nix::sys::prctl::set_no_new_privs()?;
    limit(Resource::RLIMIT_CORE, 0)?;
    limit(Resource::RLIMIT_NOFILE, FILES)?;
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator() {
        if !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP) {
            // SAFETY: the default action runs no code of ours.
            unsafe { sigaction(signal, &default) }?;
        }
    }
    Ok(())
}

/// Lowers what this process may ask of the machine: CPU time (nice 10), the disk (the lowest of the best-effort class; the
/// idle class could wait for ever beside a busy app), and its place among those that the kernel kills for memory (first).
/// What cannot be lowered, under an old seccomp profile for example, stays: the work is done all the same.
fn give_way() {
    const NICE: libc::c_int = 10;
    // ioprio_set(2): IOPRIO_WHO_PROCESS, and IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 7).
    const WHO_PROCESS: libc::c_int = 1;
    const LOWEST_BEST_EFFORT: libc::c_int = 2 << 13 | 7;
    // The app's is 0; proc_pid_oom_score_adj(5). Raising one's own needs no privilege.
    const OOM_SCORE_ADJ: &str = "500";
    // SAFETY: both calls take numbers only, and change only this process.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, NICE);
        libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, LOWEST_BEST_EFFORT);
    }
    let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJ);
}

/// Lowers a limit for good, if it is higher.
fn limit(resource: Resource, most: u64) -> nix::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    let most = most.min(hard);
    setrlimit(resource, most, most)
}

fn unsafe_borrow(descriptor: RawFd) -> std::os::fd::BorrowedFd<'static> {
    // SAFETY: the descriptor is open for the whole life of this single-threaded step (see `main`).
    unsafe { std::os::fd::BorrowedFd::borrow_raw(descriptor) }
}

fn close_on_exec_from(first: RawFd) {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 1 << 2;
    // SAFETY: close_range with CLOEXEC only sets a flag on descriptors; there is no pointer in the call.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, CLOSE_RANGE_CLOEXEC) };
    if done == 0 {
        return;
    }
    // Linux before 5.11, or an old seccomp profile: one by one.
    let Ok(open) = fs::read_dir("/proc/self/fd") else { return };
    for descriptor in open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<RawFd>().ok()) {
        if descriptor >= first {
            let _ = fcntl(unsafe_borrow(descriptor), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
        }
    }
}

/// Says in a sentence why a program could not be executed.
fn explain(path: &Path, errno: Errno) -> Failure {
    let program = path.display();
    let failure = |message: String| Failure::new(Cause::Launch, message);
    match errno {
        Errno::ENOENT if path.exists() => {
            failure(format!("cannot start {program}: it is there, but the interpreter or loader that it names is not"))
                .hint("a program built for another C library (musl, glibc) or a script with a wrong first line looks like this; take the one built for this system")
        }
        Errno::ENOENT | Errno::ENOTDIR => failure(format!("cannot start {program}: there is no such program"))
            .hint("the programs supervisor, migrator and app belong beside each other; app.command and migrator.command name others"),
        Errno::ENOEXEC => match machine_of(path) {
            Some(machine) if machine != std::env::consts::ARCH => failure(format!(
                "cannot start {program}: it is built for {machine}, and this machine is {}", std::env::consts::ARCH
            ))
            .hint("take the image or build for this architecture"),
            _ => failure(format!("cannot start {program}: it is no program that this system can run")),
        },
        Errno::EACCES if path.is_dir() => failure(format!("cannot start {program}: it is a directory")),
        Errno::EACCES => failure(format!("cannot start {program}: it may not be executed by uid {}", nix::unistd::geteuid()))
            .hint(format!("make it executable with: chmod a+rx {program}; or its file system is mounted noexec")),
        errno => failure(format!("cannot start {program}: {}", errno.desc().to_lowercase())),
    }
}

/// Returns the architecture that an ELF file is built for, in Rust's words.
fn machine_of(path: &Path) -> Option<String> {
    let mut head = [0_u8; 20];
    fs::File::open(path).ok()?.read_exact(&mut head).ok()?;
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    let number = [head[18], head[19]];
    let number = if head[5] == 2 { u16::from_be_bytes(number) } else { u16::from_le_bytes(number) };
    // e_machine, elf(5).
    Some(match number {
        3 => "x86".into(),
        40 => "arm".into(),
        62 => "x86_64".into(),
        183 => "aarch64".into(),
        243 => "riscv64".into(),
        other => format!("the architecture with ELF number {other}"),
    })
}
