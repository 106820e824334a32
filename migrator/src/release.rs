//! What does one released migrator know?

use sea_orm_migration::MigrationTrait;

use crate::migrations;

/// What one released migrator knows: its version, and its migrations in the order they run.
#[derive(Clone, Debug)]
pub struct Release {
    /// The version it writes into the ledger, such as `0.1.0`, without a `v`.
    pub version: String,
    /// All migrations from the first release on, oldest first.
    pub migrations: fn() -> Vec<Box<dyn MigrationTrait>>,
    /// The lowest version whose app may serve a database that it has migrated; none means this release itself.
    pub floor: Option<String>,
    /// The oldest version whose databases it upgrades at one go; none means all.
    pub oldest: Option<String>,
}

impl Release {
    /// Returns the release this crate was built as.
    pub fn current() -> Release {
        Release {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            migrations: migrations::all,
            floor: migrations::FLOOR.map(str::to_owned),
            oldest: migrations::OLDEST.map(str::to_owned),
        }
    }

    /// Returns the names of its migrations, oldest first.
    pub fn names(&self) -> Vec<String> {
        (self.migrations)().iter().map(|migration| migration.name().to_owned()).collect()
    }
}
