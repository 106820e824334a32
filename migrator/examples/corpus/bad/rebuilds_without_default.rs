//! A rebuild adds a column that older inserts do not know of.
//!
//! rules: additive, idempotent, older-statements
//! says: the new column colour of table api_token may not be null and has no default
//! instead: colour TEXT NOT NULL DEFAULT

use crate::add;

up!(manager => {
    let table = "(id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL REFERENCES user (id), name TEXT NOT NULL,
        token_hash TEXT NOT NULL, scope TEXT NOT NULL, created_at TEXT NOT NULL, expires_at TEXT NULL, last_used_at TEXT NULL,
        colour TEXT NOT NULL) STRICT";
    crate::run(manager, &format!("CREATE TABLE api_token_new {table}")).await?;
    crate::run(manager, "INSERT INTO api_token_new SELECT *, '' FROM api_token").await?;
    crate::run(manager, "DROP TABLE api_token").await?;
    crate::run(manager, "ALTER TABLE api_token_new RENAME TO api_token").await?;
    add::unique_index(manager, "api_token_token", "api_token (token_hash)").await?;
    add::index(manager, "api_token_user", "api_token (user_id)").await
});
