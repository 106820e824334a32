//! What does the child give up before it reads a byte?
//!
//! Everything but computing: it keeps three descriptors, may take memory, and end. What it tries beyond that ends it, by a signal
//! that the app sees as its exit status. Landlock, which it has inherited from the app, is not needed for that and stays.

use std::{io, os::fd::RawFd};

use nix::{
    errno::Errno,
    libc,
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::{alarm, close},
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

/// How much memory the child may map, its program included. A container has 512 MiB by default (compose/), and what goes
/// over that ends the app.
const MEMORY: u64 = 448 * 1024 * 1024;
/// How much processor time it may use: a Raspberry Pi decodes 64 megapixels in five seconds.
const PROCESSOR_SECONDS: u64 = 20;
/// How long it lives at most: SIGALRM ends it, since the app may not.
pub(super) const ALARM_SECONDS: u32 = 30;
/// The descriptors that are looked for to be closed. The app has far fewer, and all but the sockets and the lock close by themselves.
const DESCRIPTORS: u64 = 65_536;

/// What the child keeps.
pub(super) struct Kept {
    /// The file that it works on.
    pub(super) input: RawFd,
    /// Where its answers go.
    pub(super) outputs: [RawFd; 2],
    /// How long the input is, if it may be overwritten.
    pub(super) overwrites: Option<u64>,
}

/// Closes all descriptors that a child inherits besides the standard ones.
pub(super) fn close_others() {
    let most = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft.min(DESCRIPTORS));
    for descriptor in 3..RawFd::try_from(most).unwrap_or(1024) {
        // Most are not open.
        let _ = close(descriptor);
    }
}

/// Sets the limits that hold for everything the child does. None can be raised again.
pub(super) fn limit(kept: &Kept) -> io::Result<()> {
    limit_to(Resource::RLIMIT_CORE, 0)?;
    limit_to(Resource::RLIMIT_NOFILE, 0)?;
    limit_to(Resource::RLIMIT_FSIZE, kept.overwrites.unwrap_or(0))?;
    limit_to(Resource::RLIMIT_AS, MEMORY)?;
    // The first is said by a signal of its own (SIGXCPU), the second is the end.
    let processor = seconds(PROCESSOR_SECONDS, "media.little-processor");
    limit_to(Resource::RLIMIT_CPU, processor + 1)?;
    let (_, most) = getrlimit(Resource::RLIMIT_CPU)?;
    setrlimit(Resource::RLIMIT_CPU, processor.min(most), most)?;
    alarm::set(u32::try_from(seconds(ALARM_SECONDS.into(), "media.little-time")).unwrap_or(1));
    Ok(())
}

/// Lowers a limit; where it is lower already, it stays.
fn limit_to(what: Resource, most: u64) -> io::Result<()> {
    let (_, hard) = getrlimit(what)?;
    let most = most.min(hard);
    Ok(setrlimit(what, most, most)?)
}

/// Returns how long something may take: a second, where a test tries that out.
fn seconds(usual: u64, fault: &str) -> u64 {
    if is_planned(fault) { 1 } else { usual }
}

/// Whether a test plans this.
fn is_planned(fault: &str) -> bool {
    cfg!(feature = "faults") && std::env::var("HEARTH_FAULT").is_ok_and(|faults| faults.contains(fault))
}

/// Takes away all system calls but those of a computation. Returns whether the kernel can do that: one without seccomp cannot.
pub(super) fn filter(kept: &Kept) -> io::Result<bool> {
    if is_planned("seccomp=none") {
        return Ok(false);
    }
    let compiled = program(kept).map_err(io::Error::other)?;
    match seccompiler::apply_filter(&compiled) {
        Ok(()) => Ok(true),
        Err(seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error))
            if [Errno::ENOSYS, Errno::EINVAL].map(|known| Some(known as i32)).contains(&error.raw_os_error()) =>
        {
            Ok(false)
        }
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Allowed whatever the arguments: they touch nothing but this process.
const ALLOWED: &[i64] = &[
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_clock_gettime,
    libc::SYS_getrandom,
    libc::SYS_close,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Compiles the filter: what it does not allow kills the process.
fn program(kept: &Kept) -> Result<BpfProgram, seccompiler::BackendError> {
    use SeccompCmpOp::{Eq, MaskedEq};
    let mut rules: std::collections::BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    let mut allow = |call: i64, when: &[(u8, SeccompCmpOp, u64)]| -> Result<(), seccompiler::BackendError> {
        let conditions =
            when.iter().map(|(argument, how, value)| SeccompCondition::new(*argument, Dword, how.clone(), *value));
        let rule = SeccompRule::new(conditions.collect::<Result<_, _>>()?)?;
        rules.entry(call).or_default().push(rule);
        Ok(())
    };
    let descriptor = |number: RawFd| u64::from(number.unsigned_abs());
    for call in [libc::SYS_read, libc::SYS_readv, libc::SYS_pread64, libc::SYS_lseek] {
        allow(call, &[(0, Eq, descriptor(kept.input))])?;
    }
    for output in kept.outputs {
        allow(libc::SYS_write, &[(0, Eq, descriptor(output))])?;
        allow(libc::SYS_writev, &[(0, Eq, descriptor(output))])?;
    }
    if kept.overwrites.is_some() {
        allow(libc::SYS_pwrite64, &[(0, Eq, descriptor(kept.input))])?;
    }
    // Memory that is no file's, and in which no program is.
    let (executable, anonymous) = (libc::PROT_EXEC as u64, libc::MAP_ANONYMOUS as u64);
    allow(libc::SYS_mmap, &[(2, MaskedEq(executable), 0), (3, MaskedEq(anonymous), anonymous)])?;
    allow(libc::SYS_mprotect, &[(2, MaskedEq(executable), 0)])?;
    // The standard library looks, in a debug build, whether what it closes is open.
    allow(libc::SYS_fcntl, &[(1, Eq, libc::F_GETFD as u64)])?;
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, architecture)?;
    filter.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_compiles_for_what_it_runs_on() {
        for overwrites in [None, Some(1)] {
            let compiled = program(&Kept { input: 3, outputs: [4, 5], overwrites }).unwrap();
            assert!(compiled.len() < 4096, "the kernel takes no more (BPF_MAXINSNS)");
        }
    }
}
