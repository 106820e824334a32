//! Where can a test break the app?
//!
//! With the feature `faults` (on in tests only, never in a shipped binary) `HEARTH_FAULT=point=action[,…]` makes
//! the app do `action` when it reaches `point`; `action:3` is for the third time. `trace=file` among them writes every
//! point that is passed there, a line each; `armed-by=file` leaves everything as it is until that file exists. Without
//! the feature every call here is an empty inline function.

use std::io;

/// The points a test can name.
pub const POINTS: [&str; 15] = [
    "app.started",
    "app.opened",
    "app.tested",
    "app.ready",
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
}

#[cfg(feature = "faults")]
mod imp {
    use std::{
        fs::File,
        io::{self, Write},
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
            let text = std::env::var("HEARTH_FAULT").unwrap_or_default();
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

    /// Does what the test planned for this point.
    pub(crate) fn hit(point: &str) -> io::Result<()> {
        if plan("armed-by").is_some_and(|file| !Path::new(file).exists()) {
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

#[cfg(feature = "faults")]
pub(crate) use imp::{die, hang, in_database};
