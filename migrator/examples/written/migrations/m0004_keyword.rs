//! Keyword.
//!
//! - adds column record.order INTEGER NULL
//! - adds column record.the place TEXT NULL

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add::column(manager, "record", "order", "INTEGER NULL").await?;
        add::column(manager, "record", "the place", "TEXT NULL").await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        let trial = Trial::of("m0004_keyword");
        trial.holds("record", r#""order" IS (NULL)"#);
        trial.holds("record", r#""the place" IS (NULL)"#);
    }
}
