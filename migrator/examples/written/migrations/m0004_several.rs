//! Several.
//!
//! - adds table folder
//! - adds column record.folder_id INTEGER NULL REFERENCES folder (id)
//! - adds column record.label TEXT NOT NULL DEFAULT ''
//! - adds column user.locale TEXT NOT NULL DEFAULT 'en'
//! - fills record.label with substr(title, 1, 20)
//! - adds an index on record (folder_id)
//! - adds an index on folder (parent_id)
//! - adds an index on record (label)

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add::table(
            manager,
            "folder",
            "(
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                name TEXT NOT NULL,
                parent_id INTEGER NULL REFERENCES folder (id) ON DELETE SET NULL
            ) STRICT",
        )
        .await?;
        add::column(manager, "record", "folder_id", "INTEGER NULL REFERENCES folder (id)").await?;
        add::column(manager, "record", "label", "TEXT NOT NULL DEFAULT ''").await?;
        add::column(manager, "user", "locale", "TEXT NOT NULL DEFAULT 'en'").await?;
        add::back_fill(manager, "record", "label", "substr(title, 1, 20)").await?;
        add::index(manager, "record_folder_id", "record (folder_id)").await?;
        add::index(manager, "folder_parent_id", "folder (parent_id)").await?;
        add::index(manager, "record_label", "record (label)").await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        let trial = Trial::of("m0004_several");
        trial.holds("folder", "1");
        trial.holds("record", "folder_id IS (NULL)");
        trial.holds("record", "label IS (substr(title, 1, 20))");
        trial.holds("user", "locale IS ('en')");
    }
}
