//! What is pending on the live database?
//!
//! [`ask`] runs `migrator status --json`; [`plan`] decides, purely, what follows from its answer.

use std::path::Path;

use semver::Version;
use serde::Deserialize;

use super::migrate;
use crate::{
    app::proof::Meant,
    data::{GenerationId, view::View},
    failure::{Cause, Failure},
    instance::Instance,
    status::VERSION,
};

/// The migrator's answer: docs/contracts/migrator-status.json.
#[derive(Clone, Debug, Deserialize)]
pub struct Status {
    /// The migrator's version.
    pub version: Option<String>,
    /// What has been applied, in order.
    pub applied: Vec<Applied>,
    /// What this migrator has and the database does not.
    pub pending: Vec<String>,
    /// What the database has and this migrator does not know.
    pub unknown: Vec<Applied>,
    /// Where the schema is not what the ledger says, a sentence each.
    pub drift: Vec<String>,
    /// The lowest version whose app may serve the database; no migrator before 0.6.0 kept it.
    #[serde(default)]
    pub floor: Option<String>,
    /// Why this version does not upgrade from the one that upgraded the database last: it names the one to go through.
    #[serde(default)]
    pub stop: Option<String>,
    /// The differences in what people see that this release means.
    #[serde(default)]
    pub differences: Vec<Meant>,
}

impl Status {
    /// Returns the names of all migrations that were applied.
    pub fn all_applied(&self) -> Vec<&str> {
        self.applied.iter().chain(&self.unknown).map(|migration| migration.name.as_str()).collect()
    }

    /// Whether an app of this version may serve the database.
    pub fn is_served_by(&self, version: &str) -> bool {
        reaches(version, self.floor.as_deref())
    }
}

/// Whether a version is at a floor or above it. What is no version reaches none; without a floor every one does.
pub fn reaches(version: &str, floor: Option<&str>) -> bool {
    let Some(floor) = floor.and_then(|floor| Version::parse(floor).ok()) else { return true };
    Version::parse(version).is_ok_and(|version| version.cmp_precedence(&floor).is_ge())
}

/// A migration that was applied.
#[derive(Clone, Debug, Deserialize)]
pub struct Applied {
    /// Its name.
    pub name: String,
    /// The version that applied it.
    pub version: Option<String>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Start the app; and warn of this drift.
    Nothing {
        /// A sentence each.
        drift: Vec<String>,
    },
    /// Make a new generation.
    Upgrade {
        /// How many migrations are pending.
        count: usize,
    },
    /// A newer version has migrated it. Where this one's app may still serve it (`is_served`), it may; else this is why not.
    Newer {
        /// Whether this version's app may serve it.
        is_served: bool,
        /// Why not, if it may not.
        failure: Failure,
    },
    /// Hold.
    Refuse(Failure),
}

/// Asks the migrator; with `unclean`, the database is checked for damage as well.
///
/// # Errors
/// The migrator's own sentence, or why it gave none.
pub async fn ask(instance: &Instance, generation: GenerationId, unclean: bool) -> Result<Status, Failure> {
    ask_of(instance, &instance.data.database(generation), unclean).await
}

/// As [`ask`], of a database anywhere.
pub async fn ask_of(instance: &Instance, database: &Path, unclean: bool) -> Result<Status, Failure> {
    let mut words = vec!["status", "--json"];
    if unclean {
        tracing::info!(target: "Supervisor", "the database was not closed cleanly; checking it");
        words.push("--quick-check");
    }
    let mut status = None;
    let exit = migrate::run(instance, database, &words, false, |line| {
        status = Some(migrate::read::<Status>(line)?);
        Ok(())
    })
    .await?;
    let Some(status) = status else {
        return Err(Failure::new(Cause::Interrupted, format!("the migrator {exit} before it said what is pending")));
    };
    migrate::is_of_this_version(instance, status.version.as_deref())?;
    Ok(status)
}

/// Decides what follows, in spite of the findings that the operator has accepted.
pub fn plan(status: &Status, view: &View, live: GenerationId, accepted: &[String]) -> Plan {
    if let Some(newest) = status.unknown.last() {
        // A branch of its own, where each has what the other lacks, is served by neither.
        let is_served = status.pending.is_empty() && status.floor.is_some() && status.is_served_by(VERSION);
        return Plan::Newer { is_served, failure: newer(newest, view, live) };
    }
    if status.pending.is_empty() {
        return Plan::Nothing { drift: status.drift.clone() };
    }
    if let Some(stop) = &status.stop {
        return Plan::Refuse(
            Failure::new(Cause::Drift, stop)
                .hint("the version that served the database last still serves it; nothing was changed"),
        );
    }
    let drift: Vec<_> = status.drift.iter().filter(|finding| !accepted.contains(finding)).collect();
    if let Some(first) = drift.first() {
        let more = match drift.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        return Plan::Refuse(
            Failure::new(Cause::Drift, format!("the database cannot be upgraded because its schema was changed by hand: {first}{more}"))
                .hint("put the schema back as it was, or restore a snapshot from before (supervisor snapshot list); the version that served it last still serves it. To upgrade in spite of it: supervisor resume --accept '<the finding>'"),
        );
    }
    Plan::Upgrade { count: status.pending.len() }
}

/// The database is newer than this image: forward is the way, or back to the snapshot that the upgrade left.
fn newer(newest: &Applied, view: &View, live: GenerationId) -> Failure {
    let by = newest.version.as_deref().unwrap_or("unknown");
    let description = |id: GenerationId| {
        view.generations
            .iter()
            .find(|generation| generation.id == id)
            .and_then(|generation| generation.description.clone())
    };
    // Back along the line of clones to the first that this version may still know.
    let mut at = description(live);
    let mut back = None;
    let mut younger = live;
    // A clone has a higher number than its source; anything else is not ours, and would lead in circles.
    while let Some(source) = at.and_then(|here| here.source).filter(|source| *source < younger) {
        younger = source;
        at = description(source);
        let usable = view.snapshots().any(|snapshot| snapshot.id == source);
        let older = at.as_ref().is_some_and(|here| newest.version.as_deref() != Some(here.version.as_str()));
        if usable && older {
            back = Some(source);
            break;
        }
    }
    let hint = match back {
        Some(snapshot) => format!(
            "start v{by} or newer; or go back to the data from before that upgrade, without what was written since, with: supervisor restore {snapshot}"
        ),
        None => format!("start v{by} or newer"),
    };
    Failure::new(Cause::Newer, format!("the database was last upgraded by v{by}, and this is v{VERSION}")).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::view::Live;

    fn view() -> View {
        View {
            live: Live::Generation(GenerationId(7)),
            generations: Vec::new(),
            backups: false,
            files: false,
            misplaced: None,
            state: None,
            state_trouble: None,
            trouble: Vec::new(),
            reindex: false,
        }
    }

    fn status(pending: &[&str], unknown: &[(&str, &str)], drift: &[&str]) -> Status {
        Status {
            version: None,
            applied: Vec::new(),
            pending: pending.iter().map(|name| (*name).to_owned()).collect(),
            unknown: unknown
                .iter()
                .map(|(name, version)| Applied { name: (*name).to_owned(), version: Some((*version).to_owned()) })
                .collect(),
            drift: drift.iter().map(|text| (*text).to_owned()).collect(),
            floor: None,
            stop: None,
            differences: Vec::new(),
        }
    }

    fn plan(status: &Status) -> Plan {
        super::plan(status, &view(), GenerationId(7), &[])
    }

    #[test]
    fn the_golden_answer_is_read() {
        let golden = include_str!("../../../docs/contracts/migrator-status.json");
        let status: Status = serde_json::from_str(golden).unwrap();
        let Plan::Newer { failure, .. } = plan(&status) else { panic!("a newer database must be refused") };
        assert_eq!(failure.cause, Cause::Newer);
        assert!(failure.message.starts_with("the database was last upgraded by v0.6.0, and this is v"), "{failure}");
    }

    #[test]
    fn a_newer_database_is_served_from_its_floor_on_and_where_there_is_none_by_nobody_older() {
        for (pending, floor, served) in [
            (&[][..], Some(VERSION), true),
            (&[], Some("0.0.1"), true),
            (&[], Some("99.0.0"), false),
            (&[], None, false),
            (&["m2"], Some("0.0.1"), false),
        ] {
            let status = Status { floor: floor.map(Into::into), ..status(pending, &[("m9", "99.0.0")], &[]) };
            assert!(matches!(plan(&status), Plan::Newer { is_served, .. } if is_served == served), "{status:?}");
        }
        for (version, floor, is_there) in [
            ("0.8.0", Some("0.8.0"), true),
            ("0.8.0-rc.1", Some("0.8.0"), false),
            ("0.10.0", Some("0.9.0"), true),
            ("0.8.0+build", Some("0.8.0"), true),
            ("0.8.0", None, true),
            ("0.8.0", Some("the newest"), true),
            ("a build", Some("0.8.0"), false),
        ] {
            assert_eq!(reaches(version, floor), is_there, "{version} {floor:?}");
        }
    }

    #[test]
    fn drift_is_a_warning_until_something_is_pending() {
        let drift = "table record: column due_date is missing";
        assert_eq!(plan(&status(&[], &[], &[drift])), Plan::Nothing { drift: vec![drift.into()] });
        let Plan::Refuse(failure) = plan(&status(&["m2"], &[], &[drift])) else { panic!("drift must be refused") };
        assert!(failure.message.contains(drift));
        let stop = "this database was last upgraded by v0.1.0, and v0.9.0 upgrades from v0.5.0 on; start v0.5.0 first, then this version";
        let stopped = Status { stop: Some(stop.into()), ..status(&["m2"], &[], &[]) };
        assert!(matches!(plan(&stopped), Plan::Refuse(failure) if failure.message == stop));
        let accepted = [drift.to_owned()];
        let accepting = super::plan(&status(&["m2"], &[], &[drift]), &view(), GenerationId(7), &accepted);
        assert_eq!(accepting, Plan::Upgrade { count: 1 });
        assert_eq!(plan(&status(&["m2", "m3"], &[], &[])), Plan::Upgrade { count: 2 });
    }
}
