//! No row has the new word yet, but an index is made for it.
//!
//! rules: older-programs
//! says: visibility of table record can be 'adults' now
//! instead: do not lower the floor
//! floor: lowered

use crate::add;

up!(manager => add::index(manager, "record_adults", "record (id) WHERE visibility IN ('household', 'adults')").await);
