//! Which browsers are signed in, and for how long?
//!
//! A session is 256 random bits in a cookie, of which the database keeps the hash. It is good for seven days and is
//! renewed by use, at most once a day (OWASP Session Management Cheat Sheet: idle timeout). Each sign-in begins a new
//! one, whatever cookie came with it, so that nobody can be given a session that somebody else knows.

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder, SelectTwo,
    sea_query::{Expr, Order},
};
use time::Duration;

use super::{
    audit_log::{self, Actor, Kind},
    caller::{Caller, ClientInfo},
    entity::{
        session::{ActiveModel, Column, Entity, Model},
        user,
        verification::Kind::Device,
    },
    idempotency,
    role::Method,
    verification::{self, About},
};
use crate::{
    datetime::Timestamp,
    db::{Database, DbError, is_known},
    fallback,
    http::Purpose,
    secret::{Secret, digest},
};

/// How long a session is good without being used.
pub(crate) const LIFE: Duration = Duration::days(7);
/// How old a session's promise is before use renews it.
const RENEWED_AFTER: Duration = Duration::days(1);
/// How exactly it is known when a session was seen last: each look would otherwise be a write.
const SEEN_AFTER: Duration = Duration::minutes(10);

/// A session that has just begun, with its secret.
#[derive(Debug, Clone)]
pub(crate) struct NewSession {
    pub(crate) user: user::Model,
    pub(crate) session: Model,
    pub(crate) token: Secret,
    /// The secret that makes the browser a known device, when it was none yet.
    pub(crate) device: Option<Secret>,
}

impl NewSession {
    /// Returns the `Set-Cookie` headers that give the browser what it is to keep.
    pub(crate) fn cookies(&self, client: &ClientInfo) -> Vec<String> {
        let session = cookie(client, Some(self.token.expose()), LIFE);
        let device = self.device.as_ref();
        let device = device.map(|secret| client.cookie(Purpose::Device, Some(secret.expose()), verification::DEVICE));
        [Some(session), device].into_iter().flatten().collect()
    }
}

/// Begins a session in place of the one that the browser had, and writes down that somebody came in.
pub(crate) async fn begin(
    transaction: &impl ConnectionTrait,
    user: &user::Model,
    method: Method,
    client: &ClientInfo,
) -> Result<NewSession, DbErr> {
    let (now, token) = (Timestamp::now(), Secret::token());
    if let Some(former) = &client.session {
        Entity::delete_many().filter(Column::TokenHash.eq(digest(former))).exec(transaction).await?;
    }
    // What has expired goes when somebody comes in: often enough, and never for a read. A newer version may know more of it.
    if !fallback::is_active() {
        Entity::delete_many().filter(Column::ExpiresAt.lte(now)).exec(transaction).await?;
        verification::tidy(transaction).await?;
        audit_log::tidy(transaction).await?;
        idempotency::tidy(transaction).await?;
    }
    let row = ActiveModel {
        id: NotSet,
        user_id: Set(user.id),
        token_hash: Set(token.digest()),
        method: Set(method),
        address: Set(client.address()),
        user_agent: Set(client.user_agent.clone()),
        created_at: Set(now),
        last_seen_at: Set(now),
        expires_at: Set(now.after(LIFE)),
    };
    let session = Entity::insert(row).exec_with_returning(transaction).await?;
    audit_log::write(transaction, Kind::SignedIn, &Actor::user(user.id, &user.email, method.name(), client), "")
        .await?;
    let device = match known_device(transaction, client, user.id).await? {
        Some(_) => None,
        None => {
            let secret = Secret::token();
            let about = About { user_id: Some(user.id), ..About::default() };
            verification::keep(transaction, Device, &secret, about, verification::DEVICE).await?;
            Some(secret)
        }
    };
    Ok(NewSession { user: user.clone(), session, token, device })
}

/// Returns the number of the browser, when it shows that this user signed in with it before.
pub(crate) async fn known_device(
    reads: &impl ConnectionTrait,
    client: &ClientInfo,
    user_id: i64,
) -> Result<Option<i64>, DbErr> {
    let Some(secret) = &client.device else { return Ok(None) };
    let found = verification::find(reads, Device, secret).await?;
    Ok(found.filter(|device| device.user_id == Some(user_id)).map(|device| device.id))
}

/// Returns the session of a token that is still good, and whose it is.
pub(crate) async fn find(reads: &DatabaseConnection, token: &str) -> Result<Option<(Model, user::Model)>, DbErr> {
    let found = of_users().filter(Column::TokenHash.eq(digest(token))).one(reads).await?;
    Ok(while_good(found))
}

/// Returns the session with this id while it is good, and whose it is.
pub(crate) async fn get(reads: &impl ConnectionTrait, id: i64) -> Result<Option<(Model, user::Model)>, DbErr> {
    let found = of_users().filter(Column::Id.eq(id)).one(reads).await?;
    Ok(while_good(found))
}

/// Returns sessions with whose they are, as far as this version knows the words.
fn of_users() -> SelectTwo<Entity, user::Entity> {
    let known = Entity::find().filter(is_known::<Method>(Column::Method));
    known.find_also_related(user::Entity).filter(user::has_known_role())
}

fn while_good(found: Option<(Model, Option<user::Model>)>) -> Option<(Model, user::Model)> {
    let now = Timestamp::now();
    found
        .and_then(|(session, user)| user.map(|user| (session, user)))
        .filter(|(session, user)| session.expires_at > now && !user.disabled)
}

/// What using a session asks to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    /// It was not seen for some time.
    Seen,
    /// And its promise is a day old.
    Renewal,
}

/// Says what a use, now, asks to be written.
pub(crate) fn due(session: &Model, now: Timestamp) -> Due {
    if session.expires_at < now.after(LIFE).before(RENEWED_AFTER) {
        Due::Renewal
    } else if session.last_seen_at < now.before(SEEN_AFTER) {
        Due::Seen
    } else {
        Due::Nothing
    }
}

/// Writes that a session was seen, and renews its promise when that is due.
pub(crate) async fn seen(database: &Database, id: i64, due: Due) -> Result<(), DbError> {
    database
        .write(async move |tx| {
            let now = Timestamp::now();
            let mut row =
                Entity::update_many().col_expr(Column::LastSeenAt, Expr::value(now)).filter(Column::Id.eq(id));
            if due == Due::Renewal {
                row = row.col_expr(Column::ExpiresAt, Expr::value(now.after(LIFE)));
            }
            row.exec(tx).await?;
            Ok(())
        })
        .await
}

/// Returns somebody's sessions that are still good, the last used first.
pub(crate) async fn list(reads: &DatabaseConnection, user_id: i64) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(Column::UserId.eq(user_id))
        .filter(Column::ExpiresAt.gt(Timestamp::now()))
        .filter(is_known::<Method>(Column::Method))
        .order_by(Column::LastSeenAt, Order::Desc)
        .order_by(Column::Id, Order::Desc)
        .all(reads)
        .await
}

/// Ends the caller's own session.
pub(crate) async fn sign_out(database: &Database, caller: &Caller) -> Result<(), DbError> {
    let (actor, session) = (Actor::caller(caller), caller.session());
    database
        .write(async move |tx| {
            if let Some(id) = session {
                Entity::delete_by_id(id).exec(tx).await?;
                audit_log::write(tx, Kind::SignedOut, &actor, "").await?;
            }
            Ok(())
        })
        .await
}

/// Ends all sessions of somebody, but the one that is `spared`.
pub(crate) async fn end_all(
    transaction: &impl ConnectionTrait,
    user_id: i64,
    spared: Option<i64>,
) -> Result<(), DbErr> {
    let mut rows = Entity::delete_many().filter(Column::UserId.eq(user_id));
    if let Some(id) = spared {
        rows = rows.filter(Column::Id.ne(id));
    }
    rows.exec(transaction).await.map(drop)
}

/// Returns the `Set-Cookie` of a session's token for so long, or, without one, of its end.
pub(crate) fn cookie(client: &ClientInfo, token: Option<&str>, age: Duration) -> String {
    client.cookie(Purpose::Session, token, age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_renewed_when_a_day_old_and_not_written_at_each_look() {
        let new_session: Timestamp = "2026-11-24T12:00:00.000Z".parse().unwrap();
        let session = Model {
            id: 1,
            user_id: 1,
            token_hash: String::new(),
            method: Method::Password,
            address: String::new(),
            user_agent: String::new(),
            created_at: new_session,
            last_seen_at: new_session,
            expires_at: new_session.after(LIFE),
        };
        assert_eq!(due(&session, new_session.after(Duration::minutes(5))), Due::Nothing);
        assert_eq!(due(&session, new_session.after(Duration::minutes(11))), Due::Seen);
        assert_eq!(due(&session, new_session.after(Duration::hours(25))), Due::Renewal);
    }
}
