//! How does a time read?
//!
//! As how long ago it was; the exact moment, as people's clocks show it, is its title.

use maud::{Markup, html};

use crate::datetime::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Returns a moment as how long ago it was, or how long it is until then.
pub(crate) fn timestamp(timestamp: Timestamp) -> Markup {
    html! {
        time datetime=(timestamp) title=(timestamp.exact()) { (words_of(timestamp, Timestamp::now())) }
    }
}

/// Returns the words for a moment, seen from another one.
fn words_of(timestamp: Timestamp, now: Timestamp) -> String {
    let seconds = now.unix() - timestamp.unix();
    // What was made a moment ago for seven days ends in seven days, not in six.
    let whole = |unit| if seconds < 0 { (-seconds + unit - 1) / unit } else { seconds / unit };
    let time = match seconds.abs() {
        length if length < MINUTE => return if seconds < 0 { "in a moment" } else { "just now" }.to_owned(),
        length if length < HOUR => counted(whole(MINUTE), "minute"),
        length if length < 2 * DAY => counted(whole(HOUR), "hour"),
        length if length < 100 * DAY => counted(whole(DAY), "day"),
        _ => return format!("on {}", &timestamp.short()[..10]),
    };
    if seconds < 0 { format!("in {time}") } else { format!("{time} ago") }
}

fn counted(number: i64, unit: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    #[test]
    fn a_moment_reads_as_how_long_ago_it_was() {
        let now: Timestamp = "2026-11-24T12:00:00.000Z".parse().unwrap();
        let ago = |time| words_of(now.before(time), now);
        assert_eq!(ago(Duration::seconds(59)), "just now");
        assert_eq!(ago(Duration::seconds(61)), "1 minute ago");
        assert_eq!(ago(Duration::hours(5)), "5 hours ago");
        assert_eq!(ago(Duration::days(3)), "3 days ago");
        assert_eq!(ago(Duration::days(365)), "on 2025-11-24");
        assert_eq!(words_of(now.after(Duration::days(7)), now), "in 7 days");
        assert_eq!(words_of(now.after(Duration::hours(163)), now), "in 7 days");
        assert_eq!(words_of(now.after(Duration::minutes(2)), now), "in 2 minutes");
        assert_eq!(words_of(now.after(Duration::days(365)), now), "on 2027-11-24");
    }
}
