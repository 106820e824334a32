//! Which system calls does a process give up?
//!
//! Those with which it could harm what Landlock leaves open: no ABI of it covers modes, owners, attributes and times of
//! files, the older ones neither truncation nor signals, and where there is none this filter is all there is. A denied
//! call fails with EPERM; those whose arguments lie in memory, where no filter can read them, with ENOSYS, so that the C
//! library takes the older call.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

use super::Sockets;

/// System calls newer than some C libraries' headers; their numbers are the same on every architecture.
mod newer {
    pub(super) const FCHMODAT2: i64 = 452;
    pub(super) const SETXATTRAT: i64 = 463;
    pub(super) const REMOVEXATTRAT: i64 = 466;
    pub(super) const FILE_SETATTR: i64 = 469;
}

/// Denied whatever the arguments.
const DENIED: &[i64] = &[
    // Files: by path Landlock does not see it (before ABI 3), or in none of its versions. By descriptor as well, since the
    // lock's is inherited.
    libc::SYS_truncate,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    newer::FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    newer::SETXATTRAT,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    newer::REMOVEXATTRAT,
    newer::FILE_SETATTR,
    libc::SYS_utimensat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utimes,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_futimesat,
    // LOCK_UN would free the one lock for everybody: its open file is shared.
    libc::SYS_flock,
    // Other processes: their memory, descriptors and threads.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kcmp,
    libc::SYS_perf_event_open,
    // Out of its process group, which is what it is ended by.
    libc::SYS_setsid,
    libc::SYS_setpgid,
    // Namespaces, in which it would have privileges; and what is only ever used against the kernel.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
];

/// As if the kernel did not have them.
const UNKNOWN: &[i64] = &[
    // Its flags (O_TRUNC, new namespaces) lie in memory.
    libc::SYS_openat2,
    libc::SYS_clone3,
    // It would do all of the above in the kernel, past every filter.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// The requests of ioctl(2) that are left: TCGETS, TCGETS2, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX. No others: an
/// inherited directory, or a file that was opened for nothing, is enough to have btrfs make snapshots of it.
const REQUESTS: [u64; 7] = [0x5401, 0x802c_542a, 0x5413, 0x541b, 0x5421, 0x5450, 0x5451];
/// F_SETLEASE and F_NOTIFY (`F_LINUX_SPECIFIC_BASE` of linux/fcntl.h): a lease keeps others from opening a file.
const LEASES: [u64; 2] = [1024, 1026];
/// SO_BINDTODEVICE, SO_ATTACH_FILTER, SO_LOCK_FILTER, SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_*, SO_BINDTOIFINDEX: they stay on the
/// public socket, which outlives the app.
const OPTIONS: [u64; 7] = [25, 26, 44, 50, 51, 52, 62];
/// The part of a socket's type that is not a flag (`SOCK_TYPE_MASK`).
const TYPE: u64 = 0xf;

/// Takes the calls away from this thread and all that comes of it.
pub(super) fn restrict(sockets: Sockets) -> Result<(), String> {
    let install = || -> Result<(), seccompiler::Error> {
        // The first one last: it denies nothing that the second needs.
        seccompiler::apply_filter(&program(denied(sockets)?, libc::EPERM)?)?;
        seccompiler::apply_filter(&program(UNKNOWN.iter().map(|call| (*call, Vec::new())).collect(), libc::ENOSYS)?)
    };
    install().map_err(|error| error.to_string())
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn denied(sockets: Sockets) -> Result<Rules, seccompiler::BackendError> {
    let own = u64::from(std::process::id());
    let mut rules: Rules = DENIED.iter().map(|call| (*call, Vec::new())).collect();
    let mut deny = |call: i64, when: &[(u8, SeccompCmpOp, u64)]| -> Result<(), seccompiler::BackendError> {
        let conditions =
            when.iter().map(|(argument, how, value)| SeccompCondition::new(*argument, Dword, how.clone(), *value));
        let rule = SeccompRule::new(conditions.collect::<Result<_, _>>()?)?;
        rules.entry(call).or_default().push(rule);
        Ok(())
    };
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    // Signals to others: abort(3) and raise(3) name this very process.
    for call in
        [libc::SYS_kill, libc::SYS_tkill, libc::SYS_tgkill, libc::SYS_rt_sigqueueinfo, libc::SYS_rt_tgsigqueueinfo]
    {
        deny(call, &[(0, Ne, own)])?;
    }
    // And those that the kernel would send for it: F_SETSIG, F_SETOWN, F_SETOWN_EX.
    for command in [libc::F_SETOWN, 10, 15] {
        deny(libc::SYS_fcntl, &[(1, Eq, command as u64)])?;
    }
    for command in LEASES {
        deny(libc::SYS_fcntl, &[(1, Eq, command)])?;
    }
    let asynchronous = libc::O_ASYNC as u64;
    deny(libc::SYS_fcntl, &[(1, Eq, libc::F_SETFL as u64), (2, MaskedEq(asynchronous), asynchronous)])?;
    deny(libc::SYS_ioctl, &REQUESTS.map(|request| (1, Ne, request)))?;
    for option in OPTIONS {
        deny(libc::SYS_setsockopt, &[(1, Eq, libc::SOL_SOCKET as u64), (2, Eq, option)])?;
    }
    // A limit of CPU time on the supervisor is a kill, one of descriptors a paralysis. 0 is the caller itself.
    deny(libc::SYS_prlimit64, &[(0, Ne, 0), (0, Ne, own)])?;
    for call in
        [libc::SYS_sched_setaffinity, libc::SYS_sched_setscheduler, libc::SYS_sched_setparam, libc::SYS_sched_setattr]
    {
        deny(call, &[(0, Ne, 0), (0, Ne, own)])?;
    }
    for call in [libc::SYS_setpriority, libc::SYS_ioprio_set] {
        deny(call, &[(1, Ne, 0), (1, Ne, own)])?;
    }
    // 0 is everything of this uid there, or of this group, the supervisor included.
    for (call, process) in [(libc::SYS_setpriority, libc::PRIO_PROCESS as u64), (libc::SYS_ioprio_set, 1)] {
        deny(call, &[(0, Ne, process)])?;
    }
    // It ends with the supervisor.
    deny(libc::SYS_prctl, &[(0, Eq, libc::PR_SET_PDEATHSIG as u64)])?;
    // Opened for neither, a file may still be truncated, leased and asked for by ioctl, and no ABI of Landlock denies it.
    // Not O_ACCMODE, in which musl has O_PATH as well.
    let neither = (libc::O_WRONLY | libc::O_RDWR) as u64;
    deny(libc::SYS_openat, &[(2, MaskedEq(neither), neither)])?;
    #[cfg(target_arch = "x86_64")]
    deny(libc::SYS_open, &[(1, MaskedEq(neither), neither)])?;
    // A new user namespace, by clone(2).
    let user = libc::CLONE_NEWUSER as u64;
    deny(libc::SYS_clone, &[(0, MaskedEq(user), user)])?;
    // Landlock before ABI 3 asks only for the right to read where a file is opened for reading, and truncated.
    let truncates = (libc::O_ACCMODE | libc::O_TRUNC) as u64;
    let reading = (libc::O_RDONLY | libc::O_TRUNC) as u64;
    deny(libc::SYS_openat, &[(2, MaskedEq(truncates), reading)])?;
    #[cfg(target_arch = "x86_64")]
    deny(libc::SYS_open, &[(1, MaskedEq(truncates), reading)])?;
    match sockets {
        Sockets::None => {
            rules.insert(libc::SYS_socket, Vec::new());
        }
        Sockets::Network | Sockets::NetworkAndUnix => {
            let kinds = [libc::SOCK_SEQPACKET, libc::SOCK_STREAM];
            let denied = if sockets == Sockets::Network { &kinds[..] } else { &kinds[..1] };
            for kind in denied {
                deny(libc::SYS_socket, &[(0, Eq, libc::AF_UNIX as u64), (1, MaskedEq(TYPE), *kind as u64)])?;
            }
        }
    }
    Ok(rules)
}

/// Compiles a filter that fails these calls with this error, and kills a process that calls in another architecture's way.
fn program(rules: Rules, errno: i32) -> Result<BpfProgram, seccompiler::BackendError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let deny = SeccompAction::Errno(errno.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, deny, architecture)?;
    let compiled: BpfProgram = filter.try_into()?;
    Ok([other_numbers(), compiled].concat())
}

/// On x86-64 each call has a second number (the x32 ABI's, from 0x4000_0000 on), past a filter that knows the first only:
/// no such call is there.
fn other_numbers() -> BpfProgram {
    if cfg!(not(target_arch = "x86_64")) {
        return Vec::new();
    }
    const X32: u32 = 0x4000_0000;
    // The first field of seccomp_data.
    const NUMBER: u32 = 0;
    let code = |code: u32, jt, jf, k| sock_filter { code: code as u16, jt, jf, k };
    vec![
        code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, NUMBER),
        code(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, X32),
        code(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_compile_for_what_they_run_on() {
        for sockets in [Sockets::None, Sockets::Network, Sockets::NetworkAndUnix] {
            let compiled = program(denied(sockets).unwrap(), libc::EPERM).unwrap();
            assert!(compiled.len() < 4096, "the kernel takes no more (BPF_MAXINSNS)");
        }
    }

    #[test]
    fn a_call_is_denied_always_or_by_its_arguments_and_not_both() {
        // An empty list of rules denies always; a rule pushed to it would make that "sometimes".
        for (call, rules) in denied(Sockets::Network).unwrap() {
            assert_eq!(rules.is_empty(), DENIED.contains(&call), "call {call}");
        }
    }
}
