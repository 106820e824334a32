//! How does the form look that adds something in a moment?

use maud::{Markup, html};

use super::sent_files;
use crate::{
    html::{Fields, Input, asset_address},
    http::Problem,
    records::draft::TITLE_MAX,
};

/// What was typed, and why it was refused.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct QuickAdd<'a> {
    pub(super) title: &'a str,
    pub(super) refusal: Option<&'a Problem>,
}

/// Returns the form, folded away until somebody wants to add something.
pub(super) fn quick_form(quick_add: &QuickAdd<'_>) -> Markup {
    let fields = Fields::new("quick", quick_add.refusal);
    html! {
        details.quick open[quick_add.refusal.is_some()] {
            summary data-key="n" { "Quick add" }
            form.card method="post" action="/records/quick" enctype="multipart/form-data" data-quick-add {
                (fields.summary("The record was not added."))
                (fields.input(&Input::new("text", "title", "Title").value(quick_add.title).longest(TITLE_MAX).optional()
                    .hint("Left empty, it is the name of the file.")))
                (sent_files::inputs("quick"))
                p.say data-upload-says role="status" {}
                div.buttons {
                    button.main { "Add" }
                    a.button.plain href="/records/new" { "All fields" }
                }
            }
            script src=(asset_address("upload.js")) defer {}
        }
    }
}
