//! What can a person or the supervisor ask of the `app` program?

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

use crate::{config::Config, failure::Failure, http, log, serve};

/// Hearth's app: the household's binder over HTTP.
#[derive(Debug, Parser)]
#[command(
    name = "app",
    version,
    arg_required_else_help = true,
    after_help = "Examples:\n  app serve --database data/live/app.db --files data/files\n  app openapi > openapi.json\n\n\
                  The supervisor starts `app serve` with sockets and settings of its own; by hand it listens on \
                  127.0.0.1:3000."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer requests on the inherited sockets, or on its own when run alone
    Serve(ServeArgs),
    /// Print the API's OpenAPI document
    Openapi,
}

/// Settings of `app serve`; each is a `HEARTH_*` environment variable as well.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ServeArgs {
    /// The database, as migrated by the migrator [env: HEARTH_DATABASE]
    #[arg(long, value_name = "FILE")]
    pub(crate) database: Option<String>,
    /// The directory of attachments [env: HEARTH_FILES]
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) files: Option<String>,
    /// Where to listen when no socket is inherited [env: HEARTH_LISTEN] [default: 127.0.0.1:3000]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
}

/// Runs the program: exit status 0 done, 1 failed, 2 wrong usage.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed stdout or stderr changes nothing about the outcome.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let outcome = match cli.command {
        Command::Serve(args) => match Config::read(&args) {
            Ok(config) => {
                log::start(config.log);
                serve::run(&config)
            }
            Err(failure) => {
                report(&failure);
                return ExitCode::from(2);
            }
        },
        Command::Openapi => print_spec(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report(&failure);
            ExitCode::FAILURE
        }
    }
}

fn print_spec() -> Result<(), Failure> {
    let mut spec = http::spec();
    spec.push('\n');
    match io::stdout().write_all(spec.as_bytes()) {
        // `app openapi | head` is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("the document could not be printed: {error}")))
        }
        _ => Ok(()),
    }
}

fn report(failure: &Failure) {
    // Not eprintln!, which panics when standard error is closed.
    let _ = writeln!(io::stderr(), "{failure}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
