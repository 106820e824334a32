//! How is a definition written as SQL, and how is one that is there changed in a single place?

use rusqlite::Connection;

use crate::developer::entity::{Affinity, Column, Entity, ForeignKey};
use crate::schema::quoted;

/// Returns `name` in quotes where SQL needs them.
pub(super) fn plain(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && accepts(&format!("CREATE TABLE {name} ({name} INTEGER DEFAULT 1)"));
    if is_plain { name.to_owned() } else { quoted(name) }
}

fn accepts(sql: &str) -> bool {
    Connection::open_in_memory().and_then(|connection| connection.execute_batch(sql)).is_ok()
}

/// Returns names as they stand in parentheses.
pub(super) fn list(names: &[String]) -> String {
    names.iter().map(|name| plain(name)).collect::<Vec<_>>().join(", ")
}

/// Returns a default as it stands behind `DEFAULT`.
pub(super) fn default(sql: &str) -> String {
    if accepts(&format!("CREATE TABLE t (c DEFAULT {sql})")) { sql.to_owned() } else { format!("({sql})") }
}

/// The value that stands for nothing in a column that may not be null.
pub(super) fn nothing(affinity: Affinity) -> &'static str {
    match affinity {
        Affinity::Integer | Affinity::Numeric => "0",
        Affinity::Real => "0.0",
        Affinity::Text => "''",
        Affinity::Blob => "x''",
    }
}

/// Returns type and constraints of a column that is no primary key.
pub(super) fn definition(column: &Column, key: Option<&ForeignKey>) -> String {
    let mut words = vec![column.affinity.to_string()];
    words.push(if column.nullable { "NULL" } else { "NOT NULL" }.to_owned());
    words.extend(column.default.as_deref().map(|sql| format!("DEFAULT {}", default(sql))));
    words.extend(column.extra.clone());
    words.extend(key.map(references));
    words.join(" ")
}

fn references(key: &ForeignKey) -> String {
    let actions = [("DELETE", &key.on_delete), ("UPDATE", &key.on_update)].into_iter();
    let actions =
        actions.filter_map(|(event, action)| Some((event, action.as_ref().filter(|action| *action != "NO ACTION")?)));
    let actions: String = actions.map(|(event, action)| format!(" ON {event} {action}")).collect();
    format!("REFERENCES {} ({}){actions}", plain(&key.table), list(&key.to))
}

/// Returns the body of a new table.
pub(super) fn body(entity: &Entity) -> String {
    let key: Vec<String> = entity.columns.iter().filter(|one| one.primary_key).map(|one| one.name.clone()).collect();
    let mut parts: Vec<String> = entity
        .columns
        .iter()
        .map(|column| {
            let of_it = |one: &&ForeignKey| one.columns == [column.name.clone()];
            let reference = entity.foreign_keys.iter().find(of_it);
            let name = plain(&column.name);
            if key != [column.name.clone()] {
                return format!("{name} {}", definition(column, reference));
            }
            let kind = match (column.affinity, column.auto_increment) {
                (Affinity::Integer, true) => "INTEGER PRIMARY KEY AUTOINCREMENT".to_owned(),
                (Affinity::Integer, false) => "INTEGER PRIMARY KEY".to_owned(),
                (affinity, _) => format!("{affinity} NOT NULL PRIMARY KEY"),
            };
            let more = column.extra.iter().cloned().chain(reference.map(references));
            [format!("{name} {kind}")].into_iter().chain(more).collect::<Vec<_>>().join(" ")
        })
        .collect();
    if key.len() > 1 {
        parts.push(format!("PRIMARY KEY ({})", list(&key)));
    }
    let of_several = entity.foreign_keys.iter().filter(|one| one.columns.len() > 1);
    parts.extend(of_several.map(|one| format!("FOREIGN KEY ({}) {}", list(&one.columns), references(one))));
    let is_numbered = key.len() == 1 && entity.column(&key[0]).is_some_and(|one| one.affinity == Affinity::Integer);
    // Rows that may be long are better kept by number: https://www.sqlite.org/withoutrowid.html, "When To Use WITHOUT ROWID".
    let may_be_long = |one: &Column| !one.primary_key && one.unbounded;
    let by_number = is_numbered || entity.columns.iter().any(may_be_long);
    let options = if by_number { "STRICT" } else { "STRICT, WITHOUT ROWID" };
    lines(&parts, options)
}

/// Returns a body with one definition a line, as it stands in a migration.
fn lines(parts: &[String], options: &str) -> String {
    let indent = "\n                ";
    format!("({indent}{}\n            ) {options}", parts.join(&format!(",{indent}"))).trim_end().to_owned()
}

/// Returns a body with one definition a line and without comments.
pub(super) fn laid_out(body: &str) -> String {
    let (mut parts, mut part, mut options) = (Vec::new(), String::new(), String::new());
    // What is outside of the table's own parentheses has depth 0.
    let (mut depth, mut is_closed, mut last) = (0, false, 0);
    for (start, end) in tokens(body) {
        let word = &body[start..end];
        let is_apart = start > last;
        last = end;
        match word {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        match (word, depth) {
            ("(", 1) if !is_closed => continue,
            (")", 0) if !is_closed => {
                parts.push(std::mem::take(&mut part));
                is_closed = true;
                continue;
            }
            (",", 1) if !is_closed => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        let text = if is_closed { &mut options } else { &mut part };
        if text.is_empty() && !is_closed {
            // The name of a column; elsewhere a word in these quotes can be a text.
            text.push_str(&if word.starts_with('"') { plain(&unquoted(word)) } else { word.to_owned() });
        } else {
            text.push_str(if is_apart && !text.is_empty() { " " } else { "" });
            text.push_str(word);
        }
    }
    lines(&parts, &options)
}

/// What is changed in the definition of a column.
pub(super) enum Edit<'a> {
    /// It may be null.
    Nullable,
    /// It has this default.
    Default(&'a str),
}

/// Returns the body of a table in which the definition of one column is changed and all else stays as it is written. `sql` is
/// the table's statement or its body. None if the column is not found in it.
pub(super) fn edited(sql: &str, column: &str, edit: &Edit<'_>) -> Option<String> {
    let tokens = tokens(sql);
    let text = |token: &(usize, usize)| &sql[token.0..token.1];
    let open = tokens.iter().position(|token| text(token) == "(")?;
    let (mut depth, mut first) = (0, open + 1);
    let mut own = None;
    for (index, token) in tokens.iter().enumerate().skip(open + 1) {
        match text(token) {
            "(" => depth += 1,
            ")" if depth > 0 => depth -= 1,
            "," | ")" if depth == 0 => {
                if tokens.get(first).is_some_and(|token| unquoted(text(token)).eq_ignore_ascii_case(column)) {
                    own = Some(first..index);
                    break;
                }
                first = index + 1;
            }
            _ => {}
        }
    }
    let own = own?;
    let words: Vec<(usize, usize)> = tokens[own].to_vec();
    let is = |index: usize, word: &str| words.get(index).is_some_and(|token| text(token).eq_ignore_ascii_case(word));
    // Where the clause that is changed begins and ends, as words.
    let found = (1..words.len()).find(|index| match edit {
        Edit::Nullable => is(*index, "NOT") && is(index + 1, "NULL"),
        Edit::Default(_) => is(*index, "DEFAULT"),
    });
    let end = words.last()?.1;
    let start = tokens[open].0;
    let (from, to, with) = match (edit, found) {
        (Edit::Nullable, None) => return None,
        (Edit::Nullable, Some(index)) => (words[index].0, words[index + 1].1, "NULL".to_owned()),
        (Edit::Default(sql), None) => (end, end, format!(" DEFAULT {sql}")),
        (Edit::Default(default), Some(index)) => {
            let mut last = index + 1;
            if is(last, "(") {
                let mut depth = 0;
                while let Some(token) = words.get(last) {
                    match text(token) {
                        "(" => depth += 1,
                        ")" => depth -= 1,
                        _ => {}
                    }
                    if depth == 0 {
                        break;
                    }
                    last += 1;
                }
            } else if is(last, "+") || is(last, "-") {
                last += 1;
            }
            (words[index].0, words.get(last).map_or(end, |token| token.1), format!("DEFAULT {default}"))
        }
    };
    Some(format!("{}{with}{}", &sql[start..from], &sql[to..]))
}

fn unquoted(word: &str) -> String {
    match word.chars().next() {
        Some(quote @ ('"' | '`')) if word.len() > 1 => {
            word[1..word.len() - 1].replace(&format!("{quote}{quote}"), &quote.to_string())
        }
        Some('[') if word.len() > 1 => word[1..word.len() - 1].to_owned(),
        _ => word.to_owned(),
    }
}

/// Returns where each word, literal and sign of SQL begins and ends; comments and blanks are left out.
fn tokens(sql: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut rest = sql.char_indices().peekable();
    while let Some((start, first)) = rest.next() {
        let after = &sql[start + first.len_utf8()..];
        let end = match first {
            space if space.is_whitespace() => continue,
            '-' if after.starts_with('-') => {
                while rest.next_if(|(_, c)| *c != '\n').is_some() {}
                continue;
            }
            '/' if after.starts_with('*') => {
                let end = after[1..].find("*/").map_or(sql.len(), |length| start + 2 + length + 2);
                while rest.next_if(|(at, _)| *at < end).is_some() {}
                continue;
            }
            '\'' | '"' | '`' | '[' => {
                let close = if first == '[' { ']' } else { first };
                let mut end = sql.len();
                while let Some((at, c)) = rest.next() {
                    if c == close && (close == ']' || rest.next_if(|(_, next)| *next == close).is_none()) {
                        end = at + c.len_utf8();
                        break;
                    }
                }
                end
            }
            letter if letter.is_alphanumeric() || letter == '_' || letter == '.' => {
                let mut end = start + first.len_utf8();
                while let Some((at, c)) = rest.next_if(|(_, c)| c.is_alphanumeric() || matches!(c, '_' | '$' | '.')) {
                    end = at + c.len_utf8();
                }
                // A blob's literal is one word: x'00'.
                if sql[start..end].eq_ignore_ascii_case("x") && sql[end..].starts_with('\'') {
                    rest.next();
                    for (at, c) in rest.by_ref() {
                        if c == '\'' {
                            end = at + 1;
                            break;
                        }
                    }
                }
                end
            }
            other => start + other.len_utf8(),
        };
        found.push((start, end));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_definition_is_changed_and_all_else_stays_as_it_is_written() {
        let sql = "CREATE TABLE t (\n  id INTEGER PRIMARY KEY, -- not null\n  \"the, name\" TEXT not /* , */ NULL DEFAULT ')' CHECK (a NOT NULL),\n  n INTEGER NOT NULL DEFAULT -1, b BLOB DEFAULT x'00' NOT NULL,\n  e TEXT DEFAULT (lower('A') || ')'), UNIQUE (n)) STRICT";
        let with = |from: &str, to: &str| {
            assert!(sql.contains(from), "{from}");
            Some(sql["CREATE TABLE t ".len()..].replace(from, to))
        };
        assert_eq!(edited(sql, "the, name", &Edit::Nullable), with("not /* , */ NULL", "NULL"));
        assert_eq!(edited(sql, "THE, NAME", &Edit::Default("'x'")), with("DEFAULT ')'", "DEFAULT 'x'"));
        assert_eq!(edited(sql, "n", &Edit::Default("2")), with("DEFAULT -1", "DEFAULT 2"));
        assert_eq!(edited(sql, "b", &Edit::Nullable), with("x'00' NOT NULL", "x'00' NULL"));
        assert_eq!(edited(sql, "b", &Edit::Default("x'01'")), with("x'00'", "x'01'"));
        assert_eq!(edited(sql, "e", &Edit::Default("''")), with("(lower('A') || ')')", "''"));
        assert_eq!(
            edited(sql, "id", &Edit::Default("1")),
            with("INTEGER PRIMARY KEY,", "INTEGER PRIMARY KEY DEFAULT 1,")
        );
        assert_eq!(edited(sql, "e", &Edit::Nullable), None);
        assert_eq!(edited(sql, "missing", &Edit::Default("1")), None);
    }

    #[test]
    fn a_body_is_laid_out_one_definition_a_line() {
        let body = "(id INTEGER PRIMARY KEY, -- the number\n \"name\" TEXT DEFAULT \"a  b\", \"the , name\"  TEXT\n CHECK (a IN (1,2)), n INT AS (f(1, 2))) STRICT,  WITHOUT ROWID";
        let lines = [
            "(",
            "id INTEGER PRIMARY KEY,",
            "name TEXT DEFAULT \"a  b\",",
            "\"the , name\" TEXT CHECK (a IN (1,2)),",
            "n INT AS (f(1, 2))",
            ") STRICT, WITHOUT ROWID",
        ];
        assert_eq!(laid_out(body).lines().map(str::trim).collect::<Vec<_>>(), lines);
        assert_eq!(laid_out(&laid_out(body)), laid_out(body));
    }

    #[test]
    fn names_are_quoted_where_they_have_to_be() {
        let names = ["name", "order", "group", "the name", "Name", "it\"s", "2nd", "key", "index"];
        let plain: Vec<String> = names.iter().map(|name| plain(name)).collect();
        assert_eq!(
            plain,
            [
                "name",
                "\"order\"",
                "\"group\"",
                "\"the name\"",
                "\"Name\"",
                "\"it\"\"s\"",
                "\"2nd\"",
                "key",
                "\"index\""
            ]
        );
        assert_eq!(
            (default("'x'"), default("lower('X')"), default("-1")),
            ("'x'".into(), "(lower('X'))".into(), "-1".into())
        );
    }
}
