//! How is a person asked whether to go on?

use std::io::{self, IsTerminal, Write};

use super::for_programs;
use crate::{
    failure::{Cause, Failure},
    process::signals,
};

/// Asks whether to go on.
pub(super) fn confirm(doing: &str) -> Result<(), Failure> {
    if for_programs() || !io::stdin().is_terminal() {
        let message = format!("not {doing} without being asked to: there is no terminal to confirm it on");
        return Err(Failure::new(Cause::Configuration, message).hint("add --yes"));
    }
    let ask = || {
        let mut err = io::stderr().lock();
        write!(err, "Go on? [y/N] ").and_then(|()| err.flush())
    };
    let answer = signals::answer(ask).map_err(|error| Failure::io("cannot read the answer", &error))?;
    if ["y", "yes"].iter().any(|yes| answer.trim().eq_ignore_ascii_case(yes)) {
        return Ok(());
    }
    Err(Failure::new(Cause::Interrupted, "stopped; nothing was changed"))
}
