//! Do the documents say what is so?
//!
//! Each block of commands is run by a test, or says what it needs that a test cannot have: a line such as
//! `<!-- needs: a tailnet account -->` right above it. Commands and settings everywhere are checked without running
//! them; links are checked by .ci/check-documents.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backups;
mod commands;
mod docker;
#[path = "../harness/mod.rs"]
mod harness;
mod markdown;
mod rootless;
mod terminal;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use harness::program;
use markdown::{Document, documents, root};

/// A block that tests/by_hand.rs runs begins with this.
const BY_HAND: &str = "by-hand-";
/// What it measures takes hours and other programs to compare with; it is for whoever measures again.
const MEASUREMENTS: &str = "docs/BENCHMARKS.md";
/// What only PID 1 starts, and no person.
const INTERNAL: &[&str] = &["launch"];

/// Fails with all that was found wrong at once.
fn assert_nothing(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn every_block_of_commands_is_run_by_a_test_or_says_what_it_needs() {
    let run: BTreeSet<(&str, &str)> =
        [backups::RUN, docker::RUN, docker::FROM_0_4_0, docker::MOVE].concat().into_iter().collect();
    // It builds the image, whose programs it then starts.
    let ci = [".ci/run", ".ci/long", "Dockerfile"].map(|file| fs::read_to_string(root().join(file)).unwrap()).concat();
    let (mut wrong, mut met) = (Vec::new(), BTreeSet::new());
    for document in documents().iter().filter(|document| document.path != Path::new(MEASUREMENTS)) {
        let path = document.path.to_str().unwrap();
        for block in document.blocks() {
            let tested = run.iter().find(|known| **known == (path, block.name.as_str()));
            met.extend(tested);
            let commands = commands::split(&block.text);
            let in_ci = commands.iter().all(|words| ci.contains(words.join(" ").trim_start_matches("./")));
            let tested = tested.is_some() || in_ci || block.name.starts_with(BY_HAND);
            match (&block.needs, tested) {
                (Some(needs), false) if !needs.trim().is_empty() => {}
                (Some(_), true) => wrong.push(format!("{path}:{}: is run, so it needs nothing", block.line)),
                (None, true) => {}
                _ => wrong.push(format!(
                    "{path}:{}: no test runs the block {:?}; add it to RUN in tests/documents, or say above it what \
                     it needs: <!-- needs: … -->",
                    block.line, block.name
                )),
            }
        }
    }
    wrong.extend(run.difference(&met).map(|(path, name)| format!("{path} has no block {name}")));
    assert_nothing(&wrong);
}

#[test]
fn every_command_is_one_that_the_programs_take() {
    let mut wrong = Vec::new();
    let mut check = |document: &Document, line: usize, words: &[&str]| {
        if let Some((program, arguments)) = commands::ours(words)
            && !arguments.first().is_some_and(|first| INTERNAL.contains(first))
            && let Err(why) = commands::check(program, arguments)
        {
            wrong.push(format!("{}:{line}: {}: {why}", document.path.display(), words.join(" ")));
        }
    };
    for document in documents() {
        for block in document.blocks() {
            for words in commands::split(&block.text) {
                check(&document, block.line, &words.iter().map(String::as_str).collect::<Vec<_>>());
            }
        }
        for (line, span) in document.spans() {
            check(&document, line, &span.split_whitespace().collect::<Vec<_>>());
        }
    }
    assert_nothing(&wrong);
}

#[test]
fn every_setting_that_is_named_is_one() {
    let files = ["compose", "docs/systemd", "docs/unraid", "docs/podman"].iter().flat_map(|directory| {
        let entries = fs::read_dir(root().join(directory)).unwrap();
        entries.map(|entry| Path::new(directory).join(entry.unwrap().file_name())).collect::<Vec<_>>()
    });
    // A picture names no setting.
    let text = |path: &Path| String::from_utf8(fs::read(root().join(path)).unwrap()).unwrap_or_default();
    let files: Vec<(PathBuf, String)> = files.map(|path| (path.clone(), text(&path))).collect();
    let mut known = known_variables();
    // Examples of what is no setting.
    known.extend(["HEARTH_LOG_FORMAT", "HEARTH_STOP__GRASE", "HEARTH_SERVICE_HOST"].map(str::to_owned));
    // Compose puts these in itself, and hands them to no container.
    let own = files.iter().flat_map(|(_, text)| text.split("${").skip(1)).filter_map(|rest| variables(rest).next());
    known.extend(own.map(str::to_owned));
    let documents = documents().into_iter().map(|document| (document.path, document.text));
    let mut wrong = Vec::new();
    for (path, text) in documents.chain(files.clone()) {
        for (number, line) in text.lines().enumerate() {
            let unknown = variables(line).filter(|name| !name.starts_with("HEARTH_TEST_") && !known.contains(*name));
            wrong.extend(unknown.map(|name| format!("{}:{}: there is no setting {name}", path.display(), number + 1)));
        }
    }
    assert_nothing(&wrong);
}

/// Returns the variables that a text names, without what only begins like one (`HEARTH_*`).
fn variables(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("HEARTH_").filter_map(|(start, _)| {
        let rest = &text[start..];
        let end = rest.find(|letter: char| !(letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_'));
        let name = &rest[..end.unwrap_or(rest.len())];
        (!name.ends_with('_')).then_some(name)
    })
}

/// Returns the variables that the programs know: what they say themselves, and what they say to each other.
fn known_variables() -> BTreeSet<String> {
    let said = |name: &str, arguments: &[&str], variable: &str| {
        let mut command = Command::new(program(name));
        let output = command.args(arguments).env(variable, "1").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    // After a mistake it lists every setting there is.
    let mut text = said("supervisor", &["config"], "HEARTH_STOP_GRACE");
    text += &said("migrator", &["--help"], "HEARTH_DATABASE");
    text += &fs::read_to_string(root().join("docs/contracts/app-environment.json")).unwrap();
    // The one that names the file of settings is no setting.
    text += " HEARTH_CONFIG";
    variables(&text).map(str::to_owned).collect()
}

#[test]
fn what_is_set_up_is_this_version() {
    let document = Document::read(Path::new("docs/SETUP.md"));
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        document.text.contains(&format!("/v{version}.tar.gz"))
            && document.text.contains(&format!(" hearth-{version}/")),
        "docs/SETUP.md does not fetch the compose files of v{version}"
    );
    let document = Document::read(Path::new("docs/SYSTEMD.md"));
    assert!(
        document.text.contains(&format!("\nversion={version}\n")),
        "docs/SYSTEMD.md does not fetch the archive of v{version}"
    );
}
