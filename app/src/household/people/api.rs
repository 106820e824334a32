//! The household, its invitations and what happened.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::store::{self, Change};
use crate::{
    auth::{
        Accounts,
        api::{Name, Tag, UserBody},
        caller::Caller,
        entity::user,
        login_methods,
        role::Role,
        users,
    },
    http::{After, ById, Found, Limit, Listed, OptionalField, ReadRefused, Text, Window, WriteRefused},
};

/// The operations.
pub(crate) struct PeopleApi;

/// A change to a user. Absent fields keep their values.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct UserChange {
    role: OptionalField<Role>,
    /// Whether the account is disabled. Disabling ends the user's sessions.
    disabled: OptionalField<bool>,
    /// The user's Tailscale login. Empty removes it. Only owners can set it.
    tailscale_login: OptionalField<Text<0, 254>>,
}

/// A person of the household.
#[derive(Debug, Object)]
#[oai(rename = "Person")]
struct PersonBody {
    /// The id of the user, as `owner_id` has it.
    id: i64,
    /// The display name.
    name: Name,
}

#[OpenApi]
impl PeopleApi {
    /// List people
    ///
    /// The name of each user, also of those who are disabled, to show in place of an `owner_id`. In the order in which they
    /// joined.
    #[oai(path = "/people", method = "get", operation_id = "list_people", tag = "Tag::People")]
    async fn people(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        _caller: Caller,
        /// The maximum number of items per page.
        limit: Query<Limit>,
        /// The `next` value of the previous page.
        after: Query<After>,
    ) -> Result<Listed<PersonBody>, ReadRefused> {
        let window = Window::new(limit.0, after.0);
        let found = users::list(accounts.reads()).await.map_err(|error| accounts.database.failed(error))?;
        let person = |user: user::Model| PersonBody { id: user.id, name: Text(user.name) };
        Ok(window.cut(found, ById::OldestFirst, |user| user.id, person))
    }

    /// List users
    ///
    /// In the order in which they joined.
    #[oai(path = "/users", method = "get", operation_id = "list_users", tag = "Tag::People")]
    async fn users(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        _caller: Caller,
        /// The maximum number of items per page.
        limit: Query<Limit>,
        /// The `next` value of the previous page.
        after: Query<After>,
    ) -> Result<Listed<UserBody>, ReadRefused> {
        let window = Window::new(limit.0, after.0);
        let failed = |error| accounts.database.failed(error);
        let logins = login_methods::list_by(accounts.reads(), login_methods::TAILSCALE).await.map_err(failed)?;
        let found = users::list(accounts.reads()).await.map_err(failed)?;
        Ok(window.cut(
            found,
            ById::OldestFirst,
            |user| user.id,
            |user| {
                let login = logins.iter().find(|login| login.user_id == user.id);
                let tailscale_login = login.map(|login| login.provider_id.clone());
                UserBody { tailscale_login, ..user.into() }
            },
        ))
    }

    /// Update a user
    ///
    /// Admins can update members and guests. Owners can update everyone. At least one owner must remain.
    #[oai(path = "/users/:id", method = "patch", operation_id = "update_user", tag = "Tag::People")]
    async fn update(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        caller: Caller,
        /// The user's id.
        id: Path<i64>,
        body: Json<UserChange>,
    ) -> Result<Found<UserBody>, WriteRefused> {
        let change = Change {
            role: body.0.role.0,
            disabled: body.0.disabled.0,
            tailscale_login: body.0.tailscale_login.0.map(|login| login.0),
        };
        let user =
            store::update(&accounts.database, &caller, id.0, change).await?.ok_or_else(|| users::unknown(id.0))?;
        let known =
            login_methods::linked(accounts.reads(), user.id).await.map_err(|error| accounts.database.failed(error))?;
        let login = known.into_iter().find(|way| way.provider == login_methods::TAILSCALE);
        let tailscale_login = login.map(|login| login.provider_id);
        Ok(Found::new(UserBody { tailscale_login, ..user.into() }))
    }
}
