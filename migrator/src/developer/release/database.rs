//! How is a release's database made, and when does it have to be made again?
//!
//! The app's test `release_files` uses everything on the upgraded database of the release before, and leaves that database and the
//! statements that the app prepared. Each run of it makes other times, numbers and hashes. So the file says what it was made by, and
//! while that is the same it stays as it is.

use std::fs;
use std::path::Path;

use semver::Version;

use super::repository::{RELEASES, Repository, files_in};
use super::step;
use crate::Release;
use crate::developer::delta::{self, Header, content};
use crate::developer::releases::{self, Released};
use crate::developer::{Problem, scratch, statements};

/// What makes the database what it is, beside the release before: the app with its tests, the migrations, and the libraries.
const MADE_BY: [&str; 5] = ["Cargo.lock", "app/Cargo.toml", "app/src", "app/tests/blackbox", "migrator/src"];

/// Makes the database and the statements of `version`, unless they are there and nothing has changed.
///
/// # Errors
///
/// The app's test fails, or a file cannot be written.
pub(super) fn make(repository: &Repository, release: &Release, version: &Version) -> Result<(), Problem> {
    let before = releases::before(version)?;
    let (file, statements_file) = (file(version, "delta.sql"), file(version, "statements"));
    if is_made(repository, version)? {
        step::say(&format!("{file} stays: nothing that it is made of has changed"));
        return Ok(());
    }
    let directory = scratch()?;
    step::cargo(
        repository,
        &[
            "test",
            "--quiet",
            "--workspace",
            "--test",
            "blackbox",
            "--",
            "--ignored",
            "--exact",
            "statements::release_files",
        ],
        &[("HEARTH_TEST_RELEASE_FILES", directory.path())],
    )?;
    let target = directory.path().join("app.db");
    let prepared = directory.path().join("statements");
    let prepared = fs::read_to_string(&prepared)
        .map_err(|error| Problem::new(format!("the app's test release_files left no statements: {error}")))?;
    let text = delta(release, &before, inputs(repository, &before)?, &target, directory.path())?;
    // The statements first: what is not complete without them says that it is there.
    repository.write(&statements_file, &prepared)?;
    repository.write(&file, &text)?;
    is_what_it_was_made_of(repository, version, &target, &directory.path().join("made.db")).inspect_err(|_| {
        // So that the next run does not take it for made.
        fs::remove_file(repository.root.join(&file)).ok();
    })
}

/// Says whether the database and the statements of `version` are there, and made of what is here now.
///
/// # Errors
///
/// A file cannot be read.
pub(super) fn is_made(repository: &Repository, version: &Version) -> Result<bool, Problem> {
    let inputs = inputs(repository, &releases::before(version)?)?;
    let header = repository.read(&file(version, "delta.sql")).and_then(|text| Header::parse(&text));
    Ok(repository.root.join(file(version, "statements")).exists() && header.is_ok_and(|header| header.inputs == inputs))
}

fn file(version: &Version, extension: &str) -> String {
    format!("{RELEASES}/{version}.{extension}")
}

/// Writes the difference between the database at `target` and that of the release before, upgraded.
fn delta(
    release: &Release,
    before: &Released,
    inputs: String,
    target: &Path,
    directory: &Path,
) -> Result<String, Problem> {
    let of = |name: &str, is_upgraded: bool| {
        let path = directory.join(name);
        before.make(&path)?;
        let schema = if is_upgraded { releases::upgrade(&path, None)? } else { String::new() };
        Ok::<_, Problem>((content(&path)?, schema))
    };
    let ((pristine, _), (one, schema), (other, _)) =
        (of("before.db", false)?, of("one.db", true)?, of("other.db", true)?);
    let header = Header { from: before.version.clone(), migrations: release.names(), schema, inputs };
    delta::write(&header, &pristine, [&one, &other], &content(target)?)
}

/// Makes the database of the file that was written, and compares.
fn is_what_it_was_made_of(
    repository: &Repository,
    version: &Version,
    target: &Path,
    made: &Path,
) -> Result<(), Problem> {
    let all = repository.releases()?;
    let Some(released) = all.into_iter().find(|one| one.version == *version) else {
        return Err(Problem::new(format!("the database of {version} is gone from {RELEASES}")));
    };
    released.make(made)?;
    let (was, is) = (content(target)?, content(made)?);
    let differs = |name: &&String| was.tables.get(*name) != is.tables.get(*name);
    if let Some(table) = was.tables.keys().find(differs) {
        return Err(Problem::new(format!(
            "the database of {version} comes out of its file with another table {table}"
        ))
        .hint("this is a fault of developer/delta.rs"));
    }
    Ok(())
}

/// What the database is made of, hashed.
fn inputs(repository: &Repository, before: &Released) -> Result<String, Problem> {
    let left_out = |path: &Path| path.starts_with("migrator/src/developer") || path.starts_with("migrator/src/bin");
    let mut files = files_in(&repository.root, &MADE_BY, left_out)?;
    files.extend(["sql", "delta.sql"].map(|extension| before.file(extension)).into_iter().filter(|file| file.exists()));
    let mut hasher = blake3::Hasher::new();
    for file in files {
        let name = file.strip_prefix(&repository.root).unwrap_or(&file).to_string_lossy().into_owned();
        let content =
            fs::read(&file).map_err(|error| Problem::new(format!("cannot read {}: {error}", file.display())))?;
        for part in [name.as_bytes(), &content] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    let mut hex = hasher.finalize().to_hex().to_string();
    hex.truncate(16);
    Ok(hex)
}

/// Pins what each migration executes that no release has pinned.
///
/// # Errors
///
/// A released migration executes something else than it did.
pub(super) fn pin(repository: &Repository, release: &Release) -> Result<(), Problem> {
    let directory = repository.root.join(RELEASES);
    for executed in statements::on_empty(release)? {
        let file = crate::developer::pins::path(&directory, &executed.migration);
        if !file.exists() {
            let name = file.strip_prefix(&repository.root).unwrap_or(&file).to_string_lossy().into_owned();
            repository.write(&name, &crate::developer::pins::text(&executed))?;
            step::say(&format!("pinned {}", executed.migration));
        } else if let Some(difference) = crate::developer::pins::compare(&directory, &executed)? {
            return Err(Problem::new(difference).hint("put the migration back as it was, and write another one"));
        }
    }
    Ok(())
}
