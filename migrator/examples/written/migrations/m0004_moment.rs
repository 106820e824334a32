//! Moment.
//!
//! - adds column record.remind_at TEXT NULL
//! - adds column record.paid_on TEXT NULL

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add::column(manager, "record", "remind_at", "TEXT NULL").await?;
        add::column(manager, "record", "paid_on", "TEXT NULL").await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        let trial = Trial::of("m0004_moment");
        trial.holds("record", "remind_at IS (NULL)");
        trial.holds("record", "paid_on IS (NULL)");
    }
}
