//! Is any earlier app process still alive, double-forked ones included?
//!
//! What leaves its process group and session is adopted by the supervisor (PID 1, or a child subreaper). So a
//! stray is a descendant of the supervisor that is not, and does not descend from, a child it knows, and that bears a
//! sign of having been started by it: it has the lock open, or the database's path in its environment. Others are left
//! alone: what an entrypoint script or `docker exec` left running is not the supervisor's.

use std::{collections::HashMap, fs, os::unix::ffi::OsStrExt, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::reaper::Reaper;
use crate::data::{DataDir, lock::Lock};

/// How long it takes until a process that does not end is spoken of.
const PATIENCE: Duration = Duration::from_secs(2);

/// A process that nobody answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// Its pid.
    pub pid: Pid,
    /// The name of its program.
    pub name: String,
}

/// Returns the strays.
fn find(reaper: &Reaper, data: &DataDir, lock: Option<&Lock>) -> Vec<Stray> {
    let known = reaper.children();
    let own = Pid::this();
    let processes = all();
    // Whether its parents lead up to this process, and through no child that it knows.
    let is_stray = |mut pid: Pid| {
        // Bounded: parents could change while we look.
        for _ in 0..64 {
            match processes.get(&pid) {
                Some(_) if known.contains(&pid) => return false,
                Some((parent, _)) if *parent == own => return true,
                Some((parent, _)) => pid = *parent,
                None => return false,
            }
        }
        false
    };
    processes
        .iter()
        .filter(|(pid, _)| **pid != own && is_stray(**pid) && is_ours(**pid, data, lock))
        .map(|(pid, (_, name))| Stray { pid: *pid, name: name.clone() })
        .collect()
}

/// Reads every process's parent and name; zombies are left out, for they run nothing.
fn all() -> HashMap<Pid, (Pid, String)> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            // A name may be cut in the middle of a character.
            let stat = fs::read(entry.path().join("stat")).ok()?;
            parse(&String::from_utf8_lossy(&stat)).map(|(parent, name)| (Pid::from_raw(pid), (parent, name)))
        })
        .collect()
}

/// Whether a process was started by the supervisor, or by what it had started.
fn is_ours(pid: Pid, data: &DataDir, lock: Option<&Lock>) -> bool {
    if lock.is_some_and(|lock| lock.is_open_in(pid)) {
        return true;
    }
    // What it was started with; a fork has it as well, whatever it has closed since.
    let mark = [b"HEARTH_DATABASE=", data.generations().as_os_str().as_bytes()].concat();
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(&mark))
}

/// Reads `pid (name) state ppid …` of proc_pid_stat(5); the name may hold anything, so the last `)` ends it.
fn parse(stat: &str) -> Option<(Pid, String)> {
    let (head, tail) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let mut fields = tail.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    // Field 20, of which 3 and 4 are read. A zombie with more threads is one whose first thread alone has ended.
    let threads: u64 = fields.nth(15)?.parse().ok()?;
    let runs = (state != "Z" && state != "X") || threads > 1;
    runs.then(|| (Pid::from_raw(parent), name.to_owned()))
}

/// Kills every stray and returns when none is left; returns those that were found.
///
/// KILL is enough: SQLite is safe against it, and a process that fled its group would not heed TERM in time.
pub async fn end(reaper: &Reaper, data: &DataDir, lock: Option<&Lock>) -> Vec<Stray> {
    let mut ended: Vec<Stray> = Vec::new();
    let begun = tokio::time::Instant::now();
    let mut told = false;
    loop {
        let strays = find(reaper, data, lock);
        if strays.is_empty() {
            return ended;
        }
        if begun.elapsed() > PATIENCE && !std::mem::replace(&mut told, true) {
            let names: Vec<String> = strays.iter().map(|stray| format!("{} ({})", stray.pid, stray.name)).collect();
            tracing::warn!(target: "Supervisor", "waiting for processes of an earlier app that do not end even when killed: {}", names.join(", "));
        }
        for stray in strays {
            let _ = kill(stray.pid, Signal::SIGKILL);
            if !ended.contains(&stray) {
                ended.push(stray);
            }
        }
        // A killed process is gone once it is reaped, which CHLD brings about; a stopped disk may delay it.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_be_called_anything() {
        let stat = |name: &str, state: &str, threads: u32| {
            format!("12 ({name}) {state} 7 12 12 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 {threads} 0 1")
        };
        assert_eq!(parse(&stat("a) b", "S", 1)), Some((Pid::from_raw(7), "a) b".to_owned())));
        assert_eq!(parse(&stat("gone", "Z", 1)), None);
        assert!(parse(&stat("half gone", "Z", 2)).is_some(), "its other threads run on");
        assert_eq!(parse(""), None);
    }
}
