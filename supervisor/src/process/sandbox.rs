//! What does each of Hearth's processes give up before it works?
//!
//! Supervisor, app, migrator and jobs share one uid, so the kernel's own permissions do not keep them apart. A process
//! that works on what a stranger may have written gives up, before it does, what it has no need of: an app that was taken
//! over completely cannot read or destroy a backup or a snapshot, nor signal, trace or read the supervisor. The
//! kernel has two mechanisms for that, and neither needs a privilege: Landlock says which files there are, and a seccomp filter
//! takes the system calls away that Landlock does not cover. docs/SECURITY.md has the table of what stops what.

mod landlock;
pub mod rules;
mod seccomp;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use nix::sys::prctl;
use serde::{Deserialize, Serialize};

use crate::failure::{Cause, Failure};

/// The newest Landlock ABI whose rights are asked for: the newest that the tests ran on. A later one (9: connecting to unix
/// sockets by path) would take away what an app needs, its notifications for example, without a test to tell.
pub const NEWEST_ABI: u32 = 7;

/// What the kernel offers, and so what a sandbox is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxSupport {
    /// Landlock's ABI, at most [`NEWEST_ABI`]; 0: there is none.
    pub landlock: u32,
    /// Whether system calls can be filtered.
    pub seccomp: bool,
}

impl fmt::Display for SandboxSupport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.landlock, self.seccomp) {
            (0, false) => f.write_str("none"),
            (0, true) => f.write_str("seccomp"),
            (abi, false) => write!(f, "Landlock ABI {abi}"),
            (abi, true) => write!(f, "Landlock ABI {abi}, seccomp"),
        }
    }
}

/// What a process keeps. Whatever is not named, it gives up; what does not exist is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Files, and directories with all in them, that it may read.
    pub reads: Vec<PathBuf>,
    /// Those that it may read and execute.
    pub runs: Vec<PathBuf>,
    /// Those in which it may do everything but execute and make devices.
    pub writes: Vec<PathBuf>,
    /// Directories in which it may do the same, but for removing what is there.
    pub adds: Vec<PathBuf>,
    /// Which new sockets it may make. Those that it inherits it keeps.
    pub sockets: Sockets,
    /// Whether it may send to abstract unix sockets of others.
    pub abstract_sockets: bool,
}

/// Which new sockets a process may make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sockets {
    /// None at all.
    #[default]
    None,
    /// All but unix ones that connect (stream and seqpacket): with one of those it could speak to the control socket, to
    /// Docker or to tailscaled. Datagrams are left, for the notifications.
    Network,
    /// All but unix ones of the seqpacket kind. For an app that asks tailscaled: no filter can read where a socket connects to,
    /// and no ABI of Landlock that is asked for knows unix sockets by path, so it is every one that this uid may connect to.
    NetworkAndUnix,
}

/// What a process is left with, and what enforces it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// What enforces it.
    pub support: SandboxSupport,
    /// With what.
    pub rules: Rules,
}

impl SandboxSupport {
    /// Whether there is all that a sandbox needs.
    pub fn is_whole(self) -> bool {
        self.landlock > 0 && self.seccomp
    }

    /// Gives up, until the end of this process, all but reading these and writing those files and directories. Jobs call it
    /// before they look into what an app, or whoever sent an archive, may have made to do harm.
    pub fn confine(
        self,
        reads: impl IntoIterator<Item = PathBuf>,
        writes: &[&Path],
        sockets: Sockets,
    ) -> Result<(), Failure> {
        let writes = writes.iter().map(|path| (*path).to_owned()).collect();
        let rules = Rules { reads: reads.into_iter().collect(), writes, sockets, ..Rules::default() };
        let sandbox = Sandbox { support: self, rules };
        sandbox.enter_files()?;
        sandbox.enter_calls()
    }
}

impl Sandbox {
    /// Gives up, for this thread and all that comes of it, the files that the rules do not name; system calls still go through.
    /// For a process with one thread.
    ///
    /// # Errors
    /// A sentence when the kernel refuses what it had offered; then the process must not go on.
    pub fn enter_files(&self) -> Result<(), Failure> {
        if self.support.landlock == 0 || made_to_harm() {
            return Ok(());
        }
        match landlock::restrict(self.support.landlock, &self.rules) {
            Ok(abi) if abi == self.support.landlock => Ok(()),
            Ok(_) => Err(refused("Landlock", "it is not what it was at the start")),
            Err(error) => Err(refused("Landlock", &error)),
        }
    }

    /// Gives up the system calls as well. Errors as those of [`Self::enter_files`].
    pub fn enter_calls(&self) -> Result<(), Failure> {
        if !self.support.seccomp || made_to_harm() {
            return Ok(());
        }
        seccomp::restrict(self.rules.sockets).map_err(|error| refused("the seccomp filter", &error))
    }
}

/// Whether a test makes this process kill its parent, which no sandbox would let it.
fn made_to_harm() -> bool {
    faults().contains("kill-parent")
}

/// What a test does to this process, in a build for tests.
fn faults() -> String {
    if cfg!(feature = "faults") { std::env::var("HEARTH_FAULT").unwrap_or_default() } else { String::new() }
}

fn refused(what: &str, why: &str) -> Failure {
    Failure::new(Cause::Launch, format!("the sandbox cannot be entered: {what}: {why}"))
        .hint("HEARTH_SANDBOX__MODE=off starts without one; docs/SECURITY.md says what that leaves open")
}

/// Enters a sandbox by what means the kernel offers, and returns them. With no rules, this process can do nothing afterwards but
/// end.
pub fn try_out(rules: &Rules) -> SandboxSupport {
    if made_to_harm() {
        return SandboxSupport::default();
    }
    // A test can mask newer ones.
    let most = (0..NEWEST_ABI).find(|abi| is_masked(&format!("landlock={abi}"))).unwrap_or(NEWEST_ABI);
    let landlock = if most == 0 { 0 } else { landlock::restrict(most, rules).unwrap_or(0) };
    SandboxSupport { landlock, seccomp: !is_masked("seccomp=none") && seccomp::restrict(rules.sockets).is_ok() }
}

/// Gives up everything but the descriptors that this process has, as far as the kernel can. For the door, which is there also
/// while it is not known yet what there is; what the kernel refuses stays.
pub fn keep_nothing() {
    let _ = try_out(&Rules::default());
}

/// Whether a test hides one of the kernel's mechanisms, by this word of `HEARTH_FAULT`.
fn is_masked(word: &str) -> bool {
    faults().split(',').any(|fault| fault == word)
}

/// Closes this process to others of its uid: they can neither trace it, nor read its memory and environment, and it leaves
/// no core file behind (`PR_SET_DUMPABLE` of prctl(2)).
pub fn close_to_others() {
    // It fails on no kernel; and what could be done about it?
    let _ = prctl::set_dumpable(false);
}

#[cfg(test)]
mod tests {
    use std::{fs, net, process::Command};

    use super::*;

    /// The test runs itself again, since what a process gives up it never gets back: with the newest Landlock that this kernel has.
    #[test]
    fn a_job_keeps_what_it_names_and_nothing_else() {
        const AGAIN: &str = "TEST_CONFINED";
        const ABI: &str = "TEST_ABI";
        if let Some(place) = std::env::var_os(AGAIN).map(PathBuf::from) {
            let (read, write, other) = (place.join("read"), place.join("write"), place.join("other"));
            let support = SandboxSupport { landlock: std::env::var(ABI).unwrap().parse().unwrap(), seccomp: true };
            support.confine([read.clone()], &[&write], Sockets::None).unwrap();
            assert!(net::TcpListener::bind("127.0.0.1:0").is_err(), "no sockets at all");
            assert_eq!(fs::read(read.join("file")).unwrap(), b"read");
            fs::write(write.join("file"), "anew").unwrap();
            fs::rename(write.join("file"), write.join("renamed")).unwrap();
            if support.landlock > 0 {
                assert!(fs::write(read.join("file"), "anew").is_err() && fs::remove_file(read.join("file")).is_err());
                assert!(fs::read(other.join("file")).is_err() && fs::remove_file(other.join("file")).is_err());
                assert!(fs::rename(write.join("renamed"), other.join("file")).is_err());
                assert!(fs::read("/etc/passwd").is_err() && Command::new("/bin/true").status().is_err());
            }
            return;
        }
        let this = "process::sandbox::tests::a_job_keeps_what_it_names_and_nothing_else";
        for abi in (0..=NEWEST_ABI).rev() {
            let place = tempfile::tempdir().unwrap();
            for name in ["read", "write", "other"] {
                fs::create_dir(place.path().join(name)).unwrap();
                fs::write(place.path().join(name).join("file"), name).unwrap();
            }
            let mut again = Command::new(std::env::current_exe().unwrap());
            again.args(["--exact", this]).env(AGAIN, place.path()).env(ABI, abi.to_string());
            let again = again.output().unwrap();
            let said = String::from_utf8_lossy(&again.stdout);
            // An older kernel is asked for the ABI before.
            if abi > 0 && said.contains("it is not what it was at the start") {
                continue;
            }
            assert!(again.status.success(), "{said}");
            assert_eq!(fs::read(place.path().join("other/file")).unwrap(), b"other");
            return;
        }
    }
}
