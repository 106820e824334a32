//! A row is added, and added again.
//!
//! rules: idempotent
//! says: changes something when it is run a second time: 1 row
//! instead: INSERT OR IGNORE

up!(manager => crate::run(manager, "INSERT INTO audit_event (at, kind, who) VALUES ('2026-01-01T00:00:00.000Z', 'signed_in', 'somebody')").await);
