//! What can a person or the supervisor ask of the `app` program?

mod contract;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Args, CommandFactory, Parser, Subcommand};

use self::contract::Contract;
use crate::{
    app,
    auth::role::Role,
    config::{Config, ServeArgs},
    failure::Failure,
    http::Hosts,
    log,
    media::child,
    notify::Notifier,
    operator::{self, Task},
    serve, threads,
};

/// Hearth's app: the household's binder over HTTP.
#[derive(Debug, Parser)]
#[command(
    name = "app",
    version,
    arg_required_else_help = true,
    after_help = "Examples:\n  app serve --database data/live/app.db --files data/files\n  app openapi > openapi.json\n  \
                  app setup-code\n  app user reset-password anna@example.org\n\n\
                  The supervisor starts `app serve` with sockets and settings of its own; by hand it listens on \
                  127.0.0.1:3000."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve requests on the inherited sockets, or on its own socket when run alone
    Serve(ServeArgs),
    /// Check the settings without the database. Prints a JSON document for each error
    CheckSettings {
        /// Check as well that Hearth answers to this name. May be repeated
        #[arg(long = "host", value_name = "NAME")]
        hosts: Vec<String>,
    },
    /// Print the API's OpenAPI document
    Openapi,
    /// Print the settings and sockets of this version, for a supervisor of another version
    Contract {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the set-up code, with which the owner of a new instance signs up
    SetupCode(OnTheServer),
    /// Look after the files of attachments
    #[command(subcommand)]
    Files(FilesCommand),
    /// Manage users from the server, for example when the owner is locked out
    #[command(subcommand)]
    User(UserCommand),
}

impl Command {
    /// Whether it prints for programs.
    fn is_for_programs(&self) -> bool {
        match self {
            Self::SetupCode(server) => server.json,
            Self::User(command) => command.server().json,
            Self::Files(FilesCommand::Check { server, .. }) => server.json,
            Self::Contract { json } => *json,
            Self::Serve(_) | Self::CheckSettings { .. } | Self::Openapi => false,
        }
    }
}

#[derive(Debug, Subcommand)]
enum FilesCommand {
    /// List missing, damaged and stray files. Changes nothing; exits with 1 if a file is missing or damaged
    Check {
        /// Read each file and compare its content with its name
        #[arg(long)]
        hash: bool,
        /// The directory of attachments [env: HEARTH_FILES] [default: files/ beside the generations]
        #[arg(long, value_name = "DIRECTORY")]
        files: Option<String>,
        #[command(flatten)]
        server: OnTheServer,
    },
}

impl FilesCommand {
    fn run(&self) -> Result<(), Failure> {
        let Self::Check { hash, files, server } = self;
        operator::check_files(server.database.as_deref(), files.as_deref(), *hash, server.json)
    }
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// List all users
    List(OnTheServer),
    /// Add a user and print a link to choose a password
    Create {
        /// The e-mail to sign in with
        #[arg(value_name = "EMAIL")]
        email: String,
        /// The display name [default: the first part of the e-mail]
        #[arg(long)]
        name: Option<String>,
        /// The role: guest, member, admin or owner
        #[arg(long, default_value = "member", value_parser = role)]
        role: Role,
        #[command(flatten)]
        server: OnTheServer,
    },
    /// Print a password reset link
    ResetPassword {
        /// The user's e-mail
        #[arg(value_name = "EMAIL")]
        email: String,
        /// Also turn off two-factor authentication, for a lost phone
        #[arg(long)]
        remove_totp: bool,
        #[command(flatten)]
        server: OnTheServer,
    },
    /// Change a user's role
    SetRole {
        /// The user's e-mail
        #[arg(value_name = "EMAIL")]
        email: String,
        /// The role: guest, member, admin or owner
        #[arg(value_name = "ROLE", value_parser = role)]
        role: Role,
        #[command(flatten)]
        server: OnTheServer,
    },
    /// Disable a user: signed out everywhere, and kept from signing in; the user's records stay
    Disable {
        /// The user's e-mail
        #[arg(value_name = "EMAIL")]
        email: String,
        #[command(flatten)]
        server: OnTheServer,
    },
    /// Enable a disabled user
    Enable {
        /// The user's e-mail
        #[arg(value_name = "EMAIL")]
        email: String,
        #[command(flatten)]
        server: OnTheServer,
    },
}

/// Where the data is, and for whom the answer.
#[derive(Debug, Clone, Args)]
struct OnTheServer {
    /// The live database [env: HEARTH_DATABASE] [default: live/app.db in HEARTH_DATA_DIR or ./data]
    #[arg(long, value_name = "FILE")]
    database: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl OnTheServer {
    fn run(&self, task: &Task) -> Result<(), Failure> {
        operator::run(self.database.as_deref(), task, self.json)
    }
}

impl UserCommand {
    fn server(&self) -> &OnTheServer {
        match self {
            Self::List(server)
            | Self::Create { server, .. }
            | Self::ResetPassword { server, .. }
            | Self::SetRole { server, .. }
            | Self::Disable { server, .. }
            | Self::Enable { server, .. } => server,
        }
    }

    fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(server) => server.run(&Task::List),
            Self::Create { email, name, role, server } => {
                let name = name.unwrap_or_else(|| email.split('@').next().unwrap_or_default().to_owned());
                server.run(&Task::Create { name, email, role })
            }
            Self::ResetPassword { email, remove_totp, server } => {
                server.run(&Task::ResetPassword { email, remove_totp })
            }
            Self::SetRole { email, role, server } => server.run(&Task::SetRole { email, role }),
            Self::Disable { email, server } => server.run(&Task::SetDisabled { email, disabled: true }),
            Self::Enable { email, server } => server.run(&Task::SetDisabled { email, disabled: false }),
        }
    }
}

fn role(text: &str) -> Result<Role, String> {
    let found = Role::ALL.into_iter().find(|role| role.name() == text);
    found.ok_or_else(|| "a role is guest, member, admin or owner".to_owned())
}

/// The exit status when a setting cannot be used, as for wrong usage.
const UNUSABLE_SETTINGS: u8 = 2;
/// The exit status when what is in the database cannot be used: EX_DATAERR of sysexits(3).
const UNFIT_DATA: u8 = 65;

/// Returns the command line there is, for its manual.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program: exit status 0 done, 1 failed, 2 wrong usage or settings, 65 failed for what is in the database.
pub fn main() -> ExitCode {
    // Started by the app itself, before there is a second thread.
    if let Some(task) = child::Task::planned() {
        return child::run(task);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed stdout or stderr changes nothing about the outcome.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    threads::make_possible();
    let as_json = cli.command.is_for_programs();
    let outcome = match cli.command {
        Command::Serve(args) => match Config::read(&args) {
            Ok(config) => {
                log::start(config.log);
                serve::run(&config)
            }
            Err(wrong) => {
                let failure = Failure::all(wrong);
                report(&failure);
                // To the supervisor, which shows it to the operator.
                if let Ok(notifier) = Notifier::from_env() {
                    notifier.status(&failure.to_line());
                }
                return ExitCode::from(UNUSABLE_SETTINGS);
            }
        },
        Command::CheckSettings { hosts } => {
            let wrong = match Config::without_a_database() {
                Ok(config) => Hosts::new(&config.http).refused(&hosts).into_iter().map(not_answered).collect(),
                Err(wrong) => wrong,
            };
            match wrong.iter().try_for_each(|failure| print(&failure.document().to_string())) {
                Ok(()) if wrong.is_empty() => Ok(()),
                Ok(()) => return ExitCode::from(UNUSABLE_SETTINGS),
                Err(failure) => Err(failure),
            }
        }
        Command::Openapi => print(&app::spec()),
        Command::Contract { json } => {
            let contract = Contract::own();
            print(&if json { serde_json::json!(contract).to_string() } else { contract.to_text() })
        }
        Command::SetupCode(server) => server.run(&Task::SetupCode),
        Command::User(command) => command.run(),
        Command::Files(command) => command.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            match as_json {
                true => report(&failure.json()),
                false => report(&failure),
            }
            if failure.is_of_the_data { ExitCode::from(UNFIT_DATA) } else { ExitCode::FAILURE }
        }
    }
}

fn print(document: &str) -> Result<(), Failure> {
    match writeln!(io::stdout(), "{document}") {
        // `app openapi | head` is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("the document could not be printed: {error}")))
        }
        _ => Ok(()),
    }
}

/// Returns the mistake that nothing in the settings names this host.
fn not_answered(name: &String) -> Failure {
    Failure::new(format!("Hearth does not answer to the name {name}"))
        .hint("name it in http.hosts (HEARTH_HTTP__HOSTS) or http.public_url (HEARTH_HTTP__PUBLIC_URL)")
}

fn report(failure: &dyn std::fmt::Display) {
    // Not eprintln!, which panics when standard error is closed.
    let _ = writeln!(io::stderr(), "{failure}");
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
