//! How does somebody change their own name and e-mail?

use sea_orm::EntityTrait;

use crate::{
    auth::{
        audit_log::{self, Actor, Kind},
        authority::write_as,
        caller::Caller,
        email_keys,
        entity::user::{Entity, Model},
        profile::Profile,
        users,
    },
    datetime::Timestamp,
    db::{Database, difference},
    http::Problem,
};

/// Changes the caller's own name and e-mail.
pub(crate) async fn update(database: &Database, caller: &Caller, profile: Profile) -> Result<Model, Problem> {
    if profile.email != caller.user.email {
        caller.check_fresh()?;
    }
    write_as(database, caller, async move |tx, caller| {
        let before = caller.user.clone();
        if profile.email != before.email && users::is_taken(tx, &profile.email, Some(before.id)).await? {
            return Err(users::email_in_use().into());
        }
        if (&profile.name, &profile.email) == (&before.name, &before.email) {
            return Ok(before);
        }
        let subject = format!("{} <{}>", profile.name, profile.email);
        let Profile { name, email } = profile.clone();
        let user = Model { name, email, updated_at: Timestamp::now(), ..before.clone() };
        Entity::update(difference(before, user.clone())).exec(tx).await?;
        email_keys::write(tx, user.id, &user.email).await?;
        audit_log::write(tx, Kind::ProfileChanged, &Actor::caller(caller), &subject).await?;
        Ok(user)
    })
    .await
}
