//! Which image and which settings are these?
//!
//! *Held* is remembered with the fingerprints of the programs and of the settings, so that the same ones are not tried again and
//! others are. A version alone does not tell: images are rebuilt under the same version.

use std::path::{Path, PathBuf};

use crate::{
    data::{
        DataDir,
        durable::{Explain, read_small},
        programs::Identity,
    },
    failure::Failure,
};

/// How many hexadecimal digits tell images apart: 64 bits.
const DIGITS: usize = 16;
/// The longest token that is read, in bytes.
const LONGEST_TOKEN: u64 = 256;

/// Returns the identity of this image and these settings.
///
/// # Errors
/// When a program that is there cannot be read.
pub fn identify(data: &DataDir, programs: &[PathBuf], settings: &str) -> Result<Identity, Failure> {
    // Keyed with what only this data directory knows: held.json is shown in `status`, and a password must not be found out by
    // trying.
    let settings = read_small(&data.token(), LONGEST_TOKEN).ok().map(|token| {
        let key = blake3::derive_key("hearth 2026-11-28 fingerprint of the settings", &token);
        blake3::keyed_hash(&key, settings.as_bytes()).to_hex()[..DIGITS].to_owned()
    });
    let hashes = programs.iter().map(|program| hash(program)).collect::<Result<Vec<_>, _>>()?;
    let app = hashes.last().and_then(Option::as_ref).map(|hash| hash.to_hex().to_string());
    Ok(Identity { image: image(&hashes), app: app.unwrap_or_default(), settings })
}

/// Returns BLAKE3 of a program; none of one that is not there.
///
/// # Errors
/// When a program that is there cannot be read.
fn hash(program: &Path) -> Result<Option<blake3::Hash>, Failure> {
    let mut hasher = blake3::Hasher::new();
    match std::fs::File::open(program) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened
            .and_then(|file| hasher.update_reader(file).map(|_| ()))
            .explain(|| format!("cannot read the program {}", program.display()))?,
    }
    Ok(Some(hasher.finalize()))
}

/// Returns the identity of an image: the first digits of a BLAKE3 over the hashes of its programs. Hashes have one length, so the end
/// of one program and the beginning of the next cannot be confused.
///
/// A program that is not there is a content like any other: an image that lacks it is not the one that has it.
fn image(programs: &[Option<blake3::Hash>]) -> String {
    let mut image = blake3::Hasher::new();
    for program in programs {
        let missing = || blake3::hash(b"missing");
        image.update(program.unwrap_or_else(missing).as_bytes());
    }
    image.finalize().to_hex()[..DIGITS].to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn another_content_or_order_is_another_image() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name| directory.path().join(name);
        let image = |programs: &[PathBuf]| identify(&DataDir::new("/".into()), programs, "").map(|found| found.image);
        fs::write(path("a"), "one").unwrap();
        fs::write(path("b"), "two").unwrap();
        let first = image(&[path("a"), path("b")]).unwrap();
        assert_eq!(first.len(), 16);
        assert_eq!(image(&[path("a"), path("b")]).unwrap(), first);
        assert_ne!(image(&[path("b"), path("a")]).unwrap(), first);
        fs::write(path("a"), "onet").unwrap();
        fs::write(path("b"), "wo").unwrap();
        assert_ne!(image(&[path("a"), path("b")]).unwrap(), first);
        let without = image(&[path("a"), path("c")]).unwrap();
        fs::write(path("c"), "three").unwrap();
        assert_ne!(image(&[path("a"), path("c")]).unwrap(), without);
    }

    #[test]
    fn the_fingerprint_changes_with_any_setting_and_is_nothing_without_a_key() {
        let (_directory, data) = crate::work::testing::data();
        let settings = |settings| identify(&data, &[], settings).unwrap().settings;
        assert_eq!(settings("one"), None);
        fs::write(data.token(), "a token").unwrap();
        assert_eq!(settings("one"), settings("one"));
        assert_ne!(settings("one"), settings("another password"));
        let first = settings("one");
        fs::write(data.token(), "another token").unwrap();
        assert_ne!(settings("one"), first, "of another data directory it tells nothing");
    }
}
