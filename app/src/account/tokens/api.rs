//! One's own programs.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::store;
use crate::{
    auth::{
        Accounts,
        api::{Name, Tag},
        caller::Caller,
        entity::api_token,
        idempotency::Once,
        profile,
        role::Scope,
    },
    datetime::Timestamp,
    http::{
        After, ById, Created, Done, FieldError, Header, IdempotencyKey, Limit, Listed, OptionalField, Problem,
        ReadRefused, Text, Window, WriteRefused,
    },
};

/// The operations.
pub(crate) struct TokensApi;

/// An API token.
#[derive(Debug, Object)]
#[oai(rename = "Token", skip_serializing_if_is_none)]
struct TokenBody {
    /// Assigned by Hearth. Never reused.
    id: i64,
    /// What the token is used for.
    name: Name,
    scope: Scope,
    /// When it was created.
    created_at: Timestamp,
    /// When it expires. Absent if never.
    expires_at: Option<Timestamp>,
    /// When it was last used, to within ten minutes. Absent if never.
    last_used_at: Option<Timestamp>,
}

impl From<api_token::Model> for TokenBody {
    fn from(token: api_token::Model) -> Self {
        Self {
            id: token.id,
            name: Text(token.name),
            scope: token.scope,
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
        }
    }
}

/// A token to create.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct NewToken {
    /// What the token is used for.
    name: Name,
    scope: Scope,
    /// When it expires. Absent for never.
    expires_at: OptionalField<Timestamp>,
}

/// A token that was created.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct CreatedToken {
    /// The secret, sent as `Authorization: Bearer …`. It is not shown again.
    secret: String,
    token: TokenBody,
}

#[OpenApi]
impl TokensApi {
    /// List your tokens
    ///
    /// Newest first.
    #[oai(path = "/tokens", method = "get", operation_id = "list_tokens", tag = "Tag::Account")]
    async fn list(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        caller: Caller,
        /// The maximum number of items per page.
        limit: Query<Limit>,
        /// The `next` value of the previous page.
        after: Query<After>,
    ) -> Result<Listed<TokenBody>, ReadRefused> {
        let window = Window::new(limit.0, after.0);
        let found =
            store::list(accounts.reads(), caller.user.id).await.map_err(|error| accounts.database.failed(error))?;
        Ok(window.cut(found, ById::NewestFirst, |token| token.id, TokenBody::from))
    }

    /// Create a token
    ///
    /// The token can do what its user can do, within its scope.
    ///
    /// With an `Idempotency-Key`, a request that is sent again within 24 hours creates nothing more and gets 409 with the code
    /// `already_created`, since the secret is in the first response only. Another request with the same key gets 422.
    #[oai(path = "/tokens", method = "post", operation_id = "create_token", tag = "Tag::Account")]
    async fn create(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        caller: Caller,
        /// A text of the client's choice, such as a UUID, that is new for each token to create.
        #[oai(name = "Idempotency-Key")]
        key: Header<IdempotencyKey>,
        body: Json<NewToken>,
    ) -> Result<Created<CreatedToken>, WriteRefused> {
        let once = Once::new(key.0, "create_token", &body.0);
        let mut errors = Vec::new();
        let name = profile::label("name", &body.name.0, &mut errors);
        if body.expires_at.0.is_some_and(|end| end <= Timestamp::now()) {
            errors.push(FieldError::new("expires_at", "must be in the future"));
        }
        if !errors.is_empty() {
            return Err(Problem::fields(errors).into());
        }
        let (token, secret) = store::create(accounts, &caller, name, body.scope, body.expires_at.0, once).await?;
        Ok(Created::new(CreatedToken { secret: secret.expose().to_owned(), token: token.into() }))
    }

    /// Revoke one of your tokens
    #[oai(path = "/tokens/:id", method = "delete", operation_id = "revoke_token", tag = "Tag::Account")]
    async fn revoke(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        caller: Caller,
        /// The token's id.
        id: Path<i64>,
    ) -> Result<Done, WriteRefused> {
        let found = store::revoke(accounts, &caller, id.0).await?;
        Ok(Done::where_found(found, || format!("You have no token with the id {}.", id.0))?)
    }
}
