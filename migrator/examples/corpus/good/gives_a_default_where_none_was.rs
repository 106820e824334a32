//! A value that had to be given may be left out from now on, as `cargo migration new --leave` writes it.

up!(manager => {
    let default = [("user_agent TEXT NOT NULL", "user_agent TEXT NOT NULL DEFAULT ''")];
    crate::rebuild(manager, "session", &default, &[]).await
});
