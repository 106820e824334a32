//! What is tried: one function each, which returns whether it can be done.

use std::{
    env,
    ffi::CString,
    fs::{self, File},
    os::{
        fd::AsRawFd,
        linux::net::SocketAddrExt,
        unix::{
            fs::{FileExt, OpenOptionsExt, PermissionsExt, symlink},
            net::{SocketAddr, UnixDatagram, UnixStream},
        },
    },
    path::{Path, PathBuf},
    process::Command,
};

use nix::{
    errno::Errno,
    libc,
    sys::{
        resource::{Resource, getrlimit},
        signal::{Signal, kill},
    },
    unistd::{Pid, getppid},
};

type Attempt = (&'static str, fn(&Prison) -> Result<(), Failed>);

/// Something that could not be done; why does not matter.
struct Failed;

impl<E: std::error::Error> From<E> for Failed {
    fn from(_: E) -> Self {
        Self
    }
}

/// Turns the result of a system call into one.
fn called(result: libc::c_long) -> Result<(), Failed> {
    if result < 0 { Err(Failed) } else { Ok(()) }
}

/// What was opened shows that it could be.
fn done<T>(_: T) -> Result<(), Failed> {
    Ok(())
}

fn holds(condition: bool) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(Failed) }
}

/// What there is to harm.
struct Prison {
    places: Vec<(String, PathBuf)>,
    own: PathBuf,
    supervisor: Pid,
}

impl Prison {
    fn place(&self, name: &str) -> &Path {
        let found = self.places.iter().find(|(known, _)| known == name);
        &found.unwrap_or_else(|| panic!("TEST_PLACES does not name {name}")).1
    }

    fn c(&self, name: &str) -> CString {
        CString::new(self.place(name).to_str().expect("text")).expect("no zero byte")
    }

    fn of_supervisor(&self, file: &str) -> PathBuf {
        format!("/proc/{}/{file}", self.supervisor).into()
    }
}

/// Makes every attempt; returns each with `denied` or `possible`. What destroys comes after what only reads.
pub(crate) fn all() -> Vec<(&'static str, &'static str)> {
    let database = PathBuf::from(env::var_os("HEARTH_DATABASE").expect("HEARTH_DATABASE"));
    let places = env::var("TEST_PLACES").expect("TEST_PLACES");
    let places = places.split(',').filter_map(|place| place.split_once('='));
    let prison = Prison {
        places: places.map(|(name, path)| (name.to_owned(), path.into())).collect(),
        own: database.parent().expect("a directory").to_owned(),
        supervisor: getppid(),
    };
    ATTEMPTS
        .iter()
        .map(|(name, attempt)| (*name, if attempt(&prison).is_ok() { "possible" } else { "denied" }))
        .collect()
}

const ATTEMPTS: &[Attempt] = &[
    ("read a backup", |prison| reads(prison.place("backup"))),
    ("read a snapshot", |prison| reads(prison.place("snapshot"))),
    ("read the supervisor's token", |prison| reads(prison.place("token"))),
    ("read a file of the machine's that the app has no need of", |_| reads(Path::new("/etc/passwd"))),
    ("find secrets in its own environment", |_| {
        let secret = |name: &str| name.contains("SECRET") || name.contains("PASSWORD") || name.starts_with("AWS_");
        holds(env::vars().any(|(name, _)| secret(&name)))
    }),
    ("find descriptors that it was not meant to get", |_| {
        // Standard input, output and error, two sockets, and the lock's two.
        let open = (0..4096).filter(|descriptor| unsafe_call(libc::SYS_fcntl, [*descriptor, 1, 0, 0]).is_ok());
        holds(open.count() > 7)
    }),
    ("leave a core file", |_| holds(getrlimit(Resource::RLIMIT_CORE)?.1 > 0)),
    ("overwrite a backup", |prison| done(File::options().write(true).open(prison.place("backup"))?)),
    ("truncate a backup", |prison| truncates(prison, "backup")),
    ("truncate a snapshot", |prison| truncates(prison, "snapshot")),
    ("truncate a file that it may only read", |prison| {
        let flags = libc::O_TRUNC;
        done(File::options().read(true).custom_flags(flags).open(prison.place("readable"))?)
    }),
    ("change the mode of a backup", |prison| {
        Ok(fs::set_permissions(prison.place("backup"), fs::Permissions::from_mode(0o666))?)
    }),
    ("change the owner of a backup", |prison| {
        Ok(std::os::unix::fs::chown(prison.place("backup"), None, Some(nix::unistd::getegid().as_raw()))?)
    }),
    ("change the times of a snapshot", |prison| {
        let path = prison.c("snapshot");
        unsafe_call(libc::SYS_utimensat, [libc::AT_FDCWD.into(), path.as_ptr() as i64, 0, 0])
    }),
    ("change attributes of a snapshot", |prison| {
        let path = prison.c("snapshot");
        let (name, value) = (c"user.x".as_ptr() as i64, c"x".as_ptr() as i64);
        // SAFETY: path, name and value are strings that live on, and the value is one byte long.
        called(unsafe { libc::syscall(libc::SYS_setxattr, path.as_ptr() as i64, name, value, 1_i64, 0_i64) })
    }),
    ("change the mode of the lock by its inherited descriptor", |_| {
        each_inherited(|descriptor| unsafe_call(libc::SYS_fchmod, [descriptor, 0o600, 0, 0]))
    }),
    ("free the lock that it inherited", |_| {
        each_inherited(|descriptor| unsafe_call(libc::SYS_flock, [descriptor, libc::LOCK_UN.into(), 0, 0]))
    }),
    // O_ACCMODE: it can be truncated, leased and asked for by ioctl, and Landlock has no right for it.
    ("open a backup for neither reading nor writing", |prison| {
        let path = prison.c("backup");
        unsafe_call(libc::SYS_openat, [libc::AT_FDCWD.into(), path.as_ptr() as i64, libc::O_ACCMODE.into(), 0])
    }),
    ("keep others from opening a file by a lease on it", |prison| {
        const SET_LEASE: i64 = 1024;
        let file = File::open(prison.place("readable"))?;
        unsafe_call(libc::SYS_fcntl, [file.as_raw_fd().into(), SET_LEASE, libc::F_RDLCK.into(), 0])
    }),
    ("ask the file system for something by the inherited directory", |_| {
        const GET_FLAGS: i64 = 0x8008_6601;
        let mut flags = 0_i64;
        let place = &raw mut flags as i64;
        // Some file systems have no flags; what counts is that they were asked.
        each_inherited(|descriptor| {
            let asked = unsafe_call(libc::SYS_ioctl, [descriptor, GET_FLAGS, place, 0]);
            if asked.is_ok() || matches!(Errno::last(), Errno::ENOTTY | Errno::EOPNOTSUPP) {
                Ok(())
            } else {
                Err(Failed)
            }
        })
    }),
    ("set what stays on a socket for whoever has it later", |_| {
        let socket = std::net::TcpListener::bind("127.0.0.1:0")?;
        let name = c"lo";
        let (level, option) = (i64::from(libc::SOL_SOCKET), i64::from(libc::SO_BINDTODEVICE));
        // SAFETY: the name lives on, and is as long as is said.
        called(unsafe {
            libc::syscall(
                libc::SYS_setsockopt,
                i64::from(socket.as_raw_fd()),
                level,
                option,
                name.as_ptr() as i64,
                3_i64,
            )
        })
    }),
    ("leave the process group by which it is ended", |_| {
        // SAFETY: the child calls only what is safe after a fork, and ends.
        match unsafe { nix::unistd::fork() }? {
            nix::unistd::ForkResult::Child => {
                let left = nix::unistd::setsid().is_ok();
                // SAFETY: _exit(2) ends the child with nothing run.
                unsafe { libc::_exit(i32::from(!left)) }
            }
            nix::unistd::ForkResult::Parent { child } => {
                let end = nix::sys::wait::waitpid(child, None)?;
                holds(end == nix::sys::wait::WaitStatus::Exited(child, 0))
            }
        }
    }),
    ("slow everything of its uid down", |_| {
        // Of a uid that has no processes: ESRCH says that it would have been done.
        const NOBODY: i64 = 4_242_424;
        let asked = unsafe_call(libc::SYS_setpriority, [libc::PRIO_USER.into(), NOBODY, 19, 0]);
        holds(asked.is_ok() || Errno::last() == Errno::ESRCH)
    }),
    ("link a backup into its own generation", |prison| {
        Ok(fs::hard_link(prison.place("backup"), prison.own.join("link"))?)
    }),
    ("move a snapshot into its own generation", |prison| {
        let there = prison.own.join("moved");
        fs::rename(prison.place("snapshot"), &there)?;
        // Back, so that the later attempts find it.
        Ok(fs::rename(there, prison.place("snapshot"))?)
    }),
    ("replace the link live", |prison| {
        let live = prison.place("live");
        let beside = live.with_extension("evil");
        symlink("generations/0001", &beside)?;
        Ok(fs::rename(beside, live)?)
    }),
    ("write config.toml", |prison| Ok(fs::write(prison.place("config"), "")?)),
    ("connect to the supervisor's control socket", |prison| connects(prison, "control")),
    ("connect to Docker's socket", |prison| connects(prison, "docker")),
    ("connect to tailscaled's socket", |prison| connects(prison, "tailscaled")),
    ("make a unix socket of the seqpacket kind", |_| {
        unsafe_call(libc::SYS_socket, [libc::AF_UNIX.into(), libc::SOCK_SEQPACKET.into(), 0, 0])
    }),
    ("send to another process's abstract socket", |prison| {
        let name = prison.place("abstract").to_str().expect("text").to_owned();
        let address = SocketAddr::from_abstract_name(name)?;
        done(UnixDatagram::unbound()?.send_to_addr(b"x", &address)?)
    }),
    ("signal the supervisor", |prison| Ok(kill(prison.supervisor, Signal::SIGWINCH)?)),
    ("have the kernel signal the supervisor", |prison| {
        let (one, _other) = UnixStream::pair()?;
        unsafe_call(
            libc::SYS_fcntl,
            [one.as_raw_fd().into(), libc::F_SETOWN.into(), prison.supervisor.as_raw().into(), 0],
        )
    }),
    ("trace the supervisor", |prison| {
        const SEIZE: i64 = 0x4206;
        unsafe_call(libc::SYS_ptrace, [SEIZE, prison.supervisor.as_raw().into(), 0, 0])
    }),
    ("read the supervisor's environment", |prison| reads(&prison.of_supervisor("environ"))),
    ("read the supervisor's memory", |prison| {
        // Opening is what is permitted or not; nothing is mapped at 0.
        let memory = File::open(prison.of_supervisor("mem"))?;
        let _ = memory.read_at(&mut [0], 0);
        Ok(())
    }),
    ("read the supervisor's memory without a file", |prison| {
        let mut byte = 0_u8;
        let local = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        let (local, count) = (&raw const local as i64, 1_i64);
        // SAFETY: both vectors are the one above, which lives on; what is read goes into its byte, if anything is.
        let read = unsafe {
            libc::syscall(
                libc::SYS_process_vm_readv,
                i64::from(prison.supervisor.as_raw()),
                local,
                count,
                local,
                count,
                0_i64,
            )
        };
        // EFAULT: it was permitted, and there was nothing at that address.
        holds(read >= 0 || Errno::last() == Errno::EFAULT)
    }),
    ("limit the supervisor's processor time", |prison| {
        let now = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
        let (pid, resource) = (i64::from(prison.supervisor.as_raw()), i64::from(libc::RLIMIT_CPU));
        unsafe_call(libc::SYS_prlimit64, [pid, resource, &raw const now as i64, 0])
    }),
    ("slow the supervisor down", |prison| {
        unsafe_call(libc::SYS_setpriority, [libc::PRIO_PROCESS.into(), prison.supervisor.as_raw().into(), 19, 0])
    }),
    ("outlive the supervisor by itself", |_| unsafe_call(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG.into(), 0, 0, 0])),
    ("gain privileges by a set-user-ID program", |prison| {
        holds(Command::new(prison.place("suid")).arg("whoami").status()?.success())
    }),
    ("gain privileges in a user namespace", |_| unsafe_call(libc::SYS_unshare, [libc::CLONE_NEWUSER.into(), 0, 0, 0])),
    ("start a program of the machine's, such as a shell", |_| {
        holds(Command::new("/bin/sh").args(["-c", "exit 0"]).status()?.success())
    }),
    // The app does so for pictures and PDFs (app/src/media).
    ("start its own program again", |_| holds(Command::new("/proc/self/exe").arg("again").status()?.success())),
    ("have the kernel do it (io_uring)", |_| {
        let parameters = [0_u64; 32];
        unsafe_call(libc::SYS_io_uring_setup, [1, parameters.as_ptr() as i64, 0, 0])
    }),
    ("delete a backup", |prison| Ok(fs::remove_file(prison.place("backup"))?)),
    ("delete a snapshot", |prison| Ok(fs::remove_file(prison.place("snapshot"))?)),
    ("say that another program is kept", |prison| Ok(fs::write(prison.place("programs"), "{}")?)),
    ("put a program in the place of a kept one", |prison| {
        let kept = prison.place("kept");
        let beside = kept.with_extension("evil");
        fs::write(&beside, "evil")?;
        Ok(fs::rename(beside, kept)?)
    }),
];

fn reads(path: &Path) -> Result<(), Failed> {
    holds(!fs::read(path)?.is_empty())
}

fn connects(prison: &Prison, name: &str) -> Result<(), Failed> {
    done(UnixStream::connect(prison.place(name))?)
}

/// By path, to the length that it has: what is permitted shows, and nothing is lost.
fn truncates(prison: &Prison, name: &str) -> Result<(), Failed> {
    let length = fs::metadata(prison.place(name))?.len();
    unsafe_call(libc::SYS_truncate, [prison.c(name).as_ptr() as i64, i64::try_from(length)?, 0, 0])
}

fn each_inherited(attempt: impl Fn(i64) -> Result<(), Failed>) -> Result<(), Failed> {
    // The sockets come first; the lock's descriptors lie behind them.
    holds((5..16).any(|descriptor| attempt(descriptor).is_ok()))
}

/// Makes a system call of up to four arguments.
fn unsafe_call(number: libc::c_long, arguments: [i64; 4]) -> Result<(), Failed> {
    let [a, b, c, d] = arguments;
    // SAFETY: pointers among the arguments are to values that live through the caller's statement, of the kind and length
    // that the call expects.
    called(unsafe { libc::syscall(number, a, b, c, d) })
}
