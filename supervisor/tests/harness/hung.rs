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
    /// Mounts it over a directory; `None`, and a line that says so, where that cannot be.
    pub(crate) fn mount(path: &Path) -> Option<Self> {
        let server = File::options().read(true).write(true).open("/dev/fuse");
        let options = |server: &File| format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
        let mounted = server.map_err(|error| error.to_string()).and_then(|server| {
            mount(Some("hung"), path, Some("fuse"), MsFlags::empty(), Some(options(&server).as_str()))
                .map(|()| server)
                .map_err(|errno| errno.to_string())
        });
        match mounted {
            Ok(server) => Some(Self { path: path.to_owned(), server: Some(server) }),
            Err(why) => {
                assert!(std::env::var_os("CI").is_none(), "skipped in CI: there is no FUSE: {why}");
                println!("skipped: there is no FUSE: {why}");
                None
            }
        }
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        drop(self.server.take());
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
    }
}
