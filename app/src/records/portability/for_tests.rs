//! A record as tests want one.

use super::format::{PortableKind, PortableRecord};
use crate::records::entity::Visibility;

/// Returns a record that says nothing but its title.
pub(super) fn record(id: i64, title: &str) -> PortableRecord {
    PortableRecord {
        id,
        title: title.to_owned(),
        kind: PortableKind::default(),
        category: String::new(),
        notes: String::new(),
        fields: Vec::new(),
        tags: Vec::new(),
        place: Vec::new(),
        due_date: None,
        visibility: Visibility::Household,
        guests_see_attachments: false,
        added_by: Some("Anna".to_owned()),
        created_at: Some("2026-11-24T12:00:00.000Z".to_owned()),
        updated_at: Some("2026-11-25T12:00:00.000Z".to_owned()),
        attachments: Vec::new(),
    }
}
