//! What is promised of the update notice: against a real registry, and against everything that a registry must not do.
//!
//! [`asking`] speaks to registries; [`notice`] looks at what a supervisor makes of it. The real registry is Debian's
//! docker-registry, in [`real`]; [`stand_in`] is whatever else a test needs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod asking;
#[path = "../harness/mod.rs"]
mod harness;
mod notice;
mod real;
mod stand_in;
