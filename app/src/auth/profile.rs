//! What may somebody be called, and which text is an e-mail address?

use crate::http::FieldError;

pub(crate) const NAME_MAX: usize = 100;
/// RFC 5321, 4.5.3.1.3: a path has 256 octets with its brackets.
pub(crate) const EMAIL_MAX: usize = 254;

/// Somebody's name and e-mail, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) name: String,
    /// In lower case.
    pub(crate) email: String,
}

impl Profile {
    /// Returns the profile with its texts trimmed, or what is wrong with each field.
    pub(crate) fn check(name: &str, email: &str) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let name = label("name", name, &mut errors);
        let email = email_of(email);
        if let Err(error) = &email {
            errors.push(error.clone());
        }
        match email {
            Ok(email) if errors.is_empty() => Ok(Self { name, email }),
            _ => Err(errors),
        }
    }
}

/// Trims and checks a name: of a person, a token, a passkey.
pub(crate) fn label(field: &'static str, text: &str, errors: &mut Vec<FieldError>) -> String {
    let text = text.trim();
    if text.is_empty() {
        errors.push(FieldError::new(field, "must not be empty"));
    } else if text.chars().count() > NAME_MAX {
        errors.push(FieldError::new(field, format!("must be at most {NAME_MAX} characters long")));
    } else if text.contains(is_unseen) {
        errors.push(FieldError::new(field, "must be one line without control characters"));
    }
    text.to_owned()
}

/// Control characters, and those that turn the direction of the text around them: a name must not read as another.
fn is_unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Returns an e-mail address in lower case. Whether one exists is for nobody to say without sending to it; here it only
/// has to look like one.
pub(crate) fn email_of(text: &str) -> Result<String, FieldError> {
    let text = text.trim().to_lowercase();
    let wrong = |message: &str| Err(FieldError::new("email", message));
    if text.len() > EMAIL_MAX {
        return wrong("must be at most 254 characters long");
    }
    match text.rsplit_once('@') {
        Some((local, domain))
            if !local.is_empty()
                && !domain.is_empty()
                && !text.contains(|letter: char| {
                    letter.is_whitespace() || is_unseen(letter) || matches!(letter, '<' | '>' | '"' | ',' | ';')
                }) =>
        {
            Ok(text)
        }
        _ => wrong("must be an e-mail address, such as anna@example.org"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_is_taken_in_lower_case_and_nonsense_is_not() {
        assert_eq!(email_of(" Anna.B+x@Example.ORG ").unwrap(), "anna.b+x@example.org");
        assert_eq!(email_of("o'neil@home").unwrap(), "o'neil@home");
        for wrong in ["", "anna", "@example.org", "anna@", "a b@example.org", "a@b\nc", "A <a@b.org>", "a@b,c@d"] {
            assert!(email_of(wrong).is_err(), "{wrong:?}");
        }
        assert!(email_of(&format!("{}@example.org", "x".repeat(250))).is_err());
    }

    #[test]
    fn a_name_cannot_read_as_another() {
        assert_eq!(Profile::check(" Anna 猫 ", "a@b").unwrap().name, "Anna 猫");
        for wrong in ["", " ", "a\nb", "a\u{202e}b", "a\u{200b}", &"x".repeat(101)] {
            assert!(Profile::check(wrong, "a@b").is_err(), "{wrong:?}");
        }
    }
}
