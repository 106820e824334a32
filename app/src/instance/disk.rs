//! Can anything be written?
//!
//! Free space and inodes are counted at each health check. But a quota, a file system that went read-only after an error and a disk
//! that fails show only when something is written. So the app writes a small file beside the database and deletes it at once: at its
//! start and every five minutes, which is 5 MB a day and wears no SD card out. A write that the disk has refused is remembered, and
//! tried again every half minute, in the database as well, until it works.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use nix::{errno::Errno, fcntl::OFlag, sys::statvfs::statvfs};
use tokio::{task::spawn_blocking, time::timeout};

use super::{
    check::{Check, SLOW, STUCK, Status},
    look::Look,
};
use crate::db::Database;

/// Less than that and the operator is told: SQLite's log may grow by a whole large transaction.
const SPACE_LOW: u64 = 256 << 20;
/// Less than that and the next checkpoint (4 MiB of log by default, written again into the database) may fail.
const SPACE_OUT: u64 = 16 << 20;
/// So few free inodes and the operator is told.
const INODES_LOW: u64 = 1000;

/// How often a write is tried while none is known to fail.
const EVERY: Duration = Duration::from_secs(5 * 60);
/// How often after one that failed.
const AGAIN: Duration = Duration::from_secs(30);
/// How much is written.
const TRIAL: [u8; 16 << 10] = [0x48; 16 << 10];

/// Whether the last write worked.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    directory: PathBuf,
    free: Look<Check>,
    writes: Arc<Mutex<Writes>>,
}

#[derive(Debug, Default)]
struct Writes {
    tried: Option<Instant>,
    /// Why the last one failed.
    trouble: Option<String>,
    /// Since when one is under way, maybe for ever.
    under_way: Option<Instant>,
}

impl Writes {
    /// Whether to try a write at this time.
    fn is_due(&self, now: Instant) -> bool {
        let wait = if self.trouble.is_some() { AGAIN } else { EVERY };
        self.under_way.is_none() && self.tried.is_none_or(|tried| now.duration_since(tried) >= wait)
    }

    /// What is wrong at this time. A disk that other programs keep busy may take seconds for a write, which is no trouble.
    fn trouble(&self, now: Instant) -> Option<String> {
        let is_stuck = self.under_way.is_some_and(|since| now.duration_since(since) > STUCK);
        if is_stuck { Some("the disk does not answer".to_owned()) } else { self.trouble.clone() }
    }
}

impl Disk {
    /// Returns what looks at the file system of this directory.
    pub(super) fn new(directory: PathBuf) -> Self {
        let counted = directory.clone();
        Self { directory, free: Look::new(SLOW, move || count(&counted)), writes: Arc::default() }
    }

    /// Counts what is free, and tries a write where one is due.
    pub(super) async fn check(&self, database: &Database) -> Check {
        if database.may_write() {
            self.try_writing(database, Instant::now()).await;
        }
        let counted = self.free.look().await.unwrap_or_else(|time| {
            Check::bad(Status::Degraded, format!("the disk has not answered for {} s", time.as_secs()))
        });
        match self.writes().trouble(Instant::now()) {
            Some(why) => {
                Check { status: Status::Failing, detail: Some(format!("nothing can be written: {why}")), ..counted }
            }
            None => counted,
        }
    }

    async fn try_writing(&self, database: &Database, now: Instant) {
        let refusal = database.take_refusal();
        let in_trouble = {
            let mut writes = self.writes();
            if refusal.is_some() {
                writes.tried = Some(now);
                writes.trouble = refusal;
                return;
            }
            if !writes.is_due(now) {
                return;
            }
            writes.tried = Some(now);
            writes.under_way = Some(now);
            writes.trouble.is_some()
        };
        let (disk, directory) = (self.clone(), self.directory.clone());
        let tried = spawn_blocking(move || {
            let trouble = write_a_file(&directory).err().map(|error| why(&directory, &error));
            let mut writes = disk.writes();
            writes.under_way = None;
            // What was in trouble is well again only when the database can be written to, too.
            if trouble.is_some() || !in_trouble {
                writes.trouble.clone_from(&trouble);
            }
            trouble.is_none()
        });
        // One that takes longer goes on.
        if matches!(timeout(SLOW, tried).await, Ok(Ok(true))) && in_trouble && database.try_writing().await.is_ok() {
            self.writes().trouble = None;
        }
    }

    fn writes(&self) -> std::sync::MutexGuard<'_, Writes> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts what is free.
fn count(directory: &Path) -> Check {
    match statvfs(directory) {
        // The types differ between platforms.
        #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
        Ok(stat) => judge(
            (stat.blocks_available() as u64).saturating_mul(stat.fragment_size() as u64),
            (stat.files() > 0).then_some(stat.files_available() as u64),
        ),
        Err(error) => Check::bad(Status::Degraded, format!("the space at {} is unknown: {error}", directory.display())),
    }
}

/// Judges what is free: bytes, and inodes where the file system has a fixed number of them.
fn judge(bytes: u64, inodes: Option<u64>) -> Check {
    let (status, detail) = if bytes < SPACE_OUT {
        (Status::Failing, Some("the disk is full: nothing can be written"))
    } else if inodes == Some(0) {
        (Status::Failing, Some("the disk has no free inodes: delete files, or enlarge it"))
    } else if bytes < SPACE_LOW {
        (Status::Degraded, Some("the disk is nearly full"))
    } else if inodes.is_some_and(|inodes| inodes < INODES_LOW) {
        (Status::Degraded, Some("the disk has nearly no free inodes: delete files, or enlarge it"))
    } else {
        (Status::Ok, None)
    };
    Check { status, free_bytes: Some(bytes), free_inodes: inodes, detail: detail.map(str::to_owned), damaged: false }
}

/// Writes a file without a name, which is gone when it is closed; where there is no such thing, one that loses its name first.
fn write_a_file(directory: &Path) -> io::Result<()> {
    let mut file =
        match OpenOptions::new().write(true).mode(0o600).custom_flags(OFlag::O_TMPFILE.bits()).open(directory) {
            Err(error) if matches!(errno(&error), Some(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL)) => {
                let path = directory.join(".written-to-try");
                let file = File::create(&path)?;
                std::fs::remove_file(&path)?;
                file
            }
            opened => opened?,
        };
    file.write_all(&TRIAL)?;
    file.sync_data()
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}

/// Says in the operator's words why a write failed.
fn why(directory: &Path, error: &io::Error) -> String {
    match errno(error) {
        Some(Errno::EDQUOT) => "the disk quota is used up".to_owned(),
        Some(Errno::EROFS) => "the disk is read-only".to_owned(),
        Some(Errno::ENOSPC) => {
            let no_inodes = statvfs(directory).is_ok_and(|stat| stat.files() > 0 && stat.files_available() == 0);
            if no_inodes { "the disk has no free inodes" } else { "the disk is full" }.to_owned()
        }
        Some(errno) => format!("{} (in {})", errno.desc().to_lowercase(), directory.display()),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait;

    use super::*;

    #[test]
    fn what_is_free_is_judged_by_bytes_and_by_inodes() {
        for (bytes, inodes, status, word) in [
            (1 << 40, None, Status::Ok, ""),
            (1 << 40, Some(1_000_000), Status::Ok, ""),
            (1 << 40, Some(999), Status::Degraded, "inodes"),
            (1 << 40, Some(0), Status::Failing, "no free inodes"),
            (200 << 20, Some(1_000_000), Status::Degraded, "nearly full"),
            (200 << 20, Some(0), Status::Failing, "no free inodes"),
            (0, Some(0), Status::Failing, "the disk is full"),
        ] {
            let check = judge(bytes, inodes);
            assert_eq!((check.status, check.free_inodes), (status, inodes), "{bytes} {inodes:?}");
            assert!(check.detail.unwrap_or_default().contains(word), "{bytes} {inodes:?}");
        }
    }

    #[test]
    fn a_write_is_tried_seldom_and_more_often_after_one_that_failed() {
        let now = Instant::now();
        let writes = |ago: Option<u64>, trouble: bool, under_way: bool| {
            let tried = ago.map(|ago| now.checked_sub(Duration::from_secs(ago)).unwrap());
            let trouble = trouble.then(|| "the disk is read-only".to_owned());
            Writes { tried, trouble, under_way: tried.filter(|_| under_way) }
        };
        for (ago, trouble, under_way, due) in [
            (None, false, false, true),
            (Some(299), false, false, false),
            (Some(300), false, false, true),
            (Some(29), true, false, false),
            (Some(30), true, false, true),
            (Some(3000), true, true, false),
        ] {
            assert_eq!(writes(ago, trouble, under_way).is_due(now), due, "{ago:?} {trouble} {under_way}");
        }
    }

    #[test]
    fn a_write_that_takes_seconds_is_no_trouble_and_one_that_never_ends_is() {
        let begun = Instant::now();
        let mut writes = Writes { tried: Some(begun), trouble: None, under_way: Some(begun) };
        for (seconds, trouble) in [(0, None), (5, None), (30, None), (31, Some("the disk does not answer"))] {
            assert_eq!(writes.trouble(begun + Duration::from_secs(seconds)).as_deref(), trouble, "{seconds} s");
        }
        writes.under_way = None;
        assert_eq!(writes.trouble(begun + Duration::from_secs(31)), None, "it ended after all");
    }

    #[test]
    fn a_refusal_is_told_in_the_operators_words() {
        let directory = tempfile::tempdir().unwrap();
        write_a_file(directory.path()).unwrap();
        assert_eq!(directory.path().read_dir().unwrap().count(), 0, "nothing is left");
        for (errno, word) in [
            (Errno::EDQUOT, "the disk quota is used up"),
            (Errno::EROFS, "the disk is read-only"),
            (Errno::ENOSPC, "the disk is full"),
            (Errno::EIO, "i/o error"),
        ] {
            assert!(why(directory.path(), &errno.into()).contains(word), "{errno}");
        }
        let gone = directory.path().join("gone");
        assert!(why(&gone, &write_a_file(&gone).unwrap_err()).contains("no such file"));
    }

    #[tokio::test]
    async fn a_disk_that_refuses_writes_is_failing_until_it_takes_them_again() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("app.db");
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch("PRAGMA application_id = 0x48525448; CREATE TABLE t (n INTEGER)").unwrap();
        drop(connection);
        let database = Database::open(&path, crate::db::Access::Write).await.unwrap();
        // The directory in which a write is tried goes, as a disk does that goes read-only; then it is back.
        let directory = place.path().join("generation");
        let disk = Disk::new(directory.clone());
        let trouble = |disk: &Disk| disk.writes().trouble.clone();
        let begun = Instant::now();
        disk.try_writing(&database, begun).await;
        assert!(trouble(&disk).is_some());
        std::fs::create_dir(&directory).unwrap();
        disk.try_writing(&database, begun + AGAIN / 2).await;
        assert!(trouble(&disk).is_some(), "it is not tried all the time");
        disk.try_writing(&database, begun + AGAIN).await;
        assert_eq!(trouble(&disk), None);
        // What the database was refused counts at once, and until the database can be written to.
        let refused = database.write_content(async |tx| {
            let sql = "PRAGMA max_page_count = 1; INSERT INTO t VALUES (zeroblob(100000))";
            tx.execute_unprepared(sql).await?;
            Ok(())
        });
        assert!(matches!(refused.await, Err(crate::db::DbError::Full)));
        disk.try_writing(&database, begun + AGAIN).await;
        assert!(trouble(&disk).is_some());
        disk.try_writing(&database, begun + 2 * AGAIN).await;
        assert_eq!(trouble(&disk), None);
        database.close().await;
        // In probation nothing is written.
        let database = Database::open(&path, crate::db::Access::Read).await.unwrap();
        std::fs::remove_dir(&directory).unwrap();
        assert!(Disk::new(directory).check(&database).await.detail.unwrap().contains("is unknown"));
        database.close().await;
    }
}
