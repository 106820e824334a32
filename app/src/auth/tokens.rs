//! By what do programs come in?
//!
//! By tokens that their user made, `hearth_` and 256 random bits, of which the database keeps the hash. A token may
//! what its user may, within its scope.

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder,
    sea_query::{Expr, Order},
};
use time::Duration;

use super::{
    Accounts,
    acting::write_as,
    audit_log::{self, Actor, Kind},
    caller::Caller,
    entity::{
        api_token::{ActiveModel, Column, Entity, Model},
        user,
    },
    role::Scope,
};
use crate::{
    db::{Database, DbError},
    http::Problem,
    secret::{Secret, digest},
    when::Moment,
};

/// How exactly it is known when a token was used last.
const USED_AFTER: Duration = Duration::minutes(10);

/// Tokens that somebody may have: more is a program that makes one at each start.
const MOST: usize = 100;

/// Returns the token that is still good, and whose it is.
pub(crate) async fn find(reads: &DatabaseConnection, token: &str) -> Result<Option<(Model, user::Model)>, DbErr> {
    let found =
        Entity::find().filter(Column::TokenHash.eq(digest(token))).find_also_related(user::Entity).one(reads).await?;
    Ok(found
        .and_then(|(token, user)| user.map(|user| (token, user)))
        .filter(|(token, user)| token.is_good() && !user.disabled))
}

impl Model {
    /// Whether it has not expired.
    pub(crate) fn is_good(&self) -> bool {
        self.expires_at.is_none_or(|end| end > Moment::now())
    }
}

/// Whether a use, now, asks to be written.
pub(crate) fn is_due(token: &Model, now: Moment) -> bool {
    token.last_used_at.is_none_or(|last| last < now.before(USED_AFTER))
}

/// Writes that a token was used.
pub(crate) async fn used(database: &Database, id: i64) -> Result<(), DbError> {
    database
        .write(async move |tx| {
            Entity::update_many()
                .col_expr(Column::LastUsedAt, Expr::value(Moment::now()))
                .filter(Column::Id.eq(id))
                .exec(tx)
                .await?;
            Ok(())
        })
        .await
}

/// Returns somebody's tokens, the newest first.
pub(crate) async fn list(reads: &impl ConnectionTrait, user_id: i64) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(Column::UserId.eq(user_id)).order_by(Column::Id, Order::Desc).all(reads).await
}

/// Returns one of somebody's tokens.
pub(crate) async fn get(reads: &impl ConnectionTrait, user_id: i64, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).filter(Column::UserId.eq(user_id)).one(reads).await
}

/// Makes a token for the caller.
pub(crate) async fn create(
    accounts: &Accounts,
    caller: &Caller,
    name: String,
    scope: Scope,
    expires_at: Option<Moment>,
) -> Result<(Model, Secret), Problem> {
    caller.check_fresh()?;
    let secret = Secret::api_token();
    write_as(&accounts.database, caller, async move |tx, caller| {
        let now = Moment::now();
        if list(tx, caller.user.id).await?.len() >= MOST {
            return Err(Problem::conflict(format!("There are {MOST} tokens already; revoke some first.")).into());
        }
        let subject = format!("{name} ({})", scope.name());
        let row = ActiveModel {
            id: NotSet,
            user_id: Set(caller.user.id),
            name: Set(name.clone()),
            token_hash: Set(secret.digest()),
            scope: Set(scope),
            created_at: Set(now),
            expires_at: Set(expires_at),
            last_used_at: Set(None),
        };
        let made = Entity::insert(row).exec_with_returning(tx).await?;
        audit_log::write(tx, Kind::TokenCreated, &Actor::caller(caller), &subject).await?;
        Ok((made, secret.clone()))
    })
    .await
}

/// Revokes one of the caller's tokens; returns whether there was one with this number.
pub(crate) async fn revoke(accounts: &Accounts, caller: &Caller, id: i64) -> Result<bool, Problem> {
    write_as(&accounts.database, caller, async move |tx, caller| {
        let Some(found) = get(tx, caller.user.id, id).await? else {
            return Ok(false);
        };
        Entity::delete_by_id(id).exec(tx).await?;
        audit_log::write(tx, Kind::TokenRevoked, &Actor::caller(caller), &found.name).await?;
        Ok(true)
    })
    .await
}
