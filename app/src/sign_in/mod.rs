//! How does somebody sign in?
//!
//! `page` shows all the ways: `password`, with `totp` as a second factor, `passkey` and `oidc` (a provider of the household's),
//! and `setup` for the first owner. Each has its store, its API and its page in a folder of its own.

pub(crate) mod api;
pub(crate) mod ceremonies;
pub(crate) mod enter;
pub(crate) mod next;
pub(crate) mod oidc;
pub(crate) mod page;
pub(crate) mod passkey;
pub(crate) mod password;
pub(crate) mod setup;
pub(crate) mod totp;

use std::{
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
};

use self::{
    oidc::Oidc,
    passkey::webauthn::Passkeys,
    password::hash::{self, Hasher},
};
use crate::{auth::Accounts, failure::Failure, http::Problem};

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
