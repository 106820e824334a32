//! Links for a new password in the API.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};

use super::store;
use crate::{
    auth::{
        Accounts,
        api::{Code, NewPassword, Tag},
        caller::{Caller, ClientInfo},
        idempotency::Once,
        users,
    },
    household::link::LinkBody,
    http::{Created, Done, Header, IdempotencyKey, OptionalField, WriteRefused},
    sign_in::SignIn,
};

/// The operations.
pub(crate) struct ResetsApi;

/// A password reset to create.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct NewReset {
    /// Whether to turn off the user's two-factor authentication too, for a lost phone.
    remove_totp: OptionalField<bool>,
}

/// A password reset with the token of its link.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct Reset {
    /// The token from the link.
    token: Code,
    /// The new password.
    password: NewPassword,
}

#[OpenApi]
impl ResetsApi {
    /// Create a password reset link
    ///
    /// The link works once and expires after a day. Send it privately. It takes the place of an earlier one.
    ///
    /// With an `Idempotency-Key`, a request that is sent again within 24 hours creates nothing more and gets 409 with the code
    /// `already_created`, since the secret is in the first response only. Another request with the same key gets 422.
    #[oai(path = "/users/:id/reset", method = "post", operation_id = "create_reset", tag = "Tag::People")]
    async fn create(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        caller: Caller,
        /// The user's id.
        id: Path<i64>,
        /// A text of the client's choice, such as a UUID, that is new for each link to create.
        #[oai(name = "Idempotency-Key")]
        key: Header<IdempotencyKey>,
        body: Json<NewReset>,
    ) -> Result<Created<LinkBody>, WriteRefused> {
        let once = Once::new(key.0, &format!("create_reset {}", id.0), &body.0);
        let secret = store::create_reset(accounts, &caller, id.0, body.remove_totp.0.unwrap_or_default(), once).await?;
        let token = secret.ok_or_else(|| users::unknown(id.0))?.expose().to_owned();
        Ok(Created::new(LinkBody { url: accounts.address_of(&format!("/reset/{token}")), token }))
    }

    /// Reset a password
    ///
    /// Ends all sessions of the user, who can then sign in with the new password.
    #[oai(path = "/reset", method = "post", operation_id = "use_reset", tag = "Tag::Session")]
    async fn redeem(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        client: ClientInfo,
        body: Json<Reset>,
    ) -> Result<Done, WriteRefused> {
        store::use_reset(sign_in, &client, &body.token.0, &body.password.0, false).await?;
        Ok(Done::Done)
    }
}
