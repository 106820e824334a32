use proptest::prelude::*;

use super::*;

const NONE: Policy = Policy { last: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };

/// A verified scheduled backup of this time and number.
fn backup(at: &str, sequence: u64) -> Candidate {
    candidate(at.parse().unwrap(), sequence, Reason::Scheduled, true)
}

fn candidate(at: Timestamp, sequence: u64, reason: Reason, sound: bool) -> Candidate {
    Candidate { id: BackupId::new(at.into(), reason), sequence, reason, at, sound, labelled: false }
}

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap()
}

fn later() -> Timestamp {
    "2099-01-01T00:00:00Z".parse().unwrap()
}

/// The numbers of what is kept, newest first, with the reasons.
fn kept(candidates: &[Candidate], policy: &Policy) -> Vec<(u64, String)> {
    let sequence = |id: &BackupId| candidates.iter().find(|candidate| candidate.id == *id).unwrap().sequence;
    decide(candidates, policy, later(), &berlin())
        .into_iter()
        .filter(|verdict| !verdict.kept.is_empty())
        .map(|verdict| (sequence(&verdict.id), verdict.kept.join("+")))
        .collect()
}

fn told(kept: &[(u64, &str)]) -> Vec<(u64, String)> {
    kept.iter().map(|(sequence, why)| (*sequence, (*why).to_owned())).collect()
}

#[test]
fn the_newest_of_each_period_is_kept_and_says_by_which_rule() {
    let history = [
        backup("2025-12-30T03:00:00Z", 1),
        backup("2026-01-30T03:00:00Z", 2),
        backup("2026-02-01T03:00:00Z", 3),
        backup("2026-02-02T03:00:00Z", 4),
        backup("2026-02-02T13:00:00Z", 5),
    ];
    let policy = Policy { last: 1, daily: 2, weekly: 2, monthly: 2, yearly: 2 };
    assert_eq!(
        kept(&history, &policy),
        told(&[
            (5, "last backup+daily backup+weekly backup+monthly backup+yearly backup+last verified backup"),
            (3, "daily backup+weekly backup"),
            (2, "monthly backup"),
            (1, "yearly backup"),
        ])
    );
}

#[test]
fn a_day_is_one_of_the_household() {
    // 23:30 and 00:30 in Berlin, both on 1 February by UTC.
    let history = [backup("2026-02-01T22:30:00Z", 1), backup("2026-02-01T23:30:00Z", 2)];
    let policy = Policy { daily: 2, ..NONE };
    assert_eq!(kept(&history, &policy).len(), 2);
    let utc = decide(&history, &policy, later(), &TimeZone::UTC);
    assert!(utc[1].kept.is_empty(), "{utc:?}");
}

#[test]
fn without_any_rule_everything_is_kept() {
    let history = [backup("2026-02-01T22:30:00Z", 1), backup("2026-02-01T22:40:00Z", 2)];
    assert_eq!(kept(&history, &NONE), told(&[(2, "policy is empty+last verified backup"), (1, "policy is empty")]));
    assert!(decide(&[], &NONE, later(), &berlin()).is_empty());
}

#[test]
fn what_is_made_by_itself_does_not_push_out_what_a_person_made() {
    let mut history = vec![candidate("2020-01-01T00:00:00Z".parse().unwrap(), 1, Reason::Manual, true)];
    history.extend((2..9).map(|sequence| backup(&format!("2026-02-0{sequence}T03:00:00Z"), sequence)));
    let kept = kept(&history, &Policy { last: 1, ..NONE });
    assert_eq!(kept, told(&[(8, "last backup+last verified backup"), (1, "last backup")]));
}

#[test]
fn while_the_clock_is_behind_nothing_goes() {
    let history = [backup("2026-02-01T03:00:00Z", 1), backup("2026-02-02T03:00:00Z", 2)];
    let decided = |now: &str| decide(&history, &Policy { last: 1, ..NONE }, now.parse().unwrap(), &berlin());
    let behind = decided("2026-02-02T02:59:59Z");
    assert!(behind.iter().all(|verdict| verdict.kept == ["the clock is behind"]), "{behind:?}");
    assert!(decided("2026-02-02T03:00:00Z")[1].kept.is_empty());
}

/// The numbers of what goes.
fn gone(history: &[Candidate], policy: &Policy, now: &str) -> Vec<u64> {
    let decided = decide(history, policy, now.parse().unwrap(), &berlin());
    let goes = |candidate: &&Candidate| decided.iter().any(|one| one.id == candidate.id && one.kept.is_empty());
    history.iter().filter(goes).map(|candidate| candidate.sequence).collect()
}

#[test]
fn a_backup_of_a_clock_that_was_ahead_stops_nothing_once_the_clock_is_right() {
    let ahead = ["2031-05-01T03:00:00Z", "2027-01-02T03:30:00Z", "2099-12-31T23:59:59Z"];
    for ahead in ahead {
        let mut history = vec![backup("2026-12-30T03:00:00Z", 1), backup("2026-12-31T03:00:00Z", 2), backup(ahead, 3)];
        let policy = Policy { last: 2, ..NONE };
        let now = "2027-01-02T03:00:00Z";
        assert_eq!(gone(&history, &policy, now), [0; 0], "the clock may be behind as well");
        assert_eq!(super::ahead(&history, now.parse().unwrap()).map(|one| one.sequence), Some(3));
        history.push(backup("2027-01-01T03:00:00Z", 4));
        history.push(backup("2027-01-02T03:00:00Z", 5));
        assert_eq!(super::ahead(&history, now.parse().unwrap()), None);
        assert_eq!(gone(&history, &policy, now), [1, 2, 3], "{ahead}");
        // And it takes the place of no other day, month or year.
        let days = Policy { daily: 4, ..NONE };
        assert_eq!(gone(&history, &days, now), [3], "{ahead}: it was made before the next one of that day");
    }
}

#[test]
fn a_first_backup_of_a_clock_that_was_ahead_is_outweighed_by_two_since() {
    let history =
        [backup("2031-05-01T03:00:00Z", 1), backup("2026-12-31T03:00:00Z", 2), backup("2027-01-01T03:00:00Z", 3)];
    assert_eq!(gone(&history[..2], &Policy { last: 1, ..NONE }, "2026-12-31T04:00:00Z"), [0; 0]);
    assert_eq!(gone(&history, &Policy { last: 1, ..NONE }, "2027-01-01T04:00:00Z"), [1, 2]);
}

#[test]
fn a_machine_that_starts_in_the_past_removes_nothing() {
    let mut history: Vec<_> = (1..=9).map(|day| backup(&format!("2027-02-0{day}T03:00:00Z"), day)).collect();
    let policy = Policy { last: 1, ..NONE };
    for start in ["1970-01-01T00:01:00Z", "2000-01-01T00:01:00Z", "2020-07-01T00:01:00Z", "2026-12-01T00:01:00Z"] {
        history.truncate(9);
        history.push(backup(start, 10));
        assert_eq!(gone(&history, &policy, start), [0; 0], "{start}");
    }
    // However many are made until it has been told the time.
    history.truncate(9);
    history.extend((10..40).map(|number| backup(&format!("1970-01-01T00:{number}:00Z"), number)));
    assert_eq!(gone(&history, &policy, "1970-01-01T01:00:00Z"), [0; 0]);
    assert_eq!(gone(&history, &policy, "2027-02-10T03:00:00Z").len(), 38, "and then all is well");
}

#[test]
fn a_clock_that_fell_behind_removes_none_of_the_days_that_it_has_forgotten() {
    let day = |number: u64| format!("2026-12-{number:02}T03:00:00Z");
    for behind in 1..=21 {
        let mut history: Vec<_> = (1..=30).map(|number| backup(&day(number), number)).collect();
        // As many as are made until the days are over that it has forgotten.
        for night in 0..behind {
            let now = day(30 - behind + night);
            history.push(backup(&now, 31 + night));
            let policy = Policy { daily: 7, weekly: 4, monthly: 12, ..NONE };
            assert_eq!(gone(&history, &policy, &now), [0; 0], "{behind} days behind, night {night}");
        }
    }
}

#[test]
fn the_number_orders_and_not_the_clock() {
    // The second was made while the clock was wrong.
    let history =
        [backup("2026-02-01T03:00:00Z", 1), backup("1970-01-01T00:00:30Z", 2), backup("2026-02-02T03:00:00Z", 3)];
    let places: Vec<u64> =
        kept(&history, &Policy { last: 2, ..NONE }).into_iter().map(|(sequence, _)| sequence).collect();
    assert_eq!(places, [3, 2]);
}

#[test]
fn a_day_that_comes_up_again_since_the_clock_jumped_is_one_day() {
    let mut history = Vec::new();
    for day in 1..=7 {
        // Each start of the machine without a clock of its own makes one in 1970, then one when it has been told the time.
        history.push(backup(&format!("1970-01-01T00:0{day}:00Z"), 2 * day));
        history.push(backup(&format!("2026-02-0{day}T03:00:00Z"), 2 * day + 1));
    }
    let kept = kept(&history, &Policy { daily: 8, ..NONE });
    let places: Vec<u64> = kept.into_iter().map(|(sequence, _)| sequence).collect();
    assert_eq!(places, [15, 14, 13, 11, 9, 7, 5, 3]);
}

#[test]
fn a_labelled_backup_is_kept_whatever_the_policy_says_and_takes_no_others_place() {
    let at: Timestamp = "2026-11-24T03:00:00Z".parse().unwrap();
    let mut history: Vec<_> = (1..=6).map(|sequence| candidate(at, sequence, Reason::Manual, true)).collect();
    for (place, backup) in history.iter_mut().enumerate() {
        backup.at += jiff::SignedDuration::from_secs(place as i64);
        backup.id = BackupId::new(backup.at.into(), Reason::Manual);
    }
    history[0].labelled = true;
    history[4].labelled = true;
    let policy = Policy { last: 2, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
    let kept = |history: &[Candidate]| -> Vec<u64> {
        let verdicts = decide(history, &policy, later(), &TimeZone::UTC);
        let sequence = |id: &BackupId| history.iter().find(|candidate| candidate.id == *id).unwrap().sequence;
        verdicts.iter().filter(|verdict| !verdict.kept.is_empty()).map(|verdict| sequence(&verdict.id)).collect()
    };
    assert_eq!(kept(&history), [6, 5, 4, 1], "two of those without a label, and both that have one");
    history[0].labelled = false;
    assert_eq!(kept(&history), [6, 5, 4]);
}

#[test]
fn a_damaged_backup_pushes_out_no_sound_one_and_stays_as_long_as_it_would_have() {
    let mut history: Vec<_> = (1..=9).map(|day| backup(&format!("2026-02-0{day}T03:00:00Z"), day)).collect();
    for damaged in [4, 8, 9] {
        history[damaged - 1].sound = false;
    }
    assert_eq!(
        kept(&history, &Policy { daily: 3, ..NONE }),
        told(&[
            (9, "daily backup (not verified)"),
            (8, "daily backup (not verified)"),
            (7, "daily backup+last verified backup"),
            (6, "daily backup"),
            (5, "daily backup"),
        ])
    );
}

fn policies() -> impl Strategy<Value = Policy> {
    let some = || prop_oneof![Just(0), 0..4_u32, 0..40_u32];
    (some(), some(), some(), some(), some()).prop_map(|(last, daily, weekly, monthly, yearly)| Policy {
        last,
        daily,
        weekly,
        monthly,
        yearly,
    })
}

/// Times between 2023 and 2027: hours, days or weeks apart.
fn times() -> impl Strategy<Value = Vec<Timestamp>> {
    let gap = prop_oneof![1..7200_i64, 1..200_000_i64, 1..3_000_000_i64];
    prop::collection::vec(gap, 0..60).prop_map(|gaps| {
        let mut at = 1_672_531_200;
        gaps.into_iter()
            .map(|gap| {
                at += gap;
                Timestamp::from_second(at).unwrap()
            })
            .collect()
    })
}

fn zones() -> impl Strategy<Value = TimeZone> {
    prop_oneof![
        Just("UTC"),
        Just("Europe/Berlin"),
        Just("America/New_York"),
        Just("Australia/Lord_Howe"),
        Just("Pacific/Apia")
    ]
    .prop_map(|name| TimeZone::get(name).unwrap())
}

/// Any history: both classes, sound and not, and with a clock that may have jumped.
fn histories() -> impl Strategy<Value = Vec<Candidate>> {
    let jump = prop_oneof![9 => Just(None), 1 => (0..1_900_000_000_i64).prop_map(Some)];
    let reason = prop_oneof![Just(Reason::Scheduled), Just(Reason::Manual)];
    let more = prop::collection::vec((jump, reason, prop::bool::weighted(0.8)), 60);
    (times(), more).prop_map(move |(times, more)| {
        let mut names = HashSet::new();
        let mut history = Vec::new();
        for (sequence, (at, (jump, reason, sound))) in (1..).zip(times.into_iter().zip(more)) {
            let at = jump.map_or(at, |jump| Timestamp::from_second(jump).unwrap());
            let candidate = candidate(at, sequence, reason, sound);
            if names.insert(candidate.id.clone()) {
                history.push(candidate);
            }
        }
        history
    })
}

proptest! {
    #[test]
    fn the_last_verified_backup_never_goes(history in histories(), policy in policies(), zone in zones()) {
        let last = history.iter().filter(|candidate| candidate.sound).max_by_key(|candidate| candidate.sequence);
        let decided = decide(&history, &policy, later(), &zone);
        prop_assert_eq!(decided.len(), history.len());
        if let Some(last) = last {
            let verdict = decided.iter().find(|verdict| verdict.id == last.id).unwrap();
            // By a rule of its own, and by the policy already.
            prop_assert!(verdict.kept.len() >= 2, "{:?}", verdict);
        }
    }

    #[test]
    fn once_pruned_nothing_more_goes(history in histories(), policy in policies(), zone in zones(), half in any::<bool>()) {
        let decided = decide(&history, &policy, later(), &zone);
        let goes = |id: &BackupId| decided.iter().any(|verdict| verdict.id == *id && verdict.kept.is_empty());
        // All that goes, or what was removed before the job was killed.
        let left: Vec<_> = history.iter().filter(|one| !goes(&one.id) || half && one.sequence % 2 == 0).cloned().collect();
        for verdict in decide(&left, &policy, later(), &zone) {
            let before = decided.iter().find(|before| before.id == verdict.id).unwrap();
            prop_assert_eq!(&verdict.kept, &before.kept);
        }
    }

    #[test]
    fn one_class_says_nothing_about_the_other(history in histories(), policy in policies(), zone in zones()) {
        let goes = |history: &[Candidate]| -> HashSet<BackupId> {
            let decided = decide(history, &policy, later(), &zone);
            decided.into_iter().filter(|verdict| verdict.kept.is_empty()).map(|verdict| verdict.id).collect()
        };
        let of = |reason| history.iter().filter(|candidate| candidate.reason == reason).cloned().collect::<Vec<_>>();
        let mut apart = goes(&of(Reason::Manual));
        apart.extend(goes(&of(Reason::Scheduled)));
        prop_assert_eq!(goes(&history), apart);
    }

    #[test]
    fn damage_costs_no_sound_backup(history in histories(), policy in policies(), zone in zones()) {
        let sound: Vec<_> = history.iter().filter(|candidate| candidate.sound).cloned().collect();
        let alone = decide(&sound, &policy, later(), &zone);
        let together = decide(&history, &policy, later(), &zone);
        for verdict in alone {
            prop_assert!(together.contains(&verdict), "{:?}", verdict);
        }
    }
}
