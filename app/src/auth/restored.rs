//! What must not come back to life with a restored database?
//!
//! Sessions, invitations and resets that were ended or used since it was left: a phone that was lost and signed out
//! would be in again. So would one-time codes and recovery codes that were used since, and the tokens of users who were
//! disabled since. Owners' tokens stay, since programs of theirs look after the instance. Nobody knows here who was disabled
//! or given another role since: those come back, and the audit log and the page *People* say so. The supervisor says
//! `HEARTH_RESTORED=1` when the app proves a database that comes from a backup or a snapshot, and the app voids them there,
//! before it is live.

use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter,
    sea_query::{Expr, Query},
};

use super::{
    audit_log::{self, Actor, Kind},
    entity::{api_token, session, totp, user, verification::Kind as Verification},
    role::Role,
    verification,
};
use crate::{
    datetime::Timestamp,
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
            verification::void(tx, Verification::Recovery, None).await?;
            // The latest code that could be right now counts as used.
            let step = Timestamp::now().unix().div_euclid(verification::CODE_SECONDS) + 1;
            totp::Entity::update_many().col_expr(totp::Column::LastStep, Expr::value(step)).exec(tx).await?;
            let owners = Query::select()
                .column(user::Column::Id)
                .from(user::Entity)
                .and_where(user::Column::Role.eq(Role::Owner))
                .and_where(user::Column::Disabled.eq(false))
                .to_owned();
            let now = Timestamp::now();
            api_token::Entity::update_many()
                .col_expr(api_token::Column::ExpiresAt, Expr::value(now))
                .filter(api_token::Column::UserId.not_in_subquery(owners))
                .filter(Condition::any().add(api_token::Column::ExpiresAt.is_null()).add(api_token::Column::ExpiresAt.gt(now)))
                .exec(tx)
                .await?;
            // A copy may serve beside the one that it was made of, under the same name of a host.
            tx.renew_instance().await?;
            let actor = Actor::operator("supervisor restore");
            let subject = "all sessions, invitations, links, recovery codes and tokens but those of owners were voided; \
                           users, roles and passwords are as they were in the backup";
            audit_log::write(tx, Kind::Restored, &actor, subject).await?;
            Ok((sessions, links))
        })
        .await
        .map_err(|error: DbError| {
            Failure::new(format!("the sessions of the restored database cannot be voided: {error}"))
                .hint("nothing was restored; what was there before is untouched")
        })?;
    let counted = |count: u64, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    tracing::info!(
        "Restored: voided {} and {} (invitations included), all recovery codes, and the tokens of all but owners",
        counted(sessions, "session"),
        counted(links, "link")
    );
    tracing::info!(
        "Restored: roles and disabled accounts are as they were at the time of the backup. Check the page People"
    );
    Ok(())
}
