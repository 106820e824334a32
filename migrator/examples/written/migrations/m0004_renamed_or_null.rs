//! Renamed or null.
//!
//! - adds column record.due_on, which has the values of record.due_date and keeps in step with it
//! - adds an index on record (due_on, id)
//!
//! The new program writes a renamed column under both names. Triggers serve older programs, which know one of them;
//! `RETURNING` shows a row as it was before they ran.

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add::renamed(manager, "record", "due_date", "due_on", "TEXT NULL").await?;
        add::index(manager, "record_due_on_id", "record (due_on, id)").await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        let trial = Trial::of("m0004_renamed_or_null");
        trial.holds("record", "due_on IS due_date");
    }
}
