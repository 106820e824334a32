//! An older program's delete takes labels along that it never showed, by a trigger.
//!
//! rules: older-programs
//! says: the trigger record_labels deletes rows of table label
//! instead: keep them elsewhere first
//! floor: lowered

use crate::add;

up!(manager => {
    add::table(manager, "label", "(id INTEGER PRIMARY KEY, record_id INTEGER NOT NULL REFERENCES record (id), name TEXT NOT NULL) STRICT").await?;
    add::index(manager, "label_record_id", "label (record_id)").await?;
    add::trigger(manager, "record_labels", "BEFORE DELETE ON record BEGIN DELETE FROM label WHERE record_id = old.id; END").await
});
