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

/// Whether there is a second factor.
#[derive(Debug, Object)]
#[oai(rename = "Totp", skip_serializing_if_is_none)]
struct TotpBody {
    /// Whether a one-time password is asked for at a sign-in.
    active: bool,
    /// How many recovery codes are left.
    recovery_codes: u64,
}

/// A secret for an app that makes one-time passwords.
#[derive(Debug, Object)]
#[oai(rename = "TotpOffer", skip_serializing_if_is_none)]
struct OfferBody {
    /// In base32, to be typed.
    secret: String,
    /// To be shown as a QR code.
    uri: String,
}

/// The first code.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct Confirmation {
    /// What the app shows now.
    code: Code,
}

/// The confirmation that it is really the user.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct Removal {
    /// The present password.
    password: Password,
}

/// Codes for when the phone is gone.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct RecoveryCodes {
    /// Each is good once. They are not shown again.
    recovery_codes: Vec<String>,
}

#[OpenApi]
impl SecondFactorApi {
    /// Show one's own second factor
    #[oai(path = "/totp", method = "get", operation_id = "show_totp", tag = "Tag::Account")]
    async fn show(&self, Data(sign_in): Data<&Arc<SignIn>>, caller: Caller) -> Result<Found<TotpBody>, ReadRefused> {
        let failed = |error| sign_in.database.failed(error);
        let active = store::of(sign_in.reads(), caller.user.id).await.map_err(failed)?.is_some();
        let left = verification::list_of(sign_in.reads(), Recovery, caller.user.id).await.map_err(failed)?.len();
        Ok(Found::new(TotpBody { active, recovery_codes: left as u64 }))
    }

    /// Begin a second factor
    ///
    /// Makes a secret for an app that makes one-time passwords (RFC 6238: SHA-1, six digits, 30 s).
    #[oai(path = "/totp", method = "post", operation_id = "begin_totp", tag = "Tag::Account")]
    async fn begin(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        caller: Caller,
    ) -> Result<Created<OfferBody>, WriteRefused> {
        let offer = store::begin(sign_in, &caller).await?;
        Ok(Created::new(OfferBody { secret: offer.secret, uri: offer.uri }))
    }

    /// Confirm a second factor
    ///
    /// From then on a code is asked for at each sign-in with a password.
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

    /// Remove one's own second factor
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
