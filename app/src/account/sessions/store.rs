//! How does somebody sign a browser of theirs out from another one?

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::{
    auth::{
        audit_log::{self, Actor, Kind},
        authority::write_as,
        caller::Caller,
        entity::session::{Column, Entity},
        sessions,
    },
    db::Database,
    http::Problem,
};

/// Ends one of the caller's sessions; returns whether there was one with this number.
pub(crate) async fn revoke(database: &Database, caller: &Caller, id: i64) -> Result<bool, Problem> {
    write_as(database, caller, async move |tx, caller| {
        let own = Entity::delete_many().filter(Column::Id.eq(id)).filter(Column::UserId.eq(caller.user.id));
        let ended = own.exec(tx).await?.rows_affected > 0;
        if ended {
            let subject = format!("session {id}");
            audit_log::write(tx, Kind::SessionRevoked, &Actor::caller(caller), &subject).await?;
        }
        Ok(ended)
    })
    .await
}

/// Ends all of the caller's sessions but the present one.
pub(crate) async fn revoke_others(database: &Database, caller: &Caller) -> Result<(), Problem> {
    write_as(database, caller, async |tx, caller| {
        sessions::end_all(tx, caller.user.id, caller.session()).await?;
        Ok(audit_log::write(tx, Kind::SessionRevoked, &Actor::caller(caller), "all other sessions").await?)
    })
    .await
}
