//! One's own account: profile, linked accounts, sessions and tokens, on one page.

pub(crate) mod linked;
pub(crate) mod page;
pub(crate) mod profile;
pub(crate) mod sessions;
pub(crate) mod tokens;

use poem::EndpointExt;

use crate::{
    auth::{
        entity,
        role::{Role, Scope},
        self_test::unread,
    },
    db::Database,
    feature::{Entry, Feature, Operation, Page, Rule, Table},
    sign_in::{passkey, totp},
};

/// What the rest has to know of one's account.
pub(crate) const FEATURE: Feature<Api> = Feature {
    api: (profile::api::ProfileApi, sessions::api::SessionsApi, linked::api::LinksApi, tokens::api::TokensApi),
    operations: &[
        Operation::new("update_profile", OWN),
        Operation::new("change_password", OWN),
        Operation::new("list_sessions", OWN),
        Operation::new("revoke_session", OWN),
        Operation::new("revoke_other_sessions", OWN),
        Operation::new("list_linked_accounts", OWN),
        Operation::new("unlink_account", OWN),
        Operation::new("list_tokens", OWN),
        Operation::new("create_token", OWN),
        Operation::new("revoke_token", OWN),
    ],
    pages: &[
        Page::get("/account", OWN, || page::show.boxed()),
        Page::post("/account/profile", OWN, || page::form(profile::page::change)),
        Page::post("/account/password", OWN, || page::form(profile::page::change_password)),
        Page::post("/account/totp", OWN, || page::form(totp::page::begin)),
        Page::post("/account/totp/confirm", OWN, || page::form(totp::page::confirm)),
        Page::post("/account/totp/remove", OWN, || page::form(totp::page::remove)),
        Page::post("/account/passkeys/:id/delete", OWN, || page::form(passkey::page::delete)),
        Page::post("/account/linked/:id/unlink", OWN, || page::form(linked::page::unlink)),
        Page::post("/account/sessions/revoke-others", OWN, || page::form(sessions::page::revoke_others)),
        Page::post("/account/sessions/:id/revoke", OWN, || page::form(sessions::page::revoke)),
        Page::post("/account/tokens", OWN, || page::form(tokens::page::create)),
        Page::post("/account/tokens/:id/revoke", OWN, || page::form(tokens::page::revoke)),
    ],
    navigation: Some(Entry { address: "/account", label: "Account", within: "/account", is_named: true }),
    tables: &[
        Table::of::<entity::account::Entity>(),
        Table::of::<entity::session::Entity>(),
        Table::of::<entity::api_token::Entity>(),
    ],
    self_test: |database| Box::pin(self_test(database)),
};

type Api = (profile::api::ProfileApi, sessions::api::SessionsApi, linked::api::LinksApi, tokens::api::TokensApi);

/// A token that reaches them must be good for everything.
const OWN: Rule = Rule::role(Role::Guest, Scope::Admin);

async fn self_test(database: &Database) -> Result<(), String> {
    let read = tokens::store::list(database.reads(), 1).await;
    read.map(drop).map_err(|error| unread(database, "the API tokens", error))
}
