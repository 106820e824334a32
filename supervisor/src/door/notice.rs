//! What does the maintenance page say in each phase?

use super::page::{Notice, Step, StepState};
use crate::{
    data::state::WayOut,
    status::{Health, Status},
};

/// The steps to a new generation as people read them, each with the phases that are it.
const STEPS: [(&str, &[&str]); 5] = [
    ("Check the data", &["starting", "recovering", "planning"]),
    ("Copy it", &["staging"]),
    ("Bring the copy up to date", &["migrating"]),
    ("Try the copy out", &["proving"]),
    ("Start", &["committing", "restarting"]),
];

/// Returns the notice for this status.
#[must_use]
pub fn notice(status: &Status) -> Notice {
    let (title, sentence) = match (status.health, status.phase.as_str()) {
        (Health::Held, _) => (
            "Hearth is waiting for its operator",
            "Something went wrong, and nothing was lost: the data is as it was. Whoever runs this server can put it right with the commands below.",
        ),
        (_, "staging" | "migrating" | "proving" | "committing") => (
            "Hearth is being upgraded",
            "The work is done on a copy, so nothing can get lost. This page becomes Hearth by itself when it is ready.",
        ),
        (_, "stopping") => ("Hearth is stopping", "It is being shut down or restarted."),
        _ => ("Hearth is starting", "This page becomes Hearth by itself when it is ready."),
    };
    let held = status.health == Health::Held;
    let now = STEPS.iter().position(|(_, phases)| phases.contains(&status.phase.as_str()));
    let steps = match now {
        Some(now) if !held && status.next.is_some() => STEPS
            .iter()
            .enumerate()
            .map(|(index, (name, _))| Step {
                name: (*name).to_owned(),
                state: match index.cmp(&now) {
                    std::cmp::Ordering::Less => StepState::Done,
                    std::cmp::Ordering::Equal => StepState::Now,
                    std::cmp::Ordering::Greater => StepState::Todo,
                },
            })
            .collect(),
        _ => Vec::new(),
    };
    let held = status.held.as_ref();
    Notice {
        title: title.to_owned(),
        sentence: sentence.to_owned(),
        detail: held.map(|held| format!("This happened while {}.", held.doing)).into_iter().collect(),
        steps,
        progress: status.progress,
        failure: held.map(|held| held.failure.clone()),
        ways_out: held.iter().flat_map(|held| &held.ways_out).map(WayOut::on_the_machine).collect(),
        retry_after_seconds: if held.is_some() { 60 } else { 5 },
        version: status.version.clone(),
        phase: status.phase.clone(),
    }
}
