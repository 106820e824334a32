//! Where can a test stop this process? At the points listed here.
//!
//! Without the feature `faults` every point is nothing at all. With it, which only tests turn on, the variable `HEARTH_FAULT` says
//! what happens at which point, as `point=action[,point=action]`, with these actions:
//!
//! - `kill`: the process is killed by SIGKILL;
//! - `kill-parent`: its parent is killed by SIGKILL, and the process goes on sleeping;
//! - `hang`: the process sleeps for ever;
//! - `fail`: the step fails;
//! - `enospc`: the step fails as it would on a full disk.
//!
//! Points of other programs may stand in the variable too and are passed over. Three more words may:
//! `trace=<file>` writes every point that is passed there, a line each, `armed-by=<file>` leaves
//! everything as it is until that file exists, and each `migrator.migration=<kind>` gives the release a further migration
//! ([`Release::current`](crate::Release::current)).
//!
//! Where the variable is not set, the same may stand at the end of the program's file, as a last line `HEARTH_FAULT=…` after a line
//! break: so an image for tests is made of a built one, and whoever starts the program need not hand on a variable.

/// Every point, in the order in which an upgrade passes them.
pub const POINTS: &[&str] = &[
    "migrate.opened",
    "migrate.begun",
    "migrate.applying",
    "migrate.applied",
    "migrate.checked",
    "migrate.committed",
    "migrate.checkpointed",
];

/// Does at the point `name` what the test asked for.
///
/// # Errors
///
/// With the action `enospc`, the error a full disk gives.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn point(_name: &'static str, _path: &std::path::Path) -> Result<(), crate::Error> {
    Ok(())
}

/// Does at the point `name` what the test asked for.
///
/// # Errors
///
/// With the action `enospc`, the error a full disk gives.
///
/// # Panics
///
/// If `HEARTH_FAULT` names a point of the migrator or an action that there is not, or a trace that
/// cannot be written: a test that injects nothing would prove nothing.
#[cfg(feature = "faults")]
pub fn point(name: &'static str, path: &std::path::Path) -> Result<(), crate::Error> {
    let Some(faults) = asked() else {
        return Ok(());
    };
    assert!(POINTS.contains(&name), "the point {name} is not listed");
    let said = |word: &str| faults.split(',').filter_map(|fault| fault.split_once('=')).find(|(key, _)| *key == word);
    if said("armed-by").is_some_and(|(_, file)| !std::path::Path::new(file).exists()) {
        return Ok(());
    }
    if let Some((_, file)) = said("trace") {
        let trace = std::fs::File::options().append(true).create(true).open(file);
        let written = trace.and_then(|mut trace| std::io::Write::write_all(&mut trace, format!("{name}\n").as_bytes()));
        assert!(written.is_ok(), "the trace cannot be written: {written:?}");
    }
    for fault in faults.split(',').filter(|fault| fault.starts_with("migrate.")) {
        let (point, action) = fault.split_once('=').unwrap_or((fault, ""));
        assert!(POINTS.contains(&point), "there is no point {point}");
        if point == name {
            act(action, name, path)?;
        }
    }
    Ok(())
}

/// Returns what the test asked for: by the variable, else at the end of this program's file.
#[cfg(feature = "faults")]
pub fn asked() -> Option<String> {
    static AT_THE_END: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    match std::env::var("HEARTH_FAULT") {
        Ok(faults) => Some(faults),
        // Where the file cannot be read there is nothing to be found in it.
        Err(_) => AT_THE_END.get_or_init(|| trailer(&std::fs::File::open("/proc/self/exe").ok()?)).clone(),
    }
}

/// Reads the last line of a file, if it is one with faults.
#[cfg(feature = "faults")]
fn trailer(mut file: &std::fs::File) -> Option<String> {
    use std::io::{Read, Seek, SeekFrom};
    const LONGEST: u64 = 4096;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LONGEST))).ok()?;
    let mut end = Vec::new();
    file.read_to_end(&mut end).ok()?;
    let line = end.strip_suffix(b"\n")?;
    let line = &line[line.iter().rposition(|byte| *byte == b'\n')? + 1..];
    String::from_utf8(line.strip_prefix(b"HEARTH_FAULT=")?.to_vec()).ok()
}

#[cfg(feature = "faults")]
fn act(action: &str, name: &str, path: &std::path::Path) -> Result<(), crate::Error> {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::{Pid, getppid};
    let sent = match action {
        "kill" => kill(Pid::this(), Signal::SIGKILL),
        "kill-parent" => kill(getppid(), Signal::SIGKILL),
        "hang" => Ok(()),
        "fail" => {
            let reason = "a test asked for it".to_owned();
            return Err(crate::Error::Migration { name: name.to_owned(), reason });
        }
        "enospc" => {
            return Err(crate::Error::NoSpace { path: path.to_owned(), doing: format!("passing {name}") });
        }
        other => panic!("there is no action {other:?}"),
    };
    assert!(sent.is_ok(), "the signal could not be sent: {sent:?}");
    loop {
        std::thread::sleep(std::time::Duration::from_secs(3600));
    }
}

#[cfg(all(test, feature = "faults"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

    use std::io::Write;

    #[test]
    fn only_a_whole_last_line_is_taken_for_faults() {
        let read = |content: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(content).unwrap();
            super::trailer(&file)
        };
        let program = [b"\x7fELF\0\xff\n".as_slice(), &[b'x'; 9000], b"\0\xfe"].concat();
        let with = |end: &str| read(&[&program, end.as_bytes()].concat());
        assert_eq!(with("\nHEARTH_FAULT=a=kill,b=hang\n").as_deref(), Some("a=kill,b=hang"));
        for none in
            ["", "\n", "\nHEARTH_FAULT=a=kill", "HEARTH_FAULT=a=kill\n", "\nHEARTH_FAULT=a=kill\n\n", "\nOTHER=a\n"]
        {
            assert_eq!(with(none), None, "{none:?}");
        }
        assert_eq!(read(b""), None);
    }
}
