//! The migrations that `cargo migration new` writes in tests/new, as the unreleased one of a release: `WRITTEN` names it. Then this
//! is the developers' program of that release, and `migration check` can say whether it may be released.

mod migrations;

use std::process::ExitCode;

// As in a migration of the crate.
use migrator::Release;
use migrator::add;

fn main() -> ExitCode {
    let name = std::env::var("WRITTEN").unwrap_or_default();
    match migrations::WRITTEN.iter().find(|(one, _)| *one == name) {
        Some((_, all)) => migrator::developer::main(Release { migrations: *all, ..Release::current() }),
        None => {
            migrations::WRITTEN.iter().for_each(|(name, _)| println!("{name}"));
            ExitCode::FAILURE
        }
    }
}
