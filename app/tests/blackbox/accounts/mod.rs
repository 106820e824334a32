//! Accounts, as people, programs and whoever means harm meet them.

mod access;
pub(crate) mod browser;
mod email_keys;
mod folding;
mod fresh;
mod held_body;
mod hostile;
mod identity;
mod links;
mod oidc;
mod operator;
mod pages;
mod passkeys;
mod records;
pub(crate) mod second_factor;
mod setup;
mod sign_in;
mod tokens;
