//! Unique.
//!
//! - adds column record.code TEXT NULL
//! - adds a unique index on record (code)

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add::column(manager, "record", "code", "TEXT NULL").await?;
        add::unique_index(manager, "record_code", "record (code)").await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        let trial = Trial::of("m0004_unique");
        trial.holds("record", "code IS (NULL)");
    }
}
