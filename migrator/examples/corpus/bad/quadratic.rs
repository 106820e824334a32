//! Each row looks through all rows.
//!
//! rules: time
//! says: the time grows faster than the database
//! instead: give each lookup an index
//! measured

use crate::add;

up!(manager => {
    add::column(manager, "record", "alike", "INTEGER NULL").await?;
    crate::run(
        manager,
        "UPDATE record SET alike = (SELECT count(*) FROM record AS other WHERE other.created_at || other.id < record.created_at || record.id)
         WHERE alike IS NULL",
    ).await
});
