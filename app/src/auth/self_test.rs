//! Can this version read what every request may need to know of its caller?

use sea_orm::DbErr;

use super::{
    email_keys, entity::verification::Kind, idempotency, login_methods, sessions, tokens, users, verification,
};
use crate::db::Database;

/// Reads through each query that finds out who is calling; returns somebody's number.
pub(crate) async fn read_through(database: &Database) -> Result<i64, DbErr> {
    let reads = database.reads();
    users::any(reads).await?;
    let id = users::list(reads).await?.last().map_or(1, |user| user.id);
    users::get(reads, id).await?;
    users::alike(reads, "nobody@example.org").await?;
    email_keys::emails(reads, "nobody@example.org").await?;
    email_keys::batch(reads, i64::MIN).await?;
    users::owners(reads).await?;
    login_methods::find(reads, login_methods::PASSWORD, "1").await?;
    login_methods::linked(reads, id).await?;
    login_methods::list_by(reads, login_methods::TAILSCALE).await?;
    sessions::find(reads, "none").await?;
    sessions::list(reads, id).await?;
    sessions::get(reads, 1).await?;
    verification::find(reads, Kind::SetUp, "none").await?;
    verification::list(reads, Kind::Invitation).await?;
    verification::get(reads, Kind::Invitation, 1).await?;
    verification::list_of(reads, Kind::Recovery, id).await?;
    tokens::find(reads, "none").await?;
    tokens::get(reads, id, 1).await?;
    tokens::get_with_user(reads, 1).await?;
    idempotency::find(reads, id, "none").await?;
    Ok(id)
}

/// Returns what a self-test says that could not read something of a feature's.
pub(crate) fn unread(database: &Database, what: &str, error: DbErr) -> String {
    format!("the self-test could not read {what}: {}", database.failed(error))
}
