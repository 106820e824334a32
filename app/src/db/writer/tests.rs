use std::sync::atomic::AtomicU32;

use futures_util::future::{join, join_all};
use sea_orm::ConnectionTrait;

use super::*;

/// A database with a table of unique numbers, and one of pairs.
fn database() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch(TABLES).unwrap();
    (directory, path)
}

const TABLES: &str = "CREATE TABLE t (n INTEGER UNIQUE); CREATE TABLE pair (n INTEGER UNIQUE, name TEXT)";

fn numbers(path: &Path) -> Vec<i64> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT n FROM t ORDER BY n").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Adds a number.
async fn add(tx: &Tx, number: i64) -> Result<(), Abort<String>> {
    tx.execute_unprepared(&format!("INSERT INTO t VALUES ({number})")).await?;
    Ok(())
}

/// Holds the writer up until all of `writes` are queued and `then` has begun, so that they are one batch.
pub(in crate::db) async fn as_one_batch<T>(
    writer: &Writer,
    writes: impl Future<Output = T>,
    then: impl Future<Output = ()>,
) -> T {
    let (enters, mut is_held) = mpsc::channel(1);
    let (gate, mut opens) = mpsc::channel::<()>(1);
    let hold = async move |_: &Tx| {
        let _ = enters.try_send(());
        opens.recv().await;
        Ok::<_, Abort<String>>(())
    };
    let held = async {
        is_held.recv().await;
        let open = async {
            drop(gate);
            then.await;
        };
        // Polled in this order.
        join(writes, open).await.0
    };
    let (hold, done) = join(writer.write(hold, None), held).await;
    hold.unwrap();
    done
}

#[tokio::test]
async fn a_write_that_fails_or_panics_takes_no_other_with_it() {
    let (_directory, path) = database();
    let writer = Writer::open(&path).await.unwrap();
    let writes = (0..20).map(|number: i64| {
        let work = async move |tx: &Tx| {
            // Each writes something first, which must go if it fails later.
            add(tx, number * 10).await?;
            assert!(number != 7, "a bug");
            if number % 3 == 0 {
                tx.execute_unprepared("INSERT INTO t VALUES (0), (0)").await?;
            }
            Ok(number)
        };
        writer.write(work, None)
    });
    let outcomes = as_one_batch(&writer, join_all(writes), async {}).await;
    let fine: Vec<_> = (0..20).filter(|number| number % 3 != 0 && *number != 7).collect();
    assert!(outcomes.iter().all(|outcome| !matches!(outcome, Err(Abort::Refused(_)))));
    let done: Vec<_> = outcomes.into_iter().flatten().collect();
    assert_eq!(done, fine);
    assert_eq!(numbers(&path), fine.iter().map(|number| number * 10).collect::<Vec<_>>());
    assert!(matches!(writer.state(), WriterState::Working(_)));
    writer.close().await;
    assert_eq!(writer.state(), WriterState::Gone);
    assert!(!path.with_file_name("app.db-wal").exists());
}

/// What became of five writes of one batch, of which the third refuses, and how often each was carried out.
async fn refuse_the_third(writes_first: bool) -> (Vec<i64>, Vec<u32>) {
    let (_directory, path) = database();
    let writer = Writer::open(&path).await.unwrap();
    let runs: Vec<_> = (0..5).map(|_| Arc::new(AtomicU32::new(0))).collect();
    let changes = Arc::new(AtomicU64::new(0));
    let writes = (0..5).zip(runs.clone()).map(|(number, runs)| {
        let work = async move |tx: &Tx| {
            runs.fetch_add(1, Ordering::Relaxed);
            let known =
                tx.query_one_raw(sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, "SELECT 1")).await?;
            assert!(known.is_some());
            if number != 2 || writes_first {
                add(tx, number).await?;
            }
            if number == 2 {
                return Err(Abort::Refused("not two".to_owned()));
            }
            Ok(())
        };
        writer.write(work, Some(changes.clone()))
    });
    let outcomes = as_one_batch(&writer, join_all(writes), async {}).await;
    for (number, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(()) => assert_ne!(number, 2),
            Err(Abort::Refused(why)) => assert_eq!((number, &*why), (2, "not two")),
            Err(Abort::Db(error)) => panic!("{number}: {error}"),
        }
    }
    assert_eq!(changes.load(Ordering::SeqCst), 4, "nothing is changed by a refusal");
    writer.close().await;
    (numbers(&path), runs.iter().map(|runs| runs.load(Ordering::Relaxed)).collect())
}

#[tokio::test]
async fn a_refusal_that_wrote_something_is_rolled_back_and_the_others_of_its_batch_stay() {
    let (numbers, runs) = refuse_the_third(true).await;
    assert_eq!(numbers, [0, 1, 3, 4]);
    // Those before it were carried out again, without it.
    assert_eq!(runs, [2, 2, 1, 1, 1]);
}

#[tokio::test]
async fn a_refusal_that_wrote_nothing_lets_no_other_be_carried_out_again() {
    let (numbers, runs) = refuse_the_third(false).await;
    assert_eq!(numbers, [0, 1, 3, 4]);
    assert_eq!(runs, [1; 5]);
}

#[tokio::test]
async fn a_write_within_a_write_fails_at_once() {
    let (_directory, path) = database();
    let writer = Arc::new(Writer::open(&path).await.unwrap());
    let nested = writer.clone();
    let outcome = writer.write(
        async move |tx| {
            add(tx, 1).await?;
            nested.write(async |tx| add(tx, 2).await, None).await
        },
        None,
    );
    assert!(matches!(outcome.await, Err(Abort::Db(DbError::Other(why))) if why.contains("within another write")));
    writer.write(async |tx| add(tx, 3).await, None).await.unwrap();
    writer.close().await;
    assert_eq!(numbers(&path), [3]);
}

#[tokio::test]
async fn the_writer_goes_on_after_a_commit_that_failed_and_so_does_what_it_refused_meanwhile() {
    let (_directory, path) = database();
    let writer = Writer::open(&path).await.unwrap();
    let writes = (0..3).map(|number| {
        let work = async move |tx: &Tx| match number {
            0 => add(tx, 0).await,
            1 => Err(Abort::Refused("zero is there".to_owned())),
            // Ends the transaction beneath sqlx, as SQLite does by itself when the disk is full.
            _ => tx.execute_unprepared("ROLLBACK").await.map(drop).map_err(Abort::from),
        };
        writer.write(work, None)
    });
    for outcome in as_one_batch(&writer, join_all(writes), async {}).await {
        assert!(matches!(outcome, Err(Abort::Db(_))), "what was not committed is no ground for a refusal");
    }
    writer.write(async |tx| add(tx, 1).await, None).await.unwrap();
    writer.close().await;
    assert_eq!(numbers(&path), [1]);
}

#[tokio::test]
async fn closing_finishes_what_was_queued_and_takes_nothing_more() {
    let (_directory, path) = database();
    let writer = Writer::open(&path).await.unwrap();
    let writes = (0..30).map(|number| writer.write(async move |tx| add(tx, number).await, None));
    let outcomes = as_one_batch(&writer, join_all(writes), writer.close()).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(numbers(&path).len(), 30);
    assert!(!path.with_file_name("app.db-wal").exists());
    assert!(matches!(writer.write(async |tx| add(tx, 30).await, None).await, Err(Abort::Db(DbError::Closed))));
}

/// Adds a pair late.
fn add_late(tx: &Tx, number: i64) {
    tx.insert_late("INSERT INTO pair (n, name) VALUES", [number.into(), "late".into()]);
}

async fn pairs(tx: &Tx) -> Result<i64, DbErr> {
    let sql = "SELECT count(*) FROM pair";
    let row = tx.query_one_raw(sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, sql)).await?;
    row.unwrap().try_get_by_index(0)
}

#[tokio::test]
async fn a_late_row_that_cannot_be_inserted_takes_its_own_write_with_it_and_no_other() {
    let (_directory, path) = database();
    let writer = Writer::open(&path).await.unwrap();
    let writes = (0..20).map(|number: i64| {
        let work = async move |tx: &Tx| {
            add(tx, number).await?;
            // Two of them cannot both be there.
            add_late(tx, if number == 11 { 3 } else { number });
            Ok(())
        };
        writer.write(work, None)
    });
    let outcomes: Vec<Result<(), Abort<String>>> = as_one_batch(&writer, join_all(writes), async {}).await;
    let failed: Vec<_> = (0..20).filter(|number| outcomes[*number].is_err()).collect();
    assert_eq!(failed, [11], "whose row came second");
    assert_eq!(writer.write(async |tx| Ok::<_, Abort<String>>(pairs(tx).await?), None).await.unwrap(), 19);
    writer.close().await;
    assert_eq!(numbers(&path), (0..20).filter(|number| *number != 11).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_changes_rows_finds_those_that_were_to_come_late() {
    let (_directory, path) = database();
    let writer = Writer::open(&path).await.unwrap();
    let outcome = writer
        .write(
            async |tx| {
                (0..20).for_each(|number| add_late(tx, number));
                add(tx, 1).await?;
                let before = pairs(tx).await?;
                tx.execute_unprepared("DELETE FROM pair WHERE n >= 5").await?;
                Ok::<_, Abort<String>>((before, pairs(tx).await?))
            },
            None,
        )
        .await;
    assert_eq!(outcome.unwrap(), (0, 5));
    writer.close().await;
}

#[tokio::test]
async fn a_refusal_takes_its_late_rows_with_it() {
    let (_directory, path) = database();
    let writer = Writer::open(&path).await.unwrap();
    let writes = (0..5).map(|number| {
        let work = async move |tx: &Tx| {
            add_late(tx, number);
            if number == 2 { Err(Abort::Refused("not two".to_owned())) } else { Ok(()) }
        };
        writer.write(work, None)
    });
    let outcomes = as_one_batch(&writer, join_all(writes), async {}).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 4);
    assert_eq!(writer.write(async |tx| Ok::<_, Abort<String>>(pairs(tx).await?), None).await.unwrap(), 4);
    writer.close().await;
}
