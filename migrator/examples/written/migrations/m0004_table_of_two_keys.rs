//! Table of two keys.
//!
//! - adds table record_tag

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add::table(
            manager,
            "record_tag",
            "(
                record_id INTEGER NOT NULL REFERENCES record (id),
                tag TEXT NOT NULL,
                added_at TEXT NULL,
                PRIMARY KEY (record_id, tag)
            ) STRICT",
        )
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        let trial = Trial::of("m0004_table_of_two_keys");
        trial.holds("record_tag", "1");
    }
}
