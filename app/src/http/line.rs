//! Which text of one line can everybody read?
//!
//! A name, a title or a token's name stands in lists and in the audit log. It must not be empty to the eye, nor read as another
//! one: no control characters, line separators, marks that turn the direction of text, nor other code points that are not drawn.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, Emoji, EmojiModifier, ExtendedPictographic, GeneralCategory},
};

use super::FieldError;

/// Trims and checks the text of a field of one line, which may be empty.
pub(crate) fn line(field: &'static str, text: &str, max: usize, errors: &mut Vec<FieldError>) -> String {
    let text = text.trim();
    let length = text.chars().count();
    if length > max {
        errors.push(FieldError::new(field, format!("must be at most {max} characters long, not {length}")));
    }
    if let Some(unseen) = first_unseen(text) {
        let why = format!("must be one line without invisible characters (there is U+{:04X})", u32::from(unseen));
        errors.push(FieldError::new(field, why));
    } else if !text.is_empty() && !text.chars().any(is_drawn) {
        errors.push(FieldError::new(field, "must contain a visible character"));
    }
    text.to_owned()
}

/// As [`line`], for a field that must not be empty.
pub(crate) fn filled_line(field: &'static str, text: &str, max: usize, errors: &mut Vec<FieldError>) -> String {
    let text = line(field, text, max, errors);
    if text.is_empty() {
        errors.push(FieldError::new(field, "must not be empty"));
    }
    text
}

/// Returns the first character that nobody sees and that this text has no use for.
pub(crate) fn first_unseen(text: &str) -> Option<char> {
    let letters: Vec<char> = text.chars().collect();
    let at = |place: usize| letters.get(place).copied();
    letters.iter().enumerate().find_map(|(place, &letter)| {
        let before = place.checked_sub(1).and_then(at);
        (is_unseen(letter) && !has_a_use(before, letter, at(place + 1))).then_some(letter)
    })
}

/// Returns whether a character is not drawn, whatever stands around it.
pub(crate) fn is_unseen(letter: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(letter);
    matches!(category, GeneralCategory::Control | GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator)
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(letter)
        || matches!(letter, '\u{fff9}'..='\u{fffb}')
}

/// Returns whether a character that is not drawn changes what is drawn beside it, as it is meant to.
fn has_a_use(before: Option<char>, letter: char, after: Option<char>) -> bool {
    let (Some(before), after) = (before, after.unwrap_or(' ')) else { return false };
    let is_picture = |letter| CodePointSetData::new::<ExtendedPictographic>().contains(letter);
    match letter {
        // An emoji made of several, such as a family; some of its parts carry a skin or a variation selector.
        '\u{200d}' if is_picture(after) => {
            is_picture(before) || before == '\u{fe0f}' || CodePointSetData::new::<EmojiModifier>().contains(before)
        }
        // A character drawn as text or as a picture.
        '\u{fe0e}' | '\u{fe0f}' => CodePointSetData::new::<Emoji>().contains(before),
        // Joiners that spelling needs: within Arabic script, such as Persian, and in the scripts of India and its neighbours.
        '\u{200c}' | '\u{200d}' => joins(before) && joins(after),
        _ => false,
    }
}

fn joins(letter: char) -> bool {
    let is_of_these_scripts = matches!(
        letter,
        '\u{0620}'..='\u{06ff}' | '\u{0750}'..='\u{077f}' | '\u{0900}'..='\u{0dff}' | '\u{1000}'..='\u{109f}'
            | '\u{1780}'..='\u{17ff}'
    );
    is_of_these_scripts && !is_unseen(letter)
}

/// Returns whether there is something to see of a character that stands alone.
fn is_drawn(letter: char) -> bool {
    use GeneralCategory as Category;
    let category = CodePointMapData::<GeneralCategory>::new().get(letter);
    !matches!(
        category,
        Category::SpaceSeparator
            | Category::NonspacingMark
            | Category::EnclosingMark
            | Category::Unassigned
            | Category::PrivateUse
            | Category::Surrogate
            | Category::Format
    ) && !is_unseen(letter)
        // The Braille pattern without dots.
        && letter != '\u{2800}'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> usize {
        let mut errors = Vec::new();
        filled_line("title", text, 20, &mut errors);
        errors.len()
    }

    #[test]
    fn what_nobody_sees_is_refused() {
        for text in [
            "",
            " ",
            "\u{3000}",
            "\u{3164}",
            "\u{115f}",
            "\u{ffa0}",
            "\u{2800}",
            "\u{2800} \u{2800}",
            "\u{301}",
            "\u{200d}",
            "\u{200c}",
            "a\u{200b}b",
            "a\u{ad}b",
            "a\u{200d}b",
            "a\u{2060}",
            "\u{feff}a",
            "a\u{34f}b",
            "a\u{17b4}",
            "a\u{180e}b",
            "a\u{61c}b",
            "a\u{200e}b",
            "a\u{200f}b",
            "a\u{202a}b",
            "a\u{202e}b",
            "a\u{2066}b",
            "a\u{2069}b",
            "a\u{2028}b",
            "a\u{2029}b",
            "a\u{85}b",
            "a\nb",
            "a\tb",
            "a\0b",
            "a\u{7f}b",
            "a\u{9b}b",
            "a\u{fe0f}",
            "a\u{e0041}b",
            "\u{1f3f4}\u{e0067}",
            "a\u{fff9}b",
            "a\u{1d173}b",
            "\u{e000}",
            "\u{200d}\u{1f468}",
            "\u{1f468}\u{200d}",
            "\u{1f468}\u{200d}a",
        ] {
            assert_eq!(errors(text), 1, "{text:?}");
        }
    }

    #[test]
    fn what_people_write_is_taken() {
        for text in [
            "Anna",
            "Zoë",
            "e\u{301}",
            "猫",
            "保険",
            "한국",
            "Γιώργος",
            "ı",
            "1️⃣",
            "❤️",
            "👨‍👩‍👧",
            "👩🏽‍🔧",
            "🏳️‍🌈",
            "a 👨‍👩‍👧 b",
            "!",
            "علی\u{200c}رضا",
            "क्\u{200d}ष",
            "ശ്രീ",
            "ශ්\u{200d}රී",
            "עברית",
            "  trimmed  ",
        ] {
            assert_eq!(errors(text), 0, "{text:?}");
        }
        assert_eq!(errors(&"猫".repeat(20)), 0);
        assert_eq!(errors(&"猫".repeat(21)), 1);
        let mut errors = Vec::new();
        assert_eq!(line("category", " ", 20, &mut errors), "");
        assert!(errors.is_empty(), "a category may be empty");
    }
}
