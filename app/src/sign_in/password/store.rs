//! How does somebody come in with e-mail and password?
//!
//! An unknown e-mail and a wrong password get the same words after the same work (OWASP Authentication Cheat Sheet);
//! whether a second factor is wanted is told only to who knows the password. A try costs a token of the throttle, which
//! one that succeeds gives back.

use crate::{
    auth::{
        audit_log::{self, Actor, Kind},
        caller::{Caller, ClientInfo},
        entity::{user, verification::Kind::SecondStep},
        login_methods,
        role::Method,
        sessions::{self, NewSession},
        users,
        verification::{self, About},
    },
    db::Tx,
    fallback,
    http::{FieldError, Problem},
    secret::Secret,
    sign_in::{
        SignIn,
        password::hash::Verdict,
        totp::{self, Code},
    },
};

/// How a try with the right password ends.
pub(crate) enum Outcome {
    In(Box<NewSession>),
    /// A code is wanted as well.
    CodeWanted(Box<user::Model>),
}

/// Checks e-mail and password, and the code when one is given; begins a session when all is right.
pub(crate) async fn by_password(
    sign_in: &SignIn,
    client: &ClientInfo,
    email: &str,
    password: &str,
    code: Option<&str>,
) -> Result<Outcome, Problem> {
    let failed = |error| sign_in.database.failed(error);
    let user = users::signing_in(sign_in.reads(), email).await.map_err(failed)?;
    // What was typed is not kept, unless it is somebody's e-mail: it may be a password in the wrong field.
    let who = user.as_ref().map_or("no e-mail", |user| &user.email).to_owned();
    // Asked for also when there is nobody: the same reads for all.
    let id = user.as_ref().map_or(0, |user| user.id);
    let kept = login_methods::password(sign_in.reads(), id).await.map_err(failed)?;
    let device = sessions::known_device(sign_in.reads(), client, id).await.map_err(failed)?;
    let ticket = sign_in.admit(client, email, &who, device).await?;
    let verdict = match sign_in.hasher.verify(kept.as_deref(), password).await {
        Ok(verdict) => verdict,
        Err(busy) => {
            // Not looked at, so no guess.
            sign_in.throttle.refund(ticket);
            return Err(busy.into());
        }
    };
    let user = user.filter(|user| verdict.right && !user.disabled);
    let Some(user) = user else {
        sign_in.note(Kind::SignInFailed, Actor::somebody(&who, "password", client)).await;
        return Err(wrong());
    };
    let code = match (totp::of(sign_in.reads(), user.id).await.map_err(failed)?, code) {
        (None, _) => None,
        (Some(_), None) => {
            sign_in.throttle.refund(ticket);
            return Ok(Outcome::CodeWanted(Box::new(user)));
        }
        (Some(_), Some(code)) => Some(code.to_owned()),
    };
    // A newer version may have hashed it otherwise on purpose.
    let better = match verdict.rehash && !fallback::is_active() {
        true => Some(sign_in.hasher.hash(password).await?),
        false => None,
    };
    let new_session = begin(sign_in, client, user, Shown { code, kept, better_hash: better, step: None }).await?;
    sign_in.throttle.refund(ticket);
    Ok(Outcome::In(Box::new(new_session)))
}

/// Gives out the secret of a second step, for a page that must not keep the password.
pub(crate) async fn second_step(sign_in: &SignIn, user: &user::Model) -> Result<Secret, Problem> {
    let (secret, about) = (Secret::token(), About { user_id: Some(user.id), ..About::default() });
    sign_in
        .database
        .write(async move |tx| {
            verification::keep(tx, SecondStep, &secret, about.clone(), verification::SECOND_STEP).await?;
            Ok(secret.clone())
        })
        .await
}

/// Checks the code of a second step; the step itself stays good for another try until its time is up.
pub(crate) async fn by_second_step(
    sign_in: &SignIn,
    client: &ClientInfo,
    step: &str,
    code: &str,
) -> Result<NewSession, Problem> {
    let failed = |error| sign_in.database.failed(error);
    let found = verification::find(sign_in.reads(), SecondStep, step).await.map_err(failed)?;
    let user = match found.and_then(|found| found.user_id) {
        Some(id) => users::enabled(sign_in.reads(), id).await.map_err(failed)?,
        None => None,
    };
    let user = user
        .ok_or_else(|| Problem::unauthorized("This sign-in has expired. Start again with your e-mail and password."))?;
    let device = sessions::known_device(sign_in.reads(), client, user.id).await.map_err(failed)?;
    let ticket = sign_in.admit(client, &user.email, &user.email, device).await?;
    let kept = login_methods::password(sign_in.reads(), user.id).await.map_err(failed)?;
    let shown = Shown { code: Some(code.to_owned()), kept, better_hash: None, step: Some(step.to_owned()) };
    let new_session = begin(sign_in, client, user, shown).await?;
    sign_in.throttle.refund(ticket);
    Ok(new_session)
}

/// What somebody has shown, beside who they are.
#[derive(Debug, Clone)]
struct Shown {
    code: Option<String>,
    /// The hash that their password was found right by.
    kept: Option<String>,
    /// One of today's parameters in its place.
    better_hash: Option<String>,
    /// The second step that this is.
    step: Option<String>,
}

/// Takes the code and begins the session, both in one transaction: no code is taken twice.
async fn begin(sign_in: &SignIn, client: &ClientInfo, user: user::Model, shown: Shown) -> Result<NewSession, Problem> {
    let from = client.clone();
    let email = user.email.clone();
    let outcome = sign_in
        .database
        .write(async move |tx| {
            let Shown { code, kept, better_hash, step } = &shown;
            // Before anything is written: a code must not be spent on a step that is over.
            if let Some(step) = step
                && verification::find(tx, SecondStep, step).await?.is_none()
            {
                return Err(wrong_code().into());
            }
            // What was read before the password was hashed may have changed since.
            let now = users::enabled(tx, user.id).await?;
            let same = login_methods::password(tx, user.id).await? == *kept;
            let factor = totp::of(tx, user.id).await?.is_some();
            let Some(user) = now.filter(|_| same && (code.is_some() || !factor)) else {
                return Err(wrong().into());
            };
            let method = match code {
                None => Method::Password,
                Some(code) => match take_code(tx, &user, code, &from).await? {
                    true => Method::PasswordAndCode,
                    false => return Err(wrong_code().into()),
                },
            };
            if let Some(step) = step {
                verification::take(tx, SecondStep, step).await?;
            }
            if let Some(hash) = better_hash {
                login_methods::set_password(tx, user.id, hash).await?;
            }
            Ok(sessions::begin(tx, &user, method, &from).await?)
        })
        .await;
    if let Err(problem) = &outcome
        && problem.status().as_u16() == 401
    {
        sign_in.note(Kind::SignInFailed, Actor::somebody(&email, "code", client)).await;
    }
    outcome
}

async fn take_code(tx: &Tx, user: &user::Model, code: &str, client: &ClientInfo) -> Result<bool, sea_orm::DbErr> {
    match totp::take(tx, user.id, code).await? {
        Some(Code::OneTime) => Ok(true),
        Some(Code::Recovery { left }) => {
            let actor = Actor::user(user.id, &user.email, "recovery code", client);
            audit_log::write(tx, Kind::RecoveryCodeUsed, &actor, &format!("{left} left")).await?;
            Ok(true)
        }
        None => Ok(false),
    }
}

/// The refusal of e-mail and password: the same whichever it was.
fn wrong() -> Problem {
    Problem::unauthorized("The e-mail or the password is wrong.")
}

fn wrong_code() -> Problem {
    Problem::unauthorized("The code is wrong or was already used.")
}

impl SignIn {
    /// Sees to it that the caller knows their own password, before something that a left-open browser must not do.
    pub(crate) async fn confirm_password(
        &self,
        caller: &Caller,
        field: &'static str,
        password: &str,
    ) -> Result<(), Problem> {
        let failed = |error| self.database.failed(error);
        let kept = login_methods::password(self.reads(), caller.user.id).await.map_err(failed)?;
        let device = sessions::known_device(self.reads(), &caller.client, caller.user.id).await.map_err(failed)?;
        let ticket = self.admit(&caller.client, &caller.user.email, &caller.user.email, device).await?;
        let verdict = self.hasher.verify(kept.as_deref(), password).await;
        if !matches!(verdict, Ok(Verdict { right: false, .. })) {
            // Right, or not looked at: no guess.
            self.throttle.refund(ticket);
        }
        if verdict?.right {
            return Ok(());
        }
        Err(Problem::fields(vec![FieldError::new(field, "is wrong")]))
    }
}
