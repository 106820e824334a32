//! Without rowid.
//!
//! - adds column record_change.reason TEXT NULL
//! - fills record_change.reason with 'before'

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add::column(manager, "record_change", "reason", "TEXT NULL").await?;
        add::back_fill(manager, "record_change", "reason", "'before'").await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        let trial = Trial::of("m0004_without_rowid");
        trial.holds("record_change", "reason IS ('before')");
    }
}
