//! What did a release's API add to the database of the release before?
//!
//! `migrator/releases/<version>.delta.sql` is a release's database as the difference to the one of the release before, upgraded as far
//! as this release knew. So it grows old as a household's does, and each release stores only what is new. The file is plain SQL for
//! the rows, by their keys; its first lines say what to apply it to:
//!
//! ```text
//! -- from: 0.5.0
//! -- migrations: m0001_records m0002_accounts m0003_search_and_changes
//! -- schema: 711e98a534c6e9a9
//! -- inputs: 0123456789abcdef
//! ```
//!
//! Rows that come out differently each time, such as the ledger's times, are in the file even if the upgrade makes them, so
//! that the database is the same whenever it is made.

use std::path::Path;

use rusqlite::Connection;
use semver::Version;

use super::Problem;
use super::content::{Content, Kind, Table};
use crate::schema::quoted;

/// What the first lines of a delta say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The release before.
    pub from: Version,
    /// The migrations that this release knew, in the order they were applied.
    pub migrations: Vec<String>,
    /// The fingerprint of the schema that they make.
    pub schema: String,
    /// What the database was made by and from, hashed: while that is the same, it is not made again.
    pub inputs: String,
}

impl Header {
    /// Reads the first lines of a delta.
    ///
    /// # Errors
    ///
    /// Says which line is missing.
    pub fn parse(text: &str) -> Result<Header, Problem> {
        let line = |name: &str| {
            let begin = format!("-- {name}: ");
            let lines = text.lines().take_while(|line| line.starts_with("--"));
            let found = lines.filter_map(|line| line.strip_prefix(&begin)).next();
            found.ok_or_else(|| Problem::new(format!("the line \"{begin}…\" is missing at its beginning")))
        };
        let from = line("from")?;
        Ok(Header {
            from: Version::parse(from)
                .map_err(|_| Problem::new(format!("it is from {from:?}, which is no version")))?,
            migrations: line("migrations")?.split_whitespace().map(str::to_owned).collect(),
            schema: line("schema")?.to_owned(),
            inputs: line("inputs")?.to_owned(),
        })
    }

    fn text(&self) -> String {
        format!(
            "-- A release's database: what its API added to the database of the release before, upgraded (see cargo release).\n\
             -- from: {}\n-- migrations: {}\n-- schema: {}\n-- inputs: {}\n",
            self.from,
            self.migrations.join(" "),
            self.schema,
            self.inputs
        )
    }
}

/// Returns the delta as text.
///
/// `bases` are two upgrades of the database of the release before, made independently: what they do not agree on is not left to an
/// upgrade to make. `before` is that database itself; the ledger's new rows, whose times may agree by chance, are known from it.
///
/// # Errors
///
/// Says what a delta cannot hold.
pub fn write(header: &Header, before: &Content, bases: [&Content; 2], target: &Content) -> Result<String, Problem> {
    if let Some((of, name, _)) = bases[0].schema.symmetric_difference(&target.schema).next() {
        return Err(Problem::new(format!(
            "{of} {name} is not in the release's database as the migrations make it, so its app changed the schema"
        )));
    }
    let (mut deletes, mut inserts, mut last) = (String::new(), String::new(), String::new());
    let empty = Table::default();
    let of = |content: &Content, name: &str| content.tables.get(name).unwrap_or(&empty).clone();
    for (name, table) in &target.tables {
        let quoted = quoted(name);
        match table.kind {
            Kind::Rebuilt => last.push_str(&format!("INSERT INTO {quoted} ({quoted}) VALUES ('rebuild');\n")),
            Kind::Sequence => {
                last.push_str(&format!("DELETE FROM {quoted};\n"));
                table.rows.iter().for_each(|row| last.push_str(&format!("{}\n", row.insert)));
            }
            Kind::Ordinary | Kind::Tokens => {
                let (one, other, before) = (of(bases[0], name), of(bases[1], name), of(before, name));
                let (one, other, before) = (one.by_key(), other.by_key(), before.by_key());
                let is_book = ["migration_ledger", "seaql_migrations"].contains(&name.as_str());
                let target = table.by_key();
                // The same in both, and no row of the books that the upgrade wrote.
                let settled = |key: &str| one.get(key) == other.get(key) && (!is_book || before.contains_key(key));
                if let Some(key) = one.keys().find(|key| !other.contains_key(*key)) {
                    return Err(Problem::new(format!(
                        "a migration gives table {name} a row with another key each time it runs: {key}"
                    )));
                }
                for key in one.keys().filter(|key| !settled(key) || target.get(*key) != one.get(*key)) {
                    deletes.push_str(&format!("DELETE FROM {quoted} WHERE {key};\n"));
                }
                for row in &table.rows {
                    let is_there = settled(&row.key) && one.get(row.key.as_str()) == Some(&row.insert.as_str());
                    if !is_there {
                        inserts.push_str(&format!("{}\n", row.insert));
                    }
                }
            }
        }
    }
    let mark = format!("PRAGMA user_version = {};\n", target.user_version);
    Ok(header.text() + &mark + &deletes + &inserts + &last)
}

/// Puts the rows of a delta into a database that is upgraded as far as its header says, in one transaction. No trigger fires
/// meanwhile.
///
/// # Errors
///
/// SQLite's.
pub fn apply(connection: &mut Connection, text: &str) -> rusqlite::Result<()> {
    connection.pragma_update(None, "foreign_keys", false)?;
    let transaction = connection.transaction()?;
    let sql = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY rowid";
    let triggers: Vec<(String, String)> = transaction
        .prepare(sql)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (name, _) in &triggers {
        transaction.execute_batch(&format!("DROP TRIGGER {}", quoted(name)))?;
    }
    transaction.execute_batch(text)?;
    for (_, sql) in &triggers {
        transaction.execute_batch(sql)?;
    }
    transaction.commit()
}

/// Reads what is in the database at `path`.
///
/// # Errors
///
/// SQLite's, with the path.
pub fn content(path: &Path) -> Result<Content, Problem> {
    let failed = |error| Problem::new(format!("cannot read {}: {error}", path.display()));
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    Content::read(&Connection::open_with_flags(path, flags).map_err(failed)?).map_err(failed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

    use super::*;

    #[test]
    fn the_first_lines_are_read_as_they_were_written() {
        let header = Header {
            from: Version::new(0, 5, 0),
            migrations: vec!["m0001_records".to_owned(), "m0002_accounts".to_owned()],
            schema: "711e98a534c6e9a9".to_owned(),
            inputs: "0123456789abcdef".to_owned(),
        };
        assert_eq!(Header::parse(&(header.text() + "DELETE FROM a;\n-- from: 0.1.0\n")), Ok(header.clone()));
        for line in ["from", "migrations", "schema", "inputs"] {
            let begin = format!("-- {line}: ");
            let without: String = header
                .text()
                .lines()
                .filter(|line| !line.starts_with(&begin))
                .map(|line| format!("{line}\n"))
                .collect();
            assert!(Header::parse(&without).unwrap_err().message.contains(&begin));
        }
        let wrong = header.text().replace("0.5.0", "five");
        assert_eq!(Header::parse(&wrong).unwrap_err().message, "it is from \"five\", which is no version");
    }
}
