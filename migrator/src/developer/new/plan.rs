//! Which steps make the migrated schema into what the entities say, and which changes are refused?
//!
//! Decided from data alone: what the entities say, the tables there are, what the newest release read, and the flags.

use serde::Serialize;

use super::former::Former;
use super::refusal::Refusal;
use super::sql::{self, Edit, edited, laid_out, nothing, plain};
use super::step::Step;
use super::wishes::{Rename, Wishes, index};
use crate::developer::Problem;
use crate::developer::entity::{Affinity, Column, Difference, Entity, ForeignKey, Index, What, differences};
use crate::developer::tables::{Stands, Stored, Table, Tables};
use crate::schema::{normalised, quoted};

/// What a migration is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Its steps, in order.
    pub steps: Vec<Step>,
    /// What is worth knowing about it.
    pub notes: Vec<String>,
}

/// Decides what a migration is to do. No steps, if the entities already say what the tables are.
///
/// # Errors
///
/// Each change that cannot be made safely, and what to write instead.
pub fn plan(entities: &[Entity], tables: &Tables, former: &Former, wishes: &Wishes) -> Result<Plan, Problem> {
    let renames = wishes.renames()?;
    let mut planned = Planned {
        entities,
        tables,
        former,
        wishes,
        renames,
        rebuilt: Vec::new(),
        made: Vec::new(),
        columns: Vec::new(),
        renamed: Vec::new(),
        indexes: Vec::new(),
        notes: Vec::new(),
        refusals: Vec::new(),
    };
    planned.check_renames();
    planned.check_leaves();
    for difference in differences(entities, tables) {
        planned.settle(&difference);
    }
    planned.check_restrictions();
    planned.find_gone();
    planned.rename();
    planned.index_existing();
    let asked = wishes.steps()?;
    for step in &asked {
        planned.check_wish(step);
    }
    planned.finish(asked)
}

/// A table that gets another definition.
pub(super) struct Rebuilt {
    table: String,
    /// The definition that it has by now.
    body: String,
    /// What is different in it.
    changes: Vec<String>,
}

/// What is decided so far.
pub(super) struct Planned<'a> {
    pub(super) entities: &'a [Entity],
    pub(super) tables: &'a Tables,
    pub(super) former: &'a Former,
    pub(super) wishes: &'a Wishes,
    pub(super) renames: Vec<Rename>,
    pub(super) rebuilt: Vec<Rebuilt>,
    pub(super) made: Vec<Step>,
    pub(super) columns: Vec<Step>,
    pub(super) renamed: Vec<Step>,
    pub(super) indexes: Vec<Step>,
    pub(super) notes: Vec<String>,
    pub(super) refusals: Vec<Refusal>,
}

impl<'a> Planned<'a> {
    pub(super) fn entity(&self, table: &str) -> Option<&'a Entity> {
        self.entities.iter().find(|entity| entity.table.eq_ignore_ascii_case(table))
    }

    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.refusals.push(refusal);
    }

    /// Settles one difference between an entity and its table.
    fn settle(&mut self, difference: &Difference) {
        let Some(entity) = self.entity(&difference.table) else { return };
        let table = self.tables.get(&difference.table);
        let column = difference.column.as_deref().and_then(|name| entity.column(name));
        let own = difference.column.as_deref().unwrap_or_default();
        match (&difference.what, table, column) {
            (What::TableMissing, _, _) => self.add_table(entity),
            (What::ColumnMissing, Some(table), Some(column)) => self.add_column(entity, table, column),
            (What::NotNull, Some(table), Some(column)) => self.rebuild(table, &column.name, &Edit::Nullable),
            (What::Default { entity: default, table: None }, Some(table), Some(column))
                if table.column(own).is_some_and(|own| !own.nullable) =>
            {
                let default = sql::default(default);
                match probe(&format!("c {} DEFAULT {default}", column.affinity)) {
                    Ok(()) => self.rebuild(table, &column.name, &Edit::Default(&default)),
                    Err(reason) => self.refuse(Refusal::value(&difference.table, &column.name, &reason)),
                }
            }
            (What::NotUnique, _, Some(column)) if self.wishes_unique(&entity.table, &column.name) => {}
            (What::Unwritten, Some(table), _) => self.settle_unwritten(table, own),
            _ => self.refuse(Refusal::difference(difference)),
        }
    }

    fn wishes_unique(&self, table: &str, column: &str) -> bool {
        let is_it = |step: &Step| *step == index(table, &[column.to_owned()], true);
        self.wishes.steps().is_ok_and(|steps| steps.iter().any(is_it))
    }

    /// A column that has to be written and is in no entity any more can stay if it gets a default.
    fn settle_unwritten(&mut self, table: &Table, column: &str) {
        let refers = table.foreign_keys.iter().any(|(columns, _)| columns.iter().any(|one| one == column));
        if self.renames.iter().any(|one| one.table == table.name && one.old == column) {
            self.refuse(Refusal::renamed_unwritten(&table.name, column));
        } else if refers || !self.wishes.leaves(&table.name, Some(column)) {
            self.refuse(Refusal::unwritten(&table.name, column, refers));
        } else if let Some(own) = table.column(column) {
            self.rebuild(table, column, &Edit::Default(nothing(Affinity::of_declared(&own.declared))));
        }
    }

    fn rebuild(&mut self, table: &Table, column: &str, edit: &Edit<'_>) {
        let is_key = table.primary_key.iter().any(|key| key.eq_ignore_ascii_case(column));
        let found = self.rebuilt.iter().position(|one| one.table == table.name);
        let sql = found.map_or(&table.sql, |index| &self.rebuilt[index].body);
        let Some(body) = edited(sql, column, edit).filter(|_| !is_key) else {
            return self.refuse(Refusal::unread(&table.name, column));
        };
        let change = match edit {
            Edit::Nullable => format!("{column} may be null"),
            Edit::Default(default) => format!("{column} has the default {default}"),
        };
        match found {
            Some(index) => {
                self.rebuilt[index].body = body;
                self.rebuilt[index].changes.push(change);
            }
            None => self.rebuilt.push(Rebuilt { table: table.name.clone(), body, changes: vec![change] }),
        }
    }

    fn add_table(&mut self, entity: &Entity) {
        for key in &entity.foreign_keys {
            self.check_reference(entity, key);
        }
        let mut is_sound = true;
        for column in entity.columns.iter().filter(|column| !column.primary_key && column.default.is_some()) {
            if let Err(reason) = probe(&format!("{} {}", plain(&column.name), sql::definition(column, None))) {
                self.refuse(Refusal::value(&entity.table, &column.name, &reason));
                is_sound = false;
            }
        }
        if is_sound {
            self.made.push(Step::Table { table: entity.table.clone(), body: sql::body(entity) });
        }
        let key: Vec<&String> = entity.columns.iter().filter(|one| one.primary_key).map(|one| &one.name).collect();
        for column in entity.columns.iter().filter(|column| column.unique && key != [&column.name]) {
            self.indexes.push(index(&entity.table, std::slice::from_ref(&column.name), true));
        }
        for (place, one) in entity.indexes.iter().enumerate() {
            // Where another one, or the key, begins with the same columns, it finds the rows as well.
            let is_begun = |columns: &[String]| !one.unique && columns.starts_with(&one.columns);
            let mut others = entity.indexes.iter().enumerate().filter(|(other, _)| *other != place);
            let key: Vec<String> = key.iter().map(|name| (*name).clone()).collect();
            let is_in = |(other, it): (usize, &Index)| {
                is_begun(&it.columns) && (it.columns.len() > one.columns.len() || other < place || it.unique)
            };
            if is_begun(&key) || others.any(is_in) {
                let (table, columns) = (&entity.table, one.columns.join(", "));
                self.notes
                    .push(format!("{table} gets no index on {columns}: another one, or its key, begins with the same"));
            } else {
                self.indexes.push(index(&entity.table, &one.columns, one.unique));
            }
        }
        for foreign in &entity.foreign_keys {
            let begins = |columns: &[String]| columns.starts_with(&foreign.columns);
            let key: Vec<String> = key.iter().map(|name| (*name).clone()).collect();
            let unique = |name: &String| entity.column(name).is_some_and(|column| column.unique);
            let is_indexed = begins(&key)
                || entity.indexes.iter().any(|one| begins(&one.columns))
                || foreign.columns.len() == 1 && foreign.columns.iter().all(unique);
            if !is_indexed {
                self.indexes.push(index(&entity.table, &foreign.columns, false));
            }
        }
    }

    fn add_column(&mut self, entity: &Entity, table: &Table, column: &Column) {
        if self.renames.iter().any(|one| one.table == entity.table && one.new == column.name) {
            return;
        }
        let key = entity.foreign_keys.iter().find(|key| key.columns == [column.name.clone()]);
        if let Some(key) = key {
            self.check_reference(entity, key);
        }
        if column.primary_key {
            return self.refuse(Refusal::key(&entity.table, &column.name));
        }
        if key.is_some() && (!column.nullable || column.default.is_some()) {
            return self.refuse(Refusal::reference_not_null(&entity.table, &column.name));
        }
        if !column.nullable && column.default.is_none() {
            return self.refuse(Refusal::without_default(&entity.table, column));
        }
        if column.unique && column.default.is_some() {
            return self.refuse(Refusal::unique_default(&entity.table, &column.name));
        }
        if let Err(reason) = probe(&format!("{} {}", plain(&column.name), sql::definition(column, None))) {
            return self.refuse(Refusal::value(&entity.table, &column.name, &reason));
        }
        self.columns.push(Step::Column {
            table: table.name.clone(),
            column: column.name.clone(),
            definition: sql::definition(column, key),
        });
        self.index_column(entity, column, key);
        self.note_triggers(table, column);
    }

    /// A trigger that keeps whole rows does not know of a column that comes later.
    fn note_triggers(&mut self, table: &Table, column: &Column) {
        let keeps = |sql: &str| {
            let said = normalised(sql);
            let is_named = |one: &&Stands| said.contains(&format!(" old . {} ", normalised(&quoted(&one.name))));
            table.columns.iter().filter(is_named).count() * 2 > table.columns.len()
        };
        let triggers: Vec<&str> =
            table.triggers.iter().filter(|(_, sql)| keeps(sql)).map(|(name, _)| name.as_str()).collect();
        if !triggers.is_empty() {
            self.notes.push(format!(
                "what {} keeps of a row of {} is not {}; if it should be, write the trigger again in this migration, under its name, \
                 with add::replaced_trigger",
                triggers.join(" and "),
                table.name,
                column.name
            ));
        }
    }

    /// Adds the indexes that a new column needs.
    pub(super) fn index_column(&mut self, entity: &Entity, column: &Column, key: Option<&ForeignKey>) {
        let name = std::slice::from_ref(&column.name);
        let is_named = entity.indexes.iter().any(|one| one.columns.starts_with(name));
        if column.unique {
            self.indexes.push(index(&entity.table, name, true));
        } else if key.is_some() && !is_named {
            self.indexes.push(index(&entity.table, name, false));
        }
    }

    /// What is referred to has to be there, and to be unique; and no row goes because another one does.
    fn check_reference(&mut self, entity: &Entity, key: &ForeignKey) {
        let of_entity = |other: &Entity| {
            let columns: Vec<&Column> = other.columns.iter().filter(|one| key.to.contains(&one.name)).collect();
            let is_key = other.columns.iter().filter(|one| one.primary_key).count() == key.to.len();
            columns.len() == key.to.len()
                && (is_key && columns.iter().all(|one| one.primary_key) || columns.len() == 1 && columns[0].unique)
        };
        let to: Vec<&str> = key.to.iter().map(String::as_str).collect();
        let is_there = self.entity(&key.table).is_some_and(of_entity)
            || self.tables.get(&key.table).is_some_and(|table| table.is_unique(&to));
        if !is_there {
            self.refuse(Refusal::reference_to_nothing(&entity.table, key));
        }
        if [&key.on_delete, &key.on_update].into_iter().flatten().any(|action| action == "CASCADE") {
            self.refuse(Refusal::cascade(&entity.table, key));
        }
    }

    /// A check or a reference of a column that is there would have to hold for rows that are there.
    fn check_restrictions(&mut self) {
        for entity in self.entities {
            let Some(table) = self.tables.get(&entity.table).filter(|table| table.stored != Stored::Elsewhere) else {
                continue;
            };
            for column in entity.columns.iter().filter(|column| table.column(&column.name).is_some()) {
                if let Some(extra) = &column.extra
                    && !normalised(&table.sql).contains(&normalised(extra))
                {
                    self.refuse(Refusal::restriction(&table.name, &column.name, extra));
                }
            }
            for key in &entity.foreign_keys {
                let is_there = |(columns, to): &(Vec<String>, String)| *columns == key.columns && *to == key.table;
                let of_rows = key.columns.iter().all(|column| table.column(column).is_some());
                if of_rows && !table.foreign_keys.iter().any(is_there) {
                    self.refuse(Refusal::reference_of_rows(&table.name, key));
                }
            }
        }
    }

    /// Adds the indexes that entities name for columns that are there.
    fn index_existing(&mut self) {
        for entity in self.entities {
            let Some(table) = self.tables.get(&entity.table) else { continue };
            for one in &entity.indexes {
                let columns: Vec<&str> = one.columns.iter().map(String::as_str).collect();
                let step = index(&entity.table, &one.columns, one.unique);
                if one.unique && table.is_unique(&columns) || !one.unique && table.is_indexed(&columns) {
                    continue;
                }
                let of_new = |name: &String| table.column(name).is_none();
                let is_wished = self.wishes.steps().is_ok_and(|steps| steps.contains(&step));
                if one.unique && !one.columns.iter().any(of_new) && !is_wished {
                    self.refuse(Refusal::unique_over_rows(&entity.table, &one.columns));
                } else if !is_wished {
                    self.indexes.push(step);
                }
            }
        }
    }

    fn finish(mut self, asked: Vec<Step>) -> Result<Plan, Problem> {
        if !self.refusals.is_empty() {
            return Err(Refusal::problem(self.refusals));
        }
        let indexes: Vec<Step> =
            std::mem::take(&mut self.indexes).into_iter().map(|step| self.named_freely(step)).collect();
        let asked: Vec<Step> = asked.into_iter().map(|step| self.named_freely(step)).collect();
        let rebuild =
            |one: Rebuilt| Step::Rebuild { body: laid_out(&one.body), table: one.table, changes: one.changes };
        let mut steps: Vec<Step> = self.rebuilt.into_iter().map(rebuild).collect();
        steps.extend(self.made.into_iter().chain(self.columns).chain(self.renamed));
        let (fills, others): (Vec<Step>, Vec<Step>) =
            asked.into_iter().partition(|step| matches!(step, Step::BackFill { .. }));
        for step in fills.into_iter().chain(indexes).chain(others) {
            if !steps.contains(&step) {
                steps.push(step);
            }
        }
        Ok(Plan { steps, notes: self.notes })
    }
}

/// Tries a column of a STRICT table that has a row: SQLite says what it does not take. Foreign keys are left out.
fn probe(definition: &str) -> Result<(), String> {
    let tried = rusqlite::Connection::open_in_memory().and_then(|connection| {
        connection.execute_batch("CREATE TABLE t (its_key INTEGER PRIMARY KEY) STRICT; INSERT INTO t VALUES (1)")?;
        connection.execute_batch(&format!("ALTER TABLE t ADD COLUMN {definition}; INSERT INTO t (its_key) VALUES (2)"))
    });
    tried.map_err(|error| error.to_string())
}
