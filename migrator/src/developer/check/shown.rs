//! The rule *older-programs*: would an older program show what the newer one hides?
//!
//! Its statements still prepare, and that is the trouble: they choose rows as they always did. So with a lowered floor nothing may be
//! new by which rows could be chosen. Here the schema is looked at: a new column of a table that the older program shows, or a new table
//! that refers to it, is refused if it is about people or a state, by its reference, by its name, or because a condition of an index or
//! a view asks for it; and so is a condition on an old column with a word that no row has. [`reading`](super::reading) looks at statements.
//!
//! Both refuse more than they have to: the release itself is a floor that is always right.

use std::collections::BTreeSet;

use super::content::Content;
use super::listing::Listing;
use super::reading::{INSTEAD, is_query};
use super::schema::Finding;
use crate::schema::words;

/// Parts of names that say who may see something, or that it is not there any more.
const TELLING: [&str; 62] = [
    "access",
    "active",
    "adult",
    "adults",
    "allow",
    "allowed",
    "archive",
    "archived",
    "audience",
    "ban",
    "banned",
    "block",
    "blocked",
    "child",
    "children",
    "confidential",
    "deleted",
    "denied",
    "deny",
    "disabled",
    "draft",
    "embargo",
    "enabled",
    "except",
    "exception",
    "exceptions",
    "exclude",
    "excluded",
    "expired",
    "expires",
    "gone",
    "grant",
    "granted",
    "group",
    "guest",
    "guests",
    "hidden",
    "hide",
    "member",
    "members",
    "only",
    "permission",
    "permissions",
    "permitted",
    "private",
    "published",
    "reader",
    "readers",
    "removed",
    "restricted",
    "revoked",
    "role",
    "roles",
    "secret",
    "share",
    "shared",
    "suspended",
    "trash",
    "trashed",
    "until",
    "viewer",
    "visible",
];

/// What a person is in the schema.
const PEOPLE: &str = "user";

/// Returns what of the new schema could hide rows that an older release with these statements shows.
pub(crate) fn hiding(was: &Listing, is: &Listing, content: &Content, statements: &[String]) -> Vec<Finding> {
    let look = Look { was, is, content, shown: read_by(statements, was) };
    let mut found = look.columns();
    found.extend(look.tables());
    found.extend(look.new_words());
    found
}

struct Look<'a> {
    was: &'a Listing,
    is: &'a Listing,
    content: &'a Content,
    /// The old tables that the older release reads.
    shown: BTreeSet<String>,
}

impl Look<'_> {
    fn columns(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let about_people = self.about_people();
        for (table, was) in self.was.tables.iter().filter(|(name, _)| self.shown.contains(*name)) {
            let Some(is) = self.is.tables.get(table) else { continue };
            for (column, now) in is.columns.iter().filter(|(column, _)| !was.columns.contains_key(*column)) {
                let refers = is.foreign_keys.get(column).map(|what| parent(what));
                let why = if refers.is_some_and(|parent| parent == PEOPLE || about_people.contains(parent)) {
                    "it refers to people"
                } else if telling(column) {
                    "by its name it may say who sees a row, or that it is gone"
                } else if now.generated.is_some() && is_condition(now.generated.as_deref().unwrap_or_default()) {
                    "it is computed by a condition"
                } else if self.conditions().any(|(of, condition)| of == table && condition.contains(column)) {
                    "a condition asks for it"
                } else {
                    continue;
                };
                found.push(Finding {
                    object: format!("table {table}: column {column}"),
                    what: format!(
                        "the new column {column} of table {table} could hide rows ({why}), and an older program shows all of them"
                    ),
                    instead: INSTEAD.to_owned(),
                });
            }
        }
        found
    }

    fn tables(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for (name, table) in self.is.tables.iter().filter(|(name, _)| !self.was.tables.contains_key(*name)) {
            let parents: BTreeSet<&str> = table.foreign_keys.values().map(|what| parent(what)).collect();
            let Some(old) = parents.iter().find(|parent| **parent != PEOPLE && self.shown.contains(**parent)) else {
                continue;
            };
            let names = || std::iter::once(name).chain(table.columns.keys());
            let why = if parents.contains(PEOPLE) {
                "it relates them to people".to_owned()
            } else if let Some(name) = names().find(|name| telling(name)) {
                format!("by the name {name} it may say who sees them, or that they are gone")
            } else {
                continue;
            };
            found.push(Finding {
                object: format!("table {name}"),
                what: format!(
                    "the new table {name} could hide rows of table {old} ({why}), and an older program shows all of them"
                ),
                instead: INSTEAD.to_owned(),
            });
        }
        found
    }

    /// Conditions with a word for an old column of few words that no row has there.
    fn new_words(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for (table, column, known) in self.content.columns_of_few_words() {
            if !self.shown.contains(table) {
                continue;
            }
            for new in self.new_texts(table) {
                let Some(word) = asked_words(&new, column).into_iter().find(|word| !known.contains(word)) else {
                    continue;
                };
                found.push(Finding {
                    object: format!("table {table}: column {column}"),
                    what: format!("{column} of table {table} can be '{word}' now, by which an older program does not know who sees a row"),
                    instead: INSTEAD.to_owned(),
                });
                break;
            }
        }
        found
    }

    /// The texts of what is new or changed about a table.
    fn new_texts(&self, table: &str) -> Vec<String> {
        let others = self.is.others.iter().filter(|(key, other)| self.was.others.get(*key) != Some(*other));
        let mentions = |sql: &str| sql.split(' ').any(|word| word == table);
        let mut texts: Vec<String> =
            others.filter(|(_, (of, sql))| of == table || mentions(sql)).map(|(_, (_, sql))| sql.clone()).collect();
        let (was, is) = (self.was.tables.get(table), self.is.tables.get(table));
        if let (Some(was), Some(is)) = (was, is) {
            texts.extend(is.checks.difference(&was.checks).cloned());
            let new = is.columns.iter().filter(|(name, _)| !was.columns.contains_key(*name));
            texts.extend(new.filter_map(|(_, column)| column.generated.clone()));
        }
        texts
    }

    /// The conditions of indexes and views, each with its table and the names in it.
    fn conditions(&self) -> impl Iterator<Item = (&str, BTreeSet<String>)> {
        self.is.others.iter().filter_map(|((kind, _), (table, sql))| {
            let words: Vec<&str> = sql.split(' ').collect();
            let after = |wanted: &str| words.iter().position(|word| *word == wanted).map(|at| at + 1);
            let names = words.get(after("where")?..)?.iter().map(|word| (*word).to_owned()).collect();
            match kind.as_str() {
                "index" => Some((table.as_str(), names)),
                "view" => Some((*words.get(after("from")?)?, names)),
                // What a trigger asks for says when it writes, and hides nothing.
                _ => None,
            }
        })
    }

    /// The new tables by which something else could be about people: a group's members.
    fn about_people(&self) -> BTreeSet<&str> {
        let mut found: BTreeSet<&str> = BTreeSet::new();
        for (name, table) in self.is.tables.iter().filter(|(name, _)| !self.was.tables.contains_key(*name)) {
            let parents: BTreeSet<&str> = table.foreign_keys.values().map(|what| parent(what)).collect();
            if parents.contains(PEOPLE) {
                found.insert(name);
                found.extend(parents.iter().filter(|parent| !self.was.tables.contains_key(**parent)));
            }
        }
        found
    }
}

/// The table that a foreign key refers to.
fn parent(what: &str) -> &str {
    what.split(' ').nth(1).unwrap_or_default()
}

fn telling(name: &str) -> bool {
    name.split('_').any(|part| TELLING.contains(&part))
}

fn is_condition(expression: &str) -> bool {
    expression.split(' ').any(|word| ["case", "iif"].contains(&word))
}

/// The tables of `listing` that `statements` read.
fn read_by(statements: &[String], listing: &Listing) -> BTreeSet<String> {
    let queries = statements.iter().map(|statement| words(statement)).filter(|words| is_query(words));
    let read = queries.flatten().filter(|word| listing.tables.contains_key(word));
    read.collect()
}

/// The words that a condition compares a column with: `column = 'a'`, `column IN ('a', 'b')`, `CASE column WHEN 'a'`.
fn asked_words(sql: &str, column: &str) -> Vec<String> {
    let all: Vec<&str> = sql.split(' ').collect();
    let literal = |word: &str| word.strip_prefix('\'')?.strip_suffix('\'').map(str::to_owned);
    let mut found = Vec::new();
    for at in all.iter().enumerate().filter(|(_, word)| **word == column).map(|(at, _)| at) {
        let part_of_comparison = |word: &&&str| {
            ["=", "<", ">", "!", "is", "not", "in", "(", ",", "when", "then", "else"].contains(*word)
                || literal(word).is_some()
                || word.parse::<i64>().is_ok()
        };
        let after_when = all[..at].last() == Some(&"case");
        let mut previous = "";
        for word in all[at + 1..].iter().take_while(|word| part_of_comparison(word)) {
            if !after_when || previous == "when" {
                found.extend(literal(word));
            }
            previous = word;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_that_a_condition_asks_for_are_found() {
        let asked = |sql: &str| asked_words(&crate::schema::normalised(sql), "kind").join(" ");
        assert_eq!(asked("CREATE INDEX i ON t (id) WHERE kind = 'a' AND name = 'b'"), "a");
        assert_eq!(asked("... WHERE kind IN ('a', 'b') OR new.\"kind\" <> 'c'"), "a b c");
        assert_eq!(asked("CASE kind WHEN 'a' THEN 'x' WHEN 'b' THEN 0 ELSE 'y' END"), "a b");
        assert_eq!(asked("iif(kind IS NOT 'a', 1, 0)"), "a");
        assert_eq!(asked("SELECT kind, 'b' FROM t WHERE unkind = 'c'"), "b", "more than there is is no harm");
    }

    #[test]
    fn a_name_is_told_by_its_parts() {
        for name in ["hidden", "deleted_at", "record_exception", "for_guests", "role"] {
            assert!(telling(name), "{name}");
        }
        for name in ["colour", "position", "hash", "created_at", "rolex", "label"] {
            assert!(!telling(name), "{name}");
        }
    }
}
