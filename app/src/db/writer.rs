//! How do many writers share the one connection that SQLite has for them?
//!
//! A thread owns it. While one transaction is being written to the disk, further writes queue up; the next
//! transaction carries out all of them, and each is answered after the commit. So a lone write waits for nobody, and
//! a hundred at once cost one fsync instead of a hundred. A write that fails, or that wrote something before it refused,
//! is rolled back with all of its batch, and the others are carried out again without it. A savepoint for each would
//! save that work, which is rare, and cost twice the time always. A refusal that wrote nothing costs nothing.

use std::{
    io,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::LocalBoxFuture};
use sea_orm::{DatabaseConnection, DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use tokio::{
    runtime,
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{Abort, DbError, Role, Tx, connect, transaction::LATE_GROUP};
use crate::fault;

/// Writes in one transaction: enough to spread an fsync, few enough that the first is not kept waiting.
const BATCH: usize = 64;

/// Writes that may wait; beyond it a request waits for room.
const QUEUE: usize = 256;

/// How long to wait for the last writes when closing. The drain before it has already given them their time.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The handle to the writing thread.
#[derive(Debug)]
pub(super) struct Writer {
    thread: ThreadId,
    queue: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    /// Closed by the thread when it has ended.
    end: Mutex<Option<oneshot::Receiver<()>>>,
    busy_since: BusySince,
}

/// When the transaction under way began.
type BusySince = Arc<Mutex<Option<Instant>>>;

/// How the writer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriterState {
    /// It waits for work, or does it; for how long the transaction under way has taken.
    Working(Duration),
    /// It has ended: nothing can be written any more.
    Gone,
}

impl Writer {
    /// Starts the thread, which opens the connection. The futures of lending closures are not `Send`, so the thread has a
    /// runtime of its own.
    pub(super) async fn open(path: &Path) -> Result<Self, DbErr> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (opened, is_open) = oneshot::channel();
        let (ended, end) = oneshot::channel();
        let busy_since = BusySince::default();
        let (path, busy) = (path.to_owned(), busy_since.clone());
        let work = move || {
            match runtime::Builder::new_current_thread().enable_time().build() {
                Ok(runtime) => runtime.block_on(run(path, opened, jobs, busy)),
                Err(error) => drop(opened.send(Err(not_started(&error)))),
            }
            drop::<oneshot::Sender<()>>(ended);
        };
        let thread =
            thread::Builder::new().name("writer".to_owned()).spawn(work).map_err(|error| not_started(&error))?;
        is_open.await.map_err(|_| DbErr::Custom("the writer ended".to_owned()))??;
        let (queue, end) = (Mutex::new(Some(queue)), Mutex::new(Some(end)));
        Ok(Self { thread: thread.thread().id(), queue, end, busy_since })
    }

    /// Carries out `work` in the next transaction and returns after its commit; once more if another write in that
    /// transaction had to be rolled back. It is carried out also when the caller stops waiting: a client that goes away
    /// leaves no half of anything. `changes` is counted up when it is done, before anybody can know.
    pub(super) async fn write<T, R, F>(&self, work: F, changes: Option<Arc<AtomicU64>>) -> Result<T, Abort<R>>
    where
        T: Send + 'static,
        R: Send + 'static,
        F: AsyncFnMut(&Tx) -> Result<T, Abort<R>> + Send + 'static,
    {
        // It would wait for the transaction that waits for it.
        if thread::current().id() == self.thread {
            return Err(Abort::Db(DbError::Other("a write was begun within another write".to_owned())));
        }
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Typed { work, outcome: None, changes, answer });
        let queue = lock(&self.queue).clone().ok_or(Abort::Db(DbError::Closed))?;
        queue.send(job).await.map_err(|_| Abort::Db(DbError::Closed))?;
        answered.await.map_err(|_| Abort::Db(DbError::Closed))?
    }

    /// Returns how the writer is.
    pub(super) fn state(&self) -> WriterState {
        match &*lock(&self.queue) {
            Some(queue) if !queue.is_closed() => {
                WriterState::Working(lock(&self.busy_since).map_or(Duration::ZERO, |since| since.elapsed()))
            }
            _ => WriterState::Gone,
        }
    }

    /// Lets the thread finish what it was given, and close the connection.
    pub(super) async fn close(&self) {
        lock(&self.queue).take();
        let end = lock(&self.end).take();
        if let Some(end) = end
            && timeout(CLOSE_TIMEOUT, end).await.is_err()
        {
            tracing::warn!("The last writes took too long; the next start completes the checkpoint");
        }
    }
}

fn not_started(error: &io::Error) -> DbErr {
    DbErr::Custom(format!("the writer cannot be started: {error}"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One piece of work whose result type only its caller knows.
trait Job: Send {
    /// Does the work and keeps its outcome. An error says that all must be rolled back: the database's, or none where the
    /// work refused after it had written something.
    fn carry_out<'t>(&'t mut self, tx: &'t Tx) -> LocalBoxFuture<'t, Result<(), Option<DbError>>>;
    /// Whether it leaves accounts alone.
    fn is_content(&self) -> bool;
    /// Answers with the outcome that was kept, or with the error of the transaction.
    fn answer(self: Box<Self>, committed: Result<(), DbError>);
}

struct Typed<T, R, F> {
    work: F,
    outcome: Option<Result<T, Abort<R>>>,
    changes: Option<Arc<AtomicU64>>,
    answer: oneshot::Sender<Result<T, Abort<R>>>,
}

impl<T, R, F> Job for Typed<T, R, F>
where
    T: Send + 'static,
    R: Send + 'static,
    F: AsyncFnMut(&Tx) -> Result<T, Abort<R>> + Send + 'static,
{
    fn carry_out<'t>(&'t mut self, tx: &'t Tx) -> LocalBoxFuture<'t, Result<(), Option<DbError>>> {
        async move {
            let outcome = AssertUnwindSafe((self.work)(tx)).catch_unwind().await;
            // The panic hook has logged what it was.
            let panicked = |_| Err(Abort::Db(DbError::Other("the write panicked".to_owned())));
            match self.outcome.insert(outcome.unwrap_or_else(panicked)) {
                Err(Abort::Refused(_)) if tx.has_written() => Err(None),
                Err(Abort::Db(error)) => Err(Some(error.clone())),
                Ok(_) | Err(Abort::Refused(_)) => Ok(()),
            }
        }
        .boxed_local()
    }

    fn is_content(&self) -> bool {
        self.changes.is_none()
    }

    fn answer(self: Box<Self>, committed: Result<(), DbError>) {
        let Self { outcome, changes, answer, .. } = *self;
        let not_carried_out = || Err(Abort::Db(DbError::Other("the work was not carried out".to_owned())));
        let outcome = committed.map_err(Abort::Db).and_then(|()| outcome.unwrap_or_else(not_carried_out));
        // Also when it failed: nobody knows what a commit did that ended in an error.
        if let Some(changes) = changes
            && !matches!(outcome, Err(Abort::Refused(_)))
        {
            changes.fetch_add(1, Ordering::SeqCst);
        }
        // Nobody may be waiting any more.
        let _ = answer.send(outcome);
    }
}

async fn run(
    path: PathBuf,
    opened: oneshot::Sender<Result<(), DbErr>>,
    mut jobs: mpsc::Receiver<Box<dyn Job>>,
    busy_since: BusySince,
) {
    let connection = match connect(&path, Role::Writer).await {
        Ok(connection) => connection,
        Err(error) => return drop(opened.send(Err(error))),
    };
    let _ = opened.send(Ok(()));
    let mut writer = WriterConnection { path, connection, busy_since };
    let mut batch = Vec::new();
    while jobs.recv_many(&mut batch, BATCH).await > 0 {
        writer.commit_all(&mut batch).await;
    }
    if let Err(error) = writer.connection.close().await {
        tracing::warn!("The writer did not close: {error}");
    }
}

/// The one connection that writes.
struct WriterConnection {
    path: PathBuf,
    connection: DatabaseConnection,
    busy_since: BusySince,
}

/// Why a batch was not committed.
enum BatchError {
    /// The job at this place spoiled it; all was rolled back, and the connection is sound.
    Job(usize, Option<DbError>),
    /// As `Job`, but it may have been any of several.
    Several(DbError),
    Begin(DbError),
    /// The commit, or the rollback: what SQLite has rolled back on its own cannot be rolled back.
    Commit(DbError),
}

impl WriterConnection {
    /// Commits the batch but what spoils it, and answers all of it.
    async fn commit_all(&mut self, batch: &mut Vec<Box<dyn Job>>) {
        let (mut left_out, mut late_group) = (Vec::new(), LATE_GROUP);
        let committed = loop {
            match self.commit(batch, late_group).await {
                Ok(()) => break Ok(()),
                Err(BatchError::Job(place, error)) => {
                    left_out.push((batch.remove(place), error.clone()));
                    let Some(error) = error else { continue };
                    tracing::warn!("A write failed: {error}");
                    if dooms_all(&error) {
                        break Err(error);
                    }
                }
                Err(BatchError::Several(error)) if !dooms_all(&error) => late_group = 1,
                Err(BatchError::Begin(error) | BatchError::Commit(error) | BatchError::Several(error)) => {
                    tracing::warn!("A write failed: {error}");
                    break Err(error);
                }
            }
        };
        // A refusal may rest on what another one of the batch wrote: it, too, waits for the commit and fails with it.
        for (job, error) in left_out.into_iter().chain(batch.drain(..).map(|job| (job, None))) {
            job.answer(error.map_or(committed.clone(), Err));
        }
    }

    /// Carries out the batch in one transaction.
    async fn commit(&mut self, batch: &mut [Box<dyn Job>], late_group: usize) -> Result<(), BatchError> {
        if batch.is_empty() {
            return Ok(());
        }
        *lock(&self.busy_since) = Some(Instant::now());
        let outcome = transact(&self.connection, batch, late_group).await;
        let sound = match &outcome {
            Ok(()) | Err(BatchError::Job(..) | BatchError::Several(_)) => true,
            // Busy: another process held the lock.
            Err(BatchError::Begin(error)) => matches!(error, DbError::Busy),
            // SQLite may have rolled back on its own, which sqlx does not notice.
            Err(BatchError::Commit(_)) => false,
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

/// Whether the other writes would meet the same.
fn dooms_all(error: &DbError) -> bool {
    matches!(error, DbError::Full | DbError::Refused(_) | DbError::Damaged(_))
}

async fn transact(
    connection: &DatabaseConnection,
    batch: &mut [Box<dyn Job>],
    late_group: usize,
) -> Result<(), BatchError> {
    // IMMEDIATE: a transaction that reads first and writes later fails at once when another process wrote between.
    let options =
        TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..Default::default() };
    let transaction = connection.begin_with_options(options).await.map_err(|error| BatchError::Begin(error.into()))?;
    let tx = Tx::new(transaction, late_group);
    for (place, job) in batch.iter_mut().enumerate() {
        tx.begin_write(place, job.is_content());
        if let Err(error) = job.carry_out(&tx).await {
            return Err(rolled_back(tx, error).await);
        }
    }
    if let Err(error) = tx.insert_all_late().await {
        return Err(rolled_back(tx, Some(error.into())).await);
    }
    fault::hit("app.committing").map_err(planned)?;
    tx.commit().await.map_err(|error| BatchError::Commit(error.into()))?;
    fault::hit("app.committed").map_err(planned)
}

/// Returns the failure of a commit that a test wants.
fn planned(error: io::Error) -> BatchError {
    BatchError::Commit(match error.kind() {
        io::ErrorKind::StorageFull => DbError::Full,
        _ => DbError::Other(error.to_string()),
    })
}

/// Rolls back what a job spoiled.
async fn rolled_back(tx: Tx, error: Option<DbError>) -> BatchError {
    let place = tx.failed_place();
    match (tx.rollback().await, place, error) {
        (Ok(()), Some(place), error) => BatchError::Job(place, error),
        (Ok(()), None, Some(error)) => BatchError::Several(error),
        (Ok(()), None, None) => BatchError::Commit(DbError::Other("a batch ended without an error".to_owned())),
        (Err(failed), _, error) => BatchError::Commit(error.unwrap_or_else(|| failed.into())),
    }
}

#[cfg(test)]
pub(super) mod tests;
