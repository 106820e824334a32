//! What must not come back to life with a restored database?
//!
//! Sessions, invitations and resets that were ended or used since it was left: a phone that was lost and signed out
//! would be in again. The supervisor says `HEARTH_RESTORED=1` when the app proves a database that comes from a backup
//! or a snapshot, and the app voids them there, before it is live.

use sea_orm::EntityTrait;

use super::{
    audit_log::{self, Actor, Kind},
    entity::{session, verification::Kind as Verification},
    verification,
};
use crate::{
    db::{Database, DbError},
    failure::Failure,
};

/// Voids what a restore would bring back to life.
pub(crate) async fn void(database: &Database) -> Result<(), Failure> {
    let (sessions, links) = database
        .write(async move |tx| {
            let sessions = session::Entity::delete_many().exec(tx).await?.rows_affected;
            let mut links = 0;
            for kind in [Verification::Invitation, Verification::Reset, Verification::SecondStep, Verification::SetUp] {
                links += verification::void(tx, kind, None).await?;
            }
            // A copy may serve beside the one that it was made of, under the same name of a host.
            tx.renew_instance().await?;
            let actor = Actor::operator("supervisor restore");
            audit_log::write(tx, Kind::Restored, &actor, "all sessions, invitations and links were voided").await?;
            Ok((sessions, links))
        })
        .await
        .map_err(|error: DbError| {
            Failure::new(format!("the sessions of the restored database cannot be voided: {error}"))
                .hint("nothing was restored; what was there before is untouched")
        })?;
    tracing::info!("Restored: {sessions} sessions and {links} invitations and links were voided");
    Ok(())
}
