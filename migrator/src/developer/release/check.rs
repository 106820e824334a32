//! What does `cargo migration check` say of a release that is being made?

use semver::Version;

use super::repository::Repository;
use super::{database, step};
use crate::developer::certificate::{self, Certificate, Checked, Measured};
use crate::developer::check::{self, Options};
use crate::developer::{Problem, releases, scratch};
use crate::{Release, floor};

/// Checks the migrations, and measures what the upgrade takes; what an earlier run found stays while nothing has changed.
///
/// # Errors
///
/// A rule is breached, or the check cannot be done.
pub(super) fn check(
    repository: &Repository,
    release: &Release,
    version: &Version,
) -> Result<(Checked, Option<Measured>), Problem> {
    floor_is_right(release, version)?;
    oldest_is_right(release, version)?;
    differences_are_right(release, version)?;
    if let Some(known) = known(repository, version)? {
        step::say("what was checked and measured stays: nothing has changed since");
        return Ok((known.checked, known.measured));
    }
    let options = Options {
        // Once for a release: it takes minutes.
        gibibyte: true,
        older_programs: true,
        before: Some(version.clone()),
        ..Options::new()?
    };
    let report = check::run(release, &options)?;
    if !report.is_clean() {
        step::say(&report.text());
        let refused = report.rules.iter().filter(|verdict| !verdict.breaches.is_empty());
        let names: Vec<&str> = refused.map(|verdict| verdict.rule.name()).collect();
        return Err(Problem::new(format!("the migrations are refused by {}", names.join(", ")))
            .hint("write what is said above instead, and look at it with cargo migration check"));
    }
    let before = releases::before(version)?;
    let costs = match report.migrations.is_empty() {
        false => report.costs.clone(),
        // There is nothing to check, and households wait all the same.
        true => check::measure(release, &before, &options)?,
    };
    Ok((Checked::of(&report), Measured::here(&before.version, &costs)))
}

/// The certificate that an earlier run wrote, if what it is of has not changed.
fn known(repository: &Repository, version: &Version) -> Result<Option<Certificate>, Problem> {
    let Some(released) = repository.releases()?.into_iter().find(|one| one.version == *version) else {
        return Ok(None);
    };
    let Ok(certificate) = Certificate::read(&released.file(certificate::EXTENSION)) else { return Ok(None) };
    if !database::is_made(repository, version)? || certificate::prove(&released)? != certificate.proven {
        return Ok(None);
    }
    Ok(Some(certificate).filter(|certificate| certificate.objections.is_empty()))
}

/// A difference that is meant has a reason, and stays for who skips versions.
fn differences_are_right(release: &Release, version: &Version) -> Result<(), Problem> {
    let mut earlier = releases::all()?;
    earlier.retain(|one| one.version < *version);
    match certificate::wrong_declaration(release, &earlier)?.into_iter().next() {
        None => Ok(()),
        Some(wrong) => Err(Problem::new(wrong).hint("mend DIFFERENCES in migrator/src/migrations/mod.rs")),
    }
}

/// Who is sent through another release has to get on there.
fn oldest_is_right(release: &Release, version: &Version) -> Result<(), Problem> {
    let mut earlier = releases::all()?;
    earlier.retain(|one| one.version < *version);
    earlier.reverse();
    match check::oldest(release, &earlier)? {
        None => Ok(()),
        Some((what, instead)) => Err(Problem::new(what).hint(format!("in migrator/src/migrations/mod.rs {instead}"))),
    }
}

/// The floor never falls.
fn floor_is_right(release: &Release, version: &Version) -> Result<(), Problem> {
    let before = releases::before(version)?;
    let directory = scratch()?;
    let path = directory.path().join("app.db");
    before.make(&path)?;
    let recorded = certificate::recorded_floor(&path)?;
    let declared = release.floor.as_deref();
    let floor = floor::of(&release.version, declared, recorded.as_deref()).map_err(Problem::new)?;
    match declared.filter(|declared| *declared != floor) {
        None => Ok(()),
        Some(declared) => {
            Err(Problem::new(format!("FLOOR is {declared}, and the floor of {} is {floor}", before.version))
                .hint(format!("set FLOOR in migrator/src/migrations/mod.rs to {floor} or higher")))
        }
    }
}
