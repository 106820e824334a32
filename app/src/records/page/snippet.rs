//! Where in a record were the words of a search found?
//!
//! Title, category and tags stand in the list anyway. What was found in the notes or in a field is shown with a few words around it,
//! and what was found in a file as the search has that text: in small letters, without accents.

use std::collections::HashMap;

use maud::{Markup, html};
use sea_orm::{DbBackend, DbErr, Statement};

use crate::{
    db::DirectReads,
    records::{details::Details, entity::Model, fold::fold, search::Search, store::Viewer},
};

/// Characters that stand before the first word that was found.
const BEFORE: usize = 40;
/// Characters of a snippet.
const LONGEST: usize = 160;
/// Of a long text no more characters are looked through.
const LOOKED_THROUGH: usize = 20_000;
/// A longer line is cut.
const LINE_MAX: usize = 2_000;

/// A piece of a text, and which parts of it were searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::records) struct Snippet {
    is_of_a_file: bool,
    parts: Vec<(String, bool)>,
}

/// What is to be shown of where a record was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// In what stands in the list.
    Shown,
    /// In its notes or fields.
    Text(Snippet),
    /// This word is elsewhere: in one of its files, for instance.
    Elsewhere(String),
}

/// Returns where the words were found in a record.
pub(super) fn find(record: &Model, details: &Details, search: &Search) -> Found {
    let shown = fold(&format!("{}\n{}\n{}", record.title, record.category, details.tags.join("\n")));
    let wanted: Vec<&String> = search.words().iter().filter(|word| !shown.contains(word.as_str())).collect();
    let Some(first) = wanted.first() else { return Found::Shown };
    let end = record.notes.char_indices().nth(LOOKED_THROUGH).map_or(record.notes.len(), |(end, _)| end);
    let fields = details.fields.iter().map(|field| {
        let value = field.money.as_ref().map_or_else(|| field.value.replace('\n', " "), ToString::to_string);
        format!("{}: {value}", field.label)
    });
    let lines = record.notes[..end].lines().map(str::to_owned).chain(fields);
    let found = |line: &String| {
        let folded = fold(line);
        wanted.iter().filter(|word| folded.contains(word.as_str())).count()
    };
    let mut best: Option<(usize, String)> = None;
    for line in lines {
        let number = found(&line);
        // Of lines with as many of the words, the first.
        if number > best.as_ref().map_or(0, |(most, _)| *most) {
            best = Some((number, line));
        }
    }
    match best {
        Some((_, line)) => Found::Text(Snippet { is_of_a_file: false, parts: cut(&line, false, search.words()) }),
        None => Found::Elsewhere((*first).clone()),
    }
}

/// Returns for each of these records where the words were found, unless that stands in the list anyway.
pub(super) async fn of_records(
    reads: &DirectReads,
    viewer: Viewer,
    records: &[Model],
    details: &HashMap<i64, Details>,
    search: &Search,
) -> Result<HashMap<i64, Snippet>, DbErr> {
    let (mut snippets, none) = (HashMap::new(), Details::default());
    for record in records {
        let snippet = match find(record, details.get(&record.id).unwrap_or(&none), search) {
            Found::Shown => None,
            Found::Text(snippet) => Some(snippet),
            Found::Elsewhere(word) if !viewer.is_guest() || record.guests_see_attachments => {
                in_files(reads, record.id, &word, search).await?
            }
            Found::Elsewhere(_) => None,
        };
        snippets.extend(snippet.map(|snippet| (record.id, snippet)));
    }
    Ok(snippets)
}

/// Returns the text around a word in the files of a record, which the viewer must see.
pub(in crate::records) async fn in_files(
    reads: &DirectReads,
    record_id: i64,
    word: &str,
    search: &Search,
) -> Result<Option<Snippet>, DbErr> {
    let sql = r#"SELECT substr("folded", max(1, "at" - ?), ?), "at" - ? > 1
        FROM (SELECT "folded", instr("folded", ?) AS "at" FROM "record_text" WHERE "record_id" = ?) WHERE "at" > 0"#;
    let (before, most) = (BEFORE as i64, LONGEST as i64 * 2);
    let values = [before.into(), most.into(), before.into(), word.into(), record_id.into()];
    let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, values);
    let found: Option<(String, bool)> = reads.rows(&statement, |row| Ok((row.get(0)?, row.get(1)?))).await?.pop();
    Ok(found.map(|(text, is_cut)| {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Snippet { is_of_a_file: true, parts: cut(&text, is_cut, search.words()) }
    }))
}

/// Returns the piece of a line around the first of these words, with all of them marked. `is_cut`: its beginning was cut off.
fn cut(line: &str, is_cut: bool, words: &[String]) -> Vec<(String, bool)> {
    let letters: Vec<char> = line.chars().take(LINE_MAX).collect();
    // Letter by letter, so that it is known which letter of the line each of the folded text comes from.
    let (mut folded, mut origin) = (String::new(), Vec::new());
    for (number, letter) in letters.iter().enumerate() {
        folded.push_str(&fold(letter.encode_utf8(&mut [0; 4])));
        origin.resize(folded.len(), number);
    }
    let mut is_marked = vec![false; letters.len()];
    for word in words.iter().filter(|word| !word.is_empty()) {
        for (start, found) in folded.match_indices(word.as_str()) {
            let (first, last) = (origin[start], origin[start + found.len() - 1]);
            is_marked[first..=last].fill(true);
        }
    }
    let first = is_marked.iter().position(|is_marked| *is_marked).unwrap_or_default();
    let is_cut = is_cut || first > BEFORE;
    let near = first.saturating_sub(BEFORE);
    // Not in the middle of a word.
    let blank = letters[near..first].iter().position(|letter| letter.is_whitespace()).filter(|_| is_cut);
    let start = blank.map_or(near, |blank| near + blank + 1);
    let end = (start + LONGEST).min(letters.len());
    let mut parts: Vec<(String, bool)> = Vec::new();
    for at in start..end {
        match parts.last_mut() {
            Some((text, marked)) if *marked == is_marked[at] => text.push(letters[at]),
            _ => parts.push((letters[at].to_string(), is_marked[at])),
        }
    }
    if is_cut {
        parts.insert(0, ("…".to_owned(), false));
    }
    if end < letters.len() || letters.len() == LINE_MAX {
        parts.push(("…".to_owned(), false));
    }
    parts
}

impl Snippet {
    pub(super) fn markup(&self) -> Markup {
        html! {
            p.snippet {
                @if self.is_of_a_file { span.quiet { "In a file: " } }
                @for (text, is_marked) in &self.parts {
                    @if *is_marked { mark { (text) } } @else { (text) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{html::for_tests::EVIL, records::fields::Field};

    fn record(notes: &str) -> (Model, Details) {
        let row = Model { title: "Boiler".to_owned(), notes: notes.to_owned(), ..Model::new(None) };
        let field = |label: &str, value: &str| Field {
            key: None,
            label: label.to_owned(),
            value: value.to_owned(),
            money: None,
        };
        (row, Details { fields: vec![field("Serial number", "S-7\nB")], tags: vec!["cellar".to_owned()] })
    }

    fn found(notes: &str, search: &str) -> String {
        let (row, details) = record(notes);
        match find(&row, &details, &Search::parse(search).unwrap()) {
            Found::Shown => "shown".to_owned(),
            Found::Text(snippet) => snippet.markup().into_string(),
            Found::Elsewhere(word) => format!("elsewhere: {word}"),
        }
    }

    #[test]
    fn what_was_found_is_marked_in_the_words_of_the_record() {
        assert_eq!(found("", "boil cellar"), "shown");
        assert_eq!(
            found("Once\nthe Größe of it", "boiler GROSSE"),
            r#"<p class="snippet">the <mark>Größe</mark> of it</p>"#
        );
        assert_eq!(found("", "s-7"), r#"<p class="snippet">Serial number: <mark>S-7</mark> B</p>"#);
        assert_eq!(found("保险合同", "险合"), r#"<p class="snippet">保<mark>险合</mark>同</p>"#);
        assert_eq!(found("one\none two", "two one"), r#"<p class="snippet"><mark>one</mark> <mark>two</mark></p>"#);
        assert_eq!(found("one", "receipt"), "elsewhere: receipt");
    }

    #[test]
    fn a_snippet_is_short_and_never_html() {
        let long = format!("{} needle {}", "word ".repeat(100), "word ".repeat(10_000));
        let snippet = found(&long, "needle");
        assert!(snippet.starts_with(r#"<p class="snippet">…word word"#) && snippet.ends_with("…</p>"), "{snippet}");
        assert!(snippet.contains("<mark>needle</mark>") && snippet.len() < 300, "{snippet}");
        let evil = found(EVIL, "script alert");
        assert!(!evil.contains("<script") && evil.contains("<mark>script</mark>"), "{evil}");
        // A letter that is folded to several, or to none.
        for text in ["\u{ad}\u{ad}needle", "ﬃneedle", "e\u{301}needle", "İneedle\u{200b}", "needle\0"] {
            assert!(found(text, "needle").contains("<mark>"), "{text}");
        }
    }
}
