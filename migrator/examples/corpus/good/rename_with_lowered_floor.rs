//! Triggers serve older programs.
//!
//! floor: lowered

use crate::add;

up!(manager => add::renamed(manager, "passkey", "name", "label", "TEXT NOT NULL DEFAULT ''").await);
