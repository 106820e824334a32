//! An older program shows everybody what is for one person only.
//!
//! rules: older-programs
//! says: the new column reserved_by of table record could hide rows (it refers to people)
//! instead: do not lower the floor
//! floor: lowered

use crate::add;

up!(manager => add::column(manager, "record", "reserved_by", "INTEGER NULL REFERENCES user (id)").await);
