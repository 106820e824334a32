//! The household, its invitations and what happened.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::store::{self, Change};
use crate::{
    auth::{
        Accounts,
        api::{Email, Tag, UserBody},
        audit_log,
        caller::Caller,
        entity::{audit_event, verification},
        profile,
        role::Role,
        ways,
    },
    household::{invitations, resets},
    http::{Given, Problem, ReadRefused, Text, WriteRefused},
    when::Moment,
};

/// The operations.
pub(crate) struct PeopleApi;

/// Everybody.
#[derive(Debug, Object)]
struct UserList {
    /// In the order in which they came.
    users: Vec<UserBody>,
}

/// A change to somebody: what is absent stays as it is.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct UserChange {
    role: Given<Role>,
    /// Whether they cannot come in any more. Ends their sessions.
    disabled: Given<bool>,
    /// The login by which Tailscale knows them; empty for none. For owners to say.
    tailscale_login: Given<Text<0, 254>>,
}

/// What a reset does beside the password.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct NewReset {
    /// Whether their second factor is taken away too, for who lost phone and recovery codes.
    remove_totp: Given<bool>,
}

/// A link to be given to somebody.
#[derive(Debug, Object)]
#[oai(rename = "Link", skip_serializing_if_is_none)]
struct LinkBody {
    /// Where it leads: an address where `http.public_url` is set, else a path on this host. It is not shown again.
    url: String,
    /// The token in it, for programs.
    token: String,
}

/// Whom to invite.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct NewInvitation {
    role: Role,
    /// Fills in the form of who takes it.
    email: Given<Email>,
}

/// An invitation that is open.
#[derive(Debug, Object)]
#[oai(rename = "Invitation", skip_serializing_if_is_none)]
struct InvitationBody {
    /// Given by Hearth; never used twice.
    id: i64,
    role: Role,
    /// Whom it is for.
    email: Option<Email>,
    /// When it was made.
    created_at: Moment,
    /// Until when it is good.
    expires_at: Moment,
}

impl From<verification::Model> for InvitationBody {
    fn from(invitation: verification::Model) -> Self {
        Self {
            id: invitation.id,
            role: invitation.role.unwrap_or(Role::Guest),
            email: invitation.email.map(Text),
            created_at: invitation.created_at,
            expires_at: invitation.expires_at,
        }
    }
}

/// All open invitations.
#[derive(Debug, Object)]
struct InvitationList {
    /// The newest first.
    invitations: Vec<InvitationBody>,
}

/// An invitation that was made.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct CreatedInvitation {
    invitation: InvitationBody,
    link: LinkBody,
}

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
enum Users {
    /// The household.
    #[oai(status = 200)]
    Users(Json<UserList>),
}

#[derive(ApiResponse)]
enum Changed {
    /// The user as they are now.
    #[oai(status = 200)]
    User(Json<UserBody>),
}

#[derive(ApiResponse)]
enum Linked {
    /// The link.
    #[oai(status = 201)]
    Link(Json<LinkBody>),
}

#[derive(ApiResponse)]
enum Invitations {
    /// The open invitations.
    #[oai(status = 200)]
    Invitations(Json<InvitationList>),
}

#[derive(ApiResponse)]
enum Invited {
    /// The invitation and its link.
    #[oai(status = 201)]
    Invitation(Json<CreatedInvitation>),
}

#[derive(ApiResponse)]
enum Revoked {
    /// The invitation is good for nothing any more.
    #[oai(status = 204)]
    Gone,
}

#[derive(ApiResponse)]
enum Events {
    /// A page of what happened.
    #[oai(status = 200)]
    Page(Json<EventPage>),
}

#[OpenApi]
impl PeopleApi {
    /// List the household
    #[oai(path = "/users", method = "get", operation_id = "list_users", tag = "Tag::People")]
    async fn users(&self, Data(accounts): Data<&Arc<Accounts>>, _caller: Caller) -> Result<Users, ReadRefused> {
        let failed = |error| accounts.database.failed(error);
        let logins = ways::list_by(accounts.reads(), ways::TAILSCALE).await.map_err(failed)?;
        let found = store::list(accounts.reads()).await.map_err(failed)?;
        let users = found.into_iter().map(|user| {
            let login = logins.iter().find(|login| login.user_id == user.id);
            let tailscale_login = login.map(|login| login.provider_id.clone());
            UserBody { tailscale_login, ..user.into() }
        });
        Ok(Users::Users(Json(UserList { users: users.collect() })))
    }

    /// Change somebody
    ///
    /// An admin changes members and guests, an owner everybody. There is always an owner.
    #[oai(path = "/users/:id", method = "patch", operation_id = "update_user", tag = "Tag::People")]
    async fn update(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        caller: Caller,
        /// The user's id.
        id: Path<i64>,
        body: Json<UserChange>,
    ) -> Result<Changed, WriteRefused> {
        let change = Change {
            role: body.0.role.0,
            disabled: body.0.disabled.0,
            tailscale_login: body.0.tailscale_login.0.map(|login| login.0),
        };
        let user = store::update(&accounts.database, &caller, id.0, change).await?.ok_or_else(|| nobody(id.0))?;
        let known = ways::linked(accounts.reads(), user.id).await.map_err(|error| accounts.database.failed(error))?;
        let login = known.into_iter().find(|way| way.provider == ways::TAILSCALE);
        let tailscale_login = login.map(|login| login.provider_id);
        Ok(Changed::User(Json(UserBody { tailscale_login, ..user.into() })))
    }

    /// Make a link for somebody to choose a new password
    ///
    /// It is good for a day, and once; hand it over by a way that only they read.
    #[oai(path = "/users/:id/reset", method = "post", operation_id = "create_reset", tag = "Tag::People")]
    async fn reset(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        caller: Caller,
        /// The user's id.
        id: Path<i64>,
        body: Json<NewReset>,
    ) -> Result<Linked, WriteRefused> {
        let secret = resets::create_reset(accounts, &caller, id.0, body.remove_totp.0.unwrap_or_default()).await?;
        let token = secret.ok_or_else(|| nobody(id.0))?.expose().to_owned();
        Ok(Linked::Link(Json(LinkBody { url: accounts.address_of(&format!("/reset/{token}")), token })))
    }

    /// List open invitations
    #[oai(path = "/invitations", method = "get", operation_id = "list_invitations", tag = "Tag::People")]
    async fn invitations(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        _caller: Caller,
    ) -> Result<Invitations, ReadRefused> {
        let found = invitations::list(accounts.reads()).await.map_err(|error| accounts.database.failed(error))?;
        let invitations = found.into_iter().map(InvitationBody::from).collect();
        Ok(Invitations::Invitations(Json(InvitationList { invitations })))
    }

    /// Invite somebody
    ///
    /// The link is good for a week, and once.
    #[oai(path = "/invitations", method = "post", operation_id = "create_invitation", tag = "Tag::People")]
    async fn invite(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        caller: Caller,
        body: Json<NewInvitation>,
    ) -> Result<Invited, WriteRefused> {
        let email = body.email.0.as_ref().map(|email| profile::email_of(&email.0)).transpose();
        let email = email.map_err(|error| Problem::fields(vec![error]))?;
        let (invitation, secret) = invitations::create(accounts, &caller, body.role, email).await?;
        let token = secret.expose().to_owned();
        let link = LinkBody { url: accounts.address_of(&format!("/invitation/{token}")), token };
        Ok(Invited::Invitation(Json(CreatedInvitation { invitation: invitation.into(), link })))
    }

    /// Take an invitation back
    #[oai(path = "/invitations/:id", method = "delete", operation_id = "revoke_invitation", tag = "Tag::People")]
    async fn revoke(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        caller: Caller,
        /// The invitation's id.
        id: Path<i64>,
    ) -> Result<Revoked, WriteRefused> {
        match invitations::revoke(accounts, &caller, id.0).await? {
            true => Ok(Revoked::Gone),
            false => Err(Problem::not_found(format!("There is no open invitation with the id {}.", id.0)).into()),
        }
    }

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

fn nobody(id: i64) -> Problem {
    Problem::not_found(format!("There is nobody with the id {id}."))
}
