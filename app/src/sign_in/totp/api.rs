//! One's own second factor.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, payload::Json};

use super::store;
use crate::{
    auth::{
        api::{Code, Password, Tag},
        caller::Caller,
        entity::verification::Kind::Recovery,
        verification,
    },
    http::{Created, Done, Found, ReadRefused, WriteRefused},
    sign_in::SignIn,
};

/// The operations.
pub(crate) struct SecondFactorApi;

/// The state of two-factor authentication.
#[derive(Debug, Object)]
#[oai(rename = "Totp", skip_serializing_if_is_none)]
struct TotpBody {
    /// Whether signing in with a password requires a one-time code.
    active: bool,
    /// The number of unused recovery codes.
    recovery_codes: u64,
}

/// A secret for an authenticator app.
#[derive(Debug, Object)]
#[oai(rename = "TotpOffer", skip_serializing_if_is_none)]
struct OfferBody {
    /// The secret in base32, to enter by hand.
    secret: String,
    /// The otpauth URI, to show as a QR code.
    uri: String,
}

/// The code that confirms the setup.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct Confirmation {
    /// The code that the authenticator app shows.
    code: Code,
}

/// A confirmation by password.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct Removal {
    /// The current password.
    password: Password,
}

/// Recovery codes, for a lost phone.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct RecoveryCodes {
    /// Each works once. They are not shown again.
    recovery_codes: Vec<String>,
}

#[OpenApi]
impl SecondFactorApi {
    /// Show your two-factor authentication
    #[oai(path = "/totp", method = "get", operation_id = "show_totp", tag = "Tag::Account")]
    async fn show(&self, Data(sign_in): Data<&Arc<SignIn>>, caller: Caller) -> Result<Found<TotpBody>, ReadRefused> {
        let failed = |error| sign_in.database.failed(error);
        let active = store::of(sign_in.reads(), caller.user.id).await.map_err(failed)?.is_some();
        let left = verification::list_of(sign_in.reads(), Recovery, caller.user.id).await.map_err(failed)?.len();
        Ok(Found::new(TotpBody { active, recovery_codes: left as u64 }))
    }

    /// Start setting up two-factor authentication
    ///
    /// Creates a secret for an authenticator app (RFC 6238: SHA-1, six digits, 30 s).
    #[oai(path = "/totp", method = "post", operation_id = "begin_totp", tag = "Tag::Account")]
    async fn begin(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        caller: Caller,
    ) -> Result<Created<OfferBody>, WriteRefused> {
        let offer = store::begin(sign_in, &caller).await?;
        Ok(Created::new(OfferBody { secret: offer.secret, uri: offer.uri }))
    }

    /// Turn on two-factor authentication
    ///
    /// From then on, each sign-in with a password requires a code.
    #[oai(path = "/totp", method = "put", operation_id = "confirm_totp", tag = "Tag::Account")]
    async fn confirm(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        caller: Caller,
        body: Json<Confirmation>,
    ) -> Result<Found<RecoveryCodes>, WriteRefused> {
        let recovery_codes = store::confirm(sign_in, &caller, &body.code.0).await?;
        Ok(Found::new(RecoveryCodes { recovery_codes }))
    }

    /// Turn off two-factor authentication
    #[oai(path = "/totp/remove", method = "post", operation_id = "remove_totp", tag = "Tag::Account")]
    async fn remove(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        caller: Caller,
        body: Json<Removal>,
    ) -> Result<Done, WriteRefused> {
        store::remove(sign_in, &caller, &body.password.0).await?;
        Ok(Done::Done)
    }
}
