//! Text with default.
//!
//! - adds column record.colour TEXT NOT NULL DEFAULT 'it''s "blue"'

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add::column(manager, "record", "colour", r#"TEXT NOT NULL DEFAULT 'it''s "blue"'"#).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        let trial = Trial::of("m0004_text_with_default");
        trial.holds("record", r#"colour IS ('it''s "blue"')"#);
    }
}
