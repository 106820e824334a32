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
        caller::{Caller, ClientInfo},
        email,
        entity::verification,
        idempotency::Once,
        profile::Profile,
        role::Role,
    },
    datetime::Timestamp,
    household::link::LinkBody,
    http::{
        After, ById, Created, Done, Header, IdempotencyKey, Limit, Listed, OptionalField, Problem, ReadRefused, Text,
        Window, WriteRefused,
    },
    sign_in::{
        SignIn,
        enter::{SignedIn, signed_in},
    },
};

/// The operations.
pub(crate) struct InvitationsApi;

/// An invitation to create.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct NewInvitation {
    role: Role,
    /// The e-mail address that prefills the form.
    email: OptionalField<Email>,
}

/// A pending invitation.
#[derive(Debug, Object)]
#[oai(rename = "Invitation", skip_serializing_if_is_none)]
struct InvitationBody {
    /// Assigned by Hearth. Never reused.
    id: i64,
    role: Role,
    /// The e-mail address of the person invited.
    email: Option<Email>,
    /// When it was created.
    created_at: Timestamp,
    /// When it expires.
    expires_at: Timestamp,
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

/// An invitation that was created.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct CreatedInvitation {
    invitation: InvitationBody,
    link: LinkBody,
}

/// The acceptance of an invitation.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct Acceptance {
    /// The token from the link.
    token: Code,
    /// The display name.
    name: Name,
    /// The e-mail address, used to sign in.
    email: Email,
    /// The password.
    password: NewPassword,
}

#[OpenApi]
impl InvitationsApi {
    /// List pending invitations
    ///
    /// Newest first.
    #[oai(path = "/invitations", method = "get", operation_id = "list_invitations", tag = "Tag::People")]
    async fn invitations(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        _caller: Caller,
        /// The maximum number of items per page.
        limit: Query<Limit>,
        /// The `next` value of the previous page.
        after: Query<After>,
    ) -> Result<Listed<InvitationBody>, ReadRefused> {
        let window = Window::new(limit.0, after.0);
        let found = store::list(accounts.reads()).await.map_err(|error| accounts.database.failed(error))?;
        Ok(window.cut(found, ById::NewestFirst, |invitation| invitation.id, InvitationBody::from))
    }

    /// Create an invitation
    ///
    /// The link works once and expires after a week.
    ///
    /// With an `Idempotency-Key`, a request that is sent again within 24 hours creates nothing more and gets 409 with the code
    /// `already_created`, since the secret is in the first response only. Another request with the same key gets 422.
    #[oai(path = "/invitations", method = "post", operation_id = "create_invitation", tag = "Tag::People")]
    async fn invite(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        caller: Caller,
        /// A text of the client's choice, such as a UUID, that is new for each invitation to create.
        #[oai(name = "Idempotency-Key")]
        key: Header<IdempotencyKey>,
        body: Json<NewInvitation>,
    ) -> Result<Created<CreatedInvitation>, WriteRefused> {
        let once = Once::new(key.0, "create_invitation", &body.0);
        let email = body.email.0.as_ref().map(|email| email::check(&email.0)).transpose();
        let email = email.map_err(|error| Problem::fields(vec![error]))?;
        let (invitation, secret) = store::create(accounts, &caller, body.role, email, once).await?;
        let token = secret.expose().to_owned();
        let link = LinkBody { url: accounts.address_of(&format!("/invitation/{token}")), token };
        Ok(Created::new(CreatedInvitation { invitation: invitation.into(), link }))
    }

    /// Revoke an invitation
    #[oai(path = "/invitations/:id", method = "delete", operation_id = "revoke_invitation", tag = "Tag::People")]
    async fn revoke(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        caller: Caller,
        /// The invitation's id.
        id: Path<i64>,
    ) -> Result<Done, WriteRefused> {
        let found = store::revoke(accounts, &caller, id.0).await?;
        Ok(Done::where_found(found, || format!("There is no open invitation with the id {}.", id.0))?)
    }

    /// Accept an invitation
    ///
    /// The person who accepts it joins the household and is signed in.
    #[oai(path = "/invitations/accept", method = "post", operation_id = "accept_invitation", tag = "Tag::Session")]
    async fn accept(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        client: ClientInfo,
        body: Json<Acceptance>,
    ) -> Result<Response<SignedIn>, WriteRefused> {
        let profile = Profile::check(&body.name.0, &body.email.0).map_err(Problem::fields)?;
        let begun = store::accept(sign_in, &client, &body.token.0, profile, &body.password.0).await?;
        Ok(signed_in(&begun, &client))
    }
}
