//! Null and default.
//!
//! - rebuilds table record: title may be null, updated_at has the default 'never'

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add::rebuild(manager, "record", "(
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                title TEXT NULL,
                category TEXT NOT NULL DEFAULT '',
                notes TEXT NOT NULL DEFAULT '',
                due_date TEXT NULL,
                created_at TEXT NOT NULL,
                updated_at TEXT NOT NULL DEFAULT 'never',
                owner_id INTEGER NULL REFERENCES user (id),
                visibility TEXT NOT NULL DEFAULT 'household',
                scope INTEGER GENERATED ALWAYS AS (CASE visibility WHEN 'household' THEN 0 ELSE ifnull(owner_id, -1) END) VIRTUAL,
                folded TEXT NULL,
                category_key TEXT NULL,
                title_key BLOB NULL,
                fold_version INTEGER NOT NULL DEFAULT 0,
                version INTEGER NOT NULL DEFAULT 1
            ) STRICT").await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        Trial::of("m0004_null_and_default");
    }
}
