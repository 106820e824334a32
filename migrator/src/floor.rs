//! Which is the lowest version of the app that may serve a database?
//!
//! Each release declares it ([`FLOOR`](crate::migrations::FLOOR)), and where it declares none it is the release itself. It is kept with
//! each migration that is applied, and only rises: a later release knows nothing of what an earlier one made that could make it
//! lower again.

use std::cmp::Ordering;

use semver::Version;

/// Returns the floor that `version` writes, which declares `declared`, into a database whose ledger has `recorded` so far.
///
/// # Errors
///
/// The sentence that says what is wrong with the declaration.
pub fn of(version: &str, declared: Option<&str>, recorded: Option<&str>) -> Result<String, String> {
    let own = declared.unwrap_or(version);
    if let Some(declared) = declared {
        let Ok(floor) = Version::parse(declared) else {
            return Err(format!("v{version} declares the floor {declared:?}, which is no version"));
        };
        let is_later = Version::parse(version).is_ok_and(|version| order(&floor, &version).is_gt());
        if is_later {
            return Err(format!("v{version} declares the floor v{floor}, which is later than itself"));
        }
    }
    Ok(highest(recorded.into_iter().chain([own])).unwrap_or_else(|| own.to_owned()))
}

/// Returns the highest of these versions; what is no version does not count.
pub fn highest<'a>(versions: impl IntoIterator<Item = &'a str>) -> Option<String> {
    versions
        .into_iter()
        .filter_map(|text| Some((Version::parse(text).ok()?, text)))
        .max_by(|one, other| order(&one.0, &other.0))
        .map(|(_, text)| text.to_owned())
}

/// What follows a `+` names a build and not another version.
pub(crate) fn order(one: &Version, other: &Version) -> Ordering {
    one.cmp_precedence(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_is_the_release_unless_it_declares_a_lower_one_and_never_falls() {
        // version, declared, recorded, floor
        for (version, declared, recorded, floor) in [
            ("0.6.0", None, None, "0.6.0"),
            ("0.6.0", Some("0.5.0"), None, "0.5.0"),
            ("0.6.0", Some("0.6.0"), None, "0.6.0"),
            ("0.6.0", Some("0.6.0"), Some("0.5.0"), "0.6.0"),
            ("0.7.0", Some("0.5.0"), Some("0.6.0"), "0.6.0"),
            ("0.10.0", Some("0.9.0"), Some("0.10.0-rc.1"), "0.10.0-rc.1"),
            ("0.10.0", Some("0.10.0-rc.1"), Some("0.9.0"), "0.10.0-rc.1"),
            // What is no version was written by nobody of ours.
            ("0.6.0", Some("0.5.0"), Some("newest"), "0.5.0"),
            ("a test", None, None, "a test"),
            ("a test", None, Some("0.5.0"), "0.5.0"),
            ("a test", Some("0.5.0"), None, "0.5.0"),
        ] {
            assert_eq!(of(version, declared, recorded).as_deref(), Ok(floor), "{version} {declared:?} {recorded:?}");
        }
    }

    #[test]
    fn a_declaration_that_cannot_be_is_refused() {
        for wrong in ["", "0.5", "v0.5.0", "0.5.0 ", "the one before", "00.5.0"] {
            let words = format!("v0.6.0 declares the floor {wrong:?}, which is no version");
            assert_eq!(of("0.6.0", Some(wrong), None), Err(words));
        }
        for (version, later) in [("0.6.0", "0.6.1"), ("0.6.0", "0.10.0"), ("0.6.0-rc.1", "0.6.0"), ("0.6.0", "1.0.0")] {
            let words = format!("v{version} declares the floor v{later}, which is later than itself");
            assert_eq!(of(version, Some(later), Some("9.0.0")), Err(words));
        }
    }
}
