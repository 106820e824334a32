//! Hearth's supervisor: PID 1 of the container, which brings the household's database to this version
//! and serves it, or leaves everything as it was and tells the operator the way out.
//!
//! Folders follow what happens, in the order it happens; imports point one way:
//! `main` → [`entry`] → [`cli`] → [`run`] → [`boot`] → [`app`], [`control`], [`door`] → [`jobs`] → [`instance`] → [`status`],
//! [`update`] → [`process`] → [`data`] → [`failure`], [`config`], [`fault`].

pub mod app;
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
pub mod instance;
pub mod jobs;
pub mod process;
pub mod run;
pub mod status;
pub mod update;
