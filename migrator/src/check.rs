//! Did the migrations lose anything?
//!
//! Asked inside their transaction, before it commits, by comparing with what was there before:
//! every object of the schema, every row (by number, per table), every foreign key that held.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbErr};

use crate::database::{number, rows};
use crate::error::{sqlite_code, words};
use crate::schema::{Listing, part_of_other, quoted};

/// A foreign key that does not hold: table, rowid (none without rowid) and the table it points to.
type Violation = (String, Option<i64>, String);

/// What was there before the migrations.
#[derive(Debug)]
pub struct Before {
    /// The schema.
    pub schema: Listing,
    rows: BTreeMap<String, i64>,
    indexed: BTreeMap<String, i64>,
    violations: BTreeMap<Violation, usize>,
}

impl Before {
    /// Returns a sentence for each row that refers to none. One row may do so more than once, by columns of its own.
    pub(crate) fn references(&self) -> Vec<String> {
        sentences(&self.violations)
    }
}

fn sentences(violations: &BTreeMap<Violation, usize>) -> Vec<String> {
    let sentence = |((table, rowid, parent), number): (&Violation, &usize)| match (rowid, number) {
        (Some(rowid), _) => format!("row {rowid} of table {table} refers to a row of table {parent} that is not there"),
        // These rows have no numbers.
        (None, 1) => format!("a row of table {table} refers to a row of table {parent} that is not there"),
        (None, number) => format!("{number} rows of table {table} refer to rows of table {parent} that are not there"),
    };
    violations.iter().map(sentence).collect()
}

/// Returns a sentence for each row that refers to none.
///
/// # Errors
///
/// SQLite's.
pub(crate) async fn references(connection: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    Ok(sentences(&violations(connection).await?))
}

/// Remembers what is there.
///
/// # Errors
///
/// SQLite's.
pub async fn before(connection: &impl ConnectionTrait, schema: &Listing) -> Result<Before, DbErr> {
    Ok(Before {
        schema: schema.clone(),
        rows: row_counts(connection).await?,
        indexed: indexed_counts(connection).await?,
        violations: violations(connection).await?,
    })
}

/// Compares with what was there before. `steps` are the migrations with the schema after each.
/// Returns the sentence that says what is wrong, if anything is.
///
/// # Errors
///
/// SQLite's.
pub async fn after(
    connection: &impl ConnectionTrait,
    before: &Before,
    steps: &[(String, Listing)],
) -> Result<Option<String>, DbErr> {
    if let Some(problem) = lost_object(&before.schema, steps) {
        return Ok(Some(problem));
    }
    let who = culprits(steps);
    let counts = row_counts(connection).await?;
    for (table, was) in &before.rows {
        let is = counts.get(table).copied().unwrap_or(0);
        if is < *was {
            return Ok(Some(format!("{who} would leave table {table} with {is} rows where there were {was}")));
        }
    }
    let indexed = indexed_counts(connection).await?;
    // A text that a migration changed in SQL is taken out of the index, and put in again by the app's next start.
    let stale = stale_records(connection).await?;
    for (table, was) in &before.indexed {
        let is = indexed.get(table).copied().unwrap_or(0);
        if is + stale < *was {
            return Ok(Some(format!(
                "{who} would leave the full-text index {table} with {is} entries where there were {was}"
            )));
        }
    }
    let now = match violations(connection).await {
        Ok(now) => now,
        // SQLITE_ERROR: "foreign key mismatch", the columns referred to are not unique any more.
        Err(error) if sqlite_code(&error) == Some(1) => {
            return Ok(Some(format!("{who} would leave a foreign key that cannot hold: {}", words(&error))));
        }
        Err(error) => return Err(error),
    };
    for (violation, number) in now {
        if number > before.violations.get(&violation).copied().unwrap_or(0) {
            let (table, rowid, parent) = violation;
            let row = rowid.map_or_else(|| "a row".to_owned(), |rowid| format!("row {rowid}"));
            return Ok(Some(format!(
                "{who} would leave {row} of table {table} without the row of table {parent} that it refers to"
            )));
        }
    }
    if let Some(table) = untrue_search(connection).await? {
        return Ok(Some(format!(
            "{who} would leave the full-text index {table} other than the rows that it is to find"
        )));
    }
    let found = quick_check(connection).await?;
    if !found.is_empty() {
        let found = found.iter().take(5).map(String::as_str).collect::<Vec<_>>().join("; ");
        return Ok(Some(format!("{who} would leave a database that is not consistent: {found}")));
    }
    Ok(None)
}

const FULL_TEXT: &str = "SELECT name FROM sqlite_schema
    WHERE type = 'table' AND sql LIKE 'create virtual table%' AND sql LIKE '%using fts5%'";

/// Counts the entries of every full-text index that keeps a size for each. One without content cannot be compared with any,
/// so that it still has as many entries is what can be known.
async fn indexed_counts(connection: &impl ConnectionTrait) -> Result<BTreeMap<String, i64>, DbErr> {
    let mut counts = BTreeMap::new();
    for row in rows(connection, FULL_TEXT, []).await? {
        let table: String = row.try_get_by_index(0)?;
        let sizes = format!("{table}_docsize");
        let there = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?";
        let there = rows(connection, there, [sizes.as_str().into()]).await?;
        if there.first().map_or(Ok(0), |row| row.try_get_by_index::<i64>(0))? > 0 {
            let count = number(connection, &format!("SELECT count(*) FROM {}", quoted(&sizes))).await?;
            counts.insert(table, count);
        }
    }
    Ok(counts)
}

/// Counts the records that the app has yet to put into the search index (see m0003).
async fn stale_records(connection: &impl ConnectionTrait) -> Result<i64, DbErr> {
    let known = "SELECT count(*) FROM pragma_table_info('record') WHERE name = 'fold_version'";
    match number(connection, known).await? {
        0 => Ok(0),
        _ => number(connection, "SELECT count(*) FROM record WHERE fold_version = 0").await,
    }
}

/// Finds a full-text index that does not fit its content, such as one that was made anew and not filled:
/// <https://www.sqlite.org/fts5.html#the_integrity_check_command>. The other checks see only its tables.
async fn untrue_search(connection: &impl ConnectionTrait) -> Result<Option<String>, DbErr> {
    for row in rows(connection, FULL_TEXT, []).await? {
        let table: String = row.try_get_by_index(0)?;
        let name = quoted(&table);
        let check = format!("INSERT INTO {name} ({name}, rank) VALUES ('integrity-check', 1)");
        match connection.execute_unprepared(&check).await {
            Ok(_) => {}
            // SQLITE_CORRUPT_VTAB
            Err(error) if sqlite_code(&error) == Some(11 | 1 << 8) => return Ok(Some(table)),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Returns what SQLite's `quick_check` complains of: at most so many lines as say of each index what is wrong, none if all is well.
///
/// # Errors
///
/// SQLite's.
pub(crate) async fn quick_check(connection: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let mut lines: Vec<String> = Vec::new();
    for row in rows(connection, "PRAGMA quick_check(1000)", []).await? {
        lines.push(row.try_get_by_index::<String>(0)?.replace('\n', ", "));
    }
    lines.retain(|line| line != "ok");
    Ok(lines)
}

/// Finds an object that was there before or after any of the steps and is not there at the end.
///
/// A trigger, a view, a virtual table or a plain index may be replaced by one of the same name: a full-text
/// index that takes in a further column needs that, and a plain index neither holds data nor refuses any.
/// A unique index and the kind of a table must stay what they were.
fn lost_object(before: &Listing, steps: &[(String, Listing)]) -> Option<String> {
    let (_, end) = steps.last()?;
    let states: Vec<&Listing> = std::iter::once(before).chain(steps.iter().map(|(_, schema)| schema)).collect();
    for (position, state) in states.iter().enumerate() {
        for (name, what) in state.iter() {
            let later = || steps.iter().skip(position);
            match end.get(name) {
                None if !part_of_other(name, end) => {
                    let who = later().find(|(_, schema)| schema.get(name).is_none());
                    let who = who.map_or("", |(migration, _)| migration);
                    return Some(format!("migration {who} would leave the database without {name}"));
                }
                Some(now) if now != what && must_stay(name, what, now) => {
                    let who = later().find(|(_, schema)| schema.get(name) != Some(what));
                    let who = who.map_or("", |(migration, _)| migration);
                    return Some(format!("migration {who} would make {name} '{now}' where it was '{what}'"));
                }
                _ => {}
            }
        }
    }
    None
}

fn must_stay(name: &str, what: &str, now: &str) -> bool {
    let is_table = name.starts_with("table ") && !name.contains(": ");
    let is_unique = [what, now].iter().any(|index| index.starts_with("create unique"));
    name.starts_with("index ") && is_unique || is_table && !what.starts_with("create virtual")
}

fn culprits(steps: &[(String, Listing)]) -> String {
    match steps {
        [(only, _)] => format!("migration {only}"),
        [(first, _), .., (last, _)] => format!("the migrations from {first} to {last}"),
        [] => "the upgrade".to_owned(),
    }
}

/// Counts the rows of every ordinary table. Not those of full-text indexes and their shadow
/// tables, which hold what other tables do, nor SQLite's own.
async fn row_counts(connection: &impl ConnectionTrait) -> Result<BTreeMap<String, i64>, DbErr> {
    let sql = "SELECT name FROM pragma_table_list
        WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let mut counts = BTreeMap::new();
    for row in rows(connection, sql, []).await? {
        let table: String = row.try_get_by_index(0)?;
        let count = number(connection, &format!("SELECT count(*) FROM {}", quoted(&table))).await?;
        counts.insert(table, count);
    }
    Ok(counts)
}

async fn violations(connection: &impl ConnectionTrait) -> Result<BTreeMap<Violation, usize>, DbErr> {
    let mut found = BTreeMap::new();
    for row in rows(connection, "PRAGMA foreign_key_check", []).await? {
        let violation = (row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        *found.entry(violation).or_insert(0) += 1;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(names: &[&str]) -> Listing {
        Listing::parse(&names.iter().map(|name| format!("{name}\tsame\n")).collect::<String>())
    }

    #[test]
    fn the_migration_that_lost_an_object_is_named() {
        let before = listing(&["index a", "table t"]);
        let steps =
            |second: &[&str], third: &[&str]| [("m2".to_owned(), listing(second)), ("m3".to_owned(), listing(third))];
        let lost = |second: &[&str], third: &[&str]| lost_object(&before, &steps(second, third));
        assert_eq!(lost(&["index a", "table t"], &["index a", "table t", "view v"]), None);
        assert_eq!(lost(&["table t"], &["index a", "table t"]), None, "made again in time");
        assert_eq!(
            lost(&["table t"], &["table t"]).as_deref(),
            Some("migration m2 would leave the database without index a")
        );
        assert_eq!(
            lost(&["index a", "index b", "table t"], &["index a", "table t"]).as_deref(),
            Some("migration m3 would leave the database without index b"),
            "also one that an earlier migration of the same upgrade had made"
        );
    }

    #[test]
    fn a_plain_index_may_be_replaced_by_one_of_the_same_name_and_a_unique_one_not() {
        let replaced = |before: &str, after: &str| {
            let listing = |what: &str| Listing::parse(&format!("index a\t{what}\ntable t\ttable strict\n"));
            lost_object(&listing(before), &[("m2".to_owned(), listing(after))])
        };
        assert_eq!(replaced("create index a on t(b)", "create index a on t(c,b)"), None);
        for (before, after) in [
            ("create unique index a on t(b)", "create unique index a on t(c,b)"),
            ("create unique index a on t(b)", "create index a on t(b)"),
            ("create index a on t(b)", "create unique index a on t(b)"),
        ] {
            let expected = format!("migration m2 would make index a '{after}' where it was '{before}'");
            assert_eq!(replaced(before, after), Some(expected));
        }
    }
}
