//! Hearth's supervisor: PID 1 of the container. It brings the household's database to this version and serves it, or leaves
//! everything as it was and shows the operator the ways out.
//!
//! Folders follow what happens, in the order it happens; imports point one way:
//! `main` → [`entry`] → [`cli`] → [`operations`] → [`app`], [`control`] → [`jobs`] → [`instance`] → [`status`] → [`config`] →
//! [`process`] → [`data`] → [`failure`], [`fault`]; and in the program that does the work on data, with libraries that PID 1
//! does not link: `supervisor-job` → [`work`] → [`jobs`], for its requests and answers. `.ci/module-graph` checks both.

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
