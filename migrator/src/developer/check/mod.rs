//! May the unreleased migrations be released?
//!
//! They are run, never read: on every release's database, filled with awkward rows that this release's API accepts. What each
//! rule says, with a good and a bad example, is in docs/MIGRATIONS.md.
//!
//! 1. [`order`]: the list of migrations, and whether the released ones are what they were;
//! 2. [`bases`]: the releases' databases, with awkward rows and upgraded by the released migrations;
//! 3. [`chain`]: each unreleased migration on each of them, compared with what was before ([`schema`], [`content`], [`older`]);
//! 4. [`statements`], [`processes`], [`plain`], [`writes`], [`programs`], [`cost`]: what is looked at on the newest release's database
//!    only.

mod along;
mod bases;
mod chain;
pub(crate) mod content;
mod cost;
mod entities;
mod findings;
mod listing;
mod older;
mod order;
mod plain;
mod processes;
mod programs;
mod reading;
mod report;
mod schema;
mod shown;
mod statements;
mod write;
mod writes;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use semver::Version;

use self::bases::Base;
use self::findings::Findings;
pub use self::older::{insert, values_for};
pub(crate) use self::order::oldest;
pub use self::report::{Breach, Cost, Facts, Report, Rule, Verdict};
use super::releases::{self, Released};
use super::{Problem, scratch};
use crate::Release;

/// What to check, and with what.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program whose `main` is [`main`](super::main) with the same release: it is started again as the migrator.
    pub program: PathBuf,
    /// Where the migrations' files are.
    pub sources: PathBuf,
    /// Whether time and space are measured, at 32 and at 128 MiB.
    pub measured: bool,
    /// Whether they are measured at 1 GiB as well.
    pub gibibyte: bool,
    /// Which entities are compared with the schema.
    pub entities: Entities,
    /// Whether every older release's database is upgraded at one go by the shipped migrator as well.
    pub every_upgrade: bool,
    /// Whether the older programs that a lowered floor leaves in service are run as well, which takes minutes
    /// ([`older`](super::older)).
    pub older_programs: bool,
    /// Whether releases from this one on count as not made yet, for one that is made again.
    pub before: Option<Version>,
}

/// Which entities have to see the schema truly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entities {
    /// The app's, for which it is built.
    OfApp,
    /// Those in a file, as the app's example `entities` prints them.
    Listed(PathBuf),
    /// None.
    LeftOut,
}

impl Options {
    /// Everything but 1 GiB and the older programs, by this program.
    ///
    /// # Errors
    ///
    /// This program's file is not known.
    pub fn new() -> Result<Options, Problem> {
        let program = std::env::current_exe()
            .map_err(|error| Problem::new(format!("cannot find the file of this program: {error}")))?;
        // A test's migrations have files elsewhere, and entities of their own.
        let sources = std::env::var_os("MIGRATION_CHECK_SOURCES")
            .map_or_else(|| releases::root().join("migrator/src/migrations"), PathBuf::from);
        let entities = std::env::var_os("MIGRATION_CHECK_ENTITIES")
            .map_or(Entities::OfApp, |file| Entities::Listed(PathBuf::from(file)));
        Ok(Options {
            program,
            sources,
            measured: true,
            gibibyte: false,
            entities,
            every_upgrade: true,
            older_programs: false,
            before: None,
        })
    }
}

/// What `cargo migration check` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Print the report as one JSON document
    #[arg(long, conflicts_with = "github")]
    json: bool,
    /// Print the breaches as annotations of a run on GitHub, after the report
    #[arg(long)]
    github: bool,
    /// Leave out time and space
    #[arg(long)]
    quick: bool,
    /// Measure time and space at 1 GiB as well
    #[arg(long, conflicts_with = "quick")]
    gib: bool,
    /// Run the programs and tests of the older releases that FLOOR leaves in service as well; takes minutes
    #[arg(long)]
    older_programs: bool,
    /// Leave out the app's entities, for which the app is built
    #[arg(long)]
    no_entities: bool,
    /// Check as before this release was made
    #[arg(long, value_name = "VERSION")]
    before: Option<Version>,
    /// Leave out upgrades at one go from all but the newest release
    #[arg(long, hide = true)]
    brief: bool,
}

/// Checks and prints what was found. Exit status 1 is a breach.
///
/// # Errors
///
/// As for [`run`].
pub fn main(release: &Release, arguments: &Arguments) -> Result<ExitCode, Problem> {
    let mut options = Options::new()?;
    options.measured = !arguments.quick;
    options.gibibyte = arguments.gib;
    options.older_programs = arguments.older_programs;
    options.before = arguments.before.clone();
    options.every_upgrade = !arguments.brief;
    if arguments.no_entities {
        options.entities = Entities::LeftOut;
    }
    let report = run(release, &options)?;
    let text = if arguments.json {
        serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
    } else if arguments.github {
        report.text() + &report.annotations()
    } else {
        report.text()
    };
    std::io::stdout().lock().write_all(text.as_bytes()).ok();
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a check is about.
struct Subject<'a> {
    release: &'a Release,
    options: &'a Options,
    /// The releases, newest first.
    releases: Vec<Released>,
    /// The migrations that the newest release has.
    released: Vec<String>,
    /// The ones after it.
    unreleased: Vec<String>,
    /// The releases whose programs a lowered floor leaves in service, newest first.
    left_in_service: Vec<Version>,
}

impl Subject<'_> {
    fn is_floor_lowered(&self) -> bool {
        !self.left_in_service.is_empty()
    }
}

/// Checks the unreleased migrations of `release`.
///
/// # Errors
///
/// The check itself cannot be done; a breach is in the report.
pub fn run(release: &Release, options: &Options) -> Result<Report, Problem> {
    let mut releases = releases::all()?;
    releases.retain(|released| options.before.as_ref().is_none_or(|before| released.version < *before));
    releases.reverse();
    let newest = releases.first().ok_or_else(|| {
        Problem::new("migrator/releases has no release's database").hint("git restore migrator/releases")
    })?;
    let released = newest.migrations()?;
    let unreleased: Vec<String> = release.names().into_iter().filter(|name| !released.contains(name)).collect();
    let floor = release.floor.as_deref().and_then(|floor| Version::parse(floor).ok());
    let older = releases.iter().map(|released| released.version.clone());
    let left_in_service = older.filter(|version| floor.as_ref().is_some_and(|floor| floor <= version)).collect();
    let subject = Subject { release, options, releases, released, unreleased, left_in_service };
    let mut findings = Findings::new(&subject.unreleased, &options.sources);
    let directory = scratch()?;
    order::check(&subject, directory.path(), &mut findings)?;
    let (mut facts, mut costs) = (Vec::new(), Vec::new());
    if findings.any() {
        findings.skip_others("the list of migrations has to be right first");
    } else {
        let bases = bases::prepare(&subject, directory.path())?;
        facts = each_rule(&subject, &bases, directory.path(), &mut findings)?;
        costs = costs_of(&subject, &bases, directory.path(), &mut findings)?;
    }
    Ok(Report {
        version: release.version.clone(),
        migrations: subject.unreleased.clone(),
        floor: release.floor.clone().unwrap_or_else(|| release.version.clone()),
        rules: findings.verdicts(),
        releases: facts,
        costs,
    })
}

/// Measures the upgrade from one release, also if it has all migrations already.
///
/// # Errors
///
/// It cannot be measured.
pub fn measure(release: &Release, from: &Released, options: &Options) -> Result<Vec<Cost>, Problem> {
    let released = from.migrations()?;
    let unreleased: Vec<String> = release.names().into_iter().filter(|name| !released.contains(name)).collect();
    let mut findings = Findings::new(&unreleased, &options.sources);
    let (releases, left_in_service) = (vec![from.clone()], Vec::new());
    let subject = Subject { release, options, releases, released, unreleased, left_in_service };
    let directory = scratch()?;
    let bases = bases::prepare(&subject, directory.path())?;
    cost::check(&subject, &bases, directory.path(), &mut findings)
}

fn each_rule(
    subject: &Subject<'_>,
    bases: &[Base],
    directory: &Path,
    findings: &mut Findings,
) -> Result<Vec<Facts>, Problem> {
    let newest = chain::check(subject, bases, directory, findings)?;
    if newest.is_complete {
        let last = subject.unreleased.last().or(subject.released.last()).map_or("", String::as_str);
        entities::check(&subject.options.entities, &newest, last, findings)?;
    } else {
        findings.skip(&[Rule::Entities], "a migration fails");
    }
    if subject.unreleased.is_empty() {
        let rules = [Rule::Idempotent, Rule::Statements, Rule::Transactional, Rule::Clock, Rule::PlainSqlite];
        findings.skip(&rules, "no migration is unreleased");
        findings.skip(&[Rule::WritesKept, Rule::OlderPrograms], "no migration is unreleased");
        return chain::upgrades(subject, bases, directory, findings);
    }
    statements::check(subject, bases, &newest, directory, findings)?;
    if !newest.is_complete {
        let rules = [Rule::Transactional, Rule::Clock, Rule::PlainSqlite, Rule::WritesKept, Rule::OlderPrograms];
        findings.skip(&rules, "a migration fails");
        return Ok(Vec::new());
    }
    plain::check(&newest, findings)?;
    writes::check(subject, bases, &newest, directory, findings)?;
    processes::check(subject, bases, &newest, directory, findings)?;
    programs::check(subject, bases, &newest, findings)?;
    chain::upgrades(subject, bases, directory, findings)
}

fn costs_of(
    subject: &Subject<'_>,
    bases: &[Base],
    directory: &Path,
    findings: &mut Findings,
) -> Result<Vec<Cost>, Problem> {
    let why = if subject.unreleased.is_empty() {
        "no migration is unreleased"
    } else if !subject.options.measured {
        "not measured"
    } else if findings.has(Rule::Upgrade) || findings.has(Rule::Statements) || findings.has(Rule::DataKept) {
        "first the other rules"
    } else {
        return cost::check(subject, bases, directory, findings);
    };
    findings.skip(&[Rule::Time, Rule::Space], why);
    Ok(Vec::new())
}
