//! Table of keywords.
//!
//! - adds table group
//! - adds a unique index on "group" (name)
//! - adds a unique index on "group" (owner, "order")

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add::table(
            manager,
            "group",
            r#"(
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                name TEXT NOT NULL,
                owner TEXT NOT NULL,
                "order" INTEGER NOT NULL
            ) STRICT"#,
        )
        .await?;
        add::unique_index(manager, "group_name", r#""group" (name)"#).await?;
        add::unique_index(manager, "group_owner_order", r#""group" (owner, "order")"#).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        let trial = Trial::of("m0004_table_of_keywords");
        trial.holds("group", "1");
    }
}
