//! How do glyphs on a page become lines of words?
//!
//! By where they stand: a glyph that begins where the last one ended continues its word, one further right begins a new word, and
//! one above or below begins a new line.

use std::cmp::Ordering;

/// How far right of the last glyph's end a new word begins, as a share of the font's size. Kerning moves letters by a tenth
/// at most; a narrow space is a fifth.
const SPACE: f32 = 0.15;
/// How far up or down a new line begins: an index or a footnote's number stays in its line.
const LINE: f32 = 0.6;
/// How far left of the last glyph's end a new word begins: another column, or the line once more.
const BACK: f32 = 0.7;

/// A point on the page, with the direction and the size of what is written there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) x: f32,
    pub(super) y: f32,
    /// The direction in which the text runs, as a vector of any length.
    pub(super) direction: (f32, f32),
    /// The size of the font on the page.
    pub(super) size: f32,
}

/// The text so far.
pub(super) struct Text {
    text: String,
    characters: usize,
    most: usize,
    /// Where the last glyph ended.
    end: Option<Place>,
}

impl Text {
    pub(super) fn new(most: usize) -> Self {
        Self { text: String::new(), characters: 0, most, end: None }
    }

    /// Whether nothing more is kept.
    pub(super) fn is_full(&self) -> bool {
        self.characters >= self.most
    }

    /// Adds what a glyph means, that stands between these places.
    pub(super) fn add(&mut self, meaning: &str, begin: Place, end: Place) {
        match self.end.map(|last| gap(last, begin)) {
            Some(Gap::None) => {}
            Some(Gap::Word) => self.separate(' '),
            Some(Gap::Line) | None => self.separate('\n'),
        }
        for character in meaning.chars() {
            self.push(character);
        }
        self.end = Some(end);
    }

    /// Ends a page: what follows stands elsewhere.
    pub(super) fn end_page(&mut self) {
        self.end = None;
    }

    /// Returns the text without the blanks at its ends.
    pub(super) fn finish(self) -> String {
        self.text.trim().to_owned()
    }

    fn push(&mut self, character: char) {
        // A word that a soft hyphen has parted is one; ligatures are letters.
        let letters = match character {
            '\u{fb00}' => "ff",
            '\u{fb01}' => "fi",
            '\u{fb02}' => "fl",
            '\u{fb03}' => "ffi",
            '\u{fb04}' => "ffl",
            '\u{fb05}' | '\u{fb06}' => "st",
            '\u{fffd}' | '\u{feff}' => return,
            _ if character.is_whitespace() => return self.separate(' '),
            _ if character.is_control() => return,
            _ => {
                if !self.is_full() {
                    self.text.push(character);
                    self.characters += 1;
                }
                return;
            }
        };
        letters.chars().for_each(|letter| self.push(letter));
    }

    /// Adds a blank, unless there is one.
    fn separate(&mut self, blank: char) {
        if blank == '\n' && self.text.ends_with('\u{ad}') {
            self.text.pop();
            return;
        }
        if blank == '\n' && self.text.ends_with(' ') {
            self.text.pop();
            self.text.push('\n');
        } else if !self.is_full() && !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
            self.text.push(blank);
            self.characters += 1;
        }
    }
}

enum Gap {
    None,
    Word,
    Line,
}

/// Returns what lies between the end of a glyph and the begin of the next.
fn gap(last: Place, next: Place) -> Gap {
    let (x, y) = (next.x - last.x, next.y - last.y);
    let (right, up) = next.direction;
    let length = right.hypot(up);
    let size = next.size.max(last.size).max(f32::MIN_POSITIVE);
    // No direction at all, or none that is a number.
    if length.partial_cmp(&0.0) != Some(Ordering::Greater) {
        return Gap::None;
    }
    let along = (x * right + y * up) / length / size;
    let across = (y * right - x * up) / length / size;
    if across.abs() > LINE {
        Gap::Line
    } else if !(-BACK..=SPACE).contains(&along) {
        Gap::Word
    } else {
        Gap::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f32, y: f32) -> Place {
        Place { x, y, direction: (1.0, 0.0), size: 10.0 }
    }

    #[test]
    fn distance_makes_words_and_lines() {
        let mut text = Text::new(100);
        text.add("Kas", at(0.0, 100.0), at(15.0, 100.0));
        text.add("sen", at(14.2, 100.0), at(30.0, 100.0));
        text.add("bon", at(30.9, 100.0), at(45.0, 100.0));
        text.add("Nr.", at(47.5, 100.0), at(60.0, 100.0));
        text.add(" ", at(60.0, 100.0), at(62.5, 100.0));
        text.add("7", at(62.5, 103.0), at(67.0, 103.0));
        text.add("Gara\u{ad}", at(0.0, 88.0), at(20.0, 88.0));
        text.add("n\u{fb01}e", at(0.0, 76.0), at(20.0, 76.0));
        text.end_page();
        text.add("Seite", at(0.0, 100.0), at(20.0, 100.0));
        assert_eq!(text.finish(), "Kassenbon Nr. 7\nGaranfie\nSeite");
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let mut text = Text::new(5);
        for _ in 0..10 {
            text.add("ab\u{fb03}", at(0.0, 0.0), at(100.0, 0.0));
        }
        assert!(text.is_full());
        assert_eq!(text.finish(), "abffi");
    }

    #[test]
    fn places_that_are_no_numbers_do_no_harm() {
        let mut text = Text::new(100);
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 0.0] {
            let place = Place { x: odd, y: odd, direction: (odd, odd), size: odd };
            text.add("a", place, place);
        }
        assert_eq!(text.finish().replace(['\n', ' '], ""), "aaaaa");
    }
}
