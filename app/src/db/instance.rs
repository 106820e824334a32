//! Which instance of Hearth is this?
//!
//! A random number in the database's header (`PRAGMA user_version`, which nothing else uses), made at the first start that
//! may write. It says nothing about anybody; it tells two instances on one host apart. A restored copy gets another one.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use super::{Database, DbError, Tx};
use crate::failure::Failure;

impl Database {
    /// Returns the number of this instance, a new one where there is none and it may be written.
    pub(crate) async fn instance(&self) -> Result<u32, Failure> {
        let there = read(self.reads()).await.map_err(|error| unknown(&self.failed(error)))?;
        if there != 0 || !self.may_write() {
            return Ok(there);
        }
        let made = self
            .write(async |tx| match read(tx).await? {
                0 => Ok(tx.renew_instance().await?),
                there => Ok(there),
            })
            .await;
        made.map_err(|error: DbError| unknown(&error))
    }
}

impl Tx {
    /// Makes the database another instance's, and returns its number.
    pub(crate) async fn renew_instance(&self) -> Result<u32, DbErr> {
        let mut bytes = [0; 4];
        getrandom::fill(&mut bytes).map_err(|error| DbErr::Custom(format!("no random number: {error}")))?;
        // SQLite keeps it with a sign, and 0 is none.
        let instance = u32::from_le_bytes(bytes) >> 1 | 1;
        self.execute_unprepared(&format!("PRAGMA user_version = {instance}")).await?;
        Ok(instance)
    }
}

async fn read(connection: &impl ConnectionTrait) -> Result<u32, DbErr> {
    let row = connection.query_one_raw(Statement::from_string(DbBackend::Sqlite, "PRAGMA user_version")).await?;
    let number: i32 = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
    Ok(number.cast_unsigned())
}

fn unknown(error: &DbError) -> Failure {
    Failure::new(format!("the number of this instance cannot be read or written: {error}"))
}
