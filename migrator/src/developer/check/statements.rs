//! The rule *statements*: does a migration do what is the migrator's to do, or nobody's?
//!
//! What it executed is prepared again on a connection whose authorizer tells what SQLite makes of each statement. Statements that
//! change the schema are executed as well, since later ones need it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Batch, Connection};

use super::Subject;
use super::bases::{Base, copy, open, unreadable};
use super::chain::Chain;
use super::content::BOOKS;
use super::findings::Findings;
use super::report::Rule;
use super::schema::Finding;
use crate::developer::Problem;
use crate::schema::words;

/// Pragmas that only ask.
const ASKING: [&str; 13] = [
    "table_info",
    "table_xinfo",
    "table_list",
    "index_list",
    "index_info",
    "index_xinfo",
    "foreign_key_list",
    "foreign_key_check",
    "integrity_check",
    "quick_check",
    "database_list",
    "collation_list",
    "function_list",
];

#[derive(Clone, Debug)]
enum Did {
    Schema,
    Transaction(&'static str),
    Pragma(String, Option<String>),
    Attach,
    Book(String),
}

pub(crate) fn check(
    _: &Subject<'_>,
    bases: &[Base],
    chain: &Chain,
    directory: &Path,
    findings: &mut Findings,
) -> Result<(), Problem> {
    let Some(base) = bases.first() else { return Ok(()) };
    let path = directory.join("statements.db");
    copy(&base.upgraded, &path)?;
    let connection = open(&path).map_err(|error| unreadable(&path, &error))?;
    // As in an upgrade: a table that others refer to can be dropped.
    connection.execute_batch("PRAGMA foreign_keys = OFF").map_err(|error| unreadable(&path, &error))?;
    let did: Arc<Mutex<Vec<Did>>> = Arc::default();
    let noted = Arc::clone(&did);
    connection.authorizer(Some(move |context: AuthContext<'_>| {
        if let Some(one) = of(context.action) {
            noted.lock().unwrap_or_else(PoisonError::into_inner).push(one);
        }
        Authorization::Allow
    }));
    for executed in &chain.executed {
        let mut legacy = false;
        for text in &executed.statements {
            for (sql, all) in prepared(&connection, &did, text) {
                for one in all {
                    if let Did::Pragma(name, Some(value)) = &one
                        && name == "legacy_alter_table"
                    {
                        legacy = !["off", "0", "false", "no"].contains(&value.to_ascii_lowercase().as_str());
                        continue;
                    }
                    if let Some(finding) = finding(&executed.migration, &one, &sql) {
                        findings.breach(Rule::Statements, &executed.migration, finding, None);
                    }
                }
                if let Some(finding) = by_word(&executed.migration, &sql) {
                    findings.breach(Rule::Statements, &executed.migration, finding, None);
                }
            }
        }
        if legacy {
            let finding = Finding {
                object: "legacy_alter_table".to_owned(),
                what: format!("{} leaves PRAGMA legacy_alter_table on for the migrations after it", executed.migration),
                instead: "set it to OFF right after the renaming".to_owned(),
            };
            findings.breach(Rule::Statements, &executed.migration, finding, None);
        }
    }
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>);
    Ok(())
}

fn of(action: AuthAction<'_>) -> Option<Did> {
    use AuthAction::*;
    Some(match action {
        CreateIndex { .. } | CreateTable { .. } | CreateTrigger { .. } | CreateView { .. } | CreateVtable { .. } => {
            Did::Schema
        }
        CreateTempIndex { .. } | CreateTempTable { .. } | CreateTempTrigger { .. } | CreateTempView { .. } => {
            Did::Schema
        }
        DropIndex { .. } | DropTable { .. } | DropTrigger { .. } | DropView { .. } | DropVtable { .. } => Did::Schema,
        AlterTable { .. } => Did::Schema,
        Transaction { operation } => Did::Transaction(match operation {
            rusqlite::hooks::TransactionOperation::Begin => "BEGIN",
            rusqlite::hooks::TransactionOperation::Rollback => "ROLLBACK",
            _ => "COMMIT",
        }),
        Pragma { pragma_name, pragma_value } => {
            Did::Pragma(pragma_name.to_ascii_lowercase(), pragma_value.map(str::to_owned))
        }
        Attach { .. } | Detach { .. } => Did::Attach,
        Insert { table_name } | Delete { table_name } | Update { table_name, .. } if BOOKS.contains(&table_name) => {
            Did::Book(table_name.to_owned())
        }
        _ => return None,
    })
}

/// Each statement of `text` with what SQLite says that it does.
fn prepared(connection: &Connection, did: &Mutex<Vec<Did>>, text: &str) -> Vec<(String, Vec<Did>)> {
    let take = || std::mem::take(&mut *did.lock().unwrap_or_else(PoisonError::into_inner));
    let mut all = Vec::new();
    let mut rest = text;
    while !rest.trim().is_empty() {
        let mut batch = Batch::new(connection, rest);
        loop {
            take();
            let next = batch.next();
            let done = take();
            match next {
                Ok(Some(mut statement)) => {
                    let sql = statement.expanded_sql().unwrap_or_default();
                    if done.iter().any(|one| matches!(one, Did::Schema)) {
                        // Where it fails, as for rows that no replay has made, the rest is still looked at.
                        statement.raw_execute().ok();
                    }
                    all.push((sql, done));
                }
                Ok(None) => return all,
                Err(_) => {
                    all.push((rest.to_owned(), done));
                    break;
                }
            }
        }
        // What stands after a statement that cannot be prepared here. In a trigger it would be a part of it.
        let is_trigger = words(rest).iter().take(3).any(|word| word == "trigger");
        rest = rest.split_once(';').filter(|_| !is_trigger).map_or("", |(_, rest)| rest);
    }
    all
}

fn finding(migration: &str, did: &Did, sql: &str) -> Option<Finding> {
    let (object, what, instead) = match did {
        Did::Schema => return None,
        Did::Transaction(word) => (
            (*word).to_owned(),
            format!("{migration} executes {word} of its own"),
            "leave it out: all migrations run in one transaction that the migrator begins and ends, so that all happen or none",
        ),
        Did::Pragma(name, value)
            if ASKING.contains(&name.as_str())
                && (value.is_some() || name.ends_with("list") || name.ends_with("check")) =>
        {
            return None;
        }
        Did::Pragma(name, _) => (
            format!("PRAGMA {name}"),
            format!("{migration} executes PRAGMA {name}"),
            "leave it out: settings are the migrator's, and some do nothing in a transaction; only legacy_alter_table around a renaming is allowed",
        ),
        Did::Attach => (
            "ATTACH".to_owned(),
            format!("{migration} attaches another database ({})", sql.chars().take(60).collect::<String>()),
            "work in the one database: an upgrade is staged, proven and taken back with this file only; for scratch data, CREATE TEMP TABLE",
        ),
        Did::Book(table) => (
            format!("table {table}"),
            format!("{migration} writes into {table}"),
            "leave the ledger to the migrator, which writes it after each migration",
        ),
    };
    Some(Finding { object, what, instead: instead.to_owned() })
}

/// What the authorizer is not asked about.
fn by_word(migration: &str, sql: &str) -> Option<Finding> {
    let first = words(sql).into_iter().next()?;
    (first == "vacuum").then(|| Finding {
        object: "VACUUM".to_owned(),
        what: format!("{migration} executes VACUUM"),
        instead: "leave it out: it cannot run in the migrator's transaction; the app uses freed pages again".to_owned(),
    })
}
