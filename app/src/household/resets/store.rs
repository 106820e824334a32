//! How does somebody get another password: their own wish, an admin's link, or the server?

use crate::{
    auth::{
        Accounts,
        audit_log::{self, Actor, Kind},
        authority::write_as,
        caller::{Caller, ClientInfo},
        entity::{
            user,
            verification::Kind::{Reset, SecondStep},
        },
        idempotency::{self, Once},
        login_methods,
        role::Method,
        sessions::{self, NewSession},
        users,
        verification::{self, About},
    },
    db::{Database, Tx},
    http::Problem,
    secret::Secret,
    sign_in::{SignIn, totp},
};

/// Makes a link for somebody to choose a new password with; with `remove_totp` it takes their second factor away too.
/// `None` when there is nobody with this number.
pub(crate) async fn create_reset(
    accounts: &Accounts,
    caller: &Caller,
    id: i64,
    remove_totp: bool,
    once: Option<Once>,
) -> Result<Option<Secret>, Problem> {
    caller.check_fresh()?;
    let secret = Secret::token();
    write_as(&accounts.database, caller, async move |tx, caller| {
        idempotency::check_first(tx, caller, once.as_ref()).await?;
        let Some(user) = users::get(tx, id).await? else {
            return Ok(None);
        };
        // Not for oneself: a browser that was left open would get past the question for the password.
        if caller.user.id == id {
            return Err(
                Problem::forbidden("Change your own password and two-factor authentication under Account.").into()
            );
        }
        if !caller.role().rules(user.role) {
            return Err(Problem::forbidden("Only a user with a higher role can do this for this person.").into());
        }
        if user.disabled {
            let name = &user.name;
            let why = format!("{name} is disabled. Enable the account first.");
            return Err(Problem::conflict(why).into());
        }
        let made = offer_reset(tx, &user, &secret, remove_totp, &Actor::caller(caller), Some(caller.user.id)).await?;
        idempotency::keep(tx, caller, once.as_ref(), made).await?;
        Ok(Some(secret.clone()))
    })
    .await
}

/// Makes the operator's link for somebody who is known by their e-mail; `None` when nobody is.
pub(crate) async fn reset_by_operator(
    database: &Database,
    email: &str,
    remove_totp: bool,
) -> Result<Option<Secret>, Problem> {
    let (email, secret) = (email.to_owned(), Secret::token());
    database
        .write(async move |tx| {
            let Some(user) = users::signing_in(tx, &email).await? else {
                return Ok(None);
            };
            let actor = Actor::operator("app user reset-password");
            offer_reset(tx, &user, &secret, remove_totp, &actor, None).await?;
            Ok(Some(secret.clone()))
        })
        .await
}

/// Keeps the secret of a link, in place of an earlier one, and returns its number.
pub(crate) async fn offer_reset(
    tx: &Tx,
    user: &user::Model,
    secret: &Secret,
    remove_totp: bool,
    actor: &Actor,
    created_by: Option<i64>,
) -> Result<i64, sea_orm::DbErr> {
    verification::void(tx, Reset, Some(user.id)).await?;
    let about = About { user_id: Some(user.id), created_by, ..About::default() };
    let made = verification::keep(tx, Reset, secret, about, verification::RESET).await?;
    if remove_totp {
        totp::clear(tx, user.id).await?;
        audit_log::write(tx, Kind::TotpRemoved, actor, &user.email).await?;
    }
    audit_log::write(tx, Kind::ResetCreated, actor, &user.email).await?;
    Ok(made.id)
}

/// Returns whose password a link resets, while it is good.
pub(crate) async fn reset_for(accounts: &Accounts, token: &str) -> Result<Option<user::Model>, Problem> {
    let failed = |error| accounts.database.failed(error);
    let found = verification::find(accounts.reads(), Reset, token).await.map_err(failed)?;
    match found.and_then(|found| found.user_id) {
        Some(id) => Ok(users::enabled(accounts.reads(), id).await.map_err(failed)?),
        None => Ok(None),
    }
}

/// Sets the password that the holder of a link chose, ends all sessions, and signs them in if that is wanted; with a second
/// factor they have to sign in as always, and get `None`.
pub(crate) async fn use_reset(
    sign_in: &SignIn,
    client: &ClientInfo,
    token: &str,
    password: &str,
    signs_in: bool,
) -> Result<Option<NewSession>, Problem> {
    let user = reset_for(sign_in, token).await?.ok_or_else(link_expired)?;
    sign_in.check_password("password", password, &user.email, &user.name)?;
    let hash = sign_in.hasher.hash(password).await?;
    let (token, client) = (token.to_owned(), client.clone());
    sign_in
        .database
        .write(async move |tx| {
            let now = users::enabled(tx, user.id).await?;
            let (Some(reset), Some(user)) = (verification::find(tx, Reset, &token).await?, now) else {
                return Err(link_expired().into());
            };
            // Who made it may have lost the right to since, or the person may have risen above them.
            if !users::still_rules(tx, reset.created_by, user.role).await? {
                return Err(link_expired().into());
            }
            if verification::take(tx, Reset, &token).await?.is_none() {
                return Err(link_expired().into());
            }
            login_methods::set_password(tx, user.id, &hash).await?;
            sessions::end_all(tx, user.id, None).await?;
            verification::void(tx, SecondStep, Some(user.id)).await?;
            let actor = Actor::user(user.id, &user.email, Method::Reset.name(), &client);
            audit_log::write(tx, Kind::PasswordReset, &actor, "").await?;
            if !signs_in || totp::of(tx, user.id).await?.is_some() {
                return Ok(None);
            }
            Ok(Some(sessions::begin(tx, &user, Method::Reset, &client).await?))
        })
        .await
}

/// The refusal of a link that is not good any more.
pub(crate) fn link_expired() -> Problem {
    Problem::not_found("This link was already used, has expired or does not exist. Ask for a new one.")
}
