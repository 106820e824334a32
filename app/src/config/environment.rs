//! How is a variable of the environment read, and is it a misspelt setting?

use std::ffi::OsString;

use crate::failure::Failure;

/// Returns what a variable says; one that is blank says nothing.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.to_string_lossy().trim().is_empty())
}

/// Says which variables are misspellings of known ones: other separators, or a letter or two too many, missing or changed.
pub(super) fn misspelt(known: &[String]) -> Vec<Failure> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names
        .filter_map(|name| {
            let near = near_miss(&name, known)?;
            let failure = Failure::new(format!("there is no setting {name} (in the environment)"));
            Some(failure.hint(format!("did you mean {near}?")))
        })
        .collect()
}

fn near_miss<'a>(name: &str, known: &'a [String]) -> Option<&'a String> {
    if !name.starts_with("HEARTH_") || known.iter().any(|known| known == name) {
        return None;
    }
    // So Kubernetes and `docker --link` describe a service to those that may want it.
    if name.contains("_SERVICE_") || variable(name)?.to_string_lossy().contains("://") {
        return None;
    }
    let letters = |name: &str| -> String {
        name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_uppercase).collect()
    };
    let word = letters(name);
    known.iter().find(|known| {
        let known = letters(known);
        strsim::osa_distance(&word, &known) <= ((known.len() - "HEARTH".len()) / 6).max(1)
    })
}
