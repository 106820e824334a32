//! How is a backup kept from everyone but the holders of a key?
//!
//! By age (<https://age-encryption.org/v1>), in its binary format, so that `age -d -i FILE` opens it without Hearth. The
//! server has only recipients, which are public keys; an identity, the secret key, is the operator's and is read for as
//! long as one archive is opened. No message here repeats what was found in the place of a recipient or an identity: it
//! may be a secret.

use std::io::{self, Cursor, Read, Write};

use age::{
    DecryptError, Decryptor, EncryptError, Encryptor, Identity, Recipient, stream::StreamWriter, tag, tagpq, x25519,
};

use crate::{
    config::recipient::{self, Kind, SECRET},
    failure::{Cause, Failure},
};

/// The longest header of an age file that is read, in bytes. One for twenty recipients of the longest kind fits, and the
/// parser, whose time grows with the square of the length, is through with it in a moment.
const LONGEST_HEADER: u64 = 32 << 10;
/// What the last line of an age header begins with.
const LAST_LINE: &[u8] = b"\n--- ";
/// What each age file begins with, up to its version.
const MAGIC: &[u8] = b"age-encryption.org/";
/// Reads a recipient: `age1…`, as age-keygen prints it, and the kinds for keys in hardware (`age1tag1…`, `age1tagpq1…`), which
/// age can encrypt to without a plugin. Why it cannot be used is a sentence, and no secret key is repeated in it.
fn recipient(text: &str) -> Result<Box<dyn Recipient>, String> {
    let known: Result<Box<dyn Recipient>, _> = match recipient::kind(text)? {
        Kind::X25519 => text.parse::<x25519::Recipient>().map(|key| Box::new(key) as _),
        Kind::Tag => text.parse::<tag::Recipient>().map(|key| Box::new(key) as _),
        Kind::TagPq => text.parse::<tagpq::Recipient>().map(|key| Box::new(key) as _),
    };
    known.map_err(|_| recipient::slip(text))
}

/// Checks that backups can be encrypted to this recipient.
///
/// # Errors
/// A sentence that says what is wrong. A secret key is not repeated in it.
pub fn check_recipient(text: &str) -> Result<(), String> {
    recipient(text).map(drop)
}

/// What is written to it goes on encrypted. Only [`StreamWriter::finish`] ends the file; without it, what was written counts
/// as cut off.
pub type Encrypted<W> = StreamWriter<W>;

/// Begins an age file for these recipients, in the binary format; any one of their identities opens it.
///
/// # Errors
/// [`Cause::Configuration`] if one of them cannot be used, or not together with the others; what writing the header failed
/// with.
pub fn encrypt<W: Write>(recipients: &[String], output: W) -> Result<Encrypted<W>, Failure> {
    let unusable = |why: String| Failure::new(Cause::Configuration, format!("cannot encrypt the backup: {why}"));
    let keys: Vec<Box<dyn Recipient>> = recipients
        .iter()
        .map(|text| recipient(text).map_err(|wrong| unusable(format!("backup.recipients cannot be used: {wrong}"))))
        .collect::<Result<_, _>>()?;
    let io = |error: &io::Error| Failure::io("cannot write the header of the encrypted backup", error);
    let encryptor = Encryptor::with_recipients(keys.iter().map(|key| &**key)).map_err(|error| match error {
        EncryptError::MissingRecipients => unusable("there is no recipient".to_owned()),
        EncryptError::IncompatibleRecipients { .. } => unusable("the recipients do not go together".to_owned())
            .hint("those that withstand quantum computers (age1tagpq1…) can only be used by themselves"),
        EncryptError::Io(error) => io(&error),
        other => unusable(other.to_string()),
    })?;
    encryptor.wrap_output(output).map_err(|error| io(&error))
}

/// Opens an age file, `name` to people, with the first of these identities that fits. `identities` is the content of an
/// identity file: one to a line, with comments and blank lines.
///
/// What is returned has to be read to its end: that the file was cut off, also between two of its chunks of 64 KiB, or
/// changed anywhere, is an error of a later read, of the kind [`io::ErrorKind::UnexpectedEof`] or
/// [`io::ErrorKind::InvalidData`].
///
/// # Errors
/// [`Cause::Configuration`] for identities that cannot be read, or if none opens it; [`Cause::Damaged`] for a header that
/// is none; what reading failed with.
pub fn decrypt<'a>(mut input: impl Read + 'a, identities: &str, name: &str) -> Result<Box<dyn Read + 'a>, Failure> {
    let keys = read_identities(identities)?;
    let damaged = |why: &str| Failure::new(Cause::Damaged, format!("the backup {name} is damaged: {why}"));
    let unread = |error: &io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged("it ends within its header"),
        _ => Failure::io(format!("cannot read the backup {name}"), error),
    };
    let mut head = Vec::new();
    (&mut input).take(LONGEST_HEADER).read_to_end(&mut head).map_err(|error| unread(&error))?;
    let has_end = head.windows(LAST_LINE.len()).any(|bytes| bytes == LAST_LINE);
    if head.starts_with(MAGIC) && !has_end && head.len() as u64 == LONGEST_HEADER {
        return Err(damaged("its header has no end"));
    }
    let decryptor = match Decryptor::new(Cursor::new(head).chain(input)) {
        Ok(decryptor) => decryptor,
        Err(DecryptError::Io(error)) => return Err(unread(&error)),
        Err(DecryptError::UnknownFormat) => {
            return Err(Failure::new(
                Cause::UnknownFormat,
                format!("the backup {name} is encrypted in a format that this version does not know"),
            )
            .hint("a newer age may open it: age -d -i FILE; what comes out of that can be restored"));
        }
        Err(_) => return Err(damaged("its header is not that of an age file")),
    };
    if decryptor.is_scrypt() {
        return Err(Failure::new(Cause::Configuration, format!("the backup {name} is encrypted with a passphrase"))
            .hint("decrypt it first, with: age -d -o backup.tar.zst FILE; then restore backup.tar.zst"));
    }
    let count = keys.len();
    match decryptor.decrypt(keys.iter().map(|key| key as &dyn Identity)) {
        Ok(plain) => Ok(Box::new(plain)),
        Err(DecryptError::NoMatchingKeys) => Err(none_fits(name, count)),
        Err(DecryptError::Io(error)) => Err(unread(&error)),
        Err(_) => Err(damaged("its header was changed after it was written")),
    }
}

fn none_fits(name: &str, count: usize) -> Failure {
    let tried = if count == 1 { "1 identity was tried".to_owned() } else { format!("{count} identities were tried") };
    Failure::new(Cause::Configuration, format!("none of the identities opens the backup {name}")).hint(format!(
        "{tried}; age-keygen -y FILE prints the public key of each, to compare with backup.recipients when the backup was \
         made"
    ))
}

/// Reads an identity file.
fn read_identities(text: &str) -> Result<Vec<x25519::Identity>, Failure> {
    let mut found = Vec::new();
    // Some editors begin a file with a mark that nobody sees.
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.parse() {
            Ok(identity) => found.push(identity),
            Err(_) => return Err(no_identity(line, number + 1)),
        }
    }
    if found.is_empty() {
        return Err(Failure::new(Cause::Configuration, "there is no identity in the identity file")
            .hint("it must be the file that age-keygen wrote, with a line that begins with AGE-SECRET-KEY-1"));
    }
    Ok(found)
}

/// Says what a line is that is no identity, without repeating it.
fn no_identity(line: &str, number: usize) -> Failure {
    let decrypt_first =
        "decrypt the backup first, with: age -d -i FILE -o backup.tar.zst BACKUP; then restore backup.tar.zst";
    let locked = (
        "the identity file is itself encrypted".to_owned(),
        "decrypt it first, with: age -d FILE > identity.txt; remove identity.txt afterwards",
    );
    let (message, hint) = match line {
        _ if line.starts_with("-----BEGIN AGE ENCRYPTED FILE") || line.as_bytes().starts_with(MAGIC) => locked,
        _ if line.starts_with("-----BEGIN") => (
            format!("line {number} of the identity file begins an SSH or other private key, which cannot be used here"),
            decrypt_first,
        ),
        _ if line.starts_with("AGE-PLUGIN-") => (
            format!("line {number} of the identity file is an identity of a plugin, which cannot be used here"),
            decrypt_first,
        ),
        _ if line.starts_with("AGE-SECRET-KEY-PQ-") => (
            format!("line {number} of the identity file is an identity of a kind that this version does not know"),
            decrypt_first,
        ),
        _ if line.starts_with("age1") || line.starts_with("ssh-") => (
            format!("line {number} of the identity file is a public key, which only encrypts"),
            "name the file that age-keygen wrote, with a line that begins with AGE-SECRET-KEY-1",
        ),
        _ if line.to_ascii_uppercase().starts_with(SECRET) => (
            format!("line {number} of the identity file is an identity with a slip in it"),
            "compare it with another copy: one character wrong or missing is enough",
        ),
        _ => (
            format!("line {number} of the identity file is no age identity"),
            "it must be the file that age-keygen wrote, with a line that begins with AGE-SECRET-KEY-1",
        ),
    };
    Failure::new(Cause::Configuration, message).hint(hint)
}

#[cfg(test)]
#[path = "encryption_tests.rs"]
mod tests;
