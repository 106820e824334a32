//! A view under a name of its own.

use crate::add;

up!(manager => add::view(manager, "record_open", "SELECT id, title, due_date FROM record WHERE due_date IS NOT NULL").await);
