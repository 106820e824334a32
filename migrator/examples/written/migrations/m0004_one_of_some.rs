//! One of some.
//!
//! - adds column record.kind TEXT NOT NULL DEFAULT 'paper'

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add::column(manager, "record", "kind", "TEXT NOT NULL DEFAULT 'paper'").await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        let trial = Trial::of("m0004_one_of_some");
        trial.holds("record", "kind IS ('paper')");
    }
}
