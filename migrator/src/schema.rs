//! What does a database look like, in a form that can be compared, stored and hashed?
//!
//! A [`Listing`] names each object and describes it in one line. It must come out the same
//! whichever SQLite wrote the schema and however its statements were spaced and quoted, so tables
//! are described by what SQLite's pragmas say of them, and only indexes, triggers, views and
//! virtual tables by their statements, in a normal form. Left out are SQLite's own objects
//! (`sqlite_*`), the shadow tables that a full-text index keeps its data in (they differ between
//! versions), and the two books in which migrations are recorded. Not seen are CHECK constraints
//! and collations of columns, which only a table's statement tells.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use sea_orm::{ConnectionTrait, DbErr, QueryResult};

use crate::database::rows;

/// Every object of a schema with its description, in the order of their names.
///
/// `Display` is its text form: a line per object, the name and the description parted by a tab.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    objects: BTreeMap<String, String>,
}

impl Listing {
    /// Reads the schema of a database.
    ///
    /// # Errors
    ///
    /// SQLite's, for instance `SQLITE_CORRUPT`.
    pub async fn read(connection: &impl ConnectionTrait) -> Result<Listing, DbErr> {
        let mut listing = Listing::default();
        for row in rows(connection, TABLES, []).await? {
            let sql = normalised(&string(&row, 2)?);
            let mut what = vec!["table"];
            if row.try_get_by_index::<i64>(3)? != 0 {
                what.push("without rowid");
            }
            if row.try_get_by_index::<i64>(4)? != 0 {
                what.push("strict");
            }
            if sql.split(' ').any(|word| word == "autoincrement") {
                what.push("autoincrement");
            }
            let what = if string(&row, 1)? == "virtual" { sql } else { what.join(" ") };
            listing.add(format!("table {}", string(&row, 0)?), what);
        }
        for row in rows(connection, COLUMNS, []).await? {
            let name = format!("table {}: column {}", string(&row, 0)?, string(&row, 1)?);
            listing.add(name, column(&row)?);
        }
        for row in rows(connection, FOREIGN_KEYS, []).await? {
            let name = format!("table {}: foreign key ({})", string(&row, 0)?, string(&row, 1)?);
            listing.add(name, string(&row, 2)?);
        }
        for row in rows(connection, UNIQUE, []).await? {
            let name = format!("table {}: unique ({})", string(&row, 0)?, string(&row, 1)?);
            listing.add(name, "unique".to_owned());
        }
        for row in rows(connection, STATEMENTS, []).await? {
            let name = format!("{} {}", string(&row, 0)?, string(&row, 1)?);
            listing.add(name, normalised(&string(&row, 2)?));
        }
        Ok(listing)
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Listing {
        let objects = text
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(name, what)| (name.to_owned(), what.to_owned()))
            .collect();
        Listing { objects }
    }

    /// Returns the fingerprint: the first 16 hexadecimal digits of the BLAKE3 hash of the text.
    pub fn fingerprint(&self) -> String {
        let mut hex = blake3::hash(self.to_string().as_bytes()).to_hex().to_string();
        hex.truncate(16);
        hex
    }

    /// Returns the description of an object, such as `table record: column title`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.objects.get(name).map(String::as_str)
    }

    /// Returns the names of all objects with their descriptions.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.objects.iter().map(|(name, what)| (name.as_str(), what.as_str()))
    }

    /// Returns a phrase for each difference between what was expected and what is there.
    /// Of a table that is missing or too many only the table is named, not each column.
    pub fn differences(expected: &Listing, present: &Listing) -> Vec<String> {
        let mut phrases = Vec::new();
        for (name, before) in expected.iter() {
            match present.get(name) {
                None if !part_of_other(name, present) => phrases.push(format!("{name} is missing")),
                Some(now) if now != before => {
                    phrases.push(format!("{name} is '{now}' and was '{before}'"));
                }
                _ => {}
            }
        }
        for (name, _) in present.iter() {
            if expected.get(name).is_none() && !part_of_other(name, expected) {
                phrases.push(format!("{name} was added"));
            }
        }
        phrases
    }

    fn add(&mut self, name: String, what: String) {
        // The text form gives each object one line, so names with line breaks lose them.
        let plain = |text: String| text.replace(['\n', '\r', '\t'], " ");
        self.objects.insert(plain(name), plain(what));
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|(name, what)| writeln!(formatter, "{name}\t{what}"))
    }
}

/// Returns the statements that make the schema, in the order they were given, as SQL text. They
/// are as SQLite stores them, without those for its own and for shadow tables.
///
/// # Errors
///
/// SQLite's.
pub(crate) async fn statements(connection: &impl ConnectionTrait) -> Result<String, DbErr> {
    let sql = "SELECT s.sql FROM sqlite_schema s
        LEFT JOIN pragma_table_list l ON l.schema = 'main' AND l.name = s.name
        WHERE s.sql IS NOT NULL AND ifnull(l.type, '') <> 'shadow'
        AND s.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY s.rowid";
    let mut text = String::new();
    for row in rows(connection, sql, []).await? {
        text.push_str(&format!("{};\n", string(&row, 0)?));
    }
    Ok(text)
}

/// Says whether `name` is a part of a table that `listing` does not have at all.
pub(crate) fn part_of_other(name: &str, listing: &Listing) -> bool {
    name.split_once(": ").is_some_and(|(table, _)| listing.get(table).is_none())
}

const TABLES: &str = "
    SELECT l.name, l.type, ifnull(s.sql, ''), l.wr, l.strict
    FROM pragma_table_list l JOIN sqlite_schema s ON s.name = l.name AND s.type = 'table'
    WHERE l.schema = 'main' AND l.type IN ('table', 'virtual')
    AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
    AND l.name NOT IN ('seaql_migrations', 'migration_ledger')";
const COLUMNS: &str = "
    SELECT l.name, c.name, c.type, c.\"notnull\", c.dflt_value, c.pk, c.hidden
    FROM pragma_table_list l JOIN pragma_table_xinfo(l.name) c
    WHERE l.schema = 'main' AND (l.type = 'table' OR l.type = 'virtual' AND c.hidden = 0)
    AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
    AND l.name NOT IN ('seaql_migrations', 'migration_ledger')";
const FOREIGN_KEYS: &str = "
    SELECT l.name, group_concat(f.\"from\", ', ' ORDER BY f.seq),
        'references ' || f.\"table\" || ifnull(' (' || group_concat(f.\"to\", ', ' ORDER BY f.seq) || ')', '')
        || ' on update ' || lower(f.on_update) || ' on delete ' || lower(f.on_delete)
    FROM pragma_table_list l JOIN pragma_foreign_key_list(l.name) f
    WHERE l.schema = 'main' AND l.type = 'table'
    AND l.name NOT IN ('seaql_migrations', 'migration_ledger')
    GROUP BY l.name, f.id";
const UNIQUE: &str = "
    SELECT l.name, group_concat(c.name, ', ' ORDER BY c.seqno)
    FROM pragma_table_list l JOIN pragma_index_list(l.name) i JOIN pragma_index_info(i.name) c
    WHERE l.schema = 'main' AND l.type = 'table' AND i.origin = 'u'
    AND l.name NOT IN ('seaql_migrations', 'migration_ledger')
    GROUP BY l.name, i.name";
const STATEMENTS: &str = "
    SELECT type, name, sql FROM sqlite_schema
    WHERE type IN ('index', 'trigger', 'view') AND sql IS NOT NULL
    AND tbl_name NOT IN ('seaql_migrations', 'migration_ledger')";

fn column(row: &QueryResult) -> Result<String, DbErr> {
    let mut what = string(row, 2)?.to_lowercase();
    if row.try_get_by_index::<i64>(3)? != 0 {
        what.push_str(" not null");
    }
    if let Some(value) = row.try_get_by_index::<Option<String>>(4)? {
        what.push_str(&format!(" default {}", normalised(&value)));
    }
    match row.try_get_by_index::<i64>(5)? {
        0 => {}
        position => what.push_str(&format!(" primary key {position}")),
    }
    // 2 and 3: https://www.sqlite.org/pragma.html#pragma_table_xinfo
    match row.try_get_by_index::<i64>(6)? {
        2 => what.push_str(" generated virtual"),
        3 => what.push_str(" generated stored"),
        _ => {}
    }
    Ok(what.trim_start().to_owned())
}

fn string(row: &QueryResult, index: usize) -> Result<String, DbErr> {
    row.try_get_by_index(index)
}

/// Returns `name` as an SQL identifier, in quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns a statement in a form that does not depend on how it was written: one space between
/// its words, no comments, lower case outside of literals, quotes only around names that need them.
pub(crate) fn normalised(sql: &str) -> String {
    words(sql).join(" ")
}

/// Returns the words of that form.
pub(crate) fn words(sql: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut rest = sql.chars().peekable();
    while let Some(first) = rest.next() {
        match first {
            space if space.is_whitespace() => {}
            '-' if rest.peek() == Some(&'-') => while rest.next().is_some_and(|c| c != '\n') {},
            '/' if rest.peek() == Some(&'*') => skip_comment(&mut rest),
            '\'' => words.push(format!("'{}'", until('\'', &mut rest).replace('\'', "''"))),
            '"' | '`' => words.push(name(&until(first, &mut rest))),
            '[' => words.push(name(&until(']', &mut rest))),
            letter if part_of_word(letter) => {
                let mut word = letter.to_string();
                while let Some(next) = rest.next_if(|next| part_of_word(*next)) {
                    word.push(next);
                }
                words.push(word.to_lowercase());
            }
            other => words.push(other.to_string()),
        }
    }
    words
}

fn part_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '$'
}

fn skip_comment(rest: &mut Peekable<Chars<'_>>) {
    rest.next();
    while let Some(next) = rest.next() {
        if next == '*' && rest.next_if_eq(&'/').is_some() {
            return;
        }
    }
}

/// Returns what stands before the closing quote; a doubled one stands for itself.
fn until(close: char, rest: &mut Peekable<Chars<'_>>) -> String {
    let mut inside = String::new();
    while let Some(next) = rest.next() {
        if next == close && (close == ']' || rest.next_if_eq(&close).is_none()) {
            break;
        }
        inside.push(next);
    }
    inside
}

fn name(inside: &str) -> String {
    let plain = !inside.is_empty()
        && inside.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !inside.starts_with(|c: char| c.is_ascii_digit());
    if plain { inside.to_lowercase() } else { quoted(inside) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_means_the_same_however_it_is_written() {
        let plain = normalised("CREATE INDEX record_due ON record (due_date, id) WHERE title <> 'A  b'");
        for other in [
            "create index record_due\n\ton \"record\"(\"due_date\",id) where title<>'A  b'",
            "CREATE INDEX [record_due] ON `record` (due_date, /* newest */ id) -- why\nWHERE title <> 'A  b'",
        ] {
            assert_eq!(normalised(other), plain);
        }
        assert_ne!(normalised("SELECT 'A b'"), normalised("SELECT 'a b'"));
        assert_eq!(normalised("SELECT 'it''s', \"odd name\""), "select 'it''s' , \"odd name\"");
    }

    #[test]
    fn differences_name_table_and_column() {
        let was = Listing::parse("table a\ttable\ntable a: column x\ttext\ntable b\ttable\ntable b: column y\ttext\n");
        let is = Listing::parse("table a\ttable\ntable c\ttable\ntable c: column z\ttext\n");
        assert_eq!(
            Listing::differences(&was, &is),
            ["table a: column x is missing", "table b is missing", "table c was added"]
        );
        assert_eq!(Listing::parse(&was.to_string()), was);
    }
}
