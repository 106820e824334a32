//! What does the maintenance page say in each phase?

use serde::{Deserialize, Serialize};

use crate::{
    data::state::{DataState, WayOut},
    failure::Failure,
    status::{Health, Progress, Status},
};

/// What the supervisor wants to be shown; it arrives as a JSON line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The heading: "Hearth is being upgraded".
    pub title: String,
    /// What it means for who reads it, in a sentence or two.
    pub sentence: String,
    /// Further sentences, each a paragraph.
    pub detail: Vec<String>,
    /// The steps there are, in their order; none when there is nothing to count.
    pub steps: Vec<Step>,
    /// How far the present step is.
    pub progress: Option<Progress>,
    /// What went wrong.
    pub failure: Option<Failure>,
    /// The commands that lead out.
    pub ways_out: Vec<WayOut>,
    /// When to ask again: `Retry-After`, and when the page reloads.
    pub retry_after_seconds: u32,
    /// The supervisor's version.
    pub version: String,
    /// The name of the phase, as in `supervisor status`.
    pub phase: String,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What is done in it.
    pub name: String,
    /// How it is with it.
    pub state: StepState,
}

/// How it is with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// It is done.
    Done,
    /// It is being done.
    Now,
    /// It is yet to come.
    Todo,
}

impl Default for Notice {
    /// What is shown before the supervisor has said anything.
    fn default() -> Self {
        Self {
            title: "Hearth is starting".to_owned(),
            sentence: "This page becomes Hearth by itself when it is ready.".to_owned(),
            detail: Vec::new(),
            steps: Vec::new(),
            progress: None,
            failure: None,
            ways_out: Vec::new(),
            retry_after_seconds: 5,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            phase: "starting".to_owned(),
        }
    }
}

/// The steps to a new generation as people read them, each with the phases that are it.
const STEPS: [(&str, &[&str]); 5] = [
    ("Check the data", &["starting", "recovering", "planning"]),
    ("Copy it", &["staging"]),
    ("Bring the copy up to date", &["migrating"]),
    ("Try the copy out", &["proving"]),
    ("Start", &["committing", "restarting"]),
];

/// Returns the notice for this status.
pub fn notice(status: &Status) -> Notice {
    let (title, sentence) = match (status.health, status.phase.as_str()) {
        (Health::Held, _) => (
            "Hearth is waiting for its operator",
            match status.held.as_ref().and_then(|held| held.data) {
                Some(DataState::Unknown) => {
                    "Something went wrong. Nothing was removed, but which state of the data is in use is not known yet. Whoever runs this server can put it right with the commands below."
                }
                Some(DataState::Written) => {
                    "Something went wrong, and nothing was lost: all that was written is there. Whoever runs this server can put it right with the commands below."
                }
                Some(DataState::Unchanged) | None => {
                    "Something went wrong, and nothing was lost: the data is as it was. Whoever runs this server can put it right with the commands below."
                }
            },
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
