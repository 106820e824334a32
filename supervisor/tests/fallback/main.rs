//! A failed upgrade of the app is no downtime: the last good version serves while the new one is rehearsed, and serves on if it fails.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../harness/mod.rs"]
mod harness;

mod command;
mod image;
mod killed;
mod places;
mod tampering;
mod trial;
mod upgrade;
