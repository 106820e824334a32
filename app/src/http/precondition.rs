//! Has what a client read changed since?
//!
//! Each record has a version, whose number in quotation marks is its entity tag (RFC 9110, 8.8.3). A client that sends the tag
//! back in `If-Match` changes nothing that somebody else has changed meanwhile.

use super::problem::{FieldError, Problem};
use poem::http::StatusCode;

/// Returns the entity tag of a version.
pub(crate) fn entity_tag(version: i64) -> String {
    format!("\"{version}\"")
}

/// The versions that a change is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// Whatever is there.
    Any,
    /// One of these. Empty: none, since weak tags never match.
    OneOf(Vec<String>),
}

impl Precondition {
    /// Returns the precondition of a form that shows this version.
    pub(crate) fn version(version: i64) -> Self {
        Self::OneOf(vec![entity_tag(version)])
    }

    /// Reads `If-Match`; without one, whatever is there may be changed.
    pub(crate) fn if_match(header: Option<&str>) -> Result<Self, Problem> {
        let Some(header) = header else { return Ok(Self::Any) };
        let tags = Tags::read("If-Match", header)?;
        Ok(match tags {
            Tags::Any => Self::Any,
            Tags::Each(tags) => Self::OneOf(tags.into_iter().filter(|tag| !tag.starts_with("W/")).collect()),
        })
    }

    /// Checks the version that is there now, within the transaction that changes it.
    pub(crate) fn check(&self, version: i64) -> Result<(), Problem> {
        match self {
            Self::OneOf(tags) if !tags.contains(&entity_tag(version)) => {
                Err(Problem::new(StatusCode::PRECONDITION_FAILED).detail(format!(
                    "The record was changed since it was read and is now at version {version}. Nothing was saved."
                )))
            }
            _ => Ok(()),
        }
    }
}

/// Returns whether a client that sends this `If-None-Match` has the version already. Weak tags count here.
pub(crate) fn has_already(header: Option<&str>, version: i64) -> Result<bool, Problem> {
    has_tag(header, &entity_tag(version))
}

/// Returns whether a client that sends this `If-None-Match` has what this entity tag is of.
pub(crate) fn has_tag(header: Option<&str>, tag: &str) -> Result<bool, Problem> {
    let Some(header) = header else { return Ok(false) };
    Ok(match Tags::read("If-None-Match", header)? {
        Tags::Any => true,
        Tags::Each(tags) => tags.iter().any(|known| known.strip_prefix("W/").unwrap_or(known) == tag),
    })
}

enum Tags {
    Any,
    Each(Vec<String>),
}

impl Tags {
    fn read(name: &str, header: &str) -> Result<Self, Problem> {
        if header.trim() == "*" {
            return Ok(Self::Any);
        }
        let wrong = || {
            Problem::fields(vec![FieldError::new(
                name,
                "must be `*` or entity tags such as \"7\", separated by commas",
            )])
        };
        let (mut tags, mut rest) = (Vec::new(), header);
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                break;
            }
            let opaque = rest.strip_prefix("W/").unwrap_or(rest);
            let inner = opaque.strip_prefix('"').ok_or_else(wrong)?;
            let end = inner.find('"').ok_or_else(wrong)?;
            let length = rest.len() - inner.len() + end + 1;
            tags.push(rest.get(..length).ok_or_else(wrong)?.to_owned());
            rest = rest.get(length..).ok_or_else(wrong)?.trim_start();
            if !rest.is_empty() && !rest.starts_with(',') {
                return Err(wrong());
            }
        }
        if tags.is_empty() { Err(wrong()) } else { Ok(Self::Each(tags)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_for_one_of_the_tags_and_weak_ones_never_match() {
        for (header, is_for) in [
            (None, true),
            (Some("*"), true),
            (Some("\"7\""), true),
            (Some("\"6\", \"7\""), true),
            (Some(",\"a,b\" ,\"7\","), true),
            (Some("\"6\""), false),
            (Some("W/\"7\""), false),
            (Some("\"07\""), false),
            (Some("\"\""), false),
        ] {
            assert_eq!(Precondition::if_match(header).unwrap().check(7).is_ok(), is_for, "{header:?}");
        }
        assert!(has_already(Some("\"6\", W/\"7\""), 7).unwrap() && has_already(Some("*"), 7).unwrap());
        assert!(!has_already(Some("\"6\""), 7).unwrap() && !has_already(None, 7).unwrap());
        for header in ["", "7", "\"7", "\"7\" \"8\"", "w/\"7\"", "\"7\";", "é"] {
            assert!(Precondition::if_match(Some(header)).is_err(), "{header}");
        }
    }
}
