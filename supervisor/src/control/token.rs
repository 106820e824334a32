//! How does the control socket know that its caller is the operator?
//!
//! All processes share one uid, so the kernel cannot tell. The caller presents what stands in `supervisor/token`,
//! a file of mode 0600 that the app has no business with.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
};

use crate::{data::DataDir, failure::Failure};

/// Bytes of randomness: 256 bits, which nobody guesses.
const BYTES: usize = 32;

/// Returns the token of this data directory; makes one if there is none yet.
///
/// # Errors
/// When it can be neither read nor written.
pub fn read_or_make(data: &DataDir) -> Result<String, Failure> {
    let path = data.token();
    match read(data) {
        Ok(token) => return Ok(token),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {}
        Err(error) => return Err(Failure::io(format!("cannot read {}", path.display()), &error)),
    }
    make(data).map_err(|error| Failure::io(format!("cannot write {}", path.display()), &error))
}

/// Reads the token.
///
/// # Errors
/// `InvalidData` when what stands there is no token (half a one, after a power cut).
pub fn read(data: &DataDir) -> io::Result<String> {
    let text = fs::read_to_string(data.token())?;
    let token = text.trim();
    let whole = token.len() == 2 * BYTES && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    if whole { Ok(token.to_owned()) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "this is no token")) }
}

fn make(data: &DataDir) -> io::Result<String> {
    let mut random = [0_u8; BYTES];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let mut token = String::with_capacity(2 * BYTES);
    for byte in random {
        let _ = write!(token, "{byte:02x}");
    }
    let _ = fs::remove_file(data.token());
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(data.token())?;
    file.write_all(token.as_bytes())?;
    Ok(token)
}

/// Compares in a time that does not tell how much of it is right.
#[must_use]
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
}
