//! Is a released migration still what it was when it was released?
//!
//! A database that it ran on will not run it again, so one that is edited makes another schema in a new household than in an old one.
//! What counts is what it does and not how its source is written: `migrator/releases/<migration>.pinned` has the statements that it
//! executes on a new database. Compared is their meaning to SQLite: not spaces, comments and case, and not questions about the
//! schema, which the helpers of [`add`](crate::add) ask.

use std::fs;
use std::path::{Path, PathBuf};

use super::Problem;
use super::statements::Executed;
use crate::schema::normalised;

/// What begins the line before each statement.
const NUMBER: &str = "-- statement ";

/// Returns the pins of a migration as text.
pub fn text(executed: &Executed) -> String {
    let mut text =
        format!("-- What {} executes on a new database; it is released and never changes.\n", executed.migration);
    for (index, statement) in counted(&executed.statements).enumerate() {
        text.push_str(&format!("{NUMBER}{}\n{}\n", index + 1, statement.trim_end()));
    }
    text
}

/// Returns the path of a migration's pins.
pub fn path(directory: &Path, migration: &str) -> PathBuf {
    directory.join(format!("{migration}.pinned"))
}

/// Pins what a migration executes; a file that is there stays as it is.
///
/// # Errors
///
/// The file cannot be written.
pub fn write(directory: &Path, executed: &Executed) -> Result<(), Problem> {
    let file = path(directory, &executed.migration);
    if file.exists() {
        return Ok(());
    }
    fs::write(&file, text(executed)).map_err(|error| Problem::new(format!("cannot write {}: {error}", file.display())))
}

/// Returns where `executed` differs from what is pinned in `directory`, in a sentence; none if it is the same.
///
/// # Errors
///
/// The pins are missing or cannot be read.
pub fn compare(directory: &Path, executed: &Executed) -> Result<Option<String>, Problem> {
    let file = path(directory, &executed.migration);
    let text = fs::read_to_string(&file).map_err(|error| {
        Problem::new(format!(
            "cannot read {}, which has the statements of a released migration: {error}",
            file.display()
        ))
        .hint(format!("git restore {}", file.display()))
    })?;
    Ok(difference(&executed.migration, &parse(&text), &counted(&executed.statements).collect::<Vec<_>>()))
}

fn difference(migration: &str, pinned: &[String], executed: &[&str]) -> Option<String> {
    for (index, was) in pinned.iter().enumerate() {
        match executed.get(index) {
            Some(is) if normalised(was) == normalised(is) => {}
            Some(is) => {
                return Some(format!(
                    "{migration} is released, and its statement {} was changed: {}",
                    index + 1,
                    parted(was, is)
                ));
            }
            None => {
                return Some(format!(
                    "{migration} is released, and its statement {} is gone: {}",
                    index + 1,
                    short(was)
                ));
            }
        }
    }
    let added = executed.get(pinned.len())?;
    Some(format!("{migration} is released, and a statement was added to it: {}", short(added)))
}

/// Both statements from a little before where they part.
fn parted(was: &str, is: &str) -> String {
    let (was, is) = (normalised(was), normalised(is));
    let mut same = was.chars().zip(is.chars()).take_while(|(one, other)| one == other).count();
    same = same.saturating_sub(20);
    let from = |text: &str| text.chars().skip(same).collect::<String>();
    format!("\"{}\" was \"{}\"", short(&from(&is)), short(&from(&was)))
}

fn short(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(80) {
        Some((end, _)) => format!("{} …", &one_line[..end]),
        None => one_line,
    }
}

fn parse(text: &str) -> Vec<String> {
    let mut statements: Vec<String> = Vec::new();
    for line in text.lines() {
        if line == format!("{NUMBER}{}", statements.len() + 1) {
            statements.push(String::new());
        } else if let Some(last) = statements.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    statements
}

/// The statements that count: all but questions about the schema.
fn counted(statements: &[String]) -> impl Iterator<Item = &str> {
    statements.iter().map(String::as_str).filter(|sql| {
        let words = normalised(sql);
        let of_schema = ["sqlite_schema", "sqlite_master", " pragma_"].iter().any(|name| words.contains(name));
        !(words.starts_with("select ") && of_schema)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

    use super::*;

    fn executed(statements: &[&str]) -> Executed {
        Executed {
            migration: "m0001_records".to_owned(),
            statements: statements.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn what_is_written_differently_and_means_the_same_is_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let was = executed(&["CREATE TABLE a (\n    b TEXT -- why\n)", "UPDATE a SET b = 'X  y'\n\nWHERE b = ''"]);
        fs::write(path(directory.path(), &was.migration), text(&was)).unwrap();
        assert_eq!(compare(directory.path(), &was), Ok(None));
        let same = executed(&[
            "SELECT 1 FROM pragma_table_xinfo(?)",
            "create table a (b text)",
            "UPDATE \"a\" SET b='X  y' WHERE b=''",
        ]);
        assert_eq!(compare(directory.path(), &same), Ok(None));
    }

    #[test]
    fn each_change_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let was = executed(&["CREATE TABLE a (b TEXT)", "UPDATE a SET b = 'x'"]);
        fs::write(path(directory.path(), &was.migration), text(&was)).unwrap();
        let says = |statements: &[&str]| compare(directory.path(), &executed(statements)).unwrap().unwrap();
        assert_eq!(
            says(&["CREATE TABLE a (b TEXT)", "UPDATE a SET b = 'X'"]),
            "m0001_records is released, and its statement 2 was changed: \"update a set b = 'X'\" was \"update a set b = 'x'\""
        );
        assert_eq!(
            says(&["CREATE TABLE a (b TEXT)"]),
            "m0001_records is released, and its statement 2 is gone: UPDATE a SET b = 'x'"
        );
        assert_eq!(
            says(&["CREATE TABLE a (b TEXT)", "UPDATE a SET b = 'x'", "DELETE FROM a"]),
            "m0001_records is released, and a statement was added to it: DELETE FROM a"
        );
        assert!(says(&["CREATE TABLE a (b TEXT NULL)", "UPDATE a SET b = 'x'"]).contains("statement 1 was changed"));
        assert!(says(&["UPDATE a SET b = 'x'", "CREATE TABLE a (b TEXT)"]).contains("statement 1 was changed"));
    }

    #[test]
    fn missing_pins_are_a_problem() {
        let directory = tempfile::tempdir().unwrap();
        assert!(compare(directory.path(), &executed(&["DELETE FROM a"])).unwrap_err().message.contains(".pinned"));
    }
}
