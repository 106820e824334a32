//! What does a write work in, and how does it end other than well?

use std::sync::atomic::{AtomicBool, Ordering};

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement, prelude::async_trait,
};

use super::DbError;

/// Why a write did not happen. Whatever it wrote until then is rolled back.
#[derive(Debug)]
pub(crate) enum Abort<R> {
    /// The write itself refused what it was asked.
    Refused(R),
    Db(DbError),
}

impl<R> From<DbErr> for Abort<R> {
    fn from(error: DbErr) -> Self {
        Self::Db(error.into())
    }
}

/// The transaction that a write shares with the others of its batch. It notes whether anything but a SELECT was sent, since
/// a write that only looked need not be rolled back. SQLite's `total_changes()` would be one more statement for each.
#[derive(Debug)]
pub(crate) struct Tx {
    pub(super) transaction: DatabaseTransaction,
    has_written: AtomicBool,
}

impl Tx {
    pub(super) fn new(transaction: DatabaseTransaction) -> Self {
        Self { transaction, has_written: AtomicBool::new(false) }
    }

    /// Returns whether anything may have been changed since this was asked last.
    pub(super) fn take_has_written(&self) -> bool {
        self.has_written.swap(false, Ordering::Relaxed)
    }

    /// Returns what carries out a statement.
    fn noting(&self, sql: &str) -> &DatabaseTransaction {
        if !sql.starts_with("SELECT ") {
            self.has_written.store(true, Ordering::Relaxed);
        }
        &self.transaction
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Tx {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Sqlite
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.noting(&statement.sql).execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.noting(sql).execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.noting(&statement.sql).query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.noting(&statement.sql).query_all_raw(statement).await
    }
}
