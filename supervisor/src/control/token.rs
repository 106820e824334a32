//! How does the control socket know that its caller is the operator?
//!
//! All processes share one uid, so the kernel cannot tell. The caller presents what stands in `supervisor/token`,
//! a file of mode 0600 that the app has no business with.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
};

use crate::{
    data::{DataDir, access, durable::open_regular},
    failure::Failure,
};

/// Bytes of randomness: 256 bits, which nobody guesses.
const BYTES: usize = 32;
/// How much of the file is read: the token, and room for the line feed of an editor.
const LONGEST: u64 = 2 * BYTES as u64 + 64;

/// Returns the token of this data directory; makes one if there is none yet.
pub fn read_or_make(data: &DataDir) -> Result<String, Failure> {
    let path = data.token();
    match read(data) {
        Ok(token) => return Ok(token.token),
        Err(error) if error.kind() == io::ErrorKind::NotFound || is_no_token(&error) => {}
        Err(error) => return Err(access::unwritable(data, &path, &format!("cannot read {}", path.display()), &error)),
    }
    make(data).map_err(|error| access::unwritable(data, &path, &format!("cannot write {}", path.display()), &error))
}

/// A token as it stands in its file.
pub struct Token {
    /// The token.
    pub token: String,
    /// Whose the file is.
    pub owner: u32,
}

/// Reads the token: of a regular file only, and not waiting for it, since what stands there may have been planted.
///
/// # Errors
/// `InvalidData` when what stands there is no token (half a one, after a power cut), `InvalidInput` when it is no
/// file, `ELOOP` when it is a link, `ENXIO` when it is a socket; what the file system said.
pub fn read(data: &DataDir) -> io::Result<Token> {
    let file = open_regular(&data.token())?;
    let owner = file.metadata()?.uid();
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text)?;
    let token = text.trim();
    let whole = token.len() == 2 * BYTES && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    if whole {
        Ok(Token { token: token.to_owned(), owner })
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "this is no token"))
    }
}

/// Whether something stands there, and is no token, so that a new one takes its place.
fn is_no_token(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
        // ENXIO: it is a socket.
        || matches!(error.raw_os_error(), Some(nix::libc::ELOOP | nix::libc::ENXIO))
}

fn make(data: &DataDir) -> io::Result<String> {
    let mut random = [0_u8; BYTES];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let token = random.map(|byte| format!("{byte:02x}")).concat();
    let _ = fs::remove_file(data.token());
    write(data, &token)?;
    Ok(token)
}

/// Writes a token down where there is none.
pub fn write(data: &DataDir, token: &str) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(data.token())?;
    file.write_all(token.as_bytes())
}

/// Compares in a time that does not tell how much of it is right.
pub fn same(given: &str, token: &str) -> bool {
    given.len() == token.len() && given.bytes().zip(token.bytes()).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_and_half_a_one_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::new(directory.path().to_owned());
        fs::create_dir(data.supervisor()).unwrap();
        let token = read_or_make(&data).unwrap();
        assert_eq!(read_or_make(&data).unwrap(), token);
        assert!(same(&token, &token) && !same(&token[1..], &token) && !same(&"0".repeat(64), &token));
        fs::write(data.token(), &token[..10]).unwrap();
        assert_ne!(read_or_make(&data).unwrap(), token);
    }

    #[test]
    fn what_was_planted_is_neither_waited_for_nor_believed() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::new(directory.path().to_owned());
        fs::create_dir(data.supervisor()).unwrap();
        let known = "0".repeat(2 * BYTES);
        let elsewhere = directory.path().join("elsewhere");
        fs::write(&elsewhere, &known).unwrap();
        let plants: [&dyn Fn(); 4] = [
            &|| nix::unistd::mkfifo(&data.token(), nix::sys::stat::Mode::S_IRWXU).unwrap(),
            &|| std::os::unix::fs::symlink(&elsewhere, data.token()).unwrap(),
            &|| drop(std::os::unix::net::UnixListener::bind(data.token()).unwrap()),
            &|| fs::write(data.token(), " ".repeat(1 << 20) + &known).unwrap(),
        ];
        for plant in plants {
            plant();
            assert!(read(&data).is_err());
            assert_ne!(read_or_make(&data).unwrap(), known);
            assert!(read(&data).is_ok());
            fs::remove_file(data.token()).unwrap();
        }
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), known);
    }
}
