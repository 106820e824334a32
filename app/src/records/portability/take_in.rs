//! What is this file, and how does it become records?

use std::io::{self, Read};

use rawzip::FileReader;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    task::spawn_blocking,
};

use super::{
    format::BINDER,
    import::{
        Reading,
        addition::{self, Report},
        bad_import::BadImport,
        binder, homebox_csv, homebox_zip,
        table::{self, Table},
    },
    zip::reader::Archive,
};
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Caller, idempotency::Once},
    http::{Code, IdempotencyKey, Problem},
    records::attachments::{Attachments, Location, NotKept, Spooled},
};
use poem::http::StatusCode;

/// What a file is.
pub(super) enum Found {
    /// An archive of Hearth's own.
    Binder(Archive<FileReader>),
    /// An archive of Homebox's.
    Homebox(Archive<FileReader>),
    /// A table of Homebox's.
    HomeboxTable(Table),
    /// A table, whose columns somebody has to match.
    Table(Table),
}

/// Waits until no other file is taken in: what one says is in memory as a whole.
pub(super) async fn turn() -> Option<SemaphorePermit<'static>> {
    static TURNS: Semaphore = Semaphore::const_new(1);
    // It is never closed.
    TURNS.acquire().await.ok()
}

/// Finds out what a file is.
pub(super) async fn look(spooled: &Spooled) -> Result<Found, Problem> {
    let (file, bytes) = (spooled.open(), spooled.bytes());
    let found =
        spawn_blocking(move || look_into(file?, bytes)).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    found.map_err(|error| {
        tracing::error!("A file that is to be imported cannot be read: {error}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
            .detail("An internal error occurred. See Hearth's log for details.")
    })?
}

fn look_into(mut file: std::fs::File, bytes: u64) -> io::Result<Result<Found, Problem>> {
    let mut beginning = Vec::new();
    (&mut file).take(4).read_to_end(&mut beginning)?;
    if beginning.starts_with(b"PK") {
        let archive = match Archive::open(FileReader::from(file), bytes) {
            Ok(archive) => archive,
            Err(error) => return Ok(Err(unusable(&BadImport::from(error)))),
        };
        return Ok(if archive.bytes(BINDER).is_some() {
            Ok(Found::Binder(archive))
        } else if archive.bytes(homebox_zip::MANIFEST).is_some() {
            Ok(Found::Homebox(archive))
        } else {
            Err(refused("The archive is neither an export of Hearth nor one of Homebox."))
        });
    }
    let mut content = beginning;
    // One byte more than there may be tells that there are more.
    file.take(table::LARGEST as u64 + 1).read_to_end(&mut content)?;
    Ok(match Table::read(&content) {
        Ok(table) if homebox_csv::is_homebox(&table) => Ok(Found::HomeboxTable(table)),
        Ok(table) => Ok(Found::Table(table)),
        Err(error) => Err(refused(error.to_string())),
    })
}

/// Returns an import of a file that is done once for a key. With the same key another file is refused.
pub(super) fn once(key: IdempotencyKey, operation: &str, spooled: &Spooled, currency: Option<&str>) -> Option<Once> {
    Once::new(key, operation, &format!("{} {}", spooled.hash(), currency.unwrap_or_default()))
}

/// Takes in what needs no further word, and returns what was done; a table of which nobody knows the columns is returned.
pub(super) async fn take_in(
    database: &AuthorizedDatabase,
    attachments: &Attachments,
    caller: &Caller,
    found: Found,
    currency: Option<String>,
    once: Option<Once>,
) -> Result<Result<Report, Table>, Problem> {
    let (reading, from) = match found {
        Found::Table(table) => return Ok(Err(table)),
        Found::HomeboxTable(table) => (homebox_csv::read(&table, currency.as_deref()), "Homebox"),
        Found::Binder(archive) => {
            let bytes = archive.bytes_of_entries_up_to(attachments.largest());
            let mut keeper = attachments.keeper(database, bytes, Location::Kept).await?;
            (read(move || binder::read(&archive, &mut keeper)).await?, "an export of Hearth")
        }
        Found::Homebox(archive) => {
            let bytes = archive.bytes_of_entries_up_to(attachments.largest());
            let mut keeper = attachments.keeper(database, bytes, Location::Removed).await?;
            (read(move || homebox_zip::read(&archive, &mut keeper, currency.as_deref())).await?, "Homebox")
        }
    };
    let report = addition::add(database, caller, attachments, reading, from, once).await?;
    attachments.look_for_texts();
    Ok(Ok(report))
}

async fn read(work: impl FnOnce() -> Result<Reading, BadImport> + Send + 'static) -> Result<Reading, Problem> {
    let failed = |error| Err(BadImport::Machine(NotKept::Machine(io::Error::other(error))));
    let outcome = spawn_blocking(work).await.unwrap_or_else(failed);
    outcome.map_err(|error| unusable(&error))
}

fn unusable(error: &BadImport) -> Problem {
    match error {
        BadImport::Machine(NotKept::Machine(error)) => {
            use io::ErrorKind::{QuotaExceeded, StorageFull};
            tracing::error!("The files of an import cannot be stored: {error}");
            let problem = Problem::new(StatusCode::INSUFFICIENT_STORAGE);
            if matches!(error.kind(), StorageFull | QuotaExceeded) {
                let detail =
                    "The server's disk is full. Nothing was imported. Free some space, and import the file again.";
                return problem.code(Code::DiskFull).detail(detail);
            }
            problem.detail("The server cannot write to its disk. Nothing was imported.")
        }
        BadImport::Machine(error) => {
            tracing::warn!("The files of an import cannot be stored: {error}");
            Problem::unavailable("The pictures cannot be looked into. Nothing was imported. Try again in a moment.", 30)
        }
        error => refused(error.to_string()),
    }
}

/// The refusal of a file that cannot be imported.
pub(super) fn refused(why: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY).detail(format!("{} Nothing was imported.", why.into()))
}
