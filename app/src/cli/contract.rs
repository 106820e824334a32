//! What may a supervisor of another version pass to this program?
//!
//! A program that is kept and serves again after a failed upgrade is started by a newer supervisor, which speaks to it in its own contract:
//! it passes only the settings, words and sockets that are named here (docs/contracts/app-contract.json).

use serde::Serialize;

use crate::{
    config::{self, Known},
    fault,
    http::SOCKETS,
};

/// The document.
#[derive(Debug, Serialize)]
pub(super) struct Contract {
    format: u32,
    version: &'static str,
    settings: Vec<Known>,
    sockets: [&'static str; SOCKETS.len()],
    /// The format of `GET /proof`.
    proof: u32,
    /// The format of what `HEARTH_FALLBACK=1` asks for.
    fallback: u32,
}

impl Contract {
    /// Returns the contract of this version.
    pub(super) fn own() -> Self {
        Self {
            format: 1,
            version: env!("CARGO_PKG_VERSION"),
            settings: known(),
            sockets: SOCKETS,
            proof: 1,
            fallback: 1,
        }
    }

    /// Returns it for people: a setting on each line, with the words that it may be.
    pub(super) fn to_text(&self) -> String {
        let settings = self.settings.iter().map(|setting| match setting.values() {
            Some(words) => format!("{} = {}\n", setting.name(), words.join(", ")),
            None => format!("{}\n", setting.name()),
        });
        format!("{}sockets: {}", settings.collect::<String>(), self.sockets.join(", "))
    }
}

/// Returns the settings of this version; for a test, those of one in which `http.hosts` has another name.
fn known() -> Vec<Known> {
    let mut known = config::known();
    if fault::is_planned("app.other-hosts") {
        known.retain(|setting| setting.name() != "HEARTH_HTTP__HOSTS");
    }
    known
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_contract_is_the_golden_file_but_for_the_version() {
        let mut golden: Value =
            serde_json::from_str(include_str!("../../../docs/contracts/app-contract.json")).unwrap();
        golden["version"] = env!("CARGO_PKG_VERSION").into();
        let own = serde_json::to_value(Contract::own()).unwrap();
        assert_eq!(
            serde_json::to_string_pretty(&own).unwrap(),
            serde_json::to_string_pretty(&golden).unwrap(),
            "if that is meant, bring docs/contracts/app-contract.json up to date"
        );
    }
}
