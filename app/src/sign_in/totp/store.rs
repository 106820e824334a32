//! What does somebody have to show beside their password?
//!
//! A one-time password of their phone (RFC 6238), once they have shown a first one, or one of ten recovery codes. Each
//! is taken once.

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter,
    sea_query::Expr,
};

use super::code;
use crate::{
    auth::{
        audit_log::{self, Actor, Kind},
        authority::write_as,
        caller::Caller,
        entity::{
            totp::{ActiveModel, Column, Entity, Model},
            verification::Kind::Recovery,
        },
        verification::{self, About},
    },
    datetime::Timestamp,
    http::{FieldError, Problem},
    secret::Secret,
    sign_in::SignIn,
};

/// What was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    OneTime,
    /// How many are left.
    Recovery {
        left: usize,
    },
}

/// Returns somebody's confirmed secret.
pub(crate) async fn of(reads: &impl ConnectionTrait, user_id: i64) -> Result<Option<Model>, DbErr> {
    let found = Entity::find().filter(Column::UserId.eq(user_id)).one(reads).await?;
    Ok(found.filter(|totp| totp.confirmed_at.is_some()))
}

/// Takes a code of somebody's; `None` when it is wrong or was taken before.
pub(crate) async fn take(transaction: &impl ConnectionTrait, user_id: i64, code: &str) -> Result<Option<Code>, DbErr> {
    let Some(own) = of(transaction, user_id).await? else {
        return Ok(None);
    };
    if take_one_time(transaction, &own, code).await? {
        return Ok(Some(Code::OneTime));
    }
    let Some(code) = code::normalise(code) else {
        return Ok(None);
    };
    let found = verification::find(transaction, Recovery, &code).await?;
    if found.is_none_or(|found| found.user_id != Some(user_id)) {
        return Ok(None);
    }
    let taken = verification::take(transaction, Recovery, &code).await?;
    let left = verification::list_of(transaction, Recovery, user_id).await?.len();
    Ok(taken.map(|_| Code::Recovery { left }))
}

/// Takes a one-time password, whose step must be later than that of the last one.
async fn take_one_time(transaction: &impl ConnectionTrait, own: &Model, code: &str) -> Result<bool, DbErr> {
    let Some(secret) = code::from_base32(&own.secret) else {
        return Ok(false);
    };
    let Some(step) = code::check(&secret, code, Timestamp::now().unix(), own.last_step) else {
        return Ok(false);
    };
    let earlier = Condition::any().add(Column::LastStep.is_null()).add(Column::LastStep.lt(step));
    let taken = Entity::update_many()
        .col_expr(Column::LastStep, Expr::value(step))
        .filter(Column::Id.eq(own.id))
        .filter(earlier)
        .exec(transaction)
        .await?;
    Ok(taken.rows_affected == 1)
}

/// A secret that waits for its first code.
pub(crate) struct Offer {
    /// In base32, for who types it.
    pub(crate) secret: String,
    /// As a QR code holds it.
    pub(crate) uri: String,
}

/// Makes a new secret for the caller, in place of one that was never confirmed.
pub(crate) async fn begin(sign_in: &SignIn, caller: &Caller) -> Result<Offer, Problem> {
    caller.check_fresh()?;
    let bytes = code::new_secret();
    let secret = code::base32(&bytes);
    write_as(&sign_in.database, caller, async move |tx, caller| {
        let user_id = caller.user.id;
        if of(tx, user_id).await?.is_some() {
            return Err(Problem::conflict("Two-factor authentication is already on. Turn it off first.").into());
        }
        Entity::delete_many().filter(Column::UserId.eq(user_id)).exec(tx).await?;
        let row = ActiveModel {
            id: NotSet,
            user_id: Set(user_id),
            secret: Set(secret.clone()),
            confirmed_at: Set(None),
            last_step: Set(None),
            created_at: Set(Timestamp::now()),
        };
        Entity::insert(row).exec_without_returning(tx).await?;
        Ok(Offer { secret: secret.clone(), uri: code::uri(&bytes, &caller.user.email) })
    })
    .await
}

/// Returns the secret that waits for its first code.
pub(crate) async fn offered(sign_in: &SignIn, caller: &Caller) -> Result<Option<Offer>, Problem> {
    let found = Entity::find()
        .filter(Column::UserId.eq(caller.user.id))
        .one(sign_in.reads())
        .await
        .map_err(|error| sign_in.database.failed(error))?;
    Ok(found.filter(|totp| totp.confirmed_at.is_none()).and_then(|totp| {
        let bytes = code::from_base32(&totp.secret)?;
        Some(Offer { uri: code::uri(&bytes, &caller.user.email), secret: totp.secret })
    }))
}

/// Takes the first code, from which on one is asked for at each sign-in, and returns the recovery codes.
pub(crate) async fn confirm(sign_in: &SignIn, caller: &Caller, code: &str) -> Result<Vec<String>, Problem> {
    caller.check_fresh()?;
    let (code, codes) = (code.to_owned(), code::recovery_codes());
    write_as(&sign_in.database, caller, async move |tx, caller| {
        let found = Entity::find().filter(Column::UserId.eq(caller.user.id)).one(tx).await?;
        let Some(own) = found.filter(|totp| totp.confirmed_at.is_none()) else {
            return Err(Problem::conflict("There is no two-factor setup to confirm. Start again.").into());
        };
        if !take_one_time(tx, &own, &code).await? {
            let error = FieldError::new("code", "does not match the code in the app");
            return Err(Problem::fields(vec![error]).into());
        }
        Entity::update_many()
            .col_expr(Column::ConfirmedAt, Expr::value(Timestamp::now()))
            .filter(Column::Id.eq(own.id))
            .exec(tx)
            .await?;
        verification::void(tx, Recovery, Some(caller.user.id)).await?;
        for code in codes.iter().filter_map(|code| code::normalise(code)) {
            let about = About { user_id: Some(caller.user.id), ..About::default() };
            verification::keep(tx, Recovery, &Secret::from(code), about, verification::RECOVERY).await?;
        }
        audit_log::write(tx, Kind::TotpAdded, &Actor::caller(caller), "").await?;
        Ok(codes.clone())
    })
    .await
}

/// Takes the caller's second factor away, when the password is right.
pub(crate) async fn remove(sign_in: &SignIn, caller: &Caller, password: &str) -> Result<(), Problem> {
    sign_in.confirm_password(caller, "password", password).await?;
    write_as(&sign_in.database, caller, async move |tx, caller| {
        clear(tx, caller.user.id).await?;
        Ok(audit_log::write(tx, Kind::TotpRemoved, &Actor::caller(caller), "").await?)
    })
    .await
}

/// Takes somebody's second factor away.
pub(crate) async fn clear(transaction: &impl ConnectionTrait, user_id: i64) -> Result<(), DbErr> {
    Entity::delete_many().filter(Column::UserId.eq(user_id)).exec(transaction).await?;
    verification::void(transaction, Recovery, Some(user_id)).await.map(drop)
}
