//! Real.
//!
//! - adds column record.price REAL NULL
//! - adds column record.weight REAL NOT NULL DEFAULT 0.5

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add::column(manager, "record", "price", "REAL NULL").await?;
        add::column(manager, "record", "weight", "REAL NOT NULL DEFAULT 0.5").await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        let trial = Trial::of("m0004_real");
        trial.holds("record", "price IS (NULL)");
        trial.holds("record", "weight IS (0.5)");
    }
}
