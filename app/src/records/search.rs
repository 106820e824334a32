//! What can only SQLite do for the records?
//!
//! Full-text search, and text in an order that ignores case. Everything else goes through SeaORM's builder and
//! would run on another database; this file would be written anew for it.

use sea_orm::{
    Condition,
    sea_query::{Expr, SimpleExpr},
};

/// A search as people type it: words that all have to occur, anywhere in title, category or notes, also inside
/// longer words; case and accents do not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Search {
    /// Words for the trigram index, which knows sequences of three characters and more.
    indexed: Vec<String>,
    /// Shorter words, such as most of Chinese and Japanese; they are looked for in the text itself.
    short: Vec<String>,
}

/// More words than that are no search but an attempt to keep SQLite busy; the rest is ignored.
const WORDS_MAX: usize = 16;

impl Search {
    /// Returns the search for these words, or none when there are none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let words =
            text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).take(WORDS_MAX);
        let (indexed, short): (Vec<_>, Vec<_>) = words.map(str::to_owned).partition(|word| has_trigram(word));
        (!indexed.is_empty() || !short.is_empty()).then_some(Self { indexed, short })
    }

    /// Returns the condition that a record must meet.
    pub(crate) fn condition(&self) -> Condition {
        let mut all = Condition::all();
        if !self.indexed.is_empty() {
            // Quoted, so that nothing a person types is taken for FTS5's query language.
            let quoted: Vec<_> = self.indexed.iter().map(|word| format!("\"{}\"", word.replace('"', "\"\""))).collect();
            all = all.add(Expr::cust_with_values(
                r#""record"."id" IN (SELECT "rowid" FROM "record_search" WHERE "record_search" MATCH ?)"#,
                [quoted.join(" AND ")],
            ));
        }
        for word in &self.short {
            all = all.add(anywhere(word));
        }
        all
    }
}

/// Text in alphabetical order whatever its case; the index on it has the same collation.
pub(crate) fn alphabetical_title() -> SimpleExpr {
    Expr::cust(r#""record"."title" COLLATE NOCASE"#)
}

/// Whether the trigram tokenizer finds at least one token in a word. It drops combining marks
/// (`remove_diacritics`), so those do not count.
fn has_trigram(word: &str) -> bool {
    word.chars().filter(|c| !('\u{300}'..='\u{36f}').contains(c)).count() >= 3
}

/// Every letter of a word in lower and in upper case. Such words have two letters at most, combining marks apart, so
/// these are few; of anything longer only all lower and all upper case are given.
fn in_any_case(word: &str) -> Vec<String> {
    const LETTERS: usize = 4;
    if word.chars().count() > LETTERS {
        return vec![word.to_owned(), word.to_lowercase(), word.to_uppercase()];
    }
    let mut spellings = vec![String::new()];
    for letter in word.chars() {
        let cases = [letter.to_lowercase().to_string(), letter.to_uppercase().to_string()];
        spellings = spellings.iter().flat_map(|begun| cases.iter().map(move |case| format!("{begun}{case}"))).collect();
    }
    spellings.sort();
    spellings.dedup();
    spellings
}

/// The word in any of the three columns. LIKE ignores case for ASCII only, so other letters are tried both ways.
fn anywhere(word: &str) -> Condition {
    let mut spellings = vec![word.to_owned()];
    if !word.is_ascii() {
        spellings = in_any_case(word);
    }
    let mut any = Condition::any();
    for spelling in spellings {
        let pattern = format!("%{}%", spelling.replace('!', "!!").replace('%', "!%").replace('_', "!_"));
        for column in ["title", "category", "notes"] {
            any =
                any.add(Expr::cust_with_values(format!(r#""record"."{column}" LIKE ? ESCAPE '!'"#), [pattern.clone()]));
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> (Vec<String>, Vec<String>) {
        Search::parse(text).map(|search| (search.indexed, search.short)).unwrap_or_default()
    }

    #[test]
    fn words_go_where_they_can_be_found() {
        assert_eq!(words(""), (vec![], vec![]));
        assert_eq!(words(" \t\u{3000}"), (vec![], vec![]));
        assert_eq!(words("car insurance"), (vec!["car".into(), "insurance".into()], vec![]));
        assert_eq!(words("保险 car"), (vec!["car".into()], vec!["保险".into()]));
        // Four characters, of which the index sees two.
        assert_eq!(words("e\u{301}e\u{301}"), (vec![], vec!["e\u{301}e\u{301}".into()]));
        assert_eq!(words("a\0b"), (vec![], vec!["a".into(), "b".into()]));
    }

    #[test]
    fn there_is_an_end_to_words() {
        let (indexed, short) = words(&"abc d ".repeat(100));
        assert_eq!(indexed.len() + short.len(), WORDS_MAX);
    }
}
