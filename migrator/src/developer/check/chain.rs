//! What does each migration do to each release's database?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use semver::Version;

use super::Subject;
use super::bases::{Base, copy, open, unreadable};
use super::content::Content;
use super::findings::Findings;
use super::listing::Listing;
use super::older;
use super::report::{Facts, Rule};
use super::schema::{self, Finding};
use crate::developer::Problem;
use crate::developer::migrate::{self, Child, Ended, Failed};
use crate::developer::statements::Executed;

/// What the unreleased migrations did to the newest release's database.
pub(crate) struct Chain {
    /// The database after them.
    pub(crate) path: PathBuf,
    /// What each executed, the failed one too.
    pub(crate) executed: Vec<Executed>,
    /// Whether all got through.
    pub(crate) is_complete: bool,
    pub(crate) before: State,
    pub(crate) after: State,
}

/// All that is compared of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) content: Content,
    pub(crate) sequences: BTreeMap<String, i64>,
    pub(crate) listing: Listing,
}

impl State {
    pub(crate) fn read(path: &Path) -> Result<State, Problem> {
        let read = || {
            let connection = open(path)?;
            let mut content = Content::read(&connection)?;
            let sequences = content.take_sequences();
            Ok(State { content, sequences, listing: Listing::read(&connection)? })
        };
        read().map_err(|error| unreadable(path, &error))
    }
}

/// Runs the unreleased migrations on every release's database, and on a new one. Returns what came of the newest.
pub(crate) fn check(
    subject: &Subject<'_>,
    bases: &[Base],
    directory: &Path,
    findings: &mut Findings,
) -> Result<Chain, Problem> {
    let mut newest = None;
    for base in bases {
        let path = directory.join(format!("chain-{}.db", base.version));
        copy(&base.upgraded, &path)?;
        let is_newest = newest.is_none();
        let older = older::Older::new(base, directory)?;
        let chain = one(subject, base, path, older, is_newest, findings)?;
        newest.get_or_insert(chain);
    }
    let empty = directory.join("new.db");
    if migrate::apply(&empty, subject.release, &subject.released)?.is_ok()
        && let Err(failed) = migrate::apply(&empty, subject.release, &subject.unreleased)?
    {
        failure(&failed, "a new database", findings);
    }
    newest.ok_or_else(|| Problem::new("there is no release's database"))
}

fn one(
    subject: &Subject<'_>,
    base: &Base,
    path: PathBuf,
    mut older: older::Older,
    is_newest: bool,
    findings: &mut Findings,
) -> Result<Chain, Problem> {
    let of_released = subject.released.last().map_or("", String::as_str);
    older.check(&path, of_released, findings)?;
    let before = State::read(&path)?;
    let mut chain = Chain { path, executed: Vec::new(), is_complete: true, after: before.clone(), before };
    for name in &subject.unreleased {
        match migrate::apply(&chain.path, subject.release, std::slice::from_ref(name))? {
            Ok(executed) => chain.executed.extend(executed),
            Err(failed) => {
                failure(&failed, &base.version, findings);
                chain.executed.push(failed.executed);
                chain.is_complete = false;
                break;
            }
        }
        let was = std::mem::replace(&mut chain.after, State::read(&chain.path)?);
        compare(&was, &chain.after, name, &base.version, &chain.path, findings)?;
        older.check(&chain.path, name, findings)?;
        for change in schema::changes(&was.listing, &chain.after.listing).for_older {
            if subject.is_floor_lowered() {
                findings.breach(Rule::OlderPrograms, name, change, Some(&base.version));
            } else {
                findings.note(Rule::OlderPrograms, format!("{name}: {}; so the floor stays this release", change.what));
            }
        }
        if is_newest {
            twice(subject, &chain, name, findings)?;
        }
    }
    Ok(chain)
}

/// Compares schema and data from before and after one migration, or one upgrade.
fn compare(
    was: &State,
    is: &State,
    migration: &str,
    release: &str,
    path: &Path,
    findings: &mut Findings,
) -> Result<Content, Problem> {
    for finding in schema::changes(&was.listing, &is.listing).lost {
        findings.breach(Rule::Additive, migration, finding, Some(release));
    }
    let connection = open(path).map_err(|error| unreadable(path, &error))?;
    let again = Content::read_again(&connection, &was.content).map_err(|error| unreadable(path, &error))?;
    for loss in was.content.losses(&again) {
        let instead = if loss.object.contains(": column") {
            "leave old columns as they are, and put what is new into a new column"
        } else {
            "leave the rows, and mark what is of no use in a new column"
        };
        let finding = Finding { object: loss.object, what: loss.what, instead: instead.to_owned() };
        findings.breach(Rule::DataKept, migration, finding, Some(release));
    }
    for (table, before) in &was.sequences {
        let now = is.sequences.get(table).copied().unwrap_or(0);
        if now < *before && is.listing.tables.contains_key(table) {
            let what = format!(
                "the numbers of table {table} go on from {now} and not from {before}, so that those of deleted rows are given again"
            );
            let instead = format!(
                "after the rebuild: UPDATE sqlite_sequence SET seq = {before} WHERE name = '{table}', with the number read before it"
            );
            let object = format!("table {table}");
            findings.breach(Rule::DataKept, migration, Finding { object, what, instead }, Some(release));
        }
    }
    Ok(again)
}

/// The rule *idempotent*.
fn twice(subject: &Subject<'_>, chain: &Chain, name: &str, findings: &mut Findings) -> Result<(), Problem> {
    let again = chain.path.with_extension("again.db");
    copy(&chain.path, &again)?;
    let object = format!("migration {name}");
    let (what, instead) = match migrate::again(&again, subject.release, name)? {
        Err(failed) => (
            format!("{name} fails when it is run a second time: {}", failed.reason),
            "add things with the helpers of migrator::add, and look first at what is there (IF NOT EXISTS, WHERE … IS NULL)",
        ),
        Ok(_) => {
            let after = State::read(&again)?;
            let of_schema = || {
                let (was, is) = (&chain.after.listing, &after.listing);
                (was != is).then(|| {
                    let lost = schema::changes(was, is).lost.into_iter().next();
                    lost.map_or_else(|| "the schema changed".to_owned(), |finding| finding.what)
                })
            };
            match chain.after.content.difference(&after.content).or_else(of_schema) {
                None => return Ok(()),
                Some(what) => (
                    format!("{name} changes something when it is run a second time: {what}"),
                    "fill only what is not filled yet (WHERE new_column IS NULL, INSERT OR IGNORE, WHERE NOT EXISTS)",
                ),
            }
        }
    };
    findings.breach(Rule::Idempotent, name, Finding { object, what, instead: instead.to_owned() }, None);
    Ok(())
}

/// Upgrades every release's database at one go, with the shipped migrator and its own checks.
pub(crate) fn upgrades(
    subject: &Subject<'_>,
    bases: &[Base],
    directory: &Path,
    findings: &mut Findings,
) -> Result<Vec<Facts>, Problem> {
    let number = if subject.options.every_upgrade { bases.len() } else { 1 };
    let mut facts = Vec::new();
    let oldest = subject.release.oldest.as_deref().and_then(|oldest| Version::parse(oldest).ok());
    let is_refused = |base: &&Base| Version::parse(&base.version).ok() < oldest;
    for base in bases.iter().take(number).filter(|base| !is_refused(base)) {
        let path = directory.join(format!("upgrade-{}.db", base.version));
        copy(&base.awkward, &path)?;
        let was = State::read(&path)?;
        let last = match findings.last() {
            none if none.is_empty() => subject.released.last().cloned().unwrap_or_default(),
            last => last,
        };
        match Child::new(&subject.options.program).up(&path)? {
            Ended::Well => {}
            _ if findings.any() => continue,
            Ended::Killed => {
                let finding = Finding {
                    object: format!("migration {last}"),
                    what: "the migrator was killed during the upgrade".to_owned(),
                    instead: "look for what crashes or takes all memory, and work in batches".to_owned(),
                };
                findings.breach(Rule::Upgrade, &last, finding, Some(&base.version));
                continue;
            }
            Ended::Failed(message) => {
                let finding = Finding {
                    object: format!("migration {last}"),
                    what: format!("households would be refused the upgrade: {message}"),
                    instead: "keep what the message names: the checks before the commit refuse any loss".to_owned(),
                };
                findings.breach(Rule::DataKept, &last, finding, Some(&base.version));
                continue;
            }
        }
        let is = State::read(&path)?;
        let again = if findings.any() {
            let connection = open(&path).map_err(|error| unreadable(&path, &error))?;
            Content::read_again(&connection, &was.content).map_err(|error| unreadable(&path, &error))?
        } else {
            compare(&was, &is, &last, &base.version, &path, findings)?
        };
        let (rows, values) = was.content.size();
        let kept = values - was.content.lost_values(&again);
        facts.push(Facts { version: base.version.clone(), tables: was.content.data().count(), rows, values, kept });
    }
    facts.reverse();
    Ok(facts)
}

/// Sorts a migration's failure into the rule that it breaks.
fn failure(failed: &Failed, release: &str, findings: &mut Findings) {
    let (name, reason) = (&failed.executed.migration, &failed.reason);
    let has = |part: &str| reason.contains(part);
    let (rule, instead) = if has("Cannot add a NOT NULL column") {
        (
            Rule::Additive,
            "give the column a default (NOT NULL DEFAULT …), or let it be null: older rows and inserts have no value for it",
        )
    } else if has("no such function")
        || has("unknown function")
        || has("no such collation")
        || has("no such tokenizer")
        || has("no such module")
        || has("unknown tokenizer")
    {
        (
            Rule::PlainSqlite,
            "compute the value in Rust and store it in a plain column: a schema has to work with any SQLite",
        )
    } else if has("UNIQUE constraint failed") {
        (
            Rule::Upgrade,
            "older rows are alike there: make a plain index, or number those that are alike in a new column first",
        )
    } else if has("NOT NULL constraint failed") {
        (Rule::Upgrade, "older rows have no value there: let the column be null, or give the value with ifnull(…)")
    } else if has("CHECK constraint failed") {
        (Rule::Upgrade, "older rows do not meet the check: check new values in the program, and leave the old ones")
    } else if has("cannot store") || has("datatype mismatch") {
        (
            Rule::Upgrade,
            "older rows have other values there: leave the column's type, and add another column for the new one",
        )
    } else if has("no transaction is active") || has("within a transaction") {
        (
            Rule::Statements,
            "leave out BEGIN, COMMIT and ROLLBACK: all migrations run in one transaction that the migrator begins and ends",
        )
    } else {
        (Rule::Upgrade, "make it run on each release's database; they are made from migrator/releases")
    };
    let finding = Finding {
        object: format!("migration {name}"),
        what: format!("{name} fails: {reason}"),
        instead: instead.to_owned(),
    };
    findings.breach(rule, name, finding, Some(release));
}
