//! Which migrations does a test want this release to have?
//!
//! Only with the feature `faults`: each `migrator.migration=<kind>` in [what a test asks for](crate::fault) is one more, after the real
//! ones. The kinds, of which some take a number after a colon:
//!
//! | kind | what it does |
//! |---|---|
//! | `good` | adds a table and a column |
//! | `fails` | does half of its work and gives up |
//! | `loses-row` | deletes a record, which the checks before the commit find |
//! | `slow:<seconds>` | takes so long (20 s), and tells how far it is |
//! | `hangs` | never ends, without a sign of life |
//! | `fills` | writes until SQLite says that the disk is full |

use std::time::Duration;

use sea_orm_migration::prelude::*;

use crate::add;
use crate::database::number;
use crate::fault;
use crate::progress::{self, Progress};

/// Returns those that are asked for, in this order.
///
/// # Panics
///
/// If there is no such kind: a test that injects nothing would prove nothing.
pub(super) fn all() -> Vec<Box<dyn MigrationTrait>> {
    let faults = fault::asked().unwrap_or_default();
    let wanted = faults.split(',').filter_map(|fault| fault.trim().strip_prefix("migrator.migration="));
    let injected = |(index, wanted): (usize, &str)| {
        let (kind, argument) = wanted.split_once(':').unwrap_or((wanted, "20"));
        assert!(KINDS.contains(&kind), "there is no migration {kind:?} for tests");
        let argument = argument.parse().unwrap_or_else(|_| panic!("{argument:?} is no number of seconds"));
        let name = format!("m{:04}_{}", 9001 + index, kind.replace('-', "_"));
        Box::new(Injected { name, kind: kind.to_owned(), argument }) as Box<dyn MigrationTrait>
    };
    wanted.enumerate().map(injected).collect()
}

const KINDS: [&str; 6] = ["good", "fails", "loses-row", "slow", "hangs", "fills"];

struct Injected {
    name: String,
    kind: String,
    argument: u64,
}

impl MigrationName for Injected {
    fn name(&self) -> &str {
        &self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Injected {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let run = async |sql: &str| manager.get_connection().execute_unprepared(sql).await.map(|_| ());
        // So that each has something to lose.
        let (table, column) = (format!("{}_table", self.name), format!("{}_column", self.name));
        add::table(manager, &table, "(id INTEGER PRIMARY KEY, filler BLOB NULL) STRICT").await?;
        add::column(manager, "record", &column, "TEXT NULL").await?;
        match self.kind.as_str() {
            "good" => Ok(()),
            "fails" => {
                run("UPDATE record SET title = 'half done'").await?;
                Err(DbErr::Migration("half of the work is done, and a test asked for no more".to_owned()))
            }
            "loses-row" => run("DELETE FROM record WHERE id = (SELECT max(id) FROM record)").await,
            "slow" => {
                // A tenth of a second each.
                let of = self.argument * 10;
                for done in 1..=of {
                    run(&format!("INSERT INTO {table} (filler) VALUES (zeroblob(1000))")).await?;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    progress::tell(Progress { table: table.clone(), done, of });
                }
                Ok(())
            }
            "hangs" => std::future::pending().await,
            _ => {
                // As a full disk does, without one: SQLite gives the same error where no page may be added.
                let pages = number(manager.get_connection(), "PRAGMA page_count").await?;
                run(&format!("PRAGMA max_page_count = {pages}")).await?;
                run(&format!("INSERT INTO {table} (filler) VALUES (zeroblob(64 * 1024 * 1024))")).await
            }
        }
    }
}
