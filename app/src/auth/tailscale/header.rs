//! What does a header of `tailscale serve` say?
//!
//! Text as it is, or, where a letter is not of ASCII, encoded words as Go's `mime.QEncoding` writes them
//! (RFC 2047, Q encoding, UTF-8).

use poem::http::{HeaderMap, HeaderName};

/// A longer one is not read, in bytes: encoded, each byte of a name is three.
const LONGEST: usize = 2048;

/// Returns the text of a header that is there once, `Some(None)` when it is not there, and `None` when it is there twice,
/// is far too long or cannot be understood.
#[allow(clippy::option_option, reason = "not there and not to be believed are two things")]
pub(crate) fn single(headers: &HeaderMap, name: &HeaderName) -> Option<Option<String>> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Some(None),
        (Some(value), None) if value.len() <= LONGEST => decode(value.to_str().ok()?).map(Some),
        (Some(_), None) => None,
        (Some(_), Some(_)) => None,
    }
}

/// Decodes the encoded words of a text. Spaces between two of them are not part of it (RFC 2047, 6.2).
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, word, after)) = next_word(rest) {
        let follows_a_word = rest.len() < text.len();
        if !(follows_a_word && before.chars().all(char::is_whitespace)) {
            bytes.extend_from_slice(before.as_bytes());
        }
        quoted(word, &mut bytes)?;
        rest = after;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

/// Returns what is before the next encoded word, its text, and what is after it.
fn next_word(text: &str) -> Option<(&str, &str, &str)> {
    const BEGIN: &str = "=?utf-8?q?";
    let at = text.to_ascii_lowercase().find(BEGIN)?;
    let (word, after) = text[at + BEGIN.len()..].split_once("?=")?;
    Some((&text[..at], word, after))
}

/// Decodes the text of a word: `_` is a space and `=C3` a byte.
fn quoted(word: &str, bytes: &mut Vec<u8>) -> Option<()> {
    let mut encoded = word.bytes();
    while let Some(byte) = encoded.next() {
        bytes.push(match byte {
            b'_' => b' ',
            b'=' => {
                let mut digit = || char::from(encoded.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit()? << 4 | digit()?
            }
            other => other,
        });
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn encoded_words_are_read_as_go_writes_them() {
        for (encoded, text) in [
            ("Alice", Some("Alice")),
            ("", Some("")),
            ("a = b ?= c", Some("a = b ?= c")),
            ("=?utf-8?q?Zo=C3=AB?=", Some("Zoë")),
            ("=?UTF-8?Q?Zo=c3=ab_=3D?=", Some("Zoë =")),
            ("=?utf-8?q?=E6=9D=8E?= =?utf-8?q?=E5=B0=8F=E9=BE=99?=", Some("李小龙")),
            ("Dr. =?utf-8?q?Zo=C3=AB?= Young", Some("Dr. Zoë Young")),
            ("=?utf-8?q?a?= and =?utf-8?q?b?=", Some("a and b")),
            ("=?utf-8?q??=", Some("")),
            // What is no such word stays as it is.
            ("=?utf-8?b?WsO8?=", Some("=?utf-8?b?WsO8?=")),
            ("=?utf-8?q?unfinished", Some("=?utf-8?q?unfinished")),
            ("=?utf-8?q?=C3?=", None),
            ("=?utf-8?q?=C?=", None),
            ("=?utf-8?q?=G0?=", None),
        ] {
            assert_eq!(decode(encoded).as_deref(), text, "{encoded}");
        }
    }
}
