//! How do the texts of PDFs get into the search?
//!
//! One at a time, after the attachment is there: nobody waits for it. What was not read yet when the app ended is read after its
//! next start.

use std::{sync::Arc, time::Duration};

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, QueryFilter, Select, Statement,
    sea_query::Expr,
};
use tokio::task::spawn_blocking;

use super::{Attachments, entity::file};
use crate::{
    db::{Database, DbError},
    media::{self, MediaError},
    records::{
        entity::{Entity, has_known_visibility},
        indexing::index_files,
    },
};

/// How long to wait when a text could not be read or written for want of something that may be there later.
const AGAIN: Duration = Duration::from_secs(5 * 60);

/// Why a file is left for later.
#[derive(Debug, thiserror::Error)]
enum Left {
    #[error("{0}")]
    Database(#[from] DbError),
    #[error("{0}")]
    Media(#[from] MediaError),
}

impl Attachments {
    /// Reads the texts of PDFs, for as long as the app runs.
    pub(crate) async fn read_texts(self, database: Arc<Database>) {
        loop {
            if let Err(why) = self.read_all(&database).await {
                tracing::warn!("The texts of PDFs could not be read, which is tried again later: {why}");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            self.unread.notified().await;
        }
    }

    /// Reads all that is not read yet.
    async fn read_all(&self, database: &Database) -> Result<(), Left> {
        let mut after = String::new();
        while let Some(hash) = next_unread(database.reads(), &after).await.map_err(|error| database.failed(error))? {
            after.clone_from(&hash);
            let (store, wanted) = (self.store.clone(), hash.clone());
            let file = spawn_blocking(move || store.open(&wanted)).await;
            // One that is lost is tried again when it may be back.
            let Ok(Ok(Some(file))) = file else { continue };
            let text = match media::pdf_text(file).await {
                Ok(text) => text.unwrap_or_default(),
                Err(error @ MediaError::Run(_)) => return Err(error.into()),
                Err(error) => {
                    tracing::info!("A PDF has no text that can be read: {error}");
                    String::new()
                }
            };
            keep(database, hash, text).await?;
        }
        Ok(())
    }
}

/// Returns the next file that is still to be read. Only PDFs are; the others are written down as without a text.
pub(super) async fn next_unread(reads: &DatabaseConnection, after: &str) -> Result<Option<String>, DbErr> {
    let sql = "SELECT hash FROM file WHERE text IS NULL AND hash > ? ORDER BY hash LIMIT 1";
    let row = reads.query_one_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, [after.into()])).await?;
    row.map(|row| row.try_get_by_index(0)).transpose()
}

/// The records that have this file.
pub(super) fn having(hash: &str) -> Select<Entity> {
    let with_it = r#""id" IN (SELECT "record_id" FROM "attachment" WHERE "hash" = ?)"#;
    Entity::find().filter(Expr::cust_with_values(with_it, [hash])).filter(has_known_visibility())
}

/// Writes a text down, and makes it known to the search for each record that has the file.
async fn keep(database: &Database, hash: String, text: String) -> Result<(), DbError> {
    database
        .write_content(async move |tx| {
            let update = file::Entity::update_many().filter(file::Column::Hash.eq(&hash));
            update.col_expr(file::Column::Text, text.as_str().into()).exec(tx).await?;
            for record in having(&hash).all(tx).await? {
                index_files(tx, record.id, record.scope()).await?;
            }
            Ok(())
        })
        .await
}
