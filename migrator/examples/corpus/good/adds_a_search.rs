//! A full-text index with its triggers.

use crate::add;

up!(manager => add::search(manager, "audit_event", &["subject", "who"]).await);
