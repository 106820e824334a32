//! What can a written migration do?
//!
//! Each step is a call of a helper of [`add`]. It can be carried out, and it can be written as Rust: both from the same text, so
//! that what was tried is what is written.

use sea_orm::DbErr;
use sea_orm_migration::SchemaManager;
use serde::Serialize;

use crate::add;

/// One call of a helper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// A table gets another definition.
    Rebuild {
        /// Its name.
        table: String,
        /// What stands in its parentheses and after them.
        body: String,
        /// What is different in it.
        changes: Vec<String>,
    },
    /// A new table.
    Table {
        /// Its name.
        table: String,
        /// What stands in its parentheses and after them.
        body: String,
    },
    /// A new column.
    Column {
        /// Its table.
        table: String,
        /// Its name.
        column: String,
        /// Its type and constraints.
        definition: String,
    },
    /// A column gets another name, and is there under both.
    Renamed {
        /// Its table.
        table: String,
        /// The name that older programs know.
        old: String,
        /// The name from now on.
        new: String,
        /// Type and constraints of the new one.
        definition: String,
    },
    /// Rows that are there get a value.
    BackFill {
        /// Their table.
        table: String,
        /// The column that gets it.
        column: String,
        /// What it is computed by.
        expression: String,
    },
    /// An index.
    Index {
        /// Its name.
        name: String,
        /// The table, and what of it.
        on: String,
        /// Whether no two rows may have the same values.
        unique: bool,
    },
    /// A full-text index.
    Search {
        /// The table.
        table: String,
        /// What is searched.
        columns: Vec<String>,
    },
    /// A trigger.
    Trigger {
        /// Its name.
        name: String,
        /// What follows the name.
        definition: String,
    },
}

impl Step {
    /// Carries it out.
    ///
    /// # Errors
    ///
    /// The helper's.
    pub async fn execute(&self, manager: &SchemaManager<'_>) -> Result<(), DbErr> {
        match self {
            Step::Rebuild { table, body, .. } => add::rebuild(manager, table, body).await,
            Step::Table { table, body } => add::table(manager, table, body).await,
            Step::Column { table, column, definition } => add::column(manager, table, column, definition).await,
            Step::Renamed { table, old, new, definition } => add::renamed(manager, table, old, new, definition).await,
            Step::BackFill { table, column, expression } => add::back_fill(manager, table, column, expression).await,
            Step::Index { name, on, unique: false } => add::index(manager, name, on).await,
            Step::Index { name, on, unique: true } => add::unique_index(manager, name, on).await,
            Step::Search { table, columns } => {
                add::search(manager, table, &columns.iter().map(String::as_str).collect::<Vec<_>>()).await
            }
            Step::Trigger { name, definition } => add::trigger(manager, name, definition).await,
        }
    }

    /// Returns it as a statement of Rust.
    pub fn source(&self) -> String {
        let (helper, texts): (&str, Vec<&String>) = match self {
            Step::Rebuild { table, body, .. } => ("rebuild", vec![table, body]),
            Step::Table { table, body } => ("table", vec![table, body]),
            Step::Column { table, column, definition } => ("column", vec![table, column, definition]),
            Step::Renamed { table, old, new, definition } => ("renamed", vec![table, old, new, definition]),
            Step::BackFill { table, column, expression } => ("back_fill", vec![table, column, expression]),
            Step::Index { name, on, unique: false } => ("index", vec![name, on]),
            Step::Index { name, on, unique: true } => ("unique_index", vec![name, on]),
            Step::Search { table, columns } => {
                let columns: Vec<String> = columns.iter().map(|column| literal(column)).collect();
                return format!("add::search(manager, {}, &[{}]).await?;\n", literal(table), columns.join(", "));
            }
            Step::Trigger { name, definition } => ("trigger", vec![name, definition]),
        };
        let texts: Vec<String> = texts.into_iter().map(|text| literal(text)).collect();
        format!("add::{helper}(manager, {}).await?;\n", texts.join(", "))
    }

    /// Says what it does, in a line.
    pub fn line(&self) -> String {
        match self {
            Step::Rebuild { table, changes, .. } => format!("rebuilds table {table}: {}", changes.join(", ")),
            Step::Table { table, .. } => format!("adds table {table}"),
            Step::Column { table, column, definition } => format!("adds column {table}.{column} {definition}"),
            Step::Renamed { table, old, new, .. } => {
                format!("adds column {table}.{new}, which has the values of {table}.{old} and keeps in step with it")
            }
            Step::BackFill { table, column, expression } => format!("fills {table}.{column} with {expression}"),
            Step::Index { on, unique: false, .. } => format!("adds an index on {on}"),
            Step::Index { on, unique: true, .. } => format!("adds a unique index on {on}"),
            Step::Search { table, columns } => format!("adds the search {table}_search of {}", columns.join(", ")),
            Step::Trigger { name, .. } => format!("adds trigger {name}"),
        }
    }
}

/// Returns a text as a literal of Rust.
pub(super) fn literal(text: &str) -> String {
    if !text.contains(['"', '\\']) {
        return format!("\"{text}\"");
    }
    let mut hashes = "#".to_owned();
    while text.contains(&format!("\"{hashes}")) {
        hashes.push('#');
    }
    format!("r{hashes}\"{text}\"{hashes}")
}
