//! What does a release need, from a changelog to a tag?
//!
//! `cargo release <version>` goes through these steps. Each writes a file whole or not at all, and only if it becomes another, so the
//! command can be stopped at any moment and run again: it goes on, and what is done stays as it is.
//!
//! 1. may it be: the version, the working tree, the changelog;
//! 2. `check`, which is `cargo migration check`: nothing is written while a rule is breached;
//! 3. `version`, [`changelog`]: the version in Cargo.toml, the lock files and the documents, and *Unreleased* becomes its section;
//! 4. `database`: the release's database and its app's statements;
//! 5. the pins of what its migrations execute;
//! 6. the [`certificate`];
//! 7. the upgrade tests from every earlier release;
//! 8. commit and tag, if not `--no-git`.

pub mod changelog;
mod check;
mod database;
mod repository;
mod step;
#[cfg(test)]
mod tests;
mod version;

use std::process::ExitCode;

use clap::Args;
use semver::Version;
use time::OffsetDateTime;
use time::macros::format_description;

use self::repository::{RELEASES, Repository};
use super::Problem;
use super::certificate::{self, Certificate, Checked, Measured};
use super::releases;
use crate::Release;

/// What `cargo release` is told.
#[derive(Clone, Debug, Args)]
pub(super) struct Arguments {
    /// The version to release, such as 0.6.0
    version: String,
    /// Make all files, but neither commit nor tag, and do not mind uncommitted changes
    #[arg(long)]
    no_git: bool,
}

/// The names of the steps, in order.
const STEPS: [&str; 8] = [
    "Looking at the version, the working tree and the changelog",
    "Checking the migrations",
    "Setting the version",
    "Making the release's database and statements",
    "Pinning what the migrations execute",
    "Writing the certificate",
    "Testing the upgrade from every earlier release",
    "Committing and tagging",
];

/// Makes a release.
///
/// # Errors
///
/// Says which step failed, and that running it again goes on from there.
pub(super) fn run(arguments: &Arguments, release: &Release) -> Result<ExitCode, Problem> {
    let version = wanted(&arguments.version)?;
    let repository = Repository { root: releases::root() };
    // From here on this is the release that is made, whatever this program was built as.
    let release = Release { version: version.to_string(), ..release.clone() };
    let written = if arguments.no_git { Written::AmongOthers } else { Written::Alone };
    if in_step(0, Written::Nothing, || preconditions(&repository, &version, arguments.no_git))? {
        return Ok(told(&format!("{version} is committed and tagged already.\n{}", left_to_do(&version, false))));
    }
    let (checked, measured) = in_step(1, Written::Nothing, || check::check(&repository, &release, &version))?;
    in_step(2, written, || set_version(&repository, &version))?;
    in_step(3, written, || database::make(&repository, &release, &version))?;
    in_step(4, written, || database::pin(&repository, &release))?;
    let verdict = in_step(5, written, || certify(&repository, &release, &version, checked, measured))?;
    in_step(6, written, || test(&repository))?;
    if !arguments.no_git {
        in_step(7, written, || commit(&repository, &version))?;
    }
    Ok(told(&format!("{verdict}\n{}", left_to_do(&version, arguments.no_git))))
}

/// Prints the result.
fn told(words: &str) -> ExitCode {
    println!("{words}");
    ExitCode::SUCCESS
}

/// How far a step's failure leaves files changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Nothing,
    /// In a tree that had no other changes.
    Alone,
    /// Beside what is somebody's own.
    AmongOthers,
}

/// Runs a step; what fails says which it was, and how to go on or back.
fn in_step<T>(index: usize, written: Written, step: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    let name = STEPS[index];
    step::begin(index + 1, STEPS.len(), name);
    step().map_err(|problem| {
        let mut hint = problem.hint.map(|hint| hint + "; then ").unwrap_or_default();
        hint.push_str("run the same command again");
        hint.push_str(match written {
            Written::Nothing => "; no file was changed",
            Written::Alone => {
                ", which goes on where it stopped; nothing is committed, and this takes all of it back: \
                 git restore --staged --worktree . && git clean -f migrator/releases"
            }
            Written::AmongOthers => ", which goes on where it stopped; nothing is committed",
        });
        Problem { message: format!("step {}, \"{name}\", failed: {}", index + 1, problem.message), hint: Some(hint) }
    })
}

/// Reads the version as it was typed.
fn wanted(text: &str) -> Result<Version, Problem> {
    let version = Version::parse(text).map_err(|error| {
        let problem = Problem::new(format!("{text:?} is not a version: {error}"));
        match text.strip_prefix('v').filter(|rest| Version::parse(rest).is_ok()) {
            Some(rest) => problem.hint(format!("the tag gets a v, the version has none: cargo release {rest}")),
            None => problem.hint("three numbers: cargo release 0.6.0"),
        }
    })?;
    if !version.build.is_empty() {
        return Err(Problem::new(format!("{version} has build metadata, which an image's tag cannot have"))
            .hint(format!("cargo release {}.{}.{}", version.major, version.minor, version.patch)));
    }
    Ok(version)
}

/// The files that a release writes.
fn own_files() -> Vec<&'static str> {
    let mut files = vec!["Cargo.toml", "CHANGELOG.md", RELEASES];
    files.extend(version::LOCKS);
    files.extend(version::MENTIONS.iter().map(|mention| mention.file));
    files.sort_unstable();
    files.dedup();
    files
}

/// Says whether it is done already.
fn preconditions(repository: &Repository, version: &Version, no_git: bool) -> Result<bool, Problem> {
    repository.tidy();
    let current = version::current(&repository.read("Cargo.toml")?)?;
    let mut newest = repository.releases()?;
    newest.retain(|one| one.version != *version);
    let newest = newest.pop().map(|newest| newest.version).into_iter().chain([current.clone()]).max();
    if let Some(newest) = newest.filter(|newest| newest > version) {
        return Err(Problem::new(format!("{version} is lower than {newest}, which is there already"))
            .hint("choose a higher version"));
    }
    if repository.root.join(RELEASES).join(format!("{version}.sql")).exists() {
        return Err(Problem::new(format!("{version} is released")).hint("choose a higher version"));
    }
    if let Some((commit, is_last)) = repository.tagged(version) {
        if is_last && repository.changed()?.is_empty() {
            return Ok(true);
        }
        return Err(Problem::new(format!("v{version} is tagged at {commit}, and a release is never made anew"))
            .hint("choose a higher version; or, if nobody has that tag yet, delete it: git tag --delete"));
    }
    if !no_git {
        let own = own_files();
        let mut changed = repository.changed()?;
        // What an interrupted run wrote is no obstacle.
        if current == *version {
            changed.retain(|file| !own.iter().any(|own| file == own || file.starts_with(&format!("{own}/"))));
        }
        if !changed.is_empty() {
            return Err(Problem::new(format!("there are uncommitted changes: {}", changed.join(", ")))
                .hint("commit or stash them; or pass --no-git, and commit yourself"));
        }
    }
    changelog::release(&repository.read("CHANGELOG.md")?, version, "")?;
    Ok(false)
}

fn set_version(repository: &Repository, version: &Version) -> Result<(), Problem> {
    let today = OffsetDateTime::now_utc().date().format(format_description!("[year]-[month]-[day]"));
    let today = today.map_err(|error| Problem::new(format!("cannot tell the date: {error}")))?;
    // Everything is tried before the first file is written.
    let mut files: Vec<(&str, String)> = Vec::new();
    for mention in &version::MENTIONS {
        let at = files.iter().position(|(file, _)| *file == mention.file);
        let text = match at {
            Some(at) => files.swap_remove(at).1,
            None => repository.read(mention.file)?,
        };
        files.push((mention.file, mention.set(&text, version)?));
    }
    for lock in version::LOCKS {
        files.push((lock, version::set_lock(&repository.read(lock)?, version)));
    }
    files.push(("CHANGELOG.md", changelog::release(&repository.read("CHANGELOG.md")?, version, &today)?));
    // The first to be written: by it a second run knows that it goes on.
    repository.write("Cargo.toml", &version::set(&repository.read("Cargo.toml")?, version)?)?;
    files.iter().try_for_each(|(file, text)| repository.write(file, text))
}

/// Writes the certificate and returns its verdict.
fn certify(
    repository: &Repository,
    release: &Release,
    version: &Version,
    checked: Checked,
    measured: Option<Measured>,
) -> Result<String, Problem> {
    let Some(released) = repository.releases()?.into_iter().find(|one| one.version == *version) else {
        return Err(Problem::new(format!("the database of {version} is gone from {RELEASES}")));
    };
    let certificate = Certificate::new(certificate::prove(&released)?, checked, measured, release.differences.clone());
    if let Some(objection) = certificate.objections.first() {
        return Err(Problem::new(format!("{version} may not be released: {objection}"))
            .hint("cargo migration check says what to write instead"));
    }
    repository.write(&format!("{RELEASES}/{version}.{}", certificate::EXTENSION), &certificate.text())?;
    Ok(certificate.verdict)
}

/// Runs the tests of upgrades. With the features of the whole workspace, with which most of it is built already.
fn test(repository: &Repository) -> Result<(), Problem> {
    // The tests start other programs: the next release's migrator, and those of the workspace.
    step::cargo(repository, &["build", "--quiet", "--workspace", "--examples", "--bins"], &[])?;
    let tests = ["rules", "releases", "certificates", "upgrades"].map(|name| ["--test", name]).concat();
    step::cargo(repository, &[&["test", "--quiet", "--workspace"][..], &tests].concat(), &[])
}

fn commit(repository: &Repository, version: &Version) -> Result<(), Problem> {
    let mut add = vec!["add", "--all", "--"];
    add.extend(own_files());
    repository.run(&add)?;
    let subject = format!("Release {version}");
    if !repository.changed()?.is_empty() {
        repository.run(&["commit", "--quiet", "--message", &subject])?;
    } else if repository.last_subject() != subject {
        // An earlier run was stopped between commit and tag, and others have committed since.
        return Err(Problem::new(format!("the files of {version} are in an earlier commit, which is not the last one"))
            .hint(format!(
                "find it with git log migrator/releases/{version}.certificate.json, and tag it: git tag --annotate v{version} COMMIT"
            )));
    }
    let (tag, message) = (format!("v{version}"), format!("Hearth {version}"));
    repository.run(&["tag", "--annotate", "--message", &message, &tag])
}

fn left_to_do(version: &Version, no_git: bool) -> String {
    let push = format!("git push --atomic origin HEAD v{version}");
    match no_git {
        true => format!(
            "Left to do: read the changes (git diff), then cargo release {version}, which commits and tags, and {push}"
        ),
        false => format!("Left to do: {push}"),
    }
}
