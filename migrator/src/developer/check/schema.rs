//! The rule *additive*: does anything of the schema go, or become something else?
//!
//! What restricts or widens (a check on old columns, a unique index, a column that may be null now) takes nothing away; it is for
//! the rule *older-programs*, which counts with a lowered floor.

use std::collections::BTreeSet;

use super::listing::{Column, Listing, Table};

/// What was found of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) object: String,
    pub(crate) what: String,
    pub(crate) instead: String,
}

/// What the change of a schema does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// What goes or becomes something else.
    pub(crate) lost: Vec<Finding>,
    /// What a program of before may run into.
    pub(crate) for_older: Vec<Finding>,
}

const STAYS: &str = "leave it, and let the new program stop using it; nothing goes before 1.0";
const REBUILD: &str = "copy it into the new table of the rebuild with the same words as before";

pub(crate) fn changes(was: &Listing, is: &Listing) -> Changes {
    let mut changes = Changes::default();
    for (name, table) in &was.tables {
        match is.tables.get(name) {
            None => changes.lose(format!("table {name}"), format!("{} {name} is gone", table.kind), STAYS),
            Some(now) if now.kind != table.kind => changes.lose(
                format!("table {name}"),
                format!("{} {name} is a {} now, which can hide rows", table.kind, now.kind),
                "keep the table as it is, and add the view under a name of its own",
            ),
            Some(now) => table_changes(&mut changes, name, table, now),
        }
    }
    for ((kind, name), (table, sql)) in &was.others {
        let same_kind = was.tables.get(table).map(|table| &table.kind) == is.tables.get(table).map(|table| &table.kind);
        if kind == "view" || !is.tables.contains_key(table) || !same_kind {
            continue;
        }
        let object = format!("{kind} {name}");
        match is.others.get(&(kind.clone(), name.clone())) {
            None => changes.lose(
                object,
                format!("{kind} {name} of table {table} is gone"),
                "make it again with the same words after the rebuild of its table, or leave it: SQLite drops indexes and triggers with their table",
            ),
            Some((_, now)) if kind == "index" && now != sql && [sql, now].iter().any(|sql| sql.starts_with("create unique")) => {
                changes.lose(
                    object,
                    format!("{kind} {name} of table {table} is '{now}' and was '{sql}'"),
                    "leave a unique index as it is, and add another one under a name of its own",
                );
            }
            Some(_) => {}
        }
    }
    changes
}

impl Changes {
    fn lose(&mut self, object: String, what: String, instead: &str) {
        self.lost.push(Finding { object, what, instead: instead.to_owned() });
    }

    fn restrict(&mut self, object: String, what: String, instead: &str) {
        self.for_older.push(Finding { object, what, instead: instead.to_owned() });
    }
}

fn table_changes(changes: &mut Changes, name: &str, was: &Table, is: &Table) {
    for option in was.options.symmetric_difference(&is.options) {
        let phrase = if was.options.contains(option) { "is no longer" } else { "is now" };
        changes.lose(
            format!("table {name}"),
            format!("table {name} {phrase} {option}"),
            "give the new table of the rebuild the same options as the old one",
        );
    }
    for (column, before) in &was.columns {
        let object = format!("table {name}: column {column}");
        match is.columns.get(column) {
            None => changes.lose(
                object,
                format!("column {column} of table {name} is gone"),
                &format!("leave the column; to rename it, cargo migration new NAME --rename {name}.{column}=… writes the steps that keep both"),
            ),
            Some(now) => column_changes(changes, name, column, before, now),
        }
    }
    for (column, now) in is.columns.iter().filter(|(column, _)| !was.columns.contains_key(*column)) {
        if now.not_null && now.default.is_none() && now.generated.is_none() && was.kind == "table" {
            changes.lose(
                format!("table {name}: column {column}"),
                format!("the new column {column} of table {name} may not be null and has no default, so that inserts that do not know it fail"),
                &format!("give it a default ({column} {} NOT NULL DEFAULT …), or let it be null", now.kind.to_uppercase()),
            );
        }
    }
    if was.kind == "table" {
        check_changes(changes, name, was, is);
        key_changes(changes, name, was, is);
    }
}

fn column_changes(changes: &mut Changes, table: &str, column: &str, was: &Column, is: &Column) {
    let object = || format!("table {table}: column {column}");
    let plain = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    for (what, before, now) in [
        ("type", was.kind.clone(), is.kind.clone()),
        ("default", plain(&was.default), plain(&is.default)),
        ("collation", plain(&was.collation), plain(&is.collation)),
        ("expression", plain(&was.generated), plain(&is.generated)),
        ("place in the primary key", was.key.to_string(), is.key.to_string()),
    ] {
        // Where a value had to be given, a default changes nothing for a program that gives one.
        let is_relaxed = what == "default" && was.not_null && was.default.is_none();
        if before != now && !is_relaxed {
            let instead = match what {
                "expression" => {
                    "leave how the column is computed, and add another column: one that is computed anew can hide rows"
                }
                "type" => {
                    "leave the column, and add one of the other type under a name of its own, filled from the old one"
                }
                _ => "keep the column's words in the new table of the rebuild, and let the program give another value",
            };
            changes.lose(
                object(),
                format!("the {what} of column {column} of table {table} is {now} and was {before}"),
                instead,
            );
        }
    }
    match (was.not_null, is.not_null) {
        (false, true) => changes.lose(
            object(),
            format!("column {column} of table {table} may no longer be null"),
            "let it be null as before, and check it in the program; rows of before have no value there",
        ),
        (true, false) => changes.restrict(
            object(),
            format!("column {column} of table {table} may be null now, which an older program cannot read"),
            "add another column that may be null, or do not lower the floor",
        ),
        _ => {}
    }
}

fn check_changes(changes: &mut Changes, name: &str, was: &Table, is: &Table) {
    let columns = |check: &str| -> BTreeSet<String> {
        check.split(' ').filter(|word| is.columns.contains_key(*word)).map(str::to_owned).collect()
    };
    let added: Vec<&String> = is.checks.difference(&was.checks).collect();
    for gone in was.checks.difference(&is.checks) {
        if let Some(instead) = added.iter().find(|check| columns(check) == columns(gone)) {
            changes.restrict(
                format!("table {name}"),
                format!("CHECK ({gone}) of table {name} is CHECK ({instead}) now, so that there can be values which an older program cannot read"),
                "put the new values into a new column, or do not lower the floor",
            );
        } else {
            changes.lose(format!("table {name}"), format!("CHECK ({gone}) of table {name} is gone"), REBUILD);
        }
    }
    for check in added {
        let replaces = was.checks.difference(&is.checks).any(|gone| columns(gone) == columns(check));
        if !replaces && columns(check).iter().any(|column| was.columns.contains_key(column)) {
            changes.restrict(
                format!("table {name}"),
                format!("CHECK ({check}) was added to table {name}, which an older program does not know of"),
                "check it in the new program, or do not lower the floor",
            );
        }
    }
}

fn key_changes(changes: &mut Changes, name: &str, was: &Table, is: &Table) {
    for (columns, what) in &was.foreign_keys {
        match is.foreign_keys.get(columns) {
            None => changes.lose(
                format!("table {name}: column {columns}"),
                format!("the foreign key ({columns}) of table {name} is gone"),
                REBUILD,
            ),
            Some(now) if now != what => changes.lose(
                format!("table {name}: column {columns}"),
                format!("the foreign key ({columns}) of table {name} {now} now, and {what} before"),
                REBUILD,
            ),
            Some(_) => {}
        }
    }
    let old = |columns: &str| columns.split(", ").all(|column| was.columns.contains_key(column));
    for (columns, what) in is.foreign_keys.iter().filter(|(columns, _)| !was.foreign_keys.contains_key(*columns)) {
        if old(columns) {
            changes.restrict(
                format!("table {name}: column {columns}"),
                format!("a foreign key ({columns}) that {what} was added to table {name}, which an older program does not know of"),
                "put it on a new column, or do not lower the floor",
            );
        }
    }
    for unique in was.unique.difference(&is.unique) {
        changes.lose(format!("table {name}"), format!("UNIQUE ({unique}) of table {name} is gone"), REBUILD);
    }
    for unique in is.unique.difference(&was.unique) {
        changes.restrict(
            format!("table {name}"),
            format!("UNIQUE ({unique}) was added to table {name}, which an older program does not know of"),
            "let a plain index help to find duplicates, or do not lower the floor",
        );
    }
}
