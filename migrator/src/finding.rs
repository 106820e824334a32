//! What of a database stops an upgrade, unless the operator accepts it?
//!
//! Each finding is a sentence that is the same whenever the database is looked at, so that it can be accepted by repeating it
//! (`migrator up --accept`). There are three kinds:
//!
//! - drift: the schema is not what the ledger says ([`status`](crate::status));
//! - a row that refers to none. It stays so; that a migration adds another is refused ([`check`](mod@crate::check));
//! - an index that has more or fewer entries than its table has rows. An upgrade makes it again.
//!
//! Anything else that SQLite complains of is damage, which nobody can accept.

use std::path::Path;

use sea_orm::{ConnectionTrait, DbErr};

use crate::check::{self, quick_check};
use crate::error::{Error, words};
use crate::schema::quoted;

/// What SQLite finds when it reads through a database.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    /// The indexes that do not fit their tables.
    indexes: Vec<String>,
    /// What nobody can accept, in SQLite's words.
    damage: Vec<String>,
}

impl Condition {
    /// Has SQLite read through all of the database.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub(crate) async fn read(connection: &impl ConnectionTrait) -> Result<Condition, DbErr> {
        Ok(Condition::parse(quick_check(connection).await?))
    }

    fn parse(lines: Vec<String>) -> Condition {
        let mut condition = Condition::default();
        for line in lines {
            match line.strip_prefix("wrong # of entries in index ") {
                Some(index) => condition.indexes.push(index.to_owned()),
                None => condition.damage.push(line),
            }
        }
        condition
    }

    /// Returns a sentence for each index.
    ///
    /// # Errors
    ///
    /// `damaged`.
    pub(crate) fn findings(&self, path: &Path) -> Result<Vec<String>, Error> {
        if self.damage.is_empty() {
            return Ok(self.indexes.iter().map(|index| of_index(index)).collect());
        }
        // A few say where to look.
        let found = self.damage.iter().take(5).map(String::as_str).collect::<Vec<_>>().join("; ");
        Err(Error::Damaged { path: path.to_owned(), found })
    }
}

const OF_INDEX: &str = " does not have one entry for each row of its table";

fn of_index(index: &str) -> String {
    format!("index {}{OF_INDEX}", index.replace(['\n', '\r', '\t'], " "))
}

/// Returns those of `findings` that are not accepted.
pub(crate) fn unaccepted(findings: &[String], accepted: &[String]) -> Vec<String> {
    findings.iter().filter(|finding| !accepted.contains(finding)).cloned().collect()
}

/// Returns the error `finding` if one of `findings` is not accepted.
///
/// # Errors
///
/// `finding`.
pub(crate) fn refuse(path: &Path, findings: &[String], accepted: &[String]) -> Result<(), Error> {
    let findings = unaccepted(findings, accepted);
    match findings.is_empty() {
        true => Ok(()),
        false => Err(Error::Finding { path: path.to_owned(), findings }),
    }
}

/// Makes sure that everything that stops the upgrade is accepted, but for drift, and makes the indexes again that are. Returns
/// what was accepted. To be called inside the transaction.
///
/// # Errors
///
/// `finding`; `damaged`, and SQLite's.
pub(crate) async fn settle(
    connection: &impl ConnectionTrait,
    path: &Path,
    before: &check::Before,
    accepted: &[String],
) -> Result<Vec<String>, Error> {
    let mut findings = before.references();
    let mut condition = Condition::default();
    // Nobody accepts an index that was not read through before.
    if accepted.iter().any(|finding| finding.ends_with(OF_INDEX)) {
        let failed = |error: DbErr| Error::from_database(&error, path, "checking the database");
        condition = Condition::read(connection).await.map_err(failed)?;
        findings.extend(condition.findings(path)?);
    }
    refuse(path, &findings, accepted)?;
    for index in &condition.indexes {
        if let Err(error) = connection.execute_unprepared(&format!("REINDEX {}", quoted(index))).await {
            return Err(match Error::from_database(&error, path, &format!("making index {index} again")) {
                // Such as rows that are not unique.
                Error::Io { .. } => {
                    let finding = format!("index {index} cannot be made again: {}", words(&error));
                    Error::Finding { path: path.to_owned(), findings: vec![finding] }
                }
                other => other,
            });
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lines: &[&str]) -> Result<Vec<String>, String> {
        let condition = Condition::parse(lines.iter().map(ToString::to_string).collect());
        condition.findings(Path::new("app.db")).map_err(|error| error.to_string())
    }

    #[test]
    fn an_index_that_does_not_fit_is_a_finding_and_all_else_is_damage() {
        assert_eq!(found(&[]), Ok(Vec::new()));
        let index = "wrong # of entries in index record_due_date";
        let sentence = "index record_due_date does not have one entry for each row of its table".to_owned();
        assert_eq!(found(&[index]), Ok(vec![sentence]));
        for damage in [
            "*** in database main ***, Tree 5 page 9: btreeInitPage() returns error code 11",
            "NULL value in record.title",
        ] {
            assert_eq!(found(&[index, damage]), Err(format!("app.db is damaged: {damage}")));
        }
        let many = vec!["row"; 9];
        assert_eq!(found(&many), Err("app.db is damaged: row; row; row; row; row".to_owned()));
    }

    #[test]
    fn only_the_very_sentence_accepts() {
        let findings = ["a is b".to_owned(), "c is d".to_owned()];
        let accepted = |list: &[&str]| {
            let accepted: Vec<String> = list.iter().map(ToString::to_string).collect();
            unaccepted(&findings, &accepted).join(", ")
        };
        assert_eq!(accepted(&[]), "a is b, c is d");
        assert_eq!(accepted(&["a is b", "A is b", "c is d ", "c is"]), "c is d");
        assert_eq!(accepted(&["c is d", "a is b", "e is f"]), "");
    }
}
