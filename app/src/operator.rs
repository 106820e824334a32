//! What can the operator do on the server itself: the set-up code, people, and the files of attachments?
//!
//! Works on the live database, whether the app runs beside it or not: SQLite lets several processes write one after
//! another. Only an upgrade or a restore that is under way must not be written past: it works on a clone, which would
//! not hold what was written here. So it is looked for before and after.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    auth::{
        audit_log::{self, Actor, Kind},
        email_keys, login_methods,
        profile::Profile,
        role::Role,
        users,
    },
    config::{PublicUrl, public_url, variable},
    db::{Access, Database},
    failure::Failure,
    household::{people, resets},
    http::Problem,
    records::{self, ContentStore},
    secret::Secret,
    sign_in::setup,
};

/// What to do to the people of an instance.
#[derive(Debug, Clone)]
pub(crate) enum Task {
    SetupCode,
    List,
    Create { name: String, email: String, role: Role },
    ResetPassword { email: String, remove_totp: bool },
    SetRole { email: String, role: Role },
    SetDisabled { email: String, disabled: bool },
}

/// Does it and prints what came of it, as JSON for programs.
pub(crate) fn run(database: Option<&str>, task: &Task, json: bool) -> Result<(), Failure> {
    let place = DatabasePath::find(database)?;
    place.check_idle()?;
    // What is wrong with the settings is said before anything is done.
    let url = if task.makes_link() { public_url(place.data_dir())? } else { None };
    let said = runtime()?.block_on(async {
        let database = Database::open(&place.database, Access::Write).await?;
        let said = carry_out(&database, &place, url.as_ref(), task, json).await;
        database.close().await;
        said
    })?;
    place.check_idle()?;
    print(&said)
}

/// Checks the files of attachments and prints what was found. Only reads, beside the app or without it.
pub(crate) fn check_files(database: Option<&str>, files: Option<&str>, hash: bool, json: bool) -> Result<(), Failure> {
    let place = DatabasePath::find(database)?;
    let files = match (files, variable("HEARTH_FILES")) {
        (Some(files), _) => PathBuf::from(files),
        (None, Some(files)) => PathBuf::from(files),
        (None, None) => place.data_dir().unwrap_or(Path::new("")).join("files"),
    };
    if !files.is_dir() {
        return Err(Failure::new(format!("there is no directory of attachments at {}", files.display()))
            .hint("set where it is: HEARTH_FILES=…, or --files …/files"));
    }
    let report = runtime()?.block_on(async {
        let database = Database::open(&place.database, Access::Read).await?;
        let report = records::check_files(&database, &ContentStore::new(&files), hash).await;
        database.close().await;
        report
    })?;
    print(&if json { serde_json::json!(report).to_string() } else { report.to_text() })?;
    match report.is_whole() {
        true => Ok(()),
        false => Err(Failure::new("files are missing or damaged").hint("put them back from a backup: docs/BACKUPS.md")),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("the runtime cannot be started: {error}")))
}

/// Prints an answer. `app user list | head` is no failure.
fn print(answer: &str) -> Result<(), Failure> {
    match writeln!(io::stdout(), "{answer}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("the answer could not be printed: {error}")))
        }
        _ => Ok(()),
    }
}

impl Task {
    /// Whether it looks for a user by their e-mail.
    fn finds_by_email(&self) -> bool {
        !matches!(self, Self::SetupCode | Self::List)
    }

    /// Whether a link comes of it.
    fn makes_link(&self) -> bool {
        matches!(self, Self::Create { .. } | Self::ResetPassword { .. })
    }
}

/// Where the live database is.
struct DatabasePath {
    /// As it was named: by the link of the live generation, mostly.
    named: PathBuf,
    /// The file itself.
    database: PathBuf,
}

impl DatabasePath {
    fn find(database: Option<&str>) -> Result<Self, Failure> {
        let named = match (database, variable("HEARTH_DATABASE")) {
            (Some(path), _) => PathBuf::from(path),
            (None, Some(path)) => PathBuf::from(path),
            (None, None) => {
                let data = variable("HEARTH_DATA_DIR").map_or_else(|| PathBuf::from("data"), PathBuf::from);
                data.join("live").join("app.db")
            }
        };
        let database = fs::canonicalize(&named).map_err(|error| {
            Failure::new(format!("there is no database at {}: {error}", named.display()))
                .hint("start Hearth once, or set where its data is: HEARTH_DATA_DIR=…, or --database …/live/app.db")
        })?;
        Ok(Self { named, database })
    }

    /// The data directory: the database is `generations/<number>/app.db` in it.
    fn data_dir(&self) -> Option<&Path> {
        self.database.ancestors().nth(3)
    }

    /// Refuses while the supervisor makes another generation, which would not hold what is written now.
    fn check_idle(&self) -> Result<(), Failure> {
        let generations = self.database.parent().and_then(Path::parent);
        // Also where a generation was named outright, which may not be the live one any more.
        let live = generations.and_then(Path::parent).and_then(|data| fs::canonicalize(data.join("live")).ok());
        let moved = fs::canonicalize(&self.named).ok().as_deref() != Some(&self.database)
            || live.is_some_and(|live| self.database.parent() != Some(&*live));
        let staging = generations.into_iter().flat_map(|directory| fs::read_dir(directory).ok()).flatten().flatten();
        let busy = staging
            .map(|entry| entry.path())
            .any(|path| self.database.parent() != Some(&*path) && path.join("STAGING").exists());
        if moved || busy {
            return Err(Failure::new(
                "this is not the live database, or an upgrade or a restore is in progress; the change could be lost",
            )
            .hint("wait until `supervisor status` shows serving, then retry"));
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Person<'a> {
    id: i64,
    name: &'a str,
    email: &'a str,
    role: Role,
    disabled: bool,
}

async fn carry_out(
    database: &Database,
    place: &DatabasePath,
    url: Option<&PublicUrl>,
    task: &Task,
    json: bool,
) -> Result<String, Failure> {
    let failed = |problem: Problem| Failure::new(lower(problem.sentence()));
    if task.finds_by_email() {
        email_keys::fill(database).await?;
    }
    match task {
        Task::SetupCode => match setup::code(database, &place.database).await? {
            Some(code) if json => Ok(serde_json::json!({ "code": code }).to_string()),
            Some(code) => Ok(code),
            None => Err(Failure::new("this instance already has an owner")
                .hint("to regain access: app user reset-password <e-mail>; app user list shows all users")),
        },
        Task::List => {
            let found = users::list(database.reads()).await.map_err(|error| failed(database.failed(error).into()))?;
            let people = found.iter().map(|user| Person {
                id: user.id,
                name: &user.name,
                email: &user.email,
                role: user.role,
                disabled: user.disabled,
            });
            Ok(if json { as_json(people.collect()) } else { as_table(people.collect()) })
        }
        Task::Create { name, email, role } => {
            let profile = Profile::check(name, email).map_err(|errors| failed(Problem::fields(errors)))?;
            let secret = create(database, profile, *role).await.map_err(failed)?;
            Ok(link(&secret, url, json, "choose a password and sign in"))
        }
        Task::ResetPassword { email, remove_totp } => {
            match resets::reset_by_operator(database, email, *remove_totp).await.map_err(failed)? {
                Some(secret) => Ok(link(&secret, url, json, "choose a new password")),
                None => Err(no_such_person(email)),
            }
        }
        Task::SetRole { email, role } => match people::set_role(database, email, *role).await.map_err(failed)? {
            true => Ok(if json {
                serde_json::json!({ "email": email, "role": role }).to_string()
            } else {
                format!("{email} is now {}.", role.name())
            }),
            false => Err(no_such_person(email)),
        },
        Task::SetDisabled { email, disabled } => {
            match people::set_disabled(database, email, *disabled).await.map_err(failed)? {
                true if json => Ok(serde_json::json!({ "email": email, "disabled": disabled }).to_string()),
                true => Ok(format!("{email} is now {}.", if *disabled { "disabled" } else { "enabled" })),
                false => Err(no_such_person(email)),
            }
        }
    }
}

/// Adds somebody, who chooses a password by a link.
async fn create(database: &Database, profile: Profile, role: Role) -> Result<Secret, Problem> {
    let secret = Secret::token();
    database
        .write(async move |tx| {
            let user = users::add(tx, &profile, role).await?;
            login_methods::vouch(tx, &user).await?;
            let actor = Actor::operator("app user create");
            let subject = format!("{} as {}", user.email, role.name());
            audit_log::write(tx, Kind::UserCreated, &actor, &subject).await?;
            resets::offer_reset(tx, &user, &secret, false, &actor, None).await?;
            Ok(secret.clone())
        })
        .await
}

fn no_such_person(email: &str) -> Failure {
    Failure::new(format!("no user has the e-mail {email}")).hint("app user list shows all users")
}

/// The words for a link: an address where it is known what the household calls this server.
fn link(secret: &Secret, url: Option<&PublicUrl>, json: bool, what: &str) -> String {
    let path = format!("/reset/{}", secret.expose());
    let address = url.map_or_else(|| path.clone(), |url| format!("{url}{path}"));
    if json {
        return serde_json::json!({ "url": address, "token": secret.expose() }).to_string();
    }
    match url {
        Some(_) => format!("Link to {what}. It works once and expires in a day:\n{address}"),
        None => format!(
            "Link to {what}. It works once and expires in a day. Put the address of this Hearth in front of it:\n{address}"
        ),
    }
}

fn as_json(people: Vec<Person<'_>>) -> String {
    serde_json::json!({ "users": people }).to_string()
}

fn as_table(people: Vec<Person<'_>>) -> String {
    if people.is_empty() {
        return "There are no users yet. `app setup-code` prints the code for creating the owner.".to_owned();
    }
    let widest = people.iter().map(|person| person.email.chars().count()).max().unwrap_or_default();
    let lines = people.iter().map(|person| {
        let disabled = if person.disabled { "  (disabled)" } else { "" };
        format!("{:<widest$}  {:<6}  {}{disabled}", person.email, person.role.name(), person.name)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A sentence of the API as one of the command line, which begins in lower case and ends without a full stop.
fn lower(sentence: &str) -> String {
    let mut letters = sentence.trim_end_matches('.').chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
