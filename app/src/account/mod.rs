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
        Operation::new("change_password", SIGNED_IN).may_give(&[429]),
        Operation::new("list_sessions", OWN),
        Operation::new("revoke_session", OWN),
        Operation::new("revoke_other_sessions", OWN),
        Operation::new("list_linked_accounts", OWN),
        Operation::new("unlink_account", SIGNED_IN),
        Operation::new("list_tokens", OWN),
        Operation::new("create_token", SIGNED_IN),
        Operation::new("revoke_token", OWN),
    ],
    pages: &[
        Page::get("/account", OWN, || page::show.boxed()),
        Page::post("/account/profile", OWN, || page::form(profile::page::change)),
        Page::post("/account/password", SIGNED_IN, || page::form(profile::page::change_password)),
        Page::post("/account/totp", SIGNED_IN, || page::form(totp::page::begin)),
        Page::post("/account/totp/confirm", SIGNED_IN, || page::form(totp::page::confirm)),
        Page::post("/account/totp/remove", SIGNED_IN, || page::form(totp::page::remove)),
        Page::post("/account/passkeys/:id/delete", SIGNED_IN, || page::form(passkey::page::delete)),
        Page::post("/account/linked/:id/unlink", SIGNED_IN, || page::form(linked::page::unlink)),
        Page::post("/account/sessions/revoke-others", OWN, || page::form(sessions::page::revoke_others)),
        Page::post("/account/sessions/:id/revoke", OWN, || page::form(sessions::page::revoke)),
        Page::post("/account/tokens", SIGNED_IN, || page::form(tokens::page::create)),
        Page::post("/account/tokens/:id/revoke", OWN, || page::form(tokens::page::revoke)),
    ],
    navigation: Some(Entry { address: "/account", label: "Account", within: "/account", is_named: true }),
    tables: &[
        Table::of::<entity::account::Entity>(),
        Table::of::<entity::session::Entity>(),
        Table::of::<entity::api_token::Entity>(),
        Table::of::<entity::idempotency_key::Entity>(),
    ],
    self_test: |database| Box::pin(self_test(database)),
};

type Api = (profile::api::ProfileApi, sessions::api::SessionsApi, linked::api::LinksApi, tokens::api::TokensApi);

/// What outlives a token.
const SIGNED_IN: Rule = Rule::signed_in(Role::Guest);

/// A token that reaches them must be good for everything.
const OWN: Rule = Rule::role(Role::Guest, Scope::Admin);

async fn self_test(database: &Database) -> Result<(), String> {
    let read = tokens::store::list(database.reads(), 1).await;
    read.map(drop).map_err(|error| unread(database, "the API tokens", error))
}
