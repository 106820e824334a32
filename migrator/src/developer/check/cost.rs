//! The rules *time* and *space*: how do they grow with the database, and are they within what an upgrade reserves?
//!
//! Measured on the newest release's database with its rows multiplied, at 32 and at 128 MiB; and first on smaller ones, so that what
//! is quadratic is found before it takes minutes. What is linear takes four times as long on four times as much, what is quadratic
//! sixteen times, on a fast machine as on a slow one. Compared is the time of the processor, which a busy machine does not change.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Result};

use super::Subject;
use super::bases::{Base, cache, copy, failed, key, open, unreadable};
use super::findings::Findings;
use super::report::{Cost, Rule, mebibytes};
use super::schema::Finding;
use crate::developer::Problem;
use crate::developer::migrate::{Child, Ended};
use crate::schema::quoted;

const MIB: u64 = 1 << 20;
/// Four times as much may take eight times as long: indexes are `n log n`, and a larger file leaves the caches.
const GROWTH: f64 = 8.0;
/// Faster than this is noise.
const NOISE: Duration = Duration::from_millis(750);
/// What is smaller is measured to find what is quadratic soon, and not reported.
const SMALLEST: u64 = 32;
/// What is larger than so many MiB is not kept from check to check.
const KEPT: u64 = 128;
/// A rebuild of the largest table writes it into the log, and from there into the file, with its indexes. The supervisor makes sure
/// of the size of the database and 64 MiB beside its copy; what is more than this is a full disk in many a household.
const ROOM: f64 = 2.5;
/// An upgrade is given up that takes longer than this, however small the database.
const PATIENCE: Duration = Duration::from_secs(900);

pub(crate) fn check(
    subject: &Subject<'_>,
    bases: &[Base],
    directory: &Path,
    findings: &mut Findings,
) -> std::result::Result<Vec<Cost>, Problem> {
    let Some(base) = bases.first() else { return Ok(Vec::new()) };
    let mut sizes = vec![2, 8, 32, 128];
    if subject.options.gibibyte {
        sizes.push(1024);
    }
    let (mut costs, mut smaller): (Vec<Cost>, Option<Upgrade>) = (Vec::new(), None);
    for size in sizes {
        let filled = filled(subject, base, size, directory)?;
        let path = directory.join("cost.db");
        // As long as it may take beside the smaller one.
        let limit = smaller.as_ref().map_or(PATIENCE, |smaller| {
            let bytes = fs::metadata(&filled).map_or(0, |file| file.len());
            let growth = GROWTH / 4.0 * bytes as f64 / smaller.cost.bytes as f64;
            smaller.processor.mul_f64(growth).max(NOISE)
        });
        // Once more if it was slow: the machine may have been busy in a way that the processor's time shows as well.
        let mut measured = Measured::TooLong;
        for _ in 0..2 {
            copy(&filled, &path)?;
            measured = measure(subject, &path, limit)?;
            super::bases::remove(&path);
            if !matches!(measured, Measured::TooLong) {
                break;
            }
        }
        if size > KEPT {
            super::bases::remove(&filled);
        }
        let upgrade = match measured {
            Measured::Done(upgrade) => upgrade,
            Measured::TooLong => {
                let before = smaller.map_or_else(String::new, |smaller| {
                    format!("{:.1} s for {}, and ", smaller.processor.as_secs_f64(), mebibytes(smaller.cost.bytes))
                });
                let what = format!(
                    "the time grows faster than the database: {before}more than {:.1} s for {size} MiB",
                    limit.as_secs_f64()
                );
                let instead = "give each lookup an index before the back-fill, walk by key in batches, and join instead of a subquery that reads the whole table for each row";
                breach(Rule::Time, what, instead, findings);
                return Ok(costs);
            }
            Measured::Refused(why) => {
                let why = format!("the upgrade of a database of {size} MiB is refused: {why}");
                findings.skip(&[Rule::Time, Rule::Space], &why);
                return Ok(costs);
            }
        };
        let cost = &upgrade.cost;
        if cost.peak as f64 > ROOM * cost.bytes as f64 {
            let what = format!(
                "a database of {} takes {} more of the disk while it is upgraded, and {} are the most that it may",
                mebibytes(cost.bytes),
                mebibytes(cost.peak),
                mebibytes((ROOM * cost.bytes as f64) as u64)
            );
            let instead = "write each row once: no copies of tables but the one that a rebuild needs, and one rebuild for all changes of a table";
            breach(Rule::Space, what, instead, findings);
        }
        if size >= SMALLEST {
            costs.push(cost.clone());
        }
        if findings.has(Rule::Space) {
            break;
        }
        smaller = Some(upgrade);
    }
    Ok(costs)
}

fn breach(rule: Rule, what: String, instead: &str, findings: &mut Findings) {
    let name = findings.last();
    let finding = Finding { object: format!("migration {name}"), what, instead: instead.to_owned() };
    findings.breach(rule, &name, finding, None);
}

/// An upgrade that got through.
struct Upgrade {
    cost: Cost,
    /// How long a processor worked for it.
    processor: Duration,
}

enum Measured {
    Done(Upgrade),
    TooLong,
    /// In the migrator's words.
    Refused(String),
}

/// Upgrades the database and looks meanwhile at what it takes of the disk.
fn measure(subject: &Subject<'_>, path: &Path, limit: Duration) -> std::result::Result<Measured, Problem> {
    let bytes = fs::metadata(path).map_err(|error| failed(path, &error))?.len();
    let since = Instant::now();
    let mut child = Child::new(&subject.options.program)
        .command(path)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .map_err(|error| Problem::new(format!("cannot start the migrator: {error}")))?;
    let (mut peak, mut processor) = (0, Duration::ZERO);
    let status = loop {
        peak = peak.max(taken(path, child.id()));
        processor = processor.max(worked(child.id()).unwrap_or_else(|| since.elapsed()));
        match child.try_wait() {
            Ok(None) if processor > limit || since.elapsed() > PATIENCE => {
                child.kill().ok();
                child.wait().ok();
                return Ok(Measured::TooLong);
            }
            Ok(None) => thread::sleep(Duration::from_millis(10)),
            Ok(Some(status)) => break status,
            Err(error) => return Err(Problem::new(format!("cannot wait for the migrator: {error}"))),
        }
    };
    let cost = Cost { bytes, seconds: since.elapsed().as_secs_f64(), peak: peak.saturating_sub(bytes) };
    if status.success() {
        return Ok(Measured::Done(Upgrade { cost, processor }));
    }
    // Nothing was changed, so it says the same again.
    Ok(Measured::Refused(match Child::new(&subject.options.program).up(path)? {
        Ended::Failed(message) => message,
        Ended::Well | Ended::Killed => format!("the migrator ended with {status}"),
    }))
}

/// How long a processor has worked for a process, where the system tells.
fn worked(process: u32) -> Option<Duration> {
    // proc_pid_stat(5): fields 14 and 15, counted from behind the name, which may have blanks in it; in hundredths of a second.
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let ticks: u64 = [11, 12].iter().map(|field| fields.get(*field)?.parse::<u64>().ok()).sum::<Option<u64>>()?;
    Some(Duration::from_millis(10 * ticks))
}

/// The sizes of the database and its log, and of files that the process holds open and nobody sees, as SQLite's temporary ones.
fn taken(path: &Path, process: u32) -> u64 {
    let size = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        fs::metadata(name).map_or(0, |file| file.len())
    };
    let unseen: u64 =
        fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten().fold(0, |sum, entry| {
            let is_removed = fs::read_link(entry.path())
                .is_ok_and(|target| target.as_os_str().as_encoded_bytes().ends_with(b" (deleted)"));
            sum + if is_removed { fs::metadata(entry.path()).map_or(0, |file| file.len()) } else { 0 }
        });
    size("") + size("-wal") + size("-journal") + unseen
}

/// A database of so many MiB, kept from check to check.
fn filled(
    subject: &Subject<'_>,
    base: &Base,
    size: u64,
    scratch: &Path,
) -> std::result::Result<std::path::PathBuf, Problem> {
    let kept = cache(scratch)?.join(key(subject)?);
    fs::create_dir_all(&kept).map_err(|error| failed(&kept, &error))?;
    let place = kept.join(format!("{}.{size}-mib.db", base.version));
    if place.exists() {
        return Ok(place);
    }
    let own = kept.join(format!("{}.{size}-mib.{}", base.version, std::process::id()));
    copy(&base.upgraded, &own)?;
    fill(&own, size * MIB).map_err(|error| unreadable(&own, &error))?;
    fs::rename(&own, &place).map_err(|error| failed(&place, &error))?;
    Ok(place)
}

/// Doubles the rows of all tables until the database is as large as it is to be.
fn fill(path: &Path, bytes: u64) -> Result<()> {
    let connection = open(path)?;
    connection.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA cache_size = -200000")?;
    // Without them: what they would do is done by copying the tables that they write to.
    let triggers: Vec<(String, String)> = connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_>>()?;
    connection.execute_batch("BEGIN")?;
    for (name, _) in &triggers {
        connection.execute_batch(&format!("DROP TRIGGER {}", quoted(name)))?;
    }
    let mut round = 0;
    loop {
        let size: i64 = connection.query_row(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
            [],
            |row| row.get(0),
        )?;
        let missing = bytes as f64 - size as f64;
        if missing < bytes as f64 * 0.05 || round > 40 {
            break;
        }
        // At most doubled at a time; the last step only in part.
        let share = (missing / size as f64).min(1.0);
        round += 1;
        for (table, _) in super::content::objects(&connection)?.iter().filter(|(_, kind)| kind == "table") {
            if table != "sqlite_sequence" && !super::content::BOOKS.contains(&table.as_str()) {
                multiply(&connection, table, round, share)?;
            }
        }
    }
    remove_dangling(&connection)?;
    for (_, sql) in &triggers {
        connection.execute_batch(sql)?;
    }
    connection.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")
}

/// Removes rows that refer to none, which no household has: copying gave keys that refer to something other values.
fn remove_dangling(connection: &Connection) -> Result<()> {
    let broken = "SELECT DISTINCT c.\"table\", c.parent, f.\"from\", f.\"to\" FROM pragma_foreign_key_check c
        JOIN pragma_foreign_key_list(c.\"table\") f ON f.id = c.fkid";
    loop {
        let keys: Vec<(String, String, String, Option<String>)> = connection
            .prepare(broken)?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
            .collect::<Result<_>>()?;
        if keys.is_empty() {
            return Ok(());
        }
        for (table, parent, from, to) in keys {
            let (table, parent, from) = (quoted(&table), quoted(&parent), quoted(&from));
            let to = to.map_or_else(|| "rowid".to_owned(), |to| quoted(&to));
            connection.execute_batch(&format!(
                "DELETE FROM {table} WHERE {from} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {parent} AS parent WHERE parent.{to} = {table}.{from})"
            ))?;
        }
    }
}

/// Copies a share of a table's rows, with other keys and other unique values.
fn multiply(connection: &Connection, table: &str, round: u32, share: f64) -> Result<()> {
    let sql = "SELECT c.name, c.pk, upper(c.type), EXISTS (
            SELECT 1 FROM pragma_index_list(?1) i JOIN pragma_index_info(i.name) u WHERE i.\"unique\" AND u.name = c.name)
        FROM pragma_table_xinfo(?1) c WHERE c.hidden = 0 ORDER BY c.cid";
    let columns: Vec<(String, bool, String, bool)> = connection
        .prepare(sql)?
        .query_map([table], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? > 0, row.get(2)?, row.get(3)?)))?
        .collect::<Result<_>>()?;
    let name = quoted(table);
    let values: Vec<String> = columns
        .iter()
        .map(|(column, is_key, kind, is_unique)| {
            let of = quoted(column);
            match (is_key | is_unique, kind.as_str()) {
                (false, _) => of,
                (true, "INTEGER") => format!("{of} + (SELECT max({of}) + 1 FROM {name})"),
                (true, _) => format!("{of} || '~{round}'"),
            }
        })
        .collect();
    let names: Vec<String> = columns.iter().map(|(column, ..)| quoted(column)).collect();
    let number: i64 = connection.query_row(&format!("SELECT count(*) FROM {name}"), [], |row| row.get(0))?;
    let limit = (number as f64 * share).ceil() as i64;
    connection.execute_batch(&format!(
        "INSERT OR IGNORE INTO {name} ({}) SELECT {} FROM {name} LIMIT {limit}",
        names.join(", "),
        values.join(", ")
    ))
}
