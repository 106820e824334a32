//! What begins anew in a database that comes from a backup?
//!
//! The numbers of changes, which are given again from here on: a copy that counts on those of before starts again. And the time
//! for which the trash is kept, since what was deleted before the backup was made may be what somebody restores it for.

use sea_orm::ConnectionTrait;

use super::history::emptying;
use crate::{
    db::{Database, DbError},
    failure::Failure,
};

/// Makes numbers of changes from before a restore worthless, and keeps what is in the trash for its time from here on.
pub(crate) async fn begin_epoch(database: &Database) -> Result<(), Failure> {
    database
        .write_content(async |tx| {
            tx.execute_unprepared("UPDATE record_state SET epoch = lower(hex(randomblob(8)))").await?;
            Ok(emptying::begin_anew(tx).await?)
        })
        .await
        .map_err(|error: DbError| {
            Failure::new(format!("the changes of the restored database cannot be numbered: {error}"))
                .hint("nothing was restored; what was there before is untouched")
        })
}
