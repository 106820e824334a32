//! Does Hearth keep what restic keeps?
//!
//! The histories and restic's answers are in retention/recorded.json; retention/record.py made them, with restic itself.

use std::{collections::BTreeMap, fs, path::Path};

use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;
use supervisor::{
    data::backup::{BackupId, Reason},
    work::backup::retention::{Candidate, Policy, decide},
};

#[derive(Deserialize)]
struct Recorded {
    restic: String,
    histories: Vec<History>,
}

#[derive(Deserialize)]
struct History {
    zone: String,
    /// When and why each was made, oldest first.
    backups: Vec<(String, Reason)>,
    answers: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    /// Last, daily, weekly, monthly, yearly.
    policy: [u32; 5],
    /// The places of what is kept, with the first letters of the rules that keep it.
    kept: BTreeMap<usize, String>,
}

#[test]
fn what_is_kept_and_why_is_what_restic_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/retention/recorded.json");
    let recorded: Recorded = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(recorded.restic, "0.14.0");
    assert!(recorded.histories.len() >= 10);
    for history in &recorded.histories {
        let zone = TimeZone::get(&history.zone).unwrap();
        let candidate = |(sequence, (at, reason)): (u64, &(String, Reason))| {
            let at: Timestamp = at.parse().unwrap();
            Candidate {
                id: BackupId::new(at.into(), *reason),
                sequence,
                reason: *reason,
                at,
                sound: true,
                labelled: false,
            }
        };
        let candidates: Vec<Candidate> = (0..).zip(&history.backups).map(candidate).collect();
        let now = "2100-01-01T00:00:00Z".parse().unwrap();
        for answer in &history.answers {
            let [last, daily, weekly, monthly, yearly] = answer.policy;
            let policy = Policy { last, daily, weekly, monthly, yearly };
            let mut kept = BTreeMap::new();
            for verdict in decide(&candidates, &policy, now, &zone) {
                let place = candidates.iter().position(|candidate| candidate.id == verdict.id).unwrap();
                // The last verified one is kept by a rule of Hearth's own, besides.
                let rules = verdict.kept.iter().filter(|reason| *reason != "last verified backup");
                let letters: String = rules.filter_map(|reason| reason.chars().next()).collect();
                if !letters.is_empty() {
                    kept.insert(place, letters);
                }
            }
            assert_eq!(kept, answer.kept, "{}, {:?}, {policy:?}", history.zone, history.backups.first());
        }
    }
}
