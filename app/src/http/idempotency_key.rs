//! By what does a client know a request again that it sends once more?
//!
//! By the header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header). There it is a structured field's string, in
//! quotation marks; many clients send it bare, which is the same key.

use poem_openapi::{
    registry::MetaSchema,
    types::{ParseError, ParseResult},
};

use super::parameter::optional_parameter;

/// The key of a request, if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

impl IdempotencyKey {
    /// What the API's document says of it, so that whatever fits the document is taken.
    const PATTERN: &str = r#"^([!#-\[\]-~]{1,255}|"[!#-\[\]-~]{1,255}")$"#;
    const LONGEST: usize = 255;

    fn read(header: &str) -> ParseResult<Self> {
        let key = header.strip_prefix('"').map_or(Some(header), |rest| rest.strip_suffix('"'));
        let is_fit = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        let key = key.filter(|key| (1..=Self::LONGEST).contains(&key.len()) && key.bytes().all(is_fit));
        key.map(|key| Self(Some(key.to_owned()))).ok_or_else(|| ParseError::custom("it is no key"))
    }
}

optional_parameter!(
    IdempotencyKey,
    "string(idempotency-key)",
    MetaSchema { pattern: Some(Self::PATTERN.to_owned()), ..MetaSchema::new_with_format("string", "idempotency-key") },
    Self(None)
);

#[cfg(test)]
mod tests {
    use poem_openapi::types::ParseFromParameter;

    use super::*;

    #[test]
    fn a_key_is_the_same_bare_and_in_quotation_marks() {
        let read = |header: &str| IdempotencyKey::parse_from_parameter(header).ok().and_then(|key| key.0);
        let longest = "x".repeat(255);
        for key in ["8e03978e-40d5-43dd-bc93-6894a57f9324", "a", "!#$%&'()*+,-./:;<=>?@[]^_`{|}~", &longest] {
            assert_eq!(read(key).as_deref(), Some(key));
            assert_eq!(read(&format!("\"{key}\"")).as_deref(), Some(key));
        }
        let too_long = "x".repeat(256);
        for header in [
            "",
            "\"",
            "\"\"",
            "\"a",
            "a\"",
            "a\"b",
            "a\\b",
            "a b",
            "a, b",
            " a",
            "\"a\", \"b\"",
            "\"a\";x=1",
            "\u{e9}",
            "\u{fffd}",
            "a\tb",
            "\u{7f}",
            &too_long,
            &format!("\"{too_long}\""),
        ] {
            assert_eq!(read(header), None, "{header}");
        }
    }
}
