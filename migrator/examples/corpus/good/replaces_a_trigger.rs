//! A trigger that does more, and the same to old columns.

use crate::add;

up!(manager => {
    add::column(manager, "user", "email_changed", "INTEGER NOT NULL DEFAULT 0").await?;
    let body = "AFTER UPDATE OF email ON user WHEN new.email <> old.email BEGIN
        UPDATE user SET email_key = NULL, email_changed = email_changed + 1 WHERE id = new.id; END";
    add::replaced_trigger(manager, "user_email", body).await
});
