//! What is refused, in which words, and that it is left as it was.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

mod common;

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use common::{DUE_DATE_GOES, Place, Ran, migrator, next, query};
use rusqlite::Connection;

/// Both commands refuse for the same reason and change nothing; what `up` said.
#[track_caller]
fn both_refuse(place: &Place, kind: &str) -> String {
    let before = place.bytes();
    place.status(migrator()).failed(kind);
    let said = place.up(migrator()).failed(kind);
    assert!(place.is_tidy() && place.bytes() == before);
    said
}

#[test]
fn a_database_that_is_not_there() {
    let place = Place::empty();
    fs::remove_file(&place.database).unwrap();
    for said in [place.status(migrator()).failed("missing"), place.up(migrator()).failed("missing")] {
        assert!(said.starts_with(&format!("there is no database at {}\n", place.database.display())), "{said}");
    }
    assert!(!place.database.exists());
}

#[test]
fn a_file_that_is_no_database() {
    let place = Place::empty();
    fs::write(&place.database, "my shopping list").unwrap();
    let said = both_refuse(&place, "not-a-database");
    assert!(said.contains("its 16 bytes do not begin as an SQLite database does"), "{said}");
}

#[test]
fn a_directory() {
    let place = Place::empty();
    fs::remove_file(&place.database).unwrap();
    fs::create_dir(&place.database).unwrap();
    let said = place.up(migrator()).failed("not-a-database");
    assert!(said.contains("it is a directory"), "{said}");
}

#[test]
fn another_programs_database() {
    let place = Place::from_sql("PRAGMA application_id = 7; CREATE TABLE t (x)");
    let said = both_refuse(&place, "foreign");
    assert!(said.contains("its application id is 0x00000007 and not Hearth's 0x48525448"), "{said}");
    let place = Place::from_sql("CREATE TABLE recipes (x)");
    let said = both_refuse(&place, "foreign");
    assert!(said.contains("1 table, recipes among them, but no ledger"), "{said}");
}

#[test]
fn a_database_newer_than_this_migrator() {
    let place = Place::with_records(10);
    let mut later = next("good,good2");
    later.env("TEST_VERSION", "0.6.0");
    place.up(later).succeeded();
    let before = place.bytes();
    let said = place.up(migrator()).failed("newer");
    let this = env!("CARGO_PKG_VERSION");
    assert!(
        said.starts_with(&format!("the database was last upgraded by v0.6.0, and this is v{this}: it has 2 migrations that this version does not know, m9001_good, m9002_good2\nstart v0.6.0 or newer, or ")),
        "{said}"
    );
    // Also when it knows one that the database does not.
    place.up(next("good,slow")).failed("newer");
    assert!(place.is_tidy() && place.bytes() == before);
    // To look is not refused.
    assert_eq!(place.status(migrator()).succeeded().documents()[0]["unknown"][1]["name"], "m9002_good2");
}

#[test]
fn a_database_that_another_release_has_to_upgrade_first() {
    let named = |version: &str, oldest: &str, list: &str| {
        let mut command = next(list);
        command.env("TEST_VERSION", version).env("TEST_OLDEST", oldest);
        command
    };
    let place = Place::with_records(10);
    let this = env!("CARGO_PKG_VERSION");
    let before = place.bytes();
    // Also where it is drifted: what helps first is said first.
    for drifted in [false, true] {
        if drifted {
            place.open().execute_batch("CREATE TABLE made_by_hand (x)").unwrap();
        }
        let said = place.up(named("99.0.0", "98.0.0", "good,good2")).failed("stop");
        assert_eq!(
            said,
            format!(
                "this database was last upgraded by v{this}, and v99.0.0 upgrades from v98.0.0 on; start v98.0.0 first, then this version\n\
                 nothing was changed; v{this} can still serve it; once v98.0.0 has served it, start this version again"
            )
        );
        assert!(place.is_tidy() && (drifted || place.bytes() == before));
    }
    place.open().execute_batch("DROP TABLE made_by_hand").unwrap();
    // The way that it names leads on.
    assert_eq!(place.up(named("98.0.0", this, "good")).succeeded().applied(), ["m9001_good"]);
    assert_eq!(place.up(named("99.0.0", "98.0.0", "good,good2")).succeeded().applied(), ["m9002_good2"]);
    // With nothing pending nothing is refused, and a new database has no older version to come from.
    place.up(named("99.9.0", "99.8.0", "good,good2")).succeeded();
    Place::empty().up(named("99.0.0", "98.0.0", "good")).succeeded();
    // What no release of ours wrote is not taken for new enough.
    place.open().execute_batch("DROP TABLE migration_ledger").unwrap();
    let said = place.up(named("99.9.0", "98.0.0", "good,good2,rebuilds")).failed("stop");
    assert!(
        said.starts_with("this database was last upgraded by an unknown version, and v99.9.0 upgrades from"),
        "{said}"
    );
}

#[test]
fn an_oldest_version_that_cannot_be_stops_the_upgrade_and_changes_nothing() {
    let place = Place::with_records(3);
    let before = place.bytes();
    for (wrong, words) in [
        ("the one before", "v9.1.0 upgrades from \"the one before\" on, which is no version"),
        ("9.2.0", "v9.1.0 upgrades from v9.2.0 on, which is later than itself"),
    ] {
        let mut command = next("good");
        command.env("TEST_OLDEST", wrong);
        let said = place.up(command).failed("check");
        assert!(said.starts_with(words), "{said}");
        assert!(place.is_tidy() && place.bytes() == before);
    }
}

#[test]
fn a_schema_that_somebody_changed() {
    let place = Place::with_records(10);
    place.open().execute_batch(DUE_DATE_GOES).unwrap();
    let before = place.bytes();
    let said = place.up(next("good")).failed("drift");
    assert!(said.contains("table record: column due_date is missing"), "{said}");
    // With nothing pending it is only mentioned.
    place.up(migrator()).succeeded();
    assert!(place.is_tidy() && place.bytes() == before);
}

#[test]
fn sea_orms_book_and_the_ledger_must_agree() {
    let place = Place::with_records(10);
    place.open().execute_batch("DELETE FROM seaql_migrations").unwrap();
    let said = place.up(migrator()).failed("drift");
    assert!(said.contains("table seaql_migrations: row m0001_records is missing"), "{said}");
}

#[test]
fn a_database_that_lost_its_ledger() {
    let place = Place::with_records(10);
    place.open().execute_batch("DROP TABLE migration_ledger; DROP TABLE seaql_migrations").unwrap();
    let said = place.up(migrator()).failed("drift");
    assert!(said.contains("table migration_ledger is missing or empty"), "{said}");
}

#[test]
fn a_damaged_page() {
    let place = Place::with_records(2000);
    let connection = place.open();
    let sql = "SELECT pageno FROM dbstat WHERE name = 'record' AND pagetype = 'leaf' ORDER BY pageno LIMIT 1 OFFSET 3";
    let page: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    let size: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0)).unwrap();
    drop(connection);
    let mut file = fs::OpenOptions::new().write(true).open(&place.database).unwrap();
    file.seek(SeekFrom::Start(u64::try_from((page - 1) * size).unwrap())).unwrap();
    file.write_all(&[0x5a; 4096]).unwrap();
    let before = place.bytes();
    // A look at the schema alone does not see it, and must not: it reads through nothing.
    place.status(migrator()).succeeded();
    let said = place.run(migrator(), &["status", "--json", "--quick-check"]).failed("damaged");
    assert!(said.contains(&format!("{} is damaged: ", place.database.display())), "{said}");
    assert!(said.contains("supervisor restore <snapshot>"), "{said}");
    place.up(next("good")).failed("damaged");
    assert!(place.is_tidy() && place.bytes() == before);
}

#[test]
fn a_truncated_database() {
    let place = Place::with_records(2000);
    let file = fs::OpenOptions::new().write(true).open(&place.database).unwrap();
    file.set_len(8192).unwrap();
    let before = place.bytes();
    place.run(migrator(), &["status", "--json", "--quick-check"]).failed("damaged");
    place.up(next("good")).failed("damaged");
    assert!(place.bytes() == before);
}

#[test]
fn a_writer_that_does_not_let_go() {
    let place = Place::with_records(10);
    let writer = place.open();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let said = place.up(next("good")).failed("busy");
    assert!(said.contains("taking the write lock had to wait more than 5 s"), "{said}");
    writer.execute_batch("ROLLBACK").unwrap();
    place.up(next("good")).succeeded();
}

#[test]
fn of_several_migrators_at_once_one_applies_each_migration() {
    for place in [Place::empty(), Place::with_records(500)] {
        let spawn = |_| {
            let mut command = next("good,good2");
            command.args(["up", "--json", "--database"]).arg(&place.database);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        };
        let children: Vec<_> = (0..4).map(spawn).collect();
        let mut winners = 0;
        for child in children {
            let ran = Ran::from(child.wait_with_output().unwrap());
            match ran.code {
                Some(0) => winners += usize::from(!ran.applied().is_empty()),
                _ => drop(ran.failed("busy")),
            }
        }
        assert_eq!(winners, 1);
        assert_eq!(in_the_ledger(&place.open()), names_with(&["m9001_good", "m9002_good2"]));
    }
}

/// The names of this release's migrations, and further ones.
fn names_with(further: &[&str]) -> Vec<String> {
    let mut names = migrator::Release::current().names();
    names.extend(further.iter().map(|&name| name.to_owned()));
    names
}

/// The names of the migrations that the ledger has, in the order in which they ran.
fn in_the_ledger(connection: &Connection) -> Vec<String> {
    query(connection, "SELECT name FROM migration_ledger ORDER BY id").iter().map(|row| common::text(&row[0])).collect()
}

/// The command as an unprivileged user, with its program where such a one can reach it.
fn as_nobody(command: Command) -> (Command, tempfile::TempDir) {
    let programs = tempfile::tempdir().unwrap();
    if !common::is_root() {
        return (command, programs);
    }
    set_mode(programs.path(), 0o755);
    let program = programs.path().join("migrator");
    fs::copy(command.get_program(), &program).unwrap();
    set_mode(&program, 0o755);
    let mut copy = Command::new(program);
    copy.args(command.get_args()).uid(65534).gid(65534);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => copy.env(name, value),
            None => copy.env_remove(name),
        };
    }
    (copy, programs)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_read_only_directory_is_readable_and_no_more() {
    let (reader, _programs) = as_nobody(migrator());
    let (writer, _programs) = as_nobody(next("good"));
    let place = Place::with_records(10);
    set_mode(&place.database, 0o444);
    set_mode(place.dir.path(), 0o555);
    let status = place.status(reader);
    let up = place.up(writer);
    set_mode(place.dir.path(), 0o755);
    assert_eq!(status.succeeded().documents()[0]["applied"][0]["name"], "m0001_records");
    let said = up.failed("permission");
    assert!(said.contains(&place.database.display().to_string()), "{said}");
    assert!(said.contains(&format!("read and write {}", place.dir.path().display())), "{said}");
}

#[test]
fn a_file_that_may_not_be_read() {
    let (reader, _programs) = as_nobody(migrator());
    let place = Place::with_records(1);
    set_mode(place.dir.path(), 0o755);
    set_mode(&place.database, 0o000);
    let said = place.status(reader).failed("permission");
    assert!(said.contains("looking at the file"), "{said}");
}

#[test]
fn a_log_that_cannot_be_read_without_writing_says_so() {
    let (reader, _programs) = as_nobody(migrator());
    let place = Place::with_records(10);
    let writer = place.open();
    writer.execute_batch("UPDATE record SET title = 'in the log only'").unwrap();
    let copy = Place::empty();
    for suffix in ["", "-wal"] {
        let name = |place: &Place| format!("{}{suffix}", place.database.display());
        fs::copy(name(&place), name(&copy)).unwrap();
    }
    set_mode(copy.dir.path(), 0o555);
    let status = copy.status(reader);
    set_mode(copy.dir.path(), 0o755);
    let said = status.failed("permission");
    assert!(said.contains("read and write"), "{said}");
}

/// A small filesystem of its own, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(size: &str) -> SmallDisk {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(dir.path())
            .output()
            .unwrap();
        assert!(mounted.status.success(), "{mounted:?}");
        SmallDisk(dir)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg(self.0.path()).status().unwrap();
    }
}

#[test]
fn in_ci_nothing_is_missing_that_a_test_needs() {
    let missing = env!("TESTS_MISS");
    assert!(std::env::var_os("CI").is_none() || missing.is_empty(), "missing: {missing}");
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn a_disk_that_fills_up_during_a_migration() {
    let disk = SmallDisk::new("8m");
    let place = Place::with_records(500);
    let database = disk.0.path().join("app.db");
    fs::copy(&place.database, &database).unwrap();
    let before = fs::read(&database).unwrap();
    let ran = common::ran(next("good,big").args(["up", "--json", "--database"]).arg(&database));
    let said = ran.failed("no-space");
    assert!(said.contains("applying m9011_big at ") && said.contains(&database.display().to_string()), "{said}");
    assert_eq!(fs::read(&database).unwrap(), before);
    assert_eq!(fs::read_dir(disk.0.path()).unwrap().count(), 1, "no log stays");
    // With less to write the same disk is large enough.
    let ran =
        common::ran(next("good,big").env("TEST_BIG_MIB", "1").args(["up", "--json", "--database"]).arg(&database));
    assert_eq!(ran.applied().len(), 2);
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn a_disk_with_whatever_little_room() {
    let disk = SmallDisk::new("4m");
    let place = Place::with_records(100);
    let database = disk.0.path().join("app.db");
    let (mut full, mut done) = (0, 0);
    for free in [0, 4, 16, 32, 48, 64, 96, 128, 160, 192, 256, 512, 1024] {
        fs::copy(&place.database, &database).unwrap();
        let before = common::content(&Connection::open(&place.database).unwrap());
        let filler = disk.0.path().join("filler");
        fill_but(&filler, free);
        let ran = common::ran(next("good,good2").args(["up", "--json", "--database"]).arg(&database));
        fs::remove_file(&filler).unwrap();
        if ran.code == Some(0) {
            done += 1;
        } else {
            ran.failed("no-space");
            full += 1;
            // Room found, it opens as one of the two versions: the old one, unless only the log
            // could not be emptied.
            if common::content(&common::open(&database)) != before {
                assert_eq!(in_the_ledger(&common::open(&database)), names_with(&["m9001_good", "m9002_good2"]));
            }
        }
        for entry in fs::read_dir(disk.0.path()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
    assert!(full > 0 && done > 0, "{full} were too full and {done} were not");
}

/// Fills the disk but for so many KiB.
fn fill_but(filler: &Path, kib: u64) {
    let mut file = fs::File::create(filler).unwrap();
    let mut written = 0;
    while file.write_all(&[0; 4096]).is_ok() {
        written += 4096;
    }
    file.set_len(u64::saturating_sub(written, kib * 1024)).unwrap();
}
