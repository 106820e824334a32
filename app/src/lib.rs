//! Hearth's app: the household's binder over HTTP.
//!
//! The story, in the order it happens: [`cli`] reads the arguments, `config` the settings, `serve` runs the
//! life of a server (open the database, test it, become ready, answer, drain, close), `http` owns sockets and
//! everything that is the same for all answers, and each feature has its own folder: `records` its table,
//! queries, API and pages; `instance` what the app says about itself; `web` what all pages have in common.
//!
//! Imports should point one way, cli → serve → http → features → db, and do not everywhere yet: `.ci/module-graph` names the
//! circles.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "in a test a panic is the answer"))]

mod accounts;
pub mod cli;
mod config;
mod db;
mod failure;
pub mod fault;
mod http;
mod instance;
mod log;
mod notify;
mod operator;
mod records;
mod serve;
mod threads;
mod web;
mod when;
