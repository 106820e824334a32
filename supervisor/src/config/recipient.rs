//! Does a text have the form of an age recipient?
//!
//! PID 1 checks its form alone; jobs encrypt (`work/backup/encryption.rs`). No message repeats the text, which may be a secret.

use bech32::{Bech32, primitives::decode::CheckedHrpstring};

/// What an age identity begins with.
pub(crate) const SECRET: &str = "AGE-SECRET-KEY-";
/// What is allowed, as the end of a sentence.
const ALLOWED: &str = "it must be the public key, age1…, which age-keygen -y FILE prints";
/// The bytes of a public key of X25519.
const BYTES: usize = 32;

/// The kinds of recipients that age can encrypt to without a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `age1…`, as age-keygen prints it.
    X25519,
    /// `age1tag1…`, for a key in hardware.
    Tag,
    /// `age1tagpq1…`, the same with a post-quantum part.
    TagPq,
}

/// Returns of which kind a recipient is.
///
/// # Errors
/// A sentence that says what is wrong. A secret key is not repeated in it.
pub(crate) fn kind(text: &str) -> Result<Kind, String> {
    // Whatever follows may be a secret, also in lower case or after a slip of the pen.
    if text.trim_start().to_ascii_uppercase().starts_with(SECRET) || text.trim_start().starts_with("AGE-PLUGIN-") {
        return Err(format!("this is a secret key, which does not belong on the server; {ALLOWED}"));
    }
    if text.starts_with("ssh-") {
        return Err(format!("this is an SSH key; {ALLOWED}"));
    }
    if text.starts_with("-----BEGIN") {
        return Err(format!("this is a key file; {ALLOWED}"));
    }
    // What is no key at all may be a password.
    let Some((prefix, _)) = text.rsplit_once('1').filter(|_| text.starts_with("age1")) else {
        return Err(format!("this is no age recipient; {ALLOWED}"));
    };
    match prefix {
        "age" => {
            let key = CheckedHrpstring::new::<Bech32>(text);
            let sound = key.is_ok_and(|key| key.byte_iter().count() == BYTES);
            if sound { Ok(Kind::X25519) } else { Err(slip(text)) }
        }
        "age1tag" => Ok(Kind::Tag),
        "age1tagpq" => Ok(Kind::TagPq),
        _ => Err(format!("{text} is a recipient of a kind that needs a plugin or another version of age; {ALLOWED}")),
    }
}

/// Says that a recipient of a known kind is none.
pub(crate) fn slip(text: &str) -> String {
    format!("{text} is no age recipient, perhaps there is a slip in it; {ALLOWED}")
}
