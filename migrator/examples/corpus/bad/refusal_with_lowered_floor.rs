//! An older program cannot delete any more.
//!
//! rules: older-programs
//! says: deletes from table record is refused: records stay
//! instead: do not lower the floor
//! floor: lowered

use crate::add;

up!(manager => add::trigger(manager, "record_stays", "BEFORE DELETE ON record BEGIN SELECT RAISE(ABORT, 'records stay'); END").await);
