//! How are secrets given out for one use, and taken back in?
//!
//! Codes, links and known devices are rows of one table: the hash of a secret, what it is good for, until when, and
//! when it was used. A secret is used by setting `used_at` where it is not set, so two that come at once do not both
//! win.

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    sea_query::{Expr, Order},
};
use time::Duration;

use super::{
    entity::verification::{ActiveModel, Column, Entity, Kind, Model},
    role::Role,
};
use crate::{
    datetime::Timestamp,
    db::is_known,
    secret::{Secret, digest},
};

/// How long a set-up code is good; a start after that makes another.
pub(crate) const SET_UP: Duration = Duration::days(7);
/// How long an invitation is good.
pub(crate) const INVITATION: Duration = Duration::days(7);
/// How long a link to choose a new password is good.
pub(crate) const RESET: Duration = Duration::days(1);
/// How long a browser is known to its user after a sign-in.
pub(crate) const DEVICE: Duration = Duration::days(180);
/// How long the second step of a sign-in may take.
pub(crate) const SECOND_STEP: Duration = Duration::minutes(5);
/// How long a one-time code is shown, in seconds (RFC 6238).
pub(crate) const CODE_SECONDS: i64 = 30;
/// Recovery codes are good until they are used or replaced: a century.
pub(crate) const RECOVERY: Duration = Duration::days(36_500);

/// What a new row says beside its secret.
#[derive(Debug, Clone, Default)]
pub(crate) struct About {
    pub(crate) user_id: Option<i64>,
    pub(crate) role: Option<Role>,
    pub(crate) email: Option<String>,
    pub(crate) created_by: Option<i64>,
}

/// Keeps a secret, good for this long.
pub(crate) async fn keep(
    transaction: &impl ConnectionTrait,
    kind: Kind,
    secret: &Secret,
    about: About,
    time: Duration,
) -> Result<Model, DbErr> {
    let now = Timestamp::now();
    let row = ActiveModel {
        id: NotSet,
        kind: Set(kind),
        token_hash: Set(secret.digest()),
        user_id: Set(about.user_id),
        role: Set(about.role),
        email: Set(about.email),
        created_by: Set(about.created_by),
        created_at: Set(now),
        expires_at: Set(now.after(time)),
        used_at: Set(None),
    };
    Entity::insert(row).exec_with_returning(transaction).await
}

/// Conditions under which a secret of this kind is still good.
fn good(kind: Kind) -> Condition {
    Condition::all()
        .add(Column::Kind.eq(kind))
        .add(Column::UsedAt.is_null())
        .add(Column::ExpiresAt.gt(Timestamp::now()))
        .add(Condition::any().add(Column::Role.is_null()).add(is_known::<Role>(Column::Role)))
}

/// Returns what is known of a secret that is still good.
pub(crate) async fn find(reads: &impl ConnectionTrait, kind: Kind, secret: &str) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(good(kind)).filter(Column::TokenHash.eq(digest(secret))).one(reads).await
}

/// Returns those of a kind that are still good, the newest first.
pub(crate) async fn list(reads: &impl ConnectionTrait, kind: Kind) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(good(kind)).order_by(Column::Id, Order::Desc).all(reads).await
}

/// Returns how many of a kind somebody has that are still good.
pub(crate) async fn list_of(reads: &impl ConnectionTrait, kind: Kind, user_id: i64) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(good(kind)).filter(Column::UserId.eq(user_id)).all(reads).await
}

/// Uses a secret up and returns what it was for; `None` when it was never given out, has expired or was used before.
pub(crate) async fn take(transaction: &impl ConnectionTrait, kind: Kind, secret: &str) -> Result<Option<Model>, DbErr> {
    let Some(found) = find(transaction, kind, secret).await? else {
        return Ok(None);
    };
    let used = Entity::update_many()
        .col_expr(Column::UsedAt, Expr::value(Timestamp::now()))
        .filter(Column::Id.eq(found.id))
        .filter(Column::UsedAt.is_null())
        .exec(transaction)
        .await?;
    Ok((used.rows_affected == 1).then_some(found))
}

/// Takes all of a kind away from somebody, or from everybody.
pub(crate) async fn void(transaction: &impl ConnectionTrait, kind: Kind, user_id: Option<i64>) -> Result<u64, DbErr> {
    let mut rows = Entity::delete_many().filter(Column::Kind.eq(kind));
    if let Some(id) = user_id {
        rows = rows.filter(Column::UserId.eq(id));
    }
    Ok(rows.exec(transaction).await?.rows_affected)
}

/// Returns one by its number, while it is good.
pub(crate) async fn get(reads: &impl ConnectionTrait, kind: Kind, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(good(kind)).filter(Column::Id.eq(id)).one(reads).await
}

/// Takes one away by its number.
pub(crate) async fn void_one(transaction: &impl ConnectionTrait, id: i64) -> Result<(), DbErr> {
    Entity::delete_by_id(id).exec(transaction).await.map(drop)
}

/// Forgets what nobody can use any more; what was used is in the audit log.
pub(crate) async fn tidy(transaction: &impl ConnectionTrait) -> Result<(), DbErr> {
    let over = Condition::any().add(Column::UsedAt.is_not_null()).add(Column::ExpiresAt.lte(Timestamp::now()));
    Entity::delete_many().filter(over).exec(transaction).await.map(drop)
}
