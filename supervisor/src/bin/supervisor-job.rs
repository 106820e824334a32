//! The `supervisor-job` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    supervisor::work::main()
}
