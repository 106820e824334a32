//! One's own name, password and sessions.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{ApiResponse, Object, OpenApi, param::Path, payload::Json};

use crate::{
    account::profile::{password_change, store},
    auth::{
        Accounts,
        api::{Email, Name, NewPassword, Password, Tag, UserBody},
        caller::Caller,
        entity::session,
        profile::Profile,
        role::Method,
        sessions,
    },
    http::{Given, Problem, ReadRefused, WriteRefused},
    sign_in::SignIn,
    when::Moment,
};

/// The operations.
pub(crate) struct ProfileApi;

/// A change to one's own profile: what is absent stays as it is.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct ProfileChange {
    /// What to be called.
    name: Given<Name>,
    /// The e-mail to sign in with.
    email: Given<Email>,
}

/// A change of one's own password.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct PasswordChange {
    /// The present one; absent for who has none yet.
    current_password: Given<Password>,
    /// The new one.
    new_password: NewPassword,
}

/// A browser that is signed in.
#[derive(Debug, Object)]
#[oai(rename = "Session", skip_serializing_if_is_none)]
struct SessionBody {
    /// Given by Hearth; never used twice.
    id: i64,
    /// Whether it is the one that asks.
    current: bool,
    method: Method,
    /// Where it signed in from.
    address: String,
    /// What the browser called itself.
    user_agent: String,
    /// When it signed in.
    created_at: Moment,
    /// When it was used last, to ten minutes.
    last_seen_at: Moment,
    /// When it ends unless it is used.
    expires_at: Moment,
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

/// All of one's own sessions.
#[derive(Debug, Object)]
struct SessionList {
    /// The last used first.
    sessions: Vec<SessionBody>,
}

#[derive(ApiResponse)]
enum Listed {
    /// The sessions.
    #[oai(status = 200)]
    Sessions(Json<SessionList>),
}

#[derive(ApiResponse)]
enum Changed {
    /// The user as they are now.
    #[oai(status = 200)]
    User(Json<UserBody>),
}

#[derive(ApiResponse)]
enum Done {
    /// It is done.
    #[oai(status = 204)]
    Done,
}

#[OpenApi]
impl ProfileApi {
    /// Change one's own profile
    #[oai(path = "/profile", method = "patch", operation_id = "update_profile", tag = "Tag::Account")]
    async fn update(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        caller: Caller,
        body: Json<ProfileChange>,
    ) -> Result<Changed, WriteRefused> {
        let name = body.name.0.as_ref().map_or(caller.user.name.as_str(), |name| &name.0);
        let email = body.email.0.as_ref().map_or(caller.user.email.as_str(), |email| &email.0);
        let profile = Profile::check(name, email).map_err(Problem::fields)?;
        let user = store::update(&accounts.database, &caller, profile).await?;
        Ok(Changed::User(Json(user.into())))
    }

    /// Change one's own password
    ///
    /// Ends all other sessions.
    #[oai(path = "/password", method = "post", operation_id = "change_password", tag = "Tag::Account")]
    async fn change_password(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        caller: Caller,
        body: Json<PasswordChange>,
    ) -> Result<Done, WriteRefused> {
        let current = body.current_password.0.as_ref().map_or("", |password| &password.0);
        password_change::change(sign_in, &caller, current, &body.new_password.0).await?;
        Ok(Done::Done)
    }

    /// List one's own sessions
    #[oai(path = "/sessions", method = "get", operation_id = "list_sessions", tag = "Tag::Account")]
    async fn list(&self, Data(accounts): Data<&Arc<Accounts>>, caller: Caller) -> Result<Listed, ReadRefused> {
        let found =
            sessions::list(accounts.reads(), caller.user.id).await.map_err(|error| accounts.database.failed(error))?;
        let own = caller.session();
        let sessions = found.into_iter().map(|session| SessionBody::new(session, own)).collect();
        Ok(Listed::Sessions(Json(SessionList { sessions })))
    }

    /// End one of one's own sessions
    #[oai(path = "/sessions/:id", method = "delete", operation_id = "revoke_session", tag = "Tag::Account")]
    async fn revoke(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        caller: Caller,
        /// The session's id.
        id: Path<i64>,
    ) -> Result<Done, WriteRefused> {
        match crate::account::sessions::store::revoke(&accounts.database, &caller, id.0).await? {
            true => Ok(Done::Done),
            false => Err(Problem::not_found(format!("You have no session with the id {}.", id.0)).into()),
        }
    }

    /// End all of one's own sessions but the present one
    #[oai(path = "/sessions", method = "delete", operation_id = "revoke_other_sessions", tag = "Tag::Account")]
    async fn revoke_others(&self, Data(accounts): Data<&Arc<Accounts>>, caller: Caller) -> Result<Done, WriteRefused> {
        crate::account::sessions::store::revoke_others(&accounts.database, &caller).await?;
        Ok(Done::Done)
    }
}
