//! Hearth's app: the household's binder over HTTP.
//!
//! The story, in the order it happens: [`cli`] reads the arguments, `config` the settings, `serve` runs the
//! life of a server (open the database, test it, become ready, answer, drain, close), `http` owns sockets and
//! everything that is the same for all answers, and each feature has its own folder: `records` its table,
//! queries, API and pages; `sign_in` the ways in, `account` what is one's own, `household` people and invitations, `audit` what
//! happened, `instance` what the app says about itself. `auth` finds out who is calling; `html` is what all pages have in common.
//!
//! Imports should point one way, cli → serve → http → features → db, and do not everywhere yet: `.ci/module-graph` names the
//! circles.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "in a test a panic is the answer"))]

mod account;
mod app;
mod audit;
mod auth;
pub mod cli;
mod config;
mod db;
mod failure;
pub mod fault;
mod household;
mod html;
mod http;
mod instance;
mod log;
mod notify;
mod operator;
mod records;
mod secret;
mod serve;
mod sign_in;
mod threads;
mod when;
