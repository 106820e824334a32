//! What does `cargo migration new` make of a database that is not Hearth's? For scripts/compare-migrations.
//!
//! `new_of_json DATABASE NAME [FLAGS]` reads the entities of `before` and of `after` on standard input, as JSON, decides and writes
//! down the migration as the command does, carries it out on the database in a transaction, and prints what it was, or what was
//! refused and why.

use std::io::Read;
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::Parser;
use migrator::developer::entity::Entity;
use migrator::developer::new::{self, Former, Wishes, Written};
use migrator::developer::{Problem, tables};
use migrator::sea_orm_migration::prelude::*;
use migrator::sea_orm_migration::sea_orm::{ConnectOptions, Database, TransactionTrait};
use migrator::sea_orm_migration::{SchemaManager, SchemaManagerConnection};
use migrator::{MigrationTrait, Release};

#[derive(Parser)]
struct Arguments {
    database: std::path::PathBuf,
    name: String,
    #[command(flatten)]
    wishes: Wishes,
}

#[derive(serde::Deserialize)]
struct Given {
    before: Vec<Entity>,
    after: Vec<Entity>,
}

/// The schema that the database has, as the one migration that there is.
static SCHEMA: OnceLock<String> = OnceLock::new();

struct AsItIs;

impl MigrationName for AsItIs {
    fn name(&self) -> &str {
        "m0001_as_it_is"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for AsItIs {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sql = SCHEMA.get().map_or("", String::as_str);
        manager.get_connection().execute_unprepared(sql).await.map(drop)
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let printed = match made(&arguments) {
        Ok(written) => serde_json::to_string(&written),
        Err(Problem { message, hint }) => {
            serde_json::to_string(&serde_json::json!({ "refused": message, "hint": hint }))
        }
    };
    println!("{}", printed.unwrap_or_default());
    ExitCode::SUCCESS
}

fn made(arguments: &Arguments) -> Result<Option<Written>, Problem> {
    let failed = |error: &dyn std::fmt::Display| Problem::new(error.to_string());
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| failed(&error))?;
    let given: Given = serde_json::from_str(&text).map_err(|error| failed(&error))?;
    let connection = rusqlite::Connection::open(&arguments.database).map_err(|error| failed(&error))?;
    let schema = "SELECT group_concat(sql, ';') FROM
        (SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%' ORDER BY rowid)";
    let schema = connection.query_row(schema, [], |row| row.get(0)).map_err(|error| failed(&error))?;
    SCHEMA.set(schema).ok();
    let release = Release { migrations: || vec![Box::new(AsItIs)], ..Release::current() };
    let directory = tempfile::tempdir().map_err(|error| failed(&error))?;
    let list = "mod m0001_as_it_is;\nfn all() {\n    vec![\n        Box::new(m0001_as_it_is::Migration),\n    ]\n}\n";
    std::fs::write(directory.path().join("mod.rs"), list).map_err(|error| failed(&error))?;
    let former = Former::of_entities(&given.before);
    let written = new::write(&release, directory.path(), &arguments.name, &given.after, &former, &arguments.wishes)?;
    if let Some(written) = &written {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| failed(&error))?;
        runtime.block_on(carried_out(arguments, written)).map_err(|error| failed(&error))?;
        let read = tables::Tables::read(&connection).map_err(|error| failed(&error))?;
        if let Some(difference) = migrator::developer::entity::differences(&given.after, &read).first() {
            return Err(Problem::new(format!("after the migration {difference}")));
        }
    }
    Ok(written)
}

async fn carried_out(arguments: &Arguments, written: &Written) -> Result<(), DbErr> {
    let path = arguments.database.clone();
    let mut options = ConnectOptions::new("sqlite:");
    options.max_connections(1).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(move |sqlite| sqlite.filename(&path).foreign_keys(false));
    let connection = Database::connect(options).await?;
    let transaction = connection.begin().await?;
    for step in &written.plan.steps {
        step.execute(&SchemaManager::new(SchemaManagerConnection::Transaction(&transaction))).await?;
    }
    transaction.commit().await?;
    connection.close().await
}
