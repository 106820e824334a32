//! Does a text have the form of a schedule?
//!
//! PID 1 checks its form alone. Jobs determine when it is due (`work/backup/schedule.rs`).

/// What is allowed, as the end of a sentence.
pub(crate) const ALLOWED: &str = "it must be off, or five fields of numbers, names, and * , - / as in crontab: minute, hour, day \
                                  of the month, month, day of the week (0 3 * * * is each night at three)";

/// The smallest and largest number of each field, and the names that may stand for numbers.
const FIELDS: [(u8, u8, &[&str]); 5] = [
    (0, 59, &[]),
    (0, 23, &[]),
    (1, 31, &[]),
    (1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    (0, 7, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

/// Returns the five fields of a schedule; nothing for `off`. What is beyond crontab(5) (L, W, #, ?) is refused, since it is not
/// the same in any two programs.
pub(crate) fn fields(text: &str) -> Result<Option<[&str; 5]>, String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    let count = fields.len();
    let Ok(fields) = <[&str; 5]>::try_from(fields) else {
        return Err(format!("{text:?} has {count} field{}; {ALLOWED}", if count == 1 { "" } else { "s" }));
    };
    for (field, (from, to, names)) in fields.iter().zip(FIELDS) {
        if !field.split(',').all(|part| is_part(part, from, to, names)) {
            return Err(format!("the field {field:?} cannot be read; {ALLOWED}"));
        }
    }
    Ok(Some(fields))
}

/// Whether this is one member of a field's list: `*`, a value or a range, perhaps with a step.
fn is_part(part: &str, from: u8, to: u8, names: &[&str]) -> bool {
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u8>().ok()).flatten();
    let is_value = |text: &str| {
        number(text).is_some_and(|number| (from..=to).contains(&number))
            || names.iter().any(|name| name.eq_ignore_ascii_case(text))
    };
    let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
    let right = match range.split_once('-') {
        _ if range == "*" => true,
        Some((first, last)) => {
            let backwards = number(first).zip(number(last)).is_some_and(|(first, last)| first > last);
            is_value(first) && is_value(last) && !backwards
        }
        None => is_value(range),
    };
    right && step.is_none_or(|step| number(step).is_some_and(|step| step > 0))
}
