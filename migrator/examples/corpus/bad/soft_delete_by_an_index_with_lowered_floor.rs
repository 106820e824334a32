//! An older program shows files whose time is over, whatever the column is called.
//!
//! rules: older-programs
//! says: the new column over_since of table attachment could hide rows (a condition asks for it)
//! instead: do not lower the floor
//! floor: lowered

use crate::add;

up!(manager => {
    add::column(manager, "attachment", "over_since", "TEXT NULL").await?;
    add::index(manager, "attachment_current", "attachment (record_id, position, id) WHERE over_since IS NULL").await
});
