//! A column of bytes.

use crate::add;

up!(manager => add::column(manager, "user", "picture", "BLOB NULL").await);
