//! The audit log in the API.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Query};

use crate::{
    auth::{Accounts, api::Tag, audit_log, caller::Caller, entity::audit_event},
    datetime::Timestamp,
    http::{After, Limit, Listed, ReadRefused, Window},
};

/// The operations.
pub(crate) struct AuditApi;

/// An event of the audit log.
#[derive(Debug, Object)]
#[oai(rename = "AuditEvent", skip_serializing_if_is_none)]
struct EventBody {
    /// Assigned by Hearth. Never reused.
    id: i64,
    /// When it happened.
    at: Timestamp,
    /// What; later versions add more: `set_up`, `signed_in`, `sign_in_failed`, `sign_in_throttled`, `signed_out`,
    /// `session_revoked`, `password_changed`, `password_reset`, `profile_changed`, `totp_added`, `totp_removed`,
    /// `recovery_code_used`, `passkey_added`, `passkey_removed`, `token_created`, `token_revoked`,
    /// `invitation_created`, `invitation_revoked`, `invitation_accepted`, `reset_created`, `user_created`,
    /// `user_changed`, `account_linked`, `account_unlinked`, `restored`, `backup_made`,
    /// `record_deleted`, `record_put_back`, `record_erased`, `record_visibility_changed`, `binder_exported`,
    /// `binder_imported`.
    kind: String,
    /// The id of the user who did it. Absent if it was not a user.
    user_id: Option<i64>,
    /// The name or e-mail of the person who did it, at that time.
    who: String,
    /// The person or thing that was affected.
    subject: String,
    /// How the user was authenticated, for people to read: `session (password)`, `token “backup”`, `passkey`.
    method: String,
    /// The IP address.
    address: String,
    /// The User-Agent of the browser or program.
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
    /// List audit events
    ///
    /// Sign-ins and failures, changes to users and tokens, backups and restores, newest first.
    #[oai(path = "/audit-events", method = "get", operation_id = "list_audit_events", tag = "Tag::People")]
    async fn events(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        _caller: Caller,
        /// The maximum number of items per page.
        limit: Query<Limit>,
        /// The `next` value of the previous page.
        after: Query<After>,
    ) -> Result<Listed<EventBody>, ReadRefused> {
        let window = Window::new(limit.0, after.0);
        let page = audit_log::list(accounts.reads(), window.after, window.limit)
            .await
            .map_err(|error| accounts.database.failed(error))?;
        Ok(Listed::page(page.events.into_iter().map(EventBody::from).collect(), page.next.map(Window::cursor)))
    }
}
