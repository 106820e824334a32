//! The audit log in the API.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{ApiResponse, Object, OpenApi, param::Query, payload::Json};

use crate::{
    auth::{Accounts, api::Tag, audit_log, caller::Caller, entity::audit_event},
    http::ReadRefused,
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

/// A page of what happened.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct EventPage {
    /// The newest first.
    events: Vec<EventBody>,
    /// Give it as `before` for the next page; absent on the last one.
    next: Option<i64>,
}

#[derive(ApiResponse)]
enum Events {
    /// A page of what happened.
    #[oai(status = 200)]
    Page(Json<EventPage>),
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
        /// Only events before the one with this id: the `next` of the page before.
        before: Query<Option<i64>>,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u64>,
    ) -> Result<Events, ReadRefused> {
        let page = audit_log::list(accounts.reads(), before.0, limit.0.min(200))
            .await
            .map_err(|error| accounts.database.failed(error))?;
        Ok(Events::Page(Json(EventPage {
            events: page.events.into_iter().map(EventBody::from).collect(),
            next: page.next,
        })))
    }
}

fn default_limit() -> u64 {
    audit_log::PAGE
}
