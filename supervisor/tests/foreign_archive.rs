//! Who reads an archive that a stranger may have made? Only jobs that have confined themselves before.
//!
//! fanotify(7) holds each read of the file up, and names the process that reads, until it is allowed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    ffi::CString,
    fs::{self, File},
    io::{ErrorKind, Read, Write},
    mem::size_of,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    process::{Child, Stdio},
};

use harness::Hearth;
use nix::libc;

/// Holds up whoever reads a file.
struct Watch(File);

impl Watch {
    fn new(path: &Path) -> Self {
        let name = CString::new(path.as_os_str().as_bytes()).unwrap();
        let flags = libc::FAN_CLASS_CONTENT | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK;
        // SAFETY: it takes numbers, and returns a descriptor that nobody else has.
        let watch = unsafe { libc::fanotify_init(flags, libc::O_RDONLY as u32) };
        assert!(watch >= 0, "fanotify: {}", std::io::Error::last_os_error());
        // SAFETY: as above.
        let watch = unsafe { File::from_raw_fd(watch) };
        let (add, access) = (libc::FAN_MARK_ADD, libc::FAN_ACCESS_PERM);
        // SAFETY: the name is a string that lives until the call returns.
        let marked = unsafe { libc::fanotify_mark(watch.as_raw_fd(), add, access, libc::AT_FDCWD, name.as_ptr()) };
        assert_eq!(marked, 0, "fanotify: {}", std::io::Error::last_os_error());
        Self(watch)
    }

    /// Lets all reads go on until this process ends; returns the status (proc(5)) of each process that read, as it then was.
    fn readers(&mut self, mut child: Child) -> Vec<String> {
        const LENGTH: usize = size_of::<libc::fanotify_event_metadata>();
        let mut readers = Vec::new();
        let mut has_ended = false;
        loop {
            let mut event = [0; LENGTH];
            match self.0.read(&mut event) {
                Ok(read) => {
                    assert_eq!(read, LENGTH);
                    // SAFETY: it is as long as that, and any bytes make one.
                    let event: libc::fanotify_event_metadata =
                        unsafe { std::ptr::read_unaligned(event.as_ptr().cast()) };
                    readers.push(fs::read_to_string(format!("/proc/{}/status", event.pid)).unwrap());
                    self.allow(event.fd);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock && has_ended => return readers,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    has_ended = child.try_wait().unwrap().is_some();
                    std::thread::yield_now();
                }
                Err(error) => panic!("fanotify: {error}"),
            }
        }
    }

    fn allow(&mut self, descriptor: RawFd) {
        // SAFETY: the event brought it, for us to close.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        let answer = [descriptor.as_raw_fd().to_ne_bytes(), libc::FAN_ALLOW.to_ne_bytes()].concat();
        self.0.write_all(&answer).unwrap();
    }
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn an_archive_is_read_by_confined_jobs_alone() {
    let hearth = Hearth::new();
    let mut running = hearth.start();
    running.wait_serving();
    let id = hearth.backup(&[])["backup"]["id"].as_str().unwrap().to_owned();
    running.stop();
    let archive = hearth.data.join(format!("backups/{id}.tar.zst"));
    let foreign = hearth.root.path().join("of a stranger.tar.zst");
    fs::copy(&archive, &foreign).unwrap();
    let place = foreign.to_str().unwrap();
    for (file, arguments) in [
        // It asks, hears nothing and does nothing: what it shows before comes from the archive.
        (&foreign, &["restore", place][..]),
        (&foreign, &["restore", place, "--yes"]),
        (&archive, &["backup", "verify", "--all"]),
        (&archive, &["restore", "latest", "--yes"]),
    ] {
        let mut watch = Watch::new(file);
        let silent = hearth.command(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let readers = watch.readers(silent.unwrap());
        assert!(!readers.is_empty(), "{arguments:?}: nobody read it");
        for status in readers {
            assert!(status.contains("Seccomp:\t2"), "{arguments:?}: {status}");
        }
    }
}
