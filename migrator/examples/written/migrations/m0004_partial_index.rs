//! Partial index.
//!
//! - adds an index on record (due_date) WHERE due_date IS NOT NULL

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add::index(manager, "record_due_date_index", "record (due_date) WHERE due_date IS NOT NULL").await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        Trial::of("m0004_partial_index");
    }
}
