//! What is remembered of the last check, and when is the next one?
//!
//! `supervisor/update.json`. It decides only when the registry is asked again, and that a new version is logged once. A document
//! that is missing, damaged or of another format counts as none.

use std::time::{Duration, SystemTime};

use semver::Version;
use serde::{Deserialize, Serialize};

use super::versions;
use crate::{
    config::image::Reference,
    data::state::FORMAT,
    status::{VERSION, update::Update},
};

/// Between two checks.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Up to so much later, so that the world's households do not ask in the same minute.
const SPREAD: Duration = Duration::from_secs(60 * 60);
/// The first check after a start comes not before, so that a start has nothing beside it, and a restart loop asks nobody.
/// Tests do not wait.
const FIRST: Duration = if cfg!(feature = "faults") { Duration::from_millis(300) } else { Duration::from_secs(2 * 60) };
/// And up to so much later.
const FIRST_SPREAD: Duration = if cfg!(feature = "faults") { Duration::ZERO } else { Duration::from_secs(8 * 60) };

/// `supervisor/update.json`: what the last check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// [`FORMAT`].
    pub format: u32,
    /// The image that was asked about.
    pub image: String,
    /// When, RFC 3339.
    pub checked: String,
    /// The newest version that was found, by the last check that found any out.
    pub newest: Option<String>,
    /// Why the last check could not tell, in a sentence.
    pub trouble: Option<String>,
}

impl Known {
    /// Makes the document of a check that ends now.
    pub fn now(image: &Reference, newest: Option<String>, trouble: Option<String>) -> Self {
        Self { format: FORMAT, image: image.to_string(), checked: crate::status::now(), newest, trouble }
    }

    /// Returns what it says of this image to whoever runs this version; a version that runs by now is no news.
    pub fn status(&self, image: &Reference) -> Update {
        if self.image != image.to_string() {
            return Update::default();
        }
        let offered = |text: &String| {
            let version = versions::of_tag(text)?;
            versions::is_offered(&version, &Version::parse(VERSION).ok()?).then(|| version.to_string())
        };
        let newest = self.newest.as_ref().and_then(offered);
        Update {
            checked: Some(self.checked.clone()),
            notes: newest.as_ref().and_then(|newest| image.notes(newest)),
            newest,
            trouble: self.trouble.clone(),
        }
    }
}

/// Returns how long after a start the first check comes. `chance` is any number. A last check that lies in the future was
/// made, or is looked at, with a clock that is wrong, and counts for nothing.
pub fn first_wait(checked: Option<SystemTime>, now: SystemTime, chance: u32) -> Duration {
    let first = FIRST + part(FIRST_SPREAD, chance);
    match checked.map(|checked| now.duration_since(checked)) {
        Some(Ok(age)) if age < DAY => first.max(DAY - age + part(SPREAD, chance)),
        _ => first,
    }
}

/// Returns how long after a check the next one comes.
pub fn next_wait(chance: u32) -> Duration {
    DAY + part(SPREAD, chance)
}

fn part(of: Duration, chance: u32) -> Duration {
    of.mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Reference {
        Reference::parse("ghcr.io/owner/name").unwrap()
    }

    #[test]
    fn the_document_is_the_golden_one() {
        let golden = include_str!("../../../../docs/contracts/update.json");
        let known: Known = serde_json::from_str(golden).unwrap();
        assert_eq!(known.format, FORMAT);
        assert_eq!(serde_json::to_string(&known).unwrap(), golden.trim());
    }

    #[test]
    fn what_was_found_is_told_while_it_is_news() {
        let told = |image: &Reference, newest: &str| {
            Known::now(&self::image(), Some(newest.to_owned()), Some("no".into())).status(image)
        };
        let news = told(&image(), "99.0.0");
        assert_eq!(news.newest.as_deref(), Some("99.0.0"));
        assert_eq!(news.notes.as_deref(), Some("https://github.com/owner/name/releases/tag/v99.0.0"));
        assert_eq!(news.trouble.as_deref(), Some("no"));
        assert!(news.checked.is_some());
        // It runs by now, or is no version at all, whoever wrote it there.
        for none in [VERSION, "0.0.1", "latest", "99.0.0\nevil", ""] {
            let told = told(&image(), none);
            assert_eq!((told.newest, told.notes), (None, None), "{none:?}");
        }
        assert_eq!(told(&Reference::parse("ghcr.io/owner/other").unwrap(), "99.0.0"), Update::default());
    }

    #[test]
    fn it_is_asked_once_a_day_whatever_the_clock_does() {
        let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
        let now = SystemTime::UNIX_EPOCH + hours(500_000);
        let most = FIRST + FIRST_SPREAD;
        for chance in [0, 1, u32::MAX / 2, u32::MAX] {
            for checked in
                [None, Some(now - hours(24)), Some(now - hours(9999)), Some(now + hours(1)), Some(now + hours(9999))]
            {
                let wait = first_wait(checked, now, chance);
                assert!(FIRST <= wait && wait <= most, "{checked:?} {wait:?}");
            }
            for age in [0, 1, 12, 23] {
                let wait = first_wait(Some(now - hours(age)), now, chance);
                assert!(hours(24 - age) <= wait && wait <= hours(25 - age), "{age} {wait:?}");
            }
            assert!(first_wait(Some(now - hours(24) + Duration::from_secs(1)), now, chance) >= FIRST);
            assert!(hours(24) <= next_wait(chance) && next_wait(chance) <= hours(25));
        }
    }
}
