//! Which of an image's tags is a newer version?

use semver::{BuildMetadata, Version};

/// The longest tag there can be, in bytes (the OCI distribution specification).
const LONGEST: usize = 128;

/// Returns the version that a tag names: `v1.2.3` or `1.2.3`, without its build metadata. `latest` and `1.2` are none, and
/// whatever is one holds nothing but letters, digits, dots and hyphens.
pub fn of_tag(tag: &str) -> Option<Version> {
    if tag.len() > LONGEST {
        return None;
    }
    let mut version = Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok()?;
    version.build = BuildMetadata::EMPTY;
    Some(version)
}

/// Whether a version is offered to whoever runs this one: it is newer, and a pre-release only to those who run one.
pub fn is_offered(version: &Version, running: &Version) -> bool {
    (version.pre.is_empty() || !running.pre.is_empty()) && version.cmp_precedence(running).is_gt()
}

/// Returns the newer one of what was found so far and what a tag offers.
pub fn newer(found: Option<Version>, tag: &str, running: &Version) -> Option<Version> {
    let offered = of_tag(tag).filter(|version| is_offered(version, running));
    match (found, offered) {
        (Some(found), Some(offered)) if found.cmp_precedence(&offered).is_ge() => Some(found),
        (found, offered) => offered.or(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(running: &str, tags: &[&str]) -> Option<String> {
        let running = Version::parse(running).unwrap();
        let newest = |tags: &mut dyn Iterator<Item = &&str>| tags.fold(None, |found, tag| newer(found, tag, &running));
        let forwards = newest(&mut tags.iter());
        assert_eq!(forwards, newest(&mut tags.iter().rev()), "whatever the order: {tags:?}");
        forwards.map(|version| version.to_string())
    }

    #[test]
    fn the_newest_version_is_offered_to_whoever_it_is_for() {
        for (running, tags, newest) in [
            ("1.1.0", &["v1.0.0", "v1.1.0"][..], None),
            ("1.1.0", &["v1.2.0", "v1.10.0", "v1.9.9"], Some("1.10.0")),
            ("1.1.0", &["1.2.0", "v1.2.0", "1.2", "1", "latest"], Some("1.2.0")),
            ("1.1.0", &["v2.0.0"], Some("2.0.0")),
            // A pre-release is never for those who run a release,
            ("1.1.0", &["v1.2.0-rc.1", "v2.0.0-beta", "1.2.0-amd64"], None),
            ("1.1.0", &["v1.2.0-rc.1", "v1.1.1"], Some("1.1.1")),
            // but for those who run one of the same or a lower version.
            ("1.2.0-rc.1", &["v1.2.0-rc.2"], Some("1.2.0-rc.2")),
            ("1.2.0-rc.2", &["v1.2.0-rc.10", "v1.2.0"], Some("1.2.0")),
            ("1.2.0-rc.1", &["v1.3.0-beta.1", "v1.2.0"], Some("1.3.0-beta.1")),
            ("1.2.0-rc.2", &["v1.2.0-rc.1", "v1.1.9"], None),
            // Build metadata makes no version newer, and is not shown.
            ("1.1.0", &["v1.1.0+2"], None),
            ("1.1.0+1", &["v1.1.0", "v1.1.0+2"], None),
            ("1.1.0", &["v1.2.0+build.5"], Some("1.2.0")),
            // What is no version is nothing.
            (
                "1.1.0",
                &["", "v", "vv2.0.0", "V2.0.0", "2.0.0 ", " 2.0.0", "02.0.0", "2.0.0.0", "sha-0123abc", "main"],
                None,
            ),
            ("1.1.0", &["2.0.0\r\nevil: yes", "2.0.0\u{1b}[31m", "2.0.0-\u{202e}", "２.0.0", "2.0.0-a/b"], None),
            ("1.1.0", &["99999999999999999999.0.0", "18446744073709551616.0.0"], None),
            ("1.1.0", &[], None),
        ] {
            assert_eq!(offered(running, tags).as_deref(), newest, "{running}: {tags:?}");
        }
        let endless = format!("2.0.0-{}", "1".repeat(200));
        assert_eq!(offered("2.0.0-0", &[&endless]), None, "longer than a tag can be");
    }
}
