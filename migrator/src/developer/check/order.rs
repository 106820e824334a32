//! The rules *order* and *released*: is the list of migrations the released ones as they were, and the new ones after them?

use std::path::Path;

use semver::Version;

use super::Subject;
use super::findings::Findings;
use super::report::Rule;
use super::schema::Finding;
use crate::Release;
use crate::developer::releases::{Released, root};
use crate::developer::{Problem, migrate, pins};

pub(crate) fn check(subject: &Subject<'_>, directory: &Path, findings: &mut Findings) -> Result<(), Problem> {
    let names = subject.release.names();
    let mut breach = |name: &str, what: String, instead: String| {
        let finding = Finding { object: format!("migration {name}"), what, instead };
        findings.breach(Rule::Order, name, finding, None);
    };
    for (index, name) in names.iter().enumerate() {
        let number = format!("m{:04}_", index + 1);
        let is_known = subject.released.contains(name);
        if !is_known && names.iter().filter(|other| *other == name).count() > 1 {
            breach(name, format!("the name {name} is there twice"), "give each migration a name of its own".to_owned());
        } else if !is_known && index < subject.released.len() {
            breach(
                name,
                format!("{name} stands before released migrations, and households run it after them"),
                format!("put it at the end of the list, as m{:04}_…", names.len()),
            );
        } else if !is_known && !name.starts_with(&number) {
            breach(
                name,
                format!("{name} is migration {} of the list", index + 1),
                format!("call it {number}… and its file too"),
            );
        } else if !is_known && !subject.options.sources.join(format!("{name}.rs")).exists() {
            breach(
                name,
                format!("{name} is in no file of that name"),
                format!("put it into {name}.rs, and let DeriveMigrationName give the name"),
            );
        }
    }
    // Beside the list, in its file.
    if let Some((what, instead)) = oldest(subject.release, &subject.releases)? {
        let finding = Finding { object: "OLDEST".to_owned(), what, instead };
        findings.breach(Rule::Order, "mod", finding, None);
    }
    let mut breach = |name: &str, what: String, instead: String| {
        let finding = Finding { object: format!("migration {name}"), what, instead };
        findings.breach(Rule::Order, name, finding, None);
    };
    let mut position = 0;
    for name in &subject.released {
        match names.iter().position(|other| other == name) {
            None => breach(
                name,
                format!(
                    "{name} was released and is not in the list any more, so that households that have it are refused"
                ),
                "put it back into the list as it was".to_owned(),
            ),
            Some(at) if at < position => breach(
                name,
                format!("{name} stands before migrations that were released before it"),
                "put the released migrations into the order in which they were released".to_owned(),
            ),
            Some(at) => position = at,
        }
    }
    released(subject, directory, findings)
}

/// Says what is wrong with the oldest version that `release` upgrades from, and what to name instead. `releases` are those before it,
/// newest first.
pub(crate) fn oldest(release: &Release, releases: &[Released]) -> Result<Option<(String, String)>, Problem> {
    let Some(oldest) = release.oldest.as_deref() else { return Ok(None) };
    // Databases have the version that applied a migration, so only such a release can be told from the one before it.
    let mut own = Vec::new();
    for (index, one) in releases.iter().enumerate() {
        let before = releases.get(index + 1).map(Released::migrations).transpose()?.unwrap_or_default();
        if one.migrations()?.len() > before.len() {
            own.push(&one.version);
        }
    }
    let versions: Vec<String> = own.iter().map(ToString::to_string).collect();
    let instead = format!("name one of {}, or none", versions.join(", "));
    let named = Version::parse(oldest).ok();
    if named.as_ref().is_some_and(|named| own.contains(&named)) {
        return Ok(None);
    }
    if !releases.iter().any(|one| Some(&one.version) == named.as_ref()) {
        let what = format!("OLDEST is {oldest:?}, which is no released version before {}", release.version);
        return Ok(Some((what, instead)));
    }
    let what = format!(
        "OLDEST is {oldest}, which has no migration of its own, so that databases of the release before would be refused for ever"
    );
    Ok(Some((what, instead)))
}

fn released(subject: &Subject<'_>, directory: &Path, findings: &mut Findings) -> Result<(), Problem> {
    let instead = "take the edit back (git diff shows it), and write a new migration that makes the difference";
    let pinned = root().join("migrator/releases");
    match migrate::apply(&directory.join("released.db"), subject.release, &subject.released)? {
        Ok(all) => {
            for executed in &all {
                if let Some(what) = pins::compare(&pinned, executed)? {
                    let object = format!("migration {}", executed.migration);
                    let finding = Finding { object, what, instead: instead.to_owned() };
                    findings.breach(Rule::Released, &executed.migration, finding, None);
                }
            }
        }
        // That it is missing is a breach of the order already.
        Err(failed) if !subject.release.names().contains(&failed.executed.migration) => {}
        Err(failed) => {
            let what = format!("{} fails on a new database: {}", failed.executed.migration, failed.reason);
            let object = format!("migration {}", failed.executed.migration);
            let finding = Finding { object, what, instead: instead.to_owned() };
            findings.breach(Rule::Released, &failed.executed.migration, finding, None);
        }
    }
    Ok(())
}
