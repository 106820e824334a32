//! The rules *writes-kept* and *older-programs*: what comes of the writes of a program that knows the old tables only?
//!
//! The same writes are made on the newest release's database and on the migrated one: inserts, updates and deletes through old
//! columns, with values that are there. Afterwards both must hold the same in all old tables. That a trigger rewrites what was
//! written, or a delete takes other rows along, is a loss whoever writes. That a write is refused, or takes rows of *new* tables
//! along, matters if the floor lets older programs go on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Result, params_from_iter};

use super::Subject;
use super::along::{self, Taken};
use super::bases::{Base, copy, open, unreadable};
use super::chain::Chain;
use super::content::{self, Content};
use super::findings::Findings;
use super::listing::{Listing, Table};
use super::reading;
use super::report::Rule;
use super::schema::Finding;
use super::shown;
use super::write::{Write, attempt, deletes, inserts, list, shape, updates};
use crate::developer::Problem;
use crate::schema::quoted;

/// What is written, one kind after the other.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Insert,
    Update,
    Delete,
}

const PHASES: [Phase; 3] = [Phase::Insert, Phase::Update, Phase::Delete];

impl Phase {
    /// As in: what 0.6.0 *inserts into* a table.
    fn verb(self) -> &'static str {
        match self {
            Phase::Insert => "inserts into",
            Phase::Update => "updates",
            Phase::Delete => "deletes from",
        }
    }

    /// As in: after *an insert*.
    fn after(self) -> &'static str {
        match self {
            Phase::Insert => "an insert",
            Phase::Update => "an update",
            Phase::Delete => "a delete",
        }
    }

    /// As in: after *inserts*.
    fn many(self) -> &'static str {
        match self {
            Phase::Insert => "inserts",
            Phase::Update => "updates",
            Phase::Delete => "deletes",
        }
    }
}

pub(crate) fn check(
    subject: &Subject<'_>,
    bases: &[Base],
    chain: &Chain,
    directory: &Path,
    findings: &mut Findings,
) -> std::result::Result<(), Problem> {
    let Some(base) = bases.first() else { return Ok(()) };
    if findings.has(Rule::DataKept) {
        // What differs already would differ after each write.
        findings.skip(&[Rule::WritesKept, Rule::OlderPrograms], "first what the migrations lose");
        return Ok(());
    }
    let (old, new) = (directory.join("writes-old.db"), directory.join("writes-new.db"));
    copy(&base.upgraded, &old)?;
    copy(&chain.path, &new)?;
    let mut compared = Compared { version: &base.version, lowered: subject.is_floor_lowered(), findings };
    compared.writes(&old, &new, &chain.before.listing).map_err(|error| unreadable(&new, &error))?;
    let told = compared
        .children(base, &chain.before.listing, &chain.after.listing, &new)
        .map_err(|error| unreadable(&new, &error))?;
    compared.new_values(chain);
    compared.taken(base, chain, &old, &told).map_err(|error| unreadable(&new, &error))?;
    compared.hidden(base, chain)
}

struct Compared<'a> {
    version: &'a str,
    lowered: bool,
    findings: &'a mut Findings,
}

impl Compared<'_> {
    fn writes(&mut self, old: &Path, new: &Path, listing: &Listing) -> Result<()> {
        let (old, new) = (open(old)?, open(new)?);
        for connection in [&old, &new] {
            connection.execute_batch("PRAGMA foreign_keys = ON; BEGIN")?;
        }
        let tables: BTreeMap<&String, &Table> =
            listing.tables.iter().filter(|(_, table)| table.kind == "table").collect();
        let mut told = BTreeSet::new();
        for phase in PHASES {
            let before = Content::read(&old)?;
            let mut refused: BTreeSet<&str> = BTreeSet::new();
            let writes = match phase {
                Phase::Insert => inserts(&old, &tables)?,
                Phase::Update => updates(&old, &tables)?,
                Phase::Delete => deletes(&old, &tables)?,
            };
            // What is gone was said, and would be read as a text (SQLite takes a name in quotes for one).
            if phase == Phase::Update && !self.findings.has(Rule::Additive) {
                for loss in alone(&old, &new, &tables, &writes)? {
                    if told.insert(loss.object.clone()) {
                        self.rewritten(loss, phase);
                    }
                }
            }
            for write in &writes {
                let trials = [attempt(&old, write)?, attempt(&new, write)?];
                let undo = trials[0].is_ok() != trials[1].is_ok();
                for connection in [&old, &new] {
                    connection.execute_batch(if undo {
                        "ROLLBACK TO write; RELEASE write"
                    } else {
                        "RELEASE write"
                    })?;
                }
                if let [Ok(()), Err(reason)] = &trials
                    && refused.insert(&write.table)
                {
                    self.refused(&write.table, phase.verb(), reason);
                }
            }
            let mut is = Content::read(&old)?;
            is.take_sequences();
            let again = Content::read_again(&new, &is)?;
            for loss in is.losses(&again) {
                // What differs after the inserts differs after the updates, too.
                if told.insert(loss.object.clone()) {
                    self.rewritten(loss, phase);
                }
            }
            if phase == Phase::Delete {
                for (name, was) in &before.tables {
                    let (Some(gone), Some(there)) = (is.tables.get(name), again.tables.get(name)) else { continue };
                    if let Some(key) = was.still(gone, there) {
                        let what =
                            format!("rows of table {name} that {} deletes are still there ({key})", self.version);
                        let instead = "let a delete delete: what a person deletes has to go";
                        self.breach(Rule::WritesKept, format!("table {name}"), what, instead);
                    }
                }
            }
        }
        Ok(())
    }

    fn breach(&mut self, rule: Rule, object: String, what: String, instead: &str) {
        let name = self.findings.last();
        self.findings.breach(rule, &name, Finding { object, what, instead: instead.to_owned() }, None);
    }

    /// For the rule *older-programs*: a breach with a lowered floor only.
    fn for_older(&mut self, object: String, what: String, instead: &str) {
        if self.lowered {
            self.breach(Rule::OlderPrograms, object, what, instead);
        } else {
            let name = self.findings.last();
            self.findings.note(Rule::OlderPrograms, format!("{name}: {what}; so the floor stays this release"));
        }
    }

    fn refused(&mut self, table: &str, verb: &str, reason: &str) {
        // What is gone was said.
        if self.findings.has(Rule::Additive) {
            return;
        }
        let what = format!("what {} {verb} table {table} is refused: {reason}", self.version);
        let instead = "check it in the new program, or do not lower the floor";
        self.for_older(format!("table {table}"), what, instead);
    }

    fn rewritten(&mut self, loss: content::Loss, phase: Phase) {
        let is_column = loss.object.contains(": column");
        let (what, instead) = if is_column {
            (
                format!(
                    "a trigger rewrites what a program writes into old columns: after {}, {}",
                    phase.after(),
                    loss.what
                ),
                "leave what was written, and put what the trigger computes into a new column",
            )
        } else {
            (
                format!("after {} through old columns, {}, which stay without the migration", phase.many(), loss.what),
                "leave rows of old tables alone in triggers and foreign keys; mark them in a new column",
            )
        };
        self.breach(Rule::WritesKept, loss.object, what, instead);
    }

    /// New tables that an older program's deletes take rows from, or that stop them. Returns those that were told of.
    fn children(&mut self, base: &Base, was: &Listing, is: &Listing, new: &Path) -> Result<BTreeSet<String>> {
        let mut told = BTreeSet::new();
        let connection = open(new)?;
        let mut deleted: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for (name, table) in is.tables.iter().filter(|(name, _)| !was.tables.contains_key(*name)) {
            for (columns, what) in &table.foreign_keys {
                let parent = what.split(' ').nth(1).unwrap_or_default();
                let delete = format!("DELETE FROM \"{parent}\"");
                if !was.tables.contains_key(parent) || !base.statements.iter().any(|sql| sql.starts_with(&delete)) {
                    continue;
                }
                told.insert(name.to_lowercase());
                let object = format!("table {name}: column {columns}");
                let version = self.version;
                if !deleted.contains_key(parent) {
                    deleted.insert(parent.to_owned(), deleted_by_triggers(&connection, parent)?);
                }
                if let Some(trigger) = deleted[parent].get(&name.to_lowercase()) {
                    let what = format!(
                        "when {version} deletes from table {parent}, the trigger {trigger} deletes rows of table {name}, which it cannot show before"
                    );
                    self.for_older(object, what, "keep them elsewhere first, or do not lower the floor");
                } else if what.contains("on delete cascade") {
                    let what = format!(
                        "when {version} deletes from table {parent}, rows of table {name} go as well, which it cannot show before"
                    );
                    self.for_older(object, what, "refer with ON DELETE SET NULL, or do not lower the floor");
                } else if what.contains("on delete no action") || what.contains("on delete restrict") {
                    let what =
                        format!("{version} cannot delete from table {parent} what rows of table {name} refer to");
                    self.for_older(object, what, "refer with ON DELETE SET NULL, or do not lower the floor");
                }
            }
        }
        Ok(told)
    }

    /// Values of an old column of few values that no row had before.
    fn new_values(&mut self, chain: &Chain) {
        for (name, column, known) in chain.before.content.columns_of_few_words() {
            let (Some(was), Some(is)) = (chain.before.content.tables.get(name), chain.after.content.tables.get(name))
            else {
                continue;
            };
            let Some(at) = is.columns.iter().position(|other| other == column) else { continue };
            let is_known = |value: &content::Value| value.word().is_some_and(|word| known.contains(&word));
            if let Some(value) = is.values_of(at, Some(was)).filter(|value| !is_known(value)).min() {
                let what = format!(
                    "column {column} of table {name} has the new value {value}, which {} cannot read",
                    self.version
                );
                let instead = "put it into a new column or table, or do not lower the floor";
                self.for_older(format!("table {name}: column {column}"), what, instead);
            }
        }
    }

    /// What a newer program could hide, and an older one would show.
    fn hidden(&mut self, base: &Base, chain: &Chain) -> std::result::Result<(), Problem> {
        let (was, is) = (&chain.before.listing, &chain.after.listing);
        let mut hidden = shown::hiding(was, is, &chain.before.content, &base.statements);
        // The statements of this source's app are known where it was run, or a test names a file with some.
        if let Some(file) = std::env::var_os("MIGRATION_CHECK_STATEMENTS") {
            let file = Path::new(&file);
            let failed = |error| Problem::new(format!("cannot read {}: {error}", file.display()));
            let statements: Vec<String> =
                std::fs::read_to_string(file).map_err(failed)?.lines().map(str::to_owned).collect();
            hidden.extend(reading::narrowing(was, is, &base.statements, &statements));
        }
        for Finding { object, what, instead } in hidden {
            self.for_older(object, what, &instead);
        }
        Ok(())
    }

    /// Tables that an older program's writes take rows from, and did not before, by whatever way; but for those in `told`.
    fn taken(&mut self, base: &Base, chain: &Chain, old: &Path, told: &BTreeSet<String>) -> Result<()> {
        let is_table = |name: &String| chain.after.listing.tables.get(name).is_some_and(|table| table.kind == "table");
        for Taken { when, table } in along::taken(&open(old)?, &open(&chain.path)?, &base.statements)? {
            if is_table(&table) && !told.contains(&table) {
                let version = self.version;
                let what = format!(
                    "when {version} {when}, rows of table {table} go as well, which stayed before the migration"
                );
                let instead = "let nothing go along: refer with ON DELETE SET NULL and delete in the program; or do not lower the floor";
                self.for_older(format!("table {table}"), what, instead);
            }
        }
        Ok(())
    }
}

/// The tables that triggers delete from when a row of `parent` is deleted, each with the trigger; SQLite's authorizer tells.
fn deleted_by_triggers(connection: &Connection, parent: &str) -> Result<BTreeMap<String, String>> {
    // Otherwise what the foreign keys do is told as well.
    connection.execute_batch("PRAGMA foreign_keys = OFF")?;
    let deleted: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
    let noted = Arc::clone(&deleted);
    connection.authorizer(Some(move |context: AuthContext<'_>| {
        if let (AuthAction::Delete { table_name }, Some(trigger)) = (context.action, context.accessor) {
            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
            noted.entry(table_name.to_lowercase()).or_insert_with(|| trigger.to_owned());
        }
        Authorization::Allow
    }));
    let prepared = connection.prepare(&format!("DELETE FROM {}", quoted(parent))).map(drop);
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>);
    prepared?;
    Ok(std::mem::take(&mut *deleted.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// What each update alone makes of other columns of its row, where that differs. Each is undone, since of many updates a later one
/// would hide what a trigger of an earlier one wrote.
fn alone(
    old: &Connection,
    new: &Connection,
    tables: &BTreeMap<&String, &Table>,
    writes: &[Write],
) -> Result<Vec<content::Loss>> {
    let mut losses: BTreeMap<String, content::Loss> = BTreeMap::new();
    for write in writes {
        let shape = shape(tables[&write.table]);
        let sql = format!("SELECT {} FROM {} WHERE {}", list(&shape.names), quoted(&write.table), shape.has_key());
        // The new value comes before the key.
        let key = &write.values[1..];
        let mut rows: Vec<Vec<Value>> = Vec::new();
        for connection in [old, new] {
            let done = attempt(connection, write)?;
            if done.is_ok() {
                let mut statement = connection.prepare_cached(&sql)?;
                let values = |row: &rusqlite::Row<'_>| (0..shape.names.len()).map(|index| row.get(index)).collect();
                rows.extend(statement.query_row(params_from_iter(key), values).optional()?);
            }
            connection.execute_batch("ROLLBACK TO write; RELEASE write")?;
        }
        let [was, is] = rows.as_slice() else { continue };
        for (column, _) in shape.names.iter().zip(was.iter().zip(is)).filter(|(_, (was, is))| was != is) {
            let table = &write.table;
            let what = format!("column {column} of table {table} changed in the row with {}", shown(&shape.key, key));
            let object = format!("table {table}: column {column}");
            losses.entry(object.clone()).or_insert(content::Loss { object, what });
        }
    }
    Ok(losses.into_values().collect())
}

/// A key with its names, as in `scope 0, number 2531`.
fn shown(names: &[String], key: &[Value]) -> String {
    let value = |value: &Value| match value {
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => text.chars().take(60).collect(),
        other => format!("{other:?}"),
    };
    names.iter().zip(key).map(|(name, of)| format!("{name} {}", value(of))).collect::<Vec<_>>().join(", ")
}
