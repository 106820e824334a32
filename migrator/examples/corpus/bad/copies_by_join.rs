//! A rebuild copies by a join, and rows without a partner are lost.
//!
//! rules: data-kept
//! says: of table record
//! instead: leave the rows
//! at home: would leave table record with

up!(manager => {
    crate::run(manager, "CREATE TEMP TABLE kept AS SELECT r.id FROM record r JOIN user u ON u.id = r.owner_id").await?;
    crate::run(manager, "DELETE FROM record WHERE id NOT IN (SELECT id FROM temp.kept)").await?;
    crate::run(manager, "DROP TABLE temp.kept").await
});
