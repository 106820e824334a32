//! What did a check find, and how is it told to people, to programs and to GitHub?

use std::fmt::Write;

use serde::Serialize;

/// What every migration is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The migrations run on every release's database.
    Upgrade,
    /// Nothing of the schema goes or becomes something else.
    Additive,
    /// Every row and value that was there is there.
    DataKept,
    /// Running a migration twice changes nothing.
    Idempotent,
    /// Killed after any statement, the database is as before.
    Transactional,
    /// Numbers follow each other, after the released ones, and a name is its file's.
    Order,
    /// Released migrations execute what they did.
    Released,
    /// Entities see the schema truly.
    Entities,
    /// No statements that are the migrator's or nobody's.
    Statements,
    /// No data comes from the clock.
    Clock,
    /// Any SQLite can use the schema.
    PlainSqlite,
    /// The statements of older releases prepare, and their inserts go in.
    OlderStatements,
    /// What is written into an old table stays as it was written.
    WritesKept,
    /// With a lowered floor: older programs may go on.
    OlderPrograms,
    /// The time grows no faster than the database.
    Time,
    /// The space stays within what an upgrade reserves.
    Space,
}

impl Rule {
    /// All of them, in the order in which they are told.
    pub const ALL: [Rule; 16] = [
        Rule::Upgrade,
        Rule::Additive,
        Rule::DataKept,
        Rule::Idempotent,
        Rule::Transactional,
        Rule::Order,
        Rule::Released,
        Rule::Entities,
        Rule::Statements,
        Rule::Clock,
        Rule::PlainSqlite,
        Rule::OlderStatements,
        Rule::WritesKept,
        Rule::OlderPrograms,
        Rule::Time,
        Rule::Space,
    ];

    /// Returns its name, as in the report and in docs/MIGRATIONS.md.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Upgrade => "upgrade",
            Rule::Additive => "additive",
            Rule::DataKept => "data-kept",
            Rule::Idempotent => "idempotent",
            Rule::Transactional => "transactional",
            Rule::Order => "order",
            Rule::Released => "released",
            Rule::Entities => "entities",
            Rule::Statements => "statements",
            Rule::Clock => "clock",
            Rule::PlainSqlite => "plain-sqlite",
            Rule::OlderStatements => "older-statements",
            Rule::WritesKept => "writes-kept",
            Rule::OlderPrograms => "older-programs",
            Rule::Time => "time",
            Rule::Space => "space",
        }
    }

    /// Returns what it says, as one phrase.
    pub fn says(self) -> &'static str {
        match self {
            Rule::Upgrade => "every release's database can be upgraded",
            Rule::Additive => "nothing of the schema goes or becomes something else",
            Rule::DataKept => "every row and value that was there is there",
            Rule::Idempotent => "running a migration twice changes nothing",
            Rule::Transactional => "killed after any statement, the database is as before",
            Rule::Order => "numbers follow each other, after the released ones",
            Rule::Released => "released migrations execute what they did",
            Rule::Entities => "entities see the schema truly",
            Rule::Statements => "no COMMIT, PRAGMA, ATTACH or VACUUM of its own",
            Rule::Clock => "no value comes from the clock",
            Rule::PlainSqlite => "any SQLite can use the schema",
            Rule::OlderStatements => "what older releases prepare and insert still goes",
            Rule::WritesKept => "what is written into old tables stays as written",
            Rule::OlderPrograms => "programs down to the floor may go on",
            Rule::Time => "the time grows no faster than the database",
            Rule::Space => "the space stays within what an upgrade reserves",
        }
    }
}

/// One breach of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Breach {
    /// The migration.
    pub migration: String,
    /// Its file, from the top of the repository.
    pub file: String,
    /// The line that names the object, if there is one.
    pub line: Option<usize>,
    /// What it is about, such as `table record: column title`.
    pub object: String,
    /// What happened.
    pub what: String,
    /// What to write instead.
    pub instead: String,
    /// The releases whose databases show it; none if it does not depend on one.
    pub releases: Vec<String>,
}

/// What was found about one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The rule.
    pub rule: Rule,
    /// Whether it was looked at; if not, why.
    pub skipped: Option<String>,
    /// Every breach.
    pub breaches: Vec<Breach>,
    /// What is no breach and worth knowing.
    pub notes: Vec<String>,
}

/// What is the same on every machine: the upgrade of one release's database with awkward rows in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The release.
    pub version: String,
    /// How many tables and views it has.
    pub tables: usize,
    /// How many rows they had before, and have still.
    pub rows: usize,
    /// How many values those have.
    pub values: usize,
    /// How many of the values are the same after.
    pub kept: usize,
}

/// What one machine took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// The size of the database before, in bytes.
    pub bytes: u64,
    /// How long the upgrade took, in seconds.
    pub seconds: f64,
    /// The most that it took of the disk beyond that, in bytes.
    pub peak: u64,
}

/// All that a check found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The version that the migrator was built as.
    pub version: String,
    /// The unreleased migrations.
    pub migrations: Vec<String>,
    /// The lowest version whose app may serve an upgraded database.
    pub floor: String,
    /// A verdict for each rule.
    pub rules: Vec<Verdict>,
    /// For each release what was kept: the same on every machine.
    pub releases: Vec<Facts>,
    /// What it took on this machine; empty if not measured.
    pub costs: Vec<Cost>,
}

impl Report {
    /// Says whether no rule is breached.
    pub fn is_clean(&self) -> bool {
        self.rules.iter().all(|verdict| verdict.breaches.is_empty())
    }

    /// Returns all breaches with their rules.
    pub fn breaches(&self) -> impl Iterator<Item = (Rule, &Breach)> {
        self.rules.iter().flat_map(|verdict| verdict.breaches.iter().map(|breach| (verdict.rule, breach)))
    }

    /// Returns the report for people.
    pub fn text(&self) -> String {
        let mut text = match self.migrations.as_slice() {
            [] => "No migration is unreleased; the released ones were run on every release's database.\n\n".to_owned(),
            all => format!("{} (floor {})\n\n", all.join(", "), self.floor),
        };
        for verdict in &self.rules {
            let state = match (&verdict.skipped, verdict.breaches.len()) {
                (_, 1..) => "REFUSED",
                (Some(_), 0) => "skipped",
                (None, 0) => "ok",
            };
            let why = verdict.skipped.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
            writeln!(text, "{:16}  {state:7}  {}{why}", verdict.rule.name(), verdict.rule.says()).ok();
        }
        for (rule, breach) in self.breaches() {
            let place = breach.line.map_or_else(String::new, |line| format!(":{line}"));
            let from = match breach.releases.as_slice() {
                [] => String::new(),
                all => format!(" (from {})", all.join(", ")),
            };
            write!(
                text,
                "\n{}: {}{place}\n  {}{from}.\n  Instead: {}.\n",
                rule.name(),
                breach.file,
                breach.what,
                breach.instead
            )
            .ok();
        }
        for (verdict, note) in
            self.rules.iter().flat_map(|verdict| verdict.notes.iter().map(move |note| (verdict, note)))
        {
            write!(text, "\nnote, {}: {note}.\n", verdict.rule.name()).ok();
        }
        if !self.releases.is_empty() {
            text.push_str("\nfrom       tables    rows   values     kept\n");
            for facts in &self.releases {
                let Facts { version, tables, rows, values, kept } = facts;
                writeln!(text, "{version:9}  {tables:6}  {rows:6}  {values:7}  {kept:7}").ok();
            }
        }
        for cost in &self.costs {
            writeln!(
                text,
                "\nA database of {} takes {:.2} s and {} more of the disk for a while.",
                mebibytes(cost.bytes),
                cost.seconds,
                mebibytes(cost.peak)
            )
            .ok();
        }
        text
    }

    /// Returns the breaches as annotations of a run on GitHub.
    pub fn annotations(&self) -> String {
        // https://docs.github.com/actions/reference/workflow-commands-for-github-actions
        let escaped = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
        let property = |text: &str| escaped(text).replace(':', "%3A").replace(',', "%2C");
        let mut text = String::new();
        for (rule, breach) in self.breaches() {
            let line = breach.line.unwrap_or(1);
            let words = format!("{}. Instead: {}.", breach.what, breach.instead);
            let title = property(&format!("migration check: {}", rule.name()));
            writeln!(text, "::error file={},line={line},title={title}::{}", property(&breach.file), escaped(&words))
                .ok();
        }
        for note in self.rules.iter().flat_map(|verdict| &verdict.notes) {
            writeln!(text, "::notice title=migration check::{}", escaped(note)).ok();
        }
        text
    }
}

pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
