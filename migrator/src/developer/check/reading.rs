//! The rule *older-programs*: by what does this source's app choose rows that an older program does not know?
//!
//! Statements tell it whatever a column or table is called: what the older release reads is now read with a further condition, on
//! something new, and no longer without it. The statements of this source's app are known where it is run (`--older-programs`).

use std::collections::{BTreeMap, BTreeSet};

use super::listing::Listing;
use super::schema::Finding;
use crate::schema::words;

pub(super) const INSTEAD: &str =
    "do not lower the floor: an older program shows all rows that it chooses by what it knows";

/// Returns what the statements `new` of this source's app choose rows by that the statements `old` of an older release, which read
/// the same, did not.
pub(crate) fn narrowing(was: &Listing, is: &Listing, old: &[String], new: &[String]) -> Vec<Finding> {
    let queries = |statements: &[String]| -> Vec<Query> {
        statements
            .iter()
            .map(|statement| words(statement))
            .filter(|words| is_query(words))
            .map(|words| Query::read(&words))
            .collect()
    };
    let (old, new) = (queries(old), queries(new));
    let still: BTreeSet<&str> = new.iter().map(|query| query.rest.as_str()).collect();
    // A table that is read otherwise than before: else the new condition is one that a person may add.
    let read_otherwise: BTreeSet<&String> = old
        .iter()
        .filter(|query| !still.contains(query.rest.as_str()))
        .flat_map(|query| query.tables.iter().filter(|table| was.tables.contains_key(*table)))
        .collect();
    let mut found: BTreeMap<String, Finding> = BTreeMap::new();
    for query in &new {
        for table in query.tables.iter().filter(|table| read_otherwise.contains(table)) {
            let (Some(before), Some(now)) = (was.tables.get(table), is.tables.get(table)) else { continue };
            let others = query.tables.iter().filter(|other| *other != table).filter_map(|other| was.tables.get(other));
            let others: Vec<_> = others.collect();
            let is_new_column = |name: &&String| {
                now.columns.contains_key(*name)
                    && !before.columns.contains_key(*name)
                    && !others.iter().any(|other| other.columns.contains_key(*name))
            };
            let is_new_table = |name: &&String| is.tables.contains_key(*name) && !was.tables.contains_key(*name);
            let Some(name) = query.chooses_by.iter().find(|name| is_new_column(name) || is_new_table(name)) else {
                continue;
            };
            let what =
                if is_new_column(&name) { format!("the new column {name}") } else { format!("the new table {name}") };
            let object = format!("table {table}: column {name}");
            found.entry(object.clone()).or_insert_with(|| Finding {
                object,
                what: format!(
                    "this source's app chooses rows of table {table} by {what}, and an older program shows those that it hides"
                ),
                instead: INSTEAD.to_owned(),
            });
        }
    }
    found.into_values().collect()
}

/// What a query reads, and by what it chooses rows.
#[derive(Debug, Default)]
struct Query {
    /// Everything but the list of what is selected.
    rest: String,
    tables: BTreeSet<String>,
    /// The names in its conditions, and the tables that it joins so that rows without a match are left out.
    chooses_by: BTreeSet<String>,
}

impl Query {
    fn read(words: &[String]) -> Query {
        let mut query = Query::default();
        let from = clause(words, 0, "from").unwrap_or(0);
        query.rest = words[from..].join(" ");
        query.clauses(words);
        query
    }

    /// Goes through the clauses of a query, and those of the queries that it reads from.
    fn clauses(&mut self, words: &[String]) {
        let (mut depth, mut at, mut part, mut is_outer) = (0_usize, 0, Part::Selected, false);
        while let Some(word) = words.get(at) {
            match word.as_str() {
                "(" => {
                    let end = closing(words, at);
                    let inner = &words[at + 1..end];
                    match part {
                        // A query for a value chooses no rows, but says what is read.
                        Part::Selected => self.tables.extend(read(inner)),
                        Part::From => self.clauses_of_source(inner),
                        Part::Condition => self.condition(inner),
                        Part::Other => {}
                    }
                    at = end;
                }
                ")" => depth = depth.saturating_sub(1),
                "from" => part = Part::From,
                "left" if part != Part::Selected => is_outer = true,
                "join" | "," if part == Part::From || word == "join" && part != Part::Selected => {
                    part = Part::From;
                    if let Some(table) = words.get(at + 1).filter(|_| word == "," || !is_outer) {
                        self.chooses_by.insert(table.clone());
                    }
                }
                "on" => part = if std::mem::take(&mut is_outer) { Part::Other } else { Part::Condition },
                "where" | "having" => part = Part::Condition,
                "group" | "order" | "limit" => part = Part::Other,
                "union" | "intersect" | "except" => part = Part::Selected,
                name if part == Part::From => {
                    self.tables.insert(name.to_owned());
                }
                name if part == Part::Condition => {
                    self.chooses_by.insert(name.to_owned());
                }
                _ => {}
            }
            at += 1;
        }
    }

    fn clauses_of_source(&mut self, inner: &[String]) {
        if is_query(inner) {
            self.clauses(inner);
        } else {
            self.tables.extend(inner.iter().cloned());
        }
    }

    fn condition(&mut self, inner: &[String]) {
        self.chooses_by.extend(inner.iter().cloned());
        self.tables.extend(read(inner));
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Selected,
    From,
    Condition,
    /// What orders, groups and limits, and what an outer join looks for.
    Other,
}

/// The tables that are read somewhere in these words.
fn read(words: &[String]) -> impl Iterator<Item = String> {
    words.windows(2).filter(|pair| pair[0] == "from" || pair[0] == "join").map(|pair| pair[1].clone())
}

/// Where a word stands outside of parentheses.
fn clause(words: &[String], from: usize, wanted: &str) -> Option<usize> {
    let mut at = from;
    while let Some(word) = words.get(at) {
        match word.as_str() {
            "(" => at = closing(words, at),
            word if word == wanted => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Where the parenthesis that opens at `open` closes.
fn closing(words: &[String], open: usize) -> usize {
    let mut depth = 0;
    let close = words.iter().enumerate().skip(open).find(|(_, word)| {
        depth += i32::from(*word == "(") - i32::from(*word == ")");
        depth == 0
    });
    close.map_or(words.len() - 1, |(at, _)| at)
}

/// Says whether a statement only reads.
pub(super) fn is_query(words: &[String]) -> bool {
    words.first().is_some_and(|word| word == "select" || word == "with")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(sql: &str) -> (String, String) {
        let query = Query::read(&words(sql));
        let known = |names: &BTreeSet<String>| {
            let known = names.iter().filter(|name| ["a", "b", "c", "x", "y", "z"].contains(&name.as_str()));
            known.cloned().collect::<Vec<_>>().join(" ")
        };
        (known(&query.tables), known(&query.chooses_by))
    }

    #[test]
    fn it_is_found_what_a_query_reads_and_by_what_it_chooses() {
        for (sql, tables, chosen_by) in [
            ("SELECT x FROM a", "a", ""),
            ("SELECT \"a\".\"x\" FROM \"a\" WHERE \"a\".\"y\" = ? ORDER BY z LIMIT ?", "a", "a y"),
            ("SELECT x FROM a JOIN b ON a.y = b.z", "a b", "a b y z"),
            ("SELECT x FROM a LEFT JOIN b ON a.y = b.z", "a b", ""),
            ("SELECT x FROM a LEFT JOIN b ON a.y = b.z WHERE x IS NULL", "a b", "x"),
            ("SELECT x FROM a LEFT JOIN b ON a.y = b.z JOIN c ON c.x = 1", "a b c", "c x"),
            ("SELECT (SELECT count(*) FROM b WHERE b.y = a.x) FROM a", "a b", ""),
            ("SELECT x FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE z = 1)", "a b", "b z"),
            ("SELECT x FROM (SELECT * FROM a WHERE y IN (1, 2)) AS c GROUP BY z HAVING x > 1", "a c", "x y"),
        ] {
            assert_eq!(chosen(sql), (tables.to_owned(), chosen_by.to_owned()), "{sql}");
        }
    }
}
