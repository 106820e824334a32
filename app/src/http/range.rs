//! Which part of a file does a client want?
//!
//! `Range: bytes=…` (RFC 9110, 14). One range is served; a client that names several gets the whole, which is allowed, and so
//! does one whose header cannot be read.

use std::ops::Range;

/// What is sent of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    Range(Range<u64>),
    /// The range begins behind the end.
    None,
}

/// Returns which part of a file of this length a request wants that has these headers. `tag` is the file's entity tag: the part
/// of another file is of no use.
pub(crate) fn part(range: Option<&str>, if_range: Option<&str>, tag: &str, length: u64) -> Part {
    let Some(range) = range.filter(|_| if_range.is_none_or(|known| known == tag)) else { return Part::Whole };
    let Some((from, to)) = range.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Part::Whole;
    };
    let number =
        |text: &str| text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    match (from.trim(), to.trim()) {
        ("", last) => match number(last) {
            None => Part::Whole,
            Some(last) if last == 0 || length == 0 => Part::None,
            Some(last) => Part::Range(length.saturating_sub(last)..length),
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if last < first => Part::Whole,
            (Some(first), _) if first >= length => Part::None,
            (Some(first), Some(last)) => Part::Range(first..length.min(last.saturating_add(1))),
            (Some(first), None) if last.is_empty() => Part::Range(first..length),
            _ => Part::Whole,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_part_of_what_is_there() {
        for (range, expected) in [
            ("bytes=0-0", Part::Range(0..1)),
            ("bytes=0-99", Part::Range(0..10)),
            ("bytes=3-", Part::Range(3..10)),
            ("bytes=9-9", Part::Range(9..10)),
            ("bytes=-4", Part::Range(6..10)),
            ("bytes=-40", Part::Range(0..10)),
            ("bytes=0-18446744073709551615", Part::Range(0..10)),
            ("bytes=10-", Part::None),
            ("bytes=10-20", Part::None),
            ("bytes=-0", Part::None),
            ("bytes=5-3", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=+1-3", Part::Whole),
            ("bytes=99999999999999999999-", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("", Part::Whole),
        ] {
            assert_eq!(part(Some(range), None, "\"a\"", 10), expected, "{range}");
        }
        assert_eq!(part(Some("bytes=0-"), None, "\"a\"", 0), Part::None);
        assert_eq!(part(None, None, "\"a\"", 10), Part::Whole);
    }

    #[test]
    fn a_part_of_another_file_is_of_no_use() {
        assert_eq!(part(Some("bytes=1-2"), Some("\"a\""), "\"a\"", 10), Part::Range(1..3));
        for other in ["\"b\"", "W/\"a\"", "Tue, 24 Nov 2026 12:00:00 GMT"] {
            assert_eq!(part(Some("bytes=1-2"), Some(other), "\"a\"", 10), Part::Whole, "{other}");
        }
    }
}
