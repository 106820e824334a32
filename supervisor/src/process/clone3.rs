//! What if an old container engine refuses `clone3`?
//!
//! Docker before 20.10.10 answers system calls that its seccomp profile does not know with EPERM, as if they were
//! forbidden. The C library asks for each thread and process by `clone3` first, and goes back to `clone` only when
//! the answer is ENOSYS. So a filter is laid over the engine's that gives this answer: of several filters that
//! refuse, the one that was installed last gives the errno (seccomp(2)). Every child inherits it.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use nix::{errno::Errno, libc};

/// Whether the engine refuses it, and the filter is in force.
static MASKED: AtomicBool = AtomicBool::new(false);

/// What is told of it.
pub const NOTE: &str = "the container engine's seccomp profile is old and refuses system calls that it does not know (clone3); \
                        Hearth goes without them, but the engine should be updated";

/// Returns whether this process's engine refuses `clone3`, and [`mask_if_refused`] has seen to it.
#[must_use]
pub fn is_masked() -> bool {
    MASKED.load(Ordering::Relaxed)
}

/// Installs the filter where it is needed. To be called while there is one thread.
///
/// # Errors
/// Where a filter is needed and cannot be installed: then no thread and no process can be started.
pub fn mask_if_refused() -> io::Result<()> {
    if !is_refused() {
        return Ok(());
    }
    mask()?;
    MASKED.store(true, Ordering::Relaxed);
    Ok(())
}

fn is_refused() -> bool {
    // SAFETY: with a size of 0 the kernel reads nothing and starts nothing: clone3(2) refuses such arguments with EINVAL.
    let asked = unsafe { libc::syscall(libc::SYS_clone3, std::ptr::null::<libc::c_void>(), 0_usize) };
    asked < 0 && Errno::last() == Errno::EPERM
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "classic BPF has opcodes of 16 bits and values of 32; all of these fit"
)]
fn mask() -> io::Result<()> {
    // `clone3` has one number on every architecture, and in each of their compatible ones: as all calls since 424.
    let number = libc::SYS_clone3 as u32;
    let statement = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut filter = [
        // The number of the call is the first field of `struct seccomp_data`.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, number),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // Without it only root may install a filter; nothing here ever gains privileges by a program that it starts.
    nix::sys::prctl::set_no_new_privs()?;
    // SAFETY: `program` and the `filter` that it points to live until the call returns, and the kernel copies them.
    let done = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    Errno::result(done).map(|_| ()).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use std::{process::Command, thread};

    use super::*;

    /// The test runs itself again, since a filter stays for the life of a process.
    #[test]
    fn threads_and_processes_are_started_under_the_filter() {
        const AGAIN: &str = "TEST_UNDER_THE_FILTER";
        if std::env::var_os(AGAIN).is_some() {
            assert!(!is_refused());
            mask().unwrap();
            // SAFETY: as in `is_refused`.
            let asked = unsafe { libc::syscall(libc::SYS_clone3, std::ptr::null::<libc::c_void>(), 0_usize) };
            assert_eq!((asked, Errno::last()), (-1, Errno::ENOSYS));
            assert_eq!(thread::spawn(|| 7).join().unwrap(), 7);
            assert!(Command::new("true").status().unwrap().success());
            return;
        }
        let this = "process::clone3::tests::threads_and_processes_are_started_under_the_filter";
        let again = Command::new(std::env::current_exe().unwrap()).args(["--exact", this]).env(AGAIN, "1").output();
        let again = again.unwrap();
        assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stdout));
    }
}
