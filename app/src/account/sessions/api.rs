//! One's own sessions in the API.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};

use super::store;
use crate::{
    auth::{Accounts, api::Tag, caller::Caller, entity::session, role::Method, sessions},
    datetime::Timestamp,
    http::{After, ById, Done, Limit, Listed, ReadRefused, Window, WriteRefused},
};

/// The operations.
pub(crate) struct SessionsApi;

/// A signed-in browser.
#[derive(Debug, Object)]
#[oai(rename = "Session", skip_serializing_if_is_none)]
struct SessionBody {
    /// Assigned by Hearth. Never reused.
    id: i64,
    /// Whether it is the session of this request.
    current: bool,
    method: Method,
    /// The IP address it signed in from.
    address: String,
    /// The User-Agent of the browser.
    user_agent: String,
    /// When it signed in.
    created_at: Timestamp,
    /// When it was last used, to within ten minutes.
    last_seen_at: Timestamp,
    /// When it expires if it is not used.
    expires_at: Timestamp,
}

impl SessionBody {
    fn new(session: session::Model, own: Option<i64>) -> Self {
        Self {
            id: session.id,
            current: own == Some(session.id),
            method: session.method,
            address: session.address,
            user_agent: session.user_agent,
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            expires_at: session.expires_at,
        }
    }
}

#[OpenApi]
impl SessionsApi {
    /// List your sessions
    ///
    /// Newest first.
    #[oai(path = "/sessions", method = "get", operation_id = "list_sessions", tag = "Tag::Account")]
    async fn list(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        caller: Caller,
        /// The maximum number of items per page.
        limit: Query<Limit>,
        /// The `next` value of the previous page.
        after: Query<After>,
    ) -> Result<Listed<SessionBody>, ReadRefused> {
        let window = Window::new(limit.0, after.0);
        let found =
            sessions::list(accounts.reads(), caller.user.id).await.map_err(|error| accounts.database.failed(error))?;
        let own = caller.session();
        Ok(window.cut(found, ById::NewestFirst, |session| session.id, |session| SessionBody::new(session, own)))
    }

    /// End one of your sessions
    #[oai(path = "/sessions/:id", method = "delete", operation_id = "revoke_session", tag = "Tag::Account")]
    async fn revoke(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        caller: Caller,
        /// The session's id.
        id: Path<i64>,
    ) -> Result<Done, WriteRefused> {
        let found = store::revoke(&accounts.database, &caller, id.0).await?;
        Ok(Done::where_found(found, || format!("You have no session with the id {}.", id.0))?)
    }

    /// End all your other sessions
    #[oai(path = "/sessions", method = "delete", operation_id = "revoke_other_sessions", tag = "Tag::Account")]
    async fn revoke_others(&self, Data(accounts): Data<&Arc<Accounts>>, caller: Caller) -> Result<Done, WriteRefused> {
        store::revoke_others(&accounts.database, &caller).await?;
        Ok(Done::Done)
    }
}
