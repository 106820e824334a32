//! The program `supervisor-job`: the work on data, archives and networks that PID 1 hands to a child.

use std::process::ExitCode;

fn main() -> ExitCode {
    supervisor::work::main()
}
