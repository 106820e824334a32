//! How is a text spelled so that two spellings of it are found as one?
//!
//! Case, accents, width, ligatures, apostrophes, and the two forms of Unicode are folded away, the same in the records and in
//! what people search for. Whoever changes what comes out raises [`FOLD_VERSION`]; the app then folds every record again at its
//! next start. The app has the same code, and `docs/contracts/folding.json` holds both to it.

use std::sync::LazyLock;

use icu_collator::{Collator, CollatorBorrowed, options::CollatorOptions};
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory, Script},
};

/// Which folding a record was written with: this code with these versions of Unicode and of the collation. 0 is none.
pub const FOLD_VERSION: i64 = 1;

/// What the search needs of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// Title, category and notes, folded, one after the other.
    pub text: String,
    /// The category, folded, with single spaces: equal for equal categories.
    pub category_key: String,
    /// Orders titles as people expect, byte by byte.
    pub title_key: Vec<u8>,
}

impl Folded {
    /// Folds a record.
    pub fn new(title: &str, category: &str, notes: &str) -> Self {
        let text = format!("{}\n{}\n{}", fold(title), fold(category), fold(notes));
        Self { text, category_key: category_key(category), title_key: title_key(title) }
    }

    /// Returns the tokens for the search index, with blanks between them: the category, and those of the text.
    pub fn tokens(&self, scope: i64) -> String {
        let category = format!("{}{}", scope_prefix(scope), category_token(&self.category_key));
        let tokens = tokens(&self.text, scope);
        if tokens.is_empty() { category } else { format!("{category} {tokens}") }
    }
}

/// Returns the tokens of a folded text, with blanks between them: every run of one to three characters of every word. Each begins
/// with its scope, so that a search looks up only what its viewer may see.
pub fn tokens(text: &str, scope: i64) -> String {
    let mut distinct: Vec<&str> = words(text).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let mut grams = Vec::new();
    for word in distinct {
        let ends: Vec<usize> = word.char_indices().map(|(start, c)| start + c.len_utf8()).collect();
        for (first, (start, _)) in word.char_indices().enumerate() {
            grams.extend(ends.iter().skip(first).take(GRAM_MAX).map(|end| &word[start..*end]));
        }
    }
    // Hundreds of them: numbers are compared faster than texts.
    grams.sort_unstable_by_key(|gram| number(gram));
    grams.dedup();
    let scope = scope_prefix(scope);
    let mut tokens = String::new();
    for gram in grams {
        let blank = if tokens.is_empty() { "" } else { " " };
        tokens.extend([blank, &scope, ".", gram]);
    }
    tokens
}

/// Returns a number for a run, in the order of the runs' bytes: three characters have twelve at most.
fn number(gram: &str) -> u128 {
    gram.bytes().fold(0, |number, byte| number << 8 | u128::from(byte)) << (8 * (16 - gram.len()))
}

/// The longest run of characters that the index has.
pub const GRAM_MAX: usize = 3;

/// Returns what the tokens of a scope begin with: 0 is the household, any other number the owner of a private record.
pub fn scope_prefix(scope: i64) -> String {
    if scope == 0 { String::new() } else { scope.to_string() }
}

/// Returns the token of a category, without its scope.
pub fn category_token(key: &str) -> String {
    // The index parts tokens at blanks. No folded text has a no-break space.
    format!("={}", key.replace(' ', "\u{a0}"))
}

/// Returns the words of a folded text.
pub fn words(folded: &str) -> impl Iterator<Item = &str> {
    folded.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty())
}

/// Returns what is equal for two spellings of one category.
pub fn category_key(category: &str) -> String {
    words(&fold(category)).collect::<Vec<_>>().join(" ")
}

/// Returns what orders titles by the Unicode collation algorithm when compared byte by byte.
pub fn title_key(title: &str) -> Vec<u8> {
    static COLLATOR: LazyLock<CollatorBorrowed<'static>> = LazyLock::new(|| {
        Collator::try_new(Default::default(), CollatorOptions::default()).expect("the root collation is compiled in")
    });
    let mut key = Vec::new();
    let Ok(()) = COLLATOR.write_sort_key_to(title, &mut key);
    key
}

/// Returns the text as it is searched. Folding it again changes nothing.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.chars().filter(|c| !is_apostrophe(*c)).map(|c| c.to_ascii_lowercase()).collect();
    }
    // Before what else Unicode makes of them: of ´ it would make a blank with an accent.
    let canonical = DecomposingNormalizerBorrowed::new_nfd().normalize(text);
    let plain: String = canonical.chars().filter(|c| !is_apostrophe(*c)).collect();
    // Some characters fold to what folds again: ㎯ has a division slash in it, ẞ is ß in lower case.
    let once = fold_once(&plain);
    let twice = fold_once(&once);
    if twice == once { once } else { fold_once(&twice) }
}

fn fold_once(text: &str) -> String {
    let (ignorable, category, script) = (
        CodePointSetData::new::<DefaultIgnorableCodePoint>(),
        CodePointMapData::<GeneralCategory>::new(),
        CodePointMapData::<Script>::new(),
    );
    let mut folded = String::with_capacity(text.len());
    // Whether the marks of the last letter are accents, which people leave out.
    let mut has_accents = false;
    for c in DecomposingNormalizerBorrowed::new_nfkd().normalize(text).chars() {
        if c.is_ascii() {
            if !is_apostrophe(c) {
                has_accents = c.is_ascii_alphabetic();
                folded.push(c.to_ascii_lowercase());
            }
            continue;
        }
        if is_apostrophe(c) || ignorable.contains(c) {
            continue;
        }
        if category.get(c) == GeneralCategory::NonspacingMark {
            if !has_accents {
                folded.push(c);
            }
            continue;
        }
        has_accents = matches!(script.get(c), Script::Latin | Script::Greek | Script::Cyrillic);
        match letters(c) {
            Some(letters) => folded.push_str(letters),
            // By way of the capital, so that ı and ς come out as i and σ.
            None => folded.extend(c.to_uppercase().flat_map(char::to_lowercase)),
        }
    }
    ComposingNormalizerBorrowed::new_nfc().normalize(&folded).into_owned()
}

/// Quotation marks that people use as apostrophes, and letters that look like one.
fn is_apostrophe(c: char) -> bool {
    matches!(
        c,
        '\'' | '`' | '´' | '\u{2b9}'..='\u{2bf}' | '\u{2c8}' | '\u{2ca}' | '\u{2cb}' | '\u{374}' | '\u{55a}' | '\u{1fbd}' | '\u{1fbf}'
            | '\u{1fef}' | '\u{1ffd}' | '\u{1ffe}' | '\u{2018}'..='\u{201b}' | '\u{2032}' | '\u{2035}' | '\u{a78b}' | '\u{a78c}' | '\u{ff07}' | '\u{ff40}'
    )
}

/// What people type for letters and signs that Unicode does not decompose.
fn letters(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' | 'ẞ' => "ss",
        'æ' | 'Æ' => "ae",
        'œ' | 'Œ' => "oe",
        'ø' | 'Ø' => "o",
        'ł' | 'Ł' => "l",
        'đ' | 'Đ' | 'ð' | 'Ð' => "d",
        'ħ' | 'Ħ' => "h",
        'ŧ' | 'Ŧ' => "t",
        'þ' | 'Þ' => "th",
        'ı' => "i",
        // Hyphens, dashes and the minus sign; quotation marks.
        '\u{2010}'..='\u{2015}' | '\u{2212}' => "-",
        '\u{201c}'..='\u{201f}' | '«' | '»' | '\u{2033}' => "\"",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `docs/contracts/folding.json`, which the other crate's test reads as well.
    #[test]
    fn the_golden_file_holds() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../docs/contracts/folding.json")).unwrap();
        assert_eq!(golden["version"], FOLD_VERSION, "another folding has another number");
        for case in golden["records"].as_array().unwrap() {
            let text = |name: &str| case[name].as_str().unwrap();
            let folded = Folded::new(text("title"), text("category"), text("notes"));
            assert_eq!(folded.text, text("text"), "{case}");
            assert_eq!(folded.category_key, text("category_key"), "{case}");
            let key: String = folded.title_key.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(key, text("title_key"), "{case}");
            assert_eq!(folded.tokens(case["scope"].as_i64().unwrap()), text("tokens"), "{case}");
        }
        for same in golden["same"].as_array().unwrap() {
            let folded: Vec<String> =
                same.as_array().unwrap().iter().map(|text| fold(text.as_str().unwrap())).collect();
            assert!(folded.iter().all(|one| *one == folded[0]), "{same}: {folded:?}");
        }
        for differ in golden["different"].as_array().unwrap() {
            assert_ne!(fold(differ[0].as_str().unwrap()), fold(differ[1].as_str().unwrap()), "{differ}");
        }
        let order = golden["order"].as_array().unwrap();
        assert!(order.is_sorted_by_key(|title| title_key(title.as_str().unwrap())), "{order:?}");
    }

    /// Every character but those of private planes.
    fn characters() -> impl Iterator<Item = char> {
        ('\0'..'\u{14700}')
            .chain('\u{16800}'..'\u{18d00}')
            .chain('\u{1b000}'..'\u{20000}')
            .chain('\u{e0000}'..'\u{e0200}')
    }

    #[test]
    fn folding_again_changes_nothing() {
        for c in characters() {
            for text in [c.to_string(), format!("eか{c}x")] {
                let folded = fold(&text);
                assert_eq!(fold(&folded), folded, "{text:?} (U+{:04X})", u32::from(c));
            }
        }
    }

    #[test]
    fn a_character_folds_alike_in_every_form_of_unicode() {
        for c in characters() {
            let text = format!("e{c}o");
            let forms = [
                ComposingNormalizerBorrowed::new_nfc().normalize(&text).into_owned(),
                DecomposingNormalizerBorrowed::new_nfd().normalize(&text).into_owned(),
            ];
            for form in forms {
                assert_eq!(fold(&form), fold(&text), "{text:?} (U+{:04X})", u32::from(c));
            }
        }
    }
}
