//! Back filled.
//!
//! - adds column record.size INTEGER NULL
//! - fills record.size with length(notes)

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add::column(manager, "record", "size", "INTEGER NULL").await?;
        add::back_fill(manager, "record", "size", "length(notes)").await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        let trial = Trial::of("m0004_back_filled");
        trial.holds("record", "size IS (length(notes))");
    }
}
