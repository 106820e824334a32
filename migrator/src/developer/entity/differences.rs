//! Where is what an entity says not true of a database?

use std::fmt;

use rusqlite::Connection;

use super::{Affinity, Entity};
use crate::developer::tables::{Stored, Table, Tables};

/// A difference between what an entity says of its table and what a database has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The table.
    pub table: String,
    /// The column, unless the whole table is meant.
    pub column: Option<String>,
    /// What is different.
    pub what: What,
}

/// What is different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// There is no such table.
    TableMissing,
    /// There is no such column.
    ColumnMissing,
    /// The column has another affinity.
    Affinity {
        /// The entity's.
        entity: Affinity,
        /// As it was declared in the table.
        table: String,
    },
    /// The column may not be null, and in the entity it may.
    NotNull,
    /// The column may be null, and in the entity it may not.
    Nullable,
    /// The column has no default or another one than the entity names.
    Default {
        /// The entity's.
        entity: String,
        /// The table's.
        table: Option<String>,
    },
    /// The primary key is of other columns.
    PrimaryKey {
        /// The entity's.
        entity: Vec<String>,
        /// The table's.
        table: Vec<String>,
    },
    /// Nothing keeps two rows from the same value.
    NotUnique,
    /// The entity does not have this column, which has to be written.
    Unwritten,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = &self.table;
        let column = self.column.as_deref().unwrap_or_default();
        match &self.what {
            What::TableMissing => write!(formatter, "table {table} of an entity is not in the database"),
            What::ColumnMissing => {
                write!(formatter, "column {column} of the entity of table {table} is not in the table")
            }
            What::Affinity { entity, table: declared } => {
                write!(formatter, "column {column} of table {table} is {declared}, and {entity} in the entity")
            }
            What::NotNull => {
                write!(formatter, "column {column} of table {table} may not be null, and in the entity it may")
            }
            What::Nullable => {
                write!(formatter, "column {column} of table {table} may be null, and in the entity it may not")
            }
            What::Default { entity, table: Some(own) } => {
                write!(formatter, "column {column} of table {table} has the default {own}, and {entity} in the entity")
            }
            What::Default { entity, table: None } => {
                write!(formatter, "column {column} of table {table} has no default, and {entity} in the entity")
            }
            What::PrimaryKey { entity, table: own } => write!(
                formatter,
                "the primary key of table {table} is ({}), and ({}) in the entity",
                own.join(", "),
                entity.join(", ")
            ),
            What::NotUnique => write!(
                formatter,
                "column {column} is unique in the entity of table {table}, and in the table two rows may have the same value"
            ),
            What::Unwritten => write!(
                formatter,
                "column {column} of table {table} may not be null, has no default and is not in the entity, so that the \
                 entity's inserts fail"
            ),
        }
    }
}

/// Returns each difference between what `entities` say and what a database has. None, if the entities are a true view.
pub fn differences(entities: &[Entity], tables: &Tables) -> Vec<Difference> {
    entities.iter().flat_map(|entity| of_one(entity, tables.get(&entity.table))).collect()
}

fn of_one(entity: &Entity, table: Option<&Table>) -> Vec<Difference> {
    let found = |column: Option<&str>, what: What| Difference {
        table: entity.table.clone(),
        column: column.map(str::to_owned),
        what,
    };
    let Some(table) = table else {
        return vec![found(None, What::TableMissing)];
    };
    let mut all = Vec::new();
    for column in &entity.columns {
        let Some(own) = table.column(&column.name) else {
            all.push(found(Some(&column.name), What::ColumnMissing));
            continue;
        };
        // Of what a view or a virtual table gives, nothing more is declared.
        if table.stored == Stored::Elsewhere {
            continue;
        }
        let mut add = |what| all.push(found(Some(&column.name), what));
        if Affinity::of_declared(&own.declared) != column.affinity {
            add(What::Affinity { entity: column.affinity, table: own.declared.clone() });
        }
        match (own.nullable, column.nullable) {
            (false, true) => add(What::NotNull),
            (true, false) => add(What::Nullable),
            _ => {}
        }
        if let Some(default) = &column.default
            && own.default.as_ref().is_none_or(|own| !are_equal(default, own, column.affinity))
        {
            add(What::Default { entity: default.clone(), table: own.default.clone() });
        }
        if column.unique && !table.is_unique(&[&column.name]) {
            add(What::NotUnique);
        }
    }
    if table.stored == Stored::Elsewhere {
        return all;
    }
    let key: Vec<String> = entity.columns.iter().filter(|one| one.primary_key).map(|one| one.name.clone()).collect();
    let is_same = key.len() == table.primary_key.len()
        && key.iter().all(|name| table.primary_key.iter().any(|own| own.eq_ignore_ascii_case(name)));
    if !is_same {
        all.push(found(None, What::PrimaryKey { entity: key, table: table.primary_key.clone() }));
    }
    for own in &table.columns {
        let is_written = own.nullable || own.default.is_some() || own.is_generated || own.is_rowid;
        if !is_written && entity.column(&own.name).is_none() {
            all.push(found(Some(&own.name), What::Unwritten));
        }
    }
    all
}

/// Says whether two defaults give the same value in a column of this affinity.
pub(crate) fn are_equal(one: &str, other: &str, affinity: Affinity) -> bool {
    let is_same = || {
        let connection = Connection::open_in_memory()?;
        let sql = format!("SELECT CAST(({one}) AS {affinity}) IS CAST(({other}) AS {affinity})");
        connection.query_row(&sql, [], |row| row.get::<_, bool>(0))
    };
    one.trim().eq_ignore_ascii_case(other.trim()) && !one.contains('\'') || one == other || is_same().unwrap_or(false)
}
