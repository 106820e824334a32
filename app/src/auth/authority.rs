//! May the caller still do it, now that it is written?
//!
//! The gate looks before the body of a request has come, which may take half a minute, and before a password is hashed.
//! Until then the session may have been ended, the token revoked, its user disabled or given another role. So every write
//! that a signed-in user asks for checks the authority of its caller again, within its own transaction. A feature gets
//! [`AuthorizedDatabase`], which has no other way to write.

use std::sync::Arc;

use sea_orm::DbErr;

use super::{
    caller::{Caller, Credential, unauthenticated},
    login_methods, sessions, tokens, users,
};
use crate::{
    db::{Abort, Database, DbError, DirectReads, Tx},
    http::Problem,
};

/// The database as a feature gets it: it reads, and it writes for a caller who still may.
#[derive(Debug, Clone)]
pub(crate) struct AuthorizedDatabase(Arc<Database>);

impl AuthorizedDatabase {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self(database)
    }

    /// Returns what reads the household's content.
    pub(crate) fn reads(&self) -> &DirectReads {
        self.0.direct()
    }

    /// Returns the error of a read as the app speaks of it.
    pub(crate) fn failed(&self, error: DbErr) -> DbError {
        self.0.failed(error)
    }

    /// Carries out `work` on the household's content in a writing transaction, as the user that the caller is by then.
    pub(crate) async fn write<T, F>(&self, caller: &Caller, mut work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: AsyncFnMut(&Tx, &Caller) -> Result<T, Abort<Problem>> + Send + 'static,
    {
        let caller = caller.clone();
        self.0
            .write_content(async move |tx| {
                let caller = reauthorize(tx, &caller).await?;
                work(tx, &caller).await
            })
            .await
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
            let caller = reauthorize(tx, &caller).await?;
            work(tx, &caller).await
        })
        .await
}

/// Returns the caller as they are now, or why they are no longer who the gate let in.
async fn reauthorize(tx: &Tx, caller: &Caller) -> Result<Caller, Abort<Problem>> {
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
    let user = user.filter(|user| user.id == id).ok_or_else(unauthenticated)?;
    // The gate's answer was for the other role.
    if user.role != caller.user.role {
        return Err(Problem::conflict("Your role was just changed. Nothing else was changed. Try again.").into());
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
        db::{Access, for_tests::migrated},
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
}
