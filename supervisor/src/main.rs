//! The `supervisor` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    // A token, the keys of an S3 server, a household's data: nobody else's to read. What `launch` becomes is another program.
    if first.as_deref() != Some("launch") {
        supervisor::sandbox::close_to_others();
    }
    // The two steps that the supervisor starts itself as; not commands, and not held up by reading any.
    let step: Option<fn(&str) -> ExitCode> = match first.as_deref() {
        Some("launch") => Some(supervisor::init::launch::main),
        Some("job") => Some(supervisor::jobs::main),
        _ => None,
    };
    if let (Some(step), Some(asked)) = (step, arguments.next()) {
        // Started by way of /proc/self/exe, the process would be called `exe`.
        let _ = nix::sys::prctl::set_name(c"supervisor");
        return step(&asked);
    }
    supervisor::cli::main()
}
