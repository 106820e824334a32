//! How does an instance get its owner, before anybody else on the network takes it?
//!
//! An instance without people makes a set-up code, prints it to the log and writes it to a file beside the database
//! that only its own user may read: who can read either runs the server, and who has the code becomes the owner. Or the
//! operator names the owner in the settings.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{task::spawn_blocking, time::timeout};

use crate::{
    auth::{
        audit_log::{self, Actor, Kind},
        caller::ClientInfo,
        entity::verification::Kind::SetUp,
        login_methods,
        profile::Profile,
        role::{Method, Role},
        sessions::{self, NewSession},
        users,
        verification::{self, About},
    },
    config::Admin,
    db::{Database, DbError},
    failure::Failure,
    http::{FieldError, Problem},
    secret::Secret,
    sign_in::{SignIn, totp::code},
};

/// How long the removal of the used code is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// The file of the set-up code, in the directory of the database.
const FILE: &str = "setup-code";

/// Returns the file of the set-up code.
pub(crate) fn file(database: &Path) -> PathBuf {
    database.with_file_name(FILE)
}

/// Returns the set-up code that is good, a new one if need be; `None` when the instance has an owner.
pub(crate) async fn code(database: &Database, path: &Path) -> Result<Option<String>, Failure> {
    let unreadable = |error: sea_orm::DbErr| {
        Failure::new(format!("the set-up code cannot be looked up: {}", database.failed(error)))
    };
    let path = file(path);
    if users::any(database.reads()).await.map_err(unreadable)? {
        // Used, or left from before a restore.
        let _ = fs::remove_file(&path);
        return Ok(None);
    }
    if let Ok(text) = fs::read_to_string(&path)
        && let Some(code) = code::normalise(&text)
        && verification::find(database.reads(), SetUp, &code).await.map_err(unreadable)?.is_some()
    {
        return Ok(Some(text.trim().to_owned()));
    }
    let shown = code::recovery_codes().swap_remove(0);
    // First the file: a code that is good and that nobody was told would be none.
    write(&path, &shown).map_err(|error| {
        Failure::new(format!("the set-up code cannot be written to {}: {error}", path.display()))
            .hint("without it nobody can become the owner; see that the directory can be written to")
    })?;
    let secret = Secret::from(code::normalise(&shown).unwrap_or_default());
    database
        .write(async move |tx| {
            verification::void(tx, SetUp, None).await?;
            verification::keep(tx, SetUp, &secret, About::default(), verification::SET_UP).await?;
            Ok(())
        })
        .await
        .map_err(|error: DbError| Failure::new(format!("the set-up code cannot be kept: {error}")))?;
    Ok(Some(shown))
}

/// Writes the code where only this user reads it, whole or not at all.
fn write(path: &Path, code: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    writeln!(file, "{code}")?;
    file.sync_all()?;
    fs::rename(&new, path)
}

/// Whether there is nobody yet.
pub(crate) async fn is_needed(sign_in: &SignIn) -> Result<bool, Problem> {
    users::any(sign_in.reads()).await.map(|any| !any).map_err(|error| sign_in.database.failed(error).into())
}

/// Makes who has the code the owner, and signs them in.
pub(crate) async fn set_up(
    sign_in: &SignIn,
    client: &ClientInfo,
    code: &str,
    profile: Profile,
    password: &str,
) -> Result<NewSession, Problem> {
    sign_in.check_password("password", password, &profile.email, &profile.name)?;
    // 80 random bits are not guessed, and each guess costs no hash; slowed down like any other way in all the same.
    let ticket = sign_in.admit_from(client, "set-up").await?;
    let Some(code) = code::normalise(code) else { return Err(wrong_code()) };
    if verification::find(sign_in.reads(), SetUp, &code)
        .await
        .map_err(|error| sign_in.database.failed(error))?
        .is_none()
    {
        return Err(match is_needed(sign_in).await? {
            true => wrong_code(),
            false => Problem::conflict("This instance already has an owner."),
        });
    }
    let hash = sign_in.hasher.hash(password).await?;
    let client = client.clone();
    let new_session = sign_in
        .database
        .write(async move |tx| {
            if users::any(tx).await? {
                return Err(Problem::conflict("This instance already has an owner.").into());
            }
            if verification::take(tx, SetUp, &code).await?.is_none() {
                return Err(wrong_code().into());
            }
            let user = users::add_with_password(tx, &profile, Role::Owner, &hash).await?;
            login_methods::vouch(tx, &user).await?;
            let actor = Actor::user(user.id, &user.email, Method::SetUp.name(), &client);
            audit_log::write(tx, Kind::SetUp, &actor, &user.email).await?;
            Ok(sessions::begin(tx, &user, Method::SetUp, &client).await?)
        })
        .await?;
    sign_in.throttle.refund(ticket);
    let used = sign_in.code_file.clone();
    // Nobody waits long for a disk that hangs.
    let _ = timeout(PATIENCE, spawn_blocking(move || fs::remove_file(used))).await;
    tracing::info!("{} set up this instance and is its owner", new_session.user.email);
    Ok(new_session)
}

fn wrong_code() -> Problem {
    Problem::fields(vec![FieldError::new(
        "code",
        "is wrong. You find it in the log; or run on the server: app setup-code",
    )])
}

fn unmade(message: &str) -> Failure {
    Failure::new(format!("the owner of auth.admin_email cannot be made: {}", message.trim_end_matches('.')))
        .hint("see HEARTH_AUTH__ADMIN_EMAIL and HEARTH_AUTH__ADMIN_PASSWORD_FILE")
}

/// Returns who would be made the owner that the settings name; `None` when there is somebody. In probation already, so
/// that a password which is refused keeps nothing from being as it was.
pub(crate) async fn owner_by_settings(sign_in: &SignIn, admin: &Admin) -> Result<Option<Profile>, Failure> {
    let failed = |problem: Problem| unmade(problem.sentence());
    if !is_needed(sign_in).await.map_err(failed)? {
        return Ok(None);
    }
    let name = admin.email.split('@').next().unwrap_or(&admin.email);
    let profile = Profile::check(name, &admin.email).map_err(|errors| failed(Problem::fields(errors)))?;
    let password = admin.password.expose();
    sign_in.check_password("auth.admin_password", password, &profile.email, &profile.name).map_err(failed)?;
    Ok(Some(profile))
}

/// Makes the owner that the settings name, when there is nobody yet.
pub(crate) async fn by_settings(sign_in: &SignIn, admin: &Admin) -> Result<(), Failure> {
    let Some(profile) = owner_by_settings(sign_in, admin).await? else {
        return Ok(());
    };
    let hash = sign_in.hasher.hash(admin.password.expose()).await.map_err(|busy| unmade(&busy.to_string()))?;
    let email = profile.email.clone();
    sign_in
        .database
        .write(async move |tx| {
            if users::any(tx).await? {
                return Ok(());
            }
            let user = users::add_with_password(tx, &profile, Role::Owner, &hash).await?;
            login_methods::vouch(tx, &user).await?;
            verification::void(tx, SetUp, None).await?;
            let actor = Actor::operator("settings");
            Ok(audit_log::write(tx, Kind::SetUp, &actor, &user.email).await?)
        })
        .await
        .map_err(|problem: Problem| unmade(problem.sentence()))?;
    let _ = fs::remove_file(&sign_in.code_file);
    tracing::info!("{email} is now the owner, as configured");
    Ok(())
}
