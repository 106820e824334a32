//! What is asked for beside what the entities say?

use clap::Args;

use super::sql::{list, plain};
use super::step::Step;
use crate::developer::Problem;

/// The flags of `cargo migration new`.
#[derive(Clone, Debug, Default, Args)]
pub struct Wishes {
    /// A column that has another name now: the table has both from then on, each with the other's value
    #[arg(long, value_name = "TABLE.OLD=NEW")]
    pub rename: Vec<String>,
    /// A column (or table) that is in no entity any more: it stays in the database, and nothing took its place
    #[arg(long, value_name = "TABLE.COLUMN")]
    pub leave: Vec<String>,
    /// An index, also a partial one
    #[arg(long, value_name = "TABLE(COLUMNS)")]
    pub index: Vec<String>,
    /// A unique index; an upgrade stops in a household in which two rows have the same values
    #[arg(long, value_name = "TABLE(COLUMNS)")]
    pub unique: Vec<String>,
    /// A full-text index of these columns, TABLE_search, with its triggers
    #[arg(long, value_name = "TABLE(COLUMNS)")]
    pub search: Vec<String>,
    /// A value, as SQL, for the rows in which the column has its default
    #[arg(long, value_name = "TABLE.COLUMN=SQL")]
    pub back_fill: Vec<String>,
    /// A trigger: its name and what follows it
    #[arg(long, value_name = "NAME AFTER …")]
    pub trigger: Vec<String>,
    /// Write a migration that does nothing yet, to be filled by hand
    #[arg(long)]
    pub empty: bool,
}

/// A column under its two names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rename {
    pub(super) table: String,
    pub(super) old: String,
    pub(super) new: String,
}

impl Wishes {
    pub(super) fn renames(&self) -> Result<Vec<Rename>, Problem> {
        let read = |text: &String| {
            let of = || {
                let (old, new) = text.split_once('=')?;
                let (table, old) = old.split_once('.')?;
                // Both sides may name the table.
                let new = new.strip_prefix(&format!("{table}.")).unwrap_or(new);
                let is_name = |name: &str| !name.is_empty() && !name.contains('.');
                (is_name(old) && is_name(new) && old != new).then(|| Rename {
                    table: table.to_owned(),
                    old: old.to_owned(),
                    new: new.to_owned(),
                })
            };
            of().ok_or_else(|| {
                Problem::new(format!("--rename {text} does not name a column under two names"))
                    .hint("write it as --rename record.notes=remarks; a table keeps its name: write #[sea_orm(table_name = \"…\")]")
            })
        };
        self.rename.iter().map(read).collect()
    }

    /// Says whether this column, or this table, is to stay though no entity has it any more.
    pub(super) fn leaves(&self, table: &str, column: Option<&str>) -> bool {
        let name = column.map_or_else(|| table.to_owned(), |column| format!("{table}.{column}"));
        self.leave.iter().any(|left| left.eq_ignore_ascii_case(&name))
    }

    /// Returns the steps that are asked for by name.
    pub(super) fn steps(&self) -> Result<Vec<Step>, Problem> {
        let mut steps = Vec::new();
        for text in &self.back_fill {
            let of = || {
                let (column, expression) = text.split_once('=')?;
                let (table, column) = column.split_once('.')?;
                let (table, column) = (table.trim().to_owned(), column.trim().to_owned());
                Some(Step::BackFill { table, column, expression: expression.trim().to_owned() })
            };
            steps.push(of().ok_or_else(|| {
                Problem::new(format!("--back-fill {text} does not name a column and its value"))
                    .hint("write it as --back-fill \"record.size=length(notes)\"")
            })?);
        }
        for (flag, texts, unique) in [("unique", &self.unique, true), ("index", &self.index, false)] {
            for text in texts {
                let (table, columns, more) = on(text).ok_or_else(|| {
                    Problem::new(format!("--{flag} {text} does not name a table and its columns"))
                        .hint(format!("write it as --{flag} \"record(owner_id, due_date)\""))
                })?;
                let on = format!("{} ({}){more}", plain(&table), columns.join(", "));
                steps.push(Step::Index { name: index_name(&table, &columns), on, unique });
            }
        }
        for text in &self.search {
            let found = on(text).filter(|(_, _, more)| more.is_empty());
            let (table, columns, _) = found.ok_or_else(|| {
                Problem::new(format!("--search {text} does not name a table and its columns"))
                    .hint("write it as --search \"chore(name, notes)\"")
            })?;
            steps.push(Step::Search { table, columns });
        }
        for text in &self.trigger {
            let (name, definition) = text.trim().split_once(char::is_whitespace).ok_or_else(|| {
                Problem::new(format!("--trigger {text} is no name and what follows it"))
                    .hint("write it as --trigger \"chore_done AFTER UPDATE OF done ON chore BEGIN …; END\"")
            })?;
            steps.push(Step::Trigger { name: name.to_owned(), definition: definition.trim().to_owned() });
        }
        Ok(steps)
    }
}

/// Reads `table(column, column) WHERE …`.
fn on(text: &str) -> Option<(String, Vec<String>, String)> {
    let (table, rest) = text.split_once('(')?;
    let (mut depth, mut end) = (1, None);
    for (at, c) in rest.char_indices() {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        if depth == 0 {
            end = Some(at);
            break;
        }
    }
    let (inside, more) = (&rest[..end?], rest[end? + 1..].trim());
    let columns: Vec<String> = if inside.contains(['(', '\'', '"']) {
        vec![inside.trim().to_owned()]
    } else {
        inside.split(',').map(|column| column.trim().to_owned()).collect()
    };
    let is_whole = !table.trim().is_empty() && columns.iter().all(|column| !column.is_empty());
    let more = if more.is_empty() { String::new() } else { format!(" {more}") };
    is_whole.then(|| (table.trim().to_owned(), columns, more))
}

/// Returns the name of an index: the table and its columns.
pub(super) fn index_name(table: &str, columns: &[String]) -> String {
    let words = |text: &str| text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect::<String>();
    let mut name = words(table).to_lowercase();
    for column in columns {
        // The direction and collation do not belong to the name.
        let column = column.split_whitespace().next().unwrap_or_default();
        name.push('_');
        name.push_str(words(column).to_lowercase().trim_matches('_'));
    }
    name
}

/// Returns an index of columns that an entity names.
pub(super) fn index(table: &str, columns: &[String], unique: bool) -> Step {
    Step::Index { name: index_name(table, columns), on: format!("{} ({})", plain(table), list(columns)), unique }
}
