//! Table of names.
//!
//! - adds table setting

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add::table(
            manager,
            "setting",
            "(
                name TEXT NOT NULL PRIMARY KEY,
                value TEXT NOT NULL
            ) STRICT",
        )
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        let trial = Trial::of("m0004_table_of_names");
        trial.holds("setting", "1");
    }
}
