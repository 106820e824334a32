//! Where does the repository name its version, and how is it set there?
//!
//! Each place is known by what stands around the version and not by the version before, so that setting it again changes nothing and
//! a release that was interrupted half-way goes on.

use semver::Version;

use crate::developer::Problem;

/// A place of a document that names this version: the texts on both sides of it, on one line.
pub(super) struct Mention {
    /// The document, from the top of the repository.
    pub(super) file: &'static str,
    before: &'static str,
    after: &'static str,
}

const fn mention(file: &'static str, before: &'static str, after: &'static str) -> Mention {
    Mention { file, before, after }
}

/// All of them.
pub(super) const MENTIONS: [Mention; 7] = [
    mention("README.md", "[App] Starting server v", "..."),
    mention("docs/SETUP.md", "/archive/refs/tags/v", ".tar.gz"),
    mention("docs/SETUP.md", " hearth-", "/compose"),
    mention("docs/SETUP.md", "[App] Starting server v", "..."),
    mention("docs/SYSTEMD.md", "version=", "\n"),
    mention("docs/UPGRADING.md", "[App] Starting server v", "..."),
    mention("app/tests/blackbox/openapi.json", "\"version\": \"", "\""),
];

/// The lock files, which have the version of each crate of the workspace.
pub(super) const LOCKS: [&str; 2] = ["Cargo.lock", "supervisor/fuzz/Cargo.lock"];

impl Mention {
    /// Sets the version in the text of the document.
    ///
    /// # Errors
    ///
    /// The document does not name a version there.
    pub(super) fn set(&self, text: &str, version: &Version) -> Result<String, Problem> {
        let (mut done, mut rest, mut count) = (String::new(), text, 0);
        while let Some((before, from)) = rest.split_once(self.before) {
            done.push_str(before);
            done.push_str(self.before);
            rest = from;
            let Some(end) = from.find(self.after) else { continue };
            if Version::parse(&from[..end]).is_ok() {
                done.push_str(&version.to_string());
                rest = &from[end..];
                count += 1;
            }
        }
        done.push_str(rest);
        if count == 0 {
            let what = format!("{} has no version between {:?} and {:?}", self.file, self.before, self.after);
            return Err(Problem::new(what).hint("name it there, or take the place out of developer/release/version.rs"));
        }
        Ok(done)
    }
}

/// Where the version is in the text of the workspace's Cargo.toml.
fn place(manifest: &str) -> Option<std::ops::Range<usize>> {
    const KEY: &str = "\nversion = \"";
    let section = manifest.find("[workspace.package]\n")?;
    let start = section + manifest[section..].find(KEY)? + KEY.len();
    let end = start + manifest[start..].find('"')?;
    // Of this section and not of the next.
    (!manifest[section + 1..start].contains("\n[")).then_some(start..end)
}

/// Returns the version in the text of the workspace's Cargo.toml.
///
/// # Errors
///
/// There is none.
pub(super) fn current(manifest: &str) -> Result<Version, Problem> {
    let version = place(manifest).and_then(|place| Version::parse(&manifest[place]).ok());
    version.ok_or_else(|| Problem::new("Cargo.toml has no version in [workspace.package]"))
}

/// Sets the version in the text of the workspace's Cargo.toml.
///
/// # Errors
///
/// There is none.
pub(super) fn set(manifest: &str, version: &Version) -> Result<String, Problem> {
    current(manifest)?;
    let place = place(manifest).unwrap_or_default();
    Ok(format!("{}{version}{}", &manifest[..place.start], &manifest[place.end..]))
}

/// Sets the version of our crates in the text of a lock file.
pub(super) fn set_lock(lock: &str, version: &Version) -> String {
    let ours = ["app", "migrator", "supervisor"].map(|name| format!("name = \"{name}\""));
    let packages = lock.split_inclusive("\n\n").map(|package| {
        // What comes from a registry has a source.
        let is_ours =
            package.lines().any(|line| ours.iter().any(|name| name == line)) && !package.contains("\nsource = ");
        let lines = package.split_inclusive('\n').map(|line| match line.starts_with("version = \"") {
            true if is_ours => format!("version = \"{version}\"\n"),
            _ => line.to_owned(),
        });
        lines.collect::<String>()
    });
    packages.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

    use std::fs;

    use super::*;
    use crate::developer::releases::root;

    fn next() -> Version {
        Version::parse("9.9.9-rc.1").unwrap()
    }

    #[test]
    fn every_place_of_this_repository_is_found_and_setting_it_twice_is_setting_it_once() {
        let is = Version::parse(env!("CARGO_PKG_VERSION")).unwrap();
        for mention in MENTIONS {
            let text = fs::read_to_string(root().join(mention.file)).unwrap();
            assert_eq!(mention.set(&text, &is).unwrap(), text, "{} names this version already", mention.file);
            let once = mention.set(&text, &next()).unwrap();
            assert_ne!(once, text);
            assert_eq!(mention.set(&once, &next()).unwrap(), once);
            assert_eq!(mention.set(&once, &is).unwrap(), text, "and nothing else was changed");
        }
        let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
        assert_eq!(current(&manifest).unwrap(), is);
        let once = set(&manifest, &next()).unwrap();
        assert_eq!((current(&once).unwrap(), set(&once, &is).unwrap()), (next(), manifest));
        for (file, number) in LOCKS.into_iter().zip([3, 1]) {
            let text = fs::read_to_string(root().join(file)).unwrap();
            assert_eq!(set_lock(&text, &is), text, "{file}");
            let once = set_lock(&text, &next());
            let changed = once.lines().zip(text.lines()).filter(|(one, other)| one != other).count();
            assert_eq!((changed, set_lock(&once, &is)), (number, text), "{file}");
        }
    }

    #[test]
    fn only_versions_in_their_place_are_set() {
        let mention = mention("a.md", "v", ".tar.gz");
        let set = |text: &str| mention.set(text, &Version::new(1, 2, 3)).unwrap();
        assert_eq!(
            set("v0.1.0.tar.gz, v0.1.0, very.tar.gz, vv2.0.0-rc.1.tar.gz"),
            "v1.2.3.tar.gz, v0.1.0, very.tar.gz, vv1.2.3.tar.gz"
        );
        assert_eq!(set("ü v0.1.0.tar.gz v"), "ü v1.2.3.tar.gz v");
        for none in ["", "v0.1.0", "v0.1.tar.gz", "0.1.0.tar.gz"] {
            let problem = mention.set(none, &Version::new(1, 2, 3)).unwrap_err();
            assert_eq!(problem.message, "a.md has no version between \"v\" and \".tar.gz\"");
        }
        for none in [
            "",
            "[package]\nversion = \"1.0.0\"\n",
            "[workspace.package]\nedition = \"2024\"\n\n[package]\nversion = \"1.0.0\"\n",
        ] {
            assert!(current(none).is_err(), "{none}");
        }
    }
}
