//! How does a backup come to stand in the audit log?
//!
//! The supervisor makes it, and names the newest one each time it asks how the app is. One that the log does not know
//! yet is written down, once.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    auth::audit_log::{self, Actor, Kind},
    db::Database,
};

/// The longest id that is taken, in bytes: `2026-11-24T03-12-07Z-scheduled` has 30.
const LONGEST: usize = 100;

/// The newest backup that the supervisor named.
#[derive(Debug)]
pub(crate) struct HeardBackups {
    database: Arc<Database>,
    last: Mutex<Option<String>>,
}

impl HeardBackups {
    /// Returns what has heard nothing yet.
    pub(crate) fn new(database: Arc<Database>) -> Arc<Self> {
        Arc::new(Self { database, last: Mutex::default() })
    }

    /// Takes in the newest backup's id; writes it down, off the path of the question, when it is news.
    pub(crate) fn remember(self: &Arc<Self>, id: &str) {
        let is_id = id.len() <= LONGEST && id.bytes().all(|byte| byte.is_ascii_graphic());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_id || last.as_deref() == Some(id) {
            return;
        }
        *last = Some(id.to_owned());
        drop(last);
        let (own, id) = (self.clone(), id.to_owned());
        tokio::spawn(async move {
            if let Err(error) = own.write_down(&id).await {
                // A full disk, for example: it is tried again at the next question.
                tracing::debug!("The backup {id} is not in the audit log yet: {error}");
                own.last.lock().unwrap_or_else(PoisonError::into_inner).take();
            }
        });
    }

    async fn write_down(&self, id: &str) -> Result<(), crate::db::DbError> {
        let newest = audit_log::newest(self.database.reads(), Kind::BackupMade).await;
        let known = newest.map_err(|error| self.database.failed(error))?;
        if known.is_some_and(|event| event.subject == id) {
            return Ok(());
        }
        let id = id.to_owned();
        self.database
            .write(async move |tx| Ok(audit_log::write(tx, Kind::BackupMade, &Actor::supervisor(), &id).await?))
            .await
    }
}
