//! How does a program that cargo runs start cargo again?

use std::process::{Command, Stdio};

use super::releases::root;

/// Returns cargo at the top of the repository, with nothing to read.
pub(super) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).stdin(Stdio::null());
    without_package(&mut command);
    command
}

/// Takes away what cargo says to the program that it runs, which is of that program's package and of no other; some of it makes cargo
/// build crates again.
pub(super) fn without_package(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let is_of_package = ["CARGO_PKG_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_MANIFEST_"];
        if is_of_package.iter().any(|begin| text.starts_with(begin)) || text == "CARGO_PRIMARY_PACKAGE" {
            command.env_remove(&name);
        }
    }
}
