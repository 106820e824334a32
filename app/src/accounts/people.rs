//! Who belongs to the household, and what of theirs may be changed by whom?
//!
//! People are never deleted, they are disabled: what they did and keep stays theirs. There is always an owner who can
//! sign in.

use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder,
    sea_query::Order,
};

use super::{
    acting::write_as,
    audit::{self, Actor, Kind},
    caller::Caller,
    entity::user::{ActiveModel, Column, Entity, Model},
    profile::Profile,
    role::Role,
    sessions, ways,
};
use crate::{
    db::{Database, refusable},
    http::{FieldError, Problem},
    when::Moment,
};

/// Returns everybody, in the order in which they came.
pub(crate) async fn list(reads: &DatabaseConnection) -> Result<Vec<Model>, DbErr> {
    Entity::find().order_by(Column::Id, Order::Asc).all(reads).await
}

/// Returns who has this number.
pub(crate) async fn get(reads: &impl ConnectionTrait, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(reads).await
}

/// Returns who has this number, unless they are disabled.
pub(crate) async fn enabled(reads: &impl ConnectionTrait, id: i64) -> Result<Option<Model>, DbErr> {
    Ok(get(reads, id).await?.filter(|user| !user.disabled))
}

/// Returns who has this e-mail, which is in lower case.
pub(crate) async fn by_email(reads: &impl ConnectionTrait, email: &str) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(Column::Email.eq(email)).one(reads).await
}

/// Returns whether there is anybody.
pub(crate) async fn any(reads: &impl ConnectionTrait) -> Result<bool, DbErr> {
    Ok(Entity::find().count(reads).await? > 0)
}

/// Adds somebody, when nobody has the e-mail yet.
pub(crate) async fn add(
    transaction: &impl ConnectionTrait,
    profile: &Profile,
    role: Role,
) -> Result<Result<Model, Problem>, DbErr> {
    if by_email(transaction, &profile.email).await?.is_some() {
        return Ok(Err(taken()));
    }
    let now = Moment::now();
    let row = ActiveModel {
        id: NotSet,
        name: Set(profile.name.clone()),
        email: Set(profile.email.clone()),
        role: Set(role),
        disabled: Set(false),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Entity::insert(row).exec_with_returning(transaction).await.map(Ok)
}

/// Adds somebody who signs in with a password.
pub(super) async fn add_with_password(
    transaction: &impl ConnectionTrait,
    profile: &Profile,
    role: Role,
    hash: String,
) -> Result<Result<Model, Problem>, DbErr> {
    let added = add(transaction, profile, role).await?;
    if let Ok(user) = &added {
        ways::set_password(transaction, user.id, hash).await?;
    }
    Ok(added)
}

/// The refusal of an e-mail that somebody has.
pub(super) fn taken() -> Problem {
    Problem::fields(vec![FieldError::new("email", "belongs to somebody of the household already")])
}

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
    write_as(database, caller, move |transaction, caller| {
        let change = change.clone();
        Box::pin(async move {
            let Some(mut user) = get(transaction, id).await? else {
                return Ok(Ok(None));
            };
            if let Some(why) = forbidden(&caller, &user, &change) {
                return Ok(Err(Problem::forbidden(why)));
            }
            let before = user.clone();
            user.role = change.role.unwrap_or(user.role);
            user.disabled = change.disabled.unwrap_or(user.disabled);
            let was_owner = before.role == Role::Owner && !before.disabled;
            let is_owner = user.role == Role::Owner && !user.disabled;
            if was_owner && !is_owner && owners(transaction).await? == 1 {
                let why = "This is the only owner; make somebody else one first.";
                return Ok(Err(Problem::conflict(why)));
            }
            if let Some(login) = &change.tailscale_login
                && let Err(problem) = ways::set_tailscale(transaction, id, login).await?
            {
                return Ok(Err(problem));
            }
            let mut said = Vec::new();
            if user.role != before.role {
                said.push(format!("{} → {}", before.role.name(), user.role.name()));
            }
            if user.disabled != before.disabled {
                said.push(if user.disabled { "disabled" } else { "enabled" }.to_owned());
            }
            if let Some(login) = &change.tailscale_login {
                said.push(format!("Tailscale login “{login}”"));
            }
            if user != before {
                user.updated_at = Moment::now();
                Entity::update(user.clone().into_active_model().reset_all()).exec(transaction).await?;
            }
            if user.disabled {
                sessions::end_all(transaction, id, None).await?;
            }
            if !said.is_empty() {
                let subject = format!("{}: {}", user.email, said.join(", "));
                audit::write(transaction, Kind::UserChanged, &Actor::caller(&caller), &subject).await?;
            }
            Ok(Ok(Some(user)))
        })
    })
    .await
}

/// Gives who has this e-mail another role, by the operator's word; returns whether there is anybody.
pub(crate) async fn set_role(database: &Database, email: &str, role: Role) -> Result<bool, Problem> {
    let email = email.to_owned();
    refusable(database, move |transaction| {
        let email = email.clone();
        Box::pin(async move {
            let Some(mut user) = by_email(transaction, &email).await? else {
                return Ok(Ok(false));
            };
            let is_owner = user.role == Role::Owner && !user.disabled;
            if is_owner && role != Role::Owner && owners(transaction).await? <= 1 {
                return Ok(Err(Problem::conflict("This is the only owner; make somebody else one first.")));
            }
            let subject = format!("{}: {} → {}, enabled", user.email, user.role.name(), role.name());
            user.role = role;
            user.disabled = false;
            user.updated_at = Moment::now();
            Entity::update(user.into_active_model().reset_all()).exec(transaction).await?;
            audit::write(transaction, Kind::UserChanged, &Actor::operator("app user set-role"), &subject).await?;
            Ok(Ok(true))
        })
    })
    .await
}

/// Why a caller may not do this, when they may not.
fn forbidden(caller: &Caller, user: &Model, change: &Change) -> Option<&'static str> {
    let role = caller.role();
    if caller.user.id == user.id && (change.disabled == Some(true) || change.role.is_some_and(|new| new != user.role)) {
        return Some("Nobody changes their own role or disables themselves.");
    }
    // Who can name a login of their own would be that person for good, whatever becomes of them.
    if change.tailscale_login.is_some() && role != Role::Owner {
        return Some("Only an owner says by which Tailscale login somebody is known.");
    }
    if caller.user.id != user.id && !role.rules(user.role) {
        return Some("Only somebody with a higher role may change this person.");
    }
    if change.role.is_some_and(|new| new != user.role && !role.rules(new)) {
        return Some("Nobody gives away a role as high as their own, but an owner.");
    }
    None
}

/// Whether who made a link may still do what it does for this role; the operator may always.
pub(crate) async fn still_rules(
    reads: &impl ConnectionTrait,
    created_by: Option<i64>,
    role: Role,
) -> Result<bool, DbErr> {
    let Some(id) = created_by else { return Ok(true) };
    Ok(get(reads, id).await?.is_some_and(|maker| !maker.disabled && maker.role.rules(role)))
}

/// How many owners can sign in.
pub(crate) async fn owners(reads: &impl ConnectionTrait) -> Result<u64, DbErr> {
    Entity::find().filter(Column::Role.eq(Role::Owner)).filter(Column::Disabled.eq(false)).count(reads).await
}

/// Changes the caller's own name and e-mail.
pub(crate) async fn update_profile(database: &Database, caller: &Caller, profile: Profile) -> Result<Model, Problem> {
    if profile.email != caller.user.email {
        caller.check_fresh()?;
    }
    write_as(database, caller, move |transaction, caller| {
        let profile = profile.clone();
        Box::pin(async move {
            let mut user = caller.user.clone();
            if profile.email != user.email && by_email(transaction, &profile.email).await?.is_some() {
                return Ok(Err(taken()));
            }
            let subject = format!("{} <{}>", profile.name, profile.email);
            user.name = profile.name;
            user.email = profile.email;
            user.updated_at = Moment::now();
            Entity::update(user.clone().into_active_model().reset_all()).exec(transaction).await?;
            audit::write(transaction, Kind::ProfileChanged, &Actor::caller(&caller), &subject).await?;
            Ok(Ok(user))
        })
    })
    .await
}
