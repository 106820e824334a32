//! The invitations in the API.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::{Json, Response},
};

use super::store;
use crate::{
    auth::{
        Accounts,
        api::{Code, Email, Name, NewPassword, Tag},
        caller::{Caller, Place},
        email,
        entity::verification,
        profile::Profile,
        role::Role,
    },
    household::link::LinkBody,
    http::{ById, Created, Done, Given, Limit, Listed, Problem, ReadRefused, Text, Window, WriteRefused},
    sign_in::{
        SignIn,
        enter::{SignedIn, signed_in},
    },
    when::Moment,
};

/// The operations.
pub(crate) struct InvitationsApi;

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

/// An invitation that was made.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct CreatedInvitation {
    invitation: InvitationBody,
    link: LinkBody,
}

/// An invitation and who takes it.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct Acceptance {
    /// The token of the link.
    token: Code,
    /// What to be called.
    name: Name,
    /// The e-mail to sign in with.
    email: Email,
    /// The password to sign in with.
    password: NewPassword,
}

#[OpenApi]
impl InvitationsApi {
    /// List open invitations
    ///
    /// The newest first.
    #[oai(path = "/invitations", method = "get", operation_id = "list_invitations", tag = "Tag::People")]
    async fn invitations(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        _caller: Caller,
        /// How many at most.
        limit: Query<Limit>,
        /// Where to go on: the `next` of the page before.
        #[oai(validator(max_length = 2000))]
        after: Query<Option<String>>,
    ) -> Result<Listed<InvitationBody>, ReadRefused> {
        let window = Window::new(limit.0, after.0.as_deref())?;
        let found = store::list(accounts.reads()).await.map_err(|error| accounts.database.failed(error))?;
        Ok(window.cut(found, ById::NewestFirst, |invitation| invitation.id, InvitationBody::from))
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
    ) -> Result<Created<CreatedInvitation>, WriteRefused> {
        let email = body.email.0.as_ref().map(|email| email::check(&email.0)).transpose();
        let email = email.map_err(|error| Problem::fields(vec![error]))?;
        let (invitation, secret) = store::create(accounts, &caller, body.role, email).await?;
        let token = secret.expose().to_owned();
        let link = LinkBody { url: accounts.address_of(&format!("/invitation/{token}")), token };
        Ok(Created::new(CreatedInvitation { invitation: invitation.into(), link }))
    }

    /// Take an invitation back
    #[oai(path = "/invitations/:id", method = "delete", operation_id = "revoke_invitation", tag = "Tag::People")]
    async fn revoke(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        caller: Caller,
        /// The invitation's id.
        id: Path<i64>,
    ) -> Result<Done, WriteRefused> {
        match store::revoke(accounts, &caller, id.0).await? {
            true => Ok(Done::Done),
            false => Err(Problem::not_found(format!("There is no open invitation with the id {}.", id.0)).into()),
        }
    }

    /// Accept an invitation
    ///
    /// Its holder becomes one of the household and is signed in.
    #[oai(path = "/invitations/accept", method = "post", operation_id = "accept_invitation", tag = "Tag::Session")]
    async fn accept(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        place: Place,
        body: Json<Acceptance>,
    ) -> Result<Response<SignedIn>, WriteRefused> {
        let profile = Profile::check(&body.name.0, &body.email.0).map_err(Problem::fields)?;
        let begun = store::accept(sign_in, &place, &body.token.0, profile, &body.password.0).await?;
        Ok(signed_in(&begun, &place))
    }
}
