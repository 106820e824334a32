//! An index.

use crate::add;

up!(manager => add::index(manager, "record_created_at", "record (created_at, id)").await);
