//! Writes a database down as SQL text: `migrator/releases/<version>.sql`, from which later
//! releases prove their upgrade.
//!
//! ```text
//! cargo run -p migrator --example release_database -- data/live/app.db > migrator/releases/0.1.0.sql
//! ```
//!
//! The text is the same for the same content, and loads with SQLite's `execute_batch` into an
//! empty file. A full-text index is written as its statement and built anew from its table, or, where
//! it has no content, from its own tokens; its shadow tables are left out. The database is only read;
//! stop what writes to it.

use std::io::Write;

use rusqlite::{Connection, OpenFlags, Result};

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: release_database <database>")?;
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let text = dump(&connection)?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// Returns the whole database as SQL text.
fn dump(connection: &Connection) -> Result<String> {
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let mut text = String::from("PRAGMA foreign_keys = OFF;\nPRAGMA journal_mode = WAL;\nBEGIN;\n");
    for name in ["application_id", "user_version"] {
        text.push_str(&format!("PRAGMA {name} = {};\n", pragma(name)?));
    }
    for (name, sql) in objects(connection, "l.type = 'table'")? {
        text.push_str(&format!("{sql};\n"));
        text.push_str(&rows(connection, &name, "")?);
    }
    let counted = "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence'";
    if connection.query_row(counted, [], |row| row.get::<_, i64>(0))? > 0 {
        text.push_str("DELETE FROM sqlite_sequence;\n");
        text.push_str(&rows(connection, "sqlite_sequence", " ORDER BY name")?);
    }
    for (name, sql) in objects(connection, "l.type = 'virtual'")? {
        let table = quoted(&name);
        text.push_str(&format!("{sql};\n"));
        match sql.contains("content = ''") {
            true => text.push_str(&tokens(connection, &name)?),
            false => text.push_str(&format!("INSERT INTO {table} ({table}) VALUES ('rebuild');\n")),
        }
    }
    for kind in ["index", "view", "trigger"] {
        for (_, sql) in objects(connection, &format!("s.type = '{kind}'"))? {
            text.push_str(&format!("{sql};\n"));
        }
    }
    text.push_str("COMMIT;\n");
    Ok(text)
}

/// An INSERT for each entry of a full-text index without content, with its tokens in its first column.
fn tokens(connection: &Connection, table: &str) -> Result<String> {
    connection.execute_batch(&format!(
        "CREATE VIRTUAL TABLE temp.tokens USING fts5vocab('main', {}, 'instance')",
        quoted(table)
    ))?;
    let sql = format!(
        "SELECT 'INSERT INTO {0} (rowid, ' || (SELECT name FROM pragma_table_info('{table}')) || ') VALUES (' || doc || ', '
            || quote(group_concat(term, ' ' ORDER BY term)) || ');' || char(10)
         FROM temp.tokens GROUP BY doc ORDER BY doc",
        quoted(table)
    );
    let mut statement = connection.prepare(&sql)?;
    let text = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<String>>()?;
    drop(statement);
    connection.execute_batch("DROP TABLE temp.tokens")?;
    Ok(text)
}

/// Names and statements of the objects for which `condition` holds, in the order of their names.
fn objects(connection: &Connection, condition: &str) -> Result<Vec<(String, String)>> {
    let sql = format!(
        "SELECT s.name, s.sql FROM sqlite_schema s
         LEFT JOIN pragma_table_list l ON l.schema = 'main' AND l.name = s.name
         WHERE s.sql IS NOT NULL AND s.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND {condition} ORDER BY s.name"
    );
    let mut statement = connection.prepare(&sql)?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// An INSERT for each row of a table, in the order of its primary key.
fn rows(connection: &Connection, table: &str, order: &str) -> Result<String> {
    let mut statement =
        connection.prepare("SELECT name, pk FROM pragma_table_xinfo(?) WHERE hidden = 0 ORDER BY cid")?;
    let columns: Vec<(String, i64)> =
        statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_>>()?;
    let mut key: Vec<&(String, i64)> = columns.iter().filter(|(_, position)| *position > 0).collect();
    key.sort_by_key(|(_, position)| *position);
    let key = if key.is_empty() {
        order.to_owned()
    } else {
        format!(" ORDER BY {}", key.iter().map(|(name, _)| quoted(name)).collect::<Vec<_>>().join(", "))
    };
    let names = columns.iter().map(|(name, _)| quoted(name)).collect::<Vec<_>>().join(", ");
    // quote() ends a text at its first NUL; such a text goes as its bytes.
    let values = columns
        .iter()
        .map(|(name, _)| {
            let name = quoted(name);
            format!(
                "CASE WHEN typeof({name}) = 'text' AND instr(CAST({name} AS BLOB), x'00') > 0
                 THEN 'CAST(x''' || hex(CAST({name} AS BLOB)) || ''' AS TEXT)' ELSE quote({name}) END"
            )
        })
        .collect::<Vec<_>>()
        .join(" || ', ' || ");
    let sql = format!("SELECT {values} FROM {}{key}", quoted(table));
    let mut statement = connection.prepare(&sql)?;
    let mut text = String::new();
    for row in statement.query_map([], |row| row.get::<_, String>(0))? {
        text.push_str(&format!("INSERT INTO {} ({names}) VALUES ({});\n", quoted(table), row?));
    }
    Ok(text)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
