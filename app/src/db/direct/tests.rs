#![allow(unreachable_pub, reason = "SeaORM's macros make public types of their own")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
        mpsc,
    },
    thread::available_parallelism,
};

use sea_orm::{QueryFilter, QueryOrder, entity::prelude::*};
use tokio::runtime;

use super::*;
use crate::db::DbError;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "thing")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub is_new: bool,
    pub small: Option<i32>,
    pub weight: Option<f64>,
    pub name: Option<String>,
    #[sea_orm(column_type = "Blob", nullable)]
    pub picture: Option<Vec<u8>>,
}

impl DirectReads {
    /// Counts the steps that SQLite's virtual machine takes in all connections from now on.
    pub(crate) async fn count_steps(&self) -> Arc<AtomicU64> {
        let steps = Arc::new(AtomicU64::new(0));
        let mut out = Vec::new();
        for _ in 0..READERS {
            let (reader, steps) = (self.reader().await.unwrap(), steps.clone());
            let count = move || {
                steps.fetch_add(1, SeqCst);
                false
            };
            reader.connection.as_ref().unwrap().progress_handler(1, Some(count));
            out.push(reader);
        }
        steps
    }
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn things(rows: &str) -> (tempfile::TempDir, DirectReads) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let sql = format!(
        "CREATE TABLE thing (id INTEGER PRIMARY KEY, is_new INTEGER NOT NULL, small INTEGER, weight REAL, name TEXT, \
         picture BLOB) STRICT; INSERT INTO thing VALUES {rows}"
    );
    rusqlite::Connection::open(&path).unwrap().execute_batch(&sql).unwrap();
    let reads = DirectReads::new(&path);
    (directory, reads)
}

#[tokio::test]
async fn a_model_has_what_is_in_its_row_whatever_its_types_are() {
    let (_directory, reads) = things("(1, 1, -7, 0.5, 'Öl 保険', x'00ff'), (2, 0, NULL, NULL, NULL, NULL)");
    let full = Model {
        id: 1,
        is_new: true,
        small: Some(-7),
        weight: Some(0.5),
        name: Some("Öl 保険".to_owned()),
        picture: Some(vec![0, 255]),
    };
    let empty = Model { id: 2, is_new: false, small: None, weight: None, name: None, picture: None };
    assert_eq!(reads.all(Entity::find().order_by_asc(Column::Id)).await.unwrap(), [full.clone(), empty]);
    // By each of its values.
    let by_all = Entity::find()
        .filter(Column::IsNew.eq(true))
        .filter(Column::Small.eq(-7))
        .filter(Column::Weight.lt(0.6))
        .filter(Column::Name.eq("Öl 保険"))
        .filter(Column::Picture.eq(vec![0, 255]));
    assert_eq!(reads.one(by_all).await.unwrap(), Some(full));
    assert_eq!(reads.one(Entity::find_by_id(3)).await.unwrap(), None);
}

#[tokio::test]
async fn what_does_not_fit_its_model_is_an_error_and_no_empty_value() {
    let (_directory, reads) = things("(1, 1, 5000000000, 0.5, CAST(x'ff' AS TEXT), NULL)");
    let error = reads.all(Entity::find()).await.unwrap_err().to_string();
    assert!(error.contains("5000000000"), "{error}");
    let statement = Statement::from_string(DbBackend::Sqlite, "SELECT name FROM thing");
    assert!(reads.rows(&statement, |row| row.get::<_, Option<String>>(0)).await.is_err());
}

#[tokio::test]
async fn an_error_says_what_sqlite_says() {
    let directory = tempfile::tempdir().unwrap();
    let statement = Statement::from_string(DbBackend::Sqlite, "SELECT name FROM thing");
    let error = async |path: &Path| {
        let outcome = DirectReads::new(path).rows(&statement, |row| row.get::<_, String>(0)).await;
        DbError::from(outcome.unwrap_err())
    };
    let text = directory.path().join("text.db");
    std::fs::write(&text, "This is a letter and no database.".repeat(100)).unwrap();
    assert!(matches!(error(&text).await, DbError::NotADatabase));
    let (place, _reads) = things("(1, 1, NULL, NULL, 'a', NULL)");
    let path = place.path().join("app.db");
    let bytes = std::fs::read(&path).unwrap();
    let page = bytes.len() / 2;
    std::fs::write(&path, [&bytes[..page], &vec![0xaa; page][..]].concat()).unwrap();
    assert!(matches!(error(&path).await, DbError::Damaged(_)));
    assert!(matches!(error(&directory.path().join("none.db")).await, DbError::Other(_)));
}

#[tokio::test(start_paused = true)]
async fn who_finds_all_readers_out_waits_for_one_and_is_told_when_none_comes_back() {
    let (_directory, reads) = things("(1, 1, NULL, NULL, 'a', NULL)");
    let mut out = Vec::new();
    for _ in 0..READERS {
        out.push(reads.reader().await.unwrap());
    }
    assert!(matches!(DbError::from(reads.one(Entity::find()).await.unwrap_err()), DbError::Busy));
    out.pop();
    for _ in 0..3 {
        // One that ends early, and one that nobody waits for any more, come back too.
        assert!(reads.one(Entity::find()).await.unwrap().is_some());
        drop(reads.one(Entity::find()));
    }
    drop(out);
    assert_eq!(reads.idle().len(), READERS);
    reads.close();
    assert!(matches!(DbError::from(reads.one(Entity::find()).await.unwrap_err()), DbError::Closed));
    assert!(reads.idle().is_empty());
}

#[test]
fn a_disk_that_hangs_does_not_hold_up_what_reads_nothing() {
    let (_directory, reads) = things("(1, 1, NULL, NULL, 'a', NULL)");
    let reads = Arc::new(reads);
    let runtime = runtime::Builder::new_multi_thread().worker_threads(READERS + 1).enable_all().build().unwrap();
    let (hangs, is_hanging) = mpsc::channel();
    let mut ends = Vec::new();
    for _ in 0..READERS {
        let (end, ended) = mpsc::channel::<()>();
        ends.push(end);
        let (reads, hangs) = (reads.clone(), hangs.clone());
        runtime.spawn(async move {
            let hang = move |_: Model| {
                hangs.send(()).unwrap();
                let _ = ended.recv();
                false
            };
            reads.each(Entity::find(), hang).await
        });
    }
    for _ in 0..READERS {
        is_hanging.recv().unwrap();
    }
    // A task that reads waits; all others go on, however many there are.
    let waiting = runtime.spawn(async move { reads.one(Entity::find()).await.map(|found| found.is_some()) });
    let others: Vec<_> = (0..100 * available_parallelism().unwrap().get()).map(|_| runtime.spawn(async {})).collect();
    runtime.block_on(async {
        for other in others {
            other.await.unwrap();
        }
    });
    drop(ends);
    assert!(runtime.block_on(waiting).unwrap().unwrap());
}
