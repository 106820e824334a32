//! Table of itself.
//!
//! - adds table folder
//! - adds an index on folder (parent_id)

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add::table(
            manager,
            "folder",
            "(
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                name TEXT NOT NULL,
                parent_id INTEGER NULL REFERENCES folder (id) ON DELETE SET NULL
            ) STRICT",
        )
        .await?;
        add::index(manager, "folder_parent_id", "folder (parent_id)").await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        let trial = Trial::of("m0004_table_of_itself");
        trial.holds("folder", "1");
    }
}
