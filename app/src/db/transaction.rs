//! What does a write work in, and how does it end other than well?

use std::{
    mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement, Value,
    prelude::async_trait,
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
    transaction: DatabaseTransaction,
    has_written: AtomicBool,
    /// The place in the batch of the write that is carried out, or that failed; [`SEVERAL`] where it may be any of several.
    place: AtomicUsize,
    /// See [`Tx::accounts_state`].
    accounts_state: AtomicU64,
    is_content: AtomicBool,
    late: Mutex<Vec<LateRow>>,
    /// How many late rows one statement inserts.
    late_group: usize,
}

/// A row that [`Tx::insert_late`] was given.
#[derive(Debug)]
struct LateRow {
    place: usize,
    insert: &'static str,
    values: [Value; 2],
}

/// So many late rows are inserted by one statement, and what is left one by one. Statements are kept prepared, and each number of
/// rows is another one.
pub(super) const LATE_GROUP: usize = 8;

/// No place in a batch.
const SEVERAL: usize = usize::MAX;

impl Tx {
    pub(super) fn new(transaction: DatabaseTransaction, late_group: usize) -> Self {
        Self {
            transaction,
            has_written: AtomicBool::new(false),
            place: AtomicUsize::new(SEVERAL),
            accounts_state: AtomicU64::new(next_accounts_state()),
            is_content: AtomicBool::new(true),
            late: Mutex::default(),
            late_group,
        }
    }

    /// Says which write of the batch comes now, and whether it is of content alone.
    pub(super) fn begin_write(&self, place: usize, is_content: bool) {
        self.has_written.store(false, Ordering::Relaxed);
        self.place.store(place, Ordering::Relaxed);
        let was_content = self.is_content.swap(is_content, Ordering::Relaxed);
        if !(was_content && is_content) {
            self.accounts_state.store(next_accounts_state(), Ordering::Relaxed);
        }
    }

    /// Returns a number that is the same only within one transaction, and there only while no write that may change accounts
    /// comes between: what was read of accounts is still so.
    pub(crate) fn accounts_state(&self) -> u64 {
        self.accounts_state.load(Ordering::Relaxed)
    }

    /// Returns which write of the batch it was that failed, if that is known.
    pub(super) fn failed_place(&self) -> Option<usize> {
        Some(self.place.load(Ordering::Relaxed)).filter(|place| *place != SEVERAL)
    }

    /// Returns whether the write may have changed anything.
    pub(super) fn has_written(&self) -> bool {
        self.has_written.load(Ordering::Relaxed)
    }

    pub(super) async fn rollback(self) -> Result<(), DbErr> {
        self.transaction.rollback().await
    }

    pub(super) async fn commit(self) -> Result<(), DbErr> {
        self.transaction.commit().await
    }

    /// Inserts a row of two values with `insert`, which ends in `VALUES`: together with such rows of other writes, before the
    /// next statement that is neither an `INSERT` nor a `SELECT`, and at the latest before the commit.
    ///
    /// A full-text index writes what it has gathered to its tables whenever another statement with triggers begins. Rows
    /// of which each comes after a statement of its own cost it three times what the same rows cost in one go.
    pub(crate) fn insert_late(&self, insert: &'static str, values: [Value; 2]) {
        self.has_written.store(true, Ordering::Relaxed);
        let place = self.place.load(Ordering::Relaxed);
        self.late().push(LateRow { place, insert, values });
    }

    /// Inserts what was left for later.
    pub(super) async fn insert_all_late(&self) -> Result<(), DbErr> {
        let rows = mem::take(&mut *self.late());
        for group in rows.chunk_by(|one, other| one.insert == other.insert) {
            let (many, few) = group.split_at(group.len() - group.len() % self.late_group);
            for rows in many.chunks(self.late_group).chain(few.chunks(1)) {
                let sql = format!("{} {}", rows[0].insert, vec!["(?, ?)"; rows.len()].join(", "));
                let values = rows.iter().flat_map(|row| row.values.clone());
                let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, values);
                if let Err(error) = self.transaction.execute_raw(statement).await {
                    let place = if let [row] = rows { row.place } else { SEVERAL };
                    self.place.store(place, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn late(&self) -> MutexGuard<'_, Vec<LateRow>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what carries out a statement.
    async fn noting(&self, sql: &str) -> Result<&DatabaseTransaction, DbErr> {
        if !sql.starts_with("SELECT ") {
            self.has_written.store(true, Ordering::Relaxed);
            if !sql.starts_with("INSERT ") {
                self.insert_all_late().await?;
            }
        }
        Ok(&self.transaction)
    }
}

fn next_accounts_state() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

#[async_trait::async_trait]
impl ConnectionTrait for Tx {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Sqlite
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.noting(&statement.sql).await?.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.noting(sql).await?.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.noting(&statement.sql).await?.query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.noting(&statement.sql).await?.query_all_raw(statement).await
    }
}
