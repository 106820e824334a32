//! Is the file of each attachment where it belongs?
//!
//! Asked before a new version may serve a database: an upgrade that would lose a file does not commit. By existence and length,
//! which takes a moment for 100,000 files; what is in them is hashed by each backup, and by `app files check --hash`.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, QueryResult, Statement};
use tokio::task::spawn_blocking;

use super::content_store::{ContentStore, Found};
use crate::{db::Database, failure::Failure};

/// Attachments that are looked at together. In the order of their files, so that a disk with heads need not seek.
const BATCH: i64 = 1000;

/// An attachment, and the file that it has.
struct Kept {
    id: i64,
    record_id: i64,
    hash: String,
    bytes: u64,
}

/// Looks for the file of each attachment.
///
/// # Errors
///
/// Names the first that is not there as it should be.
pub(crate) async fn prove(database: &Database, store: &ContentStore) -> Result<(), Failure> {
    let mut after = (String::new(), 0);
    loop {
        let kept = kept(database.reads(), &after).await.map_err(|error| {
            let failure =
                Failure::new(format!("the self-test could not list all attachments: {}", database.failed(error)));
            if database.is_hindered() { failure } else { failure.of_the_data() }
        })?;
        let Some(last) = kept.last() else { return Ok(()) };
        after = (last.hash.clone(), last.id);
        let store = store.clone();
        let looked = spawn_blocking(move || kept.iter().try_for_each(|kept| look(&store, kept))).await;
        looked.unwrap_or_else(|error| Err(Failure::new(format!("the attachments could not be looked at: {error}"))))?;
    }
}

fn look(store: &ContentStore, kept: &Kept) -> Result<(), Failure> {
    let Kept { id, record_id, hash, bytes } = kept;
    let file = format!("the file of attachment {id} (of record {record_id}), {}", path(hash));
    let wrong = match store.look(hash) {
        Ok(Found::File(length)) if length == *bytes => return Ok(()),
        Ok(Found::File(length)) => format!("{file}, has {length} bytes instead of {bytes}"),
        Ok(Found::Nothing) => format!("{file}, is missing"),
        Err(error) => return Err(Failure::new(format!("{file}, cannot be looked at: {error}"))),
    };
    Err(Failure::new(wrong)
        .hint("nothing was changed; `app files check` lists all such files. Put them back from a backup, or delete the attachments")
        .of_the_data())
}

/// Returns where a file lies in the data directory.
pub(super) fn path(hash: &str) -> String {
    format!("files/{}/{hash}", hash.get(..2).unwrap_or_default())
}

async fn kept(reads: &DatabaseConnection, after: &(String, i64)) -> Result<Vec<Kept>, DbErr> {
    let sql = "SELECT attachment.id, record_id, attachment.hash, bytes FROM attachment JOIN file ON file.hash = attachment.hash
        WHERE (attachment.hash, attachment.id) > (?, ?) ORDER BY attachment.hash, attachment.id LIMIT ?";
    let values = [after.0.as_str().into(), after.1.into(), BATCH.into()];
    let rows = reads.query_all_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)).await?;
    let kept = |row: &QueryResult| {
        Ok(Kept {
            id: row.try_get_by_index(0)?,
            record_id: row.try_get_by_index(1)?,
            hash: row.try_get_by_index(2)?,
            bytes: u64::try_from(row.try_get_by_index::<i64>(3)?).unwrap_or_default(),
        })
    };
    rows.iter().map(kept).collect()
}
