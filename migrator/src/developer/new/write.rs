//! How is a migration written down: its file with its test, and its two lines in the list?

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rusqlite::Connection;

use super::plan::Plan;
use super::sql::plain;
use super::step::{Step, literal};
use crate::developer::Problem;
use crate::developer::releases::root;
use crate::developer::tables::Tables;

/// Writes migration `name` with these steps into the folder of migrations, and registers it there. Returns its name with the
/// number, and the files that were written.
///
/// Each file takes its place whole, the list last: until then nothing is built of the migration. A run that ended between the two
/// is taken up by the same command.
///
/// # Errors
///
/// If there is a migration of this name, or the files cannot be written; then nothing was written.
pub(super) fn write(
    directory: &Path,
    name: &str,
    plan: &Plan,
    before: &Tables,
) -> Result<(String, Vec<PathBuf>), Problem> {
    let list = directory.join("mod.rs");
    let text = fs::read_to_string(&list).map_err(|error| problem(&list, &error))?;
    let is_registered = |name: &String| text.lines().any(|line| line.trim() == format!("mod {name};"));
    let (registered, others): (Vec<String>, Vec<String>) = names(directory)?.into_iter().partition(is_registered);
    if let Some(there) = registered.iter().find(|one| one.split_once('_').is_some_and(|(_, own)| own == name)) {
        return Err(Problem::new(format!("there is a migration of this name: {there}; nothing was written")).hint(format!(
            "choose another name; or, if {there} is not released, remove {there}.rs and its two lines in mod.rs, and write it again"
        )));
    }
    let number = registered.iter().filter_map(|one| one.get(1..5)?.parse::<u32>().ok()).max().unwrap_or(0) + 1;
    let full = format!("m{number:04}_{name}");
    let file = directory.join(format!("{full}.rs"));
    let with_it = with_one_more(&text, &full).ok_or_else(|| {
        Problem::new(format!(
            "{} has no list of migrations that a line can be added to; nothing was written",
            list.display()
        ))
        .hint("it needs a line `mod m….;` and a line `Box::new(m…::Migration),` for each migration")
    })?;
    let source = formatted(&source(&full, name, plan, before));
    let is_taken_up = |one: &String| *one == full && fs::read_to_string(&file).is_ok_and(|there| there == source);
    if let Some(other) = others.iter().find(|one| !is_taken_up(one)) {
        return Err(Problem::new(format!(
            "{other} is in {} and not in the list of its mod.rs; nothing was written",
            directory.display()
        ))
        .hint("remove it, or add its two lines to mod.rs: a run that was ended early, or a person, left it there"));
    }
    place(&file, &source)?;
    place(&list, &with_it)?;
    Ok((full, vec![file, list]))
}

/// Puts a file with this text where it belongs, whole or not at all.
fn place(path: &Path, text: &str) -> Result<(), Problem> {
    // Under the same name each time, so that at most one is left behind; no name of a migration begins so.
    let new = path.with_file_name(".new-migration");
    fs::write(&new, text).and_then(|()| fs::rename(&new, path)).map_err(|error| {
        fs::remove_file(&new).ok();
        problem(path, &error)
    })
}

fn problem(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(format!("cannot write {}: {error}", path.display()))
}

/// Returns the names of the migrations that have a file or a folder here.
fn names(directory: &Path) -> Result<Vec<String>, Problem> {
    let failed = |error| Problem::new(format!("cannot read {}: {error}", directory.display()));
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_numbered = name.starts_with('m') && name.get(1..5).is_some_and(|number| number.parse::<u32>().is_ok());
        if is_numbered && !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Returns the list of migrations with one more.
fn with_one_more(list: &str, name: &str) -> Option<String> {
    let mut lines: Vec<String> = list.lines().map(str::to_owned).collect();
    let last = |lines: &[String], begins: &str, ends: &str| {
        lines.iter().rposition(|line| line.trim_start().starts_with(begins) && line.trim_end().ends_with(ends))
    };
    let boxed = last(&lines, "Box::new(m", "::Migration),")?;
    let indent = lines[boxed].len() - lines[boxed].trim_start().len();
    lines.insert(boxed + 1, format!("{}Box::new({name}::Migration),", " ".repeat(indent)));
    let declared = last(&lines, "mod m", ";")?;
    lines.insert(declared + 1, format!("mod {name};"));
    Some(lines.join("\n") + "\n")
}

/// Returns the file of a migration.
fn source(full: &str, name: &str, plan: &Plan, before: &Tables) -> String {
    let mut words = name.replace('_', " ");
    if let Some(first) = words.get(..1).map(str::to_uppercase) {
        words.replace_range(..1, &first);
    }
    let mut text = format!("//! {words}.\n//!\n");
    let lines = plan.steps.iter().map(|step| format!("- {}", step.line()));
    let notes = plan.steps.iter().any(|step| matches!(step, Step::Renamed { .. })).then(|| {
        "The new program writes a renamed column under both names. Triggers serve older programs, which know one of them; `RETURNING` \
         shows a row as it was before they ran."
            .to_owned()
    });
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        text.push_str("//! (What it does, and why.)\n");
    }
    for line in lines {
        text.push_str(&wrapped(&line, "//! ", "//!   "));
    }
    if let Some(notes) = notes {
        text.push_str("//!\n");
        text.push_str(&wrapped(&notes, "//! ", "//! "));
    }
    text.push_str("\nuse sea_orm_migration::prelude::*;\n\n");
    if !plan.steps.is_empty() {
        text.push_str("use crate::add;\n\n");
    }
    let manager = if plan.steps.is_empty() { "_manager" } else { "manager" };
    text.push_str(&format!(
        "#[derive(DeriveMigrationName)]\npub(super) struct Migration;\n\n#[async_trait::async_trait]\nimpl MigrationTrait for Migration {{\n    \
         async fn up(&self, {manager}: &SchemaManager) -> Result<(), DbErr> {{\n"
    ));
    for step in &plan.steps {
        text.push_str("        ");
        text.push_str(&step.source());
    }
    text.push_str("        Ok(())\n    }\n}\n");
    text.push_str(&test(full, &plan.steps, before));
    text
}

/// Returns the test beside it.
fn test(full: &str, steps: &[Step], before: &Tables) -> String {
    let mut holds = Vec::new();
    for step in steps {
        let (table, condition) = match step {
            Step::Column { table, column, definition } => {
                let filled = steps.iter().find_map(|step| match step {
                    Step::BackFill { table: own, column: name, expression } if own == table && name == column => {
                        Some(expression)
                    }
                    _ => None,
                });
                let value = filled.cloned().unwrap_or_else(|| default_of(column, definition));
                (table, format!("{} IS ({value})", plain(column)))
            }
            Step::Renamed { table, old, new, .. } => (table, format!("{} IS {}", plain(new), plain(old))),
            Step::Table { table, .. } if before.get(table).is_none() => (table, "1".to_owned()),
            _ => continue,
        };
        holds.push(format!("        trial.holds({}, {});\n", literal(table), literal(&condition)));
    }
    let binding = if holds.is_empty() { "" } else { "let trial = " };
    format!(
        "\n#[cfg(test)]\nmod tests {{\n    use crate::developer::trial::Trial;\n\n    #[test]\n    \
         fn a_released_database_gets_it_and_a_second_run_changes_nothing() {{\n        {binding}Trial::of({});\n{}    }}\n}}\n",
        literal(full),
        holds.concat()
    )
}

/// Returns the value that a column of this definition has in rows that are there.
fn default_of(column: &str, definition: &str) -> String {
    let found = Connection::open_in_memory().and_then(|connection| {
        connection.execute_batch(&format!("CREATE TABLE t ({} {definition})", plain(column)))?;
        connection
            .query_row("SELECT dflt_value FROM pragma_table_xinfo('t')", [], |row| row.get::<_, Option<String>>(0))
    });
    found.ok().flatten().unwrap_or_else(|| "NULL".to_owned())
}

/// Breaks a comment into lines.
fn wrapped(text: &str, first: &str, others: &str) -> String {
    let (mut lines, mut line) = (String::new(), first.to_owned());
    for word in text.split_whitespace() {
        if line.chars().count() + word.chars().count() > 118 && line.trim_end() != others.trim_end() {
            lines.push_str(line.trim_end());
            lines.push('\n');
            others.clone_into(&mut line);
        }
        line.push_str(word);
        line.push(' ');
    }
    lines + line.trim_end() + "\n"
}

/// Returns Rust as rustfmt writes it; as it is, where there is no rustfmt.
fn formatted(source: &str) -> String {
    let run = || -> Option<String> {
        let mut command = Command::new("rustfmt");
        command.args(["--edition", "2024", "--config-path"]).arg(root().join("rustfmt.toml"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        child.stdin.take()?.write_all(source.as_bytes()).ok()?;
        let output = child.wait_with_output().ok()?;
        output.status.success().then(|| String::from_utf8(output.stdout).ok()).flatten()
    };
    run().unwrap_or_else(|| source.to_owned())
}
