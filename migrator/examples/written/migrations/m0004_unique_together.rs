//! Unique together.
//!
//! - adds column record.shelf INTEGER NULL
//! - adds column record.slot INTEGER NULL
//! - adds a unique index on record (shelf, slot)

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add::column(manager, "record", "shelf", "INTEGER NULL").await?;
        add::column(manager, "record", "slot", "INTEGER NULL").await?;
        add::unique_index(manager, "record_shelf_slot", "record (shelf, slot)").await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        let trial = Trial::of("m0004_unique_together");
        trial.holds("record", "shelf IS (NULL)");
        trial.holds("record", "slot IS (NULL)");
    }
}
