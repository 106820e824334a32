//! Table that refers.
//!
//! - adds table reminder
//! - adds an index on reminder (user_id)
//! - adds an index on reminder (record_id)

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add::table(
            manager,
            "reminder",
            "(
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                user_id INTEGER NOT NULL REFERENCES user (id),
                record_id INTEGER NULL REFERENCES record (id) ON DELETE SET NULL,
                at TEXT NOT NULL
            ) STRICT",
        )
        .await?;
        add::index(manager, "reminder_user_id", "reminder (user_id)").await?;
        add::index(manager, "reminder_record_id", "reminder (record_id)").await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        let trial = Trial::of("m0004_table_that_refers");
        trial.holds("reminder", "1");
    }
}
