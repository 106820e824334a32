//! A trigger writes into a new table what an old one loses.

use crate::add;

up!(manager => {
    add::table(manager, "deleted_record", "(id INTEGER PRIMARY KEY, title TEXT NOT NULL) STRICT").await?;
    add::trigger(manager, "record_deleted", "AFTER DELETE ON record BEGIN INSERT OR REPLACE INTO deleted_record VALUES (old.id, old.title); END").await
});
