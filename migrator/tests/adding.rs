//! The helpers that migrations are written with: each does its work, loses nothing, and does nothing the second time.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

mod common;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use common::{Content, Place, Ran, content, next, query};
use migrator::add;
use migrator::progress::{self, Progress};
use migrator::sea_orm_migration::prelude::DbErr;
use migrator::sea_orm_migration::sea_orm::{ConnectOptions, Database, TransactionTrait};
use migrator::sea_orm_migration::{SchemaManager, SchemaManagerConnection};
use rusqlite::Connection;
use rusqlite::types::Value as Sql;

/// A database in which helpers are tried.
struct Tried {
    directory: tempfile::TempDir,
}

impl Tried {
    fn new(sql: &str) -> Tried {
        let tried = Tried { directory: tempfile::tempdir().unwrap() };
        let connection = Connection::open(tried.directory.path().join("app.db")).unwrap();
        connection.execute_batch(sql).unwrap();
        tried
    }

    fn open(&self) -> Connection {
        Connection::open(self.directory.path().join("app.db")).unwrap()
    }

    fn content(&self) -> Content {
        content(&self.open())
    }

    fn texts(&self, sql: &str) -> Vec<String> {
        query(&self.open(), sql).into_iter().map(|row| row.iter().map(word).collect::<Vec<_>>().join(" ")).collect()
    }

    /// Carries out `work` in a transaction, as the migrator does, and returns what it told; then once more, which changes nothing.
    fn twice(&self, work: impl AsyncFn(&SchemaManager<'_>) -> Result<(), DbErr>) -> Vec<Progress> {
        let told = self.once(&work).unwrap();
        let after = self.content();
        self.once(&work).unwrap();
        assert_eq!(self.content(), after, "the second run changed something");
        assert_eq!(self.texts("PRAGMA integrity_check"), ["ok"]);
        told
    }

    fn once(&self, work: impl AsyncFn(&SchemaManager<'_>) -> Result<(), DbErr>) -> Result<Vec<Progress>, DbErr> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut options =
                ConnectOptions::new(format!("sqlite:{}?mode=rw", self.directory.path().join("app.db").display()));
            options.max_connections(1).sqlx_logging(false).map_sqlx_sqlite_opts(|sqlite| sqlite.foreign_keys(false));
            let connection = Database::connect(options).await?;
            let transaction = connection.begin().await?;
            let manager = SchemaManager::new(SchemaManagerConnection::Transaction(&transaction));
            let (work, mut heard) = progress::heard(work(&manager));
            let done = work.await;
            let told: Vec<Progress> = std::iter::from_fn(|| heard.try_recv().ok()).collect();
            if done.is_ok() {
                transaction.commit().await?;
            } else {
                transaction.rollback().await?;
            }
            connection.close().await?;
            done.map(|()| told)
        })
    }
}

fn word(value: &Sql) -> String {
    match value {
        Sql::Null => "null".to_owned(),
        Sql::Integer(number) => number.to_string(),
        Sql::Real(number) => number.to_string(),
        Sql::Text(text) => text.clone(),
        Sql::Blob(bytes) => format!("{bytes:?}"),
    }
}

#[test]
fn a_back_fill_reaches_every_row_that_has_the_default_and_tells_how_many() {
    let tried = Tried::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, rowid TEXT NOT NULL, size TEXT NOT NULL DEFAULT '') STRICT;
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 45000)
         INSERT INTO t (id, rowid) SELECT n * 3 - 100, 'row ' || n FROM n;
         UPDATE t SET size = 'by hand' WHERE id = 200;
         CREATE TABLE changed (id INTEGER PRIMARY KEY, number INTEGER NOT NULL) STRICT; INSERT INTO changed VALUES (1, 0);
         CREATE TRIGGER counts AFTER UPDATE ON t BEGIN UPDATE changed SET number = number + 1; END;",
    );
    let told = tried.twice(async |manager| {
        add::back_fill(manager, "t", "size", "CASE id % 2 WHEN 0 THEN 'even' ELSE '' END").await
    });
    let steps: Vec<(u64, u64)> = told.iter().map(|progress| (progress.done, progress.of)).collect();
    assert!(steps.len() > 2 && steps.is_sorted(), "{steps:?}");
    assert!(steps.contains(&(20_000, 45_000)) && steps.last() == Some(&(45_000, 45_000)), "{steps:?}");
    assert_eq!(told[0].table, "t");
    assert_eq!(
        tried.texts("SELECT size, id % 2 = 0 AS even, count(*) FROM t GROUP BY 1, 2 ORDER BY 1"),
        [" 0 22500", "by hand 1 1", "even 1 22499"]
    );
    // A row whose value is right is not written: nothing that listens is woken.
    assert_eq!(tried.texts("SELECT number FROM changed"), ["22499"]);
}

#[test]
fn a_trigger_takes_the_place_of_another_of_its_name() {
    let tried = Tried::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b TEXT NOT NULL DEFAULT 'b') STRICT;
         CREATE TABLE kept (a TEXT, b TEXT) STRICT;
         CREATE TRIGGER \"keeps it\" BEFORE DELETE ON t BEGIN INSERT INTO kept (a) VALUES (old.a); END;
         INSERT INTO t (id, a) VALUES (1, 'x'), (2, 'y');",
    );
    tried.twice(async |manager| {
        let keeps = "BEFORE DELETE ON t BEGIN INSERT INTO kept VALUES (old.a, old.b); END";
        add::replaced_trigger(manager, "keeps it", keeps).await?;
        add::replaced_trigger(manager, "says so", "AFTER INSERT ON t BEGIN INSERT INTO kept VALUES ('new', new.a); END")
            .await
    });
    tried.texts("DELETE FROM t WHERE id = 1 RETURNING ''");
    tried.texts("INSERT INTO t (a) VALUES ('z') RETURNING ''");
    assert_eq!(tried.texts("SELECT a || ' ' || b FROM kept"), ["x b", "new z"]);
}

#[test]
fn a_back_fill_goes_through_any_primary_key() {
    for (key, values) in [
        ("a TEXT, b BLOB, c INTEGER, PRIMARY KEY (b, a)", "n % 7 || 'é', CAST(printf('%05d', n) AS BLOB)"),
        (
            "a TEXT COLLATE NOCASE, b INTEGER, c INTEGER, PRIMARY KEY (a DESC, b)",
            "CASE n % 3 WHEN 0 THEN 'A' WHEN 1 THEN 'a' ELSE '' END, n",
        ),
        ("a REAL, b INTEGER, c INTEGER, PRIMARY KEY (a, b)", "n / 3.0, -n"),
    ] {
        for options in ["STRICT, WITHOUT ROWID", "STRICT"] {
            let tried = Tried::new(&format!(
                "CREATE TABLE \"odd name\" ({key}) {options};
                 WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3333)
                 INSERT INTO \"odd name\" (a, b) SELECT {values} FROM n"
            ));
            let told = tried.twice(async |manager| add::back_fill(manager, "odd name", "c", "length(b) + 1").await);
            assert_eq!(told, [], "nobody waits for so few");
            assert_eq!(
                tried.texts("SELECT count(*), count(c), sum(c = length(b) + 1) FROM \"odd name\""),
                ["3333 3333 3333"]
            );
        }
    }
    let tried = Tried::new("CREATE TABLE t (a TEXT) STRICT");
    let missing = tried.once(async |manager| add::back_fill(manager, "t", "b", "1").await).unwrap_err();
    assert!(missing.to_string().contains("table t has no column b to fill"), "{missing}");
}

/// A table with everything that may hang on it.
const FAMILY: &str = "
    CREATE TABLE parent (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, size INTEGER NOT NULL DEFAULT 0,
        up INTEGER REFERENCES parent (id), twice INTEGER AS (size * 2) STORED, UNIQUE (name, size)
    ) STRICT;
    CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER NOT NULL REFERENCES parent (id) ON DELETE CASCADE) STRICT;
    CREATE TABLE log (id INTEGER PRIMARY KEY, what TEXT NOT NULL) STRICT;
    CREATE INDEX parent_size ON parent (size DESC, name COLLATE NOCASE);
    CREATE UNIQUE INDEX parent_small ON parent (lower(name)) WHERE size < 10;
    CREATE VIEW big AS SELECT id, name FROM parent WHERE size > 1;
    CREATE VIEW bigger AS SELECT * FROM big;
    CREATE TRIGGER parent_log AFTER INSERT ON parent BEGIN INSERT INTO log (what) VALUES ('parent ' || new.id); END;
    CREATE TRIGGER child_log AFTER INSERT ON child BEGIN UPDATE parent SET size = size + 1 WHERE id = new.parent_id; END;
    CREATE TRIGGER bigger_insert INSTEAD OF INSERT ON bigger BEGIN INSERT INTO parent (name, size) VALUES (new.name, 2); END;
    CREATE VIRTUAL TABLE parent_text USING fts5 (name, content = 'parent', content_rowid = 'id');
    CREATE TRIGGER parent_text_insert AFTER INSERT ON parent BEGIN INSERT INTO parent_text (rowid, name) VALUES (new.id, new.name); END;
    INSERT INTO parent (name, up) VALUES ('one', NULL), ('two', 1), ('three', 2), ('four', 3);
    INSERT INTO child (parent_id) VALUES (1), (1), (3);
    DELETE FROM parent WHERE id = 4;";

#[test]
fn a_rebuild_keeps_rows_numbers_children_indexes_triggers_and_views() {
    let tried = Tried::new(FAMILY);
    let before = tried.content();
    tried.twice(async |manager| {
        add::rebuild(
            manager,
            "parent",
            "(
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                name TEXT,
                size INTEGER NOT NULL DEFAULT 5,
                up INTEGER REFERENCES parent (id),
                twice INTEGER AS (size * 2) STORED,
                colour TEXT NOT NULL DEFAULT 'blue' CHECK (colour <> ''),
                UNIQUE (name, size)
            ) STRICT",
        )
        .await
    });
    let after = tried.content();
    let others = |content: &Content| {
        let of_table = ("table".to_owned(), "parent".to_owned());
        content.schema.clone().into_iter().filter(|(name, _)| *name != of_table).collect::<Vec<_>>()
    };
    assert_eq!(others(&before), others(&after));
    for table in ["child", "log", "sqlite_sequence"] {
        assert_eq!(before.rows.get(table), after.rows.get(table), "{table}");
    }
    let sql = "SELECT id, name, size, up, twice, colour FROM parent";
    assert_eq!(tried.texts(sql), ["1 one 2 null 4 blue", "2 two 0 1 0 blue", "3 three 1 2 2 blue"]);
    let connection = tried.open();
    connection
        .execute_batch("PRAGMA foreign_keys = ON; INSERT INTO bigger (name) VALUES ('five'); INSERT INTO parent (name) VALUES (NULL)")
        .unwrap();
    drop(connection);
    // The number of the deleted one is not given again, and each trigger fires.
    assert_eq!(tried.texts("SELECT id, size FROM parent WHERE id > 3"), ["5 2", "6 5"]);
    assert_eq!(tried.texts("SELECT count(*) FROM log"), ["6"]);
    assert_eq!(
        tried.texts("SELECT rowid FROM parent_text WHERE parent_text MATCH 'five OR three' ORDER BY 1"),
        ["3", "5"]
    );
    assert_eq!(tried.texts("PRAGMA foreign_key_check"), [""; 0]);
}

#[test]
fn a_rebuild_keeps_the_numbers_of_rows_that_no_column_shows() {
    let tried = Tried::new(
        "CREATE TABLE t (a TEXT NOT NULL, b TEXT) STRICT; INSERT INTO t (rowid, a) VALUES (7, 'x'), (-2, 'y');
         CREATE TABLE keyed (k TEXT PRIMARY KEY, a TEXT NOT NULL) STRICT, WITHOUT ROWID; INSERT INTO keyed VALUES ('k', 'x');
         CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT NOT NULL) STRICT; INSERT INTO counted VALUES (9, ''); DELETE FROM counted;",
    );
    tried.twice(async |manager| {
        add::rebuild(manager, "t", "(a TEXT, b TEXT) STRICT").await?;
        add::rebuild(manager, "keyed", "(k TEXT PRIMARY KEY, a TEXT) STRICT, WITHOUT ROWID").await?;
        add::rebuild(manager, "counted", "(id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT) STRICT").await
    });
    assert_eq!(tried.texts("SELECT rowid, a FROM t ORDER BY 1"), ["-2 y", "7 x"]);
    assert_eq!(tried.texts("SELECT * FROM keyed"), ["k x"]);
    // Also of a table that is empty.
    tried.open().execute_batch("INSERT INTO counted (a) VALUES ('x')").unwrap();
    assert_eq!(tried.texts("SELECT id FROM counted"), ["10"]);
}

#[test]
fn a_rebuild_leaves_out_no_column_and_does_nothing_to_what_came_after_it() {
    let tried = Tried::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b TEXT) STRICT; INSERT INTO t VALUES (1, 'a', 'b')",
    );
    let before = tried.content();
    let lost = tried.once(async |manager| add::rebuild(manager, "t", "(id INTEGER PRIMARY KEY, a TEXT) STRICT").await);
    assert!(lost.unwrap_err().to_string().contains("the rebuilt table t would be without its column b"));
    assert_eq!(tried.content(), before);
    let body = "(id INTEGER PRIMARY KEY, a TEXT, b TEXT) STRICT";
    tried.twice(async |manager| {
        add::rebuild(manager, "t", body).await?;
        // What a later migration adds is not taken back when this one runs again.
        add::column(manager, "t", "c", "TEXT NOT NULL DEFAULT 'c' CHECK (c <> '')").await
    });
    assert_eq!(tried.texts("SELECT * FROM t"), ["1 a b c"]);
}

#[test]
fn a_search_finds_what_was_there_and_what_anybody_writes() {
    let tried = Tried::new(
        "CREATE TABLE chore (number INTEGER PRIMARY KEY, \"the name\" TEXT NOT NULL, notes TEXT) STRICT;
         INSERT INTO chore VALUES (3, 'Clean the gutters', NULL), (5, '出生証明書の更新', 'at the town hall')",
    );
    tried.twice(async |manager| add::search(manager, "chore", &["the name", "notes"]).await);
    let found = |words: &str| {
        tried.texts(&format!("SELECT rowid FROM chore_search WHERE chore_search MATCH '{words}' ORDER BY 1"))
    };
    assert_eq!(
        (found("gutter"), found("証明書"), found("TOWN")),
        (vec!["3".into()], vec!["5".into()], vec!["5".into()])
    );
    tried
        .open()
        .execute_batch(
            "INSERT INTO chore VALUES (8, 'Sweep', 'the gutter'); UPDATE chore SET notes = 'of copper' WHERE number = 3;
             UPDATE chore SET number = 6 WHERE number = 5; DELETE FROM chore WHERE number = 8",
        )
        .unwrap();
    assert_eq!(
        (found("copper"), found("gutter"), found("town")),
        (vec!["3".into()], vec!["3".into()], vec!["6".into()])
    );
    tried.open().execute_batch("INSERT INTO chore_search (chore_search, rank) VALUES ('integrity-check', 1)").unwrap();
    let unnumbered = Tried::new("CREATE TABLE t (a TEXT PRIMARY KEY) STRICT");
    let refused = unnumbered.once(async |manager| add::search(manager, "t", &["a"]).await).unwrap_err();
    assert!(refused.to_string().contains("table t has no INTEGER PRIMARY KEY"), "{refused}");
}

#[test]
fn a_renamed_column_has_the_same_value_under_both_names_whoever_writes() {
    for (key, options) in [("", ""), (", PRIMARY KEY (id, more)", ", WITHOUT ROWID")] {
        let numbered = if key.is_empty() { "PRIMARY KEY" } else { "" };
        let tried = Tried::new(&format!(
            "CREATE TABLE t (id INTEGER {numbered}, more TEXT NOT NULL DEFAULT '', old TEXT NOT NULL DEFAULT 'none',
             n INTEGER NOT NULL DEFAULT 0 {key}) STRICT {options};
             INSERT INTO t (id, old) VALUES (1, 'one'), (2, 'none'), (3, '')"
        ));
        tried.twice(async |manager| add::renamed(manager, "t", "old", "new", "TEXT NOT NULL DEFAULT ''").await);
        let both = || tried.texts("SELECT id, old, new FROM t ORDER BY id");
        assert_eq!(both(), ["1 one one", "2 none none", "3  "]);
        let run = |sql: &str| tried.open().execute_batch(sql).unwrap();
        // The older program.
        run(
            "INSERT INTO t (id, old) VALUES (4, 'four'); INSERT INTO t (id) VALUES (5); UPDATE t SET old = 'uno', n = 1 WHERE id = 1",
        );
        // The new one writes both; SQL that knows only the new name; and neither.
        run(
            "INSERT INTO t (id, old, new) VALUES (6, 'six', 'six'); UPDATE t SET old = 'deux', new = 'deux' WHERE id = 2",
        );
        run("INSERT INTO t (id, new) VALUES (7, 'seven'); UPDATE t SET new = 'four!' WHERE id = 4; UPDATE t SET n = 9");
        run("INSERT INTO t (id, old) VALUES (8, '') ON CONFLICT DO NOTHING; UPDATE t SET old = '' WHERE id = 6");
        assert_eq!(
            both(),
            ["1 uno uno", "2 deux deux", "3  ", "4 four! four!", "5 none none", "6  ", "7 seven seven", "8  "],
        );
        // RETURNING shows the row before the triggers.
        let returned: String = tried
            .open()
            .query_row("INSERT INTO t (id, old) VALUES (9, 'nine') RETURNING new", [], |row| row.get(0))
            .unwrap();
        assert_eq!((returned.as_str(), both().pop().unwrap().as_str()), ("", "9 nine nine"));
    }
}

#[test]
fn a_migrator_that_is_killed_in_a_back_fill_leaves_nothing_of_it() {
    let place = Place::with_records(45_000);
    let old = place.content();
    let mut command = next("helpers");
    command.args(["up", "--json", "--database"]).arg(&place.database);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.map_while(Result::ok).find(|line| line.contains("\"progress\"")).unwrap();
    child.kill().unwrap();
    // The first number depends on how fast this machine is.
    assert!(
        line.starts_with(
            "{\"format\":1,\"event\":\"progress\",\"migration\":\"m9014_helpers\",\"table\":\"record\",\"done\":"
        ),
        "{line}"
    );
    assert!(line.ends_with("000,\"of\":45000}"), "{line}");
    assert_eq!(Ran::from(child.wait_with_output().unwrap()).signal, Some(9));
    assert_eq!(place.content(), old);
    let ran = place.run(next("helpers"), &["up"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.matches(" of 45000 rows of record\n").count() > 1, "{ran:?}");
    assert!(ran.stderr.contains("\n[Migrate] m9014_helpers: 45000 of 45000 rows of record\n"), "{ran:?}");
    assert_eq!(place.up(next("helpers")).succeeded().applied(), [""; 0]);
}
