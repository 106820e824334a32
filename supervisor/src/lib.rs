//! Hearth's supervisor: PID 1 of the container, which brings the household's database to this version
//! and serves it, or leaves everything as it was and tells the operator the way out.
//!
//! Folders follow what happens, in the order it happens; imports point one way:
//! `main` → [`entry`] → [`cli`] → [`operations`] → [`app`], [`control`] → [`jobs`] → [`instance`] → [`status`] →
//! [`process`] → [`data`] → [`failure`], [`config`], [`fault`]; and for what a job does: [`work`] → [`jobs`]' requests and
//! answers, [`process`], [`data`].

pub mod app;
pub mod cli;
pub mod config;
pub mod control;
pub mod data;
pub mod entry;
pub mod failure;
pub mod fault;
pub mod instance;
pub mod jobs;
pub mod operations;
pub mod process;
pub mod status;
pub mod work;
