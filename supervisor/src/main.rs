//! The `supervisor` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    supervisor::entry::main()
}
