//! What state is a database in, seen from one release?

use std::path::Path;

use sea_orm::{ConnectionTrait, DbErr};

use crate::check;
use crate::database::{self, APPLICATION_ID, number, rows};
use crate::error::{Error, sqlite_code};
use crate::finding::{Condition, unaccepted};
use crate::ledger;
use crate::plan::{Plan, Verdict};
use crate::release::Release;
use crate::schema::Listing;
use crate::stop;

/// The state of a readable database of Hearth's, or of a new one.
#[derive(Clone, Debug)]
pub struct Status {
    /// Applied, pending and unknown migrations.
    pub plan: Plan,
    /// The version that applied the last migration; none for a new database.
    pub last_version: Option<String>,
    /// The lowest version whose app may serve it; none for a new database, and for one that only migrators before 0.6.0 migrated.
    pub floor: Option<String>,
    /// How the schema differs from what the ledger says, one phrase for each difference.
    pub drift: Vec<String>,
    /// What stops an upgrade unless it is accepted, one sentence each: drift, and where the database was read through, indexes that do
    /// not fit and rows that refer to none.
    pub findings: Vec<String>,
    /// The schema as it is.
    pub schema: Listing,
}

impl Status {
    /// Returns what is pending, if anything may run in spite of the findings in `accepted`.
    ///
    /// # Errors
    ///
    /// `newer`, `stop` and `drift`; `check` if what the release declares cannot be.
    pub(crate) fn pending(&self, path: &Path, release: &Release, accepted: &[String]) -> Result<&[String], Error> {
        let stop = self.stop(release);
        // Of a database that lost both books nobody can tell what would run on it.
        let is_recorded = self.last_version.is_some() || !self.plan.applied.is_empty();
        let differences = unaccepted(&self.drift, if is_recorded { accepted } else { &[] });
        match self.plan.verdict(!matches!(stop, Ok(None)), !differences.is_empty()) {
            Verdict::UpToDate | Verdict::Upgrade => Ok(&self.plan.pending),
            Verdict::Stopped => stop?.map_or(Ok(&self.plan.pending), Err),
            Verdict::Newer => Err(Error::Newer {
                last: match &self.last_version {
                    Some(version) => format!("v{version}"),
                    None => "a later version".to_owned(),
                },
                version: release.version.clone(),
                unknown: self.plan.unknown.iter().map(|one| one.name.clone()).collect(),
            }),
            Verdict::Drifted => Err(Error::Drift { path: path.to_owned(), differences }),
        }
    }

    /// Returns the error `stop` if something is pending and another release has to come first.
    ///
    /// # Errors
    ///
    /// `check`, if the release declares what cannot be.
    pub fn stop(&self, release: &Release) -> Result<Option<Error>, Error> {
        let Some(oldest) = release.oldest.as_deref().filter(|_| !self.plan.pending.is_empty()) else {
            return Ok(None);
        };
        let is_reached = match &self.last_version {
            // A new database, or one that lost its ledger.
            None => self.drift.is_empty(),
            Some(last) => stop::is_reached(&release.version, oldest, last).map_err(Error::Check)?,
        };
        let last =
            self.last_version.as_ref().map_or_else(|| "an unknown version".to_owned(), |last| format!("v{last}"));
        let (version, oldest) = (release.version.clone(), oldest.to_owned());
        Ok((!is_reached).then_some(Error::Stop { last, version, oldest }))
    }
}

/// Returns the state of the database at `path` without changing it; an empty file is a new one.
/// With `quick_check` SQLite reads through all of it (about a quarter of the time of a copy).
///
/// # Errors
///
/// `missing`, `not-a-database`, `foreign`, `damaged`, `permission`, `busy`, `io`.
pub async fn status(path: &Path, release: &Release, quick_check: bool) -> Result<Status, Error> {
    database::read(path, async |connection| {
        let mut status = inspect(connection, path, release).await?;
        if quick_check {
            let failed = |error: DbErr| Error::from_database(&error, path, "checking the database");
            let condition = Condition::read(connection).await.map_err(failed)?;
            status.findings.extend(condition.findings(path)?);
            match check::references(connection).await {
                Ok(references) => status.findings.extend(references),
                // SQLITE_ERROR: "foreign key mismatch", an index is missing by which rows are found. Then the schema has drifted.
                Err(error) if sqlite_code(&error) == Some(1) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(status)
    })
    .await
}

/// Returns the state of an open database.
///
/// # Errors
///
/// `foreign`, and SQLite's.
pub(crate) async fn inspect(
    connection: &impl ConnectionTrait,
    path: &Path,
    release: &Release,
) -> Result<Status, Error> {
    let failed = |error: DbErr| Error::from_database(&error, path, "reading the schema");
    let application_id = number(connection, "PRAGMA application_id").await.map_err(failed)?;
    let tables = tables(connection).await.map_err(failed)?;
    if let Some(found) = foreign(application_id, &tables) {
        return Err(Error::Foreign { path: path.to_owned(), found });
    }
    let ledger = ledger::read(connection, &tables)
        .await
        .map_err(|error| Error::from_database(&error, path, "reading the ledger"))?;
    let schema = Listing::read(connection).await.map_err(failed)?;
    let mut drift = ledger.disagreements;
    match &ledger.schema {
        Some(recorded) => drift.extend(Listing::differences(recorded, &schema)),
        None if tables.is_empty() => {}
        None => drift.push("table migration_ledger is missing or empty".to_owned()),
    }
    let plan = Plan::new(&release.names(), ledger.applied);
    let findings = drift.clone();
    Ok(Status { plan, last_version: ledger.last_version, floor: ledger.floor, drift, findings, schema })
}

async fn tables(connection: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    rows(connection, sql, []).await?.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// Says by what a database is seen to be another program's. New is one without an id and without
/// tables: an empty file, or one whose very first upgrade was killed.
fn foreign(application_id: i64, tables: &[String]) -> Option<String> {
    match application_id {
        APPLICATION_ID => None,
        0 if tables.is_empty() || tables.iter().any(|name| name == "migration_ledger") => None,
        0 => Some(format!(
            "it has no application id and {}, {} among them, but no ledger",
            crate::error::counted(tables.len(), "table", "tables"),
            tables.first().map_or("", String::as_str),
        )),
        other => {
            Some(format!("its application id is {:#010x} and not Hearth's {APPLICATION_ID:#010x}", other & 0xffff_ffff))
        }
    }
}
