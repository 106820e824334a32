//! May the caller still do it, now that it is written?
//!
//! The gate looks before the body of a request has come, which may take half a minute, and before a password is hashed.
//! Until then the session may have been ended, the token revoked, its user disabled or given another role. So every write
//! that a signed-in user asks for checks the authority of its caller again, within its own transaction. A feature gets
//! [`AuthorizedDatabase`], which has no other way to write.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sea_orm::DbErr;

use super::{
    caller::{Caller, Credential, unauthenticated},
    entity::user,
    login_methods, sessions, tokens, users,
};
use crate::{
    db::{Abort, Database, DbError, DirectReads, Tx},
    http::Problem,
};

/// The database as a feature gets it: it reads, and it writes for a caller who still may.
#[derive(Debug, Clone)]
pub(crate) struct AuthorizedDatabase {
    database: Arc<Database>,
    known: Arc<Mutex<Known>>,
}

/// Who has written in the transaction under way, while no account was changed in it. A program that sends many records is looked
/// up once for all those that share a transaction.
#[derive(Debug, Default)]
struct Known {
    accounts_state: u64,
    users: Vec<(Credential, user::Model)>,
}

impl AuthorizedDatabase {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self { database, known: Arc::default() }
    }

    /// Returns what reads the household's content.
    pub(crate) fn reads(&self) -> &DirectReads {
        self.database.direct()
    }

    /// Returns the database for what follows from content and changes nothing of it, such as an index of it.
    pub(crate) fn upkeep(&self) -> Arc<Database> {
        self.database.clone()
    }

    /// Returns the error of a read as the app speaks of it.
    pub(crate) fn failed(&self, error: DbErr) -> DbError {
        self.database.failed(error)
    }

    /// Carries out `work` on the household's content in a writing transaction, as the user that the caller is by then.
    pub(crate) async fn write<T, F>(&self, caller: &Caller, mut work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: AsyncFnMut(&Tx, &Caller) -> Result<T, Abort<Problem>> + Send + 'static,
    {
        let (caller, known) = (caller.clone(), self.known.clone());
        self.database
            .write_content(async move |tx| {
                let remembered = Known::now(&known, tx).find(&caller);
                let user = match remembered {
                    Some(user) => user,
                    None => {
                        let user = authorized_user(tx, &caller).await?;
                        Known::now(&known, tx).users.push((caller.by.clone(), user.clone()));
                        user
                    }
                };
                work(tx, &as_now(&caller, user)?).await
            })
            .await
    }
}

impl Known {
    /// Returns who is known in this transaction.
    fn now<'a>(known: &'a Mutex<Self>, tx: &Tx) -> MutexGuard<'a, Self> {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.accounts_state != tx.accounts_state() {
            *known = Self { accounts_state: tx.accounts_state(), users: Vec::new() };
        }
        known
    }

    fn find(&self, caller: &Caller) -> Option<user::Model> {
        let is_same = |(by, user): &&(Credential, user::Model)| user.id == caller.user.id && *by == caller.by;
        self.users.iter().find(is_same).map(|(_, user)| user.clone())
    }
}

/// As [`AuthorizedDatabase::write`], for a change to the accounts themselves.
pub(crate) async fn write_as<T, F>(database: &Database, caller: &Caller, mut work: F) -> Result<T, Problem>
where
    T: Send + 'static,
    F: AsyncFnMut(&Tx, &Caller) -> Result<T, Abort<Problem>> + Send + 'static,
{
    let caller = caller.clone();
    database
        .write(async move |tx| {
            let user = authorized_user(tx, &caller).await?;
            work(tx, &as_now(&caller, user)?).await
        })
        .await
}

/// Returns the user that the caller is now, if they are still signed in.
async fn authorized_user(tx: &Tx, caller: &Caller) -> Result<user::Model, Abort<Problem>> {
    let id = caller.user.id;
    let user = match &caller.by {
        Credential::Session { id: session, .. } => sessions::get(tx, *session).await?.map(|(_, user)| user),
        Credential::Token { id: token, .. } => tokens::get_with_user(tx, *token).await?.map(|(_, user)| user),
        Credential::Tailscale => {
            match login_methods::linked(tx, id).await?.iter().any(|way| way.provider == login_methods::TAILSCALE) {
                true => users::enabled(tx, id).await?,
                false => None,
            }
        }
    };
    Ok(user.filter(|user| user.id == id).ok_or_else(unauthenticated)?)
}

/// Returns the caller as they are now, unless the gate let them in with another role.
fn as_now(caller: &Caller, user: user::Model) -> Result<Caller, Problem> {
    if user.role != caller.user.role {
        return Err(Problem::conflict("Your role was just changed. Nothing else was changed. Try again."));
    }
    Ok(Caller { user, ..caller.clone() })
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait;

    use super::*;
    use crate::{
        auth::{
            caller::ClientInfo,
            role::{Method, Role, Scope},
        },
        datetime::Timestamp,
        db::{
            Access,
            for_tests::{in_one_transaction, migrated},
        },
    };

    const PEOPLE: &str = "
        INSERT INTO user (id, name, email, role, created_at, updated_at)
            VALUES (1, 'Anna', 'anna@example.org', 'admin', '2026-11-24T12:00:00.000Z', '2026-11-24T12:00:00.000Z');
        INSERT INTO account (user_id, provider, provider_id, created_at, updated_at)
            VALUES (1, 'tailscale', 'anna@example.org', '2026-11-24T12:00:00.000Z', '2026-11-24T12:00:00.000Z');
        INSERT INTO api_token (id, user_id, name, token_hash, scope, created_at)
            VALUES (1, 1, 'robot', 'x', 'admin', '2026-11-24T12:00:00.000Z');
        INSERT INTO session (id, user_id, token_hash, method, address, user_agent, created_at, last_seen_at, expires_at)
            VALUES (1, 1, 'x', 'password', '', '', '2026-11-24T12:00:00.000Z', '2026-11-24T12:00:00.000Z',
                    '2999-01-01T00:00:00.000Z');";

    #[tokio::test]
    async fn who_was_let_in_and_lost_it_since_changes_nothing() {
        let by_session = Credential::Session { id: 1, method: Method::Password, began: Timestamp::now() };
        let by_token = Credential::Token { id: 1, name: "robot".to_owned(), scope: Scope::Admin };
        for (by, meanwhile, status) in [
            (by_session.clone(), "SELECT 1", None),
            (by_token.clone(), "SELECT 1", None),
            (by_session.clone(), "DELETE FROM session", Some(401)),
            (by_session.clone(), "UPDATE session SET expires_at = '2026-11-25T00:00:00.000Z'", Some(401)),
            (by_token.clone(), "DELETE FROM api_token", Some(401)),
            (by_token.clone(), "UPDATE api_token SET expires_at = '2026-11-25T00:00:00.000Z'", Some(401)),
            (by_token, "UPDATE user SET disabled = 1", Some(401)),
            (Credential::Tailscale, "SELECT 1", None),
            (Credential::Tailscale, "UPDATE user SET disabled = 1", Some(401)),
            (Credential::Tailscale, "DELETE FROM account", Some(401)),
            (by_session, "UPDATE user SET role = 'guest'", Some(409)),
        ] {
            let (_directory, path) = migrated(PEOPLE).await;
            let database = Database::open(&path, Access::Write).await.unwrap();
            let user = users::get(database.reads(), 1).await.unwrap().unwrap();
            let caller = Caller { user, by, client: ClientInfo::default() };
            rusqlite::Connection::open(&path).unwrap().execute_batch(meanwhile).unwrap();
            let outcome = write_as(&database, &caller, async |tx, caller| {
                tx.execute_unprepared("UPDATE user SET name = 'Changed'").await?;
                Ok(caller.role())
            })
            .await;
            let refused = outcome.as_ref().err().map(|problem| problem.status().as_u16());
            assert_eq!(refused, status, "{meanwhile}");
            if let Ok(role) = outcome {
                assert_eq!(role, Role::Admin);
            }
            let name = users::get(database.reads(), 1).await.unwrap().unwrap().name;
            assert_eq!(name == "Changed", status.is_none(), "{meanwhile}");
            database.close().await;
        }
    }

    /// A write of content that is asked for in the same transaction as a change to accounts.
    async fn content(database: &AuthorizedDatabase, caller: &Caller) -> Option<u16> {
        let outcome = database
            .write(caller, async |tx, _| {
                tx.execute_unprepared("UPDATE record_state SET fold_version = fold_version").await?;
                Ok(())
            })
            .await;
        outcome.err().map(|problem| problem.status().as_u16())
    }

    #[tokio::test]
    async fn who_loses_it_in_the_very_transaction_changes_nothing_behind_that() {
        for change in [
            "DELETE FROM api_token",
            "UPDATE user SET disabled = 1",
            "UPDATE user SET role = 'guest'",
            "UPDATE api_token SET expires_at = '2026-11-25T00:00:00.000Z'",
        ] {
            let (_directory, path) = migrated(PEOPLE).await;
            let database = Arc::new(Database::open(&path, Access::Write).await.unwrap());
            let user = users::get(database.reads(), 1).await.unwrap().unwrap();
            let by = Credential::Token { id: 1, name: "robot".to_owned(), scope: Scope::Admin };
            let caller = Caller { user, by, client: ClientInfo::default() };
            let authorized = AuthorizedDatabase::new(database.clone());
            let accounts = write_as(&database, &caller, async |tx, _| {
                tx.execute_unprepared(change).await?;
                Ok(())
            });
            let write = || content(&authorized, &caller);
            let all = async { tokio::join!(write(), write(), accounts, write()) };
            let outcomes = in_one_transaction(&database, all).await;
            assert_eq!((outcomes.0, outcomes.1, outcomes.2.is_ok()), (None, None, true), "{change}");
            let refused = if change.contains("role") { 409 } else { 401 };
            assert_eq!(outcomes.3, Some(refused), "{change}");
            database.close().await;
        }
    }
}
