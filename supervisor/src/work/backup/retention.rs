//! Which backups are kept, and why?
//!
//! Those that restic's `forget` keeps with the same numbers (`--keep-last`, `--keep-daily` and so on; as of restic 0.14):
//! the newest backup of each of so many days, weeks, months and years that have one. Days and weeks (ISO 8601) are those of
//! the household's time zone. Each reason is a class of its own: what is made by itself never pushes out what a person
//! made. Where Hearth differs, it keeps more:
//!
//! - The sequence number orders backups, not the clock. As long as the clock only goes forward, that is the same order.
//!   If it jumped, a day that comes up again is still one day.
//! - While the clock is behind the time of some backup, everything is kept ([`ahead`] names that backup). The clock counts
//!   as right again once the newest backup is not of the future, nor are most: then those that are were made while it was
//!   ahead, and are judged as made just before the one that followed them.
//! - A backup that was found damaged, or was never verified, does not count: the others are judged as if it was not there.
//!   It is kept itself for as long as it would be if it counted, since it may be all that is left of that day, and
//!   somebody may want to look at it.
//!
//! - A backup that a person gave a label is kept until a person removes it, and takes no other's place.
//!
//! So the newest verified one is always kept. What the policy does not keep can go in any order and at any time: what is
//! left is judged the same.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{
    data::{
        backup::{BackupId, Reason},
        retention::EARLIEST,
    },
    jobs::backup::RetentionVerdict,
};

/// How many backups are kept, of each reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The last ones.
    pub last: u32,
    /// The newest one of each of so many days that have one.
    pub daily: u32,
    /// Of so many weeks.
    pub weekly: u32,
    /// Of so many months.
    pub monthly: u32,
    /// Of so many years.
    pub yearly: u32,
}

/// A backup that is to be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub id: BackupId,
    /// What orders it among the others.
    pub sequence: u64,
    /// Its class.
    pub reason: Reason,
    /// When it was begun.
    pub at: Timestamp,
    /// Whether it was verified, and nothing was found wrong since.
    pub sound: bool,
    /// Whether a person gave it a label.
    pub labelled: bool,
}

/// Judges all backups together, and returns the newest first.
pub fn decide(candidates: &[Candidate], policy: &Policy, now: Timestamp, zone: &TimeZone) -> Vec<RetentionVerdict> {
    let (newest_first, ahead) = by_the_clock(candidates, now);
    let behind = ahead.is_some();
    let last_sound = newest_first.iter().find(|candidate| candidate.sound).map(|candidate| &candidate.id);
    // What is sound is judged without what is not; what is not, together with all.
    let [sound, all] = [true, false].map(|only_sound| {
        let judged = newest_first.iter().filter(|candidate| !candidate.labelled && (candidate.sound || !only_sound));
        kept_of_each_class(judged, policy, zone)
    });
    let verdict = |candidate: &Candidate| {
        let kept = if behind {
            vec!["the clock is behind".to_owned()]
        } else if candidate.labelled {
            vec!["labelled".to_owned()]
        } else if candidate.sound {
            let mut kept = reasons(&sound, candidate);
            if last_sound == Some(&candidate.id) {
                kept.push("last verified backup".to_owned());
            }
            kept
        } else {
            reasons(&all, candidate).into_iter().map(|reason| format!("{reason} (not verified)")).collect()
        };
        RetentionVerdict { id: candidate.id.clone(), kept }
    };
    newest_first.iter().map(verdict).collect()
}

/// Returns the newest of the backups that bear a time which is yet to come, while nothing shows that it was made with the clock
/// ahead rather than that the clock is behind now.
pub fn ahead(candidates: &[Candidate], now: Timestamp) -> Option<&Candidate> {
    by_the_clock(candidates, now).1
}

/// Orders the newest first, gives each that bears a time which is yet to come the time of the one that followed it, and names the
/// newest of those as long as it may be the clock that is wrong now.
fn by_the_clock(candidates: &[Candidate], now: Timestamp) -> (Vec<Candidate>, Option<&Candidate>) {
    let mut newest_first: Vec<_> = candidates.iter().collect();
    newest_first.sort_by_key(|candidate| Reverse((candidate.sequence, &candidate.id)));
    let since = newest_first.iter().take_while(|candidate| candidate.at <= now).count();
    // A clock that fell behind comes to the time of the backups that it has forgotten after just as many nights as there are
    // of them; so only more backups than that show that it is right.
    let began = newest_first[..since].last().map_or(now, |oldest| oldest.at);
    let forgotten = newest_first[since..].iter().filter(|candidate| candidate.at > began).count();
    let is_right = since > forgotten && now.as_second() >= EARLIEST;
    let ahead = newest_first.get(since).copied().filter(|_| !is_right);
    let mut next = now;
    let made = |candidate: &Candidate| {
        if candidate.at <= now {
            next = candidate.at;
        }
        Candidate { at: next, ..candidate.clone() }
    };
    (newest_first.into_iter().map(made).collect(), ahead)
}

/// Backups with the rules that keep them.
type Kept<'a> = HashMap<&'a BackupId, Vec<&'static str>>;

fn reasons(kept: &Kept<'_>, candidate: &Candidate) -> Vec<String> {
    kept.get(&candidate.id).into_iter().flatten().map(|reason| (*reason).to_owned()).collect()
}

fn kept_of_each_class<'a>(
    newest_first: impl Iterator<Item = &'a Candidate> + Clone,
    policy: &Policy,
    zone: &TimeZone,
) -> Kept<'a> {
    let of = |reason| newest_first.clone().filter(move |candidate| candidate.reason == reason);
    [Reason::Scheduled, Reason::Manual].into_iter().flat_map(|reason| kept(of(reason), policy, zone)).collect()
}

/// A rule of the policy: it keeps the newest backup of each period, in so many periods that have one.
struct Rule {
    left: u32,
    period: fn(Date, u64) -> (i64, i64),
    seen: HashSet<(i64, i64)>,
    reason: &'static str,
}

/// Judges one class.
fn kept<'a>(newest_first: impl Iterator<Item = &'a Candidate>, policy: &Policy, zone: &TimeZone) -> Kept<'a> {
    let rule = |left, period, reason| Rule { left, period, seen: HashSet::new(), reason };
    let mut rules: [Rule; 5] = [
        rule(policy.last, |_, place| (place.cast_signed(), 0), "last backup"),
        rule(policy.daily, |date, _| (date.year().into(), date.day_of_year().into()), "daily backup"),
        rule(
            policy.weekly,
            |date, _| (date.iso_week_date().year().into(), date.iso_week_date().week().into()),
            "weekly backup",
        ),
        rule(policy.monthly, |date, _| (date.year().into(), date.month().into()), "monthly backup"),
        rule(policy.yearly, |date, _| (date.year().into(), 0), "yearly backup"),
    ];
    // As with restic, no rule at all is no wish to lose everything.
    let empty = rules.iter().all(|rule| rule.left == 0);
    let judge = |(place, candidate): (u64, &'a Candidate)| {
        if empty {
            return (&candidate.id, vec!["policy is empty"]);
        }
        let date = zone.to_datetime(candidate.at).date();
        let mut reasons = Vec::new();
        for rule in rules.iter_mut().filter(|rule| rule.left > 0) {
            if rule.seen.insert((rule.period)(date, place)) {
                rule.left -= 1;
                reasons.push(rule.reason);
            }
        }
        (&candidate.id, reasons)
    };
    (0..).zip(newest_first).map(judge).collect()
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
