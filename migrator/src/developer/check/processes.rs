//! The rules *transactional* and *clock*: what the shipped migrator does in a process of its own, killed, and at another time.

use std::fs;
use std::path::Path;

use super::Subject;
use super::bases::{Base, cache, copy, failed, open, unreadable};
use super::chain::{Chain, State};
use super::content::Content;
use super::findings::Findings;
use super::report::Rule;
use super::schema::Finding;
use crate::developer::Problem;
use crate::developer::migrate::{self, Child, Ended};

/// So many kills are enough: more statements than that are the same ones in a loop.
const KILLS: u64 = 60;
/// Some time in 2026, and some in 2031.
const CLOCKS: [i64; 2] = [1_780_000_000, 1_940_000_000];

pub(crate) fn check(
    subject: &Subject<'_>,
    bases: &[Base],
    chain: &Chain,
    directory: &Path,
    findings: &mut Findings,
) -> Result<(), Problem> {
    let Some(base) = bases.first() else { return Ok(()) };
    killed(subject, base, chain, directory, findings)?;
    clock(subject, base, directory, findings)
}

/// Kills the migrator after each statement of the migrations, and after some of those that follow.
fn killed(
    subject: &Subject<'_>,
    base: &Base,
    chain: &Chain,
    directory: &Path,
    findings: &mut Findings,
) -> Result<(), Problem> {
    let path = directory.join("killed.db");
    let before = fs::read(&base.upgraded).map_err(|error| failed(&base.upgraded, &error))?;
    let all: Vec<(&str, &str)> = chain
        .executed
        .iter()
        .flat_map(|one| one.statements.iter().map(|sql| (one.migration.as_str(), sql.as_str())))
        .collect();
    let number = all.len() as u64 + 3;
    let step = number.div_ceil(KILLS);
    let mut kills = 0;
    for after in (1..=number).filter(|after| after % step == 0 || *after <= 5) {
        copy(&base.upgraded, &path)?;
        match Child::new(&subject.options.program).killed_after(after).up(&path)? {
            Ended::Killed => kills += 1,
            // What it says is said by other rules; killed it cannot be after a statement that it does not come to.
            Ended::Well | Ended::Failed(_) => continue,
        }
        // Opened, what was committed is read from the log; closed, it is written into the file.
        let connection = open(&path).map_err(|error| unreadable(&path, &error))?;
        let read = Content::read(&connection);
        drop(connection);
        let after_it = fs::read(&path).map_err(|error| failed(&path, &error))?;
        if read.is_ok() && after_it == before {
            continue;
        }
        let (migration, sql) = all.get(after as usize - 1).copied().unwrap_or(("", ""));
        let migration = if migration.is_empty() { findings.last() } else { migration.to_owned() };
        let short: String = sql.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(60).collect();
        let finding = Finding {
            object: format!("migration {migration}"),
            what: format!("killed after its statement {short:?}, {migration} leaves a part of its work"),
            instead: "leave transactions to the migrator, and work only through the connection that `up` is given"
                .to_owned(),
        };
        findings.breach(Rule::Transactional, &migration, finding, None);
        return Ok(());
    }
    if kills == 0 {
        findings.skip(&[Rule::Transactional], "the upgrade is refused before a statement of theirs");
    }
    Ok(())
}

/// Runs the upgrade at two times, with the same random numbers, and once more with others.
fn clock(subject: &Subject<'_>, base: &Base, directory: &Path, findings: &mut Findings) -> Result<(), Problem> {
    let Some(library) = migrate::clock(&cache(directory)?)? else {
        findings.skip(&[Rule::Clock], "only on Linux");
        return Ok(());
    };
    let run = |name: &str, seconds: i64, dice: bool| -> Result<Option<State>, Problem> {
        let path = directory.join(format!("clock-{name}.db"));
        copy(&base.upgraded, &path)?;
        match Child::new(&subject.options.program).at(&library, seconds, dice).up(&path)? {
            Ended::Well => Ok(Some(State::read(&path)?)),
            Ended::Killed | Ended::Failed(_) => Ok(None),
        }
    };
    let (Some(first), Some(later)) = (run("first", CLOCKS[0], true)?, run("later", CLOCKS[1], true)?) else {
        findings.skip(&[Rule::Clock], "the upgrade is refused");
        return Ok(());
    };
    let name = findings.last();
    let differs = |one: &State, other: &State| {
        let mut losses = one.content.losses(&other.content);
        if losses.is_empty() && one != other {
            losses.push(super::content::Loss {
                object: format!("migration {name}"),
                what: "the schema or the number of rows differs".to_owned(),
            });
        }
        losses
    };
    let by_time = differs(&first, &later);
    if !by_time.is_empty() {
        let same = run("same", CLOCKS[0], true)?.map(|same| differs(&first, &same)).unwrap_or_default();
        for loss in by_time {
            let (what, instead) = if same.iter().any(|other| other.object == loss.object) {
                (
                    format!("two runs do not make the same of {}: {}", loss.object, loss.what),
                    "make it from what is in the database, and not from the process that the migration runs in",
                )
            } else {
                (
                    format!("{} depends on the clock: run at another time, {}", loss.object, loss.what),
                    "take a moment that the row has (created_at, updated_at), or leave it null for the program to fill: a household's clock may be wrong",
                )
            };
            let finding = Finding { object: loss.object, what, instead: instead.to_owned() };
            findings.breach(Rule::Clock, &name, finding, None);
        }
    }
    if let Some(other) = run("dice", CLOCKS[0], false)? {
        for loss in differs(&first, &other) {
            findings.note(
                Rule::Clock,
                format!("{} is random, which is allowed for keys that nobody may guess", loss.object),
            );
        }
    }
    Ok(())
}
