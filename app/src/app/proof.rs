//! What do people see, in figures?
//!
//! `GET /proof?at=…` on the private socket (docs/ARCHITECTURE.md). The supervisor asks the last good version on a clone before the
//! migration and the new one on the same clone after it, and compares: an upgrade that hides a record, loses a file or keeps somebody out
//! is found before anybody is served by it. Nothing is written. `at` is the moment by which due dates and expiries are computed, so
//! that two versions that are asked at different times agree.
//!
//! The names of figures are a contract between versions: the new one has to give each figure of the old one under the same name.

use std::sync::Arc;

use poem::{
    IntoResponse, Request, Response, handler,
    http::{StatusCode, header},
    web::Data,
};
use serde::{Deserialize, Serialize};

use crate::{
    auth::{entity::user, users},
    datetime::Timestamp,
    db::Database,
    fault,
    http::{FieldError, Problem},
    records::{self, ContentStore, Views},
    sign_in,
};

/// Users with figures of their own, from the lowest number on; all are in the figures of everybody.
const USERS: usize = 50;

/// Users whose searches, tags and trash are looked at.
const SEARCHING: usize = 10;

/// The figures, as the supervisor reads them.
#[derive(Debug, Serialize)]
struct Proof {
    format: u32,
    version: &'static str,
    at: String,
    figures: Vec<Figure>,
}

#[derive(Debug, Serialize)]
struct Figure {
    name: String,
    value: String,
    compare: Compare,
}

/// When is a new version's figure as good as the old one's?
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Compare {
    /// It is the same.
    Equal,
    /// It is a number that is not smaller.
    Grow,
}

#[derive(Debug, Deserialize)]
struct Asked {
    at: String,
}

#[handler]
pub(super) async fn prove(
    request: &Request,
    Data(database): Data<&Arc<Database>>,
    Data(store): Data<&ContentStore>,
) -> Result<Response, Problem> {
    let asked: Option<Timestamp> = request.params::<Asked>().ok().and_then(|asked| asked.at.parse().ok());
    let at = asked
        .ok_or_else(|| Problem::fields(vec![FieldError::new("at", "must be a moment such as 2026-11-30T12:00:00Z")]))?;
    fault::hit("app.proof")
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR).detail(error.to_string()))?;
    let figures = figures(database, store, at).await.map_err(|error| {
        let why = format!("What people see could not be read: {}.", database.failed(error));
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR).detail(why)
    })?;
    let proof = Proof { format: 1, version: env!("CARGO_PKG_VERSION"), at: at.to_string(), figures };
    Ok(poem::web::Json(proof).with_header(header::CACHE_CONTROL, "no-store").into_response())
}

async fn figures(database: &Database, store: &ContentStore, at: Timestamp) -> Result<Vec<Figure>, sea_orm::DbErr> {
    let (reads, direct) = (database.reads(), database.direct());
    let mut figures = Figures::default();
    let everybody = users::list(reads).await?;
    let ways = sign_in::proof::ways(reads, at).await?;
    let none = String::new();
    let ways_of = |user: &user::Model| ways.get(&user.id).unwrap_or(&none);
    let mut all = blake3::Hasher::new();
    for user in &everybody {
        let (id, role, disabled) = (user.id.to_string(), user.role.name(), user.disabled.to_string());
        let line = [&id, role, &disabled, &user.name, &user.email, ways_of(user)].map(|text| text.replace('\n', " "));
        all.update(line.join("\n").as_bytes()).update(b"\n\n");
    }
    let digest = all.finalize().to_hex();
    figures.equal("users, their roles and how they sign in", format!("{} {}", everybody.len(), &digest[..16]));

    let enabled: Vec<_> = everybody.iter().filter(|user| !user.disabled).collect();
    let mut views = Views::new(direct, store, at.day()).await?;
    for user in enabled.iter().take(USERS) {
        let who = format!("user {} ({})", user.id, user.role.name());
        let view = views.of(records::viewer(user)).await?;
        figures.equal(format!("records that {who} sees"), view.records);
        figures.equal(format!("overdue records that {who} sees"), view.overdue);
        figures.equal(format!("records that {who} sees and that are due within 30 days"), view.due);
        figures.equal(format!("attachments with a file that {who} sees"), view.attachments);
        let is_found = sign_in::proof::is_found(reads, user).await?;
        let found = if is_found { "found by their e-mail" } else { "not found by their e-mail" };
        figures.equal(format!("how {who} signs in"), format!("{found}; {}", ways_of(user)));
    }
    // Of a household with more users than that, what those keep to themselves is in here.
    for user in enabled.iter().skip(USERS) {
        views.of(records::viewer(user)).await?;
    }
    figures.equal("records that anybody sees", views.all());
    figures.equal("places", views.places());
    let kept = records::kept(direct).await?;
    figures.equal("records in the trash", kept.trash);
    figures.grow("former versions of records", kept.versions);
    let words = records::proof_words(direct).await?;
    for user in enabled.iter().take(SEARCHING) {
        let who = format!("user {} ({})", user.id, user.role.name());
        let viewer = records::viewer(user);
        figures.equal(format!("tags that {who} sees"), records::proof_tags(direct, viewer).await?);
        // Guests see no trash.
        if !viewer.is_guest() {
            figures.equal(format!("records that {who} sees in the trash"), records::proof_trash(direct, viewer).await?);
        }
        for word in &words {
            let found = records::finds(direct, viewer, word).await?;
            figures.grow(format!("records that {who} finds by \"{word}\""), found);
        }
    }
    Ok(figures.0)
}

#[derive(Default)]
struct Figures(Vec<Figure>);

impl Figures {
    fn equal(&mut self, name: impl Into<String>, value: impl ToString) {
        self.0.push(Figure { name: name.into(), value: value.to_string(), compare: Compare::Equal });
    }

    fn grow(&mut self, name: impl Into<String>, value: u64) {
        self.0.push(Figure { name: name.into(), value: value.to_string(), compare: Compare::Grow });
    }
}
