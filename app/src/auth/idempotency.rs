//! How is something created once, though its request comes twice?
//!
//! A client that got no response sends the request again with the same `Idempotency-Key`. The key is written down in the same
//! transaction as what it created, so that the two are there together or not at all, also after a crash; a request that was
//! refused leaves no key. Keys are a user's own, whether they come with a session or a token, and are kept for a day.

use poem::http::StatusCode;
use poem_openapi::types::ToJSON;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};
use time::Duration;

use super::{
    caller::Caller,
    entity::idempotency_key::{ActiveModel, Column, Entity, Model},
};
use crate::{
    datetime::Timestamp,
    db::{Abort, Tx},
    http::{Code, IdempotencyKey, Problem},
    secret::digest,
};

/// How long a key is kept.
const KEPT: Duration = Duration::hours(24);

/// A request that is carried out once.
#[derive(Debug, Clone)]
pub(crate) struct Once {
    key: String,
    /// Of the operation and the body: with the same key another request is refused.
    request_hash: String,
}

impl Once {
    /// Returns it for a request that has a key. Two bodies with the same fields and values are the same.
    pub(crate) fn new(key: IdempotencyKey, operation: &str, body: &impl ToJSON) -> Option<Self> {
        let request_hash = || digest(&format!("{operation}\n{}", body.to_json_string()));
        key.0.map(|key| Self { key, request_hash: request_hash() })
    }
}

/// Returns the id of what an earlier request with the same key created.
pub(crate) async fn earlier(tx: &Tx, caller: &Caller, once: Option<&Once>) -> Result<Option<i64>, Abort<Problem>> {
    let Some(once) = once else { return Ok(None) };
    match find(tx, caller.user.id, &once.key).await? {
        Some(found) if found.request_hash != once.request_hash => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY)
            .code(Code::IdempotencyKeyReused)
            .detail("This Idempotency-Key was already used for another request. Nothing was created.")
            .into()),
        found => Ok(found.map(|found| found.created_id)),
    }
}

/// Refuses a repeated request to create something with a secret, which only the first response has.
pub(crate) async fn check_first(tx: &Tx, caller: &Caller, once: Option<&Once>) -> Result<(), Abort<Problem>> {
    match earlier(tx, caller, once).await? {
        None => Ok(()),
        Some(_) => Err(Problem::conflict(
            "An earlier request with this Idempotency-Key created it. Its secret was in the response to that request only. If \
             that is lost, create another with a new key and revoke the first.",
        )
        .code(Code::AlreadyCreated)
        .into()),
    }
}

/// Writes down what the request created.
pub(crate) async fn keep(tx: &Tx, caller: &Caller, once: Option<&Once>, created_id: i64) -> Result<(), DbErr> {
    let Some(Once { key, request_hash }) = once.cloned() else { return Ok(()) };
    tidy(tx).await?;
    let row = ActiveModel {
        user_id: Set(caller.user.id),
        key: Set(key),
        request_hash: Set(request_hash),
        created_id: Set(created_id),
        created_at: Set(Timestamp::now()),
    };
    Entity::insert(row).exec_without_returning(tx).await.map(drop)
}

/// Returns what is kept of a key that somebody sent within the last day.
pub(crate) async fn find(reads: &impl ConnectionTrait, user_id: i64, key: &str) -> Result<Option<Model>, DbErr> {
    let kept = Column::CreatedAt.gt(Timestamp::now().before(KEPT));
    Entity::find_by_id((user_id, key.to_owned())).filter(kept).one(reads).await
}

/// Deletes keys that are older than a day.
pub(crate) async fn tidy(transaction: &impl ConnectionTrait) -> Result<(), DbErr> {
    let old = Column::CreatedAt.lte(Timestamp::now().before(KEPT));
    Entity::delete_many().filter(old).exec(transaction).await.map(drop)
}
