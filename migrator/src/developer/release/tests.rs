//! The steps that compile nothing, in a copy of the files that a release writes.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

use std::fs;
use std::path::Path;

use super::*;

/// A repository with one commit, in which 0.5.0 is the newest release and something is unreleased.
fn repository() -> (tempfile::TempDir, Repository) {
    let directory = tempfile::tempdir().unwrap();
    let repository = Repository { root: directory.path().to_owned() };
    for file in own_files() {
        let to = directory.path().join(file);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        if file == RELEASES {
            fs::create_dir_all(&to).unwrap();
            fs::write(to.join("0.5.0.sql"), "").unwrap();
        } else if file == "CHANGELOG.md" {
            fs::write(to, "# Changelog\n\n## [Unreleased]\n\n- new\n\n## [0.5.0] - 2026-11-29\n\n- old\n").unwrap();
        } else {
            fs::copy(releases::root().join(file), &to).unwrap();
        }
    }
    let five = Version::new(0, 5, 0);
    set(&repository, &five);
    for arguments in [
        &["init", "--quiet", "--initial-branch", "main"][..],
        &["config", "user.name", "Test"],
        &["config", "user.email", "test@example.org"],
        &["config", "tag.gpgSign", "false"],
        &["config", "commit.gpgSign", "false"],
        &["add", "--all"],
        &["commit", "--quiet", "--message", "Before"],
    ] {
        repository.run(arguments).unwrap();
    }
    (directory, repository)
}

/// Sets the version everywhere but in the changelog.
fn set(repository: &Repository, version: &Version) {
    let write = |file: &str, text: String| fs::write(repository.root.join(file), text).unwrap();
    for mention in &version::MENTIONS {
        write(mention.file, mention.set(&repository.read(mention.file).unwrap(), version).unwrap());
    }
    for lock in version::LOCKS {
        write(lock, version::set_lock(&repository.read(lock).unwrap(), version));
    }
    write("Cargo.toml", version::set(&repository.read("Cargo.toml").unwrap(), version).unwrap());
}

const SIX: Version = Version::new(0, 6, 0);

fn refused(repository: &Repository, version: &Version, no_git: bool) -> String {
    let problem = preconditions(repository, version, no_git).unwrap_err();
    assert!(problem.hint.is_some(), "{problem}");
    problem.message
}

#[test]
fn a_version_that_is_not_higher_is_refused() {
    let (_directory, repository) = repository();
    for no_git in [false, true] {
        assert!(!preconditions(&repository, &SIX, no_git).unwrap());
        assert_eq!(
            refused(&repository, &Version::new(0, 4, 9), no_git),
            "0.4.9 is lower than 0.5.0, which is there already"
        );
        assert_eq!(refused(&repository, &Version::new(0, 5, 0), no_git), "0.5.0 is released");
        let candidate = Version::parse("0.5.0-rc.1").unwrap();
        assert!(refused(&repository, &candidate, no_git).contains("is lower than 0.5.0"));
    }
    // The next one is being made already.
    set(&repository, &Version::new(0, 7, 0));
    assert!(refused(&repository, &SIX, true).contains("is lower than 0.7.0"));
}

#[test]
fn what_is_no_version_is_refused_with_the_right_way_to_write_it() {
    let hint = |text: &str| wanted(text).unwrap_err().hint.unwrap();
    assert_eq!(wanted("0.6.0-rc.1").unwrap().to_string(), "0.6.0-rc.1");
    assert_eq!(hint("v0.6.0"), "the tag gets a v, the version has none: cargo release 0.6.0");
    assert_eq!(hint("0.6.0+1"), "cargo release 0.6.0");
    for none in ["", "0.6", "06.0.0", "new", "v6"] {
        assert_eq!(hint(none), "three numbers: cargo release 0.6.0", "{none}");
    }
}

#[test]
fn uncommitted_changes_are_refused_unless_git_is_left_out_or_they_are_an_interrupted_runs() {
    let (directory, repository) = repository();
    let dirty = |what: &str| {
        let words = format!("there are uncommitted changes: {what}");
        assert_eq!(refused(&repository, &SIX, false), words);
        assert!(!preconditions(&repository, &SIX, true).unwrap());
    };
    fs::write(directory.path().join("new.rs"), "").unwrap();
    dirty("new.rs");
    fs::remove_file(directory.path().join("new.rs")).unwrap();
    let readme = repository.read("README.md").unwrap();
    fs::write(directory.path().join("README.md"), readme.clone() + "\n").unwrap();
    dirty("README.md");
    fs::write(directory.path().join("README.md"), readme).unwrap();
    // The first file that a run writes, one of its own, and one that it was killed over.
    repository.write("Cargo.toml", &version::set(&repository.read("Cargo.toml").unwrap(), &SIX).unwrap()).unwrap();
    fs::write(directory.path().join(RELEASES).join("0.6.0.delta.sql"), "").unwrap();
    fs::write(directory.path().join(".release-unfinished"), "half").unwrap();
    assert!(!preconditions(&repository, &SIX, false).unwrap());
    assert!(!directory.path().join(".release-unfinished").exists());
    fs::write(directory.path().join("new.rs"), "").unwrap();
    dirty("new.rs");
}

#[test]
fn a_changelog_that_says_nothing_is_refused() {
    let (directory, repository) = repository();
    let changelog = repository.read("CHANGELOG.md").unwrap();
    fs::write(directory.path().join("CHANGELOG.md"), changelog.replace("- new\n", "")).unwrap();
    assert_eq!(refused(&repository, &SIX, true), "\"## [Unreleased]\" in CHANGELOG.md says nothing");
}

/// The files with their text.
fn files(root: &Path) -> Vec<(String, String)> {
    let own = own_files();
    let files = repository::files_in(root, &own, |_| false).unwrap();
    files.iter().map(|file| (file.display().to_string(), fs::read_to_string(file).unwrap())).collect()
}

#[test]
fn the_version_is_set_everywhere_at_whichever_file_an_earlier_run_was_stopped() {
    let (directory, repository) = repository();
    let before = files(directory.path());
    set_version(&repository, &SIX).unwrap();
    let after = files(directory.path());
    let changed: Vec<&str> = before.iter().zip(&after).filter(|(a, b)| a != b).map(|(a, _)| a.0.as_str()).collect();
    assert_eq!(changed.len(), own_files().len() - 1, "all but the releases: {changed:?}");
    assert!(repository.read("CHANGELOG.md").unwrap().starts_with("# Changelog\n\n## [0.6.0] - 20"));
    set_version(&repository, &SIX).unwrap();
    assert_eq!(files(directory.path()), after);
    for (file, old) in before.iter().filter(|(file, _)| !file.ends_with("Cargo.toml")) {
        fs::write(file, old).unwrap();
        assert!(!preconditions(&repository, &SIX, false).unwrap(), "{file}");
        set_version(&repository, &SIX).unwrap();
        assert_eq!(files(directory.path()), after, "{file}");
    }
}

#[test]
fn commit_and_tag_are_made_once() {
    let (directory, repository) = repository();
    set_version(&repository, &SIX).unwrap();
    fs::write(directory.path().join(RELEASES).join("0.6.0.delta.sql"), "").unwrap();
    commit(&repository, &SIX).unwrap();
    assert_eq!(repository.changed().unwrap(), [""; 0]);
    assert_eq!(repository.last_subject(), "Release 0.6.0");
    let (_, is_last) = repository.tagged(&SIX).unwrap();
    assert!(is_last && preconditions(&repository, &SIX, false).unwrap(), "it is done");
    // Stopped between commit and tag.
    repository.run(&["tag", "--delete", "v0.6.0"]).unwrap();
    assert!(!preconditions(&repository, &SIX, false).unwrap());
    commit(&repository, &SIX).unwrap();
    assert!(repository.tagged(&SIX).unwrap().1);
    // Others go on.
    fs::write(directory.path().join("new.rs"), "").unwrap();
    for no_git in [false, true] {
        assert!(refused(&repository, &SIX, no_git).contains("and a release is never made anew"));
    }
    repository.run(&["add", "new.rs"]).unwrap();
    repository.run(&["commit", "--quiet", "--message", "Later"]).unwrap();
    assert!(refused(&repository, &SIX, false).contains("v0.6.0 is tagged at "));
    repository.run(&["tag", "--delete", "v0.6.0"]).unwrap();
    let problem = commit(&repository, &SIX).unwrap_err();
    assert_eq!(problem.message, "the files of 0.6.0 are in an earlier commit, which is not the last one");
}

#[test]
fn a_failed_step_says_how_to_go_on_and_only_in_a_clean_tree_how_to_go_back() {
    let fails =
        |written| in_step(3, written, || Err::<(), _>(Problem::new("no")).map_err(|no| no.hint("help"))).unwrap_err();
    let problem = fails(Written::Nothing);
    assert_eq!(problem.message, "step 4, \"Making the release's database and statements\", failed: no");
    assert_eq!(problem.hint.as_deref(), Some("help; then run the same command again; no file was changed"));
    assert!(fails(Written::Alone).hint.unwrap().ends_with("git clean -f migrator/releases"));
    assert!(!fails(Written::AmongOthers).hint.unwrap().contains("git restore"));
}
