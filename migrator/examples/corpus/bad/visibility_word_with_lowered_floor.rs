//! An older program takes a word that it does not know for the household.
//!
//! rules: older-programs, writes-kept?
//! says: column visibility of table record has the new value 'adults'
//! instead: do not lower the floor
//! floor: lowered

up!(manager => {
    let sql = "INSERT INTO record (title, category, notes, visibility, created_at, updated_at, version, fold_version, folded, title_key, category_key)
        SELECT title || ' (for adults)', category, notes, 'adults', created_at, updated_at, 1, 1, folded, title_key, category_key FROM record
        WHERE id = (SELECT min(id) FROM record) AND NOT EXISTS (SELECT 1 FROM record WHERE visibility = 'adults')";
    crate::run(manager, sql).await
});
