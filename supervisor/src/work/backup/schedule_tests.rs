use proptest::prelude::*;

use super::*;

const NIGHTLY: &str = "30 2 * * *";

fn schedule(text: &str) -> Schedule {
    Schedule::parse(text).unwrap()
}

fn zone_named(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The times after `from`, as the clock shows them, with the offset.
fn times(text: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    let (schedule, zone) = (schedule(text), zone_named(zone));
    let mut at = time(from);
    (0..count)
        .map(|_| {
            at = schedule.next_after(at, &zone).unwrap();
            let shown = at.to_zoned(zone.clone()).to_string();
            shown.split_once('[').unwrap().0.to_owned()
        })
        .collect()
}

#[test]
fn a_schedule_is_read_or_refused_in_a_sentence() {
    for text in ["0 3 * * *", " 0  3\t* * * ", "*/15 0-6,22 1,15 jan-jun mon", "0 0 29 2 *", "0 3 * * 7", "0 3 * * Sun"]
    {
        assert!(!schedule(text).is_off(), "{text}");
    }
    for off in ["off", " Off "] {
        assert!(schedule(off).is_off());
        assert_eq!(schedule(off).next_after(time("2026-01-01T00:00:00Z"), &TimeZone::UTC), None);
    }
    for (text, words) in [
        ("", "\"\" has 0 fields; it must be off, or five fields"),
        ("0 3 * *", "\"0 3 * *\" has 4 fields"),
        ("0 0 3 * * *", "has 6 fields"),
        ("0 3 * * * Europe/Berlin", "has 6 fields"),
        ("@daily", "has 1 field;"),
        ("60 3 * * *", "the field \"60\" cannot be read"),
        ("0 24 * * *", "the field \"24\" cannot be read"),
        ("0 3 0 * *", "the field \"0\" cannot be read"),
        ("0 3 * * 8", "the field \"8\" cannot be read"),
        ("0 3 * * 5-1", "the field \"5-1\" cannot be read"),
        ("*/0 3 * * *", "the field \"*/0\" cannot be read"),
        ("H 3 * * *", "the field \"H\" cannot be read"),
        ("0 3 L * *", "the field \"L\" cannot be read"),
        ("0 3 15W * *", "the field \"15W\" cannot be read"),
        ("0 3 * * 1#2", "the field \"1#2\" cannot be read"),
        ("0 3 ? * *", "the field \"?\" cannot be read"),
        ("0 drei * * *", "the field \"drei\" cannot be read"),
        ("0 3 31 2 *", "\"0 3 31 2 *\" never comes"),
    ] {
        let said = Schedule::parse(text).unwrap_err();
        assert!(said.contains(words) && said.contains("0 3 * * * is each night at three"), "{text}: {said}");
    }
}

#[test]
fn a_nightly_time_comes_once_each_night_whatever_the_clock_does() {
    for (zone, from, expected) in [
        // There is no 02:30 on the 29th.
        (
            "Europe/Berlin",
            "2026-03-27T12:00:00Z",
            ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"],
        ),
        // There are two on the 25th.
        (
            "Europe/Berlin",
            "2026-10-23T12:00:00Z",
            ["2026-10-24T02:30:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"],
        ),
        (
            "America/New_York",
            "2026-03-07T12:00:00Z",
            ["2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00", "2026-03-10T02:30:00-04:00"],
        ),
        // The clock is put back by half an hour, from 02:00 to 01:30: 02:30 comes once anyway. And forward, from 02:00.
        (
            "Australia/Lord_Howe",
            "2026-04-03T16:00:00Z",
            ["2026-04-05T02:30:00+10:30", "2026-04-06T02:30:00+10:30", "2026-04-07T02:30:00+10:30"],
        ),
        (
            "Australia/Lord_Howe",
            "2026-10-02T17:00:00Z",
            ["2026-10-04T02:30:00+11:00", "2026-10-05T02:30:00+11:00", "2026-10-06T02:30:00+11:00"],
        ),
        // Samoa had no 30 December in 2011.
        (
            "Pacific/Apia",
            "2011-12-28T23:00:00Z",
            ["2011-12-29T02:30:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T02:30:00+14:00"],
        ),
    ] {
        assert_eq!(times(NIGHTLY, zone, from, 3), expected, "{zone}");
    }
}

#[test]
fn a_nightly_time_does_not_come_again_when_the_clock_shows_it_again() {
    let (berlin, nightly) = (zone_named("Europe/Berlin"), schedule(NIGHTLY));
    let next = time("2026-10-26T01:30:00Z");
    // 02:30 was at 00:30 UTC, and is again at 01:30 UTC.
    for after in [
        "2026-10-25T00:30:00Z",
        "2026-10-25T00:59:59Z",
        "2026-10-25T01:00:00Z",
        "2026-10-25T01:29:00Z",
        "2026-10-25T01:30:00Z",
    ] {
        assert_eq!(nightly.next_after(time(after), &berlin), Some(next), "{after}");
    }
    // In place of the 02:30 that there is not, and once.
    let spring = time("2026-03-29T01:00:00Z");
    for after in ["2026-03-28T01:30:00Z", "2026-03-29T00:59:59Z"] {
        assert_eq!(nightly.next_after(time(after), &berlin), Some(spring), "{after}");
    }
    assert_eq!(nightly.next_after(spring, &berlin), Some(time("2026-03-30T00:30:00Z")));
}

#[test]
fn a_schedule_of_every_hour_goes_by_the_hours_that_pass() {
    let spring = ["2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"];
    assert_eq!(times("0,30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3), spring);
    let autumn = [
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T02:30:00+01:00",
        "2026-10-25T03:00:00+01:00",
    ];
    assert_eq!(times("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 4), autumn);
    let half = ["2026-04-05T01:45:00+11:00", "2026-04-05T01:45:00+10:30", "2026-04-05T02:45:00+10:30"];
    assert_eq!(times("45 * * * *", "Australia/Lord_Howe", "2026-04-04T14:00:00Z", 3), half);
}

#[test]
fn days_of_the_month_and_of_the_week_are_the_households() {
    let sundays = ["2026-11-29T03:00:00+01:00", "2026-12-06T03:00:00+01:00"];
    assert_eq!(times("0 3 * * 0", "Europe/Berlin", "2026-11-24T00:00:00Z", 2), sundays);
    let leap = ["2028-02-29T00:00:00+00:00", "2032-02-29T00:00:00+00:00"];
    assert_eq!(times("0 0 29 2 *", "UTC", "2026-11-24T00:00:00Z", 2), leap);
}

#[test]
fn a_clock_that_shows_nonsense_has_no_next_time_and_no_panic() {
    for at in [Timestamp::MIN, Timestamp::MAX, time("9500-01-01T00:00:00Z"), time("0100-01-01T00:00:00Z")] {
        for text in [NIGHTLY, "* * * * *", "off"] {
            assert_eq!(schedule(text).next_after(at, &zone_named("Europe/Berlin")), None);
            let past = Past { since: at, last_success: Some(at), last_attempt: Some(at), last_drill: Some(at) };
            for now in [at, time("2026-11-24T00:00:00Z")] {
                let _ = plan(&schedule(text), &schedule(NIGHTLY), Duration::MAX, 7, &past, at, now, &TimeZone::UTC);
            }
        }
    }
}

/// A household in Berlin with a backup each night at 02:30 and a drill on Sundays, told in local times of November 2026
/// (`24 02:30`). It has run for long, and the last night's backup was made.
struct House {
    schedule: Schedule,
    drill: Schedule,
    jitter: Duration,
    past: Past,
    running_since: Timestamp,
}

/// `24 02:30` or `24 02:30:10`, in November 2026 in Berlin.
fn local(text: &str) -> Timestamp {
    let seconds = if text.len() == 8 { ":00" } else { "" };
    time(&format!("2026-11-{}{seconds}+01:00", text.replace(' ', "T")))
}

impl House {
    fn new() -> Self {
        let last = Some(local("23 02:30"));
        Self {
            schedule: schedule(NIGHTLY),
            drill: schedule("30 2 * * 0"),
            jitter: Duration::ZERO,
            past: Past {
                since: time("2026-06-01T00:00:00Z"),
                last_success: last,
                last_attempt: last,
                last_drill: Some(local("22 02:30")),
            },
            running_since: time("2026-06-01T00:00:00Z"),
        }
    }

    fn succeeded(mut self, at: &str) -> Self {
        self.past.last_success = Some(local(at));
        self
    }

    fn attempted(mut self, at: &str) -> Self {
        self.past.last_attempt = Some(local(at));
        self
    }

    fn started(mut self, at: &str) -> Self {
        self.running_since = local(at);
        self
    }

    fn at(&self, now: Timestamp) -> Plan {
        let zone = zone_named("Europe/Berlin");
        plan(&self.schedule, &self.drill, self.jitter, 7, &self.past, self.running_since, now, &zone)
    }

    fn due(&self, now: &str) -> bool {
        self.at(local(now)).due
    }

    fn overdue(&self, now: &str) -> Option<Timestamp> {
        self.at(local(now)).overdue_since
    }
}

#[test]
fn a_backup_is_due_when_its_time_has_come() {
    let house = House::new();
    let plan = house.at(local("23 12:00"));
    assert_eq!(plan, Plan { next_at: Some(local("24 02:30")), due: false, drill: false, overdue_since: None });
    assert!(!house.due("24 02:29:59"));
    assert!(house.due("24 02:30"));
    assert!(!House::new().attempted("24 02:30").succeeded("24 02:30").due("24 02:31"));
}

#[test]
fn what_is_off_is_never_due_never_drilled_and_never_overdue() {
    let house = House { schedule: schedule("off"), ..House::new() };
    let nothing = Plan { next_at: None, due: false, drill: false, overdue_since: None };
    assert_eq!(house.at(local("30 12:00")), nothing);
    let drill_off = House { drill: schedule("off"), ..House::new() };
    assert!(!drill_off.at(local("30 12:00")).drill);
}

#[test]
fn a_new_instance_waits_for_its_first_time() {
    let mut house = House::new().started("23 12:00");
    house.past = Past { since: local("23 12:00"), last_success: None, last_attempt: None, last_drill: None };
    assert_eq!(house.at(local("23 12:05")).next_at, Some(local("24 02:30")));
    assert!(house.due("24 02:30"));
    assert_eq!(house.overdue("24 03:30"), None);
    assert_eq!(house.overdue("24 03:30:01"), Some(local("24 02:30")));
}

#[test]
fn missed_runs_are_one_and_wait_until_the_app_has_started() {
    let house = House::new().started("27 18:00");
    assert_eq!(house.at(local("27 18:00:10")).next_at, Some(local("27 18:01")));
    assert!(!house.due("27 18:00:59"));
    assert!(house.due("27 18:01"));
    let done = house.attempted("27 18:01").succeeded("27 18:01");
    assert_eq!(done.at(local("27 18:05")).next_at, Some(local("28 02:30")));
}

#[test]
fn jitter_puts_off_by_so_much_for_this_time_and_this_instance() {
    let mut house = House::new();
    house.jitter = Duration::from_mins(30);
    let regular = local("24 02:30");
    let next = house.at(local("23 12:00")).next_at.unwrap();
    assert!(next > regular && next <= regular.checked_add(SignedDuration::from_mins(30)).unwrap(), "{next}");
    for now in ["23 12:01", "24 02:31", "24 12:00"] {
        assert_eq!(house.at(local(now)).next_at, Some(next));
    }
    assert!(house.at(next).due && !house.at(next.checked_sub(SignedDuration::from_secs(1)).unwrap()).due);
    let berlin = zone_named("Europe/Berlin");
    let off = |salt| jitter_of(regular, &house.schedule, house.jitter, salt, &berlin);
    let all: std::collections::HashSet<_> = (0..100).map(off).collect();
    assert!(all.len() > 50, "{all:?}");
}

#[test]
fn a_failed_backup_is_tried_again_ever_more_seldom_until_the_next_night() {
    let mut house = House::new().attempted("24 02:30");
    let moment = SignedDuration::from_secs(1);
    for again in ["24 03:30", "24 04:30", "24 06:30", "24 10:30", "24 18:30", "25 02:30", "25 03:30"] {
        let begun = house.past.last_attempt.unwrap();
        assert_eq!(house.at(begun.checked_add(moment).unwrap()).next_at, Some(local(again)));
        house = house.attempted(again);
    }
    assert!(House::new().attempted("24 02:30").due("24 03:30"));
    assert!(!House::new().attempted("24 02:30").due("24 03:29:59"));
}

#[test]
fn one_is_overdue_an_hour_after_its_time_or_six_if_it_was_begun() {
    for (house, well, overdue, since) in [
        (House::new(), "24 03:30", "24 03:30:01", "24 02:30"),
        (House::new().attempted("24 02:30"), "24 08:30", "24 08:30:01", "24 02:30"),
        // It counts what there is, whoever made it.
        (House::new().succeeded("24 12:00").attempted("24 02:30"), "25 03:30", "25 03:30:01", "25 02:30"),
        (House::new().attempted("24 02:30"), "24 02:31", "28 12:00", "24 02:30"),
    ] {
        assert_eq!(house.overdue(well), None, "{well}");
        assert_eq!(house.overdue(overdue), Some(local(since)), "{overdue}");
    }
}

#[test]
fn a_short_schedule_has_short_patience() {
    let mut house = House::new().attempted("23 12:00").succeeded("23 12:00");
    house.schedule = schedule("*/10 * * * *");
    assert_eq!(house.overdue("23 12:20"), None);
    assert_eq!(house.overdue("23 12:20:01"), Some(local("23 12:10")));
    let failed = house.attempted("23 12:10");
    assert_eq!(failed.overdue("23 12:20"), None);
    assert_eq!(failed.overdue("23 12:20:01"), Some(local("23 12:10")));
}

#[test]
fn after_downtime_there_is_no_alarm_before_the_backup_had_its_chance() {
    let house = House::new().started("27 18:00");
    assert_eq!(house.overdue("27 18:00:01"), None);
    assert_eq!(house.overdue("27 19:01"), None);
    assert_eq!(house.overdue("27 19:01:01"), Some(local("24 02:30")));
    let begun = house.attempted("27 18:01");
    assert_eq!(begun.overdue("28 00:01"), None);
    assert_eq!(begun.overdue("28 00:01:01"), Some(local("24 02:30")));
}

#[test]
fn the_next_backup_after_the_drills_time_is_drilled() {
    // Sunday is the 29th.
    let saturday = House::new().attempted("28 02:30").succeeded("28 02:30");
    assert!(!House::new().at(local("24 02:30")).drill);
    let sunday = saturday.at(local("29 02:30"));
    assert!(sunday.due && sunday.drill);
    let drilled = House::new().attempted("29 02:30").succeeded("29 02:30");
    assert!(drilled.at(local("30 02:30")).drill, "it failed, or was off: the next one is");
    let mut drilled = drilled;
    drilled.past.last_drill = Some(local("29 02:40"));
    assert!(!drilled.at(local("30 02:30")).drill);
    let mut never = House::new();
    never.past.last_drill = None;
    assert!(never.at(local("24 02:30")).drill, "since June there was none");
}

#[test]
fn a_clock_that_was_put_back_neither_stops_the_backups_nor_sets_off_many() {
    // What is written down is of December; then the clock shows November, and the supervisor has run for six hours.
    let mut house = House::new().started("23 20:00");
    let december = time("2026-12-24T01:30:00Z");
    house.past = Past {
        since: december,
        last_success: Some(december),
        last_attempt: Some(december),
        last_drill: Some(december),
    };
    assert_eq!(house.at(local("24 02:00")).next_at, Some(local("24 02:30")));
    assert_eq!(house.overdue("24 02:00"), None);
    assert!(house.due("24 02:30"));
    let done = house.attempted("24 02:30");
    assert_eq!(done.at(local("24 02:31")).next_at, Some(local("25 02:30")));
    // Nothing at all can be counted from: one is made, and then the schedule goes on from that.
    let mut house = House::new();
    house.past = done.past;
    house.past.last_attempt = Some(december);
    house.running_since = december;
    assert!(house.due("24 12:00"));
    assert_eq!(house.attempted("24 12:00").at(local("24 12:01")).next_at, Some(local("25 02:30")));
}

#[test]
fn a_clock_that_was_put_forward_sets_off_one_backup() {
    let mut house = House::new().started("23 20:00");
    let now = time("2027-03-01T12:00:00Z");
    assert!(house.at(now).due);
    house.past.last_attempt = Some(now);
    house.past.last_success = Some(now);
    let after = house.at(time("2027-03-01T12:10:00Z"));
    assert_eq!(
        after,
        Plan { next_at: Some(time("2027-03-02T01:30:00Z")), due: false, drill: true, overdue_since: None }
    );
}

#[test]
fn the_zone_is_that_of_tz_and_an_unknown_one_is_told() {
    let berlin = zone_named("Europe/Berlin");
    let summer = time("2026-07-01T12:00:00Z");
    for tz in ["Europe/Berlin", ":Europe/Berlin", "/usr/share/zoneinfo/Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3"] {
        let (zone, told) = zone_of(Some(OsStr::new(tz)));
        assert_eq!((zone.to_offset(summer), told), (berlin.to_offset(summer), None), "{tz}");
    }
    assert_eq!(zone_of(Some(OsStr::new(""))), (TimeZone::UTC, None));
    assert_eq!(zone_of(None).1, None);
    for tz in ["Europe/Berln", "/etc/hostname", "/no/such/file", "..", "Europe/../../etc/passwd"] {
        let (zone, told) = zone_of(Some(OsStr::new(tz)));
        assert_eq!(zone, TimeZone::UTC);
        assert!(told.unwrap().starts_with(&format!("TZ names no time zone ({tz}), so")), "{tz}");
    }
}

/// The times of a schedule found the slow way: each minute is looked at.
fn minute_by_minute(minute: i8, hour: i8, from: Timestamp, days: i64, zone: &TimeZone) -> Vec<Timestamp> {
    let mut shown = std::collections::BTreeMap::new();
    for minutes in 1..=days * 24 * 60 {
        let at = from.checked_add(SignedDuration::from_mins(minutes)).unwrap();
        let before = zone.to_datetime(at.checked_sub(SignedDuration::from_mins(1)).unwrap());
        let now = zone.to_datetime(at);
        let wanted = now.date().at(hour, minute, 0, 0);
        // It shows it, or it jumped over it.
        if now == wanted || before < wanted && wanted < now {
            shown.entry(now.date()).or_insert(at);
        }
    }
    shown.into_values().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_daily_schedule_is_what_a_patient_person_with_a_clock_would_do(
        minute in 0..60_i8,
        hour in 0..24_i8,
        change in prop_oneof![Just("2026-03-28T00:00:00Z"), Just("2026-10-24T00:00:00Z"), Just("2026-04-03T00:00:00Z"), Just("2026-10-02T00:00:00Z"), Just("2026-03-07T00:00:00Z"), Just("2026-10-31T00:00:00Z")],
        zone in prop_oneof![Just("UTC"), Just("Europe/Berlin"), Just("America/New_York"), Just("Australia/Lord_Howe"), Just("America/Havana"), Just("Africa/Cairo")],
    ) {
        let (zone, from) = (zone_named(zone), time(change));
        let expected = minute_by_minute(minute, hour, from, 4, &zone);
        let schedule = schedule(&format!("{minute} {hour} * * *"));
        let mut at = from;
        for expected in expected {
            at = schedule.next_after(at, &zone).unwrap();
            prop_assert_eq!(at, expected);
        }
    }

    #[test]
    fn an_hourly_schedule_comes_whenever_the_clock_shows_that_minute(
        minute in 0..60_i8,
        change in prop_oneof![Just("2026-03-28T20:00:00Z"), Just("2026-10-24T20:00:00Z"), Just("2026-04-04T10:00:00Z"), Just("2026-10-03T10:00:00Z")],
        zone in prop_oneof![Just("UTC"), Just("Europe/Berlin"), Just("Australia/Lord_Howe")],
    ) {
        let (zone, from) = (zone_named(zone), time(change));
        let schedule = schedule(&format!("{minute} * * * *"));
        let mut at = from;
        for minutes in 1..=24 * 60 {
            let moment = from.checked_add(SignedDuration::from_mins(minutes)).unwrap();
            if zone.to_datetime(moment).minute() == minute {
                at = schedule.next_after(at, &zone).unwrap();
                prop_assert_eq!(at, moment);
            }
        }
    }

    #[test]
    fn the_next_time_is_later_and_nothing_lies_between(
        text in prop_oneof![Just("*/7 * * * *"), Just("30 2 * * *"), Just("0 */5 * * *"), Just("59 23 * * 6"), Just("0 0 1 * *"), Just("15,45 1-3 * * *")],
        second in 0..2_000_000_000_i64,
        gap in 0..3_000_000_i64,
        zone in prop_oneof![Just("Europe/Berlin"), Just("Australia/Lord_Howe"), Just("Africa/Casablanca"), Just("America/Santiago")],
    ) {
        let (schedule, zone) = (schedule(text), zone_named(zone));
        let from = Timestamp::from_second(second).unwrap();
        let next = schedule.next_after(from, &zone).unwrap();
        prop_assert!(next > from);
        // Asked from anywhere between, it is the same one.
        let between = from.checked_add(SignedDuration::from_secs(gap)).unwrap();
        if between < next {
            prop_assert_eq!(schedule.next_after(between, &zone), Some(next));
        }
    }

    #[test]
    fn whoever_does_what_the_plan_says_makes_each_backup_once(
        jitter in 0..4000_u64,
        steps in prop::collection::vec(1..30_000_i64, 1..80),
        text in prop_oneof![Just("30 2 * * *"), Just("0 * * * *"), Just("0 3 * * 1")],
    ) {
        let mut house = House { schedule: schedule(text), jitter: Duration::from_secs(jitter), ..House::new() };
        let berlin = zone_named("Europe/Berlin");
        let mut now = time("2026-11-23T12:00:00Z");
        house.past.last_attempt = Some(now);
        house.past.last_success = Some(now);
        for step in steps {
            now = now.checked_add(SignedDuration::from_secs(step)).unwrap();
            let plan = house.at(now);
            let last = house.past.last_attempt.unwrap();
            let regular = house.schedule.next_after(last, &berlin).unwrap();
            prop_assert!(plan.next_at.unwrap() >= regular);
            prop_assert_eq!(plan.due, plan.next_at.unwrap() <= now);
            if plan.due {
                house.past.last_attempt = Some(now);
                house.past.last_success = Some(now);
                prop_assert!(!house.at(now).due);
                prop_assert_eq!(house.at(now).overdue_since, None);
            }
        }
    }
}
