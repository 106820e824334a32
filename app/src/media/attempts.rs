//! What would a child try that a file has taken over?
//!
//! For tests: `HEARTH_FAULT=media=attempt` has the child make one attempt after it has confined itself. The names are those of the
//! table in docs/SECURITY.md.

use std::{fs::File, hint, io, io::IoSliceMut, net::UdpSocket, os::unix::fs::FileExt, process::Command, thread};

use nix::{
    sys::{
        signal::{Signal, kill},
        uio::{RemoteIoVec, process_vm_readv},
    },
    unistd::{Pid, execv, getppid, unlink},
};

/// One attempt, with what it needs to know from before.
pub(super) struct Attempt {
    name: String,
    parent: Pid,
}

impl Attempt {
    /// Returns the attempt that a test has planned.
    pub(super) fn planned() -> Option<Self> {
        let faults = std::env::var("HEARTH_FAULT").ok()?;
        let name = faults.split(',').find_map(|fault| fault.strip_prefix("media="))?.to_owned();
        Some(Self { name, parent: getppid() })
    }

    /// Makes it. Success means that it was possible, and ends with an answer to be seen by the test.
    pub(super) fn make(&self, file: &File, length: u64) -> io::Result<()> {
        match self.name.as_str() {
            "open a file" => drop(File::open("/proc/self/status")?),
            // It is not there: what ends the child is that it tries.
            "delete a file" => unlink("/tmp/hearth-test-of-the-child")?,
            "open a socket" => drop(UdpSocket::bind("127.0.0.1:0")?),
            "become another program" => drop(execv(c"/proc/self/exe", &[c"app", c"--version"])?),
            "start a program" => drop(Command::new("/proc/self/exe").arg("--version").status()?),
            "start a thread" => drop(thread::Builder::new().spawn(|| ())?.join()),
            "signal the app" => kill(self.parent, Signal::SIGCONT)?,
            "read the app's memory" => {
                let mut byte = [0];
                let remote = RemoteIoVec { base: std::ptr::from_ref(self).addr(), len: 1 };
                process_vm_readv(self.parent, &mut [IoSliceMut::new(&mut byte)], &[remote])?;
            }
            "take more memory" => {
                let mut memory = Vec::<u8>::new();
                memory.try_reserve_exact(512 << 20).map_err(|_| io::ErrorKind::OutOfMemory)?;
                hint::black_box(&mut memory);
            }
            "overwrite the file" => file.write_all_at(b"!", 0)?,
            "make the file longer" => file.write_all_at(b"!", length)?,
            "compute for ever" => loop {
                hint::spin_loop();
            },
            // By the one call that waits and is left.
            "wait for ever" => loop {
                thread::park();
            },
            other => panic!("HEARTH_FAULT: no attempt {other}"),
        }
        Ok(())
    }
}
