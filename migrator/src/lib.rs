//! How does a database get from any earlier release to this one, or stay exactly as it was?
//!
//! All pending migrations run in one `BEGIN IMMEDIATE` transaction, and before it commits it is
//! checked that nothing was lost (see [`check`](mod@check)). The story, in the order it happens:
//!
//! 1. [`database`]: find, judge and open the file, never creating it;
//! 2. [`ledger`] and [`schema`]: what was done to it, and what it looks like;
//! 3. [`plan`]: what is applied, pending and unknown, and whether it may be upgraded; [`stop`]: which release it has to go through first;
//!    [`floor`]: which apps may serve it;
//! 4. [`apply`]: the transaction, with the [`migrations`] and the [`check`](mod@check)s in it;
//! 5. [`cli`] and [`log`]: what programs and people are told of it, and `watch`: that it works.
//!
//! The list of migrations and the version come from the caller, as a [`Release`], so that tests
//! can be a later release than the one they are compiled in.
//!
//! With the feature `developer`, `developer` has what developers run; no shipped program does.
//!
//! Imports point one way: `main` → `developer` → `cli` → `apply`, `threads` → `watch` → `status`, `log` → `finding` → `check`, `ledger`, `release`, `config` →
//! `plan`, `stop` → `floor`, `migrations` → `add`, `fold` → `schema` → `database` → `fault`, `progress` → `error`.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod add;
pub mod apply;
pub mod check;
pub mod cli;
mod config;
pub mod database;
#[cfg(feature = "developer")]
pub mod developer;
mod error;
pub mod fault;
mod finding;
pub mod floor;
pub mod fold;
pub mod ledger;
pub mod log;
pub mod migrations;
pub mod plan;
pub mod progress;
mod release;
pub mod schema;
pub mod status;
pub mod stop;
mod threads;
mod watch;

pub use apply::{Outcome, up, up_in_spite_of};
pub use cli::main;
pub use error::Error;
pub use log::Event;
pub use release::{Difference, Release};
pub use sea_orm_migration::{self, MigrationTrait};
pub use status::{Status, status};
