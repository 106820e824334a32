//! Migrations that `cargo migration check` has to refuse, and ones that it must not: what it is tested with.
//!
//! Each file in `bad/` and `good/` is one migration. `CORPUS` names the one that this program has after the released ones; then it
//! is the developers' program of that release. Without it, it prints the names. `CORPUS_FLOOR` is the floor that the release
//! declares, and `CORPUS_OLDEST` the oldest version that it upgrades from. What each has to show stands in its first lines, which tests/check.rs reads; docs/MIGRATIONS.md takes its examples
//! from here.

use std::process::ExitCode;

use migrator::developer::releases;
use migrator::sea_orm_migration::prelude::*;
use migrator::{MigrationTrait, Release};

// As in a migration of the crate.
use migrator::add;

/// A migration of the one function that it has.
macro_rules! up {
    ($manager:ident => $body:expr) => {
        use migrator::sea_orm_migration::prelude::*;

        pub(crate) struct Migration;

        impl MigrationName for Migration {
            fn name(&self) -> &str {
                "named by its file"
            }
        }

        #[async_trait::async_trait]
        impl MigrationTrait for Migration {
            async fn up(&self, $manager: &SchemaManager) -> Result<(), DbErr> {
                $body
            }
        }
    };
}

macro_rules! fixtures {
    ($($name:ident)*) => {
        $(mod $name;)*

        pub(crate) const NAMES: &[&str] = &[$(stringify!($name)),*];

        pub(crate) fn get(name: &str) -> Option<Box<dyn migrator::MigrationTrait>> {
            match name {
                $(stringify!($name) => Some(Box::new($name::Migration)),)*
                _ => None,
            }
        }
    };
}

mod bad;
mod good;

fn main() -> ExitCode {
    let Some(name) = wanted() else {
        bad::NAMES.iter().for_each(|name| println!("bad/{name}"));
        good::NAMES.iter().for_each(|name| println!("good/{name}"));
        return ExitCode::SUCCESS;
    };
    assert!(bad::get(&name).or(good::get(&name)).is_some(), "there is no migration {name:?} in the corpus");
    let floor = std::env::var("CORPUS_FLOOR").ok();
    let oldest = std::env::var("CORPUS_OLDEST").ok();
    migrator::developer::main(Release { migrations: all, floor, oldest, ..Release::current() })
}

fn wanted() -> Option<String> {
    std::env::var("CORPUS").ok()
}

/// The released migrations and the one that is wanted, in the order in which it is to be found.
fn all() -> Vec<Box<dyn MigrationTrait>> {
    let stem = wanted().unwrap_or_default();
    let newest = releases::all().ok().and_then(|mut all| all.pop()).expect("a release");
    let released = newest.migrations().expect("its migrations");
    let mut all = (Release::current().migrations)();
    all.retain(|migration| released.iter().any(|name| name == migration.name()));
    let number = all.len() + 1;
    let named = |number: usize| {
        let inner = bad::get(&stem).or(good::get(&stem)).expect("it is there");
        Box::new(Named { name: format!("m{number:04}_{stem}"), inner }) as Box<dyn MigrationTrait>
    };
    match stem.as_str() {
        // The one that makes the fixture's edit runs as the first of the released ones.
        "edits_a_released_one" => {
            let name = all[0].name().to_owned();
            let inner = Both(all.remove(0), bad::get(&stem).expect("it is there"));
            all.insert(0, Box::new(Named { name, inner: Box::new(inner) }));
        }
        "leaves_a_released_one_out" => {
            all.remove(1);
            all.push(named(number));
        }
        "stands_before_released_ones" => all.insert(1, named(number)),
        "skips_a_number" => all.push(named(number + 1)),
        _ => all.push(named(number)),
    }
    all
}

struct Named {
    name: String,
    inner: Box<dyn MigrationTrait>,
}

impl MigrationName for Named {
    fn name(&self) -> &str {
        &self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Named {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        self.inner.up(manager).await
    }
}

struct Both(Box<dyn MigrationTrait>, Box<dyn MigrationTrait>);

impl MigrationName for Both {
    fn name(&self) -> &str {
        self.0.name()
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Both {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        self.0.up(manager).await?;
        self.1.up(manager).await
    }
}

/// Runs SQL.
pub(crate) async fn run(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    manager.get_connection().execute_unprepared(sql).await.map(|_| ())
}

/// Rebuilds a table by hand, with each `(old, new)` put into its definition, and forgets what is named.
pub(crate) async fn rebuild(
    manager: &SchemaManager<'_>,
    table: &str,
    edits: &[(&str, &str)],
    forgotten: &[&str],
) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let texts = async |sql: String| -> Result<Vec<String>, DbErr> {
        let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, sql);
        connection.query_all_raw(statement).await?.iter().map(|row| row.try_get_by_index(0)).collect()
    };
    let of = |kind: &str| format!("SELECT sql FROM sqlite_schema WHERE {kind} AND sql IS NOT NULL");
    let mut definition = texts(of(&format!("type = 'table' AND name = '{table}'"))).await?.remove(0);
    for (old, new) in edits {
        definition = definition.replace(old, new);
    }
    let named: Vec<String> = forgotten.iter().map(|name| format!("'{name}'")).collect();
    let others =
        format!("tbl_name = '{table}' AND type IN ('index', 'trigger') AND name NOT IN ({})", named.join(", "));
    let others = texts(of(&others)).await?;
    let columns =
        format!("SELECT group_concat('\"' || name || '\"') FROM pragma_table_xinfo('{table}') WHERE hidden = 0");
    let columns = texts(columns).await?.remove(0);
    let number = texts(format!("SELECT CAST(seq AS TEXT) FROM sqlite_sequence WHERE name = '{table}'")).await?;
    run(manager, &definition.replacen(&format!("\"{table}\""), "\"rebuilt\"", 1)).await?;
    run(manager, &format!("INSERT INTO rebuilt ({columns}) SELECT {columns} FROM \"{table}\"")).await?;
    run(manager, &format!("DROP TABLE \"{table}\"")).await?;
    run(manager, "PRAGMA legacy_alter_table = ON").await?;
    run(manager, &format!("ALTER TABLE rebuilt RENAME TO \"{table}\"")).await?;
    run(manager, "PRAGMA legacy_alter_table = OFF").await?;
    if let Some(number) = number.first().filter(|_| !forgotten.contains(&"sqlite_sequence")) {
        run(manager, &format!("UPDATE sqlite_sequence SET seq = {number} WHERE name = '{table}'")).await?;
    }
    for sql in others {
        run(manager, &sql).await?;
    }
    Ok(())
}
