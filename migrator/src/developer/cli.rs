//! Which commands do developers have?

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::{Problem, dev};
use crate::Release;

/// What developers run: see docs/MIGRATIONS.md and docs/RELEASING.md.
#[derive(Debug, Parser)]
#[command(name = "cargo", disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run Hearth on a scratch household, and build and start it again at each change
    Dev(dev::Arguments),
    /// Make and check migrations
    #[command(subcommand)]
    Migration(Migration),
}

#[derive(Debug, Subcommand)]
enum Migration {}

/// Runs the command that this process's arguments name, for `release`.
pub fn main(release: Release) -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command, &release) {
        Ok(code) => code,
        Err(problem) => problem.tell(),
    }
}

fn run(command: Command, _release: &Release) -> Result<ExitCode, Problem> {
    match command {
        Command::Dev(arguments) => dev::run(&arguments),
        Command::Migration(never) => match never {},
    }
}
