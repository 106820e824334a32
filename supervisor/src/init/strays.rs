//! Is any earlier app process still alive, double-forked ones included?
//!
//! What leaves its process group and session is adopted by the supervisor (PID 1, or a child subreaper). So a
//! stray is any descendant of the supervisor that is not, and does not descend from, a child it knows.

use std::{collections::HashMap, fs, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::reaper::Reaper;

/// A process that nobody answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// Its pid.
    pub pid: Pid,
    /// The name of its program.
    pub name: String,
}

/// Returns the strays.
fn find(reaper: &Reaper) -> Vec<Stray> {
    let known = reaper.children();
    let own = Pid::this();
    let processes = all();
    let answers_for = |mut pid: Pid| {
        // Bounded: parents could change while we look.
        for _ in 0..64 {
            if known.contains(&pid) {
                return true;
            }
            match processes.get(&pid) {
                Some((parent, _)) if *parent == own || parent.as_raw() == 0 => return known.contains(&pid),
                Some((parent, _)) => pid = *parent,
                None => return false,
            }
        }
        false
    };
    let descends = |mut pid: Pid| {
        for _ in 0..64 {
            match processes.get(&pid) {
                Some((parent, _)) if *parent == own => return true,
                Some((parent, _)) => pid = *parent,
                None => return false,
            }
        }
        false
    };
    processes
        .iter()
        .filter(|(pid, _)| **pid != own && descends(**pid) && !answers_for(**pid))
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
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            parse(&stat).map(|(parent, name)| (Pid::from_raw(pid), (parent, name)))
        })
        .collect()
}

/// Reads `pid (name) state ppid …` of proc_pid_stat(5); the name may hold anything, so the last `)` ends it.
fn parse(stat: &str) -> Option<(Pid, String)> {
    let (head, tail) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let mut fields = tail.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (state != "Z" && state != "X").then(|| (Pid::from_raw(parent), name.to_owned()))
}

/// Kills every stray and returns when none is left; returns those that were found.
///
/// KILL is enough: SQLite is safe against it, and a process that fled its group would not heed TERM in time.
pub async fn end(reaper: &Reaper) -> Vec<Stray> {
    let mut ended: Vec<Stray> = Vec::new();
    loop {
        let strays = find(reaper);
        if strays.is_empty() {
            return ended;
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
        assert_eq!(parse("12 (a) b) S 7 12 12 0"), Some((Pid::from_raw(7), "a) b".to_owned())));
        assert_eq!(parse("12 (gone) Z 7 12 12 0"), None);
        assert_eq!(parse(""), None);
    }
}
