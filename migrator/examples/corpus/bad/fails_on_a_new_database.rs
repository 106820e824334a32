//! It takes for granted that there are rows.
//!
//! rules: upgrade
//! says: fails: there is no record
//! instead: make it run on each release's database

up!(manager => {
    let sql = "SELECT id FROM record ORDER BY id LIMIT 1";
    let statement = migrator::sea_orm_migration::sea_orm::Statement::from_string(manager.get_database_backend(), sql);
    match manager.get_connection().query_one_raw(statement).await? {
        Some(_) => Ok(()),
        None => Err(DbErr::Migration("there is no record".to_owned())),
    }
});
