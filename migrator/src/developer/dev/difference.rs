//! What do the entities have beyond the migrations, and how does the scratch database get it?
//!
//! A column or a table that is missing is added. What else is different (another type, another default) is said and left: a
//! database that has it can only come from a migration.

use rusqlite::Connection;

use crate::developer::Problem;
use crate::developer::entity::{self, Affinity, Column, Entity, What};
use crate::developer::tables::Tables;
use crate::schema::quoted;

/// Applies to a database what the entities have beyond it; returns a sentence for each difference.
pub(super) fn apply(connection: &Connection, entities: &[Entity]) -> Result<Vec<String>, Problem> {
    let failed = |error| Problem::new(format!("cannot read the schema of the scratch database: {error}"));
    let tables = Tables::read(connection).map_err(failed)?;
    let mut sentences = Vec::new();
    for difference in entity::differences(entities, &tables) {
        let entity = entities.iter().find(|entity| entity.table == difference.table);
        let column = entity.and_then(|entity| entity.column(difference.column.as_deref()?));
        let sql = match (&difference.what, entity, column) {
            (What::TableMissing, Some(entity), _) => create(entity),
            (What::ColumnMissing, Some(entity), Some(column)) => add(entity, column),
            _ => {
                sentences.push(format!("{difference}; the scratch database is left as it is"));
                continue;
            }
        };
        connection.execute_batch(&sql).map_err(|error| {
            Problem::new(format!("{difference}, and SQLite does not take it: {error}"))
                .hint(format!("this was tried: {sql}"))
        })?;
        sentences.push(difference.to_string());
    }
    Ok(sentences)
}

fn create(entity: &Entity) -> String {
    let mut parts: Vec<String> = entity.columns.iter().map(|column| definition(entity, column)).collect();
    let key: Vec<String> = of_key(entity).map(|column| quoted(&column.name)).collect();
    if key.len() > 1 {
        parts.push(format!("PRIMARY KEY ({})", key.join(", ")));
    }
    format!("CREATE TABLE {} ({}) STRICT", quoted(&entity.table), parts.join(", "))
}

/// A column is added where rows are already, so one that may not be null gets an empty default if it names none.
fn add(entity: &Entity, column: &Column) -> String {
    let mut definition = definition(entity, column);
    if !column.nullable && column.default.is_none() {
        definition.push_str(match column.affinity {
            Affinity::Text => " DEFAULT ''",
            Affinity::Blob => " DEFAULT x''",
            Affinity::Integer | Affinity::Real | Affinity::Numeric => " DEFAULT 0",
        });
    }
    format!("ALTER TABLE {} ADD COLUMN {definition}", quoted(&entity.table))
}

fn definition(entity: &Entity, column: &Column) -> String {
    // A STRICT table has no NUMERIC.
    let kind = match column.affinity {
        Affinity::Numeric => Affinity::Real,
        other => other,
    };
    let mut words = format!("{} {kind}", quoted(&column.name));
    if column.primary_key && of_key(entity).count() == 1 {
        words.push_str(if column.auto_increment { " PRIMARY KEY AUTOINCREMENT" } else { " PRIMARY KEY" });
    }
    if !column.nullable {
        words.push_str(" NOT NULL");
    }
    if let Some(default) = &column.default {
        words.push_str(&format!(" DEFAULT ({default})"));
    }
    words
}

fn of_key(entity: &Entity) -> impl Iterator<Item = &Column> {
    entity.columns.iter().filter(|column| column.primary_key)
}
