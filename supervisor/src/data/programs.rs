//! Which programs are kept to serve on when a newer one fails?
//!
//! The app of the last good version and the one on trial, each as `programs/<BLAKE3>`, and `supervisor/programs.json`, which says what
//! each is. The app's sandbox reaches neither; without one only a program that the image knows is started.

use std::{fs, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{DataDir, GenerationId, durable, state};
use crate::failure::Failure;

/// `supervisor/programs.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPrograms {
    /// [`state::FORMAT`].
    pub format: u32,
    /// The app of the last version that served for an hour in good health.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<KeptProgram>,
    /// The app that has served, but not for so long yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<KeptProgram>,
    /// What served last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<Served>,
}

/// A program that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptProgram {
    /// BLAKE3 of the program, hexadecimal; the name of its file.
    pub blake3: String,
    /// Its length.
    pub bytes: u64,
    /// When it was kept.
    pub kept_at: String,
    /// What it said of itself.
    pub contract: Contract,
}

/// What an app says of itself: docs/contracts/app-contract.json, by `app contract --json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// Its version.
    pub version: String,
    /// The settings that it reads.
    #[serde(default)]
    pub settings: Vec<KnownSetting>,
    /// The names of the sockets that it knows.
    #[serde(default)]
    pub sockets: Vec<String>,
    /// The format of what it answers to `GET /proof`, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<u32>,
    /// Which rules of `HEARTH_FALLBACK` it keeps, if it knows the variable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<u32>,
}

/// A setting that an app reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownSetting {
    /// The variable.
    pub name: String,
    /// Its words, where it has a fixed choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<String>>,
}

/// What tells an attempt from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The identity of the image.
    pub image: String,
    /// BLAKE3 of the app, hexadecimal; empty if there is none.
    pub app: String,
    /// The fingerprint of the settings; `None` where there is no token to key it with.
    pub settings: Option<String>,
}

/// What served last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// Which generation.
    pub generation: GenerationId,
    /// BLAKE3 of the app.
    pub blake3: String,
    /// Its version.
    pub version: String,
    /// Length and time of modification of the image's file, by which the same one is known without being read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<String>,
}

impl Contract {
    /// Whether the app takes this setting with this text.
    pub fn takes(&self, variable: &str, text: &str) -> bool {
        let known = self.settings.iter().find(|setting| setting.name == variable);
        known.is_some_and(|setting| setting.values.as_ref().is_none_or(|words| words.iter().any(|word| word == text)))
    }
}

impl Default for KeptPrograms {
    fn default() -> Self {
        Self { format: state::FORMAT, good: None, trial: None, served: None }
    }
}

impl KeptPrograms {
    /// Returns the programs that have a file.
    pub fn programs(&self) -> impl Iterator<Item = &KeptProgram> {
        self.good.iter().chain(&self.trial)
    }
}

impl DataDir {
    /// Returns the file of a kept program.
    pub fn kept_program(&self, blake3: &str) -> PathBuf {
        self.programs().join(blake3)
    }
}

/// Reads `supervisor/programs.json`; none when there is none.
///
/// # Errors
/// As [`state::read`]: of another format, or damaged.
pub fn read(data: &DataDir) -> Result<KeptPrograms, Failure> {
    Ok(state::read(&data.kept_programs())?.unwrap_or_default())
}

/// Returns the files of programs that the document does not name, and what a killed job left.
pub fn unnamed(data: &DataDir, programs: &KeptPrograms) -> Vec<PathBuf> {
    let names = fs::read_dir(data.programs()).into_iter().flatten().flatten();
    let is_left = |name: &str| {
        let is_named = programs.programs().any(|kept| kept.blake3 == name);
        (is_name(name) && !is_named) || durable::is_unfinished(name)
    };
    let left = names.filter(|entry| entry.file_name().to_str().is_some_and(is_left));
    left.map(|entry| entry.path()).collect()
}

/// Whether this is the name of a program's file.
pub fn is_name(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_golden_contract_is_read_and_says_what_the_app_takes() {
        let contract: Contract =
            serde_json::from_str(include_str!("../../../docs/contracts/app-contract.json")).unwrap();
        assert!(
            contract.takes("HEARTH_AUTH__TAILSCALE", "serve") && !contract.takes("HEARTH_AUTH__TAILSCALE", "magic")
        );
        assert!(contract.takes("HEARTH_HTTP__PUBLIC_URL", "https://hearth.example"));
        assert!(!contract.takes("HEARTH_OF__LATER", "1"));
        assert_eq!((contract.proof, contract.fallback), (Some(1), Some(1)));
    }

    #[test]
    fn the_golden_document_is_read_and_written_back() {
        let golden = include_str!("../../../docs/contracts/programs.json");
        let read: KeptPrograms = serde_json::from_str(golden).unwrap();
        let back: serde_json::Value = serde_json::to_value(&read).unwrap();
        assert_eq!(back, serde_json::from_str::<serde_json::Value>(golden).unwrap());
    }
}
