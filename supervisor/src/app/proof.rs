//! Do people see the same after an upgrade as before it?
//!
//! Row counts do not tell: a row that is there and that nobody is shown is lost to a household. So the last good app and the new one say
//! what people see, on the same clone, before and after the migrations: docs/contracts/app-proof.json. Pure, but for reading it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::data::state::FORMAT;

/// The longest answer that is read, in bytes.
pub const LONGEST: usize = 256 << 10;

/// What an app says that people see.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Proof {
    format: u32,
    /// The version of the app.
    pub version: String,
    figures: Vec<Figure>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Figure {
    name: String,
    value: String,
    compare: Compare,
}

/// How two values of a figure are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Compare {
    /// They are the same text.
    Equal,
    /// They are numbers, and the later one is not smaller.
    Grow,
}

/// A difference that a release means, or that the operator has accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meant {
    /// The name of the figure, or what it begins with.
    pub figure: String,
    /// Why.
    pub reason: String,
}

impl Proof {
    /// Reads it.
    ///
    /// # Errors
    /// A sentence.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let proof: Self = serde_json::from_slice(bytes).map_err(|error| format!("it cannot be read: {error}"))?;
        match proof.format == FORMAT {
            true => Ok(proof),
            false => Err(format!("its format is {}, and this supervisor reads format {FORMAT}", proof.format)),
        }
    }

    /// How many figures there are.
    pub fn len(&self) -> usize {
        self.figures.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.figures.is_empty()
    }

    /// Returns what people no longer see as before, a sentence each. What only the later one says is new, and no difference.
    pub fn differences(&self, later: &Self, meant: &[Meant]) -> Vec<String> {
        let later: BTreeMap<_, _> = later.figures.iter().map(|figure| (figure.name.as_str(), figure)).collect();
        let differs = |before: &Figure| match later.get(before.name.as_str()) {
            None => Some(format!("{}: {} before, and not said after", before.name, before.value)),
            Some(after) if before.is_kept_in(after) => None,
            Some(after) => Some(format!("{}: {} before, {} after", before.name, before.value, after.value)),
        };
        // Whoever accepts one names the figure, or repeats what was said.
        let is_meant = |figure: &Figure, said: &str| {
            meant.iter().any(|meant| figure.name.starts_with(&meant.figure) || said == meant.figure)
        };
        let different = self.figures.iter().filter_map(|figure| Some((figure, differs(figure)?)));
        different.filter(|(figure, said)| !is_meant(figure, said)).map(|(_, said)| said).collect()
    }
}

impl Figure {
    /// Whether the later value is as it has to be. The earlier program says how that is: it is its people who are to see the same.
    fn is_kept_in(&self, later: &Self) -> bool {
        match self.compare {
            Compare::Equal => self.value == later.value,
            Compare::Grow => match (self.value.parse::<u64>(), later.value.parse::<u64>()) {
                (Ok(before), Ok(after)) => after >= before,
                _ => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(figures: &[(&str, &str, &str)]) -> Proof {
        let figures: Vec<_> = figures
            .iter()
            .map(|(name, value, compare)| serde_json::json!({"name": name, "value": value, "compare": compare}))
            .collect();
        Proof::read(serde_json::json!({"format": 1, "version": "0.8.0", "figures": figures}).to_string().as_bytes())
            .unwrap()
    }

    #[test]
    fn what_is_seen_is_equal_and_what_is_found_may_grow() {
        let before = proof(&[("sees", "12 ab", "equal"), ("finds", "4", "grow")]);
        for (after, differences) in [
            (proof(&[("sees", "12 ab", "equal"), ("finds", "4", "grow")]), vec![]),
            (proof(&[("sees", "12 ab", "equal"), ("finds", "5", "grow"), ("new", "1", "equal")]), vec![]),
            (proof(&[("sees", "12 ac", "equal"), ("finds", "4", "grow")]), vec!["sees: 12 ab before, 12 ac after"]),
            (proof(&[("sees", "12 ab", "equal"), ("finds", "3", "grow")]), vec!["finds: 4 before, 3 after"]),
            // The earlier one says how it is compared.
            (proof(&[("sees", "13 ab", "grow"), ("finds", "4", "grow")]), vec!["sees: 12 ab before, 13 ab after"]),
            (proof(&[("sees", "12 ab", "equal"), ("finds", "many", "grow")]), vec!["finds: 4 before, many after"]),
            (proof(&[("finds", "4", "grow")]), vec!["sees: 12 ab before, and not said after"]),
        ] {
            assert_eq!(before.differences(&after, &[]), differences);
        }
        let meant = [Meant { figure: "sees".into(), reason: "guests see less from now on".into() }];
        assert!(before.differences(&proof(&[("finds", "4", "grow")]), &meant).is_empty());
    }

    #[test]
    fn the_golden_answer_is_read_and_another_format_is_not() {
        let golden = include_bytes!("../../../docs/contracts/app-proof.json");
        let proof = Proof::read(golden).unwrap();
        assert!(!proof.is_empty() && proof.differences(&proof, &[]).is_empty());
        assert!(Proof::read(br#"{"format":2,"version":"9.0.0","figures":[]}"#).is_err());
    }
}
