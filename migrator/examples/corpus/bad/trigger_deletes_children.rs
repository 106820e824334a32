//! When a user goes, what happened goes as well.
//!
//! rules: writes-kept
//! says: of table audit_event
//! instead: leave rows of old tables alone

use crate::add;

up!(manager => add::trigger(manager, "user_gone", "AFTER DELETE ON user BEGIN DELETE FROM audit_event WHERE user_id = old.id; END").await);
