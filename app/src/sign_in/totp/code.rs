//! Is this the code that the person's authenticator shows now?
//!
//! RFC 6238 as authenticator apps know it: SHA-1, six digits, 30 seconds. (SHA-1's weakness is in collisions, which HMAC
//! does not rest on.) A code of the step before or after is taken too, for clocks that differ and people who type
//! slowly; a step that was used, or one before it, is not taken again. Recovery codes are for the day on which the
//! authenticator is lost.

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use crate::{auth::verification::CODE_SECONDS, http::encoded, secret};

/// Bytes of a secret: as long as the hash (RFC 4226, section 4, R6).
pub(crate) const SECRET_BYTES: usize = 20;

const DIGITS: u32 = 6;
/// So many steps may the clocks differ (RFC 6238, section 6).
const SKEW: i64 = 1;

/// So many recovery codes are made at once.
pub(crate) const RECOVERY_CODES: usize = 10;
/// Without 0, 1, i, l and o, which people mistake for each other.
const ALPHABET: &[u8; 31] = b"23456789abcdefghjkmnpqrstuvwxyz";
/// 16 of 31 characters are 79 bits: enough that a plain SHA-256 of it can be kept.
const RECOVERY_CHARACTERS: usize = 16;
const GROUP: usize = 4;

/// Returns a new secret.
pub(crate) fn new_secret() -> [u8; SECRET_BYTES] {
    secret::random()
}

/// Returns the step that a typed code is of, to be kept as the last one used, if it is right now and its step comes after
/// the last. All steps that could be meant are compared, each in constant time.
pub(crate) fn check(secret: &[u8], code: &str, now_unix: i64, last_step: Option<i64>) -> Option<i64> {
    let typed: String = code.chars().filter(|c| !is_separator(*c)).map(digit).collect();
    let now = now_unix.div_euclid(CODE_SECONDS);
    let mut found = None;
    for step in now - SKEW..=now + SKEW {
        let same: bool = code_at(secret, step).as_bytes().ct_eq(typed.as_bytes()).into();
        if same && last_step.is_none_or(|last| step > last) {
            found = found.or(Some(step));
        }
    }
    found
}

/// Whether people or programs put it between the digits of a code; word processors make other dashes of a hyphen.
fn is_separator(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ff0d}')
}

/// Returns a full-width digit, as East Asian keyboards write it, as the ASCII one; any other letter as it is.
fn digit(letter: char) -> char {
    match letter {
        '\u{ff10}'..='\u{ff19}' => char::from_u32(u32::from(letter) - 0xff10 + u32::from('0')).unwrap_or(letter),
        letter => letter,
    }
}

/// Returns the code of a step (RFC 4226, section 5.3).
fn code_at(secret: &[u8], step: i64) -> String {
    // HMAC takes a key of any length.
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).unwrap_or_else(|_| unreachable!("HMAC takes any key"));
    mac.update(&step.to_be_bytes());
    let hash: [u8; 20] = mac.finalize().into_bytes().into();
    let offset = usize::from(hash[19] & 0x0f);
    let four = [hash[offset] & 0x7f, hash[offset + 1], hash[offset + 2], hash[offset + 3]];
    format!("{:0width$}", u32::from_be_bytes(four) % 10_u32.pow(DIGITS), width = DIGITS as usize)
}

/// Returns a secret in base32 (RFC 4648), for who cannot scan the picture and types it.
pub(crate) fn base32(secret: &[u8]) -> String {
    BASE32_NOPAD.encode(secret)
}

/// Returns the address that an authenticator app reads from the picture (the "Key Uri Format" of Google Authenticator).
pub(crate) fn uri(secret: &[u8], email: &str) -> String {
    format!(
        "otpauth://totp/Hearth:{}?secret={}&issuer=Hearth&algorithm=SHA1&digits={DIGITS}&period={CODE_SECONDS}",
        encoded(email),
        base32(secret)
    )
}

/// Returns the bytes of a secret in base32; nothing when it is not one of ours.
pub(crate) fn from_base32(text: &str) -> Option<Vec<u8>> {
    BASE32_NOPAD.decode(text.as_bytes()).ok()
}

/// Returns new recovery codes, as they are shown: `k7qm-3xw9-…`. What is kept of each is the digest of what [`normalise`]
/// makes of it.
pub(crate) fn recovery_codes() -> Vec<String> {
    (0..RECOVERY_CODES).map(|_| grouped(&recovery_code())).collect()
}

fn recovery_code() -> String {
    let mut code = String::new();
    while code.len() < RECOVERY_CHARACTERS {
        // Of the 32 values of five bits the last has no character: it is drawn again, so that all are as likely.
        let drawn = secret::random::<RECOVERY_CHARACTERS>();
        let characters = drawn.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 31)));
        code.extend(characters.take(RECOVERY_CHARACTERS - code.len()).map(|byte| char::from(*byte)));
    }
    code
}

fn grouped(code: &str) -> String {
    let mut shown = String::new();
    for (place, character) in code.chars().enumerate() {
        if place > 0 && place % GROUP == 0 {
            shown.push('-');
        }
        shown.push(character);
    }
    shown
}

/// Returns a typed recovery code as it is kept, whatever its case, blanks and dashes; nothing when it cannot be one.
pub(crate) fn normalise(typed: &str) -> Option<String> {
    // Word processors make other dashes of a hyphen.
    let skipped = |c: char| c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}');
    let code: String =
        typed.chars().filter(|c| !skipped(*c)).take(RECOVERY_CHARACTERS + 1).map(|c| c.to_ascii_lowercase()).collect();
    (code.len() == RECOVERY_CHARACTERS && code.bytes().all(|byte| ALPHABET.contains(&byte))).then_some(code)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The secret of RFC 6238's appendix B.
    const RFC: &[u8] = b"12345678901234567890";

    #[test]
    fn the_codes_are_those_of_rfc_6238() {
        // The last six of its eight digits.
        for (time, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(check(RFC, code, time, None), Some(time / 30), "{time}");
        }
    }

    #[test]
    fn a_step_either_way_is_taken_and_two_are_not() {
        let code = code_at(RFC, 1_000);
        let taken = |step: i64| check(RFC, &code, step * 30 + 15, None);
        assert_eq!(
            [taken(998), taken(999), taken(1_000), taken(1_001), taken(1_002)],
            [None, Some(1_000), Some(1_000), Some(1_000), None]
        );
    }

    #[test]
    fn no_code_is_taken_twice_nor_an_older_one_after_it() {
        let now = 1_000 * 30;
        assert_eq!(check(RFC, &code_at(RFC, 1_000), now, Some(999)), Some(1_000));
        assert_eq!(check(RFC, &code_at(RFC, 1_000), now, Some(1_000)), None);
        assert_eq!(check(RFC, &code_at(RFC, 999), now, Some(1_000)), None);
        assert_eq!(check(RFC, &code_at(RFC, 1_001), now, Some(1_000)), Some(1_001));
    }

    #[test]
    fn blanks_are_nothing_and_anything_else_is_wrong() {
        for code in [" 287 082 ", "287-082", "287\u{2013}082", "２８７０８２", "２８７　０８２"] {
            assert_eq!(check(RFC, code, 59, None), Some(1), "{code}");
        }
        for code in ["", "28708", "2870822", "287083", "28708x", "２８７０８３", "94287082", "+287082", "٢٨٧٠٨٢"]
        {
            assert_eq!(check(RFC, code, 59, None), None, "{code}");
        }
        assert_eq!(check(RFC, "000000", i64::MIN / 2, Some(i64::MAX)), None);
    }

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(plain.as_bytes()), encoded);
        }
        assert_eq!(base32(&new_secret()).len(), 32);
    }

    #[test]
    fn an_authenticator_can_read_the_address() {
        assert_eq!(
            uri(RFC, "anna+home@example.org"),
            "otpauth://totp/Hearth:anna%2Bhome%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Hearth\
             &algorithm=SHA1&digits=6&period=30"
        );
    }

    #[test]
    fn recovery_codes_differ_and_are_known_however_they_are_typed() {
        let codes: HashSet<_> = (0..50).flat_map(|_| recovery_codes()).collect();
        assert_eq!(codes.len(), 50 * RECOVERY_CODES);
        for code in &codes {
            let groups: Vec<_> = code.split('-').collect();
            assert!(groups.len() == 4 && groups.iter().all(|group| group.len() == 4), "{code}");
            let kept = normalise(code).unwrap();
            assert_eq!(kept, groups.concat());
            assert_eq!(normalise(&format!("  {} ", code.to_uppercase().replace('-', " – "))), Some(kept.clone()));
            assert_eq!(normalise(&kept), Some(kept));
        }
        let used: HashSet<_> = codes.iter().flat_map(|code| code.bytes()).collect();
        assert_eq!(used.len(), ALPHABET.len() + 1, "every character comes up");
        for wrong in ["", "----", "k7qm-3xw9", "k7qm-3xw9-abcd-efg1", "k7qm-3xw9-abcd-efgh-jkmn", "ÄÖÜä-3xw9-abcd-efgh"]
        {
            assert_eq!(normalise(wrong), None, "{wrong}");
        }
    }
}
