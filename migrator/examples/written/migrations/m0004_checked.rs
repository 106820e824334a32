//! Checked.
//!
//! - adds column record.stars INTEGER NOT NULL DEFAULT 0 CHECK (stars BETWEEN 0 AND 5)

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add::column(manager, "record", "stars", "INTEGER NOT NULL DEFAULT 0 CHECK (stars BETWEEN 0 AND 5)").await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        let trial = Trial::of("m0004_checked");
        trial.holds("record", "stars IS (0)");
    }
}
