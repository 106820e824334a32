//! What if an old container engine keeps threads from being started?
//!
//! Docker before 20.10.10 answers system calls that its seccomp profile does not know with EPERM, as if they were
//! forbidden. The C library starts each thread by `clone3`, and goes back to `clone` only when the answer is ENOSYS. So a
//! filter is laid over the engine's that gives this answer. Started by the supervisor, the app inherits its filter; started
//! by itself (`docker compose exec web app setup-code`), it sees to that here.

use std::{io, thread};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

/// The number of `clone3`: the same on every architecture, as for all calls since 424.
const CLONE3: i64 = 435;
/// "Function not implemented", on every architecture that Hearth runs on.
const ENOSYS: u32 = 38;

/// Sees to it that threads can be started. To be called while there is one.
pub(crate) fn make_possible() {
    match thread::Builder::new().spawn(|| ()) {
        Ok(thread) => drop(thread.join()),
        // Where this fails as well, the first thread that is needed says so.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => drop(mask()),
        Err(_) => {}
    }
}

fn mask() -> Result<(), seccompiler::Error> {
    let calls = [(CLONE3, Vec::new())].into();
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, SeccompAction::Errno(ENOSYS), architecture)?;
    seccompiler::apply_filter(&BpfProgram::try_from(filter)?)
}
