//! Who belongs to the household, and what of theirs may be changed by whom?
//!
//! People are never deleted, they are disabled: what they did and keep stays theirs. There is always an owner who can
//! sign in.

use sea_orm::EntityTrait;

use crate::{
    auth::{
        audit_log::{self, Actor, Kind},
        authority::write_as,
        caller::Caller,
        entity::user::{Entity, Model},
        login_methods,
        role::Role,
        sessions, users,
    },
    datetime::Timestamp,
    db::{Database, difference},
    http::Problem,
};

/// A change to somebody by somebody who may; `None` leaves a thing as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    pub(crate) role: Option<Role>,
    pub(crate) disabled: Option<bool>,
    /// The login by which Tailscale knows them; empty for none.
    pub(crate) tailscale_login: Option<String>,
}

/// Changes somebody; `None` when there is nobody with this number.
pub(crate) async fn update(
    database: &Database,
    caller: &Caller,
    id: i64,
    change: Change,
) -> Result<Option<Model>, Problem> {
    caller.check_fresh()?;
    write_as(database, caller, async move |tx, caller| {
        let Some(mut user) = users::get(tx, id).await? else {
            return Ok(None);
        };
        if let Some(why) = forbidden(caller, &user, &change) {
            return Err(Problem::forbidden(why).into());
        }
        let before = user.clone();
        user.role = change.role.unwrap_or(user.role);
        user.disabled = change.disabled.unwrap_or(user.disabled);
        let was_owner = before.role == Role::Owner && !before.disabled;
        let is_owner = user.role == Role::Owner && !user.disabled;
        if was_owner && !is_owner && users::owners(tx).await? == 1 {
            let why = "This is the only owner. Make another user an owner first.";
            return Err(Problem::conflict(why).into());
        }
        let new_login = match &change.tailscale_login {
            Some(login) => login_methods::set_tailscale(tx, id, login).await?,
            None => None,
        };
        let mut said = Vec::new();
        if user.role != before.role {
            said.push(format!("{} → {}", before.role.name(), user.role.name()));
        }
        if user.disabled != before.disabled {
            said.push(if user.disabled { "disabled" } else { "enabled" }.to_owned());
        }
        if let Some(login) = new_login {
            said.push(format!("Tailscale login “{login}”"));
        }
        if user != before {
            user.updated_at = Timestamp::now();
            Entity::update(difference(before, user.clone())).exec(tx).await?;
        }
        if user.disabled {
            sessions::end_all(tx, id, None).await?;
        }
        if !said.is_empty() {
            let subject = format!("{}: {}", user.email, said.join(", "));
            audit_log::write(tx, Kind::UserChanged, &Actor::caller(caller), &subject).await?;
        }
        Ok(Some(user))
    })
    .await
}

/// Gives who has this e-mail another role, by the operator's word; returns whether there is anybody.
pub(crate) async fn set_role(database: &Database, email: &str, role: Role) -> Result<bool, Problem> {
    let email = email.to_owned();
    database
        .write(async move |tx| {
            let Some(user) = users::signing_in(tx, &email).await? else {
                return Ok(false);
            };
            let is_owner = user.role == Role::Owner && !user.disabled;
            if is_owner && role != Role::Owner && users::owners(tx).await? <= 1 {
                return Err(Problem::conflict("This is the only owner. Make another user an owner first.").into());
            }
            let subject = format!("{}: {} → {}, enabled", user.email, user.role.name(), role.name());
            let now = Model { role, disabled: false, updated_at: Timestamp::now(), ..user.clone() };
            Entity::update(difference(user, now)).exec(tx).await?;
            audit_log::write(tx, Kind::UserChanged, &Actor::operator("app user set-role"), &subject).await?;
            Ok(true)
        })
        .await
}

/// Disables or enables who has this e-mail, by the operator's word; returns whether there is anybody. Nothing is written where it is so
/// already.
pub(crate) async fn set_disabled(database: &Database, email: &str, disabled: bool) -> Result<bool, Problem> {
    let email = email.to_owned();
    database
        .write(async move |tx| {
            let Some(user) = users::signing_in(tx, &email).await? else {
                return Ok(false);
            };
            if user.disabled == disabled {
                return Ok(true);
            }
            if disabled && user.role == Role::Owner && users::owners(tx).await? <= 1 {
                return Err(Problem::conflict("This is the only owner. Make another user an owner first.").into());
            }
            let (word, command) = match disabled {
                true => ("disabled", "app user disable"),
                false => ("enabled", "app user enable"),
            };
            let (id, subject) = (user.id, format!("{}: {word}", user.email));
            let now = Model { disabled, updated_at: Timestamp::now(), ..user.clone() };
            Entity::update(difference(user, now)).exec(tx).await?;
            if disabled {
                sessions::end_all(tx, id, None).await?;
            }
            audit_log::write(tx, Kind::UserChanged, &Actor::operator(command), &subject).await?;
            Ok(true)
        })
        .await
}

/// Why a caller may not do this, when they may not.
fn forbidden(caller: &Caller, user: &Model, change: &Change) -> Option<&'static str> {
    let role = caller.role();
    if caller.user.id == user.id && (change.disabled == Some(true) || change.role.is_some_and(|new| new != user.role)) {
        return Some("You cannot change your own role or disable yourself.");
    }
    // Who can name a login of their own would be that person for good, whatever becomes of them.
    if change.tailscale_login.is_some() && role != Role::Owner {
        return Some("Only an owner can set the Tailscale login of a user.");
    }
    if caller.user.id != user.id && !role.rules(user.role) {
        return Some("Only a user with a higher role can edit this person.");
    }
    if change.role.is_some_and(|new| new != user.role && !role.rules(new)) {
        return Some("You can only give roles below your own, unless you are an owner.");
    }
    None
}
