//! How is a token made that nobody guesses, and kept so that a stolen database opens nothing?
//!
//! A token is 256 bits from the kernel, shown once. Kept is its SHA-256: for a value of that size no slow hash is needed,
//! and looking a hash up by an index tells an attacker nothing by its time that he could use.

use std::fmt;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use sha2::{Digest, Sha256};

/// How API tokens begin, so that people and secret scanners know one when they see it.
pub(crate) const API_PREFIX: &str = "hearth_";

/// A text that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// Returns a new token: 256 random bits as 43 characters that fit in an address and in a cookie.
    pub(crate) fn token() -> Self {
        Self(BASE64URL_NOPAD.encode(random::<32>().as_ref()))
    }

    /// Returns a new token for the API: the same with [`API_PREFIX`].
    pub(crate) fn api_token() -> Self {
        Self(format!("{API_PREFIX}{}", Self::token().0))
    }

    /// Returns the text itself, for the one place that shows or sends it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Returns what is kept of it.
    pub(crate) fn digest(&self) -> String {
        digest(&self.0)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Returns what is kept of a token, and what a token from outside is looked up by: its SHA-256 in lower-case hex.
pub(crate) fn digest(token: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(token.as_bytes()))
}

/// Returns bytes from the kernel's random number generator.
///
/// # Panics
///
/// When the kernel gives none: no token at all is better than one that can be guessed.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Err(error) = getrandom::fill(&mut bytes) {
        panic!("the kernel gives no random bytes: {error}");
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn tokens_differ_and_fit_in_an_address() {
        let tokens: HashSet<_> = (0..1_000).map(|_| Secret::token().expose().to_owned()).collect();
        assert_eq!(tokens.len(), 1_000);
        for token in tokens {
            assert_eq!(token.len(), 43);
            assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{token}");
        }
    }

    #[test]
    fn an_api_token_is_known_by_its_beginning() {
        assert_eq!(Secret::api_token().expose().strip_prefix("hearth_").map(str::len), Some(43));
    }

    #[test]
    fn what_is_kept_is_sha_256_in_hex() {
        // FIPS 180-2, example B.1.
        assert_eq!(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(Secret::from("abc".to_owned()).digest(), digest("abc"));
    }

    #[test]
    fn a_log_shows_nothing_of_a_secret() {
        let secret = Secret::from("correct horse".to_owned());
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "Secret(…) Some(Secret(…))");
    }
}
