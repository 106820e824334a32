//! Which files are missing, damaged, or needed by nobody?
//!
//! For the operator, who asks it by `app files check`. Reads only.

use std::{collections::HashMap, io};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};
use serde::Serialize;

use super::{
    content_store::{ContentStore, Found},
    proof::path,
};
use crate::{config::in_words, db::Database, failure::Failure};

/// What was found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Attachments of records.
    attachments: u64,
    /// Files that attachments, or kept versions of records, refer to.
    files: u64,
    bytes: u64,
    /// Whether each file was read.
    hashed: bool,
    missing: Vec<Wrong>,
    damaged: Vec<Wrong>,
    stray: Vec<Stray>,
    /// How much the files take that nothing in the live database refers to.
    stray_bytes: u64,
}

/// A file that is not as it should be.
#[derive(Debug, Serialize)]
struct Wrong {
    path: String,
    bytes: u64,
    /// What is wrong with it.
    why: String,
    /// The attachments that have it, and their records.
    attachments: Vec<i64>,
    records: Vec<i64>,
}

/// Something in `files/` that nothing in the live database refers to.
#[derive(Debug, Serialize)]
struct Stray {
    path: String,
    bytes: u64,
}

impl Report {
    /// Whether all files are there that should be.
    pub(crate) fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.damaged.is_empty()
    }

    /// Returns it for people.
    pub(crate) fn to_text(&self) -> String {
        let count = |number: u64, one: &str| if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") };
        let how = if self.hashed { "read" } else { "looked at (--hash reads them)" };
        let mut lines = vec![format!(
            "{} with {} of {}, {how}.",
            count(self.attachments, "attachment"),
            count(self.files, "file"),
            in_words(self.bytes)
        )];
        for (title, wrong) in [("Missing", &self.missing), ("Damaged", &self.damaged)] {
            lines.push(format!("{title}: {}", wrong.len()));
            lines.extend(wrong.iter().map(|wrong| {
                let ids = |ids: &[i64]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let of = match wrong.attachments.is_empty() {
                    true => "of earlier versions of records, or of what is in the trash".to_owned(),
                    false => format!("attachment {} of record {}", ids(&wrong.attachments), ids(&wrong.records)),
                };
                format!("  {}: {} ({of})", wrong.path, wrong.why)
            }));
        }
        lines.push(format!("Stray: {} with {}", self.stray.len(), in_words(self.stray_bytes)));
        lines.extend(self.stray.iter().map(|stray| format!("  {} ({})", stray.path, in_words(stray.bytes))));
        if !self.stray.is_empty() {
            lines.push(
                "Nothing in the live database refers to stray files; a snapshot may. Hearth removes none of them."
                    .to_owned(),
            );
        }
        lines.join("\n")
    }
}

/// Compares the database with what is in `files/`; with `hash` each file is read.
pub(crate) async fn check(database: &Database, store: &ContentStore, hash: bool) -> Result<Report, Failure> {
    let failed = |error: DbErr| Failure::new(format!("the database cannot be read: {}", database.failed(error)));
    let unreadable = |error: io::Error| Failure::new(format!("the attachments cannot be read: {error}"));
    let reads = database.reads();
    let mut known = known(reads).await.map_err(failed)?;
    let mut report =
        Report { hashed: hash, files: known.len() as u64, bytes: known.values().sum(), ..Report::default() };
    report.attachments = number(reads).await.map_err(failed)?;
    let mut stray = Vec::new();
    store
        .walk(|found, bytes| match found {
            Ok(hash) if known.contains_key(hash) => {}
            Ok(hash) => stray.push(Stray { path: path(hash), bytes }),
            Err(other) => stray.push(Stray { path: format!("files/{}", other.display()), bytes }),
        })
        .map_err(unreadable)?;
    let mut wanted: Vec<_> = known.drain().collect();
    wanted.sort_unstable();
    for (content, bytes) in wanted {
        let why = match store.look(&content).map_err(unreadable)? {
            Found::Nothing => None,
            Found::File(length) if length != bytes => Some(format!("it has {length} bytes instead of {bytes}")),
            Found::File(_) if !hash => continue,
            Found::File(_) => match store.is_sound(&content) {
                Ok(true) => continue,
                Ok(false) => Some("it has another content".to_owned()),
                Err(error) => Some(format!("it cannot be read: {error}")),
            },
        };
        let (attachments, records) = users(reads, &content).await.map_err(failed)?;
        let list = if why.is_some() { &mut report.damaged } else { &mut report.missing };
        let why = why.unwrap_or_else(|| "it is not there".to_owned());
        list.push(Wrong { path: path(&content), bytes, why, attachments, records });
    }
    report.stray_bytes = stray.iter().map(|stray| stray.bytes).sum();
    report.stray = stray;
    Ok(report)
}

/// Returns the files that something refers to, with their lengths.
async fn known(reads: &DatabaseConnection) -> Result<HashMap<String, u64>, DbErr> {
    let sql = "SELECT hash, bytes FROM file WHERE EXISTS (SELECT 1 FROM attachment WHERE attachment.hash = file.hash)
        OR EXISTS (SELECT 1 FROM version_file WHERE version_file.hash = file.hash)";
    let rows = reads.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await?;
    let known = rows.iter().map(|row| {
        let bytes: i64 = row.try_get_by_index(1)?;
        Ok((row.try_get_by_index(0)?, u64::try_from(bytes).unwrap_or_default()))
    });
    known.collect()
}

async fn number(reads: &DatabaseConnection) -> Result<u64, DbErr> {
    let row = reads.query_one_raw(Statement::from_string(DbBackend::Sqlite, "SELECT count(*) FROM attachment")).await?;
    let number: i64 = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
    Ok(u64::try_from(number).unwrap_or_default())
}

async fn users(reads: &DatabaseConnection, hash: &str) -> Result<(Vec<i64>, Vec<i64>), DbErr> {
    let sql = "SELECT id, record_id FROM attachment WHERE hash = ? ORDER BY id";
    let rows = reads.query_all_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, [hash.into()])).await?;
    let (mut attachments, mut records) = (Vec::new(), Vec::new());
    for row in rows {
        attachments.push(row.try_get_by_index(0)?);
        records.push(row.try_get_by_index(1)?);
    }
    records.dedup();
    Ok((attachments, records))
}
