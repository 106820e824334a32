//! Every migration there has been, oldest first.
//!
//! One file per migration; its name is the file's, numbered (`m0001_records`). A migration that
//! was released is never edited again: databases that it ran on will not run it a second time.
//! What it must be (additive, idempotent, backward compatible, tested, transactional) is held by
//! tests/rules.rs, which runs them all; [`add`](crate::add) makes most of it easy.
//!
//! What SQLite cannot alter in place takes [`add::rebuild`](fn@crate::add::rebuild), which keeps all that hangs on the table.
//! Foreign keys are off here, so that dropping a table deletes nothing elsewhere. Should something be lost all the same, the
//! check before the commit refuses the upgrade.

#[cfg(feature = "faults")]
mod injected;
mod m0001_records;
mod m0002_accounts;
mod m0003_search_and_changes;
mod m0004_binder;

use sea_orm_migration::MigrationTrait;

/// The lowest version whose app may serve a database that has all of these migrations, such as `Some("0.5.0")`. With `None` it is
/// the release itself, which is what to write where older apps were not tried on such a database.
pub const FLOOR: Option<&str> = None;

/// The oldest version that this release upgrades from, such as `Some("0.5.0")`: a database that an older one upgraded last has to go
/// through it first. It is a release that applied migrations of its own. With `None` there is no such stop: every release's database
/// is upgraded at one go.
pub const OLDEST: Option<&str> = None;

/// What the upgrade means to show otherwise than the release before: a figure of the proof by comparison, or the beginning of the names
/// of several, and why, as in `("records that user", "comments count as finds since 0.9.0")`. Any other difference is a failed proof. An
/// entry stays for later releases, since versions may be skipped; name as few figures as possible, because nothing else is proven of them.
pub const DIFFERENCES: &[(&str, &str)] = &[];

/// Returns all migrations, oldest first: the one list of them.
pub fn all() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(m0001_records::Migration),
        Box::new(m0002_accounts::Migration),
        Box::new(m0003_search_and_changes::Migration),
        Box::new(m0004_binder::Migration),
    ]
}

/// Returns all migrations, and those that a test wants to have after them: only a build for tests has such.
pub(crate) fn with_injected() -> Vec<Box<dyn MigrationTrait>> {
    #[cfg(feature = "faults")]
    return all().into_iter().chain(injected::all()).collect();
    #[cfg(not(feature = "faults"))]
    all()
}
