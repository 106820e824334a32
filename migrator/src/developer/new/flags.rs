//! What do the flags mean for the plan, and what is asked of whoever took a column away?

use super::plan::Planned;
use super::refusal::Refusal;
use super::sql::{self, nothing};
use super::step::Step;
use super::wishes::Rename;
use crate::developer::entity::{Affinity, Column, Entity};
use crate::schema::normalised;

impl Planned<'_> {
    pub(super) fn check_renames(&mut self) {
        for rename in self.renames.clone() {
            let table = self.tables.get(&rename.table);
            let entity = self.entity(&rename.table);
            match (table, entity) {
                (Some(table), Some(entity)) if table.column(&rename.old).is_some() => {
                    if entity.column(&rename.new).is_none() {
                        self.refuse(Refusal::rename_unknown(&rename, "the entity has no such field"));
                    } else if table.column(&rename.new).is_some() {
                        self.refuse(Refusal::rename_unknown(&rename, "the table has that column already"));
                    }
                }
                (Some(_), Some(_)) => self.refuse(Refusal::rename_unknown(&rename, "the table has no such column")),
                _ => self.refuse(Refusal::rename_unknown(&rename, "it is no table of an entity")),
            }
        }
    }

    /// What is left has to be there, and in no entity.
    pub(super) fn check_leaves(&mut self) {
        for left in &self.wishes.leave {
            let (table, column) = left.split_once('.').map_or((left.as_str(), None), |(table, own)| (table, Some(own)));
            let (own, entity) = (self.tables.get(table), self.entity(table));
            let is_there = own.is_some_and(|own| column.is_none_or(|column| own.column(column).is_some()));
            let is_used = entity.is_some_and(|entity| column.is_none_or(|column| entity.column(column).is_some()));
            if !is_there {
                self.refuse(Refusal::unknown(table, column.filter(|_| own.is_some())));
            } else if is_used {
                self.refuse(Refusal::left_in_use(left));
            }
        }
    }

    pub(super) fn rename(&mut self) {
        for rename in self.renames.clone() {
            let (Some(table), Some(entity)) = (self.tables.get(&rename.table), self.entity(&rename.table)) else {
                continue;
            };
            let (Some(old), Some(new)) = (table.column(&rename.old), entity.column(&rename.new)) else { continue };
            if table.column(&rename.new).is_some() {
                continue;
            }
            let refers = table.foreign_keys.iter().any(|(columns, _)| columns.contains(&old.name));
            if Affinity::of_declared(&old.declared) != new.affinity || refers || table.primary_key.contains(&old.name) {
                self.refuse(Refusal::rename_of_another_kind(&rename, &old.declared, new.affinity, refers));
                continue;
            }
            if old.nullable && !new.nullable {
                self.refuse(Refusal::rename_of_null(&rename));
                continue;
            }
            if new.unique && !table.is_unique(&[&old.name]) {
                self.refuse(Refusal::rename_unique(&rename));
                continue;
            }
            let mut column = new.clone();
            if !column.nullable && column.default.is_none() {
                column.default = Some(nothing(column.affinity).to_owned());
            }
            self.renamed.push(Step::Renamed {
                table: table.name.clone(),
                old: old.name.clone(),
                new: new.name.clone(),
                definition: sql::definition(&column, None),
            });
            self.index_column(entity, new, None);
            let Rename { table, old, new } = &rename;
            self.notes.push(format!(
                "{table}.{old} stays for older programs; leave the field in the entity until 1.0 and write both, since RETURNING does not \
                 see what the triggers write into {new}"
            ));
        }
    }

    /// Finds what the newest release's entities had and none has now.
    pub(super) fn find_gone(&mut self) {
        let is_new = |entity: &Entity| self.tables.get(&entity.table).is_none();
        let new_tables: Vec<&str> =
            self.entities.iter().filter(|one| is_new(one)).map(|one| one.table.as_str()).collect();
        let mut found = Vec::new();
        for table in self.former.tables() {
            let (Some(own), false) = (self.tables.get(table), self.wishes.leaves(table, None)) else { continue };
            let Some(entity) = self.entity(table) else {
                found.push((table, None, new_tables.clone()));
                continue;
            };
            let missing = |column: &&Column| {
                own.column(&column.name).is_none()
                    && !self.renames.iter().any(|one| one.table == table && one.new == column.name)
            };
            let new: Vec<&str> = entity.columns.iter().filter(missing).map(|column| column.name.as_str()).collect();
            for column in self.former.columns(table) {
                let is_renamed = self.renames.iter().any(|one| one.table == table && one.old == column);
                if own.column(column).is_some() && entity.column(column).is_none() && !is_renamed {
                    found.push((table, Some(column), new.clone()));
                }
            }
        }
        for (table, column, new) in found {
            let has_to_be_written =
                self.refusals.iter().any(|one| column.is_some_and(|column| one.is_unwritten(table, column)));
            if self.wishes.leaves(table, column) || new.is_empty() {
                let what = column.map_or_else(|| format!("table {table}"), |column| format!("{table}.{column}"));
                self.notes.push(format!("{what} is in no entity any more, and stays in the database as it is"));
            } else if !has_to_be_written {
                self.refuse(Refusal::gone(table, column, &new));
            }
        }
    }

    /// What a flag names has to be there at the end.
    pub(super) fn check_wish(&mut self, step: &Step) {
        if let Step::Index { on, unique, .. } = step
            && let Some(name) = self.index_that_is_there(on, *unique)
        {
            return self.refuse(Refusal::indexed(on, &name));
        }
        if let Step::Trigger { name, .. } = step
            && self.tables.iter().any(|table| table.triggers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)))
        {
            return self.refuse(Refusal::triggered(name));
        }
        let (table, columns): (&str, &[String]) = match step {
            Step::BackFill { table, column, .. } => (table, std::slice::from_ref(column)),
            Step::Search { table, columns } => (table, columns),
            _ => return,
        };
        let (own, entity) = (self.tables.get(table), self.entity(table));
        if own.is_none() && entity.is_none() {
            return self.refuse(Refusal::unknown(table, None));
        }
        for column in columns {
            let is_there = own.is_some_and(|own| own.column(column).is_some())
                || entity.is_some_and(|entity| entity.column(column).is_some());
            if !is_there {
                self.refuse(Refusal::unknown(table, Some(column)));
            }
        }
        if matches!(step, Step::Search { .. }) && self.tables.get(&format!("{table}_search")).is_some() {
            self.refuse(Refusal::searched(table));
        }
    }

    /// Returns the index that is there and the same but for its name.
    fn index_that_is_there(&self, on: &str, unique: bool) -> Option<String> {
        let meant = normalised(on);
        let is_it = |sql: &str| {
            let sql = normalised(sql);
            sql.starts_with("create unique") == unique && sql.split_once(" on ").is_some_and(|(_, own)| own == meant)
        };
        let mut indexes = self.tables.iter().flat_map(|table| &table.indexes);
        indexes.find(|index| index.sql.as_deref().is_some_and(is_it)).map(|index| index.name.clone())
    }

    /// Returns the index under a name that nothing has.
    pub(super) fn named_freely(&self, step: Step) -> Step {
        let Step::Index { mut name, on, unique } = step else { return step };
        let is_taken = |name: &str| {
            let mut indexes = self.tables.iter().flat_map(|table| &table.indexes);
            self.tables.get(name).is_some()
                || self.entity(name).is_some()
                || indexes.any(|index| index.name.eq_ignore_ascii_case(name))
        };
        while is_taken(&name) {
            name.push_str("_index");
        }
        Step::Index { name, on, unique }
    }
}
