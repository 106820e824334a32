//! The new program writes both columns, and triggers serve older ones.

use crate::add;

up!(manager => add::renamed(manager, "passkey", "name", "label", "TEXT NOT NULL DEFAULT ''").await);
