//! What do people see of the records?
//!
//! Figures for `GET /proof`, by which the supervisor compares two versions of the app on one database. They are read by the list, the search
//! and the trash that people use, so that what is wrong there shows here.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
};

use sea_orm::{DbBackend, DbErr, Statement};
use tokio::task::spawn_blocking;

use super::{
    attachments::{ContentStore, is_resolved, of_records},
    details::{self, Details},
    entity::{Model, Visibility},
    history::trash,
    listing::Listing,
    page_query,
    places::{self, tree::Tree},
    search::Search,
    store::Viewer,
    tags,
};
use crate::{
    auth::{entity::user, role::Role},
    datetime::{Day, Timestamp},
    db::DirectReads,
};

/// Records of a page of the list, as it is walked through.
const PAGE: u64 = 500;

/// So many rows of the list are read for views of the whole binder. After that only the first page of a user's list is read; the rest of
/// their view is put together from the household's records and their own.
const ROWS: usize = 20_000;

/// Records that a search finds are counted up to here, and so are those of the trash.
const FOUND: u64 = 500;

/// Words that are searched for.
const WORDS: usize = 8;

/// What is due within so many days is due soon.
const SOON: i64 = 30;

/// The shortest word that is searched for, in characters.
const SHORTEST: usize = 3;

/// What a user sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    /// How many records, and a digest of what they say.
    pub(crate) records: String,
    /// How many were due before that day, and how many are due within 30 days of it.
    pub(crate) overdue: usize,
    pub(crate) due: usize,
    /// How many attachments whose file is there, and a digest of what they are called.
    pub(crate) attachments: String,
}

/// Reads what people see. What a record says is read once, whoever sees it.
pub(crate) struct Views<'a> {
    reads: &'a DirectReads,
    store: &'a ContentStore,
    day: Day,
    tree: Tree,
    known: HashMap<i64, Known>,
    /// What everybody sees, guests too.
    household: Vec<i64>,
    rows: usize,
}

/// A record that somebody sees.
struct Known {
    digest: blake3::Hash,
    due: Option<Day>,
    updated_at: Timestamp,
    guests_see_attachments: bool,
    attachments: usize,
    attached: blake3::Hash,
}

/// Returns who looks when this user does.
pub(crate) fn viewer(user: &user::Model) -> Viewer {
    match user.role {
        Role::Guest => Viewer::guest(),
        _ => Viewer::with_id(user.id),
    }
}

impl<'a> Views<'a> {
    /// Reads what the household shares.
    pub(crate) async fn new(reads: &'a DirectReads, store: &'a ContentStore, day: Day) -> Result<Self, DbErr> {
        let tree = places::store::tree(reads).await?;
        let mut views = Self { reads, store, day, tree, known: HashMap::new(), household: Vec::new(), rows: ROWS };
        views.household = views.walk(Viewer::guest(), None).await?;
        Ok(views)
    }

    /// Returns what somebody sees.
    pub(crate) async fn of(&mut self, viewer: Viewer) -> Result<View, DbErr> {
        let ids = if viewer.is_guest() {
            self.household.clone()
        } else if self.household.len() <= self.rows {
            let ids = self.walk(viewer, None).await?;
            self.rows = self.rows.saturating_sub(ids.len());
            ids
        } else {
            let mut ids = self.walk(viewer, Some(Visibility::Private)).await?;
            ids.extend(&self.household);
            self.with_first_page(viewer, ids).await?
        };
        Ok(self.view(viewer, ids))
    }

    /// Returns a digest of all that anybody sees.
    pub(crate) fn all(&self) -> String {
        self.view(Viewer::with_id(0), self.known.keys().copied().collect()).records
    }

    /// Walks through the list from its beginning to its end, and returns whose ids are in it.
    async fn walk(&mut self, viewer: Viewer, visibility: Option<Visibility>) -> Result<Vec<i64>, DbErr> {
        let mut listing = Listing { visibility, limit: PAGE, ..Listing::default() };
        let mut ids = Vec::new();
        loop {
            let page = page_query::list(self.reads, viewer, &listing).await?;
            ids.extend(page.records.iter().map(|record| record.id));
            self.learn(page.records).await?;
            listing.after = page.next;
            if listing.after.is_none() {
                return Ok(ids);
            }
        }
    }

    /// Puts what the first page of somebody's list has in the place of what it has to have of these records.
    async fn with_first_page(&mut self, viewer: Viewer, mut ids: Vec<i64>) -> Result<Vec<i64>, DbErr> {
        let listing = Listing { limit: PAGE, ..Listing::default() };
        let page = page_query::list(self.reads, viewer, &listing).await?;
        let first: Vec<_> = page.records.iter().map(|record| record.id).collect();
        self.learn(page.records).await?;
        // In the order of the list: what was changed last comes first.
        ids.sort_by_cached_key(|id| std::cmp::Reverse((self.known.get(id).map(|known| known.updated_at), *id)));
        let mut all: Vec<_> = ids.into_iter().skip(first.len()).chain(first).collect();
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    /// Reads what belongs to records that were not read yet.
    async fn learn(&mut self, mut records: Vec<Model>) -> Result<(), DbErr> {
        records.retain(|record| !self.known.contains_key(&record.id));
        let ids: Vec<_> = records.iter().map(|record| record.id).collect();
        let mut details = details::of(self.reads, &ids).await?;
        let mut attached = of_records(self.reads, &ids).await?;
        let store = self.store.clone();
        let looked = spawn_blocking(move || {
            for attachments in attached.values_mut() {
                attachments.retain(|attached| is_resolved(&store, attached));
            }
            attached
        });
        let attached = looked.await.map_err(|error| DbErr::Custom(error.to_string()))?;
        for record in records {
            let details = details.remove(&record.id).unwrap_or_default();
            let attachments = attached.get(&record.id).map(Vec::as_slice).unwrap_or_default();
            let mut names = blake3::Hasher::new();
            for one in attachments {
                let (attachment, media_type) = (&one.attachment, &one.media_type);
                let role = attachment.role.name();
                add(&mut names, &[&attachment.id.to_string(), &attachment.hash, &attachment.name, role, media_type]);
            }
            let known = Known {
                digest: self.digest(&record, &details),
                due: record.due_date,
                updated_at: record.updated_at,
                guests_see_attachments: record.guests_see_attachments,
                attachments: attachments.len(),
                attached: names.finalize(),
            };
            self.known.insert(record.id, known);
        }
        Ok(())
    }

    /// Returns a digest of what a record says.
    fn digest(&self, record: &Model, details: &Details) -> blake3::Hash {
        let place = record.place_id.map(|id| self.tree.path(id)).unwrap_or_default();
        let due = record.due_date.map(|day| day.to_string()).unwrap_or_default();
        let owner = record.owner_id.map(|id| id.to_string()).unwrap_or_default();
        let mut digest = blake3::Hasher::new();
        let visibility = record.visibility.name();
        let kind = record.kind.name();
        let texts = [&record.id.to_string(), &record.title, kind, &record.category, &record.notes];
        add(&mut digest, &texts);
        add(&mut digest, &[&place, &due, visibility, &owner]);
        for field in &details.fields {
            let money = field.money.as_ref().map(|money| format!("{} {}", money.amount, money.currency));
            add(&mut digest, &[&field.label, &field.value, &money.unwrap_or_default()]);
        }
        let tags: Vec<_> = details.tags.iter().map(String::as_str).collect();
        add(&mut digest, &tags);
        digest.finalize()
    }

    fn view(&self, viewer: Viewer, mut ids: Vec<i64>) -> View {
        ids.sort_unstable();
        let seen: Vec<_> = ids.iter().filter_map(|id| Some((id, self.known.get(id)?))).collect();
        let (mut records, mut files, mut attachments) = (blake3::Hasher::new(), blake3::Hasher::new(), 0);
        for (id, known) in &seen {
            records.update(&id.to_le_bytes()).update(known.digest.as_bytes());
            if known.attachments > 0 && (known.guests_see_attachments || !viewer.is_guest()) {
                attachments += known.attachments;
                files.update(&id.to_le_bytes()).update(known.attached.as_bytes());
            }
        }
        let soon = self.day.after(SOON);
        let due = |due: &Day| *due >= self.day && *due <= soon;
        View {
            records: counted(seen.len(), &records),
            overdue: seen.iter().filter_map(|(_, known)| known.due).filter(|due| *due < self.day).count(),
            due: seen.iter().filter_map(|(_, known)| known.due).filter(due).count(),
            attachments: counted(attachments, &files),
        }
    }

    /// Returns the places by their ways, as a number and a digest.
    pub(crate) fn places(&self) -> String {
        let places = self.tree.in_order();
        let mut digest = blake3::Hasher::new();
        for (_, place) in &places {
            add(&mut digest, &[&place.id.to_string(), &self.tree.path(place.id)]);
        }
        counted(places.len(), &digest)
    }
}

/// Returns the tags that somebody sees, as a number and a digest.
pub(crate) async fn tags(reads: &DirectReads, viewer: Viewer) -> Result<String, DbErr> {
    let mut tags = tags::store::list(reads, viewer).await?;
    tags.sort_by(|one, other| one.key.cmp(&other.key));
    let mut digest = blake3::Hasher::new();
    for tag in &tags {
        add(&mut digest, &[&tag.name, &tag.records.to_string()]);
    }
    Ok(counted(tags.len(), &digest))
}

/// Returns what somebody sees in the trash, as a number and a digest; what was deleted last, where there is much.
pub(crate) async fn trash(reads: &DirectReads, viewer: Viewer) -> Result<String, DbErr> {
    let page = trash::list(reads, viewer, None, FOUND).await?;
    let mut digest = blake3::Hasher::new();
    for record in &page.records {
        add(&mut digest, &[&record.id.to_string(), &record.title]);
    }
    Ok(counted(page.records.len(), &digest))
}

/// What was kept, whoever sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeptCounts {
    pub(crate) trash: u64,
    /// A migration that changes a record makes one more.
    pub(crate) versions: u64,
}

/// Counts what was kept.
pub(crate) async fn kept(reads: &DirectReads) -> Result<KeptCounts, DbErr> {
    let sql = r#"SELECT (SELECT count(*) FROM "trash"), (SELECT count(*) FROM "record_version")"#;
    let count = |row: &rusqlite::Row<'_>| Ok(KeptCounts { trash: row.get(0)?, versions: row.get(1)? });
    let counted = reads.rows(&Statement::from_string(DbBackend::Sqlite, sql), count).await?.pop();
    counted.ok_or_else(|| DbErr::Custom("nothing was counted".to_owned()))
}

/// Returns words to search for, of those in the titles that all see. Another version has to take the same, so they come from the titles
/// alone.
pub(crate) async fn words(reads: &DirectReads) -> Result<Vec<String>, DbErr> {
    let sql = r#"SELECT "title" FROM "record" WHERE "visibility" = 'household'"#;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let count = |row: &rusqlite::Row<'_>| {
        let title = row.get_ref(0)?.as_str()?.to_lowercase();
        let mut words: Vec<_> = title.split(|letter: char| !letter.is_alphanumeric()).collect();
        words.sort_unstable();
        words.dedup();
        for word in words.into_iter().filter(|word| word.chars().count() >= SHORTEST) {
            match counts.get_mut(word) {
                Some(count) => *count += 1,
                None => drop(counts.insert(word.to_owned(), 1)),
            }
        }
        Ok(())
    };
    reads.rows(&Statement::from_string(DbBackend::Sqlite, sql), count).await?;
    Ok(chosen(counts))
}

/// Returns the words that say most: first those of several titles, the most frequent first, as long as all of them can be counted; then the
/// more frequent ones, the rarest first; then those of one title. Ties are in the order of their characters.
fn chosen(counts: BTreeMap<String, u64>) -> Vec<String> {
    let rank = |count: u64| match count {
        2..=FOUND => (0, FOUND - count),
        0..=1 => (2, 0),
        _ => (1, count),
    };
    let mut words: Vec<_> = counts.into_iter().collect();
    words.sort_by_key(|(_, count)| rank(*count));
    words.into_iter().take(WORDS).map(|(word, _)| word).collect()
}

/// Returns how many records somebody finds by a word, up to [`FOUND`].
pub(crate) async fn finds(reads: &DirectReads, viewer: Viewer, word: &str) -> Result<u64, DbErr> {
    let mut listing = Listing { search: Search::parse(word), limit: PAGE, ..Listing::default() };
    let mut found = 0;
    loop {
        let page = page_query::list(reads, viewer, &listing).await?;
        found += page.records.len() as u64;
        listing.after = page.next;
        if found >= FOUND || listing.after.is_none() {
            return Ok(found.min(FOUND));
        }
    }
}

/// Adds texts to a digest so that none can be taken for others.
fn add(digest: &mut blake3::Hasher, texts: &[&str]) {
    digest.update(&(texts.len() as u64).to_le_bytes());
    for text in texts {
        digest.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
}

/// Returns a number and the beginning of a digest.
fn counted(number: usize, digest: &blake3::Hasher) -> String {
    let mut text = format!("{number} ");
    for byte in &digest.finalize().as_bytes()[..8] {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_that_say_most_are_searched_for_and_ties_are_by_the_alphabet() {
        let counts = |words: &[(&str, u64)]| words.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect();
        let all = [
            ("seldom", 1),
            ("alone", 1),
            ("the", 40_000),
            ("house", FOUND + 1),
            ("roof", 7),
            ("attic", 7),
            ("heating", FOUND),
            ("boiler", 2),
            ("stove", 1),
            ("with", 900),
        ];
        let words = ["heating", "attic", "roof", "boiler", "house", "with", "the", "alone"];
        assert_eq!(chosen(counts(&all)), words);
        assert_eq!(chosen(counts(&all[..2])), ["alone", "seldom"]);
        assert!(chosen(BTreeMap::new()).is_empty());
    }
}
