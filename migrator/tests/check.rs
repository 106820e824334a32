//! `cargo migration check` refuses what it has to, by the right rule and with the sentence that helps, and nothing else.
//!
//! The migrations are those of examples/corpus. The first lines of each say what has to come of it: `rules` are the rules that
//! refuse it (with `?` one that may), `says` and `instead` are parts of the first rule's sentences, `notes` is a part of a note.
//! `floor: lowered` lets the newest release's programs go on, `oldest` is the oldest version that is upgraded from,
//! each `reads` is a replacement in the statements of the newest release that makes those of the app that comes with the migration, `measured` takes time and space in, `entities` those of this test,
//! and `at home` is a part of what the shipped migrator says when it refuses the same.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use migrator::Release;
use migrator::developer::awkward;
use migrator::developer::check::Rule;
use migrator::developer::entity::{Affinity, Column, Entity};
use migrator::developer::releases::{self, root};
use serde_json::Value;

/// What one migration of the corpus has to show.
#[derive(Debug)]
struct Case {
    /// `bad` or `good`.
    kind: &'static str,
    name: String,
    lines: Vec<(String, String)>,
}

impl Case {
    fn all() -> Vec<Case> {
        let mut all = Vec::new();
        for kind in ["bad", "good"] {
            for entry in fs::read_dir(corpus().join(kind)).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                if name == "mod" {
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap();
                let lines = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).skip(1);
                let lines =
                    lines.filter(|line| !line.is_empty()).map(|line| line.split_once(": ").unwrap_or((line, "")));
                let lines = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                all.push(Case { kind, name, lines });
            }
        }
        // Those that take longest first.
        all.sort_by_key(|case| (!case.has("measured"), case.name.clone()));
        all
    }

    fn get(&self, what: &str) -> Option<&str> {
        self.lines.iter().find(|(name, _)| name == what).map(|(_, value)| value.as_str())
    }

    fn has(&self, what: &str) -> bool {
        self.get(what).is_some()
    }

    /// The statements of the app that comes with this migration: those of the newest release, with each `reads` put into them.
    fn statements(&self) -> String {
        let newest = releases::all().unwrap().pop().unwrap();
        let mut statements = newest.statements().unwrap().join("\n") + "\n";
        for (_, edit) in self.lines.iter().filter(|(name, _)| name == "reads") {
            let (old, new) = edit.split_once(" => ").unwrap();
            assert!(statements.contains(old), "{}: no statement has {old}", self.name);
            statements = statements.replace(old, new);
        }
        statements
    }

    fn program(&self, directory: &Path) -> Command {
        let mut command = Command::new(program());
        command.env("CORPUS", &self.name).stdin(Stdio::null());
        if self.has("floor") {
            let newest = releases::all().unwrap().pop().unwrap();
            command.env("CORPUS_FLOOR", newest.version.to_string());
        }
        if self.has("reads") {
            command.env("MIGRATION_CHECK_STATEMENTS", directory.join(format!("{}.statements", self.name)));
        }
        if let Some(oldest) = self.get("oldest") {
            command.env("CORPUS_OLDEST", oldest);
        }
        command
    }

    /// Checks it as a developer does.
    fn checked(&self, directory: &Path, arguments: &[&str]) -> (bool, String) {
        let mut command = self.program(directory);
        command
            .args(["migration", "check", "--brief"])
            .args(arguments)
            .env("MIGRATION_CHECK_SOURCES", directory.join("sources"))
            .env("MIGRATION_CHECK_ENTITIES", directory.join("entities.json"));
        if !self.has("measured") {
            command.arg("--quick");
        }
        if !self.has("entities") {
            command.arg("--no-entities");
        }
        let output = command.output().unwrap();
        let (text, talk) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned());
        assert!(!text.is_empty(), "{talk}");
        (output.status.success(), text)
    }

    /// What is wrong with the answer, if anything is.
    fn judge(&self, directory: &Path) -> Vec<String> {
        let (is_clean, text) = self.checked(directory, &["--json"]);
        let report: Value = serde_json::from_str(&text).unwrap();
        let mut wrong = Vec::new();
        let mut breaches: Vec<(String, &Value)> = Vec::new();
        let mut notes = String::new();
        for verdict in report["rules"].as_array().unwrap() {
            let rule = verdict["rule"].as_str().unwrap();
            if (rule == "time" || rule == "space")
                && self.has("measured")
                && self.kind == "good"
                && !verdict["skipped"].is_null()
            {
                wrong.push(format!("{rule} was not measured: {}", verdict["skipped"]));
            }
            breaches.extend(verdict["breaches"].as_array().unwrap().iter().map(|breach| (rule.to_owned(), breach)));
            notes.extend(
                verdict["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap().to_owned() + "\n"),
            );
        }
        let found: BTreeSet<&str> = breaches.iter().map(|(rule, _)| rule.as_str()).collect();
        let listed: Vec<&str> = self.get("rules").map(|rules| rules.split(", ").collect()).unwrap_or_default();
        let needed: BTreeSet<&str> = listed.iter().copied().filter(|rule| !rule.ends_with('?')).collect();
        let allowed: BTreeSet<&str> = listed.iter().map(|rule| rule.trim_end_matches('?')).collect();
        if !needed.is_subset(&found) || !found.is_subset(&allowed) {
            let what: Vec<String> =
                breaches.iter().map(|(rule, breach)| format!("\n    {rule}: {}", breach["what"])).collect();
            wrong.push(format!("refused by {found:?} and not by {listed:?}{}", what.concat()));
        }
        if is_clean != needed.is_empty() {
            wrong.push(format!("its exit status says {is_clean}"));
        }
        if let Some(rule) = listed.first() {
            let of = |what: &str| -> String {
                let of_rule = breaches.iter().filter(|(name, _)| name == rule);
                of_rule.map(|(_, breach)| breach[what].as_str().unwrap().to_owned() + "\n").collect()
            };
            for what in ["says", "instead"] {
                let (part, words) =
                    (self.get(what).unwrap_or_default(), of(if what == "says" { "what" } else { what }));
                if part.is_empty() || !words.contains(part) {
                    wrong.push(format!("{what} {words:?} and not {part:?}"));
                }
            }
        }
        for (rule, breach) in &breaches {
            let file = root().join(breach["file"].as_str().unwrap());
            let is_there = file.starts_with(directory) && (file.exists() || rule == "order" || rule == "released");
            if !is_there || ["what", "instead"].iter().any(|part| breach[part].as_str().is_none_or(str::is_empty)) {
                wrong.push(format!("a breach that does not say where or what: {breach}"));
            }
        }
        if let Some(part) = self.get("notes").filter(|part| !notes.contains(part)) {
            wrong.push(format!("no note says {part:?}: {notes:?}"));
        }
        wrong.extend(self.at_home(directory));
        wrong.into_iter().map(|what| format!("{}/{}: {what}", self.kind, self.name)).collect()
    }

    /// What is wrong with what the shipped migrator makes of it on the newest release's database with awkward rows, if anything is.
    fn at_home(&self, directory: &Path) -> Option<String> {
        let part = self.get("at home")?;
        let database = directory.join(format!("{}.db", self.name));
        releases::all().unwrap().pop().unwrap().make(&database).unwrap();
        awkward::fill(&database).unwrap();
        let mut command = self.program(directory);
        command.env("MIGRATION_CHECK_RUN", "1").args(["up", "--json", "--database"]).arg(&database);
        let before = common::content(&common::open(&database));
        let ran = common::ran(&mut command);
        if ran.code != Some(1) || !ran.stdout.contains(part) {
            return Some(format!("at home it is not refused with {part:?}: {ran:?}"));
        }
        (common::content(&common::open(&database)) != before)
            .then(|| "at home it was refused and left something".to_owned())
    }
}

fn corpus() -> PathBuf {
    root().join("migrator/examples/corpus")
}

fn program() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_migrator"));
    let program = binary.parent().unwrap().join("examples/corpus");
    assert!(program.exists(), "{} is not built: cargo build -p migrator --examples", program.display());
    program
}

/// A directory with the sources as a developer has them, and with entities.
fn prepared(cases: &[Case]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let sources = directory.path().join("sources");
    fs::create_dir(&sources).unwrap();
    let released = releases::all().unwrap().pop().unwrap().migrations().unwrap().len();
    for case in cases {
        let number = released + if case.name == "skips_a_number" { 2 } else { 1 };
        let from = corpus().join(case.kind).join(format!("{}.rs", case.name));
        fs::copy(from, sources.join(format!("m{number:04}_{}.rs", case.name))).unwrap();
        if case.has("reads") {
            fs::write(directory.path().join(format!("{}.statements", case.name)), case.statements()).unwrap();
        }
    }
    let column = |name: &str, affinity, nullable| Column {
        name: name.to_owned(),
        affinity,
        nullable,
        default: None,
        primary_key: name == "id",
        auto_increment: name == "id",
        unique: false,
        unbounded: false,
        extra: None,
    };
    let (integer, text) = (Affinity::Integer, Affinity::Text);
    let entity = Entity {
        table: "api_token".to_owned(),
        columns: vec![
            column("id", integer, false),
            column("user_id", integer, false),
            column("name", text, false),
            column("token_hash", text, false),
            column("scope", text, false),
            column("created_at", text, false),
            column("expires_at", text, true),
            column("last_used_at", text, true),
        ],
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
    };
    fs::write(directory.path().join("entities.json"), serde_json::to_string(&[entity]).unwrap()).unwrap();
    directory
}

#[test]
fn the_bad_migrations_are_refused_by_the_right_rule_and_the_good_ones_are_not() {
    let cases = Case::all();
    let number = |kind: &str| cases.iter().filter(|case| case.kind == kind).count();
    assert!(number("bad") >= 30 && number("good") >= 30, "{} bad and {} good", number("bad"), number("good"));
    let listed = Command::new(program()).output().unwrap();
    assert_eq!(String::from_utf8(listed.stdout).unwrap().lines().count(), cases.len(), "a file is not in its mod.rs");
    for rule in Rule::ALL {
        let is_rule = |name: &str| name == rule.name();
        let shown = |case: &Case| case.kind == "bad" && case.get("rules").unwrap_or_default().split(", ").any(is_rule);
        assert!(cases.iter().any(shown), "no bad migration breaks the rule {}", rule.name());
    }
    let directory = prepared(&cases);
    // One before the others, so that what all of them start from is made once.
    let does_nothing = cases.iter().find(|case| case.name == "does_nothing").unwrap();
    assert_eq!(does_nothing.judge(directory.path()), Vec::<String>::new());
    // All of them; TEST_CASES=floor for those with this in their names.
    let part = std::env::var("TEST_CASES").unwrap_or_default();
    let (next, wrong) = (Mutex::new(cases.iter().filter(|case| case.name.contains(&part))), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(case) = { next.lock().unwrap().next() } {
                    let found = case.judge(directory.path());
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_report_is_text_and_annotations_too() {
    let cases = Case::all();
    let directory = prepared(&cases);
    let case = cases.iter().find(|case| case.name == "renames_a_column").unwrap();
    let (is_clean, text) = case.checked(directory.path(), &["--github"]);
    assert!(!is_clean);
    let (report, annotations) = text.split_at(text.find("::error").unwrap());
    let number = releases::all().unwrap().pop().unwrap().migrations().unwrap().len() + 1;
    let file = directory.path().join(format!("sources/m{number:04}_renames_a_column.rs"));
    let line = 1 + fs::read_to_string(&file).unwrap().lines().position(|line| line.starts_with("up!")).unwrap();
    for part in [
        "additive          REFUSED  nothing of the schema goes or becomes something else".to_owned(),
        "idempotent        ".to_owned(),
        format!("additive: {}:{line}\n  column name of table passkey is gone (from ", file.display()),
        "\n  Instead: ".to_owned(),
    ] {
        assert!(report.contains(&part), "{part}: {report}");
    }
    let title = "title=migration check%3A additive";
    let part =
        format!("::error file={},line={line},{title}::column name of table passkey is gone. Instead: ", file.display());
    assert!(annotations.contains(&part), "{annotations}");
}

/// As when the release before is made again: its migrations count as unreleased.
#[test]
fn a_release_that_is_made_again_is_checked_as_the_first_time() {
    let check = |before: &str| -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_developer"));
        command.args(["migration", "check", "--json", "--no-entities", "--quick", "--before", before]);
        serde_json::from_slice(&command.stdin(Stdio::null()).output().unwrap().stdout).unwrap()
    };
    let report = check("0.5.0");
    // Those of that release, and all that came after it.
    let names = Release::current().names();
    let first = names.iter().position(|name| name == "m0003_search_and_changes").unwrap();
    assert_eq!(report["migrations"], serde_json::json!(names[first..]));
    let of: Vec<&str> =
        report["releases"].as_array().unwrap().iter().map(|one| one["version"].as_str().unwrap()).collect();
    assert_eq!(of, ["0.1.0", "0.2.0", "0.3.0", "0.4.0"], "{report:#}");
}

#[test]
fn the_migrations_of_this_source_may_be_released() {
    let output = Command::new(env!("CARGO_BIN_EXE_developer"))
        .args(["migration", "check", "--json", "--no-entities"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let newest = releases::all().unwrap().pop().unwrap().migrations().unwrap();
    let unreleased: Vec<String> =
        Release::current().names().into_iter().filter(|name| !newest.contains(name)).collect();
    assert_eq!(report["migrations"], serde_json::json!(unreleased));
    assert!(output.status.success(), "{report:#}");
    // Every release's database with awkward rows, and nothing lost of any.
    let upgraded = report["releases"].as_array().unwrap();
    assert_eq!(upgraded.len(), releases::all().unwrap().len());
    for facts in upgraded {
        assert!(facts["rows"].as_u64().unwrap() > 500, "{facts}");
        assert_eq!(facts["values"], facts["kept"], "{facts}");
    }
}

/// Each rule is in docs/MIGRATIONS.md with a migration that it refuses and one that is not refused, word for word from the corpus.
#[test]
fn the_documented_examples_are_those_of_the_corpus() {
    let document = fs::read_to_string(root().join("docs/MIGRATIONS.md")).unwrap();
    let cases = Case::all();
    for rule in Rule::ALL {
        let section =
            document.split(&format!("\n### {}\n", rule.name())).nth(1).unwrap_or_else(|| panic!("no {}", rule.name()));
        let section = section.split("\n### ").next().unwrap().split("\n## ").next().unwrap();
        let mut shown = Vec::new();
        for block in section.split("```rust ").skip(1) {
            let (place, code) = block.split_once('\n').unwrap();
            let file = fs::read_to_string(corpus().join(format!("{place}.rs"))).unwrap();
            let body: Vec<&str> = file.lines().skip_while(|line| line.starts_with("//!")).collect();
            assert_eq!(code.split("```").next().unwrap().trim(), body.join("\n").trim(), "{place}");
            let (kind, name) = place.split_once('/').unwrap();
            let case = cases.iter().find(|case| case.kind == kind && case.name == name).unwrap();
            let rules = case.get("rules").unwrap_or_default();
            assert!(kind == "good" || rules.split(", ").any(|name| name == rule.name()), "{place} breaks {rules}");
            shown.push(kind);
        }
        assert_eq!(shown, ["bad", "good"], "{}", rule.name());
    }
}

/// Each case of a floor that is too low is in docs/MIGRATIONS.md, in its own words.
#[test]
fn the_documented_floors_are_those_of_the_corpus() {
    let document = fs::read_to_string(root().join("docs/MIGRATIONS.md")).unwrap();
    let section = document.split("\n## The floor\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let documented: BTreeSet<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    let of_corpus = Case::all().into_iter().filter(|case| case.kind == "bad" && case.has("floor"));
    let of_corpus: BTreeSet<String> = of_corpus
        .map(|case| {
            let text = fs::read_to_string(corpus().join(format!("bad/{}.rs", case.name))).unwrap();
            format!("| `{}` | {} |", case.name, text.lines().next().unwrap().trim_start_matches("//! "))
        })
        .collect();
    assert_eq!(documented.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), of_corpus);
    assert!(of_corpus.len() > 20, "{of_corpus:?}");
}
