//! How does somebody sign in?
//!
//! `page` shows all the ways: `password`, with `totp` as a second factor, `passkey` and `oidc` (a provider of the household's),
//! and `setup` for the first owner. Each has its store, its API and its page in a folder of its own.

pub(crate) mod api;
pub(crate) mod enter;
pub(crate) mod next;
pub(crate) mod oidc;
pub(crate) mod page;
pub(crate) mod passkey;
pub(crate) mod password;
pub(crate) mod pending_challenges;
pub(crate) mod proof;
pub(crate) mod setup;
pub(crate) mod totp;

use std::{
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
};

use poem::EndpointExt;
use sea_orm::DbErr;

use self::{
    oidc::Oidc,
    passkey::webauthn::Passkeys,
    password::hash::{self, Hasher},
};
use crate::{
    auth::{
        Accounts, entity,
        role::{Role, Scope},
        self_test::{read_through, unread},
    },
    db::Database,
    failure::Failure,
    feature::{Feature, Operation, Page, Rule, Table},
    http::Problem,
};

/// What the rest has to know of signing in. The second factor and passkeys are also a part each of one's account, which
/// has their forms.
pub(crate) const FEATURE: Feature<Api> = Feature {
    api: (api::SessionApi, passkey::api::PasskeysApi, totp::api::SecondFactorApi),
    operations: &[
        Operation::new("show_auth", Rule::Public),
        Operation::new("set_up", Rule::Public).may_give(&[409, 429]),
        Operation::new("sign_in", Rule::Public).may_give(&[401, 429]),
        Operation::new("begin_passkey_sign_in", Rule::Public).without_writing().may_give(&[409]),
        Operation::new("sign_in_by_passkey", Rule::Public).may_give(&[401, 409, 429]),
        Operation::new("show_session", Rule::role(Role::Guest, Scope::Read)),
        Operation::new("sign_out", OWN),
        Operation::new("show_totp", OWN),
        Operation::new("begin_totp", SIGNED_IN),
        Operation::new("confirm_totp", SIGNED_IN),
        Operation::new("remove_totp", SIGNED_IN).may_give(&[429]),
        Operation::new("list_passkeys", OWN),
        Operation::new("begin_passkey", SIGNED_IN).without_writing().may_give(&[409]),
        Operation::new("add_passkey", SIGNED_IN),
        Operation::new("delete_passkey", SIGNED_IN),
    ],
    pages: &[
        Page::get("/set-up", Rule::Public, || setup::page::show.boxed()),
        Page::post("/set-up", Rule::Public, || setup::page::set_up.boxed()),
        Page::get("/sign-in", Rule::Public, || page::show.boxed()),
        Page::post("/sign-in", Rule::Public, || page::by_password.boxed()),
        Page::post("/sign-in/code", Rule::Public, || page::by_code.boxed()),
        Page::get(oidc::page::BEGIN, Rule::Public, || oidc::page::begin.boxed()),
        Page::get(oidc::CALLBACK, Rule::Public, || oidc::page::come_back.boxed()),
        Page::post("/sign-out", OWN, || page::sign_out.boxed()),
    ],
    navigation: None,
    tables: &[
        Table::of::<entity::verification::Entity>(),
        Table::of::<entity::passkey::Entity>(),
        Table::of::<entity::totp::Entity>(),
    ],
    self_test: |database| Box::pin(self_test(database)),
};

type Api = (api::SessionApi, passkey::api::PasskeysApi, totp::api::SecondFactorApi);

/// What outlives a token.
const SIGNED_IN: Rule = Rule::signed_in(Role::Guest);

/// What is one's own, also with a token: such a one must be good for everything.
const OWN: Rule = Rule::role(Role::Guest, Scope::Admin);

async fn self_test(database: &Database) -> Result<(), String> {
    let read = async |database: &Database| -> Result<(), DbErr> {
        let reads = database.reads();
        let id = read_through(database).await?;
        totp::of(reads, id).await?;
        passkey::list(reads, id).await?;
        passkey::get(reads, id, 1).await?;
        passkey::find(reads, id, "none").await.map(drop)
    };
    read(database).await.map_err(|error| unread(database, "how somebody signs in", error))
}

/// What signing in takes beside the accounts: the ways that are set up.
pub(crate) struct SignIn {
    accounts: Arc<Accounts>,
    pub(crate) hasher: Hasher,
    /// None where browsers offer no passkeys: `http.public_url` is not set.
    pub(crate) passkeys: Option<Passkeys>,
    /// None where no provider is set up.
    pub(crate) oidc: Option<Oidc>,
    /// Where the set-up code lies while there is one.
    pub(crate) code_file: PathBuf,
}

impl SignIn {
    /// Returns the ways to sign in to these accounts, whose database lies at `path`.
    pub(crate) fn new(accounts: Arc<Accounts>, path: &Path) -> Result<Self, Failure> {
        let url = accounts.http.public_url.as_ref();
        Ok(Self {
            hasher: Hasher::new(),
            passkeys: Passkeys::new(url.map(ToString::to_string).as_deref()).map_err(Failure::new)?,
            oidc: accounts.auth.oidc.clone().zip(url).map(|(oidc, url)| Oidc::new(oidc, url)),
            code_file: setup::file(path),
            accounts,
        })
    }

    /// Returns the accounts.
    pub(crate) fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }

    /// Refuses a password that is too short, too long or too common.
    pub(crate) fn check_password(&self, field: &str, password: &str, email: &str, name: &str) -> Result<(), Problem> {
        hash::check(field, password, email, name).map_err(|error| Problem::fields(vec![error]))
    }
}

/// Whatever is done with somebody who signs in is done to the accounts.
impl Deref for SignIn {
    type Target = Accounts;

    fn deref(&self) -> &Accounts {
        &self.accounts
    }
}
