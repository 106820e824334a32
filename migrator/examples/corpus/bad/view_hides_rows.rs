//! A view with the table's name shows fewer rows.
//!
//! rules: additive, data-kept, idempotent, older-statements
//! says: is a view now, which can hide rows
//! instead: add the view under a name of its own
//! at home: session

up!(manager => {
    crate::run(manager, "ALTER TABLE session RENAME TO every_session").await?;
    crate::run(manager, "CREATE VIEW session AS SELECT * FROM every_session WHERE expires_at > '2026'").await
});
