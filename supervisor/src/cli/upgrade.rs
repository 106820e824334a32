//! What do `resume`, `rehearse` and `exec` do?

use std::{ffi::OsString, process::ExitCode};

use hyper::Method;
use serde_json::json;

use super::{Resume, ask, order, say, work::run_operation};
use crate::{
    config::{Flags, Loaded},
    control::orders::Operation,
    data::{DataDir, state::FORMAT},
    failure::{Cause, Failure},
    operations::{alone, rehearse::Rehearsed},
    status::Status,
};

/// Tries again what is held. While an earlier version serves, that is the upgrade, which is rehearsed beside it.
pub(super) fn resume(flags: &Flags, data: &DataDir, asked: Resume) -> Result<u8, Failure> {
    let Resume { accept, json } = asked;
    let in_fallback = ask::<Status>(data, Method::GET, "/v1/status")?.is_some_and(|status| status.fallback.is_some());
    if !in_fallback {
        return order(data, "resume", &accept, json);
    }
    let done = run_operation(flags, data, Operation::Rehearse { accept }, json, None)?.outcome?;
    match json {
        true => say(&json!({"format": FORMAT, "done": done}).to_string()),
        false => say(&format!("{done}; it is made now (supervisor status shows how far it is)")),
    }
    Ok(0)
}

/// Tries the upgrade to this version on a copy, beside whatever runs on the data.
pub(super) fn rehearse(flags: &Flags, data: &DataDir, json: bool) -> Result<u8, Failure> {
    if !data.path().is_dir() {
        return Err(super::not_running(data));
    }
    let loaded = Loaded::load(flags)?;
    let rehearsed = alone::rehearse(loaded.config)?;
    let sentence = rehearsed.sentence();
    if let Rehearsed::NoRoom(failure) = rehearsed {
        return Err(failure);
    }
    if !json {
        say(&sentence);
        return Ok(0);
    }
    let mut document = json!({"format": FORMAT, "done": sentence});
    if let Rehearsed::Well { took, bytes, is_compared } = rehearsed {
        document["milliseconds"] = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).into();
        document["bytes"] = bytes.into();
        document["compared"] = is_compared.into();
    }
    say(&document.to_string());
    Ok(0)
}

/// Becomes the app that serves, with these arguments.
pub(super) fn exec(flags: &Flags, words: Vec<OsString>) -> Result<u8, Failure> {
    let mut words = words.into_iter();
    if words.next().as_deref() != Some("app".as_ref()) {
        return Err(Failure::new(Cause::Configuration, "supervisor exec runs the program app, and no other")
            .hint("supervisor exec app user list"));
    }
    let _: ExitCode = alone::become_the_app(Loaded::load(flags)?.config, words.collect())?;
    Ok(0)
}
