//! What do developers run, from an edited entity to a released image?
//!
//! 1. `cargo dev` (`dev`): the three programs on a scratch data directory, built and started again at each change;
//! 2. `cargo migration new` ([`entity`], [`new`](mod@new)): the next migration, from what the app's entities say and the migrated schema has;
//! 3. `cargo migration check` ([`check`]): may the unreleased migrations be released?
//!    and `cargo migration floor` ([`older`]): can an older release's app serve their databases?
//! 4. `cargo release` (`release`): all the files that a release leaves to later ones, its commit and its tag.
//!
//! The check runs migrations by [`migrate`], on databases with [`awkward`] rows. [`tables`] is what they see of a schema. [`releases`]
//! knows what earlier releases left: their databases ([`delta`], [`content`])
//! and the statements that their apps prepare. [`pins`] says whether a released migration still executes what it did
//! ([`statements`] tells what that is). [`trial`] is for the test beside a migration.
//!
//! Like the migrator's own command line, all of it is of a [`Release`] that the caller gives, so that tests can check
//! migrations that are no release's.

pub mod awkward;
mod cargo;
pub mod certificate;
pub mod check;
mod cli;
pub mod content;
pub mod delta;
mod dev;
pub mod entity;
pub mod migrate;
pub mod new;
pub mod older;
pub mod pins;
mod problem;
pub mod release;
pub mod releases;
pub mod statements;
pub mod tables;
pub mod trial;

pub use cli::main;
pub use problem::Problem;

/// Makes a directory that goes with what is returned.
fn scratch() -> Result<tempfile::TempDir, Problem> {
    tempfile::tempdir().map_err(|error| Problem::new(format!("cannot make a temporary directory: {error}")))
}

/// Runs `work` to its end on a thread of its own, so that it can be asked for from anywhere.
fn blocking<T: Send>(work: impl AsyncFnOnce() -> T + Send) -> Result<T, Problem> {
    let failed = |error: std::io::Error| Problem::new(format!("cannot start the runtime: {error}"));
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok(runtime.block_on(work()))
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map_err(failed)
    })
}
