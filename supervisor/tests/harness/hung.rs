//! A file system that never answers, for the tests of the supervisor and of the app: FUSE whose server reads no request.

use std::{
    fs::File,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// Mounted until it is dropped.
pub(crate) struct Hung {
    path: PathBuf,
    /// Its end is the end of all waits.
    server: Option<File>,
}

impl Hung {
    /// Mounts it over a directory.
    pub(crate) fn mount(path: &Path) -> Self {
        let server = File::options().read(true).write(true).open("/dev/fuse").unwrap();
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
        mount(Some("hung"), path, Some("fuse"), MsFlags::empty(), Some(options.as_str())).unwrap();
        Self { path: path.to_owned(), server: Some(server) }
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        drop(self.server.take());
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
    }
}
