//! May this version of the app serve this database?
//!
//! The migrator keeps the lowest version that may (docs/MIGRATIONS.md, *The floor*) in the database itself, beside each migration that it
//! applied, so it travels with clones and backups. The highest of them counts. What an older app does not know of it would otherwise show
//! to the wrong people, or lose.

use std::path::Path;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use semver::Version;

use crate::failure::Failure;

/// This version.
const OWN: &str = env!("CARGO_PKG_VERSION");

/// Returns the refusal of a database that needs a newer app than this one.
pub(super) async fn refusal(path: &Path, reads: &impl ConnectionTrait) -> Result<Option<Failure>, DbErr> {
    let recorded = recorded(reads).await?;
    // A test has this app play that of a later release.
    if cfg!(feature = "faults") && std::env::var_os("TEST_ANY_FLOOR").is_some() {
        return Ok(None);
    }
    Ok(above(OWN, recorded.iter().map(String::as_str)).map(|floor| {
        Failure::new(format!("{} needs Hearth v{floor} or newer, and this is v{OWN}", path.display()))
            .hint(format!("nothing was changed; start v{floor} or newer, or restore a backup from before the upgrade"))
            .of_the_data()
    }))
}

/// Returns the floors that are recorded: none in a database that no migrator since 0.6.0 has upgraded.
async fn recorded(reads: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let column = "SELECT 1 FROM pragma_table_info('migration_ledger') WHERE name = 'floor'";
    let statement = |sql: &str| Statement::from_string(DbBackend::Sqlite, sql);
    if reads.query_one_raw(statement(column)).await?.is_none() {
        return Ok(Vec::new());
    }
    let floors = "SELECT floor FROM migration_ledger WHERE typeof(floor) = 'text'";
    reads.query_all_raw(statement(floors)).await?.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// Returns the highest of these floors where it is above `version`. What is no version counts for nothing, as in the migrator; what
/// follows a `+` names a build and not another version.
fn above<'a>(version: &str, floors: impl IntoIterator<Item = &'a str>) -> Option<Version> {
    let own = Version::parse(version).ok()?;
    let floors = floors.into_iter().filter_map(|text| Version::parse(text).ok());
    floors.max_by(Version::cmp_precedence).filter(|floor| floor.cmp_precedence(&own).is_gt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Access, Database, for_tests::migrated};

    #[test]
    fn the_highest_floor_counts_as_versions_compare() {
        // this version, floors, the one that is above it
        for (own, floors, refused) in [
            ("0.8.0", &[][..], None),
            ("0.8.0", &["0.8.0"], None),
            ("0.8.0", &["0.6.0", "0.7.0"], None),
            ("0.8.0", &["0.9.0", "0.6.0"], Some("0.9.0")),
            ("0.8.0", &["0.8.1", "0.10.0", "0.9.0"], Some("0.10.0")),
            ("0.8.0", &["0.9.0-rc.1"], Some("0.9.0-rc.1")),
            ("0.9.0-rc.2", &["0.9.0-rc.1"], None),
            ("0.9.0-rc.1", &["0.9.0"], Some("0.9.0")),
            ("0.9.0", &["0.9.0-rc.1"], None),
            ("0.8.0", &["0.8.0+build.7"], None),
            ("0.8.0+build.7", &["0.8.0"], None),
            // What is no version was written by nobody of ours.
            ("0.8.0", &["newest", "v9.0.0", "9", "", "0.7.0"], None),
            ("0.8.0", &["newest", "0.9.0"], Some("0.9.0")),
        ] {
            let found = above(own, floors.iter().copied()).map(|floor| floor.to_string());
            assert_eq!(found.as_deref(), refused, "{own} {floors:?}");
        }
    }

    #[tokio::test]
    async fn a_database_without_a_floor_that_is_above_this_version_is_opened() {
        for sql in [
            "",
            "UPDATE migration_ledger SET floor = NULL",
            "UPDATE migration_ledger SET floor = 'the newest'",
            "ALTER TABLE migration_ledger DROP COLUMN floor",
            "DROP TABLE migration_ledger",
        ] {
            let (_directory, path) = migrated(sql).await;
            for access in [Access::Read, Access::Write] {
                Database::open(&path, access).await.unwrap().close().await;
            }
        }
    }

    #[tokio::test]
    async fn a_database_whose_floor_is_above_this_version_is_not_opened() {
        let (_directory, path) = migrated("UPDATE migration_ledger SET floor = '99.1.0' WHERE rowid = 1").await;
        let before = std::fs::read(&path).unwrap();
        for access in [Access::Read, Access::Write] {
            let failure = Database::open(&path, access).await.unwrap_err();
            assert!(failure.is_of_the_data);
            let text = failure.to_string();
            for words in [
                &*path.display().to_string(),
                "needs Hearth v99.1.0 or newer",
                &format!("this is v{OWN}"),
                "start v99.1.0 or newer, or restore a backup from before the upgrade",
            ] {
                assert!(text.contains(words), "{words}: {text}");
            }
        }
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}
