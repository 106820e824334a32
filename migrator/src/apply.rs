//! How do all pending migrations happen, or none?

use std::path::Path;
use std::time::Instant;

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr};
use sea_orm_migration::{MigrationTrait, MigratorTraitSelf};

use crate::database::{self, APPLICATION_ID};
use crate::error::Error;
use crate::finding::{self, Condition};
use crate::progress::Life;
use crate::schema::Listing;
use crate::status::{Status, inspect};
use crate::watch::Watch;
use crate::{Event, Release, check, fault, floor, ledger};

/// What an upgrade did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The migrations it applied, in order; none if nothing was pending.
    pub applied: Vec<String>,
    /// The fingerprint of the schema as it now is.
    pub schema: String,
}

/// Brings the database at `path` to `release`, telling `report` of each step as it happens.
///
/// The database ends in WAL mode with an empty log, and no `-wal` or `-shm` stays beside it.
///
/// # Errors
///
/// Any; the database is then as it was before (unless its log could not be emptied after the
/// commit: `busy` or `no-space` while *emptying the write-ahead log*; doing it again helps).
pub async fn up(path: &Path, release: &Release, report: &mut (dyn FnMut(Event) + Send)) -> Result<Outcome, Error> {
    up_in_spite_of(path, release, &[], report).await
}

/// Brings the database at `path` to `release`, also where something stops it that the operator has `accepted`: each by the very
/// sentence that [`Status::findings`] has for it.
///
/// # Errors
///
/// As [`up`]'s.
pub async fn up_in_spite_of(
    path: &Path,
    release: &Release,
    accepted: &[String],
    report: &mut (dyn FnMut(Event) + Send),
) -> Result<Outcome, Error> {
    carry_out(path, release, Request { last: None, accepted }, report).await
}

/// Brings the database at `path` to `release`, or, with `last`, only as far as the migration of this name.
///
/// # Errors
///
/// As [`up`]'s.
#[cfg(feature = "developer")]
pub(crate) async fn up_to(
    path: &Path,
    release: &Release,
    last: Option<&str>,
    report: &mut (dyn FnMut(Event) + Send),
) -> Result<Outcome, Error> {
    carry_out(path, release, Request { last, accepted: &[] }, report).await
}

/// What is asked for.
#[derive(Clone, Copy)]
struct Request<'a> {
    /// The migration that is to be the last one; all if none is named.
    last: Option<&'a str>,
    /// The findings that may not stop it.
    accepted: &'a [String],
}

async fn carry_out(
    path: &Path,
    release: &Release,
    request: Request<'_>,
    report: &mut (dyn FnMut(Event) + Send),
) -> Result<Outcome, Error> {
    report(Event::Checking { version: release.version.clone() });
    // First without a lock and without a trace: what is refused must not be touched at all.
    let status = database::read(path, async |connection| inspect(connection, path, release).await).await?;
    if until(request.last, status.pending(path, release, request.accepted)?).is_empty()
        && database::at_rest(path).is_some()
    {
        return Ok(finish(&status, Vec::new(), status.schema.fingerprint(), report));
    }
    let life = Life::default();
    let connection = database::open_to_write(path, &life).await?;
    let mut watch = Watch::new(path, life, report);
    let result = write(&connection, path, release, request, &mut watch).await;
    connection.close().await.ok();
    let (status, applied, schema) = match result {
        Err(error @ Error::Check(_)) => return Err(blamed(path, request.accepted).await.unwrap_or(error)),
        other => other?,
    };
    if applied.is_empty() {
        return Ok(finish(&status, applied, schema, &mut |event| watch.tell(event)));
    }
    watch.tell(Event::Complete { applied: applied.clone(), schema: schema.clone() });
    Ok(Outcome { applied, schema })
}

/// Returns the finding or damage that a migration would be blamed for by mistake: the checks after it read through the database, and
/// those before it do not.
async fn blamed(path: &Path, accepted: &[String]) -> Option<Error> {
    let found = database::read(path, async |connection| {
        let failed = |error: DbErr| Error::from_database(&error, path, "checking the database");
        let findings = Condition::read(connection).await.map_err(failed)?.findings(path)?;
        finding::refuse(path, &findings, accepted)
    });
    found.await.err().filter(|error| matches!(error, Error::Finding { .. } | Error::Damaged { .. }))
}

/// Returns what is pending up to the migration `last`; nothing if that one is applied.
fn until<'a>(last: Option<&str>, pending: &'a [String]) -> &'a [String] {
    match last {
        None => pending,
        Some(last) => {
            let end = pending.iter().position(|name| name == last).map_or(0, |index| index + 1);
            &pending[..end]
        }
    }
}

/// Reports that nothing was to be done.
fn finish(status: &Status, applied: Vec<String>, schema: String, report: &mut (dyn FnMut(Event) + Send)) -> Outcome {
    skip(status, report);
    report(Event::Complete { applied: applied.clone(), schema: schema.clone() });
    Outcome { applied, schema }
}

fn skip(status: &Status, report: &mut (dyn FnMut(Event) + Send)) {
    for done in &status.plan.applied {
        report(Event::Skipping { migration: done.name.clone() });
    }
}

/// Everything that writes: the transaction, and emptying the log after it.
async fn write(
    connection: &DatabaseConnection,
    path: &Path,
    release: &Release,
    request: Request<'_>,
    watch: &mut Watch<'_>,
) -> Result<(Status, Vec<String>, String), Error> {
    fault::point("migrate.opened", path)?;
    let transaction = database::begin_immediate(connection, path).await?;
    let done = match migrate(&transaction, path, release, request, watch).await {
        Ok(done) if done.1.is_empty() => {
            transaction.rollback().await.ok();
            done
        }
        Ok(done) => {
            watch
                .during("committing", transaction.commit())
                .await
                .map_err(|error| Error::from_database(&error, path, "committing"))?;
            fault::point("migrate.committed", path)?;
            done
        }
        Err(error) => {
            // SQLite may have rolled back by itself, on a full disk for instance; then this
            // fails, and closing the connection would do the same in any case.
            transaction.rollback().await.ok();
            return Err(error);
        }
    };
    watch.during("emptying the write-ahead log", database::checkpoint(connection, path)).await?;
    fault::point("migrate.checkpointed", path)?;
    Ok(done)
}

/// Runs what is pending inside the transaction and checks what it would leave behind.
/// Returns the state before, what was applied, and the fingerprint after.
async fn migrate(
    transaction: &DatabaseTransaction,
    path: &Path,
    release: &Release,
    request: Request<'_>,
    watch: &mut Watch<'_>,
) -> Result<(Status, Vec<String>, String), Error> {
    fault::point("migrate.begun", path)?;
    // Once more, under the lock: another migrator may have been faster.
    let status = inspect(transaction, path, release).await?;
    let pending = until(request.last, status.pending(path, release, request.accepted)?).to_vec();
    if pending.is_empty() {
        let schema = status.schema.fingerprint();
        return Ok((status, pending, schema));
    }
    let floor = floor::of(&release.version, release.floor.as_deref(), status.floor.as_deref()).map_err(Error::Check)?;
    skip(&status, &mut |event| watch.tell(event));
    let checking = |error: DbErr| Error::from_database(&error, path, "checking the upgrade");
    let looking = async {
        let before = check::before(transaction, &status.schema).await.map_err(checking)?;
        let settled = finding::settle(transaction, path, &before, request.accepted).await?;
        Ok::<_, Error>((before, settled))
    };
    let (before, settled) = watch.during("looking at what is there", looking).await?;
    status.drift.iter().cloned().chain(settled).for_each(|finding| watch.tell(Event::Accepted { finding }));
    prepare(transaction).await.map_err(|error| Error::from_database(&error, path, "preparing the ledger"))?;
    let mut steps = Vec::with_capacity(pending.len());
    for (index, name) in pending.iter().enumerate() {
        let (migration, number, of) = (name.clone(), index + 1, pending.len());
        watch.tell(Event::Applying { migration, number, of });
        fault::point("migrate.applying", path)?;
        let since = Instant::now();
        let schema = step(transaction, release, name, &floor, since, watch)
            .await
            .map_err(|error| Error::from_migration(&error, path, name))?;
        fault::point("migrate.applied", path)?;
        let milliseconds = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        watch.tell(Event::Applied { migration: name.clone(), number, of, milliseconds });
        steps.push((name.clone(), schema));
    }
    if let Some(problem) =
        watch.during("checking the upgrade", check::after(transaction, &before, &steps)).await.map_err(checking)?
    {
        return Err(Error::Check(problem));
    }
    fault::point("migrate.checked", path)?;
    let schema = steps.last().map(|(_, schema)| schema.fingerprint()).unwrap_or_default();
    Ok((status, pending, schema))
}

/// Marks the database as Hearth's and makes sure of the ledger.
async fn prepare(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    let mark = format!("PRAGMA application_id = {APPLICATION_ID}");
    transaction.execute_unprepared(&mark).await?;
    ledger::install(transaction).await
}

/// Applies the next pending migration, which is `name`, and writes it into the ledger.
async fn step(
    transaction: &DatabaseTransaction,
    release: &Release,
    name: &str,
    floor: &str,
    since: Instant,
    watch: &mut Watch<'_>,
) -> Result<Listing, DbErr> {
    watch.migration(name, Steps(release).up(transaction, Some(1))).await?;
    let schema = Listing::read(transaction).await?;
    ledger::record(transaction, name, &release.version, since.elapsed(), &schema, floor).await?;
    Ok(schema)
}

/// The release in the form that sea-orm's migrator wants.
struct Steps<'a>(&'a Release);

#[sea_orm_migration::async_trait::async_trait]
impl MigratorTraitSelf for Steps<'_> {
    fn migrations(&self) -> Vec<Box<dyn MigrationTrait>> {
        (self.0.migrations)()
    }
}
