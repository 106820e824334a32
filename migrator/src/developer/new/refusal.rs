//! Which changes does no migration make, and what is written instead?

use super::wishes::Rename;
use crate::developer::Problem;
use crate::developer::entity::{Affinity, Column, Difference, ForeignKey, What};

/// A change that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What it is, and why it cannot be made.
    sentence: String,
    /// What to write instead.
    instead: String,
    /// The column that no entity has and that has to be written, if that is what it is about.
    unwritten: Option<(String, String)>,
}

impl Refusal {
    fn new(sentence: impl Into<String>, instead: impl Into<String>) -> Refusal {
        Refusal { sentence: sentence.into(), instead: instead.into(), unwritten: None }
    }

    /// Returns them as one problem.
    pub(super) fn problem(mut refusals: Vec<Refusal>) -> Problem {
        if refusals.len() == 1
            && let Some(Refusal { sentence, instead, .. }) = refusals.pop()
        {
            let end = if sentence.ends_with('?') { " Nothing was written" } else { "; nothing was written" };
            return Problem::new(format!("{sentence}{end}")).hint(instead);
        }
        let mut words = format!("{} changes cannot be made, and nothing was written", refusals.len());
        for (index, Refusal { sentence, instead, .. }) in refusals.iter().enumerate() {
            words.push_str(&format!("\n  {}. {sentence}\n     hint: {instead}", index + 1));
        }
        Problem::new(words)
    }

    pub(super) fn is_unwritten(&self, table: &str, column: &str) -> bool {
        self.unwritten.as_ref().is_some_and(|(own, name)| own == table && name == column)
    }

    pub(super) fn without_default(table: &str, column: &Column) -> Refusal {
        let name = &column.name;
        let value = match column.affinity {
            Affinity::Text => "\"\"",
            Affinity::Real => "0.0",
            _ => "0",
        };
        Refusal::new(
            format!(
                "column {name} of table {table} may not be null and has no default: the rows that are there would have no value, and \
                 the inserts of older programs would fail"
            ),
            format!("make the field an Option<…>, or write #[sea_orm(default_value = {value})] above it"),
        )
    }

    pub(super) fn reference_not_null(table: &str, column: &str) -> Refusal {
        Refusal::new(
            format!(
                "column {column} of table {table} refers to another table, and the rows that are there would refer to nothing: such \
                 a column begins as null"
            ),
            "make the field an Option<…> without a default, and fill it with --back-fill",
        )
    }

    pub(super) fn unique_default(table: &str, column: &str) -> Refusal {
        Refusal::new(
            format!(
                "column {column} of table {table} is unique and has a default, which all rows that are there would have"
            ),
            "make the field an Option<…> without a default: nulls are never equal",
        )
    }

    pub(super) fn unique_over_rows(table: &str, columns: &[String]) -> Refusal {
        let columns = columns.join(", ");
        Refusal::new(
            format!(
                "({columns}) of table {table} is to be unique, and a household may have rows that are equal in it: its upgrade would \
                 stop there, and nobody can look into its database"
            ),
            format!(
                "refuse the second one in the app, before it writes; or make rows distinct in a migration of your own first, and \
                 then: --unique \"{table}({columns})\""
            ),
        )
    }

    pub(super) fn restriction(table: &str, column: &str, extra: &str) -> Refusal {
        Refusal::new(
            format!(
                "column {column} of table {table} is there without {extra}, which a household's rows may not fulfil, and what older \
                 programs write may not either"
            ),
            "check it in the app, before it writes; a column that is new can have such a restriction",
        )
    }

    pub(super) fn reference_of_rows(table: &str, key: &ForeignKey) -> Refusal {
        let (columns, to) = (key.columns.join(", "), &key.table);
        Refusal::new(
            format!(
                "({columns}) of table {table} is there without a reference to table {to}, and rows may refer to nothing; older programs \
                 know nothing of it either, and their deletions in {to} would fail"
            ),
            "write #[sea_orm(skip_fk)] at the relation, which is enough to join by; or refer from a new column, and fill it with --back-fill",
        )
    }

    pub(super) fn key(table: &str, column: &str) -> Refusal {
        Refusal::new(
            format!(
                "column {column} would be a part of the primary key of table {table}, which every reference to it counts on"
            ),
            "make a new table with that key, and leave this one as it is",
        )
    }

    pub(super) fn value(table: &str, column: &str, reason: &str) -> Refusal {
        Refusal::new(
            format!("SQLite does not take column {column} of table {table} with its default: {reason}"),
            "give a constant of the column's own type, as #[sea_orm(default_value = …)], and compute others with --back-fill",
        )
    }

    pub(super) fn cascade(table: &str, key: &ForeignKey) -> Refusal {
        Refusal::new(
            format!(
                "({}) of table {table} refers to table {} with CASCADE: a program that knows nothing of {table}, such as an older one, \
                 would delete its rows without a word",
                key.columns.join(", "),
                key.table
            ),
            "leave on_delete and on_update out of the relation, and delete the rows in the app first",
        )
    }

    pub(super) fn reference_to_nothing(table: &str, key: &ForeignKey) -> Refusal {
        Refusal::new(
            format!(
                "({}) of table {table} refers to ({}) of table {}, which is not there or not unique",
                key.columns.join(", "),
                key.to.join(", "),
                key.table
            ),
            "refer to the other table's primary key, or to a column that is #[sea_orm(unique)]",
        )
    }

    /// The differences that no migration settles.
    pub(super) fn difference(difference: &Difference) -> Refusal {
        let column = difference.column.as_deref().unwrap_or_default();
        let instead = match &difference.what {
            What::Affinity { entity, .. } => format!(
                "leave {column} as it is, and add a field of another name that is {entity}; fill it with --back-fill, and write both"
            ),
            What::Nullable => format!(
                "leave {column} an Option<…>: rows may be null, and older programs write nulls; or add a field of another name with a \
                 default, and fill it with --back-fill"
            ),
            What::Default { .. } => format!(
                "leave default_value out above {column}, and let the app give the value: what older programs leave out has to become what it did"
            ),
            What::NotUnique => {
                return Refusal::unique_over_rows(&difference.table, &[column.to_owned()]);
            }
            What::PrimaryKey { .. } => "make a new table with that key, and leave this one as it is".to_owned(),
            _ => "change the entity so that it says what the table is".to_owned(),
        };
        Refusal::new(format!("{difference}, and no migration can change that without a loss for somebody"), instead)
    }

    pub(super) fn unwritten(table: &str, column: &str, refers: bool) -> Refusal {
        let sentence = format!(
            "column {column} of table {table} is in no entity any more, but it may not be null and has no default, so that the entity's \
             inserts would fail"
        );
        let instead = if refers {
            "put the field back: it refers to another table, and older programs need it".to_owned()
        } else {
            format!(
                "if it has another name now: put the field back beside the new one, write both, and --rename {table}.{column}=…; if it is \
                 out of use: --leave {table}.{column}, which gives it a default"
            )
        };
        Refusal { unwritten: Some((table.to_owned(), column.to_owned())), ..Refusal::new(sentence, instead) }
    }

    pub(super) fn renamed_unwritten(table: &str, column: &str) -> Refusal {
        let sentence = format!(
            "column {column} of table {table} may not be null and has no default, so that inserts of an entity without it would fail"
        );
        let instead = "put the field back beside the new one and write both: older programs read it";
        Refusal { unwritten: Some((table.to_owned(), column.to_owned())), ..Refusal::new(sentence, instead) }
    }

    pub(super) fn gone(table: &str, column: Option<&str>, new: &[&str]) -> Refusal {
        let names = new.join(", ");
        match column {
            Some(column) => Refusal::new(
                format!(
                    "column {column} of table {table} is in no entity any more, and {names} is new there: is it another name for it?"
                ),
                format!(
                    "if so: --rename {table}.{column}={}; if not: --leave {table}.{column}, which stays in the table as it is",
                    new.first().unwrap_or(&"…")
                ),
            ),
            None => Refusal::new(
                format!("table {table} is in no entity any more, and table {names} is new: is it another name for it?"),
                format!(
                    "if so, the table keeps its name: write #[sea_orm(table_name = \"{table}\")]; if not: --leave {table}, which stays in the \
                     database as it is"
                ),
            ),
        }
    }

    pub(super) fn rename_unknown(Rename { table, old, new }: &Rename, why: &str) -> Refusal {
        Refusal::new(
            format!("--rename {table}.{old}={new} cannot be made: {why}"),
            "name a column of the table, and a field of its entity that the table does not have yet",
        )
    }

    pub(super) fn rename_of_another_kind(rename: &Rename, old: &str, new: Affinity, refers: bool) -> Refusal {
        let Rename { table, old: from, new: to } = rename;
        let why = match (old.eq_ignore_ascii_case(&new.to_string()), refers) {
            (false, _) => format!("one is {old} and the other {new}"),
            (true, true) => "it refers to another table".to_owned(),
            (true, false) => "it is a primary key".to_owned(),
        };
        Refusal::new(
            format!("column {from} of table {table} cannot be kept in step with {to}: {why}"),
            format!(
                "write #[sea_orm(column_name = \"{from}\")] above the field {to}: the name in the app is yours to choose"
            ),
        )
    }

    pub(super) fn rename_of_null(Rename { table, old, new }: &Rename) -> Refusal {
        Refusal::new(
            format!("column {old} of table {table} may be null, and {new} may not"),
            format!("make the field {new} an Option<…>"),
        )
    }

    pub(super) fn rename_unique(Rename { table, old, new }: &Rename) -> Refusal {
        Refusal::new(
            format!("{new} of table {table} is to be unique, and {old}, whose values it has, is not"),
            format!("leave #[sea_orm(unique)] out above {new}"),
        )
    }

    pub(super) fn unread(table: &str, column: &str) -> Refusal {
        Refusal::new(
            format!("the definition of column {column} of table {table} cannot be changed"),
            "write the migration by hand, in the frame that --empty makes, with add::rebuild",
        )
    }

    pub(super) fn unknown(table: &str, column: Option<&str>) -> Refusal {
        let what =
            column.map_or_else(|| format!("table {table}"), |column| format!("column {column} of table {table}"));
        Refusal::new(format!("there is no {what}"), "name a table and columns that an entity or the database has")
    }

    pub(super) fn indexed(on: &str, name: &str) -> Refusal {
        Refusal::new(format!("there is an index on {on} already: {name}"), "leave the flag out")
    }

    pub(super) fn searched(table: &str) -> Refusal {
        Refusal::new(
            format!("table {table} has a search already: {table}_search"),
            "a search that takes in more is made again by hand: see m0003_search_and_changes",
        )
    }

    pub(super) fn triggered(name: &str) -> Refusal {
        Refusal::new(
            format!("there is a trigger {name} already"),
            "give it another name; one that is to do something else is dropped and made again by hand, in the frame that --empty makes",
        )
    }

    pub(super) fn left_in_use(name: &str) -> Refusal {
        Refusal::new(
            format!("{name} is in an entity, and so in use"),
            "leave out --leave, or take the field out of the entity",
        )
    }
}
