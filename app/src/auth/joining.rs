//! Which one of the household is it that somebody else answers for: Tailscale, or a provider of OpenID Connect?
//!
//! Whom they named before is known by what they call them. At the first time, whoever has the very e-mail that they
//! answer for is linked; anybody else is refused, or joins when the owner allows it.

use super::{
    Accounts,
    audit_log::{self, Actor, Kind},
    caller::Place,
    entity::user,
    profile::{self, Profile},
    role::Role,
    ways,
};
use crate::{
    auth::users,
    config::{Join, TailscaleSettings},
    http::Problem,
};

/// Somebody by another's word.
#[derive(Debug, Clone)]
pub(crate) struct Known {
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

/// Returns who it is; `None` when they are not of the household and may not join, or are disabled.
pub(crate) async fn user_of(accounts: &Accounts, place: &Place, known: Known) -> Result<Option<user::Model>, Problem> {
    let found = ways::find(accounts.reads(), known.provider, &known.provider_id)
        .await
        .map_err(|error| accounts.database.failed(error))?;
    if let Some((_, user)) = found {
        return Ok(Some(user).filter(|user| !user.disabled));
    }
    let email = known.verified_email.as_deref().and_then(|email| profile::email_of(email).ok());
    let Some(email) = email else {
        return Ok(None);
    };
    let owner = users::by_email(accounts.reads(), &email).await.map_err(|error| accounts.database.failed(error))?;
    let role = match (owner, known.join) {
        (Some(user), _) if user.disabled => return Ok(None),
        (Some(_), _) => None,
        (None, Join::Refuse) => return Ok(None),
        (None, Join::Guest) => Some(Role::Guest),
        (None, Join::Member) => Some(Role::Member),
    };
    let place = place.clone();
    accounts
        .database
        .write(async move |tx| {
            // Two requests of a new browser come at once.
            if let Some((_, user)) = ways::find(tx, known.provider, &known.provider_id).await? {
                return Ok(Some(user).filter(|user| !user.disabled));
            }
            // The first owner comes by the set-up code alone.
            if !users::any(tx).await? {
                return Ok(None);
            }
            let (user, kind) = match (users::by_email(tx, &email).await?, role) {
                (Some(user), _) => (user, Kind::AccountLinked),
                (None, Some(role)) => {
                    let name = known.name.as_deref().unwrap_or(&email);
                    let named = Profile::check(name, &email).or_else(|_| Profile::check(&email, &email));
                    let Ok(profile) = named else { return Ok(None) };
                    (users::add(tx, &profile, role).await?, Kind::UserCreated)
                }
                (None, None) => return Ok(None),
            };
            // An e-mail is believed once: it may have passed to somebody else since.
            if user.disabled || ways::is_known_otherwise(tx, user.id, known.provider, &known.provider_id).await? {
                return Ok(None);
            }
            ways::add(tx, user.id, known.provider, &known.provider_id, None).await?;
            let actor = Actor::user(user.id, &user.email, known.provider, &place);
            audit_log::write(tx, kind, &actor, &format!("{} {}", known.provider, known.provider_id)).await?;
            Ok(Some(user))
        })
        .await
}
