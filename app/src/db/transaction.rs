//! What does a write work in, and how does it end other than well?

use std::{
    mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
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

/// The transaction that a write shares with the others of its batch.
#[derive(Debug)]
pub(crate) struct Tx {
    transaction: DatabaseTransaction,
    /// How many late rows one statement inserts.
    late_group: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The place in the batch of the write that is carried out, or that failed; `None` where it may be any of several.
    place: Option<usize>,
    /// Whether anything but a SELECT was sent: a write that only looked need not be rolled back. SQLite's `total_changes()` would
    /// be one more statement for each.
    has_written: bool,
    is_content: bool,
    /// See [`Tx::accounts_state`].
    accounts: u64,
    late: Vec<LateRow>,
}

/// A row that [`Tx::insert_late`] was given.
#[derive(Debug)]
struct LateRow {
    place: Option<usize>,
    insert: &'static str,
    values: [Value; 2],
}

/// So many late rows are inserted by one statement, and what is left one by one. Statements are kept prepared, and each number of
/// rows is another one.
pub(super) const LATE_GROUP: usize = 8;

impl Tx {
    pub(super) fn new(transaction: DatabaseTransaction, late_group: usize) -> Self {
        let accounts = next_accounts_state();
        let state = State { place: None, has_written: false, is_content: true, accounts, late: Vec::new() };
        Self { transaction, late_group, state: Mutex::new(state) }
    }

    /// Says which write of the batch comes now, and whether it is of content alone.
    pub(super) fn begin_write(&self, place: usize, is_content: bool) {
        let mut state = self.state();
        (state.place, state.has_written) = (Some(place), false);
        let was_content = mem::replace(&mut state.is_content, is_content);
        if !(was_content && is_content) {
            state.accounts = next_accounts_state();
        }
    }

    /// Returns a number that is the same only within one transaction, and there only while no write that may change accounts
    /// comes between: what was read of accounts is still so.
    pub(crate) fn accounts_state(&self) -> u64 {
        self.state().accounts
    }

    /// Returns which write of the batch it was that failed, if that is known.
    pub(super) fn failed_place(&self) -> Option<usize> {
        self.state().place
    }

    /// Returns whether the write may have changed anything.
    pub(super) fn has_written(&self) -> bool {
        self.state().has_written
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
        let mut state = self.state();
        state.has_written = true;
        let place = state.place;
        state.late.push(LateRow { place, insert, values });
    }

    /// Inserts what was left for later.
    pub(super) async fn insert_all_late(&self) -> Result<(), DbErr> {
        let rows = mem::take(&mut self.state().late);
        for group in rows.chunk_by(|one, other| one.insert == other.insert) {
            let (many, few) = group.split_at(group.len() - group.len() % self.late_group);
            for rows in many.chunks(self.late_group).chain(few.chunks(1)) {
                let sql = format!("{} {}", rows[0].insert, vec!["(?, ?)"; rows.len()].join(", "));
                let values = rows.iter().flat_map(|row| row.values.clone());
                let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, values);
                if let Err(error) = self.transaction.execute_raw(statement).await {
                    self.state().place = if let [row] = rows { row.place } else { None };
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what carries out a statement.
    async fn noting(&self, sql: &str) -> Result<&DatabaseTransaction, DbErr> {
        if !sql.starts_with("SELECT ") {
            self.state().has_written = true;
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
