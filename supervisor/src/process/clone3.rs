//! What if an old container engine refuses `clone3`?
//!
//! Docker before 20.10.10 answers system calls that its seccomp profile does not know with EPERM, as if they were
//! forbidden. The C library asks for each thread and process by `clone3` first, and goes back to `clone` only when
//! the answer is ENOSYS. So a filter is laid over the engine's that gives this answer: of several filters that
//! refuse, the one that was installed last gives the errno (seccomp(2)). Every child inherits it.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::{errno::Errno, libc};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

/// Whether the engine refuses it, and the filter is in force.
static MASKED: AtomicBool = AtomicBool::new(false);

/// What is told of it.
pub const NOTE: &str = "the container engine's seccomp profile is old and refuses system calls that it does not know (clone3); \
                        Hearth goes without them, but the engine should be updated";

/// Returns whether this process's engine refuses `clone3`, and [`mask_if_refused`] has seen to it.
pub fn is_masked() -> bool {
    MASKED.load(Ordering::Relaxed)
}

/// Installs the filter where it is needed. To be called while there is one thread.
///
/// # Errors
/// Where a filter is needed and cannot be installed: then no thread and no process can be started.
pub fn mask_if_refused() -> Result<(), seccompiler::Error> {
    // SAFETY: with a size of 0 the kernel reads nothing and starts nothing: clone3(2) refuses such arguments with EINVAL.
    let asked = unsafe { libc::syscall(libc::SYS_clone3, std::ptr::null::<libc::c_void>(), 0_usize) };
    if asked >= 0 || Errno::last() != Errno::EPERM {
        return Ok(());
    }
    let calls = [(libc::SYS_clone3, Vec::new())].into();
    let answer = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, answer, architecture)?;
    seccompiler::apply_filter(&BpfProgram::try_from(filter)?)?;
    MASKED.store(true, Ordering::Relaxed);
    Ok(())
}
