//! Which e-mail addresses are one, and which only look so?
//!
//! The case of ASCII letters and the two spellings of a domain (`bücher.example` and `xn--bcher-kva.example`) are one address.
//! Other texts that Unicode folds into one another (K, U+212A, and k; Å, U+212B, and Å) are two addresses, which two users may
//! have at a provider. Such a text is refused when an account is made or linked. Users who are there sign in as they always did.

use icu_normalizer::ComposingNormalizerBorrowed;
use idna::uts46::{AsciiDenyList, Hyphens, Uts46};

use crate::http::{FieldError, first_unseen};

/// RFC 5321, 4.5.3.1.3: a path has 256 octets with its brackets.
pub(crate) const EMAIL_MAX: usize = 254;

/// Returns the one spelling of an address: ASCII letters in lower case, the domain as people read it. It says nothing about
/// whether the text is an address.
pub(crate) fn spelling(text: &str) -> String {
    let text = text.trim().to_ascii_lowercase();
    match text.rsplit_once('@') {
        Some((local, domain)) if domain.is_ascii() && domain.contains("xn--") => {
            format!("{local}@{}", readable(domain))
        }
        _ => text,
    }
}

/// Returns a domain of A-labels as people read it, where it has such a spelling.
fn readable(domain: &str) -> String {
    let (readable, outcome) = Uts46::new().to_unicode(domain.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow);
    match outcome {
        Ok(()) => readable.into_owned(),
        Err(_) => domain.to_owned(),
    }
}

/// Returns what is the same for all addresses that Unicode folds into one another.
pub(crate) fn key(text: &str) -> String {
    let nfkc = ComposingNormalizerBorrowed::new_nfkc();
    // Upper case first: ß and ss, ſ and s, ı and i, final and other sigma meet there.
    let folded = nfkc.normalize(&spelling(text)).to_uppercase().to_lowercase();
    nfkc.normalize(&spelling(&folded)).into_owned()
}

/// Returns a text with those letters in lower case that are the only ones with that lower case: Ü, but not K (U+212A).
pub(crate) fn lower_case(text: &str) -> String {
    text.chars()
        .flat_map(|letter| {
            let mut lower = letter.to_lowercase();
            let is_only_one =
                lower.len() == 1 && lower.next().is_some_and(|lower| lower.to_uppercase().eq(std::iter::once(letter)));
            let changed: Box<dyn Iterator<Item = char>> =
                if is_only_one { Box::new(letter.to_lowercase()) } else { Box::new(std::iter::once(letter)) };
            changed
        })
        .collect()
}

/// Returns whether Unicode's folding leaves a spelling as it is, so that it can be confused with no other.
pub(crate) fn is_plain(spelling: &str) -> bool {
    ComposingNormalizerBorrowed::new_nfkc().normalize(&spelling.to_lowercase()) == spelling
}

/// Returns the spelling of an address that an account is made or linked with, or why there can be none. Whether somebody
/// reads it is not known without sending to it.
pub(crate) fn check(text: &str) -> Result<String, FieldError> {
    let text = spelling(text);
    let wrong = |message: &str| Err(FieldError::new("email", message));
    if text.len() > EMAIL_MAX {
        return wrong("must be at most 254 characters long");
    }
    if first_unseen(&text).is_some() {
        return wrong("must not contain invisible characters");
    }
    let is_address = text.split_once('@').is_some_and(|(local, domain)| is_local(local) && is_domain(domain));
    if !is_address {
        return wrong("must be an e-mail address, such as anna@example.org");
    }
    if !is_plain(&text) || !is_read_as_written(&text) {
        return wrong(
            "has letters that can be taken for others, such as full-width ones or capitals with accents; write it with \
             plain small letters",
        );
    }
    Ok(text)
}

fn is_local(local: &str) -> bool {
    !local.is_empty() && !local.contains(|letter: char| letter.is_whitespace() || r#"<>"(),;:[]\"#.contains(letter))
}

fn is_domain(domain: &str) -> bool {
    let is_of_a_name =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_') || !letter.is_ascii();
    domain.split('.').all(|label| !label.is_empty() && label.chars().all(is_of_a_name))
}

/// Returns whether the rules for domains (UTS 46) keep the domain as it is.
fn is_read_as_written(email: &str) -> bool {
    let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
    if domain.is_ascii() {
        return true;
    }
    let uts46 = Uts46::new();
    let is_one =
        uts46.to_ascii(domain.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow, idna::uts46::DnsLength::Ignore);
    is_one.is_ok() && readable(domain) == domain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_case_and_the_spelling_of_a_domain_are_one_address() {
        for (typed, spelled) in [
            (" Anna.B+x@Example.ORG ", "anna.b+x@example.org"),
            ("o'neil@home", "o'neil@home"),
            ("anna@xn--bcher-kva.example", "anna@bücher.example"),
            ("Anna@XN--BCHER-KVA.Example", "anna@bücher.example"),
            ("anna@bücher.example", "anna@bücher.example"),
            ("anna@xn--strae-oqa.example", "anna@straße.example"),
            ("anna@mail.xn--fiqs8s", "anna@mail.中国"),
            ("zoë@example.org", "zoë@example.org"),
            ("γιώργος@example.org", "γιώργος@example.org"),
        ] {
            assert_eq!(check(typed).unwrap(), spelled, "{typed:?}");
            assert_eq!(key(typed), key(spelled), "{typed:?}");
        }
    }

    #[test]
    fn what_folds_into_another_address_is_refused_and_has_its_key() {
        for (typed, other) in [
            ("bec\u{212a}@example.org", "beck@example.org"),
            ("beck@example.\u{212a}", "beck@example.k"),
            ("\u{212b}sa@example.org", "åsa@example.org"),
            ("a\u{30a}sa@example.org", "åsa@example.org"),
            ("\u{ff41}nna@example.org", "anna@example.org"),
            ("a\u{17f}k@example.org", "ask@example.org"),
            ("\u{fb01}nn@example.org", "finn@example.org"),
            ("anna@example\u{3002}org", "anna@example.org"),
            ("anna@bu\u{308}cher.example", "anna@xn--bcher-kva.example"),
            ("anna@B\u{dc}CHER.example", "anna@bücher.example"),
            ("ZO\u{cb}@example.org", "zoë@example.org"),
            ("\u{1d41a}nna@example.org", "anna@example.org"),
            ("anna\u{ff20}example.org", "anna@example.org"),
        ] {
            assert!(check(typed).is_err(), "{typed:?}");
            if !typed.contains('\u{3002}') {
                assert_eq!(key(typed), key(other), "{typed:?}");
            }
            assert_ne!(spelling(typed), spelling(other), "{typed:?}");
        }
        // Two addresses that may both exist, and that some programs take for one.
        for (one, other) in [("stra\u{df}e@a.org", "strasse@a.org"), ("\u{131}an@a.org", "ian@a.org")] {
            assert!(check(one).is_ok() && check(other).is_ok());
            assert_eq!(key(one), key(other));
        }
    }

    #[test]
    fn only_letters_that_nothing_else_becomes_are_put_into_lower_case() {
        assert_eq!(lower_case("\u{dc}mit ANNA \u{212a} \u{130} \u{1e9e}"), "\u{fc}mit anna \u{212a} \u{130} \u{1e9e}");
    }

    #[test]
    fn nonsense_is_no_address() {
        for wrong in [
            "",
            "anna",
            "@example.org",
            "anna@",
            "a b@example.org",
            "a@b\nc",
            "A <a@b.org>",
            "a@b,c@d",
            "@@x",
            "a@@x",
            "a@b@c",
            "olga@example.org.",
            "olga@.example.org",
            "olga@example..org",
            "ol\u{200d}ga@example.org",
            "olga\u{ad}@example.org",
            "olga@exam\u{200b}ple.org",
            "\u{3164}@example.org",
            "ol\u{202e}ga@example.org",
            "a@[127.0.0.1]",
            "MyP@ssw0rd!2026",
            "a\"b@example.org",
        ] {
            assert!(check(wrong).is_err(), "{wrong:?}");
        }
        assert!(check(&format!("{}@example.org", "x".repeat(250))).is_err());
    }
}
