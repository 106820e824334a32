//! Is a text of people ever taken for HTML, and does each see the forms that are theirs?

use std::collections::{HashMap, HashSet};

use maud::Markup;

use super::{
    edit::edit_form,
    form::RecordForm,
    form_fields::Choices,
    list::List,
    list_query::ListQuery,
    quick_form::QuickAdd,
    record::{Asked, RecordPage},
};
use crate::{
    datetime::Timestamp,
    html::{
        Frame,
        for_tests::{EVIL, assert_harmless},
    },
    http::{FieldError, Problem},
    records::{
        attachments::{
            entity::attachment::{self, Role},
            rows::Attached,
        },
        details::Details,
        entity::{Model, Visibility},
        fields::Field,
        history::trash::Trashed,
        kind::Kind,
        listing::{Cursor, Order, Page, SortKey},
        store::Record,
    },
};

/// A record that is hostile in each of its texts.
fn evil() -> Record {
    let field = |key: Option<&str>, value: &str| Field {
        key: key.map(str::to_owned),
        label: EVIL.to_owned(),
        value: value.to_owned(),
        money: None,
    };
    let row = Model {
        id: 1,
        title: EVIL.to_owned(),
        category: EVIL.to_owned(),
        notes: format!("</textarea>{EVIL}"),
        visibility: Visibility::Private,
        kind: Kind::Contract,
        place_id: Some(1),
        ..Model::new(None)
    };
    let fields = vec![
        field(Some("phone"), EVIL),
        field(None, &format!("</textarea>\n{EVIL}")),
        field(None, "https://\"onclick=alert('x')</a>"),
        Field { label: "Phone".to_owned(), ..field(Some("phone"), EVIL) },
    ];
    Record { row, details: Details { fields, tags: vec![EVIL.to_owned()] } }
}

fn places() -> Vec<(i64, usize, String)> {
    vec![(1, 0, EVIL.to_owned()), (2, 1, EVIL.to_owned())]
}

fn attached(media_type: &str, role: Role) -> Attached {
    let attachment = attachment::Model {
        id: 7,
        record_id: 1,
        hash: String::new(),
        name: EVIL.to_owned(),
        role,
        position: 0,
        added_by: None,
        added_at: Timestamp::now(),
    };
    Attached { attachment, bytes: 1, media_type: media_type.to_owned() }
}

fn record_page(may_change: bool) -> RecordPage {
    RecordPage {
        record: evil(),
        place: vec![(1, EVIL.to_owned()), (2, EVIL.to_owned())],
        attachments: vec![attached("image/jpeg", Role::Photo), attached(EVIL, Role::Other)],
        previews: HashSet::from([7]),
        added_by: Some(EVIL.to_owned()),
        changed_by: Some(EVIL.to_owned()),
        may_change,
    }
}

fn edited(refusal: Option<&Problem>, chooses_visibility: bool, saved: Option<&RecordPage>) -> Markup {
    let (places, tags, record) = (places(), [EVIL.to_owned()], evil());
    let choices = Choices { places: &places, tags: &tags, chooses_visibility };
    edit_form(&Frame::default(), &record.row, &RecordForm::of(&record), refusal, &choices, saved)
}

#[test]
fn text_of_people_is_never_taken_for_html() {
    let problem = Problem::fields(vec![FieldError::new("title", EVIL), FieldError::new("fields", EVIL)]);
    for page in [
        record_page(true).markup(&Frame::default(), &Asked::default(), None),
        record_page(true).markup(&Frame::default(), &Asked::default(), Some(&Problem::conflict(EVIL))),
        edited(None, true, None),
        edited(Some(&problem), false, Some(&record_page(true))),
    ] {
        assert_harmless(&page);
    }
    let form = edited(Some(&problem), true, None).into_string();
    assert_eq!(form.matches("</textarea>").count(), form.matches("<textarea").count(), "{form}");
    let key = SortKey::Title(EVIL.as_bytes().to_owned());
    let list = List {
        query: ListQuery {
            search: EVIL.to_owned(),
            tag: EVIL.to_owned(),
            category: EVIL.to_owned(),
            place_id: "1".to_owned(),
            ..ListQuery::default()
        },
        page: Page { next: Some(Cursor { order: Order::Title, key, id: 1 }), records: vec![evil().row] },
        details: [(1, evil().details)].into(),
        pictures: [(1, 7)].into(),
        snippets: HashMap::new(),
        places: places(),
        tags: vec![EVIL.to_owned()],
        cursor: EVIL.to_owned(),
        may_add: true,
        may_import: true,
        deleted: Some(Trashed { id: 1, title: EVIL.to_owned(), is_private: false, at: None, by: None }),
    };
    assert_harmless(&list.page(&Frame::default(), &QuickAdd::default()));
}

#[test]
fn a_guest_gets_no_form_but_the_search() {
    let list = List { page: Page { records: vec![evil().row], next: None }, ..List::default() };
    let text = list.page(&Frame::default(), &QuickAdd::default()).into_string();
    assert_eq!(text.matches("<form").count(), 1, "{text}");
    assert!(!text.contains("New record") && text.contains("Only me"), "{text}");
    let text = record_page(false).markup(&Frame::default(), &Asked::default(), None).into_string();
    assert!(!text.contains("<form") && !text.contains("/edit"), "{text}");
}

#[test]
fn only_who_added_it_says_who_sees_it() {
    assert!(edited(None, true, None).into_string().contains(r#"value="private" checked"#));
    let anothers = edited(None, false, None).into_string();
    assert!(!anothers.contains("visibility"), "{anothers}");
}

#[test]
fn what_was_wrong_leads_to_a_field() {
    let names = ["visibility", "kind", "tags", "place_id", "fields", "notes", "field-provider"];
    let problem = Problem::fields(names.iter().map(|name| FieldError::new(name, "is wrong")).collect());
    for chooses_visibility in [true, false] {
        let text = edited(Some(&problem), chooses_visibility, None).into_string();
        for name in names {
            assert!(text.contains(&format!(r##"href="#record-{name}""##)), "{name}: {text}");
            assert_eq!(text.matches(&format!(r#"id="record-{name}""#)).count(), 1, "{name}: {text}");
        }
        assert!(text.contains("<title>Error: "), "{text}");
    }
}

#[test]
fn a_place_that_is_gone_is_not_taken_for_none() {
    let record = evil();
    let choices = Choices { places: &[], tags: &[], chooses_visibility: true };
    let form = edit_form(&Frame::default(), &record.row, &RecordForm::of(&record), None, &choices, None);
    assert!(form.into_string().contains(r#"<option value="1" selected>"#));
}
