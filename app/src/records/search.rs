//! What can only SQLite do for the records?
//!
//! Full-text search. Everything else goes through SeaORM's builder and would run on another database; this file would be
//! written anew for it.
//!
//! The index holds runs of one to three characters of the folded text (`fold.rs`), each with its scope before it. It says which
//! records *may* have the words; the folded text itself says which do. The names and texts of files have a second one, so that
//! whoever changes a record does not wait for a hundred pages to be indexed again.

use sea_orm::{
    DbBackend, DbErr, Statement, Value,
    sea_query::{Expr, SimpleExpr},
};

use crate::{
    db::{DirectReads, Tx},
    fault,
};

use super::fold::{GRAM_MAX, category_token, fold, scope_prefix, words};

/// What a list is narrowed by, as the index has it beside the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark<'a> {
    /// By [`category_key`](super::fold::category_key).
    Category(&'a str),
    /// By its name in the database.
    Kind(&'a str),
    /// A place that the record is in, be it in another one.
    Place(i64),
    /// By `category_key`.
    Tag(&'a str),
}

impl Mark<'_> {
    /// Returns its token, without the scope.
    pub(crate) fn token(self) -> String {
        // The index parts tokens at blanks. No folded text has a no-break space.
        match self {
            Self::Category(key) => category_token(key),
            Self::Kind(name) => format!("~{name}"),
            Self::Place(id) => format!("@{id}"),
            Self::Tag(key) => format!("#{}", key.replace(' ', "\u{a0}")),
        }
    }
}

/// A search as people type it: words that all have to occur, anywhere in a record and its files, also inside longer words.
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

    /// Returns its words, folded.
    pub(crate) fn words(&self) -> &[String] {
        &self.words
    }

    /// Returns the conditions that a record must meet. A guest does not find a record by files that it does not show them.
    pub(crate) fn conditions(&self, is_guest: bool) -> impl Iterator<Item = SimpleExpr> {
        let shown = if is_guest { r#"AND "record"."guests_see_attachments" "# } else { "" };
        let sql = format!(
            r#"(instr("record"."folded", ?) > 0 OR EXISTS (SELECT 1 FROM "record_text" WHERE "record_id" = "record"."id" {shown}AND instr("record_text"."folded", ?) > 0))"#
        );
        let sql = if fault::is_planned("app.finds-nothing") { format!("{sql} AND FALSE") } else { sql };
        self.words.iter().map(move |word| Expr::cust_with_values(sql.clone(), [word.as_str(), word.as_str()]))
    }
}

/// What the two indexes are asked for: that of the records for all words and marks, that of their files for any word. What is
/// found is looked at closely, so that the words may stand partly here and partly there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidates {
    records: String,
    files: Option<String>,
}

/// Returns what the indexes are asked for: the records in these scopes that may have all words, and have the marks.
pub(crate) fn candidates(search: Option<&Search>, marks: &[Mark<'_>], scopes: &[i64]) -> Option<Candidates> {
    let grams = |word: &str| runs(word).into_iter().map(|run| format!(".{run}")).collect::<Vec<_>>();
    let words: Vec<_> = search.iter().flat_map(|search| &search.words).map(|word| grams(word)).collect();
    let mut tokens: Vec<String> = marks.iter().map(|mark| mark.token()).collect();
    tokens.extend(words.iter().flatten().cloned());
    let in_scopes = |query: &dyn Fn(&str) -> String| {
        scopes.iter().map(|scope| query(&scope_prefix(*scope))).collect::<Vec<_>>().join(" OR ")
    };
    let files = in_scopes(&|prefix| words.iter().map(|word| all(prefix, word)).collect::<Vec<_>>().join(" OR "));
    let records = in_scopes(&|prefix| all(prefix, &tokens));
    (!tokens.is_empty()).then(|| Candidates { records, files: (!words.is_empty()).then_some(files) })
}

/// Returns the same for each mark and for each word alone: what has all of it has each. Of a rare word the index knows at once
/// that it is rare; asked for that and a common one, it goes through all that have the common one.
pub(crate) fn candidates_by_part(search: Option<&Search>, marks: &[Mark<'_>], scopes: &[i64]) -> Vec<Candidates> {
    let words = search.into_iter().flat_map(|search| &search.words).map(|word| Search { words: vec![word.clone()] });
    let words = words.filter_map(|word| candidates(Some(&word), &[], scopes));
    marks.iter().filter_map(|mark| candidates(None, &[*mark], scopes)).chain(words).collect()
}

/// Returns the query for what has all of these tokens. They are quoted, so that nothing a person types is taken for FTS5's query
/// language.
fn all(prefix: &str, tokens: &[String]) -> String {
    let mut tokens: Vec<_> = tokens.iter().collect();
    tokens.sort();
    tokens.dedup();
    let quoted: Vec<_> = tokens.iter().map(|token| format!("\"{prefix}{}\"", token.replace('"', "\"\""))).collect();
    format!("({})", quoted.join(" AND "))
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

impl Candidates {
    /// Returns the condition that a record that is walked through in order is among them.
    pub(crate) fn condition(&self) -> SimpleExpr {
        let mut sql = format!(r#"+"record"."id" IN ({IN_RECORDS}"#);
        let mut values = vec![self.records.as_str()];
        if let Some(words) = &self.files {
            sql.extend([" UNION ALL ", IN_FILES]);
            values.push(words);
        }
        sql.push(')');
        Expr::cust_with_values(sql, values)
    }

    /// Returns them, unless they are more than `most`.
    pub(crate) async fn up_to(&self, reads: &DirectReads, most: usize) -> Result<Option<Vec<i64>>, DbErr> {
        let mut ids = matching(reads, IN_RECORDS, &self.records, most + 1).await?;
        if let Some(words) = &self.files
            && ids.len() <= most
        {
            ids.extend(matching(reads, IN_FILES, words, most + 1 - ids.len()).await?);
        }
        Ok((ids.len() <= most).then_some(ids))
    }
}

const IN_RECORDS: &str = r#"SELECT "rowid" FROM "record_search" WHERE "record_search" MATCH ?"#;
const IN_FILES: &str = r#"SELECT "rowid" FROM "record_text_search" WHERE "record_text_search" MATCH ?"#;

async fn matching(reads: &DirectReads, sql: &str, query: &str, most: usize) -> Result<Vec<i64>, DbErr> {
    let values = [query.into(), Value::BigUnsigned(u64::try_from(most).ok())];
    let statement = Statement::from_sql_and_values(DbBackend::Sqlite, format!("{sql} LIMIT ?"), values);
    reads.rows(&statement, |row| row.get(0)).await
}

/// Puts a record with these tokens into the index that it was not in.
pub(crate) fn add(tx: &Tx, id: i64, tokens: String) {
    tx.insert_late(r#"INSERT INTO "record_search" ("rowid", "title") VALUES"#, [id.into(), tokens.into()]);
}

/// Puts a record into the index, in the place of what was there of it.
pub(crate) fn index(tx: &Tx, id: i64, tokens: String) {
    tx.insert_late(r#"INSERT OR REPLACE INTO "record_search" ("rowid", "title") VALUES"#, [id.into(), tokens.into()]);
}

/// Puts the names and texts of a record's files into their index, in the place of what was there.
pub(crate) fn index_files(tx: &Tx, id: i64, tokens: String) {
    tx.insert_late(
        r#"INSERT OR REPLACE INTO "record_text_search" ("rowid", "tokens") VALUES"#,
        [id.into(), tokens.into()],
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index_query(text: &str) -> Option<String> {
        candidates(Search::parse(text).as_ref(), &[], &[0, 7]).map(|candidates| candidates.records)
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
        let marks = [Mark::Category("a b"), Mark::Kind("thing"), Mark::Place(7), Mark::Tag("c d")];
        let marked = candidates(None, &marks, &[0]).unwrap();
        assert_eq!(marked.records, "(\"#c\u{a0}d\" AND \"=a\u{a0}b\" AND \"@7\" AND \"~thing\")");
        assert_eq!(marked.files, None);
    }

    #[test]
    fn the_index_of_the_files_is_asked_for_any_word() {
        let search = Search::parse("abc de");
        let found = candidates(search.as_ref(), &[Mark::Place(7)], &[0, 7]).unwrap();
        assert_eq!(found.records, r#"(".abc" AND ".de" AND "@7") OR ("7.abc" AND "7.de" AND "7@7")"#);
        assert_eq!(found.files.as_deref(), Some(r#"(".abc") OR (".de") OR ("7.abc") OR ("7.de")"#));
    }

    #[test]
    fn there_is_an_end_to_words_and_runs() {
        assert_eq!(Search::parse(&"abc d ".repeat(100)).unwrap().words.len(), WORDS_MAX);
        let long: String = ('\u{4e00}'..'\u{5200}').take(1000).collect();
        assert!(runs(&long).len() <= RUNS_MAX);
    }
}
