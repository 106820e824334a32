//! Which commands do developers have?

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use semver::Version;

use super::{Problem, check, dev, migrate, new, older, release, releases};
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
    /// Make a release: version, changelog, database, certificate, commit and tag
    Release(release::Arguments),
}

#[derive(Debug, Subcommand)]
enum Migration {
    /// Write the next migration, from what the app's entities say
    New(new::Arguments),
    /// Say whether the unreleased migrations may be released: see docs/MIGRATIONS.md
    Check(check::Arguments),
    /// Say whether an older release's app can serve the databases of this source, by running it and its tests on some
    Floor {
        /// The older release; the newest, if none is named
        version: Option<Version>,
    },
}

/// Runs the command that this process's arguments name, for `release`.
pub fn main(release: Release) -> ExitCode {
    if let Some(code) = migrate::as_migrator(&release) {
        return code;
    }
    let arguments = Arguments::parse();
    match run(arguments.command, &release) {
        Ok(code) => code,
        Err(problem) => problem.tell(),
    }
}

fn run(command: Command, release: &Release) -> Result<ExitCode, Problem> {
    match command {
        Command::Migration(Migration::Check(arguments)) => check::main(release, &arguments),
        Command::Dev(arguments) => dev::run(&arguments),
        Command::Migration(Migration::New(arguments)) => new::run(&arguments, release),
        Command::Migration(Migration::Floor { version }) => floor(release, version),
        Command::Release(arguments) => release::run(&arguments, release),
    }
}

fn floor(release: &Release, version: Option<Version>) -> Result<ExitCode, Problem> {
    let newest = || Ok(releases::all()?.pop().map(|released| released.version));
    let version = match version {
        Some(version) => version,
        None => newest()?.ok_or_else(|| Problem::new("there is no release yet"))?,
    };
    let verdict = older::judge(release, &version)?;
    for breach in &verdict.breaches {
        println!("{breach}");
    }
    if verdict.breaches.is_empty() {
        println!(
            "The app of {version} can serve the databases of this source: {} runs of its tests, what it shows and what it leaves say so.",
            verdict.told
        );
        return Ok(ExitCode::SUCCESS);
    }
    println!("The app of {version} cannot serve the databases of this source, so their floor has to be higher.");
    Ok(ExitCode::FAILURE)
}
