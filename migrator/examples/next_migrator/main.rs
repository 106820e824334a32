//! A later release's migrator, or an earlier one's, for tests only: the shipped migrations and further ones, or the first of them.
//!
//! `TEST_MIGRATIONS` names the further ones, with commas between (see `extra.rs`);
//! `TEST_LAST` names the last of the shipped ones that it knows;
//! `TEST_VERSION` is the version it takes itself for, 9.1.0 if not set, `TEST_FLOOR` the floor that it declares, `TEST_OLDEST`
//! the oldest version that it upgrades from and `TEST_DIFFERENCES` the differences that it means (`figure=reason;figure=reason`). All can also be its first arguments, as for env(1): a released supervisor hands on no
//! variables of tests.

mod extra;

use std::os::unix::process::CommandExt;

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let assigned = arguments.iter().take_while(|argument| argument.starts_with("TEST_")).count();
    if assigned > 0 {
        let variables = arguments[..assigned].iter().filter_map(|argument| argument.split_once('='));
        let own = std::env::current_exe().expect("its own path");
        let error = std::process::Command::new(own).envs(variables).args(&arguments[assigned..]).exec();
        panic!("it cannot start itself: {error}");
    }
    migrator::main(migrator::Release {
        version: std::env::var("TEST_VERSION").unwrap_or_else(|_| "9.1.0".to_owned()),
        floor: std::env::var("TEST_FLOOR").ok(),
        oldest: std::env::var("TEST_OLDEST").ok(),
        differences: differences(&std::env::var("TEST_DIFFERENCES").unwrap_or_default()),
        migrations,
    })
}

/// Reads `figure=reason;figure=reason`.
fn differences(list: &str) -> Vec<migrator::Difference> {
    list.split(';').filter_map(|entry| entry.split_once('=')).map(|pair| migrator::Difference::from(&pair)).collect()
}

fn migrations() -> Vec<Box<dyn migrator::MigrationTrait>> {
    let mut all = extra::with(&std::env::var("TEST_MIGRATIONS").unwrap_or_default());
    if let Ok(last) = std::env::var("TEST_LAST") {
        let known = all.iter().position(|migration| migration.name() == last);
        all.truncate(known.unwrap_or_else(|| panic!("there is no migration {last:?}")) + 1);
    }
    all
}
