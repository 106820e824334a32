//! What is applied, what is pending, what is unknown, and may the database be upgraded?
//!
//! Nothing here reads or writes; it is decided from names alone.

use serde::Serialize;

/// A migration that a database says was applied to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Its name, such as `m0001_records`.
    pub name: String,
    /// The version that applied it, such as `0.1.0`; `unknown` if only sea-orm's table has it.
    pub version: String,
    /// When, in UTC, as RFC 3339 with whole seconds.
    pub applied_at: String,
}

/// What a release makes of a database's migrations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Known and applied, in the order they were applied.
    pub applied: Vec<Applied>,
    /// Known and not applied, in the order they will be.
    pub pending: Vec<String>,
    /// Applied and not known: a later release did it.
    pub unknown: Vec<Applied>,
}

/// What is to be done about a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is pending and nothing unknown.
    UpToDate,
    /// The pending migrations may run.
    Upgrade,
    /// Refused: a later release has upgraded the database.
    Newer,
    /// Refused: something is pending, and another release has to come first.
    Stopped,
    /// Refused: something is pending, and the schema is not the one it would start from.
    Drifted,
}

impl Plan {
    /// Compares what a release knows, in its order, with what a database says was applied.
    pub fn new(known: &[String], applied: Vec<Applied>) -> Plan {
        let pending =
            known.iter().filter(|name| applied.iter().all(|applied| applied.name != **name)).cloned().collect();
        let (applied, unknown) = applied.into_iter().partition(|applied| known.contains(&applied.name));
        Plan { applied, pending, unknown }
    }

    /// Decides. With nothing pending neither drift nor another release that has to come first ([`stop`](crate::stop)) stops anything:
    /// nothing builds upon the schema.
    pub fn verdict(&self, stopped: bool, drifted: bool) -> Verdict {
        match (self.unknown.is_empty(), self.pending.is_empty()) {
            (false, _) => Verdict::Newer,
            (true, true) => Verdict::UpToDate,
            (true, false) if stopped => Verdict::Stopped,
            (true, false) if drifted => Verdict::Drifted,
            (true, false) => Verdict::Upgrade,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(known: &[&str], applied: &[&str]) -> (String, String, String, Plan) {
        let known: Vec<String> = known.iter().map(ToString::to_string).collect();
        let applied = applied
            .iter()
            .map(|name| Applied { name: name.to_string(), version: String::new(), applied_at: String::new() })
            .collect();
        let plan = Plan::new(&known, applied);
        let names = |list: &[Applied]| list.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(" ");
        (names(&plan.applied), plan.pending.join(" "), names(&plan.unknown), plan)
    }

    #[test]
    fn every_case_of_known_and_applied() {
        use Verdict::*;
        type Names<'a> = &'a [&'a str];
        type Case<'a> = (Names<'a>, Names<'a>, (&'a str, &'a str, &'a str), Verdict, Verdict);
        let cases: &[Case<'_>] = &[
            // known, applied, (applied, pending, unknown), verdict, verdict with drift
            (&["a", "b"], &[], ("", "a b", ""), Upgrade, Drifted),
            (&["a", "b"], &["a"], ("a", "b", ""), Upgrade, Drifted),
            (&["a", "b"], &["a", "b"], ("a b", "", ""), UpToDate, UpToDate),
            (&["a"], &["a", "b"], ("a", "", "b"), Newer, Newer),
            (&["a", "c"], &["a", "b"], ("a", "c", "b"), Newer, Newer),
            (&["a", "b", "c"], &["c", "a"], ("c a", "b", ""), Upgrade, Drifted),
        ];
        for (known, applied, expected, calm, drifted) in cases {
            let (done, pending, unknown, plan) = plan(known, applied);
            assert_eq!((done.as_str(), pending.as_str(), unknown.as_str()), *expected);
            assert_eq!((plan.verdict(false, false), plan.verdict(false, true)), (*calm, *drifted));
            let stopped = if *calm == Upgrade { Stopped } else { *calm };
            assert_eq!((plan.verdict(true, false), plan.verdict(true, true)), (stopped, stopped));
        }
    }
}
