//! Refers.
//!
//! - adds column record.assignee_id INTEGER NULL REFERENCES user (id) ON DELETE SET NULL
//! - adds an index on record (assignee_id)

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add::column(manager, "record", "assignee_id", "INTEGER NULL REFERENCES user (id) ON DELETE SET NULL").await?;
        add::index(manager, "record_assignee_id", "record (assignee_id)").await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        let trial = Trial::of("m0004_refers");
        trial.holds("record", "assignee_id IS (NULL)");
    }
}
