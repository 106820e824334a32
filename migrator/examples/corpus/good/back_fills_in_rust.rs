//! The same, with what SQLite cannot compute, in batches by number.

use crate::add;

up!(manager => {
    add::column(manager, "record", "plain", "TEXT NULL").await?;
    let connection = manager.get_connection();
    loop {
        let sql = "SELECT id, title FROM record WHERE plain IS NULL ORDER BY id LIMIT 100";
        let statement = migrator::sea_orm_migration::sea_orm::Statement::from_string(manager.get_database_backend(), sql);
        let rows = connection.query_all_raw(statement).await?;
        for row in &rows {
            let (id, title): (i64, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let plain = title.to_lowercase().replace('\'', "");
            crate::run(manager, &format!("UPDATE record SET plain = '{plain}' WHERE id = {id}")).await?;
        }
        if rows.is_empty() {
            return Ok(());
        }
    }
});
