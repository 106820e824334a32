//! Which columns did the newest release's app read?
//!
//! A column that is in the table and in no entity may be one that no entity ever had. One that the newest release selects by its
//! table's name was in an entity, since SeaORM writes each column of an entity so.

use std::collections::{BTreeMap, BTreeSet};

use crate::developer::entity::Entity;

/// The columns that were in an entity, by table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Former {
    tables: BTreeMap<String, BTreeSet<String>>,
}

impl Former {
    /// Returns the columns that these statements select.
    pub fn of_statements(statements: &[String]) -> Former {
        let mut former = Former::default();
        for statement in statements {
            let Some(selected) = statement.strip_prefix("SELECT ").and_then(|rest| rest.split(" FROM ").next()) else {
                continue;
            };
            // All columns of the entity and nothing else, as `Entity::find` selects them.
            let columns: Option<Vec<(&str, &str)>> =
                selected.split(", ").map(|one| one.strip_prefix('"')?.strip_suffix('"')?.split_once("\".\"")).collect();
            for (table, column) in columns.into_iter().flatten() {
                former.tables.entry(table.to_owned()).or_default().insert(column.to_owned());
            }
        }
        former
    }

    /// Returns the columns of these entities.
    pub fn of_entities(entities: &[Entity]) -> Former {
        let columns = |entity: &Entity| entity.columns.iter().map(|column| column.name.clone()).collect();
        Former { tables: entities.iter().map(|entity| (entity.table.clone(), columns(entity))).collect() }
    }

    pub(super) fn tables(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    pub(super) fn columns(&self, table: &str) -> impl Iterator<Item = &str> {
        self.tables.get(table).into_iter().flatten().map(String::as_str)
    }
}
