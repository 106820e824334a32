//! How is a unix socket reached whose path is too long for its address?

use std::{
    cell::RefCell,
    collections::HashMap,
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use nix::{
    fcntl::{OFlag, open},
    sys::stat::Mode,
};

/// The longest path that fits a unix socket's address on Linux, without its closing zero (unix(7)).
const LONGEST: usize = 107;

thread_local! {
    static DIRECTORIES: RefCell<HashMap<PathBuf, OwnedFd>> = RefCell::default();
}

/// Returns a path for a unix socket's address: a long one goes through a descriptor of its directory, which stays
/// open for the life of the process.
#[must_use]
pub fn short(path: &Path) -> PathBuf {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return path.to_owned() };
    if path.as_os_str().len() <= LONGEST {
        return path.to_owned();
    }
    DIRECTORIES.with_borrow_mut(|directories| {
        if !directories.contains_key(directory) {
            match open(directory, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()) {
                Ok(descriptor) => directories.insert(directory.to_owned(), descriptor),
                // Using the path itself then says what is wrong with it.
                Err(_) => return path.to_owned(),
            };
        }
        match directories.get(directory) {
            Some(descriptor) => PathBuf::from(format!("/proc/self/fd/{}", descriptor.as_raw_fd())).join(name),
            None => path.to_owned(),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn a_socket_far_down_is_reached() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a-directory-with-a-long-name".repeat(4)).join("and-another".repeat(5));
        std::fs::create_dir_all(&deep).unwrap();
        let path = deep.join("control.sock");
        assert!(path.as_os_str().len() > LONGEST);
        let _listener = UnixListener::bind(short(&path)).unwrap();
        UnixStream::connect(short(&path)).unwrap();
        assert!(path.exists());
    }
}
