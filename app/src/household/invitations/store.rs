//! How does somebody else join the household?
//!
//! By a link that an admin makes and sends by whatever way they have: there is no mail server. It says what role its
//! holder gets, is good for a week and once.

use sea_orm::DatabaseConnection;

use crate::{
    auth::{
        Accounts,
        audit_log::{self, Actor, Kind},
        authority::write_as,
        caller::{Caller, ClientInfo},
        email,
        entity::verification::{Kind::Invitation, Model},
        idempotency::{self, Once},
        login_methods,
        profile::Profile,
        role::{Method, Role},
        sessions::{self, NewSession},
        users,
        verification::{self, About},
    },
    household::resets::link_expired,
    http::Problem,
    secret::Secret,
    sign_in::SignIn,
};

/// Returns the invitations that are open.
pub(crate) async fn list(reads: &DatabaseConnection) -> Result<Vec<Model>, sea_orm::DbErr> {
    verification::list(reads, Invitation).await
}

/// Makes an invitation for a role; `email` fills in the form of who takes it.
pub(crate) async fn create(
    accounts: &Accounts,
    caller: &Caller,
    role: Role,
    email: Option<String>,
    once: Option<Once>,
) -> Result<(Model, Secret), Problem> {
    if !caller.role().rules(role) {
        return Err(Problem::forbidden("You can only give roles below your own, unless you are an owner."));
    }
    caller.check_fresh()?;
    let secret = Secret::token();
    write_as(&accounts.database, caller, async move |tx, caller| {
        idempotency::check_first(tx, caller, once.as_ref()).await?;
        if let Some(email) = &email
            && users::is_taken(tx, email, None).await?
        {
            return Err(users::email_in_use().into());
        }
        let subject = format!("{} as {}", email.as_deref().unwrap_or("anyone with the link"), role.name());
        let about = About { role: Some(role), email: email.clone(), created_by: Some(caller.user.id), user_id: None };
        let made = verification::keep(tx, Invitation, &secret, about, verification::INVITATION).await?;
        idempotency::keep(tx, caller, once.as_ref(), made.id).await?;
        audit_log::write(tx, Kind::InvitationCreated, &Actor::caller(caller), &subject).await?;
        Ok((made, secret.clone()))
    })
    .await
}

/// Takes an open invitation back; returns whether there was one with this number.
pub(crate) async fn revoke(accounts: &Accounts, caller: &Caller, id: i64) -> Result<bool, Problem> {
    write_as(&accounts.database, caller, async move |tx, caller| {
        let Some(found) = verification::get(tx, Invitation, id).await? else {
            return Ok(false);
        };
        let role = found.role.unwrap_or(Role::Guest);
        if !caller.role().rules(role) {
            return Err(Problem::forbidden("Only an owner can revoke an invitation for this role.").into());
        }
        verification::void_one(tx, id).await?;
        let subject = format!("{} as {}", found.email.as_deref().unwrap_or("anyone with the link"), role.name());
        audit_log::write(tx, Kind::InvitationRevoked, &Actor::caller(caller), &subject).await?;
        Ok(true)
    })
    .await
}

/// Returns an invitation while it is good.
pub(crate) async fn find(accounts: &Accounts, token: &str) -> Result<Option<Model>, Problem> {
    verification::find(accounts.reads(), Invitation, token)
        .await
        .map_err(|error| accounts.database.failed(error).into())
}

/// Makes the holder of an invitation one of the household, and signs them in.
pub(crate) async fn accept(
    sign_in: &SignIn,
    client: &ClientInfo,
    token: &str,
    profile: Profile,
    password: &str,
) -> Result<NewSession, Problem> {
    find(sign_in, token).await?.ok_or_else(link_expired)?;
    let taken = users::is_taken(sign_in.reads(), &profile.email, None).await;
    // Before the work of a hash, and again when it is written.
    if taken.map_err(|error| sign_in.database.failed(error))? {
        return Err(users::email_in_use());
    }
    sign_in.check_password("password", password, &profile.email, &profile.name)?;
    let hash = sign_in.hasher.hash(password).await?;
    let (token, client) = (token.to_owned(), client.clone());
    sign_in
        .database
        .write(async move |tx| {
            if users::is_taken(tx, &profile.email, None).await? {
                return Err(users::email_in_use().into());
            }
            let Some(invitation) = verification::find(tx, Invitation, &token).await? else {
                return Err(link_expired().into());
            };
            let role = invitation.role.unwrap_or(Role::Guest);
            // Who made it may have lost the right to since.
            if !users::still_rules(tx, invitation.created_by, role).await?
                || verification::take(tx, Invitation, &token).await?.is_none()
            {
                return Err(link_expired().into());
            }
            let user = users::add_with_password(tx, &profile, role, &hash).await?;
            // Not one that whoever has the link wrote: it may be anybody's.
            if invitation.email.as_deref().is_some_and(|invited| email::spelling(invited) == user.email) {
                login_methods::vouch(tx, &user).await?;
            }
            let actor = Actor::user(user.id, &user.email, Method::Invitation.name(), &client);
            audit_log::write(tx, Kind::InvitationAccepted, &actor, &format!("{} as {}", user.email, role.name()))
                .await?;
            Ok(sessions::begin(tx, &user, Method::Invitation, &client).await?)
        })
        .await
}
