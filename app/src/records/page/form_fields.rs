//! How does the form of a record look?
//!
//! Title, kind and the fields that the kind suggests come first, then the household's own fields, then how the record is filed.
//! Without a script a button shows the fields of another kind; with one, choosing the kind does.

use maud::{Markup, html};

use super::form::{RecordForm, SUGGESTED, TypedField};
use crate::{
    datetime::Day,
    html::{Fields, Input},
    records::{
        draft::{CATEGORY_MAX, TAG_MAX, TAGS_MAX, TITLE_MAX},
        entity::Visibility,
        fields::{LABEL_MAX, VALUE_MAX},
        kind::{Entry, Kind, Suggestion},
    },
};

/// Empty rows for fields of one's own.
const ROWS: usize = 2;
/// And so many more by the button.
const MORE_ROWS: usize = 5;

/// What the form offers beside what it says.
pub(super) struct Choices<'a> {
    /// Where a record can be, as a tree: the place's id, in how many others it is, and its name.
    pub(super) places: &'a [(i64, usize, String)],
    /// The tags that records have.
    pub(super) tags: &'a [String],
    /// Whether whoever fills in the form says who sees the record.
    pub(super) chooses_visibility: bool,
}

/// Returns the fields of a record.
pub(super) fn form_fields(form: &RecordForm, fields: &Fields<'_>, choices: &Choices<'_>) -> Markup {
    let notes = fields.id("notes");
    html! {
        // The Enter key presses the first button of a form.
        button.hidden tabindex="-1" aria-hidden="true" {}
        (fields.input(&Input::new("text", "title", "Title").value(&form.title).longest(TITLE_MAX)))
        (kind(form, fields))
        @for suggestion in form.kind().suggestions() { (suggested(form, fields, suggestion)) }
        div.field {
            label for=(notes) { "Notes" span.optional { "optional" } }
            p.hint id={ (notes) "-hint" } { "Markdown, if you like: **bold**, - lists, - [ ] things to do." }
            // A line break right after the tag belongs to the tag; this one keeps one that a person typed.
            textarea id=(notes) name="notes" rows="6" aria-invalid=[fields.invalid("notes")]
                aria-describedby={ (notes) "-hint " (fields.described("notes").unwrap_or_default()) }
                autofocus[fields.is_first("notes")] { "\n" (form.notes) }
            (fields.error("notes"))
        }
        (others(form, fields))
        @if !(choices.places.is_empty() && form.place.as_deref().unwrap_or_default().is_empty()) {
            (place(form, fields, choices))
        }
        (tags(form, fields, choices))
        (fields.input(&Input::new("text", "category", "Category").value(&form.category).longest(CATEGORY_MAX)
            .optional()))
        (fields.input(&Input::new("date", "due_date", "Due").value(&form.due_date).optional()))
        @if choices.chooses_visibility { (visibility(form.visibility.unwrap_or_default(), fields)) }
        // Somebody else's choice that this form sent all the same.
        @else if fields.invalid("visibility").is_some() {
            div.field id=(fields.id("visibility")) tabindex="-1" { (fields.error("visibility")) }
        }
        div.choice {
            input type="hidden" name="guests_see_attachments" value="no";
            label {
                input type="checkbox" name="guests_see_attachments" value="yes"
                    checked[form.guests_see_attachments == Some(true)];
                "Guests see the attachments too"
            }
        }
    }
}

/// A label with what is typed or chosen, what helps, and what is wrong.
fn labelled(fields: &Fields<'_>, name: &str, label: &str, hint: &str, control: &Markup) -> Markup {
    let id = fields.id(name);
    html! {
        div.field {
            label for=(id) { (label) span.optional { "optional" } }
            @if !hint.is_empty() { p.hint id={ (id) "-hint" } { (hint) } }
            (control)
            (fields.error(name))
        }
    }
}

fn kind(form: &RecordForm, fields: &Fields<'_>) -> Markup {
    let id = fields.id("kind");
    html! {
        div.field {
            label for=(id) { "Kind" }
            div.together {
                select id=(id) name="kind" data-again="kind" autofocus[form.again.as_deref() == Some("kind")] {
                    @for kind in Kind::ALL {
                        option value=(kind.name()) selected[kind == form.kind()] { (kind.label()) }
                    }
                }
                button type="submit" name="again" value="kind" formnovalidate { "Show its fields" }
            }
        }
    }
}

fn suggested(form: &RecordForm, fields: &Fields<'_>, suggestion: &Suggestion) -> Markup {
    let name = format!("{SUGGESTED}{}", suggestion.key);
    let value = form.suggested(suggestion.key).map_or("", |field| field.value.as_str());
    let id = fields.id(&name);
    // A field for days would hide what is none.
    let is_day = suggestion.entry == Entry::Day && (value.is_empty() || value.parse::<Day>().is_ok());
    let hint = if suggestion.entry == Entry::Money { "Such as 12.50 EUR" } else { "" };
    let hint_id = (!hint.is_empty()).then(|| format!("{id}-hint"));
    let described: Vec<_> = [hint_id, fields.described(&name)].into_iter().flatten().collect();
    let described = (!described.is_empty()).then(|| described.join(" "));
    let control = html! {
        @if value.contains('\n') {
            textarea id=(id) name=(name) rows="3" maxlength=(VALUE_MAX) aria-describedby=[described] { "\n" (value) }
        } @else {
            input id=(id) name=(name) type=(if is_day { "date" } else { "text" }) value=[(!value.is_empty()).then_some(value)]
                autocomplete="off" maxlength=[(!is_day).then_some(VALUE_MAX)] aria-invalid=[fields.invalid(&name)]
                aria-describedby=[described] autofocus[fields.is_first(&name)];
        }
    };
    labelled(fields, &name, suggestion.label, hint, &control)
}

/// The fields that no kind suggests, or another one.
fn others(form: &RecordForm, fields: &Fields<'_>) -> Markup {
    let others = form.others();
    let more = if form.again.as_deref() == Some("rows") { MORE_ROWS } else { 0 };
    let empty =
        (others.iter().filter(|field| field.value.is_empty()).count()..ROWS + more).map(|_| TypedField::default());
    let empty: Vec<_> = empty.collect();
    html! {
        // What was wrong leads to it: a fieldset takes no focus of its own.
        fieldset.rows id=(fields.id("fields")) tabindex="-1" aria-describedby=[fields.described("fields")] {
            legend { "More fields" }
            p.hint { "Anything else worth knowing. To remove a field, empty its value." }
            @for (number, field) in others.into_iter().chain(&empty).enumerate() { (row(fields, number, field)) }
            (fields.error("fields"))
            button type="submit" name="again" value="rows" formnovalidate { "More rows" }
        }
    }
}

fn row(fields: &Fields<'_>, number: usize, field: &TypedField) -> Markup {
    let id = fields.id(&format!("row-{number}"));
    // What a keyed field is called is known, and what is wrong with it is said here.
    let name = field.key.as_deref().map(|key| format!("{SUGGESTED}{key}"));
    let of_this = |what: &dyn Fn(&str) -> Option<String>| name.as_deref().and_then(what);
    html! {
        div.row {
            input type="hidden" name="row-key" value=[field.key.as_deref()];
            input type="hidden" name="row-money" value=[field.is_money.then_some("yes")];
            label.hidden for={ (id) "-label" } { "Label" }
            input id={ (id) "-label" } name="row-label" type="text" value=(field.label) placeholder="Label" maxlength=(LABEL_MAX)
                autocomplete="off";
            label.hidden for=(id) { "Value" @if !field.label.is_empty() { " of " (field.label) } }
            @if field.value.contains('\n') {
                textarea id=(id) name="row-value" rows="3" maxlength=(VALUE_MAX) placeholder="Value" { "\n" (field.value) }
            } @else {
                input id=(id) name="row-value" type="text" value=(field.value) placeholder="Value" maxlength=(VALUE_MAX)
                    autocomplete="off" aria-describedby=[of_this(&|name| fields.described(name))];
            }
        }
        @if let Some(name) = &name { div id=[fields.invalid(name).map(|_| fields.id(name))] { (fields.error(name)) } }
    }
}

fn place(form: &RecordForm, fields: &Fields<'_>, choices: &Choices<'_>) -> Markup {
    let chosen = form.place.as_deref().unwrap_or_default();
    let is_known = chosen.is_empty() || choices.places.iter().any(|(id, ..)| id.to_string() == chosen);
    let control = html! {
        div.together {
            select id=(fields.id("place_id")) name="place_id" aria-describedby=[fields.described("place_id")] {
                option value="" { "No place" }
                @if !is_known { option value=(chosen) selected { "A place that is gone" } }
                @for (id, depth, name) in choices.places {
                    option value=(id) selected[id.to_string() == chosen] { @for _ in 0..*depth { "\u{2003}" } (name) }
                }
            }
        }
    };
    labelled(fields, "place_id", "Place", "", &control)
}

fn tags(form: &RecordForm, fields: &Fields<'_>, choices: &Choices<'_>) -> Markup {
    let (id, value) = (fields.id("tags"), form.tags.as_deref().unwrap_or_default());
    let control = html! {
        input id=(id) name="tags" type="text" value=[(!value.is_empty()).then_some(value)] autocomplete="off" autocapitalize="none"
            list={ (id) "-known" } data-words="," maxlength=((TAG_MAX + 2) * TAGS_MAX) aria-invalid=[fields.invalid("tags")]
            aria-describedby={ (id) "-hint " (fields.described("tags").unwrap_or_default()) } autofocus[fields.is_first("tags")];
        datalist id={ (id) "-known" } { @for tag in choices.tags { option value=(tag) {} } }
    };
    labelled(fields, "tags", "Tags", "Separated by commas", &control)
}

fn visibility(chosen: Visibility, fields: &Fields<'_>) -> Markup {
    // What was wrong leads to the first choice: a fieldset takes no focus.
    let id = fields.id("visibility");
    html! {
        fieldset.choice aria-describedby=[fields.described("visibility")] {
            legend { "Visible to" }
            @for (visibility, value, name, id) in [
                (Visibility::Household, "household", "Everyone in the household", Some(&id)),
                (Visibility::Private, "private", "Only me", None),
            ] {
                label {
                    input id=[id] type="radio" name="visibility" value=(value) checked[visibility == chosen];
                    (name)
                }
            }
            (fields.error("visibility"))
        }
    }
}
