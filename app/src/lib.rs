//! Hearth's app: the household's binder over HTTP.
//!
//! The story, in the order it happens: [`cli`] reads the arguments, `config` the settings, `serve` runs the life of a server
//! (open the database, test it, become ready, answer, drain, close), and `app` puts together what is served. Each feature is one
//! folder that says in one constant what the rest has to know of it (`feature`): `records`, `household`, `audit`, `account`,
//! `sign_in`, `instance`. `auth` finds out who is calling; `html` and `http` are vocabulary that knows no feature.
//!
//! Imports point one way; a module may import what stands further right, and nothing else (`.ci/module-graph` checks it):
//!
//! main → cli → serve, operator → app → account, household, records, instance → sign_in, audit → feature → auth → html →
//! http → db, config, datetime → secret, failure, fallback, fault
//!
//! cli → threads
//!
//! cli, records → media
//!
//! serve → log, notify → config

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "in a test a panic is the answer"))]

mod account;
mod app;
mod audit;
mod auth;
pub mod cli;
mod config;
mod datetime;
mod db;
mod failure;
mod fallback;
pub mod fault;
mod feature;
mod household;
mod html;
mod http;
mod instance;
mod log;
pub mod media;
mod notify;
mod operator;
mod records;
mod secret;
mod serve;
mod sign_in;
mod threads;

#[cfg(feature = "developer")]
pub use app::entities;
