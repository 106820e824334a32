//! An older program shows a place to people who are not of its circle.
//!
//! rules: older-programs
//! says: the new column circle_id of table place could hide rows (it refers to people)
//! instead: do not lower the floor
//! floor: lowered

use crate::add;

up!(manager => {
    add::table(manager, "circle", "(id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT").await?;
    add::table(manager, "circle_person", "(circle_id INTEGER NOT NULL REFERENCES circle (id), user_id INTEGER NOT NULL REFERENCES user (id), PRIMARY KEY (circle_id, user_id)) STRICT, WITHOUT ROWID").await?;
    add::column(manager, "place", "circle_id", "INTEGER NULL REFERENCES circle (id)").await
});
