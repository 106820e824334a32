//! Indexes that do not agree with their tables, as a -wal beside another database or a bad sector leaves them.

use rusqlite::Connection;

use super::*;
use crate::work::testing::{ONE, TWO, data};

const PAGE: usize = 4096;

/// A table with fifty rows and an index of each kind.
fn household(data: &DataDir) {
    let database = Connection::open(data.database(ONE)).unwrap();
    database
        .execute_batch(
            "PRAGMA page_size = 4096; PRAGMA journal_mode = DELETE;
             CREATE TABLE t (id INTEGER PRIMARY KEY, mail TEXT UNIQUE, title TEXT, gone INTEGER NOT NULL);
             CREATE INDEX ordinary ON t (title);
             CREATE UNIQUE INDEX only ON t (title, mail);
             CREATE INDEX partial ON t (title) WHERE gone = 0;
             CREATE INDEX expression ON t (upper(title));
             CREATE INDEX descending ON t (title COLLATE NOCASE DESC, gone);
             CREATE TABLE k (mail TEXT PRIMARY KEY, title TEXT) WITHOUT ROWID;
             CREATE INDEX beside ON k (title);
             CREATE TABLE s (id INTEGER PRIMARY KEY, title TEXT);
             CREATE INDEX single ON s (title);
             WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 59)
             INSERT INTO t SELECT i, 'mail' || i || '@x', 'title' || i, i % 2 FROM n;
             INSERT INTO k SELECT mail, title FROM t;
             INSERT INTO s SELECT id, title FROM t;
             CREATE VIRTUAL TABLE words USING fts5 (title, content = 't', content_rowid = 'id', tokenize = 'trigram');
             INSERT INTO words (words) VALUES ('rebuild');
             CREATE VIRTUAL TABLE own_words USING fts5 (title);
             INSERT INTO own_words SELECT title FROM t;",
        )
        .unwrap();
}

fn root(data: &DataDir, name: &str) -> usize {
    let database = Connection::open(data.database(ONE)).unwrap();
    database.query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?1", [name], |row| row.get(0)).unwrap()
}

/// Changes the page that an index or table of one page lies on.
fn page(data: &DataDir, name: &str, change: impl Fn(&mut [u8])) {
    let root = root(data, name);
    let mut bytes = fs::read(data.database(ONE)).unwrap();
    change(&mut bytes[(root - 1) * PAGE..root * PAGE]);
    fs::write(data.database(ONE), bytes).unwrap();
}

/// Puts one text in the place of another of the same length.
fn text(data: &DataDir, name: &str, from: &str, to: &str) {
    page(data, name, |page| {
        let at = page.windows(from.len()).position(|bytes| bytes == from.as_bytes()).expect("it is on this page");
        page[at..at + to.len()].copy_from_slice(to.as_bytes());
    });
}

/// Changes the rows behind an index that is not there meanwhile.
fn behind(data: &DataDir, index: &str, change: &str) {
    let open = || Connection::open(data.database(ONE)).unwrap();
    let database = open();
    database.execute_batch("PRAGMA writable_schema = ON").unwrap();
    database
        .execute_batch(&format!(
            "CREATE TABLE hidden AS SELECT * FROM sqlite_schema WHERE name = '{index}';
             DELETE FROM sqlite_schema WHERE name = '{index}'"
        ))
        .unwrap();
    drop(database);
    let database = open();
    database.execute_batch(change).unwrap();
    database
        .execute_batch("PRAGMA writable_schema = ON; INSERT INTO sqlite_schema SELECT * FROM hidden; DROP TABLE hidden")
        .unwrap();
}

fn full_text(data: &DataDir, table: &str) {
    let database = Connection::open(data.database(ONE)).unwrap();
    database.execute(&format!("UPDATE {table}_data SET block = zeroblob(20) WHERE id > 10"), []).unwrap();
}

fn rows(path: &std::path::Path) -> Vec<(i64, String, String)> {
    let database = Connection::open(path).unwrap();
    let mut all = database.prepare("SELECT id, mail, title FROM t NOT INDEXED ORDER BY id").unwrap();
    let all = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    all.collect::<Result<_, _>>().unwrap()
}

fn staged(data: &DataDir) -> Result<Staged, Failure> {
    let support = SandboxSupport::default();
    let staged = stage(data, support, TWO, &Source::Generation(ONE), &mut |_, _| ())?;
    check(data, TWO, staged)
}

type Damage = fn(&DataDir);

#[test]
fn a_clone_gets_new_indexes_where_they_alone_are_damaged() {
    let cases: [(&str, Damage); 15] = [
        ("another key", |data| text(data, "ordinary", "title17", "titleXX")),
        ("a row that was changed behind it", |data| {
            behind(data, "ordinary", "UPDATE t SET title = 'other' WHERE id = 12")
        }),
        ("a row that is not in it", |data| {
            behind(data, "ordinary", "INSERT INTO t VALUES (99, 'mail99@x', 'title99', 0)")
        }),
        ("a row too many in it", |data| behind(data, "ordinary", "DELETE FROM t WHERE id = 12")),
        ("a row too many in a table's only one", |data| behind(data, "single", "DELETE FROM s WHERE id = 12")),
        ("UNIQUE, an index", |data| text(data, "only", "title17", "titleXX")),
        ("UNIQUE, a column", |data| text(data, "sqlite_autoindex_t_1", "mail17@x", "mailXX@x")),
        ("partial", |data| text(data, "partial", "title18", "titleXX")),
        ("a row that came into a partial one", |data| behind(data, "partial", "UPDATE t SET gone = 0 WHERE id = 11")),
        ("expression", |data| text(data, "expression", "TITLE17", "TITLEXX")),
        ("descending, with a collation", |data| text(data, "descending", "title17", "titleXX")),
        ("of a table without rowid", |data| text(data, "beside", "title17", "titleXX")),
        ("a page that is none", |data| page(data, "ordinary", |page| page.fill(0xAA))),
        ("full text of another table", |data| full_text(data, "words")),
        ("full text of its own", |data| full_text(data, "own_words")),
    ];
    for (name, damage) in cases {
        let (_directory, data) = data();
        household(&data);
        damage(&data);
        let (before, kept) = (fs::read(data.database(ONE)).unwrap(), rows(&data.database(ONE)));
        let staged = staged(&data).unwrap_or_else(|failure| panic!("{name}: {failure}"));
        assert!(staged.reindexed.is_some(), "{name}: it was damaged");
        assert_eq!(fs::read(data.database(ONE)).unwrap(), before, "{name}: what it was made of is as it was");
        assert_eq!(rows(&data.database(TWO)), kept, "{name}: no row is lost or changed");
        let clone = Connection::open(data.database(TWO)).unwrap();
        let word: String = clone.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(word, "ok", "{name}");
    }
}

#[test]
fn a_clone_whose_tables_are_damaged_is_refused() {
    let cases: [(&str, Damage); 5] = [
        ("a page that is none", |data| page(data, "t", |page| page.fill(0xAA))),
        ("cells that overlap", |data| page(data, "t", |page| page.copy_within(8..10, 10))),
        ("one value twice where an index allows one", |data| text(data, "t", "mail17@x", "mail18@x")),
        ("a table that is its own index", |data| page(data, "k", |page| page.copy_within(8..10, 10))),
        ("a damaged index as well", |data| {
            text(data, "ordinary", "title17", "titleXX");
            page(data, "k", |page| page.fill(0xAA));
        }),
    ];
    for (name, damage) in cases {
        let (_directory, data) = data();
        household(&data);
        damage(&data);
        let before = fs::read(data.database(ONE)).unwrap();
        let failure = staged(&data).expect_err(name);
        assert_eq!(failure.cause, Cause::Damaged, "{name}: {failure}");
        assert!(failure.message.contains("0001/app.db is damaged: "), "{name}: {failure}");
        assert!(failure.hint.unwrap().starts_with("nothing was changed"), "{name}");
        assert_eq!(fs::read(data.database(ONE)).unwrap(), before, "{name}");
    }
}

#[test]
fn a_table_that_lost_rows_which_its_indexes_have_is_refused() {
    for (table, insert, rows) in [
        ("t", "INSERT INTO t VALUES (90, 'mail90@x', 'title90', 0), (91, 'mail91@x', 'title91', 1)", "2 rows"),
        ("s", "INSERT INTO s VALUES (90, 'title90')", "a row"),
        ("k", "INSERT INTO k VALUES ('o''mail@x', 'title')", "a row"),
    ] {
        let (_directory, data) = data();
        household(&data);
        let before = fs::read(data.database(ONE)).unwrap();
        Connection::open(data.database(ONE)).unwrap().execute_batch(insert).unwrap();
        // The write to the table's only page is lost; those to its indexes are not.
        let root = root(&data, table);
        page(&data, table, |page| page.copy_from_slice(&before[(root - 1) * PAGE..root * PAGE]));
        let before = fs::read(data.database(ONE)).unwrap();
        let failure = staged(&data).expect_err(table);
        assert_eq!(failure.cause, Cause::Damaged, "{failure}");
        assert!(failure.message.contains(&format!("table \"{table}\" lacks {rows} that its indexes (")), "{failure}");
        assert_eq!(fs::read(data.database(ONE)).unwrap(), before);
    }
}

#[test]
fn a_sound_clone_is_left_alone() {
    let (_directory, data) = data();
    household(&data);
    let before = fs::read(data.database(ONE)).unwrap();
    assert_eq!(staged(&data).unwrap().reindexed, None);
    assert_eq!(fs::read(data.database(TWO)).unwrap(), before);
}
