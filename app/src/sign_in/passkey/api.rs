//! One's own passkeys, and coming in by one.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::{Json, Response},
    types::Any,
};
use serde_json::Value;

use super::store;
use crate::{
    auth::{
        api::{Code, Name, Tag},
        caller::{Caller, ClientInfo},
        entity::passkey,
        profile,
    },
    datetime::Timestamp,
    http::{After, ById, Created, Done, Limit, Listed, Problem, ReadRefused, Text, Window, WriteRefused},
    sign_in::{
        SignIn,
        enter::{SignedIn, signed_in},
    },
};

/// The operations.
pub(crate) struct PasskeysApi;

/// A passkey.
#[derive(Debug, Object)]
#[oai(rename = "Passkey", skip_serializing_if_is_none)]
struct PasskeyBody {
    /// Assigned by Hearth. Never reused.
    id: i64,
    /// The name that its user chose.
    name: Name,
    /// When it was added.
    created_at: Timestamp,
    /// When it was last used to sign in. Absent if never.
    last_used_at: Option<Timestamp>,
}

impl From<passkey::Model> for PasskeyBody {
    fn from(passkey: passkey::Model) -> Self {
        Self {
            id: passkey.id,
            name: Text(passkey.name),
            created_at: passkey.created_at,
            last_used_at: passkey.last_used_at,
        }
    }
}

/// Options for the browser's WebAuthn call (Web Authentication, Level 3).
#[derive(Debug, Object)]
struct Ceremony {
    /// Send it back with the browser's response within five minutes.
    ceremony: String,
    /// The options for `navigator.credentials.create` or `get`, with binary values in base64url.
    options: Any<Value>,
}

/// A passkey to add.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct NewPasskey {
    /// The `ceremony` that was returned with the options.
    ceremony: Code,
    /// The name of the passkey.
    name: Name,
    /// The browser's response, with binary values in base64url.
    credential: Any<Value>,
}

/// A passkey's response to a sign-in.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct Assertion {
    /// The `ceremony` that was returned with the options.
    ceremony: Code,
    /// The browser's response, with binary values in base64url.
    credential: Any<Value>,
}

fn ceremony_created((ceremony, options): (String, Value)) -> Created<Ceremony> {
    Created::new(Ceremony { ceremony, options: Any(options) })
}

#[OpenApi]
impl PasskeysApi {
    /// List your passkeys
    ///
    /// Oldest first.
    #[oai(path = "/passkeys", method = "get", operation_id = "list_passkeys", tag = "Tag::Account")]
    async fn list(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        caller: Caller,
        /// The maximum number of items per page.
        limit: Query<Limit>,
        /// The `next` value of the previous page.
        after: Query<After>,
    ) -> Result<Listed<PasskeyBody>, ReadRefused> {
        let window = Window::new(limit.0, after.0);
        let found =
            store::list(sign_in.reads(), caller.user.id).await.map_err(|error| sign_in.database.failed(error))?;
        Ok(window.cut(found, ById::OldestFirst, |passkey| passkey.id, PasskeyBody::from))
    }

    /// Start adding a passkey
    #[oai(path = "/passkeys/options", method = "post", operation_id = "begin_passkey", tag = "Tag::Account")]
    async fn begin(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        caller: Caller,
    ) -> Result<Created<Ceremony>, WriteRefused> {
        Ok(ceremony_created(store::begin(sign_in, &caller).await?))
    }

    /// Add a passkey
    #[oai(path = "/passkeys", method = "post", operation_id = "add_passkey", tag = "Tag::Account")]
    async fn add(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        caller: Caller,
        body: Json<NewPasskey>,
    ) -> Result<Created<PasskeyBody>, WriteRefused> {
        let mut errors = Vec::new();
        let name = profile::label("name", &body.name.0, &mut errors);
        if !errors.is_empty() {
            return Err(Problem::fields(errors).into());
        }
        let NewPasskey { ceremony, credential, .. } = body.0;
        let added = store::add(sign_in, &caller, &ceremony.0, name, credential.0).await?;
        Ok(Created::new(added))
    }

    /// Delete one of your passkeys
    #[oai(path = "/passkeys/:id", method = "delete", operation_id = "delete_passkey", tag = "Tag::Account")]
    async fn delete(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        caller: Caller,
        /// The passkey's id.
        id: Path<i64>,
    ) -> Result<Done, WriteRefused> {
        let found = store::delete(sign_in, &caller, id.0).await?;
        Ok(Done::where_found(found, || format!("You have no passkey with the id {}.", id.0))?)
    }

    /// Start signing in with a passkey
    #[oai(
        path = "/session/passkey/options",
        method = "post",
        operation_id = "begin_passkey_sign_in",
        tag = "Tag::Session"
    )]
    async fn begin_sign_in(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        client: ClientInfo,
    ) -> Result<Created<Ceremony>, WriteRefused> {
        Ok(ceremony_created(store::begin_sign_in(sign_in, &client)?))
    }

    /// Sign in with a passkey
    #[oai(path = "/session/passkey", method = "post", operation_id = "sign_in_by_passkey", tag = "Tag::Session")]
    async fn sign_in(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        client: ClientInfo,
        body: Json<Assertion>,
    ) -> Result<Response<SignedIn>, WriteRefused> {
        let Assertion { ceremony, credential } = body.0;
        let begun = store::sign_in(sign_in, &client, &ceremony.0, credential.0).await?;
        Ok(signed_in(&begun, &client))
    }
}
