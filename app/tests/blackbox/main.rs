//! The app as its clients and its supervisor see it: the real program, over its sockets.
//!
//! Each test has a directory, a database made by the real migrator, and ports of its own, so they run side by side.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

mod accounts;
mod attachments;
mod awkward;
mod binder;
mod client;
mod conventions;
mod disk;
mod fallback;
mod faults;
mod harness;
mod headers;
mod history;
mod hostile;
mod idempotency;
mod installed;
mod lifecycle;
mod media;
mod older;
mod pages;
mod places;
mod portability;
mod privacy;
mod probation;
mod problems;
mod proof;
#[allow(dead_code, reason = "the unit tests use the rest of it")]
#[path = "../../src/sign_in/oidc/provider.rs"]
mod provider;
mod records;
mod sample;
mod served;
mod sockets;
mod spec;
mod statements;
mod stopping;
mod strangers;
mod tags;
#[allow(dead_code, reason = "the unit tests use the rest of it")]
mod tailscaled;
mod unfolded;
mod versions;
#[path = "../../../supervisor/tests/harness/watchdog.rs"]
mod watchdog;
