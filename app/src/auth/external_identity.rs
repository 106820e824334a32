//! Which one of the household is it that somebody else answers for: Tailscale, or a provider of OpenID Connect?
//!
//! Whom they named before is known by what they call them. At the first time, whoever has the very e-mail that they
//! answer for is linked, if it is known to be theirs; anybody else is refused, or joins when the owner allows it.

use sea_orm::{ConnectionTrait, DbErr};

use super::{
    Accounts,
    audit_log::{self, Actor, Kind},
    caller::ClientInfo,
    email,
    entity::user,
    login_methods,
    profile::Profile,
    role::Role,
};
use crate::{
    auth::users,
    config::{Join, TailscaleSettings},
    http::{FieldError, Problem},
};

/// Somebody by another's word.
#[derive(Debug, Clone)]
pub(crate) struct ExternalIdentity {
    pub(crate) provider: &'static str,
    pub(crate) provider_id: String,
    /// Only one that the other has seen to be theirs.
    pub(crate) verified_email: Option<String>,
    pub(crate) name: Option<String>,
    /// What becomes of somebody who is not known.
    pub(crate) join: Join,
}

impl Accounts {
    /// Returns what becomes of somebody whom Tailscale knows and the household does not.
    pub(crate) fn tailscale_join(&self) -> Join {
        match &self.auth.tailscale {
            TailscaleSettings::Off => Join::Refuse,
            TailscaleSettings::Serve { join, .. } | TailscaleSettings::Localapi { join, .. } => *join,
        }
    }
}

/// Why it is nobody of the household.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stranger {
    /// Nobody has the e-mail, or whoever has it may not come in.
    Unknown,
    /// The e-mail, or one that it could be taken for, is not known to be theirs alone.
    Ambiguous,
    /// An account has the e-mail, and only its user says that it is theirs.
    Unproven,
}

/// Returns who it is, or why they are not of the household and may not join. `present` is the user who is signed in in the
/// same browser.
pub(crate) async fn user_of(
    accounts: &Accounts,
    client: &ClientInfo,
    identity: ExternalIdentity,
    present: Option<i64>,
) -> Result<Result<user::Model, Stranger>, Problem> {
    let failed = |error| accounts.database.failed(error);
    if let Some(user) = linked_user(accounts.reads(), &identity).await.map_err(failed)? {
        return Ok(enabled(user));
    }
    let Some(named) = identity.verified_email.as_deref() else {
        return Ok(Err(Stranger::Unknown));
    };
    // A login of Tailscale's is an e-mail only where the tailnet's users have some.
    let email = email::check(named);
    let stranger =
        match (decide(accounts.reads(), named, &email, &identity, present).await.map_err(failed)?, identity.join) {
            (Err(stranger), _) => Some(stranger),
            (Ok(None), Join::Refuse) => Some(Stranger::Unknown),
            _ => None,
        };
    if let Some(stranger) = stranger {
        // Another request may have linked them since the first look, and that link is what spoke against them here.
        let linked = linked_user(accounts.reads(), &identity).await.map_err(failed)?;
        return Ok(linked.map_or(Err(stranger), enabled));
    }
    let (client, named) = (client.clone(), named.to_owned());
    accounts
        .database
        .write(async move |tx| {
            // Two requests of a new browser come at once.
            if let Some(user) = linked_user(tx, &identity).await? {
                return Ok(enabled(user));
            }
            // The first owner comes by the set-up code alone.
            if !users::any(tx).await? {
                return Ok(Err(Stranger::Unknown));
            }
            let role = match identity.join {
                Join::Refuse => None,
                Join::Guest => Some(Role::Guest),
                Join::Member => Some(Role::Member),
            };
            let (user, kind) = match (decide(tx, &named, &email, &identity, present).await?, role, &email) {
                (Err(stranger), ..) => return Ok(Err(stranger)),
                (Ok(Some(user)), ..) => (user, Kind::AccountLinked),
                (Ok(None), Some(role), Ok(email)) => {
                    let name = identity.name.as_deref().unwrap_or(email);
                    let named = Profile::check(name, email).or_else(|_| Profile::check(email, email));
                    let Ok(profile) = named else { return Ok(Err(Stranger::Unknown)) };
                    (users::add(tx, &profile, role).await?, Kind::UserCreated)
                }
                _ => return Ok(Err(Stranger::Unknown)),
            };
            login_methods::vouch(tx, &user).await?;
            login_methods::add(tx, user.id, identity.provider, &identity.provider_id, None).await?;
            let actor = Actor::user(user.id, &user.email, identity.provider, &client);
            audit_log::write(tx, kind, &actor, &format!("{} {}", identity.provider, identity.provider_id)).await?;
            Ok(Ok(user))
        })
        .await
}

fn enabled(user: user::Model) -> Result<user::Model, Stranger> {
    if user.disabled { Err(Stranger::Unknown) } else { Ok(user) }
}

/// Returns whom the provider has named before.
async fn linked_user(reads: &impl ConnectionTrait, identity: &ExternalIdentity) -> Result<Option<user::Model>, DbErr> {
    if let Some((_, user)) = login_methods::find(reads, identity.provider, &identity.provider_id).await? {
        return Ok(Some(user));
    }
    if identity.provider != login_methods::TAILSCALE {
        return Ok(None);
    }
    // Up to 0.4.0 a login was kept with its domain as Tailscale spells it.
    let logins = login_methods::list_by(reads, identity.provider).await?;
    let found = logins.iter().find(|way| email::spelling(&way.provider_id) == identity.provider_id);
    match found {
        Some(way) => users::get(reads, way.user_id).await,
        None => Ok(None),
    }
}

/// Returns whose account is linked at the first time; nobody's where nobody has the e-mail or one like it.
async fn decide(
    reads: &impl ConnectionTrait,
    named: &str,
    email: &Result<String, FieldError>,
    identity: &ExternalIdentity,
    present: Option<i64>,
) -> Result<Result<Option<user::Model>, Stranger>, DbErr> {
    let mut alike = users::alike(reads, named).await?;
    let user = match (alike.pop(), email) {
        (None, Ok(_)) => return Ok(Ok(None)),
        (None, Err(_)) => return Ok(Err(Stranger::Unknown)),
        (Some(user), Ok(email)) if alike.is_empty() && email::spelling(&user.email) == *email => user,
        (Some(_), _) => return Ok(Err(Stranger::Ambiguous)),
    };
    // An e-mail is believed once: it may have passed to somebody else since.
    if user.disabled
        || login_methods::is_known_otherwise(reads, user.id, identity.provider, &identity.provider_id).await?
    {
        return Ok(Err(Stranger::Unknown));
    }
    if present != Some(user.id) && !login_methods::is_vouched(reads, &user).await? {
        return Ok(Err(Stranger::Unproven));
    }
    Ok(Ok(Some(user)))
}
