//! Words in colour, for a person at a terminal.
//!
//! Never in a pipe or a file, nor where `NO_COLOR` is set to anything (<https://no-color.org>) or `TERM` names a terminal without
//! colours. By hand, because clap's own colours would bring five crates into PID 1's program.

use std::{env, io::IsTerminal};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Color {
    /// Something failed, or nothing goes on by itself.
    Red,
    /// Somebody should look at it.
    Yellow,
    Green,
    /// No colour, but it stands out: what to do.
    Bold,
}

/// Returns the word as it is written to `stream`.
pub(super) fn colored(word: &str, color: Color, stream: &impl IsTerminal) -> String {
    let is_wanted = stream.is_terminal()
        && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && env::var_os("TERM").is_some_and(|terminal| !terminal.is_empty() && terminal != "dumb");
    if !is_wanted {
        return word.to_owned();
    }
    let code = match color {
        Color::Red => "1;31",
        Color::Yellow => "33",
        Color::Green => "32",
        Color::Bold => "1",
    };
    format!("\x1b[{code}m{word}\x1b[0m")
}
