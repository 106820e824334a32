//! What is this file, and how does it become records?

use std::io::{self, Read};

use rawzip::FileReader;
use tokio::task::spawn_blocking;

use super::{
    format::BINDER,
    import::{
        Reading,
        addition::{self, Report},
        binder::{self, BadImport},
        homebox_csv, homebox_zip,
        table::{self, Table},
    },
    zip::reader::Archive,
};
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Caller, idempotency::Once},
    http::Problem,
    records::attachments::{Attachments, Spooled},
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
            attachments.check_room(database, archive.all_bytes()).await?;
            let store = attachments.clone();
            (read(move || binder::read(&archive, &store)).await?, "an export of Hearth")
        }
        Found::Homebox(archive) => {
            attachments.check_room(database, archive.all_bytes()).await?;
            let store = attachments.clone();
            (read(move || homebox_zip::read(&archive, &store, currency.as_deref())).await?, "Homebox")
        }
    };
    let report = addition::add(database, caller, reading, from, once).await?;
    attachments.look_for_texts();
    Ok(Ok(report))
}

async fn read(work: impl FnOnce() -> Result<Reading, BadImport> + Send + 'static) -> Result<Reading, Problem> {
    let outcome = spawn_blocking(work).await.unwrap_or_else(|error| Err(BadImport::Machine(io::Error::other(error))));
    outcome.map_err(|error| unusable(&error))
}

fn unusable(error: &BadImport) -> Problem {
    match error {
        BadImport::Machine(error) => {
            let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
            tracing::error!("The files of an import cannot be stored: {error}");
            Problem::new(StatusCode::INSUFFICIENT_STORAGE).detail(match is_full {
                true => "The server's disk is full. Nothing was imported.",
                false => "The server cannot write to its disk. Nothing was imported.",
            })
        }
        error => refused(error.to_string()),
    }
}

/// The refusal of a file that cannot be imported.
pub(super) fn refused(why: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY).detail(format!("{} Nothing was imported.", why.into()))
}
