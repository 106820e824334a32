//! A later release's migrator, for tests only: the shipped migrations and further ones.
//!
//! `TEST_MIGRATIONS` names the further ones, with commas between (see `extra.rs`);
//! `TEST_VERSION` is the version it takes itself for, 9.1.0 if not set.

mod extra;

fn main() -> std::process::ExitCode {
    migrator::main(migrator::Release {
        version: std::env::var("TEST_VERSION").unwrap_or_else(|_| "9.1.0".to_owned()),
        migrations: || extra::with(&std::env::var("TEST_MIGRATIONS").unwrap_or_default()),
    })
}
