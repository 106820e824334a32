//! Whose token was this a moment ago?
//!
//! A page is a request for each of its parts, and a program asks many times a second: who it is would be the dearest
//! question of most. What was found is good until anything but the household's records is written, and for a second at
//! most, since the operator's commands write from a process of their own.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use sea_orm::DbErr;

use crate::{db::Database, secret::digest};

/// How long what another process wrote may stay unseen.
const LIFE: Duration = Duration::from_secs(1);

/// Tokens that are remembered, more than a household has in use within a second. Only good ones are: guesses take no
/// room.
const MOST: usize = 256;

/// What was found by its token.
#[derive(Debug)]
pub(crate) struct Recent<T>(Mutex<HashMap<String, Found<T>>>);

#[derive(Debug)]
struct Found<T> {
    what: T,
    /// The count of changes before it was looked for.
    changes: u64,
    at: Instant,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Recent<T> {
    /// Returns what belongs to a token: what was found a moment ago, or what `look` finds now.
    pub(crate) async fn find<F>(&self, database: &Database, token: &str, look: F) -> Result<Option<T>, DbErr>
    where
        F: Future<Output = Result<Option<T>, DbErr>>,
    {
        // Before the look: what is written during it makes what it finds old.
        let (hash, changes) = (digest(token), database.changes());
        if let Some(what) = self.known(&hash, changes) {
            return Ok(Some(what));
        }
        let found = look.await?;
        if let Some(what) = &found {
            self.keep(hash, Found { what: what.clone(), changes, at: Instant::now() });
        }
        Ok(found)
    }

    fn known(&self, hash: &str, changes: u64) -> Option<T> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = found.get(hash)?;
        (found.changes == changes && found.at.elapsed() < LIFE).then(|| found.what.clone())
    }

    fn keep(&self, hash: String, new: Found<T>) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= MOST {
            found.clear();
        }
        found.insert(hash, new);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use sea_orm::ConnectionTrait;

    use super::*;
    use crate::db::{Abort, Access, DbError, Tx};

    async fn add(tx: &Tx) -> Result<(), Abort<DbError>> {
        tx.execute_unprepared("INSERT INTO t VALUES (1)").await?;
        Ok(())
    }

    #[tokio::test]
    async fn what_was_found_is_good_until_something_but_a_record_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.db");
        let sql = "PRAGMA application_id = 0x48525448; CREATE TABLE t (n INTEGER)";
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let database = Database::open(&path, Access::Write).await.unwrap();
        let (recent, looks) = (Recent::default(), AtomicU32::new(0));
        let find = async |token: &str| {
            let look = async {
                looks.fetch_add(1, Ordering::Relaxed);
                Ok((token == "good").then_some(7))
            };
            recent.find(&database, token, look).await.unwrap()
        };
        for _ in 0..3 {
            assert_eq!(find("good").await, Some(7));
        }
        database.write_content(add).await.unwrap();
        assert_eq!(find("good").await, Some(7));
        assert_eq!(looks.load(Ordering::Relaxed), 1);
        database.write(add).await.unwrap();
        assert_eq!(find("good").await, Some(7));
        assert_eq!(looks.load(Ordering::Relaxed), 2);
        for _ in 0..2 {
            assert_eq!(find("none").await, None);
        }
        assert_eq!(looks.load(Ordering::Relaxed), 4, "what is not there is looked for each time");
        database.close().await;
    }
}
