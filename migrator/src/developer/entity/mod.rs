//! What do the app's entities say of their tables, and is it true of a database?
//!
//! Migrations are the truth, and an entity is a view of it that is checked: it says that a table has these columns, each with
//! an affinity, a nullability and, if it names one, a default. What else a table has (more columns, indexes, triggers, checks)
//! is no business of an entity's, with one exception: a column that may not be null, has no default and is not in the entity
//! makes every insert fail.

mod differences;
#[cfg(test)]
mod tests;

use std::fmt;
use std::process::Stdio;

use sea_orm::sea_query::{
    ColumnDef, ColumnType, Expr, ForeignKeyAction, IndexCreateStatement, Query, SqliteQueryBuilder, StringLen,
    TableCreateStatement, TableName, TableRef,
};
use sea_orm::{DbBackend, EntityTrait, Schema};
use serde::{Deserialize, Serialize};

pub use differences::{Difference, What, differences};

use super::{Problem, cargo};

/// What an entity says of its table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// The table's name.
    pub table: String,
    /// Its columns, in the entity's order.
    pub columns: Vec<Column>,
    /// Its indexes of more than one column, and those that are not unique.
    pub indexes: Vec<Index>,
    /// What its columns refer to.
    pub foreign_keys: Vec<ForeignKey>,
}

/// What an entity says of a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name in the table.
    pub name: String,
    /// The kind of its values.
    pub affinity: Affinity,
    /// Whether it may be null.
    pub nullable: bool,
    /// Its default, as SQL, if the entity names one.
    pub default: Option<String>,
    /// Whether it is the primary key, or one of its columns.
    pub primary_key: bool,
    /// Whether SQLite gives the number.
    pub auto_increment: bool,
    /// Whether no two rows may have the same value.
    pub unique: bool,
    /// Whether its values are texts or bytes of any length.
    #[serde(default)]
    pub unbounded: bool,
    /// More that stands behind a column's definition, such as a check.
    pub extra: Option<String>,
}

/// An index that an entity names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// Whether no two rows may have the same values in them.
    pub unique: bool,
}

/// What columns of an entity refer to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// The columns that refer.
    pub columns: Vec<String>,
    /// The table that they refer to.
    pub table: String,
    /// The columns there.
    pub to: Vec<String>,
    /// What happens to the row when the other one is deleted, if the entity says so: `CASCADE`, `SET NULL` …
    pub on_delete: Option<String>,
    /// What happens to the row when the other one's key changes, if the entity says so.
    pub on_update: Option<String>,
}

/// Which kind of value a column keeps: <https://www.sqlite.org/datatype3.html#determination_of_column_affinity>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Affinity {
    /// Whole numbers, and booleans as 0 and 1.
    Integer,
    /// Floating-point numbers.
    Real,
    /// Text.
    Text,
    /// Bytes, as they are.
    Blob,
    /// Whatever looks like a number becomes one. No column of a STRICT table.
    Numeric,
}

impl Affinity {
    /// Returns the affinity of a column that was declared with this type.
    pub fn of_declared(kind: &str) -> Affinity {
        let kind = kind.to_ascii_uppercase();
        let has = |part: &str| kind.contains(part);
        if has("INT") {
            Affinity::Integer
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Affinity::Text
        } else if has("BLOB") || kind.is_empty() {
            Affinity::Blob
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Affinity::Real
        } else {
            Affinity::Numeric
        }
    }
}

impl fmt::Display for Affinity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Affinity::Integer => "INTEGER",
            Affinity::Real => "REAL",
            Affinity::Text => "TEXT",
            Affinity::Blob => "BLOB",
            Affinity::Numeric => "NUMERIC",
        })
    }
}

impl Entity {
    /// Returns what an entity of SeaORM's says.
    ///
    /// # Errors
    ///
    /// Names a column of a type that a STRICT table cannot have, and what to write instead.
    pub fn of<E: EntityTrait>() -> Result<Entity, Problem> {
        let schema = Schema::new(DbBackend::Sqlite);
        let indexes = schema.create_index_from_entity(E::default());
        Entity::of_statements(&schema.create_table_from_entity(E::default()), &indexes)
    }

    /// Returns the same from the statements by which SeaORM would make the table and its indexes; its types are not those of a
    /// STRICT table, so they are read and not run.
    ///
    /// # Errors
    ///
    /// Names a column of a type that a STRICT table cannot have, and what to write instead.
    pub fn of_statements(table: &TableCreateStatement, indexes: &[IndexCreateStatement]) -> Result<Entity, Problem> {
        let name = table.get_table_name().and_then(name_of).unwrap_or_default();
        let of_several = table.get_indexes().iter().find(|index| index.is_primary_key());
        let of_several = of_several.map(|index| index.get_index_spec().get_column_names()).unwrap_or_default();
        let column = |definition: &ColumnDef| column(&name, definition, &of_several);
        let columns = table.get_columns().iter().map(column).collect::<Result<_, Problem>>()?;
        let indexes = indexes
            .iter()
            .map(|index| Index { columns: index.get_index_spec().get_column_names(), unique: index.is_unique_key() });
        let foreign_keys = table.get_foreign_key_create_stmts().iter().filter_map(|statement| {
            let key = statement.get_foreign_key();
            Some(ForeignKey {
                columns: key.get_columns(),
                table: key.get_ref_table().and_then(name_of)?,
                to: key.get_ref_columns(),
                on_delete: key.get_on_delete().map(action),
                on_update: key.get_on_update().map(action),
            })
        });
        Ok(Entity { indexes: indexes.collect(), foreign_keys: foreign_keys.collect(), columns, table: name })
    }

    /// Returns its column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }
}

fn column(table: &str, definition: &ColumnDef, key: &[String]) -> Result<Column, Problem> {
    let (name, spec) = (definition.get_column_name(), definition.get_column_spec());
    let kind = definition.get_column_type().unwrap_or(&ColumnType::Text);
    let affinity = affinity(kind).map_err(|instead| {
        Problem::new(format!("column {name} of table {table} is {kind:?}, which a STRICT table cannot have"))
            .hint(format!("write {instead} above the field, or give the field another type"))
    })?;
    let primary_key = spec.primary_key || key.contains(&name);
    Ok(Column {
        affinity,
        // SeaORM says only what may not be null.
        nullable: spec.nullable != Some(false),
        default: spec.default.as_ref().map(sql),
        primary_key,
        auto_increment: spec.primary_key && spec.auto_increment && affinity == Affinity::Integer,
        unique: spec.unique,
        unbounded: matches!(
            kind,
            ColumnType::Text
                | ColumnType::String(StringLen::None | StringLen::Max)
                | ColumnType::Blob
                | ColumnType::VarBinary(StringLen::None | StringLen::Max)
                | ColumnType::Json
                | ColumnType::JsonBinary
                | ColumnType::Custom(_)
        ) && matches!(affinity, Affinity::Text | Affinity::Blob),
        extra: spec.extra.clone(),
        name,
    })
}

fn action(action: ForeignKeyAction) -> String {
    match action {
        ForeignKeyAction::Restrict => "RESTRICT",
        ForeignKeyAction::Cascade => "CASCADE",
        ForeignKeyAction::SetNull => "SET NULL",
        ForeignKeyAction::SetDefault => "SET DEFAULT",
        _ => "NO ACTION",
    }
    .to_owned()
}

fn name_of(table: &TableRef) -> Option<String> {
    match table {
        TableRef::Table(TableName(_, name), _) => Some(name.to_string()),
        _ => None,
    }
}

/// Returns an expression as SQLite reads it.
fn sql(expression: &Expr) -> String {
    let select = Query::select().expr(expression.clone()).to_string(SqliteQueryBuilder);
    match select.strip_prefix("SELECT ").unwrap_or(&select) {
        "TRUE" => "1".to_owned(),
        "FALSE" => "0".to_owned(),
        other => other.to_owned(),
    }
}

/// Returns the affinity of the column that keeps values of this type, or what to write instead.
fn affinity(kind: &ColumnType) -> Result<Affinity, &'static str> {
    const AS_TEXT: &str = "#[sea_orm(column_type = \"Text\")]";
    match kind {
        ColumnType::Char(_) | ColumnType::String(_) | ColumnType::Text | ColumnType::Enum { .. } => Ok(Affinity::Text),
        // SeaORM reads and writes these as text.
        ColumnType::DateTime
        | ColumnType::Timestamp
        | ColumnType::TimestampWithTimeZone
        | ColumnType::Time
        | ColumnType::Date
        | ColumnType::Json
        | ColumnType::JsonBinary => Ok(Affinity::Text),
        ColumnType::Blob | ColumnType::Binary(_) | ColumnType::VarBinary(_) => Ok(Affinity::Blob),
        ColumnType::TinyInteger
        | ColumnType::SmallInteger
        | ColumnType::Integer
        | ColumnType::BigInteger
        | ColumnType::TinyUnsigned
        | ColumnType::SmallUnsigned
        | ColumnType::Unsigned
        | ColumnType::BigUnsigned
        | ColumnType::Boolean => Ok(Affinity::Integer),
        ColumnType::Float | ColumnType::Double => Ok(Affinity::Real),
        ColumnType::Custom(name) => match name.to_string().to_ascii_uppercase().as_str() {
            "TEXT" => Ok(Affinity::Text),
            "INTEGER" | "INT" => Ok(Affinity::Integer),
            "REAL" => Ok(Affinity::Real),
            "BLOB" => Ok(Affinity::Blob),
            _ => Err(AS_TEXT),
        },
        ColumnType::Decimal(_) | ColumnType::Money(_) => Err(
            "#[sea_orm(column_type = \"BigInteger\")] for a number of cents, or #[sea_orm(column_type = \"Text\")],",
        ),
        ColumnType::Uuid => Err("#[sea_orm(column_type = \"Blob\")], as SeaORM keeps it,"),
        _ => Err(AS_TEXT),
    }
}

/// Returns what the app's entities say: `cargo run -p app --example entities`.
///
/// # Errors
///
/// If the app does not compile, or one of its entities has a type that a STRICT table cannot have.
pub fn of_app() -> Result<Vec<Entity>, Problem> {
    let mut command = cargo::cargo();
    command.args(["run", "--quiet", "--package", "app", "--example", "entities"]).stderr(Stdio::inherit());
    let output = command.output().map_err(|error| Problem::new(format!("cannot start cargo: {error}")))?;
    if !output.status.success() {
        return Err(Problem::new("the app's entities cannot be read, for the reason above; nothing was changed")
            .hint("mend the app until this works: cargo run -p app --example entities"));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| {
        Problem::new(format!("what `cargo run -p app --example entities` prints is no list of entities: {error}"))
    })
}

/// Prints entities as [`of_app`] reads them, for the example that lists the app's; or what is wrong with one of them.
pub fn print(entities: impl IntoIterator<Item = Result<Entity, Problem>>) -> std::process::ExitCode {
    let entities: Result<Vec<Entity>, Problem> = entities.into_iter().collect();
    let printed = entities.and_then(|entities| {
        let mut stdout = std::io::stdout().lock();
        serde_json::to_writer_pretty(&mut stdout, &entities)
            .map_err(|error| Problem::new(format!("cannot write the list of entities: {error}")))
    });
    match printed {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(problem) => problem.tell(),
    }
}
