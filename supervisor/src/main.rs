//! The `supervisor` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    // The two steps that the supervisor starts itself as; not commands, and not held up by reading any.
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("launch"), Some(plan)) => return supervisor::init::launch::main(&plan),
        (Some("job"), Some(request)) => return supervisor::jobs::main(&request),
        _ => {}
    }
    supervisor::cli::main()
}
