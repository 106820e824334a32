//! Every text is copied three times on its way.
//!
//! rules: space
//! says: more of the disk while it is upgraded
//! instead: write each row once
//! measured

use crate::add;

up!(manager => {
    for copy in ["copy_1", "copy_2", "copy_3"] {
        let body = "(id INTEGER PRIMARY KEY, title TEXT, notes TEXT, folded TEXT, padding BLOB) STRICT";
        add::table(manager, copy, body).await?;
        let columns = "id, title, notes, folded, zeroblob(length(notes) + length(folded))";
        crate::run(manager, &format!("INSERT OR IGNORE INTO {copy} SELECT {columns} FROM record")).await?;
    }
    Ok(())
});
