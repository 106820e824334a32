//! Which directory may be `backup.dir`?

use std::path::{Component, Path, PathBuf};

use super::{Config, Mistake};

/// Checks where backups are to lie.
pub(super) fn check_places(config: &Config) -> Result<(), Mistake> {
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
