//! Are the settings usable that only a library can judge: schedules and recipients?

use super::backup::{encryption, schedule::Schedule};
use crate::{
    config::{Meaning, Unchecked},
    failure::{Cause, Failure},
};

/// Returns what is wrong, a failure for each setting.
pub fn check(settings: &[Unchecked]) -> Vec<Failure> {
    let wrong = |Unchecked { key, source, allowed, meaning, texts }: &Unchecked| {
        let wrong = texts.iter().find_map(|text| match meaning {
            Meaning::Schedule => Schedule::parse(text).err(),
            Meaning::Recipient => encryption::check_recipient(text).err(),
        })?;
        let message = format!("{key} (from {source}) cannot be used: {wrong}");
        Some(Failure::new(Cause::Configuration, message).hint(format!("allowed: {allowed}")))
    };
    settings.iter().filter_map(wrong).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(key: &str, meaning: Meaning, text: &str) -> String {
        let setting = Unchecked {
            key: key.to_owned(),
            source: "HEARTH_TEST".to_owned(),
            allowed: "one of these, or off".to_owned(),
            meaning,
            texts: vec![text.to_owned()],
        };
        let wrong = check(&[setting]);
        wrong.iter().map(|failure| format!("{failure} {}", failure.hint.as_deref().unwrap_or_default())).collect()
    }

    #[test]
    fn schedules_and_recipients_are_checked_and_the_wrong_half_of_a_key_is_not_repeated() {
        assert_eq!(words("backup.schedule", Meaning::Schedule, "off"), "");
        assert_eq!(words("backup.drill", Meaning::Schedule, "0 3 * * 1"), "");
        for wrong in ["daily", "0 3 * *", "61 3 * * *", ""] {
            let message = words("backup.schedule", Meaning::Schedule, wrong);
            assert!(
                message.starts_with("backup.schedule (from HEARTH_TEST) cannot be used: ")
                    && message.ends_with("or off"),
                "{message}"
            );
        }
        let secret = "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ";
        let message = words("backup.recipients", Meaning::Recipient, secret);
        assert!(message.starts_with("backup.recipients (from ") && !message.contains("QQQ"), "{message}");
    }
}
