//! Which release does a database have to go through before this one?
//!
//! A release may name the oldest one that it upgrades from ([`OLDEST`](crate::migrations::OLDEST)). What counts is the version that
//! applied the last migration. So the release that is named has migrations of its own: else it would apply none, and the database
//! would be refused for ever.

use semver::Version;

use crate::floor::order;

/// Says whether a database that `last` has upgraded may be upgraded by `version`, which names `oldest`.
///
/// # Errors
///
/// The sentence that says what is wrong with the declaration.
pub fn is_reached(version: &str, oldest: &str, last: &str) -> Result<bool, String> {
    let Ok(named) = Version::parse(oldest) else {
        return Err(format!("v{version} upgrades from {oldest:?} on, which is no version"));
    };
    if Version::parse(version).is_ok_and(|version| order(&named, &version).is_gt()) {
        return Err(format!("v{version} upgrades from v{named} on, which is later than itself"));
    }
    // What is no version was written by nobody of ours.
    Ok(Version::parse(last).is_ok_and(|last| order(&last, &named).is_ge()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_upgraded_from_the_oldest_version_on() {
        // oldest, last, is it upgraded
        for (oldest, last, is_reached) in [
            ("0.5.0", "0.3.0", false),
            ("0.5.0", "0.5.0", true),
            ("0.5.0", "0.10.0", true),
            ("0.10.0", "0.9.0", false),
            ("0.5.0", "0.5.0-rc.1", false),
            ("0.5.0", "0.5.0+again", true),
            ("0.5.0", "unknown", false),
            ("0.11.0", "0.11.0", true),
        ] {
            assert_eq!(super::is_reached("0.11.0", oldest, last), Ok(is_reached), "{oldest} {last}");
        }
        assert_eq!(super::is_reached("a test", "0.5.0", "0.4.0"), Ok(false));
    }

    #[test]
    fn a_declaration_that_cannot_be_is_refused() {
        for wrong in ["", "v0.5.0", "the one before"] {
            let words = format!("v0.9.0 upgrades from {wrong:?} on, which is no version");
            assert_eq!(is_reached("0.9.0", wrong, "0.8.0"), Err(words));
        }
        let words = "v0.9.0 upgrades from v0.9.1 on, which is later than itself";
        assert_eq!(is_reached("0.9.0", "0.9.1", "0.8.0"), Err(words.to_owned()));
    }
}
