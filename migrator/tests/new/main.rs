//! `cargo migration new` writes a migration of each change of an entity, or says why it does not.
//!
//! What it writes is in `examples/written/migrations`, so that all of it is built, and its own tests run, with this test; a
//! migration is written anew there by `WRITE_MIGRATIONS=1 cargo test -p migrator --test new`. What it says is in `refused.txt`.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

mod changes;
mod entities;
#[path = "../../examples/written/migrations/mod.rs"]
mod migrations;

/// What the tests beside the migrations use.
mod developer {
    pub(crate) mod trial {
        use migrator::Release;
        use migrator::developer::trial;

        pub(crate) struct Trial;

        impl Trial {
            /// Of the migration that was written by this name.
            #[track_caller]
            pub(crate) fn of(migration: &str) -> trial::Trial {
                let name = migration.strip_prefix("m0004_").unwrap();
                let (_, all) = crate::migrations::WRITTEN.iter().find(|(one, _)| *one == name).unwrap();
                trial::Trial::of_release(&Release { migrations: *all, ..Release::current() }, migration)
            }
        }
    }
}

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use changes::Change;
// As in a migration of the crate.
use migrator::add;
use migrator::developer::entity::{Affinity, Column, Entity, Index, differences};
use migrator::developer::new::{self, Former, Wishes, Written};
use migrator::developer::tables::Tables;
use migrator::developer::{Problem, releases};
use migrator::{MigrationTrait, Release};
use rusqlite::Connection;

/// A folder of migrations as the third one left it.
struct Folder {
    directory: tempfile::TempDir,
}

const LIST: &str = "//! Every migration.

mod m0001_records;
mod m0002_accounts;
mod m0003_search_and_changes;

pub fn all() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(m0001_records::Migration),
        Box::new(m0002_accounts::Migration),
        Box::new(m0003_search_and_changes::Migration),
    ]
}
";

impl Folder {
    fn new() -> Folder {
        let folder = Folder { directory: tempfile::tempdir().unwrap() };
        for name in released().names() {
            fs::write(folder.path().join(format!("{name}.rs")), "// As it was released.\n").unwrap();
        }
        fs::write(folder.path().join("mod.rs"), LIST).unwrap();
        folder
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn write(&self, release: &Release, name: &str, change: &Change) -> Result<Option<Written>, Problem> {
        let former = Former::of_entities(&entities::all());
        new::write(release, self.path(), name, &change.entities, &former, &change.wishes)
    }

    /// Every file and what it says.
    fn files(&self) -> Vec<(PathBuf, String)> {
        let paths = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = paths.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect();
        files.sort();
        files
    }
}

/// The release that all changes are made from.
fn released() -> Release {
    fn three() -> Vec<Box<dyn MigrationTrait>> {
        let mut all = (Release::current().migrations)();
        all.truncate(3);
        all
    }
    Release { migrations: three, ..Release::current() }
}

/// What the releases left that had no other migrations.
fn releases_of_then() -> tempfile::TempDir {
    let then = tempfile::tempdir().unwrap();
    let names = released().names();
    let versions: Vec<String> = releases::all()
        .unwrap()
        .iter()
        .filter(|one| one.migrations().unwrap().iter().all(|name| names.contains(name)))
        .map(|one| one.version.to_string())
        .collect();
    for entry in fs::read_dir(releases::directory()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_of = |kept: &String| name.strip_prefix(kept.as_str()).is_some_and(|rest| rest.starts_with('.'));
        if versions.iter().chain(&names).any(is_of) {
            fs::copy(&path, then.path().join(name)).unwrap();
        }
    }
    then
}

fn after(name: &str) -> Release {
    let (_, all) = migrations::WRITTEN.iter().find(|(one, _)| *one == name).unwrap();
    Release { migrations: *all, ..Release::current() }
}

fn stored(name: &str) -> PathBuf {
    releases::root().join(format!("migrator/examples/written/migrations/m0004_{name}.rs"))
}

/// Compares with what is stored, or stores it if that was asked for; then the test ends here, since what is stored was not built.
#[track_caller]
fn is_stored(path: &Path, text: &str) {
    if std::env::var_os("WRITE_MIGRATIONS").is_some() {
        fs::write(path, text).unwrap();
    } else {
        assert_eq!(fs::read_to_string(path).unwrap(), text, "{}", path.display());
    }
}

#[test]
fn each_change_is_written_as_it_is_stored_and_registered() {
    let changes = changes::written();
    assert!(changes.len() >= 25);
    let names: Vec<&str> = changes.iter().map(|change| change.name).collect();
    assert_eq!(names, migrations::WRITTEN.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for change in &changes {
        let folder = Folder::new();
        let name = change.name;
        let written = folder.write(&released(), name, change).unwrap_or_else(|problem| panic!("{name}: {problem:?}"));
        let full = format!("m0004_{name}");
        assert_eq!(written.unwrap().migration, full);
        is_stored(&stored(name), &fs::read_to_string(folder.path().join(format!("{full}.rs"))).unwrap());
        let list = fs::read_to_string(folder.path().join("mod.rs")).unwrap();
        let third = |line: &str| line.replace("m0003_search_and_changes", &full);
        let more = ["mod m0003_search_and_changes;\n", "        Box::new(m0003_search_and_changes::Migration),\n"];
        assert_eq!(
            list,
            more.iter().fold(LIST.to_owned(), |list, line| list.replace(line, &(line.to_string() + &third(line))))
        );
        assert_eq!(folder.files().len(), 5, "{:?}", folder.files());
    }
}

#[test]
fn after_each_migration_the_entities_are_a_true_view_and_there_is_nothing_left_to_do() {
    for change in changes::written() {
        let (name, release) = (change.name, after(change.name));
        assert_eq!(differences(&change.entities, &Tables::of_release(&release).unwrap()), [], "{name}");
        let folder = Folder::new();
        let before = folder.files();
        let again = Change { wishes: Wishes::default(), ..change };
        assert_eq!(folder.write(&release, "again", &again).unwrap(), None, "{name}");
        assert_eq!(folder.files(), before);
    }
}

/// The entities are those of the change, so that it is the app's view that has to be true.
#[test]
fn cargo_migration_check_refuses_none_of_them() {
    let (directory, releases) = (tempfile::tempdir().unwrap(), releases_of_then());
    let next = Mutex::new(changes::written());
    let refused = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(change) = { next.lock().unwrap().pop() } {
                    let entities = directory.path().join(format!("{}.json", change.name));
                    fs::write(&entities, serde_json::to_string(&change.entities).unwrap()).unwrap();
                    let mut command = Command::new(program());
                    command.args(["migration", "check", "--brief", "--quick"]).stdin(Stdio::null());
                    command.env("WRITTEN", change.name).env("MIGRATION_CHECK_ENTITIES", entities);
                    command.env("MIGRATION_CHECK_RELEASES", releases.path());
                    let sources = stored(change.name);
                    let output = command.env("MIGRATION_CHECK_SOURCES", sources.parent().unwrap()).output().unwrap();
                    if !output.status.success() {
                        refused
                            .lock()
                            .unwrap()
                            .push((change.name, String::from_utf8_lossy(&output.stdout).into_owned()));
                    }
                }
            });
        }
    });
    let refused = refused.into_inner().unwrap();
    assert!(
        refused.is_empty(),
        "{}",
        refused.iter().map(|(name, said)| format!("\n{name}:\n{said}")).collect::<String>()
    );
}

/// The developers' program of a release with one of these migrations.
fn program() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_migrator")).with_file_name("examples").join("written");
    assert!(program.exists(), "{} is not built: cargo build -p migrator --examples", program.display());
    program
}

#[test]
fn what_cannot_be_made_is_refused_in_a_sentence_and_nothing_is_written() {
    let mut said = String::new();
    for change in changes::refused() {
        let folder = Folder::new();
        let before = folder.files();
        let Problem { message, hint } = match folder.write(&released(), change.name, &change) {
            Err(problem) => problem,
            Ok(written) => panic!("{}: {written:?}", change.name),
        };
        let message = message.replace(&folder.path().display().to_string(), "…");
        assert_eq!(folder.files(), before, "{}", change.name);
        writeln!(said, "{}\n  error: {}", change.name, message.replace('\n', "\n  ")).unwrap();
        writeln!(said, "  hint: {}\n", hint.unwrap_or_else(|| "-".to_owned())).unwrap();
    }
    is_stored(&releases::root().join("migrator/tests/new/refused.txt"), &said);
}

#[test]
fn an_entity_that_says_less_than_the_table_has_needs_no_migration() {
    for change in changes::nothing() {
        let folder = Folder::new();
        let before = folder.files();
        assert_eq!(folder.write(&released(), change.name, &change).unwrap(), None, "{}", change.name);
        assert_eq!(folder.files(), before);
    }
}

#[test]
fn a_column_that_strict_refuses_is_refused_before_anything_is_compared() {
    let problem = migrator::developer::entity::Entity::of::<entities::amount::Entity>().unwrap_err();
    assert!(problem.message.contains("which a STRICT table cannot have"), "{problem}");
}

#[test]
fn a_second_run_of_the_same_name_says_that_it_is_there() {
    let (folder, changes) = (Folder::new(), changes::written());
    folder.write(&released(), "colour", &changes[0]).unwrap().unwrap();
    let before = folder.files();
    let problem = folder.write(&released(), "colour", &changes[1]).unwrap_err();
    assert_eq!(problem.message, "there is a migration of this name: m0004_colour; nothing was written");
    assert_eq!(folder.files(), before);
    let next = folder.write(&after("text_or_null"), "another", &changes[1]).unwrap().unwrap();
    assert_eq!(next.migration, "m0005_another");
}

#[test]
fn a_run_that_ended_before_the_migration_was_registered_is_taken_up_by_the_same_command() {
    let (folder, changes) = (Folder::new(), changes::written());
    folder.write(&released(), "colour", &changes[0]).unwrap().unwrap();
    let whole = folder.files();
    fs::write(folder.path().join("mod.rs"), LIST).unwrap();
    fs::write(folder.path().join(".new-migration"), "//! Half of it").unwrap();
    let problem = folder.write(&released(), "colour", &changes[1]).unwrap_err();
    assert!(problem.message.starts_with("m0004_colour is in "), "{problem}");
    let problem = folder.write(&released(), "other", &changes[0]).unwrap_err();
    assert!(problem.message.contains("not in the list of its mod.rs"), "{problem}");
    assert_eq!(fs::read_to_string(folder.path().join("mod.rs")).unwrap(), LIST);
    folder.write(&released(), "colour", &changes[0]).unwrap().unwrap();
    assert_eq!(folder.files(), whole);
}

#[test]
fn a_list_that_cannot_be_written_is_an_error_that_names_it() {
    let (folder, changes) = (Folder::new(), changes::written());
    fs::write(folder.path().join("mod.rs"), "pub fn all() {}\n").unwrap();
    let before = folder.files();
    let problem = folder.write(&released(), "colour", &changes[0]).unwrap_err();
    assert!(problem.message.contains("has no list of migrations that a line can be added to"), "{problem}");
    assert_eq!(folder.files(), before);
}

#[test]
fn what_a_new_column_and_an_index_that_is_not_needed_mean_is_noted() {
    let tables = Connection::open_in_memory().unwrap();
    tables
        .execute_batch(
            "CREATE TABLE paper (id INTEGER PRIMARY KEY, title TEXT NOT NULL, \"group\" TEXT NOT NULL, notes TEXT NOT NULL) STRICT;
             CREATE TABLE kept (title TEXT, notes TEXT) STRICT;
             CREATE TRIGGER paper_kept BEFORE DELETE ON paper BEGIN INSERT INTO kept SELECT Old.title || old.\"group\", OLD.notes; END;
             CREATE TRIGGER paper_titled AFTER UPDATE OF title ON paper BEGIN INSERT INTO kept (title) VALUES (old.title); END;",
        )
        .unwrap();
    let text = |name: &str, primary_key: bool| Column {
        name: name.to_owned(),
        affinity: if primary_key { Affinity::Integer } else { Affinity::Text },
        nullable: false,
        default: (name == "place").then(|| "''".to_owned()),
        primary_key,
        auto_increment: false,
        unique: false,
        unbounded: !primary_key,
        extra: None,
    };
    let entity = |table: &str, columns: Vec<Column>, indexes: &[&[&str]]| Entity {
        table: table.to_owned(),
        columns,
        indexes: indexes
            .iter()
            .map(|columns| Index { columns: columns.iter().map(|one| (*one).to_owned()).collect(), unique: false })
            .collect(),
        foreign_keys: Vec::new(),
    };
    let paper = ["title", "group", "notes", "place"].map(|name| text(name, false));
    let paper = entity("paper", [vec![text("id", true)], paper.to_vec()].concat(), &[]);
    let columns = vec![text("paper", true), text("line", true), text("said", false)];
    let line = entity("line", columns, &[&["said"], &["said", "line"], &["paper"], &["line"], &["line"]]);
    let plan =
        new::plan(&[paper, line], &Tables::read(&tables).unwrap(), &Former::of_entities(&[]), &Wishes::default());
    let plan = plan.unwrap();
    assert_eq!(
        plan.notes,
        [
            "what paper_kept keeps of a row of paper is not place; if it should be, write the trigger again in this migration, under \
             its name, with add::replaced_trigger",
            "line gets no index on said: another one, or its key, begins with the same",
            "line gets no index on paper: another one, or its key, begins with the same",
            "line gets no index on line: another one, or its key, begins with the same",
        ]
    );
    let steps = format!("{:?}", plan.steps);
    // Texts have no bound: https://www.sqlite.org/withoutrowid.html
    assert!(steps.contains("STRICT") && !steps.contains("WITHOUT ROWID"), "{steps}");
    assert_eq!(steps.matches("Index {").count(), 2, "{steps}");
}
