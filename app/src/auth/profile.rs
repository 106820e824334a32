//! What may somebody be called, and which text is an e-mail address?

use super::email;
pub(crate) use super::email::EMAIL_MAX;
use crate::http::{FieldError, filled_line};

pub(crate) const NAME_MAX: usize = 100;

/// Somebody's name and e-mail, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) name: String,
    /// In its one spelling.
    pub(crate) email: String,
}

impl Profile {
    /// Returns the profile with its texts trimmed, or what is wrong with each field.
    pub(crate) fn check(name: &str, email: &str) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let name = label("name", name, &mut errors);
        let email = email::check(email);
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
    filled_line(field, text, NAME_MAX, errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_read_as_another() {
        assert_eq!(Profile::check(" Anna 猫 ", "a@b").unwrap().name, "Anna 猫");
        for wrong in ["", " ", "a\nb", "a\u{202e}b", "a\u{200b}", &"x".repeat(101)] {
            assert!(Profile::check(wrong, "a@b").is_err(), "{wrong:?}");
        }
    }
}
