//! Who may come in: people, their ways of signing in, their sessions and tokens, and what happened.
//!
//! No secret is kept as it is: passwords as Argon2id (PHC text), and tokens, codes and links as the SHA-256 of their
//! text in lower-case hex, which is enough for 256 random bits. The secret of a one-time password has to be read back
//! and so is kept as it is. Moments are text as in `record`.
//!
//! Records get an owner and a visibility. Those from before accounts, and those that the release before adds, have no
//! owner and are the household's.

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

/// Tables and what stands in their parentheses. Numbers are not given twice (AUTOINCREMENT): an audit event must not
/// come to speak of somebody else.
const TABLES: [(&str, &str); 8] = [
    (
        "user",
        "id INTEGER PRIMARY KEY AUTOINCREMENT,
         name TEXT NOT NULL,
         email TEXT NOT NULL,
         role TEXT NOT NULL,
         disabled INTEGER NOT NULL DEFAULT 0,
         created_at TEXT NOT NULL,
         updated_at TEXT NOT NULL",
    ),
    // A way of signing in: `password` (its hash), `tailscale` (provider_id is the login), `oidc` (issuer and subject).
    (
        "account",
        "id INTEGER PRIMARY KEY AUTOINCREMENT,
         user_id INTEGER NOT NULL REFERENCES user (id),
         provider TEXT NOT NULL,
         provider_id TEXT NOT NULL,
         password_hash TEXT NULL,
         created_at TEXT NOT NULL,
         updated_at TEXT NOT NULL",
    ),
    (
        "session",
        "id INTEGER PRIMARY KEY AUTOINCREMENT,
         user_id INTEGER NOT NULL REFERENCES user (id),
         token_hash TEXT NOT NULL,
         method TEXT NOT NULL,
         address TEXT NOT NULL,
         user_agent TEXT NOT NULL,
         created_at TEXT NOT NULL,
         last_seen_at TEXT NOT NULL,
         expires_at TEXT NOT NULL",
    ),
    // Single use: set-up code, invitation, reset, recovery code, known device, the second step of a sign-in.
    (
        "verification",
        "id INTEGER PRIMARY KEY AUTOINCREMENT,
         kind TEXT NOT NULL,
         token_hash TEXT NOT NULL,
         user_id INTEGER NULL REFERENCES user (id),
         role TEXT NULL,
         email TEXT NULL,
         created_by INTEGER NULL REFERENCES user (id),
         created_at TEXT NOT NULL,
         expires_at TEXT NOT NULL,
         used_at TEXT NULL",
    ),
    (
        "passkey",
        "id INTEGER PRIMARY KEY AUTOINCREMENT,
         user_id INTEGER NOT NULL REFERENCES user (id),
         name TEXT NOT NULL,
         credential_id TEXT NOT NULL,
         credential TEXT NOT NULL,
         created_at TEXT NOT NULL,
         last_used_at TEXT NULL",
    ),
    (
        "totp",
        "id INTEGER PRIMARY KEY AUTOINCREMENT,
         user_id INTEGER NOT NULL REFERENCES user (id),
         secret TEXT NOT NULL,
         confirmed_at TEXT NULL,
         last_step INTEGER NULL,
         created_at TEXT NOT NULL",
    ),
    (
        "api_token",
        "id INTEGER PRIMARY KEY AUTOINCREMENT,
         user_id INTEGER NOT NULL REFERENCES user (id),
         name TEXT NOT NULL,
         token_hash TEXT NOT NULL,
         scope TEXT NOT NULL,
         created_at TEXT NOT NULL,
         expires_at TEXT NULL,
         last_used_at TEXT NULL",
    ),
    // No reference to `user`: what happened is kept whatever becomes of who did it.
    (
        "audit_event",
        "id INTEGER PRIMARY KEY AUTOINCREMENT,
         at TEXT NOT NULL,
         kind TEXT NOT NULL,
         user_id INTEGER NULL,
         who TEXT NOT NULL,
         subject TEXT NOT NULL DEFAULT '',
         method TEXT NOT NULL DEFAULT '',
         address TEXT NOT NULL DEFAULT '',
         user_agent TEXT NOT NULL DEFAULT ''",
    ),
];

const UNIQUE: [(&str, &str); 7] = [
    ("user_email", "user (email)"),
    ("account_provider", "account (provider, provider_id)"),
    ("session_token", "session (token_hash)"),
    ("verification_token", "verification (token_hash)"),
    ("passkey_credential", "passkey (credential_id)"),
    ("totp_user", "totp (user_id)"),
    ("api_token_token", "api_token (token_hash)"),
];

const INDEXES: [(&str, &str); 6] = [
    ("account_user", "account (user_id)"),
    ("session_user", "session (user_id)"),
    ("verification_kind", "verification (kind, user_id)"),
    ("passkey_user", "passkey (user_id)"),
    ("api_token_user", "api_token (user_id)"),
    ("audit_event_kind", "audit_event (kind, id)"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, columns) in TABLES {
            add::table(manager, name, &format!("({columns}) STRICT")).await?;
        }
        for (name, on) in UNIQUE {
            add::unique_index(manager, name, on).await?;
        }
        for (name, on) in INDEXES {
            add::index(manager, name, on).await?;
        }
        add::column(manager, "record", "owner_id", "INTEGER NULL REFERENCES user (id)").await?;
        add::column(manager, "record", "visibility", "TEXT NOT NULL DEFAULT 'household'").await
    }
}
