//! How does somebody remove the link to an account elsewhere?

use sea_orm::EntityTrait;

use crate::{
    auth::{
        audit_log::{self, Actor, Kind},
        authority::write_as,
        caller::Caller,
        entity::account::Entity,
        login_methods::linked,
    },
    db::Database,
    http::Problem,
};

/// Takes one of them away from the caller; returns whether there was one with this number.
pub(crate) async fn unlink(database: &Database, caller: &Caller, id: i64) -> Result<bool, Problem> {
    write_as(database, caller, async move |tx, caller| {
        let linked = linked(tx, caller.user.id).await?;
        let Some(found) = linked.into_iter().find(|account| account.id == id) else {
            return Ok(false);
        };
        Entity::delete_by_id(id).exec(tx).await?;
        let subject = format!("{} {}", found.provider, found.provider_id);
        audit_log::write(tx, Kind::AccountUnlinked, &Actor::caller(caller), &subject).await?;
        Ok(true)
    })
    .await
}
