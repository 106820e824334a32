//! The audit log in the API.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Query};

use crate::{
    auth::{Accounts, api::Tag, audit_log, caller::Caller, entity::audit_event},
    http::{Limit, Listed, ReadRefused, Window},
    when::Moment,
};

/// The operations.
pub(crate) struct AuditApi;

/// Something that happened.
#[derive(Debug, Object)]
#[oai(rename = "AuditEvent", skip_serializing_if_is_none)]
struct EventBody {
    /// Given by Hearth; never used twice.
    id: i64,
    /// When.
    at: Moment,
    /// What; later versions add more: `set_up`, `signed_in`, `sign_in_failed`, `sign_in_throttled`, `signed_out`,
    /// `session_revoked`, `password_changed`, `password_reset`, `profile_changed`, `totp_added`, `totp_removed`,
    /// `recovery_code_used`, `passkey_added`, `passkey_removed`, `token_created`, `token_revoked`,
    /// `invitation_created`, `invitation_revoked`, `invitation_accepted`, `reset_created`, `user_created`,
    /// `user_changed`, `account_linked`, `account_unlinked`, `restored`, `backup_made`,
    /// `record_deleted`, `record_visibility_changed`.
    kind: String,
    /// Who, by their number; absent for nobody of the household.
    user_id: Option<i64>,
    /// Who, by name or e-mail as it was then.
    who: String,
    /// Whom or what it was done to.
    subject: String,
    /// How they were known, in words for people: `session (password)`, `token “backup”`, `passkey`.
    method: String,
    /// From where.
    address: String,
    /// What their browser or program called itself.
    user_agent: String,
}

impl From<audit_event::Model> for EventBody {
    fn from(event: audit_event::Model) -> Self {
        Self {
            id: event.id,
            at: event.at,
            kind: event.kind,
            user_id: event.user_id,
            who: event.who,
            subject: event.subject,
            method: event.method,
            address: event.address,
            user_agent: event.user_agent,
        }
    }
}

#[OpenApi]
impl AuditApi {
    /// List what happened
    ///
    /// Sign-ins and failures, changes to people, tokens, backups and restores, the newest first.
    #[oai(path = "/audit-events", method = "get", operation_id = "list_audit_events", tag = "Tag::People")]
    async fn events(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        _caller: Caller,
        /// How many at most.
        limit: Query<Limit>,
        /// Where to go on: the `next` of the page before.
        #[oai(validator(max_length = 2000))]
        after: Query<Option<String>>,
    ) -> Result<Listed<EventBody>, ReadRefused> {
        let window = Window::new(limit.0, after.0.as_deref())?;
        let page = audit_log::list(accounts.reads(), window.after, window.limit)
            .await
            .map_err(|error| accounts.database.failed(error))?;
        Ok(Listed::page(page.events.into_iter().map(EventBody::from).collect(), page.next.map(Window::cursor)))
    }
}
