//! Renamed.
//!
//! - adds column record.remarks, which has the values of record.notes and keeps in step with it
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
        add::renamed(manager, "record", "notes", "remarks", "TEXT NOT NULL DEFAULT ''").await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        let trial = Trial::of("m0004_renamed");
        trial.holds("record", "remarks IS notes");
    }
}
