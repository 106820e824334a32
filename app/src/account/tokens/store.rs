//! Which tokens does somebody have, and how do they make and revoke one?

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    sea_query::Order,
};

use crate::{
    auth::{
        Accounts,
        audit_log::{self, Actor, Kind},
        authority::write_as,
        caller::Caller,
        entity::api_token::{ActiveModel, Column, Entity, Model},
        idempotency::{self, Once},
        role::Scope,
        tokens::get,
    },
    datetime::Timestamp,
    db::is_known,
    http::Problem,
    secret::Secret,
};

/// Tokens that somebody may have: more is a program that makes one at each start.
const MOST: usize = 100;

/// Returns somebody's tokens, the newest first.
pub(crate) async fn list(reads: &impl ConnectionTrait, user_id: i64) -> Result<Vec<Model>, DbErr> {
    let own = Entity::find().filter(Column::UserId.eq(user_id)).filter(is_known::<Scope>(Column::Scope));
    own.order_by(Column::Id, Order::Desc).all(reads).await
}

/// Makes a token for the caller.
pub(crate) async fn create(
    accounts: &Accounts,
    caller: &Caller,
    name: String,
    scope: Scope,
    expires_at: Option<Timestamp>,
    once: Option<Once>,
) -> Result<(Model, Secret), Problem> {
    caller.check_fresh()?;
    let secret = Secret::api_token();
    write_as(&accounts.database, caller, async move |tx, caller| {
        idempotency::check_first(tx, caller, once.as_ref()).await?;
        let now = Timestamp::now();
        if list(tx, caller.user.id).await?.len() >= MOST {
            return Err(Problem::conflict(format!("You already have {MOST} tokens. Revoke some first.")).into());
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
        idempotency::keep(tx, caller, once.as_ref(), made.id).await?;
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
