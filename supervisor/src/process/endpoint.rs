//! Where does something listen, and how is a unix socket reached whose path is too long for its address?

use std::{
    cell::RefCell,
    collections::{HashMap, hash_map::Entry},
    fmt,
    net::SocketAddr,
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use nix::{
    fcntl::{OFlag, open},
    sys::stat::Mode,
};

/// The longest path that fits a unix socket's address, without its closing zero (unix(7)).
const LONGEST_SOCKET: usize = 107;

/// Where something listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An address and a port.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl Endpoint {
    /// Reads one; `None` for what is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.parse() {
            Ok(address) => Some(Self::Tcp(address)),
            Err(_) => is_socket(text).then(|| Self::Unix(text.into())),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Whether this is the path of a file that can be the address of a unix socket.
pub(crate) fn is_socket(text: &str) -> bool {
    text.starts_with('/') && !text.ends_with('/') && text.len() <= LONGEST_SOCKET && !text.contains(char::is_control)
}

thread_local! {
    static DIRECTORIES: RefCell<HashMap<PathBuf, OwnedFd>> = RefCell::default();
}

/// Returns a path for a unix socket's address: a long one goes through a descriptor of its directory, which stays
/// open for the life of the process.
pub fn short(path: &Path) -> PathBuf {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return path.to_owned() };
    if path.as_os_str().len() <= LONGEST_SOCKET {
        return path.to_owned();
    }
    DIRECTORIES.with_borrow_mut(|directories| {
        let opened = match directories.entry(directory.to_owned()) {
            Entry::Occupied(opened) => opened.into_mut(),
            Entry::Vacant(new) => {
                match open(directory, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()) {
                    Ok(descriptor) => new.insert(descriptor),
                    // Using the path itself then says what is wrong with it.
                    Err(_) => return path.to_owned(),
                }
            }
        };
        PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd())).join(name)
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
        assert!(path.as_os_str().len() > LONGEST_SOCKET);
        let _listener = UnixListener::bind(short(&path)).unwrap();
        UnixStream::connect(short(&path)).unwrap();
        assert!(path.exists());
    }
}
