//! A rebuild that adds a check on a new column.

use crate::add;

up!(manager => {
    let columns = "id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL REFERENCES user (id), name TEXT NOT NULL,
        token_hash TEXT NOT NULL, scope TEXT NOT NULL, created_at TEXT NOT NULL, expires_at TEXT NULL, last_used_at TEXT NULL,
        uses INTEGER NOT NULL DEFAULT 0 CHECK (uses >= 0)";
    add::rebuild(manager, "api_token", &format!("({columns}) STRICT")).await
});
