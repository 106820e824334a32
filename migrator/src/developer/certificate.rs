//! What was proven of a release's upgrades, for whoever does not trust it?
//!
//! `migrator/releases/<version>.certificate.json` has these parts:
//!
//! | part | |
//! |---|---|
//! | `verdict`, `objections` | the rest in one line, and what speaks against the release: nothing, or it is not released |
//! | `proven` | each earlier release's database upgraded to this release, and how many of its values are the same afterwards; the floor; the schema; the hashes of the files that it was proven with. The same on every machine: [`render`] makes it again, and CI compares the file byte for byte |
//! | `checked` | what `cargo migration check` said of each rule when the release was made, and what is kept of databases with awkward rows |
//! | `differences` | what the release means to show otherwise than the one before, each with its reason; not there if nothing is meant |
//! | `measured` | time and space of the upgrade of large databases, and the machine; null if nothing could be measured |

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rusqlite::Connection;
use semver::Version;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::check::content::Content;
use super::check::{Cost, Facts, Report, Verdict};
use super::releases::{self, Released};
use super::{Problem, scratch};
use crate::error::counted;
use crate::{Difference, Release, floor};

/// What a certificate's file name has after the version.
pub const EXTENSION: &str = "certificate.json";

/// What stands beside a rule that was breached.
pub const REFUSED: &str = "refused";

const FORMAT: u32 = 1;

/// A certificate as it stands in its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// 1.
    pub format: u32,
    /// What it says, in one line.
    pub verdict: String,
    /// What speaks against the release, in sentences.
    pub objections: Vec<String>,
    /// What CI makes again.
    pub proven: Proven,
    /// What was found when the release was made.
    pub checked: Checked,
    /// What one machine took.
    pub measured: Option<Measured>,
    /// The differences that the release means: figures of the proof by comparison, with the reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
}

/// What `cargo migration check` found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Rule and verdict: `ok`, `refused`, or why it was skipped.
    pub rules: BTreeMap<String, String>,
    /// As in what is proven, with awkward rows in the databases.
    pub upgrades: Vec<Upgrade>,
}

/// What the upgrade took on one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// The machine: its processors and its system.
    pub machine: String,
    /// The release whose databases were upgraded: the one before.
    pub from: String,
    /// Databases of several sizes.
    pub upgrades: Vec<Measurement>,
    /// The largest of them, for each GiB.
    pub per_gib: PerGib,
}

/// One database's upgrade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measurement {
    /// Its size before, in bytes.
    pub bytes: u64,
    /// How long it took.
    pub milliseconds: u64,
    /// How much more of the disk it took for a while, in bytes.
    pub peak: u64,
}

/// What a GiB takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerGib {
    /// How long, in seconds.
    pub seconds: u64,
    /// How much more of the disk for a while, in bytes.
    pub peak: u64,
}

impl Measured {
    /// Says what this machine took for `costs`; none if there are none.
    pub fn here(from: &Version, costs: &[Cost]) -> Option<Measured> {
        let largest = costs.iter().max_by_key(|cost| cost.bytes)?;
        let gib = f64::from(1 << 30) / largest.bytes as f64;
        let per_gib =
            PerGib { seconds: (largest.seconds * gib).ceil() as u64, peak: (largest.peak as f64 * gib).ceil() as u64 };
        let measurement = |cost: &Cost| Measurement {
            bytes: cost.bytes,
            milliseconds: (cost.seconds * 1000.0).round() as u64,
            peak: cost.peak,
        };
        let upgrades = costs.iter().map(measurement).collect();
        Some(Measured { machine: machine(), from: from.to_string(), upgrades, per_gib })
    }
}

/// This machine, as far as it can be told, and how this program was built.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let information = read("/proc/cpuinfo");
    let model = information.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or(std::env::consts::ARCH, |(_, model)| model.trim());
    let system = read("/proc/sys/kernel/osrelease");
    let build =
        if cfg!(debug_assertions) { "a debug build, slower than what is released" } else { "an optimised build" };
    format!("{processors} × {model}, Linux {}, {build}", system.trim())
}

/// What is the same on every machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proven {
    /// The release.
    pub version: String,
    /// The lowest version whose app may serve a database that it has migrated; null if no migration has kept one.
    pub floor: Option<String>,
    /// The fingerprint of its schema.
    pub schema: String,
    /// Its migrations, oldest first.
    pub migrations: Vec<String>,
    /// For each earlier release, oldest first.
    pub upgrades: Vec<Upgrade>,
    /// The files in `migrator/releases` that it was proven with, and their SHA-256.
    pub files: BTreeMap<String, String>,
}

/// The upgrade of one earlier release's database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// The release.
    pub from: String,
    /// How many tables its database has.
    pub tables: usize,
    /// How many rows.
    pub rows: usize,
    /// How many values.
    pub values: usize,
    /// How many of the values are the same after the upgrade.
    pub kept: usize,
}

impl Checked {
    /// Takes from a report what a certificate says.
    pub fn of(report: &Report) -> Checked {
        let state = |verdict: &Verdict| match (&verdict.skipped, verdict.breaches.is_empty()) {
            (_, false) => REFUSED.to_owned(),
            (Some(why), true) => format!("skipped: {why}"),
            (None, true) => "ok".to_owned(),
        };
        let rules = report.rules.iter().map(|verdict| (verdict.rule.name().to_owned(), state(verdict))).collect();
        let upgrade = |facts: &Facts| Upgrade {
            from: facts.version.clone(),
            tables: facts.tables,
            rows: facts.rows,
            values: facts.values,
            kept: facts.kept,
        };
        Checked { rules, upgrades: report.releases.iter().map(upgrade).collect() }
    }
}

impl Certificate {
    /// Puts one together.
    pub fn new(
        proven: Proven,
        checked: Checked,
        measured: Option<Measured>,
        differences: Vec<Difference>,
    ) -> Certificate {
        let mut objections = objections(&proven, &checked);
        objections.extend(wrong_differences(&differences));
        let mut verdict = verdict(&proven, &checked, &objections);
        if !differences.is_empty() {
            verdict.push_str(&format!("; {} declared", counted(differences.len(), "difference is", "differences are")));
        }
        Certificate { format: FORMAT, verdict, objections, proven, checked, measured, differences }
    }

    /// Returns the text of the file.
    pub fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads a certificate.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is no certificate of this format.
    pub fn read(file: &Path) -> Result<Certificate, Problem> {
        let failed = |error: &dyn std::fmt::Display| Problem::new(format!("cannot read {}: {error}", file.display()));
        let text = fs::read_to_string(file).map_err(|error| failed(&error))?;
        let certificate: Certificate = serde_json::from_str(&text).map_err(|error| failed(&error))?;
        match certificate.format {
            FORMAT => Ok(certificate),
            other => Err(failed(&format!("it has format {other}, and this source knows {FORMAT}"))),
        }
    }
}

/// Says what is wrong with declared differences.
pub fn wrong_differences(differences: &[Difference]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (index, Difference { figure, reason }) in differences.iter().enumerate() {
        if figure.trim().is_empty() {
            wrong.push("a declared difference names no figure, and so every one".to_owned());
        } else if reason.trim().is_empty() {
            wrong.push(format!("the declared difference {figure:?} has no reason"));
        }
        let others = differences.iter().enumerate().filter(|(other, _)| *other != index);
        if let Some((_, other)) = others.into_iter().find(|(other, one)| {
            figure.starts_with(&one.figure)
                && !one.figure.trim().is_empty()
                && (*figure != one.figure || *other < index)
        }) {
            wrong.push(format!("the declared difference {figure:?} is in {:?} already", other.figure));
        }
    }
    wrong
}

/// Says what is wrong with the differences that `release` declares, beside what earlier releases declared in their certificates:
/// those are met by who skips versions.
///
/// # Errors
///
/// A certificate cannot be read.
pub fn wrong_declaration(release: &Release, earlier: &[Released]) -> Result<Vec<String>, Problem> {
    let mut wrong = wrong_differences(&release.differences);
    let oldest = release.oldest.as_deref().and_then(|oldest| Version::parse(oldest).ok());
    let has_certificate =
        |one: &&Released| one.file(EXTENSION).exists() && oldest.as_ref().is_none_or(|oldest| one.version > *oldest);
    for one in earlier.iter().filter(has_certificate) {
        for Difference { figure, .. } in Certificate::read(&one.file(EXTENSION))?.differences {
            if !release.differences.iter().any(|declared| figure.starts_with(&declared.figure)) {
                wrong.push(format!(
                    "{} declared the difference {figure:?}, which an upgrade from before it shows to this release as well",
                    one.version
                ));
            }
        }
    }
    Ok(wrong)
}

fn objections(proven: &Proven, checked: &Checked) -> Vec<String> {
    let lost = proven.upgrades.iter().chain(&checked.upgrades).filter(|upgrade| upgrade.kept != upgrade.values);
    let lost = lost
        .map(|Upgrade { from, values, kept, .. }| format!("the upgrade from {from} keeps {kept} of {values} values"));
    let refused = checked.rules.iter().filter(|(_, verdict)| *verdict == REFUSED);
    lost.chain(refused.map(|(rule, _)| format!("cargo migration check refuses it by the rule {rule}"))).collect()
}

fn verdict(proven: &Proven, checked: &Checked, objections: &[String]) -> String {
    let Proven { version, floor, upgrades, .. } = proven;
    // Awkward rows are added to those that a release has.
    let all = if checked.upgrades.is_empty() { upgrades } else { &checked.upgrades };
    let sum = |of: fn(&Upgrade) -> usize| all.iter().map(of).sum::<usize>();
    let (rows, values, kept) = (sum(|one| one.rows), sum(|one| one.values), sum(|one| one.kept));
    let color = if objections.is_empty() { "green" } else { "red" };
    let floor = floor.as_ref().map_or_else(String::new, |floor| format!("; floor {floor}"));
    let refused = checked.rules.values().filter(|verdict| *verdict == REFUSED).count();
    format!(
        "{color}: {version} keeps {kept} of {values} values in {rows} rows of {} releases; {refused} of {} rules refuse it{floor}",
        all.len(),
        checked.rules.len()
    )
}

/// Upgrades each earlier release's database to `release` and says what is proven by that.
///
/// # Errors
///
/// An upgrade fails, or a file cannot be read.
pub fn prove(release: &Released) -> Result<Proven, Problem> {
    let directory = scratch()?;
    let migrations = release.migrations()?;
    let last = migrations.last().map(String::as_str);
    let mut upgrades = Vec::new();
    let mut earlier = releases::of(release.directory())?;
    earlier.retain(|one| one.version < release.version);
    for one in &earlier {
        let path = directory.path().join(format!("{}.db", one.version));
        one.make(&path)?;
        let upgrade = upgrade(&one.version, &path, last)
            .map_err(|problem| Problem { message: format!("from {}: {}", one.version, problem.message), ..problem })?;
        upgrades.push(upgrade);
    }
    let path = directory.path().join("own.db");
    release.make(&path)?;
    // Nothing is left to do, and the schema is told.
    let schema = releases::upgrade(&path, last)?;
    let floor = recorded_floor(&path)?;
    let files = files(release, &earlier, &migrations)?;
    Ok(Proven { version: release.version.to_string(), floor, schema, migrations, upgrades, files })
}

fn upgrade(from: &Version, path: &Path, last: Option<&str>) -> Result<Upgrade, Problem> {
    let failed = |error: rusqlite::Error| Problem::new(format!("cannot compare: {error}"));
    let mut before = Connection::open(path).and_then(|connection| Content::read(&connection)).map_err(failed)?;
    // These numbers go on.
    before.take_sequences();
    releases::upgrade(path, last)?;
    let after = Connection::open(path).and_then(|connection| Content::read_again(&connection, &before));
    let lost = before.lost_values(&after.map_err(failed)?);
    let (rows, values) = before.size();
    Ok(Upgrade { from: from.to_string(), tables: before.data().count(), rows, values, kept: values - lost })
}

/// The highest floor in the ledger of a database.
///
/// # Errors
///
/// SQLite's.
pub fn recorded_floor(path: &Path) -> Result<Option<String>, Problem> {
    let read = |connection: Connection| {
        let has = "SELECT count(*) FROM pragma_table_info('migration_ledger') WHERE name = 'floor'";
        if connection.query_row(has, [], |row| row.get::<_, i64>(0))? == 0 {
            return Ok(Vec::new());
        }
        let mut statement = connection.prepare("SELECT floor FROM migration_ledger WHERE floor IS NOT NULL")?;
        statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
    };
    let floors = Connection::open(path)
        .and_then(read)
        .map_err(|error| Problem::new(format!("cannot read the ledger of {}: {error}", path.display())))?;
    Ok(floor::highest(floors.iter().map(String::as_str)))
}

/// The files of a release and of the earlier ones, with their hashes.
fn files(release: &Released, earlier: &[Released], migrations: &[String]) -> Result<BTreeMap<String, String>, Problem> {
    let directory = release.directory();
    let databases = earlier.iter().chain([release]);
    let of_releases = databases.flat_map(|one| ["sql", "delta.sql", "statements"].map(|extension| one.file(extension)));
    let pins = migrations.iter().map(|name| super::pins::path(directory, name));
    let mut files = BTreeMap::new();
    for file in of_releases.chain(pins).filter(|file| file.exists()) {
        let content =
            fs::read(&file).map_err(|error| Problem::new(format!("cannot read {}: {error}", file.display())))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.insert(name, Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect());
    }
    Ok(files)
}

/// Returns what the certificate of `release` has to be, byte for byte: proven anew, and what was checked, measured and declared as it
/// stands there.
///
/// # Errors
///
/// There is none, or it cannot be proven.
pub fn render(release: &Released) -> Result<String, Problem> {
    let Certificate { checked, measured, differences, .. } = Certificate::read(&release.file(EXTENSION))?;
    Ok(Certificate::new(prove(release)?, checked, measured, differences).text())
}

/// Says whether a release has to have a certificate. Those before the first one stored their databases whole.
pub fn is_needed(release: &Released) -> bool {
    release.file("delta.sql").exists()
}
