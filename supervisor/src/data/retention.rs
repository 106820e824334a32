//! Which generations are no longer kept?
//!
//! A pure decision over what is there. In doubt everything is kept: what state.json does not know, what has a time
//! that cannot be read, and everything while the clock is behind (a Raspberry Pi has none of its own) or while it is
//! not clear which generation is live. A time in the future was recorded while the clock was ahead; the time at which the next
//! generation was made counts in its place.

use std::time::{Duration, SystemTime};

use super::{
    GenerationId,
    state::Snapshot,
    view::{Live, View},
};

/// When this version was begun, in seconds since the epoch: 1 November 2026. A clock that shows an earlier time is behind, as
/// that of a machine without a battery is after each start.
pub const EARLIEST: i64 = 1_793_491_200;

/// Returns the generations that may go, oldest first. Kept are the last `keep` snapshots, and any that the household
/// wrote to within `keep_written`: four trial restores in an hour must not push out the only one with the writes.
pub fn retire(view: &View, now: SystemTime, keep: usize, keep_written: Duration) -> Vec<GenerationId> {
    let (Live::Generation(live), Some(state)) = (&view.live, &view.state) else { return Vec::new() };
    let earliest = SystemTime::UNIX_EPOCH + Duration::from_secs(EARLIEST.unsigned_abs());
    if now < earliest && times(view).any(|(_, time)| now < time) {
        return Vec::new();
    }
    let written = |snapshot: &Snapshot, written: &str| {
        let written = humantime::parse_rfc3339(written).ok()?;
        if written <= now {
            return Some(written);
        }
        times(view).filter(|(id, time)| *id > snapshot.generation && *time <= now).map(|(_, time)| time).min()
    };
    let mut snapshots: Vec<_> = view
        .generations
        .iter()
        .filter(|generation| !generation.staging && generation.id != *live)
        .filter_map(|generation| state.snapshots.iter().find(|snapshot| snapshot.generation == generation.id))
        .collect();
    snapshots.sort_by_key(|snapshot| snapshot.generation);
    snapshots.truncate(snapshots.len().saturating_sub(keep));
    snapshots
        .into_iter()
        .filter(|snapshot| match &snapshot.written_at {
            None => true,
            Some(at) => {
                written(snapshot, at).and_then(|at| now.duration_since(at).ok()).is_some_and(|ago| ago > keep_written)
            }
        })
        .map(|snapshot| snapshot.generation)
        .collect()
}

/// Returns the times that documents tell of, each with the generation that it is about.
fn times(view: &View) -> impl Iterator<Item = (GenerationId, SystemTime)> {
    let snapshots = view.state.iter().flat_map(|state| &state.snapshots);
    let snapshots = snapshots.flat_map(|snapshot| {
        std::iter::once(&snapshot.left_at).chain(&snapshot.written_at).map(|time| (snapshot.generation, time))
    });
    let sealed = view.generations.iter().filter_map(|generation| {
        generation.description.as_ref().map(|description| (generation.id, &description.sealed_at))
    });
    snapshots.chain(sealed).filter_map(|(id, time)| Some((id, humantime::parse_rfc3339(time).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{
        state::{FORMAT, Reason, Snapshot, State},
        view::Generation,
    };

    const DAY: u64 = 24 * 60 * 60;

    /// The present of the tests, a whole number of days since the epoch.
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(20_000 * DAY)
    }

    fn days_ago(days: i64) -> String {
        let time = if days < 0 {
            now() + Duration::from_secs(days.unsigned_abs() * DAY)
        } else {
            now() - Duration::from_secs(days.unsigned_abs() * DAY)
        };
        humantime::format_rfc3339_seconds(time).to_string()
    }

    /// A view of the live generation and snapshots, each with the days since it was left and was written to.
    fn view(live: u32, snapshots: &[(u32, i64, Option<i64>)]) -> View {
        let generation = |id| Generation {
            id: GenerationId(id),
            staging: false,
            database: true,
            unclean: false,
            bytes: 1,
            description: None,
        };
        let mut generations: Vec<_> = snapshots.iter().map(|(id, ..)| generation(*id)).collect();
        if !snapshots.iter().any(|(id, ..)| *id == live) {
            generations.push(generation(live));
        }
        generations.sort_by_key(|generation| generation.id);
        let snapshots = snapshots.iter().map(|(id, left, written)| Snapshot {
            generation: GenerationId(*id),
            left_at: days_ago(*left),
            written_at: written.map(days_ago),
            reason: Reason::Upgrade,
        });
        View {
            live: Live::Generation(GenerationId(live)),
            generations,
            state: Some(State {
                format: FORMAT,
                live: GenerationId(live),
                version: "0.1.0".into(),
                snapshots: snapshots.collect(),
            }),
            ..View::default()
        }
    }

    fn retired(view: &View) -> Vec<u32> {
        retire(view, now(), 3, Duration::from_secs(7 * DAY)).into_iter().map(|id| id.0).collect()
    }

    #[test]
    fn the_last_three_are_kept_and_what_was_lately_written() {
        type Case = (&'static str, u32, &'static [(u32, i64, Option<i64>)], &'static [u32]);
        let cases: &[Case] = &[
            ("nothing there", 1, &[], &[]),
            ("three", 4, &[(1, 30, None), (2, 20, None), (3, 10, None)], &[]),
            ("five", 6, &[(1, 50, None), (2, 40, None), (3, 30, None), (4, 20, None), (5, 10, None)], &[1, 2]),
            ("written to long ago", 5, &[(1, 50, Some(40)), (2, 3, None), (3, 2, None), (4, 1, None)], &[1]),
            ("written to within the week", 5, &[(1, 6, Some(6)), (2, 3, None), (3, 2, None), (4, 1, None)], &[]),
            ("written to exactly a week ago", 5, &[(1, 7, Some(7)), (2, 3, None), (3, 2, None), (4, 1, None)], &[]),
            (
                "trial restores in an hour",
                6,
                &[(1, 0, Some(0)), (2, 0, None), (3, 0, None), (4, 0, None), (5, 0, None)],
                &[2],
            ),
            (
                "live pointed to an old one by hand",
                1,
                &[(1, 50, None), (2, 40, None), (3, 30, None), (4, 20, None), (5, 10, None)],
                &[2],
            ),
            ("left while the clock is behind", 5, &[(1, 50, None), (2, 40, None), (3, 30, None), (4, -1, None)], &[]),
            ("written to then", 5, &[(1, 50, None), (2, 40, None), (3, 30, Some(-1)), (4, 20, None)], &[]),
        ];
        for (name, live, snapshots, gone) in cases {
            assert_eq!(&retired(&view(*live, snapshots)), gone, "{name}");
        }
    }

    #[test]
    fn what_is_not_known_or_carries_a_marker_is_kept() {
        let four = [(1, 50, None), (2, 40, None), (3, 30, None), (4, 20, None)];
        let mut unknown = view(5, &four);
        unknown.state.as_mut().unwrap().snapshots.remove(0);
        assert_eq!(retired(&unknown), [0; 0]);
        let mut marked = view(5, &four);
        marked.generations[0].staging = true;
        assert_eq!(retired(&marked), [0; 0]);
        let mut stateless = view(5, &four);
        stateless.state = None;
        assert_eq!(retired(&stateless), [0; 0]);
        let mut gone = view(5, &four);
        gone.generations.remove(1);
        assert_eq!(retired(&gone), [0; 0], "one that is not there does not count");
        let mut unreadable = view(5, &four);
        unreadable.state.as_mut().unwrap().snapshots[0].written_at = Some("some day".into());
        assert_eq!(retired(&unreadable), [0; 0]);
    }

    #[test]
    fn nothing_goes_while_live_is_in_doubt() {
        for live in [Live::Missing, Live::NotALink, Live::Dangling("x".into()), Live::Elsewhere("x".into())] {
            let mut view = view(5, &[(1, 50, None), (2, 40, None), (3, 30, None), (4, 20, None)]);
            view.live = live;
            assert_eq!(retired(&view), [0; 0]);
        }
    }

    #[test]
    fn a_snapshot_of_a_clock_that_was_ahead_stops_nothing_once_the_clock_is_right() {
        // A thousand days on, the clock can be right: this version exists.
        let now = now() + Duration::from_secs(1000 * DAY);
        let retired = |snapshots: &[(u32, i64, Option<i64>)]| {
            let retired = retire(&view(9, snapshots), now, 3, Duration::from_secs(7 * DAY));
            retired.into_iter().map(|id| id.0).collect::<Vec<_>>()
        };
        let ago = |days: i64| days - 1000;
        let (one, two, three, four) = (ago(50), ago(40), ago(30), ago(20));
        assert_eq!(retired(&[(1, one, None), (2, two, None), (3, three, None), (4, ago(-900), None)]), [1]);
        let written = |written| retired(&[(1, one, Some(written)), (2, two, None), (3, three, None), (4, four, None)]);
        assert_eq!(written(ago(-900)), [1], "it was written to before 0002 was left, forty days ago");
        assert_eq!(written(ago(45)), [1]);
        let lately = [(1, ago(-900), Some(ago(-900))), (2, ago(2), None), (3, ago(1), None), (4, ago(0), None)];
        assert_eq!(retired(&lately), [0; 0], "perhaps two days ago");
    }
}
