//! Does a search do the same work whatever others keep to themselves?
//!
//! Counted are the steps of SQLite's virtual machine, which are the same on every machine.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use tempfile::TempDir;

use super::{
    changes,
    entity::Visibility,
    fold_stale,
    kind::Kind,
    listing::{Listing, Order},
    page_query::{self, Thresholds},
    search::Search,
    store::Viewer,
};
use crate::{
    datetime::Day,
    db::{Access, Database, for_tests::migrated},
};

const ANNA: i64 = 2;
const BEN: i64 = 3;

/// Adds so many records with words of every frequency.
fn add(path: &Path, number: usize, owner: i64, visibility: &str) {
    let sql = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number})
         INSERT INTO record (title, category, notes, due_date, created_at, updated_at, owner_id, visibility)
         SELECT
             char(97 + i % 26) || 'ing 保険 ' || i || iif(i % 700 = 0, ' seldom', ''),
             'category ' || i % 7,
             'note ' || i * 7919 % 1000,
             iif(i % 3, date('2027-01-01', i || ' days'), NULL),
             '2026-11-24T12:00:00.000Z',
             strftime('%Y-%m-%dT%H:%M:%fZ', 1800000000 + i * 7919 % {number}, 'unixepoch'),
             {owner}, '{visibility}'
         FROM n"
    );
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch(&sql).unwrap();
    // Of each kind, in places, with tags; and with files that have some of the words. By what the notes say, since the ids of a
    // household with secrets are others.
    connection
        .execute_batch(
            "INSERT OR IGNORE INTO place (id, parent_id, name, name_key) VALUES (1, NULL, 'House', 'house'), (2, 1, 'Attic', 'attic');
             UPDATE record SET kind = 'thing', place_id = 1 + substr(notes, 6) % 2 WHERE substr(notes, 6) % 3 = 0;
             INSERT OR IGNORE INTO record_tag (record_id, name_key, name) SELECT id, 'tag ' || substr(notes, 6) % 9, 'Tag ' || substr(notes, 6) % 9 FROM record;
             INSERT OR IGNORE INTO file (hash, bytes, media_type, text) VALUES ('a', 1, 'application/pdf', 'invoice 777');
             INSERT INTO attachment (record_id, hash, name, role, position, added_at)
                 SELECT id, 'a', 'paper.pdf', 'other', 0, '' FROM record
                 WHERE substr(notes, 6) % 50 = 0 AND id NOT IN (SELECT record_id FROM attachment);",
        )
        .unwrap();
}

/// Returns a household in which Ben keeps so many records to himself.
async fn household(secrets: usize) -> (TempDir, Database) {
    let (directory, path) = migrated("").await;
    let connection = rusqlite::Connection::open(&path).unwrap();
    for (id, name) in [(1, "owner"), (ANNA, "anna"), (BEN, "ben")] {
        let sql =
            "INSERT INTO user (id, name, email, role, created_at, updated_at) VALUES (?1, ?2, ?2, 'member', '', '')";
        connection.execute(sql, rusqlite::params![id, name]).unwrap();
    }
    // In the middle of the others.
    add(&path, 1500, 1, "household");
    if secrets > 0 {
        add(&path, secrets, BEN, "private");
    }
    add(&path, 1500, BEN, "household");
    add(&path, 300, ANNA, "private");
    let database = Database::open(&path, Access::Write).await.unwrap();
    fold_stale(&database).await.unwrap();
    // In one piece, so that what is compared does not hang on how many writes there were.
    let optimize = "INSERT INTO record_search (record_search) VALUES ('optimize');
        INSERT INTO record_text_search (record_text_search) VALUES ('optimize')";
    connection.execute_batch(optimize).unwrap();
    (directory, database)
}

/// What Anna may ask for, in each way that a list takes.
fn listings() -> Vec<Listing> {
    let searches = [
        "",
        "a",
        "in",
        "ing",
        "保",
        "保険",
        "seldom",
        "ing seldom",
        "note",
        "777",
        "category",
        "nowhere",
        "invoice",
        "ing invoice",
        "seldom invoice",
        "house",
    ];
    let mut all = Vec::new();
    for order in Order::ALL {
        for search in searches {
            let listing = Listing { search: Search::parse(search), order, limit: 30, ..Listing::default() };
            let day: Option<Day> = Some("2028-06-01".parse().unwrap());
            all.extend([
                Listing { category: Some("Category 3".to_owned()), ..listing.clone() },
                Listing { category: Some("category 99".to_owned()), ..listing.clone() },
                Listing { due_before: day, ..listing.clone() },
                Listing { due_after: day, owner_id: Some(BEN), ..listing.clone() },
                Listing { owner_id: Some(ANNA), ..listing.clone() },
                Listing { kind: Some(Kind::Thing), place_id: Some(1), ..listing.clone() },
                Listing { kind: Some(Kind::Note), tag: Some("TAG 3".to_owned()), ..listing.clone() },
                listing,
            ]);
        }
    }
    all
}

/// An index with more in it may be deeper, or cut into pages elsewhere: each way down takes some steps more or less, whatever
/// is found there. A record costs a dozen.
fn is_the_same(before: u64, after: u64) -> bool {
    after.abs_diff(before) <= 200 + before / 100
}

#[tokio::test]
async fn a_search_does_the_same_work_whatever_others_keep_to_themselves() {
    let (_without, less) = household(0).await;
    let (_with, more) = household(5000).await;
    let databases = [(&less, less.direct().count_steps().await), (&more, more.direct().count_steps().await)];
    for viewer in [Viewer::with_id(ANNA), Viewer::with_id(1)] {
        for listing in listings() {
            let [(found, before), (found_among_more, after)] = two_pages(&databases, viewer, &listing).await;
            assert_eq!(found, found_among_more, "{listing:?}");
            assert!(before > 0 && is_the_same(before, after), "{before} steps, then {after}: {listing:?}");
        }
        let mut steps = Vec::new();
        for (database, counter) in &databases {
            counter.store(0, SeqCst);
            changes::list(database.direct(), viewer, None, 50).await.unwrap().unwrap();
            steps.push(counter.load(SeqCst));
        }
        assert!(is_the_same(steps[0], steps[1]), "{steps:?}");
    }
    // Who has those records does feel them.
    let listing = Listing { search: Search::parse("ing seldom"), limit: 30, ..Listing::default() };
    let [(found, before), (all, after)] = two_pages(&databases, Viewer::with_id(BEN), &listing).await;
    assert!(all.len() > found.len() && !is_the_same(before, after), "{before} steps, then {after}");
    less.close().await;
    more.close().await;
}

/// Returns for each database the titles of two pages, and the steps that these took.
async fn two_pages(
    databases: &[(&Database, Arc<AtomicU64>); 2],
    viewer: Viewer,
    listing: &Listing,
) -> [(Vec<String>, u64); 2] {
    let mut both = [(Vec::new(), 0), (Vec::new(), 0)];
    for ((database, counter), (titles, steps)) in databases.iter().zip(&mut both) {
        counter.store(0, SeqCst);
        let first = page_query::list(database.direct(), viewer, listing).await.unwrap();
        let next = Listing { after: first.next.clone(), ..listing.clone() };
        let second = page_query::list(database.direct(), viewer, &next).await.unwrap();
        *steps = counter.load(SeqCst);
        titles.extend(first.records.into_iter().chain(second.records).map(|record| record.title));
    }
    both
}

/// Whichever way a page is read, it has the same records.
#[tokio::test]
async fn every_way_to_a_page_finds_the_same() {
    let (_directory, database) = household(20).await;
    let all_known = 100_000;
    let ways = [
        (0, 0, 0, 0),
        (0, 0, 0, 100),
        // Few enough to know where one word is in files and the other is not.
        (10, 20, 0, 100),
        (0, all_known, 0, 0),
        (0, 0, 100_000, 0),
        (all_known, all_known, 0, 0),
    ];
    let viewer = Viewer::with_id(ANNA);
    let day = |day: &str| Some(day.parse::<Day>().unwrap());
    let mut all = listings();
    for (owner_id, visibility) in [
        (None, Some(Visibility::Household)),
        (None, Some(Visibility::Private)),
        (Some(ANNA), Some(Visibility::Private)),
        (Some(BEN), Some(Visibility::Private)),
        (Some(BEN), None),
        (Some(99), None),
    ] {
        for search in ["", "ing", "seldom"] {
            let search = Search::parse(search);
            let listing = Listing { search, owner_id, visibility, limit: 30, ..Listing::default() };
            all.push(Listing { due_before: day("2027-03-01"), due_after: day("2027-02-01"), ..listing.clone() });
            all.push(listing);
        }
    }
    let mut found = 0;
    for listing in all {
        let expected = page_query::list(database.direct(), viewer, &listing).await.unwrap();
        if listing.visibility == Some(Visibility::Private) && listing.owner_id == Some(BEN) {
            assert!(expected.records.is_empty(), "{listing:?}");
        }
        found += expected.records.len();
        for (few, known, due, walked) in ways {
            let thresholds = Thresholds { few, known, due, walked };
            let page = page_query::list_by(database.direct(), viewer, &listing, thresholds).await.unwrap();
            assert_eq!(page.records, expected.records, "{thresholds:?}: {listing:?}");
            assert_eq!(page.next, expected.next, "{thresholds:?}: {listing:?}");
        }
    }
    assert!(found > 1000, "{found}");
}
