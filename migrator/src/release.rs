//! What does one released migrator know?

use sea_orm_migration::MigrationTrait;
use serde::{Deserialize, Serialize};

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
    /// What it means to show otherwise than the release before.
    pub differences: Vec<Difference>,
}

/// A difference that the proof of an upgrade by comparison finds and that is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The name of the figure, or the beginning of the names of several.
    pub figure: String,
    /// Why it is meant, for people.
    pub reason: String,
}

impl Release {
    /// Returns the release this crate was built as.
    pub fn current() -> Release {
        Release {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            migrations: migrations::with_injected,
            floor: migrations::FLOOR.map(str::to_owned),
            oldest: migrations::OLDEST.map(str::to_owned),
            differences: migrations::DIFFERENCES.iter().map(Difference::from).collect(),
        }
    }

    /// Returns the names of its migrations, oldest first.
    pub fn names(&self) -> Vec<String> {
        (self.migrations)().iter().map(|migration| migration.name().to_owned()).collect()
    }
}

impl From<&(&str, &str)> for Difference {
    fn from((figure, reason): &(&str, &str)) -> Difference {
        Difference { figure: (*figure).to_owned(), reason: (*reason).to_owned() }
    }
}
