//! When are backups made, which are kept, and where may they lie?

use std::{
    fmt,
    path::{Component, Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::Config;

/// `backup.*`
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Where backups lie, absolute. Default: `backups` in the data directory.
    pub dir: PathBuf,
    /// When a backup is made by itself: a cron expression of five fields in the time zone of `TZ`, or `off`. Default:
    /// `0 3 * * *`.
    pub schedule: String,
    /// Up to how much later, so that not every house's disk and destination is busy in the same minute. Default: 30 min.
    #[serde(with = "humantime_serde")]
    pub jitter: Duration,
    /// When the next scheduled backup is also booted from (a drill): a cron expression, or `off`. Default: `0 3 * * 0`.
    pub drill: String,
    /// How many of the last backups are kept, of each reason. Default: 3. This and the following as restic's `forget`.
    pub keep_last: u32,
    /// The last one of each of so many days. Default: 7.
    pub keep_daily: u32,
    /// The last one of each of so many weeks. Default: 4.
    pub keep_weekly: u32,
    /// The last one of each of so many months. Default: 12.
    pub keep_monthly: u32,
    /// The last one of each of so many years. Default: 3.
    pub keep_yearly: u32,
    /// The age recipients (`age1…`) to which backups are encrypted; none: they are not. Default: none.
    pub recipients: Vec<String>,
    /// Where each backup is copied to: absolute paths, or `s3://bucket/prefix?endpoint=…&region=…&credentials=FILE`.
    /// Default: none.
    pub destinations: Vec<String>,
    /// The access key for S3 destinations that name no credentials of their own; empty if there is none.
    pub s3_access_key_id: String,
    /// The secret that belongs to it; empty if there is none. Never shown.
    pub s3_secret_access_key: String,
}

impl fmt::Debug for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the secret.
        f.debug_struct("Backup").field("dir", &self.dir).field("schedule", &self.schedule).finish_non_exhaustive()
    }
}

/// Checks where backups are to lie; returns the setting and what is wrong with it.
pub(super) fn check_places(config: &Config) -> Result<(), (&'static str, String, &'static str)> {
    const ELSEWHERE: &str = "backups belong beside the data, or better on another disk";
    let (data, backup) = (&config.data_dir, &config.backup);
    let dir = plain(&backup.dir);
    let inside = ["generations", "files", "supervisor", "live"].iter().find(|name| dir.starts_with(data.join(name)));
    if let Some(name) = inside {
        return Err(("backup.dir", format!("{} lies in {name}/, which is Hearth's own", dir.display()), ELSEWHERE));
    }
    if data.starts_with(&dir) {
        return Err(("backup.dir", format!("the data directory {} lies in it", data.display()), ELSEWHERE));
    }
    for destination in &backup.destinations {
        let place = plain(Path::new(destination));
        if destination.starts_with("s3://") {
            let own = destination.contains("credentials=");
            if !own && (backup.s3_access_key_id.is_empty() || backup.s3_secret_access_key.is_empty()) {
                let wrong = "an s3:// destination needs backup.s3_access_key_id and backup.s3_secret_access_key";
                let hint = "HEARTH_BACKUP__S3_SECRET_ACCESS_KEY_FILE names a file with the secret; or the destination names one with both, at its end: &credentials=FILE";
                return Err(("backup.destinations", wrong.to_owned(), hint));
            }
        } else if place.starts_with(data)
            || place.starts_with(&dir)
            || data.starts_with(&place)
            || dir.starts_with(&place)
        {
            let wrong = format!(
                "{destination} is not elsewhere: it lies in the data directory or in backup.dir, or they in it"
            );
            return Err(("backup.destinations", wrong, ELSEWHERE));
        }
    }
    Ok(())
}

/// Returns a path without its `.` and `..`, by its words alone; where a link leads elsewhere, the jobs see it.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}
