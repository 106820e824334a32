//! How does somebody else join the household?
//!
//! By a link that an admin makes and sends by whatever way they have: there is no mail server. It says what role its
//! holder gets, is good for a week and once.

use sea_orm::DatabaseConnection;

use super::{
    Accounts,
    acting::write_as,
    audit::{self, Actor, Kind},
    caller::{Caller, Place},
    entity::verification::{Kind::Invitation, Model},
    passwords::spent,
    people,
    profile::Profile,
    role::{Method, Role},
    secret::Secret,
    sessions::{self, Begun},
    verification::{self, About},
};
use crate::{db::refusable, http::Problem};

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
) -> Result<(Model, Secret), Problem> {
    if !caller.role().rules(role) {
        return Err(Problem::forbidden("Nobody gives away a role as high as their own, but an owner."));
    }
    caller.check_fresh()?;
    let secret = Secret::token();
    let kept = secret.clone();
    let made = write_as(&accounts.database, caller, move |transaction, caller| {
        let (kept, email) = (kept.clone(), email.clone());
        Box::pin(async move {
            if let Some(email) = &email
                && people::by_email(transaction, email).await?.is_some()
            {
                return Ok(Err(people::taken()));
            }
            let subject = format!("{} as {}", email.as_deref().unwrap_or("whoever has the link"), role.name());
            let about = About { role: Some(role), email, created_by: Some(caller.user.id), user_id: None };
            let made = verification::keep(transaction, Invitation, &kept, about, verification::INVITATION).await?;
            audit::write(transaction, Kind::InvitationCreated, &Actor::caller(&caller), &subject).await?;
            Ok(Ok(made))
        })
    })
    .await?;
    Ok((made, secret))
}

/// Takes an open invitation back; returns whether there was one with this number.
pub(crate) async fn revoke(accounts: &Accounts, caller: &Caller, id: i64) -> Result<bool, Problem> {
    write_as(&accounts.database, caller, move |transaction, caller| {
        Box::pin(async move {
            let Some(found) = verification::get(transaction, Invitation, id).await? else {
                return Ok(Ok(false));
            };
            let role = found.role.unwrap_or(Role::Guest);
            if !caller.role().rules(role) {
                return Ok(Err(Problem::forbidden("Only an owner takes back an invitation for this role.")));
            }
            verification::void_one(transaction, id).await?;
            let subject = format!("{} as {}", found.email.as_deref().unwrap_or("whoever has the link"), role.name());
            audit::write(transaction, Kind::InvitationRevoked, &Actor::caller(&caller), &subject).await?;
            Ok(Ok(true))
        })
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
    accounts: &Accounts,
    place: &Place,
    token: &str,
    profile: Profile,
    password: &str,
) -> Result<Begun, Problem> {
    find(accounts, token).await?.ok_or_else(spent)?;
    let known = people::by_email(accounts.reads(), &profile.email).await;
    // Before the work of a hash, and again when it is written.
    if known.map_err(|error| accounts.database.failed(error))?.is_some() {
        return Err(people::taken());
    }
    accounts.check_password("password", password, &profile.email, &profile.name)?;
    let hash = accounts.hasher.hash(password).await?;
    let (token, place) = (token.to_owned(), place.clone());
    refusable(&accounts.database, move |transaction| {
        let (token, place, profile, hash) = (token.clone(), place.clone(), profile.clone(), hash.clone());
        Box::pin(async move {
            if people::by_email(transaction, &profile.email).await?.is_some() {
                return Ok(Err(people::taken()));
            }
            let Some(invitation) = verification::find(transaction, Invitation, &token).await? else {
                return Ok(Err(spent()));
            };
            let role = invitation.role.unwrap_or(Role::Guest);
            // Who made it may have lost the right to since.
            if !people::still_rules(transaction, invitation.created_by, role).await?
                || verification::take(transaction, Invitation, &token).await?.is_none()
            {
                return Ok(Err(spent()));
            }
            let user = match people::add_with_password(transaction, &profile, role, hash).await? {
                Ok(user) => user,
                Err(problem) => return Ok(Err(problem)),
            };
            let actor = Actor::user(user.id, &user.email, Method::Invitation.name(), &place);
            audit::write(transaction, Kind::InvitationAccepted, &actor, &format!("{} as {}", user.email, role.name()))
                .await?;
            sessions::begin(transaction, &user, Method::Invitation, &place).await.map(Ok)
        })
    })
    .await
}
