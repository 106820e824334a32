//! May this version serve these accounts?

use sea_orm::{ColumnTrait, DbErr, IdenStatic, Iterable};

use super::{
    audit_log,
    entity::{
        account, api_token, audit_event, passkey, session, totp, user,
        verification::{self, Kind},
    },
    sessions, tokens, verification as secrets, ways,
};
use crate::{
    auth::users,
    db::{Database, check_columns},
    failure::Failure,
    household::people,
    sign_in::{passkey as own_passkeys, totp as second_factor},
};

/// Reads through each query of the accounts. The error names what could not be read.
pub(crate) async fn self_test(database: &Database) -> Result<(), String> {
    read_through(database)
        .await
        .map_err(|error| format!("the self-test could not read the accounts: {}", database.failed(error)))
}

async fn read_through(database: &Database) -> Result<(), DbErr> {
    let reads = database.reads();
    users::any(reads).await?;
    let id = people::list(reads).await?.last().map_or(1, |user| user.id);
    users::get(reads, id).await?;
    users::by_email(reads, "nobody@example.org").await?;
    users::owners(reads).await?;
    ways::find(reads, ways::PASSWORD, "1").await?;
    ways::linked(reads, id).await?;
    ways::list_by(reads, ways::TAILSCALE).await?;
    sessions::find(reads, "none").await?;
    sessions::list(reads, id).await?;
    sessions::get(reads, 1).await?;
    secrets::find(reads, Kind::SetUp, "none").await?;
    secrets::list(reads, Kind::Invitation).await?;
    secrets::get(reads, Kind::Invitation, 1).await?;
    secrets::list_of(reads, Kind::Recovery, id).await?;
    second_factor::of(reads, id).await?;
    tokens::find(reads, "none").await?;
    crate::account::tokens::store::list(reads, id).await?;
    tokens::get(reads, id, 1).await?;
    tokens::get_with_user(reads, 1).await?;
    audit_log::list(reads, None, 10).await?;
    audit_log::list(reads, Some(10), 10).await?;
    audit_log::newest(reads, audit_log::Kind::BackupMade).await?;
    own_passkeys::list(reads, id).await?;
    own_passkeys::get(reads, id, 1).await?;
    own_passkeys::find(reads, id, "none").await.map(drop)
}

/// Checks that the tables are there and have the columns that this version knows.
pub(crate) async fn check_schema(database: &Database) -> Result<(), Failure> {
    async fn check<C: ColumnTrait + Iterable + IdenStatic>(database: &Database, table: &str) -> Result<(), Failure> {
        check_columns(database, table, C::iter().map(|column| IdenStatic::as_str(&column))).await
    }
    check::<user::Column>(database, "user").await?;
    check::<account::Column>(database, "account").await?;
    check::<session::Column>(database, "session").await?;
    check::<verification::Column>(database, "verification").await?;
    check::<passkey::Column>(database, "passkey").await?;
    check::<totp::Column>(database, "totp").await?;
    check::<api_token::Column>(database, "api_token").await?;
    check::<audit_event::Column>(database, "audit_event").await
}
