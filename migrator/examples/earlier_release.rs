//! Makes the database of an earlier release, for the tests of other crates.
//!
//! ```text
//! earlier_release                   # lists the releases, oldest first
//! earlier_release 0.4.0 app.db      # writes the database of one
//! earlier_release 0.4.0 app.db data # writes the contents of its attachments below data/, too
//! ```

use std::path::Path;

use migrator::developer::{Problem, releases};

fn main() -> Result<(), Problem> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let all = releases::all()?;
    match arguments.as_slice() {
        [] => {
            all.iter().for_each(|release| println!("{}", release.version));
            Ok(())
        }
        [version, path, data @ ..] if data.len() < 2 => {
            data.iter().try_for_each(|data| releases::place_files(Path::new(data)))?;
            let release = all.iter().find(|release| release.version.to_string() == *version);
            release.ok_or_else(|| Problem::new(format!("there is no release {version}")))?.make(Path::new(path))
        }
        _ => Err(Problem::new("usage: earlier_release [<version> <path> [<data directory>]]")),
    }
}
