//! How does what is unreleased become a version's section in CHANGELOG.md?

use semver::Version;

use crate::developer::Problem;

const UNRELEASED: &str = "## [Unreleased]";

/// Returns the text of CHANGELOG.md with *Unreleased* as the section of `version`, dated `date`; as it is if that was done before.
///
/// # Errors
///
/// There is nothing unreleased, or the version has a section besides.
pub(super) fn release(text: &str, version: &Version, date: &str) -> Result<String, Problem> {
    let heading = format!("## [{version}]");
    let is_there = text.lines().any(|line| line.starts_with(&heading));
    let Some(start) = heading_of(text, UNRELEASED) else {
        if is_there && !section(text, &heading).is_empty() {
            return Ok(text.to_owned());
        }
        return Err(Problem::new(format!("CHANGELOG.md has no section {UNRELEASED:?}"))
            .hint("add it above the last release's, and say what changes for whoever runs Hearth"));
    };
    if is_there {
        return Err(Problem::new(format!("CHANGELOG.md has both {UNRELEASED:?} and {heading:?}"))
            .hint(format!("move what is unreleased into the section of {version}, and remove the heading")));
    }
    if section(text, UNRELEASED).is_empty() {
        return Err(Problem::new(format!("{UNRELEASED:?} in CHANGELOG.md says nothing"))
            .hint("say what changes for whoever runs Hearth"));
    }
    let line_end = text[start..].find('\n').map_or(text.len(), |end| start + end);
    Ok(format!("{}{heading} - {date}{}", &text[..start], &text[line_end..]))
}

/// Returns the newest version that CHANGELOG.md has a section of.
pub fn newest(text: &str) -> Option<Version> {
    text.lines()
        .filter_map(|line| line.strip_prefix("## [")?.split_once(']'))
        .find_map(|(version, _)| Version::parse(version).ok())
}

/// Where the line begins that begins with `heading`.
fn heading_of(text: &str, heading: &str) -> Option<usize> {
    if text.starts_with(heading) {
        return Some(0);
    }
    text.find(&format!("\n{heading}")).map(|at| at + 1)
}

/// The lines of a section that say something: neither blank nor headings.
fn section<'a>(text: &'a str, heading: &str) -> Vec<&'a str> {
    let after = text.lines().skip_while(|line| !line.starts_with(heading)).skip(1);
    after
        .take_while(|line| !line.starts_with("## "))
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

    use super::*;

    const BEFORE: &str =
        "# Changelog\n\n## [Unreleased]\n\nFor all.\n\n### Added\n\n- a thing\n\n## [0.5.0] - 2026-11-29\n\n- old\n";

    fn version() -> Version {
        Version::new(0, 6, 0)
    }

    #[test]
    fn what_is_unreleased_becomes_the_versions_section_once() {
        let after = release(BEFORE, &version(), "2026-12-01").unwrap();
        assert_eq!(after, BEFORE.replace("[Unreleased]", "[0.6.0] - 2026-12-01"));
        assert_eq!(release(&after, &version(), "2026-12-24").unwrap(), after, "and keeps its date");
        assert_eq!((newest(BEFORE), newest(&after)), (Some(Version::new(0, 5, 0)), Some(version())));
        assert_eq!(newest("# Changelog\n"), None);
    }

    #[test]
    fn a_version_about_which_nothing_is_said_is_refused() {
        let says = |text: &str| release(text, &version(), "2026-12-01").unwrap_err().message;
        let empty = BEFORE.replace("For all.", "").replace("- a thing", "");
        assert_eq!(says(&empty), "\"## [Unreleased]\" in CHANGELOG.md says nothing");
        assert_eq!(says(&BEFORE.replace("## [Unreleased]", "")), "CHANGELOG.md has no section \"## [Unreleased]\"");
        assert_eq!(says("## [0.6.0]\n## [0.5.0]\n- old"), "CHANGELOG.md has no section \"## [Unreleased]\"");
        let both = BEFORE.replace("## [0.5.0]", "## [0.6.0]");
        assert_eq!(says(&both), "CHANGELOG.md has both \"## [Unreleased]\" and \"## [0.6.0]\"");
    }
}
