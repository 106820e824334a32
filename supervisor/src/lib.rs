//! Hearth's supervisor: PID 1 of the container, which brings the household's database to this version
//! and serves it, or leaves everything as it was and tells the operator the way out.
//!
//! Folders follow what happens, in the order it happens; imports point one way:
//! `main` → [`entry`] → [`cli`] → [`run`] → [`boot`] → [`watch`], [`control`], [`door`] → [`jobs`] → [`instance`] → [`phase`],
//! [`update`], [`init`] → [`sandbox`] → [`data`] → [`failure`], [`config`], [`log`], [`fault`].

pub mod backup;
pub mod boot;
pub mod cli;
pub mod config;
pub mod control;
pub mod data;
pub mod door;
pub mod entry;
pub mod failure;
pub mod fault;
pub mod init;
pub mod instance;
pub mod jobs;
pub mod log;
pub mod phase;
pub mod run;
pub mod sandbox;
pub mod update;
pub mod watch;
