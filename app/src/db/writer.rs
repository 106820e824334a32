//! How do many writers share the one connection that SQLite has for them?
//!
//! A task owns it. While one transaction is being written to the disk, further writes queue up; the next
//! transaction carries out all of them, and each is answered after the commit. So a lone write waits for nobody, and
//! a hundred at once cost one fsync instead of a hundred. When one of them fails, which is rare, all are rolled back
//! and each gets a transaction of its own. A savepoint for each would save work then, and cost twice the time always.

use std::{
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::BoxFuture};
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use super::{DbError, Role, connect};
use crate::fault;

/// Writes in one transaction: enough to spread an fsync, few enough that the first is not kept waiting.
const BATCH: usize = 64;

/// Writes that may wait; beyond it a request waits for room.
const QUEUE: usize = 256;

/// How long to wait for the last writes when closing. The drain before it has already given them their time.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The handle to the writing task.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    task: Mutex<Option<JoinHandle<()>>>,
    busy_since: BusySince,
}

/// When the transaction under way began.
type BusySince = Arc<std::sync::Mutex<Option<Instant>>>;

/// How the writer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriterState {
    /// It waits for work, or does it; for how long the transaction under way has taken.
    Working(Duration),
    /// It has ended: nothing can be written any more.
    Gone,
}

impl Writer {
    /// Opens the connection and starts the task.
    pub(super) async fn open(path: &Path) -> Result<Self, DbErr> {
        let connection = connect(path, Role::Writer).await?;
        let (queue, jobs) = mpsc::channel(QUEUE);
        let busy_since = BusySince::default();
        let task = tokio::spawn(run(path.to_owned(), connection, jobs, busy_since.clone()));
        Ok(Self { queue: Mutex::new(Some(queue)), task: Mutex::new(Some(task)), busy_since })
    }

    /// Carries out `work` in the next transaction and returns after its commit; once more if another write in that
    /// transaction failed. It is carried out also when the caller stops waiting: a client that goes away leaves no
    /// half of anything. `changes` is counted up when it is done, before anybody can know.
    pub(super) async fn write<T, F>(&self, work: F, changes: Option<Arc<AtomicU64>>) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: for<'t> FnMut(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, DbErr>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Typed { work, value: None, changes, answer });
        let queue = self.queue.lock().await.clone().ok_or(DbError::Closed)?;
        queue.send(job).await.map_err(|_| DbError::Closed)?;
        answered.await.map_err(|_| DbError::Closed)?
    }

    /// Returns how the writer is.
    pub(super) async fn state(&self) -> WriterState {
        match &*self.queue.lock().await {
            Some(queue) if !queue.is_closed() => {
                WriterState::Working(lock(&self.busy_since).map_or(Duration::ZERO, |since| since.elapsed()))
            }
            _ => WriterState::Gone,
        }
    }

    /// Lets the task finish what it was given, and closes the connection.
    pub(super) async fn close(&self) {
        self.queue.lock().await.take();
        if let Some(mut task) = self.task.lock().await.take()
            && timeout(CLOSE_TIMEOUT, &mut task).await.is_err()
        {
            tracing::warn!("The last writes took too long; the next start completes the checkpoint");
            task.abort();
        }
    }
}

/// One piece of work whose result type only its caller knows.
trait Job: Send {
    /// Does the work and keeps its result.
    fn carry_out<'t>(&'t mut self, transaction: &'t DatabaseTransaction) -> BoxFuture<'t, Result<(), DbErr>>;
    /// Answers with the result that was kept, or with the error.
    fn answer(self: Box<Self>, outcome: Result<(), DbError>);
}

struct Typed<T, F> {
    work: F,
    value: Option<T>,
    changes: Option<Arc<AtomicU64>>,
    answer: oneshot::Sender<Result<T, DbError>>,
}

impl<T, F> Job for Typed<T, F>
where
    T: Send + 'static,
    F: for<'t> FnMut(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, DbErr>> + Send + 'static,
{
    fn carry_out<'t>(&'t mut self, transaction: &'t DatabaseTransaction) -> BoxFuture<'t, Result<(), DbErr>> {
        async move {
            self.value = Some((self.work)(transaction).await?);
            Ok(())
        }
        .boxed()
    }

    fn answer(self: Box<Self>, outcome: Result<(), DbError>) {
        let Self { value, changes, answer, .. } = *self;
        // Also when it failed: nobody knows what a commit did that ended in an error.
        if let Some(changes) = changes {
            changes.fetch_add(1, Ordering::SeqCst);
        }
        let result =
            outcome.and_then(|()| value.ok_or_else(|| DbError::Other("the work was not carried out".to_owned())));
        // Nobody may be waiting any more.
        let _ = answer.send(result);
    }
}

async fn run(
    path: PathBuf,
    connection: DatabaseConnection,
    mut jobs: mpsc::Receiver<Box<dyn Job>>,
    busy_since: BusySince,
) {
    let mut line = Line { path, connection, busy_since };
    let mut batch = Vec::new();
    while jobs.recv_many(&mut batch, BATCH).await > 0 {
        line.commit_all(&mut batch).await;
    }
    if let Err(error) = line.connection.close().await {
        tracing::warn!("The writer did not close: {error}");
    }
}

fn lock(busy_since: &BusySince) -> std::sync::MutexGuard<'_, Option<Instant>> {
    busy_since.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The one connection that writes.
struct Line {
    path: PathBuf,
    connection: DatabaseConnection,
    busy_since: BusySince,
}

/// Where a transaction failed of which nothing was done.
enum Undone {
    Begin(DbErr),
    /// In one of its writes; it was rolled back, and the connection is sound.
    Work(DbErr),
    /// Or when it was rolled back.
    Commit(DbErr),
}

impl Line {
    /// Commits the batch and answers all of it.
    async fn commit_all(&mut self, batch: &mut Vec<Box<dyn Job>>) {
        match self.commit(batch).await {
            Err(Undone::Work(error)) if batch.len() > 1 && !dooms_all(&error) => {
                for job in batch.drain(..) {
                    let mut alone = vec![job];
                    let outcome = self.commit(&mut alone).await;
                    answer(&mut alone, outcome);
                }
            }
            outcome => answer(batch, outcome),
        }
    }

    /// Carries out the batch in one transaction.
    async fn commit(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), Undone> {
        *lock(&self.busy_since) = Some(Instant::now());
        let outcome = transact(&self.connection, batch).await;
        let sound = match &outcome {
            Ok(()) | Err(Undone::Work(_)) => true,
            // Busy: another process held the lock.
            Err(Undone::Begin(error)) => matches!(DbError::from(error.clone()), DbError::Busy),
            // SQLite may have rolled back on its own, which sqlx does not notice.
            Err(Undone::Commit(_)) => false,
        };
        if !sound {
            self.reopen().await;
        }
        *lock(&self.busy_since) = None;
        outcome
    }

    async fn reopen(&mut self) {
        let _ = self.connection.close_by_ref().await;
        match connect(&self.path, Role::Writer).await {
            Ok(connection) => self.connection = connection,
            // The closed one stays: each write fails on it and comes here to try again.
            Err(error) => tracing::error!("The writing connection could not be opened again: {error}"),
        }
    }
}

fn answer(batch: &mut Vec<Box<dyn Job>>, outcome: Result<(), Undone>) {
    let outcome = outcome.map_err(|(Undone::Begin(error) | Undone::Work(error) | Undone::Commit(error))| {
        tracing::warn!("A write failed: {error}");
        DbError::from(error)
    });
    for job in batch.drain(..) {
        job.answer(outcome.clone());
    }
}

/// Whether the other writes would meet the same.
fn dooms_all(error: &DbErr) -> bool {
    matches!(DbError::from(error.clone()), DbError::Full | DbError::Refused(_) | DbError::Damaged(_))
}

async fn transact(connection: &DatabaseConnection, batch: &mut [Box<dyn Job>]) -> Result<(), Undone> {
    // IMMEDIATE: a transaction that reads first and writes later fails at once when another process wrote between.
    let options =
        TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..Default::default() };
    let transaction = connection.begin_with_options(options).await.map_err(Undone::Begin)?;
    for job in batch {
        let outcome = AssertUnwindSafe(job.carry_out(&transaction)).catch_unwind().await;
        // The panic hook has logged what it was.
        let outcome = outcome.unwrap_or_else(|_| Err(DbErr::Custom("the write panicked".to_owned())));
        if let Err(error) = outcome {
            return Err(match transaction.rollback().await {
                Ok(()) => Undone::Work(error),
                Err(_) => Undone::Commit(error),
            });
        }
    }
    transaction.commit().await.map_err(Undone::Commit)?;
    fault::hit("app.committed").map_err(|error| Undone::Commit(DbErr::Custom(error.to_string())))
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait;

    use super::*;

    /// A database with a table of unique numbers.
    fn database() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.db");
        rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (n INTEGER UNIQUE)").unwrap();
        (directory, path)
    }

    fn numbers(path: &Path) -> Vec<i64> {
        let connection = rusqlite::Connection::open(path).unwrap();
        let mut statement = connection.prepare("SELECT n FROM t ORDER BY n").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[tokio::test]
    async fn a_write_that_fails_or_panics_takes_no_other_with_it() {
        let (_directory, path) = database();
        let writer = Writer::open(&path).await.unwrap();
        // All are queued before the task comes to run, so they are one batch.
        let outcomes = futures_util::future::join_all((0..20).map(|number: i64| {
            writer.write(
                move |transaction| {
                    async move {
                        // Each writes something first, which must go if it fails later.
                        let first = format!("INSERT INTO t VALUES ({})", number * 10);
                        transaction.execute_unprepared(&first).await?;
                        assert!(number != 7, "a bug");
                        if number % 3 == 0 {
                            transaction.execute_unprepared("INSERT INTO t VALUES (0), (0)").await?;
                        }
                        Ok(number)
                    }
                    .boxed()
                },
                None,
            )
        }))
        .await;
        let fine: Vec<_> = (0..20).filter(|number| number % 3 != 0 && *number != 7).collect();
        let done: Vec<_> = outcomes.into_iter().flatten().collect();
        assert_eq!(done, fine);
        assert_eq!(numbers(&path), fine.iter().map(|number| number * 10).collect::<Vec<_>>());
        assert!(matches!(writer.state().await, WriterState::Working(_)));
        writer.close().await;
        assert_eq!(writer.state().await, WriterState::Gone);
        assert!(!path.with_file_name("app.db-wal").exists());
    }

    #[tokio::test]
    async fn the_writer_goes_on_after_a_commit_that_failed() {
        let (_directory, path) = database();
        let writer = Writer::open(&path).await.unwrap();
        let add = |sql: &'static str| {
            writer.write(
                move |transaction| async move { transaction.execute_unprepared(sql).await.map(drop) }.boxed(),
                None,
            )
        };
        // Ends the transaction beneath sqlx, as SQLite does by itself when the disk is full.
        assert!(add("ROLLBACK").await.is_err());
        add("INSERT INTO t VALUES (1)").await.unwrap();
        writer.close().await;
        assert_eq!(numbers(&path), [1]);
    }
}
