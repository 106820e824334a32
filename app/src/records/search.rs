//! What can only SQLite do for the records?
//!
//! Full-text search. Everything else goes through SeaORM's builder and would run on another database; this file would be
//! written anew for it.
//!
//! The index holds runs of one to three characters of the folded text (`fold.rs`), each with its scope before it. It says which
//! records *may* have the words; the folded text itself says which do.

use sea_orm::{
    DbBackend, DbErr, Statement,
    sea_query::{Expr, SimpleExpr},
};

use crate::db::{DirectReads, Tx};

use super::fold::{GRAM_MAX, category_token, fold, scope_prefix, words};

/// A search as people type it: words that all have to occur, anywhere in title, category or notes, also inside
/// longer words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Search {
    /// Folded.
    words: Vec<String>,
}

/// More words than that are no search but an attempt to keep SQLite busy; the rest is ignored.
const WORDS_MAX: usize = 16;

/// Of a longer word the index is asked for no more runs than this; the text decides anyway.
const RUNS_MAX: usize = 24;

impl Search {
    /// Returns the search for these words, or none when there are none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let words: Vec<_> = words(&fold(text)).take(WORDS_MAX).map(str::to_owned).collect();
        (!words.is_empty()).then_some(Self { words })
    }

    /// Returns the conditions that a record must meet.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = SimpleExpr> {
        self.words.iter().map(|word| Expr::cust_with_values(r#"instr("record"."folded", ?) > 0"#, [word.as_str()]))
    }
}

/// Returns what the index is asked for: the records in these scopes that may have all words, and have the category.
pub(crate) fn candidates(search: Option<&Search>, category_key: Option<&str>, scopes: &[i64]) -> Option<String> {
    let mut tokens: Vec<String> = category_key.map(category_token).into_iter().collect();
    for word in search.iter().flat_map(|search| &search.words) {
        tokens.extend(runs(word).into_iter().map(|run| format!(".{run}")));
    }
    tokens.sort();
    tokens.dedup();
    let in_scope = |scope: &i64| {
        let prefix = scope_prefix(*scope);
        // Quoted, so that nothing a person types is taken for FTS5's query language.
        let quoted: Vec<_> = tokens.iter().map(|token| format!("\"{prefix}{}\"", token.replace('"', "\"\""))).collect();
        format!("({})", quoted.join(" AND "))
    };
    (!tokens.is_empty()).then(|| scopes.iter().map(in_scope).collect::<Vec<_>>().join(" OR "))
}

/// The runs of characters of which a word consists: itself if it is short.
fn runs(word: &str) -> Vec<&str> {
    let starts: Vec<usize> = word.char_indices().map(|(start, _)| start).chain([word.len()]).collect();
    let number = (starts.len() - 1).saturating_sub(GRAM_MAX) + 1;
    let step = number.div_ceil(RUNS_MAX);
    (0..number)
        .step_by(step)
        .map(|first| &word[starts[first]..starts[(first + GRAM_MAX).min(starts.len() - 1)]])
        .collect()
}

/// Returns the condition that the index has a record among the candidates. The sign keeps SQLite from looking up the records
/// one by one where it is to walk through them in order.
pub(crate) fn is_candidate(candidates: &str, walks: bool) -> SimpleExpr {
    let sign = if walks { "+" } else { "" };
    let members = r#"(SELECT "rowid" FROM "record_search" WHERE "record_search" MATCH ?)"#;
    Expr::cust_with_values(format!(r#"{sign}"record"."id" IN {members}"#), [candidates])
}

/// Counts the candidates, as far as `most`.
pub(crate) async fn count(reads: &DirectReads, candidates: &str, most: u64) -> Result<u64, DbErr> {
    let sql = r#"SELECT count(*) FROM (SELECT 1 FROM "record_search" WHERE "record_search" MATCH ? LIMIT ?)"#;
    let values = [candidates.into(), most.into()];
    let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, values);
    Ok(reads.rows(&statement, |row| row.get(0)).await?.pop().unwrap_or(0))
}

/// Puts a record with these [tokens](super::fold::Folded::tokens) into the index that it was not in.
pub(crate) fn add(tx: &Tx, id: i64, tokens: String) {
    tx.insert_late(r#"INSERT INTO "record_search" ("rowid", "title") VALUES"#, [id.into(), tokens.into()]);
}

/// Puts a record into the index, in the place of what was there of it.
pub(crate) fn index(tx: &Tx, id: i64, tokens: String) {
    tx.insert_late(r#"INSERT OR REPLACE INTO "record_search" ("rowid", "title") VALUES"#, [id.into(), tokens.into()]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index_query(text: &str) -> Option<String> {
        candidates(Search::parse(text).as_ref(), None, &[0, 7])
    }

    #[test]
    fn the_index_is_asked_for_runs_in_each_scope() {
        for nothing in ["", " \t\u{3000}", "\u{ad}"] {
            assert_eq!(index_query(nothing), None);
        }
        assert_eq!(index_query("保险 Öl"), Some(r#"(".ol" AND ".保险") OR ("7.ol" AND "7.保险")"#.to_owned()));
        assert_eq!(index_query("caré"), Some(r#"(".are" AND ".car") OR ("7.are" AND "7.car")"#.to_owned()));
        assert_eq!(index_query("\" OR"), Some(r#"(".""" AND ".or") OR ("7.""" AND "7.or")"#.to_owned()));
        assert_eq!(index_query("a\0b"), Some(r#"(".a" AND ".b") OR ("7.a" AND "7.b")"#.to_owned()));
        assert_eq!(candidates(None, Some("a b"), &[0]), Some("(\"=a\u{a0}b\")".to_owned()));
    }

    #[test]
    fn there_is_an_end_to_words_and_runs() {
        assert_eq!(Search::parse(&"abc d ".repeat(100)).unwrap().words.len(), WORDS_MAX);
        let long: String = ('\u{4e00}'..'\u{5200}').take(1000).collect();
        assert!(runs(&long).len() <= RUNS_MAX);
    }
}
