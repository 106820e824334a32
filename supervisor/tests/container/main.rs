//! The image on a real container engine, from outside as its operator sees it: by `docker`, `docker compose` and HTTP.
//!
//! These tests want an engine and the built image, so they run only when asked for, and fail without them:
//!
//! ```sh
//! docker build -t hearth:test .
//! HEARTH_TEST_OLD_IMAGE=$(.ci/previous-image) cargo test -p supervisor --test container -- --ignored
//! ```
//!
//! [`engine`] is one container, [`project`] what the files in compose/ make, [`images`] the images that never were
//! released, [`outside`] the servers that a container reaches by name; the others are the stories. `HEARTH_TEST_IMAGE` names
//! another image than `hearth:test`, `HEARTH_TEST_OLD_IMAGE` one of an earlier release to come from. [`foreign`] also wants
//! root, s3s-fs, docker-registry and openssl, and its bases, of which `.ci/base-images` makes stand-ins.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod commands;
mod engine;
mod fallback;
mod foreign;
#[path = "../harness/mod.rs"]
mod harness;
mod images;
mod init;
mod limits;
mod nas;
mod old_engine;
mod outside;
mod owners;
mod project;
#[allow(dead_code, reason = "some of it is for the tests of updates")]
#[path = "../update/real.rs"]
mod registry;
mod settings;
mod tailscale;
mod tiers;
mod upgrade;
mod volumes;
