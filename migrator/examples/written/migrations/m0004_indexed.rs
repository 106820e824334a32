//! Indexed.
//!
//! - adds column record.priority INTEGER NULL
//! - adds an index on record (priority)

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add::column(manager, "record", "priority", "INTEGER NULL").await?;
        add::index(manager, "record_priority", "record (priority)").await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        let trial = Trial::of("m0004_indexed");
        trial.holds("record", "priority IS (NULL)");
    }
}
