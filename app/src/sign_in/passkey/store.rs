//! Which passkeys does somebody have, and how do they come in by one?
//!
//! The ceremonies are in `passkeys`; here is what is kept. A passkey is both factors at once, so no code is asked for
//! beside it.

use poem::http::StatusCode;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder,
    sea_query::{Expr, Order},
};
use serde_json::Value;

use super::webauthn::{self, PasskeyError, Passkeys, Used};
use crate::{
    auth::{
        audit_log::{self, Actor, Kind},
        authority::write_as,
        caller::{Caller, ClientInfo},
        entity::passkey::{ActiveModel, Column, Entity, Model},
        role::Method,
        sessions::{self, NewSession},
        users,
    },
    datetime::Timestamp,
    fallback,
    http::{Problem, network},
    sign_in::SignIn,
};

/// Passkeys that somebody may have: more is a mistake.
const MOST: usize = 50;

impl SignIn {
    fn passkeys(&self) -> Result<&Passkeys, Problem> {
        self.passkeys.as_ref().ok_or_else(|| {
            Problem::conflict("Passkeys are off. They need http.public_url, the address that the household uses.")
        })
    }
}

impl From<PasskeyError> for Problem {
    fn from(error: PasskeyError) -> Self {
        Self::new(StatusCode::BAD_REQUEST).detail(error.to_string())
    }
}

/// Returns somebody's passkeys, the oldest first.
pub(crate) async fn list(reads: &impl ConnectionTrait, user_id: i64) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(Column::UserId.eq(user_id)).order_by(Column::Id, Order::Asc).all(reads).await
}

/// Returns the passkey with this id of a credential, when it is this user's.
pub(crate) async fn find(
    reads: &DatabaseConnection,
    user_id: i64,
    credential_id: &str,
) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(Column::UserId.eq(user_id)).filter(Column::CredentialId.eq(credential_id)).one(reads).await
}

/// Returns one of somebody's passkeys.
pub(crate) async fn get(reads: &impl ConnectionTrait, user_id: i64, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).filter(Column::UserId.eq(user_id)).one(reads).await
}

/// Begins to register one: returns the ceremony and what the browser is to be asked.
pub(crate) async fn begin(sign_in: &SignIn, caller: &Caller) -> Result<(String, Value), Problem> {
    let passkeys = sign_in.passkeys()?;
    caller.check_fresh()?;
    let own = list(sign_in.reads(), caller.user.id).await.map_err(|error| sign_in.database.failed(error))?;
    let existing: Vec<_> = own.into_iter().map(|passkey| passkey.credential).collect();
    Ok(passkeys.begin_registration(
        caller.user.id,
        &caller.user.created_at.to_string(),
        &caller.user.email,
        &caller.user.name,
        &existing,
    )?)
}

/// Keeps the passkey that the browser made.
pub(crate) async fn add(
    sign_in: &SignIn,
    caller: &Caller,
    ceremony: &str,
    name: String,
    credential: Value,
) -> Result<Model, Problem> {
    let new = sign_in.passkeys()?.finish_registration(ceremony, caller.user.id, credential)?;
    write_as(&sign_in.database, caller, async move |tx, caller| {
        let known = Entity::find().filter(Column::CredentialId.eq(&*new.credential_id)).one(tx).await?;
        if known.is_some() {
            return Err(Problem::from(PasskeyError::Registered).into());
        }
        if list(tx, caller.user.id).await?.len() >= MOST {
            return Err(Problem::conflict(format!("You already have {MOST} passkeys. Delete some first.")).into());
        }
        let row = ActiveModel {
            id: NotSet,
            user_id: Set(caller.user.id),
            name: Set(name.clone()),
            credential_id: Set(new.credential_id.clone()),
            credential: Set(new.credential.clone()),
            created_at: Set(Timestamp::now()),
            last_used_at: Set(None),
        };
        let made = Entity::insert(row).exec_with_returning(tx).await?;
        audit_log::write(tx, Kind::PasskeyAdded, &Actor::caller(caller), &name).await?;
        Ok(made)
    })
    .await
}

/// Deletes one of the caller's; returns whether there was one with this number.
pub(crate) async fn delete(sign_in: &SignIn, caller: &Caller, id: i64) -> Result<bool, Problem> {
    write_as(&sign_in.database, caller, async move |tx, caller| {
        let Some(found) = get(tx, caller.user.id, id).await? else {
            return Ok(false);
        };
        Entity::delete_by_id(id).exec(tx).await?;
        audit_log::write(tx, Kind::PasskeyRemoved, &Actor::caller(caller), &found.name).await?;
        Ok(true)
    })
    .await
}

/// Begins to come in: returns the ceremony and what the browser is to be asked.
pub(crate) fn begin_sign_in(sign_in: &SignIn, client: &ClientInfo) -> Result<(String, Value), Problem> {
    Ok(sign_in.passkeys()?.begin_sign_in(network(client.address_or_none()))?)
}

/// Checks what the device signed, and begins a session.
pub(crate) async fn sign_in(
    sign_in: &SignIn,
    client: &ClientInfo,
    ceremony: &str,
    credential: Value,
) -> Result<NewSession, Problem> {
    let passkeys = sign_in.passkeys()?;
    let failed = |error| sign_in.database.failed(error);
    let (user_id, credential_id) = webauthn::identify(&credential).ok_or(PasskeyError::Unreadable)?;
    let device = sessions::known_device(sign_in.reads(), client, user_id).await.map_err(failed)?;
    // By whom it says that it is, as with an e-mail: nobody uses up what is somebody else's.
    let account = format!("passkey of {user_id}");
    let ticket = sign_in.admit(client, &account, &account, device).await?;
    let known = find(sign_in.reads(), user_id, &credential_id).await.map_err(failed)?;
    let stored: Vec<_> = known.iter().map(|passkey| passkey.credential.clone()).collect();
    let outcome = match (passkeys.finish_sign_in(ceremony, credential, &stored), known) {
        // What anybody can send without a device is not worth a line in the audit log each time.
        (Err(error @ (PasskeyError::Over | PasskeyError::Unreadable)), _) => return Err(unproven(&error)),
        (Err(error), _) => Err(unproven(&error)),
        (Ok(_), None) => Err(unproven(&PasskeyError::Unknown)),
        (Ok(used), Some(passkey)) => begin_session(sign_in, client, passkey, used).await,
    };
    match &outcome {
        Ok(_) => sign_in.throttle.refund(ticket),
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => {
            sign_in.note(Kind::SignInFailed, Actor::somebody("somebody", "passkey", client)).await;
        }
        Err(_) => {}
    }
    outcome
}

/// Keeps what the device said with its signature, and begins the session.
async fn begin_session(
    sign_in: &SignIn,
    client: &ClientInfo,
    passkey: Model,
    used: Used,
) -> Result<NewSession, Problem> {
    let client = client.clone();
    sign_in
        .database
        .write(async move |tx| {
            let unknown = || Err(unproven(&PasskeyError::Unknown).into());
            let Some(user) = users::enabled(tx, passkey.user_id).await? else {
                return unknown();
            };
            let mut row = Entity::update_many()
                .col_expr(Column::LastUsedAt, Expr::value(Timestamp::now()))
                .filter(Column::Id.eq(passkey.id));
            // What a newer version keeps of the device beside the counter would be lost.
            if let Some(updated) = used.updated.as_ref().filter(|_| !fallback::is_active()) {
                row = row.col_expr(Column::Credential, Expr::value(updated));
            }
            // It was deleted a moment ago.
            if row.exec(tx).await?.rows_affected == 0 {
                return unknown();
            }
            Ok(sessions::begin(tx, &user, Method::Passkey, &client).await?)
        })
        .await
}

fn unproven(error: &PasskeyError) -> Problem {
    Problem::unauthorized(error.to_string())
}
