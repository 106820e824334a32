//! Where can a test break the app?
//!
//! With the feature `faults` (on in tests only, never in a shipped binary) `HEARTH_FAULT=point=action[,…]` makes
//! the app do `action` when it reaches `point`; `action:3` is for the third time. `trace=file` among them writes every
//! point that is passed there, a line each; `armed-by=file` leaves everything as it is until that file exists. Without
//! the feature every call here is an empty inline function.
//!
//! The same may stand at the end of the program's file, as a last line `HEARTH_FAULT=…` after a line break: so a test makes a broken release of a
//! built program. It counts beside the variable.
//!
//! Four points are no moments but faults of what is served, and need no action: `app.hides` hides the oldest record from everybody,
//! `app.loses` the oldest attachment, `app.finds-nothing` lets no search find anything, and with `app.other-hosts` the app is of a version that
//! has no setting `http.hosts`. `app.wrote` is passed a moment after a write of
//! a user's was answered.

use std::io;

/// The points a test can name.
pub const POINTS: [&str; 22] = [
    "app.started",
    "app.opened",
    "app.tested",
    "app.ready",
    "app.serving",
    "app.receiving",
    "app.received",
    "app.final",
    "app.stored",
    "app.spooled",
    "app.adding",
    "app.committing",
    "app.committed",
    "app.previewing",
    "app.previewed",
    "app.stopping",
    "app.hides",
    "app.loses",
    "app.finds-nothing",
    "app.other-hosts",
    "app.proof",
    "app.wrote",
];

/// What a fault in the database file itself (table `hearth_fault`) makes the app do.
#[cfg(feature = "faults")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is killed: before it is ready in probation, right after it is ready otherwise.
    Crash,
    /// It lives and does nothing any more: no answer, no heartbeat.
    Hang,
    /// It answers its health check with 503.
    Unhealthy,
}

#[cfg(not(feature = "faults"))]
mod imp {
    /// Does nothing: this build has no faults.
    #[inline(always)]
    pub(crate) fn hit(_point: &str) -> std::io::Result<()> {
        Ok(())
    }

    /// Returns false: this build has no faults.
    #[inline(always)]
    pub(crate) fn is_planned(_point: &str) -> bool {
        false
    }

    /// Does nothing: this build has no faults.
    #[inline(always)]
    pub(crate) fn hit_later(_point: &'static str) {}
}

#[cfg(feature = "faults")]
mod imp {
    use std::{
        fs::File,
        io::{self, Read, Seek, SeekFrom, Write},
        path::Path,
        sync::{
            OnceLock,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
        time::Duration,
    };

    use nix::{
        sys::signal::{Signal, kill},
        unistd::{getpid, getppid},
    };

    use super::{Kind, POINTS};

    static PLAN: OnceLock<Vec<(String, String)>> = OnceLock::new();

    fn plan(word: &str) -> Option<&'static str> {
        let plan = PLAN.get_or_init(|| {
            let at_the_end = File::open("/proc/self/exe").ok().and_then(|own| trailer(&own));
            let text = [std::env::var("HEARTH_FAULT").ok(), at_the_end].map(Option::unwrap_or_default).join(",");
            text.split(',')
                .filter(|part| ["app.", "trace=", "armed-by="].iter().any(|begin| part.starts_with(begin)))
                .map(|part| {
                    let (point, action) = part.split_once('=').unwrap_or((part, ""));
                    assert!(!point.starts_with("app.") || POINTS.contains(&point), "HEARTH_FAULT: no point {point}");
                    (point.to_owned(), action.to_owned())
                })
                .collect()
        });
        plan.iter().find(|(name, _)| name == word).map(|(_, action)| action.as_str())
    }

    /// Reads the last line of a program's file, if it is one with faults.
    pub(super) fn trailer(mut file: &File) -> Option<String> {
        const LONGEST: u64 = 4096;
        let length = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LONGEST))).ok()?;
        let mut end = Vec::new();
        file.read_to_end(&mut end).ok()?;
        let line = end.strip_suffix(b"\n")?;
        let line = &line[line.iter().rposition(|byte| *byte == b'\n')? + 1..];
        String::from_utf8(line.strip_prefix(b"HEARTH_FAULT=")?.to_vec()).ok()
    }

    fn is_armed() -> bool {
        plan("armed-by").is_none_or(|file| Path::new(file).exists())
    }

    /// Whether the test planned this fault.
    pub(crate) fn is_planned(point: &str) -> bool {
        plan(point).is_some() && is_armed()
    }

    /// How long after an answer `app.wrote` is passed: it has been sent then.
    const LATER: Duration = Duration::from_millis(300);

    /// Passes a point in a moment, when what is being answered has been answered.
    pub(crate) fn hit_later(point: &'static str) {
        if is_planned(point) {
            thread::spawn(move || {
                thread::sleep(LATER);
                hit(point)
            });
        }
    }

    /// Does what the test planned for this point.
    pub(crate) fn hit(point: &str) -> io::Result<()> {
        if !is_armed() {
            return Ok(());
        }
        if let Some(file) = plan("trace") {
            File::options().append(true).create(true).open(file)?.write_all(format!("{point}\n").as_bytes())?;
        }
        let Some(action) = plan(point) else { return Ok(()) };
        static PASSED: AtomicUsize = AtomicUsize::new(0);
        let (action, time) = action.split_once(':').unwrap_or((action, "0"));
        // Of the points that have a plan, which is one in each test that counts.
        if PASSED.fetch_add(1, Ordering::Relaxed) + 1 < time.parse().unwrap_or_default() {
            return Ok(());
        }
        match action {
            "kill" => die(),
            "kill-parent" => {
                let _ = kill(getppid(), Signal::SIGKILL);
                sleep()
            }
            "hang" => {
                hang();
                Ok(())
            }
            // As a processor that lacks an instruction ends it.
            "ill" => {
                let _ = kill(getpid(), Signal::SIGILL);
                sleep()
            }
            "panic" => panic!("a test wants it so"),
            "enospc" => Err(io::Error::from_raw_os_error(nix::libc::ENOSPC)),
            other => panic!("HEARTH_FAULT: no action {other}"),
        }
    }

    /// Ends this process as the kernel would.
    pub(crate) fn die() -> ! {
        let _ = kill(getpid(), Signal::SIGKILL);
        sleep()
    }

    /// Blocks every thread of the runtime, or the calling one where there is none.
    pub(crate) fn hang() {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // Each blocks the worker that takes it, so the idle ones steal the rest until none is left.
            for _ in 0..64 {
                runtime.spawn(async { sleep() });
            }
        }
        sleep()
    }

    fn sleep() -> ! {
        loop {
            thread::sleep(Duration::from_secs(3600));
        }
    }

    /// Returns the fault that a test's migration left in the database.
    pub(crate) async fn in_database(reads: &sea_orm::DatabaseConnection) -> Option<Kind> {
        use sea_orm::{ConnectionTrait, DbBackend, Statement};
        let statement = Statement::from_string(DbBackend::Sqlite, "SELECT kind FROM hearth_fault");
        let row = reads.query_one_raw(statement).await.ok()??;
        match row.try_get_by_index::<String>(0).ok()?.as_str() {
            "crash" => Some(Kind::Crash),
            "hang" => Some(Kind::Hang),
            "unhealthy" => Some(Kind::Unhealthy),
            other => panic!("hearth_fault: no kind {other}"),
        }
    }
}

/// Passes a point; with the feature `faults`, does what the test planned there.
#[inline(always)]
pub(crate) fn hit(point: &'static str) -> io::Result<()> {
    imp::hit(point)
}

/// Whether a test planned a fault of what is served.
#[inline(always)]
pub(crate) fn is_planned(point: &'static str) -> bool {
    imp::is_planned(point)
}

/// Passes a point a moment later.
#[inline(always)]
pub(crate) fn hit_later(point: &'static str) {
    imp::hit_later(point);
}

#[cfg(feature = "faults")]
pub(crate) use imp::{die, hang, in_database};

#[cfg(all(test, feature = "faults"))]
mod tests {
    use std::io::Write;

    #[test]
    fn only_a_whole_last_line_is_taken_for_faults() {
        let read = |content: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(content).unwrap();
            super::imp::trailer(&file)
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
