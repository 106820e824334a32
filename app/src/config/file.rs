//! What does the operator's file say of how Hearth is reached?
//!
//! The supervisor reads `config.toml` and hands its settings down to `app serve`. The commands for the operator run without
//! it, and need from the file where links begin.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{PublicUrl, environment::variable};
use crate::failure::Failure;

const FILE: &str = "config.toml";
const PUBLIC_URL: &str = "HEARTH_HTTP__PUBLIC_URL";

/// Returns `http.public_url`: that of the environment, else that of the file that `HEARTH_CONFIG` names, or of the data
/// directory's.
///
/// # Errors
///
/// Names what cannot be used.
pub(crate) fn public_url(data_dir: Option<&Path>) -> Result<Option<PublicUrl>, Failure> {
    let (text, source) = match variable(PUBLIC_URL).map(|text| text.to_string_lossy().into_owned()) {
        Some(text) => (text, PUBLIC_URL.to_owned()),
        None => {
            let named = variable("HEARTH_CONFIG").map(PathBuf::from);
            let Some(path) = named.clone().or_else(|| Some(data_dir?.join(FILE))) else { return Ok(None) };
            match in_file(&path, named.is_some())? {
                Some(text) => (text, path.display().to_string()),
                None => return Ok(None),
            }
        }
    };
    text.trim().parse().map(Some).map_err(|why| {
        Failure::new(format!("http.public_url = {text:?} (from {source}) cannot be used: {why}"))
            .hint(format!("allowed: {}", super::settings::allowed("http.public_url")))
    })
}

fn in_file(path: &Path, is_named: bool) -> Result<Option<String>, Failure> {
    let unusable = |why: String| {
        Failure::new(format!("{} cannot be read: {why}", path.display()))
            .hint("nothing was changed; `supervisor config` shows all mistakes in the file")
    };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !is_named => return Ok(None),
        Err(error) => return Err(unusable(error.to_string())),
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let settings: toml::Table = text.parse().map_err(|error: toml::de::Error| unusable(error.to_string()))?;
    match settings.get("http").and_then(|http| http.get("public_url")) {
        None => Ok(None),
        Some(toml::Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.trim().is_empty())),
        Some(other) => {
            Err(unusable(format!("http.public_url has the type {}, but it must be a string", other.type_str())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_where_links_begin() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        assert_eq!(in_file(&path, false).unwrap(), None);
        assert!(in_file(&path, true).unwrap_err().message.contains("cannot be read"));
        for (text, found) in [
            ("", None),
            ("[http]\nhosts = [\"a\"]", None),
            ("[http]\npublic_url = \" \"", None),
            ("[http]\npublic_url = \"https://hearth.example.org\"", Some("https://hearth.example.org")),
            ("http.public_url = 'https://hearth.example.org'", Some("https://hearth.example.org")),
            (
                "\u{feff}http = { public_url = \"https://a.example\" }\n[stop]\ngrace = \"9s\"",
                Some("https://a.example"),
            ),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(in_file(&path, false).unwrap().as_deref(), found, "{text}");
        }
        for text in ["[http", "[http]\npublic_url = 3", "http = 3\nhttp = 4"] {
            fs::write(&path, text).unwrap();
            assert!(in_file(&path, false).unwrap_err().message.contains(FILE), "{text}");
        }
    }
}
