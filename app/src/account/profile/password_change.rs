//! How does somebody change their own password?

use crate::{
    auth::{
        audit_log::{self, Actor, Kind},
        authority::write_as,
        caller::Caller,
        entity::verification::Kind::{Reset, SecondStep},
        login_methods, sessions, verification,
    },
    http::Problem,
    sign_in::SignIn,
};

/// Changes the caller's password. All other sessions end, and links to choose a new one.
pub(crate) async fn change(sign_in: &SignIn, caller: &Caller, current: &str, new: &str) -> Result<(), Problem> {
    sign_in.check_password("new_password", new, &caller.user.email, &caller.user.name)?;
    let kept = login_methods::password(sign_in.reads(), caller.user.id)
        .await
        .map_err(|error| sign_in.database.failed(error))?;
    match kept {
        Some(_) => sign_in.confirm_password(caller, "current_password", current).await?,
        // Who came in by other ways so far has none to confirm.
        None => caller.check_fresh()?,
    }
    let hash = sign_in.hasher.hash(new).await?;
    write_as(&sign_in.database, caller, async move |tx, caller| {
        // Another one was set since this one was confirmed.
        if login_methods::password(tx, caller.user.id).await? != kept {
            return Err(Problem::conflict("Your password was just changed. Try again.").into());
        }
        login_methods::set_password(tx, caller.user.id, &hash).await?;
        sessions::end_all(tx, caller.user.id, caller.session()).await?;
        for kind in [Reset, SecondStep] {
            verification::void(tx, kind, Some(caller.user.id)).await?;
        }
        Ok(audit_log::write(tx, Kind::PasswordChanged, &Actor::caller(caller), "").await?)
    })
    .await
}
