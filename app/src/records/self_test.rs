//! Can this version read everything that the records' queries may be asked for?

use sea_orm::{DbErr, sea_query::Order as Direction};

use super::{
    attachments,
    entity::Visibility,
    indexing,
    kind::Kind,
    listing::{Listing, Order},
    page_query::{self, Thresholds},
    places, sample,
    search::Search,
    stale,
    store::{self, Viewer},
};
use crate::{
    datetime::Day,
    db::{Database, DirectReads},
};

/// Reads through each query of the records, and decodes a page from both ends of the table.
///
/// The error names the query.
pub(crate) async fn self_test(database: &Database) -> Result<(), String> {
    let viewer = Viewer::with_id(1);
    let mut ends = Vec::new();
    for (name, direction) in [("oldest", Direction::Asc), ("newest", Direction::Desc)] {
        let records = store::end(database.direct(), direction, 200)
            .await
            .map_err(|error| self_test_failed(database, &format!("read the {name} records"), error))?;
        ends.extend(records.first().cloned());
    }
    store::find_whole(database.direct(), viewer, ends.first().map_or(1, |record| record.id))
        .await
        .map_err(|error| self_test_failed(database, "get a record", error))?;
    store::whole(database.direct(), ends.clone())
        .await
        .map_err(|error| self_test_failed(database, "read fields and tags", error))?;
    super::history::self_test(database.direct(), viewer, ends.first().map_or(1, |record| record.id))
        .await
        .map_err(|error| self_test_failed(database, "read versions and the trash", error))?;
    stale::self_test(database.reads())
        .await
        .map_err(|error| self_test_failed(database, "look for records to fold", error))?;
    super::changes::list(database.direct(), viewer, None, 10)
        .await
        .map_err(|error| self_test_failed(database, "list the changes", error))?
        .map(drop)
        .unwrap_or_default();
    if let Some(search) = Search::parse("word") {
        super::page::snippet::in_files(database.direct(), 1, "word", &search)
            .await
            .map_err(|error| self_test_failed(database, "look for words in files", error))?;
    }
    crate::auth::users::names(database.direct())
        .await
        .map_err(|error| self_test_failed(database, "read who wrote the records", error))?;
    super::tags::store::self_test(database.direct())
        .await
        .map_err(|error| self_test_failed(database, "list the tags", error))?;
    super::changes::now(database.direct(), viewer)
        .await
        .map_err(|error| self_test_failed(database, "find the last change", error))?;
    indexing::self_test(database.direct(), ends.first().map_or(1, |record| record.id))
        .await
        .map_err(|error| self_test_failed(database, "read the texts of files", error))?;
    places::store::self_test(database.direct())
        .await
        .map_err(|error| self_test_failed(database, "read the places", error))?;
    attachments::self_test(database)
        .await
        .map_err(|error| self_test_failed(database, "read the attachments", error))?;
    sample::store::state(database.direct(), viewer)
        .await
        .map_err(|error| self_test_failed(database, "look for the sample", error))?;
    super::portability::self_test(database.direct(), viewer)
        .await
        .map_err(|error| self_test_failed(database, "read what an export has", error))?;
    // What is in the table is looked for; what is in no table takes its place in an empty one.
    let example = ends.last();
    let word = example.map_or("word", |record| record.title.as_str());
    let category = example.map_or("category", |record| record.category.as_str());
    let day = example.and_then(|record| record.due_date);
    for order in Order::ALL {
        for filter in filters(word, category, day) {
            let listing = Listing { order, ..filter };
            list_two_pages(database.direct(), viewer, listing)
                .await
                .map_err(|error| self_test_failed(database, &format!("list records by {}", order.name()), error))?;
        }
    }
    Ok(())
}

/// Reads the beginning of a list and what comes after it, so that the condition of a next page is tried too.
async fn list_two_pages(reads: &DirectReads, viewer: Viewer, mut listing: Listing) -> Result<(), DbErr> {
    listing.limit = 10;
    // Each way there is to a page.
    for thresholds in [
        Thresholds { few: 2000, known: 2000, due: 0, walked: 2000 },
        Thresholds { few: 0, known: 2000, due: 0, walked: 0 },
        Thresholds { few: 0, known: 0, due: 5000, walked: 0 },
        Thresholds { few: 0, known: 0, due: 0, walked: 0 },
    ] {
        listing.after = None;
        let first = page_query::list_by(reads, viewer, &listing, thresholds).await?;
        let Some(last) = first.records.last() else {
            continue;
        };
        listing.after = Some(super::listing::Cursor::behind(last, listing.order));
        page_query::list_by(reads, viewer, &listing, thresholds).await?;
    }
    Ok(())
}

/// No filter, each filter alone, and all at once.
fn filters(word: &str, category: &str, day: Option<Day>) -> Vec<Listing> {
    let long = Search::parse(&word.chars().take(3).collect::<String>()).or(Search::parse("word"));
    let short = Search::parse(&word.chars().take(2).collect::<String>());
    let by_category = Some(category.to_owned());
    let due_before = day.or("9999-12-31".parse().ok());
    let none = Listing::default();
    vec![
        none.clone(),
        Listing { search: long.clone(), ..none.clone() },
        Listing { search: short, ..none.clone() },
        Listing { category: by_category.clone(), ..none.clone() },
        Listing { kind: Some(Kind::Thing), ..none.clone() },
        Listing { kind: Some(Kind::Note), place_id: Some(1), tag: Some("tag".to_owned()), ..none.clone() },
        Listing { due_before, ..none.clone() },
        Listing { due_after: due_before, owner_id: Some(1), visibility: Some(Visibility::Household), ..none.clone() },
        // Of one scope, in each way.
        Listing { search: long.clone(), due_before, visibility: Some(Visibility::Household), ..none.clone() },
        Listing { search: long, category: by_category, due_before, ..none },
    ]
}

fn self_test_failed(database: &Database, what: &str, error: DbErr) -> String {
    format!("the self-test could not {what}: {}", database.failed(error))
}
