//! Who else answers for somebody.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};

use super::store;
use crate::{
    auth::{Accounts, api::Tag, caller::Caller, entity::account, login_methods},
    datetime::Timestamp,
    http::{After, ById, Done, Limit, Listed, ReadRefused, Window, WriteRefused},
};

/// The operations.
pub(crate) struct LinksApi;

/// An account at a provider that signs the user in.
#[derive(Debug, Object)]
#[oai(rename = "LinkedAccount", skip_serializing_if_is_none)]
struct LinkedBody {
    /// Assigned by Hearth. Never reused.
    id: i64,
    /// The provider: `oidc` or `tailscale`. Later versions may add more.
    provider: String,
    /// The provider's name or id for the person.
    provider_id: String,
    /// When it was linked.
    created_at: Timestamp,
}

impl From<account::Model> for LinkedBody {
    fn from(account: account::Model) -> Self {
        Self {
            id: account.id,
            provider: account.provider,
            provider_id: account.provider_id,
            created_at: account.created_at,
        }
    }
}

#[OpenApi]
impl LinksApi {
    /// List your linked accounts
    ///
    /// Oldest first.
    #[oai(path = "/linked-accounts", method = "get", operation_id = "list_linked_accounts", tag = "Tag::Account")]
    async fn list(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        caller: Caller,
        /// The maximum number of items per page.
        limit: Query<Limit>,
        /// The `next` value of the previous page.
        after: Query<After>,
    ) -> Result<Listed<LinkedBody>, ReadRefused> {
        let window = Window::new(limit.0, after.0);
        let found = login_methods::linked(accounts.reads(), caller.user.id).await;
        let found = found.map_err(|error| accounts.database.failed(error))?;
        Ok(window.cut(found, ById::OldestFirst, |account| account.id, LinkedBody::from))
    }

    /// Unlink one of your linked accounts
    ///
    /// A later sign-in with the user's e-mail links the account again.
    #[oai(path = "/linked-accounts/:id", method = "delete", operation_id = "unlink_account", tag = "Tag::Account")]
    async fn unlink(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        caller: Caller,
        /// The linked account's id.
        id: Path<i64>,
    ) -> Result<Done, WriteRefused> {
        let found = store::unlink(&accounts.database, &caller, id.0).await?;
        Ok(Done::where_found(found, || format!("You have no linked account with the id {}.", id.0))?)
    }
}
