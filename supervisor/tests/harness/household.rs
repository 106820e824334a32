//! A household's data, by hand and through the API.

use std::{net::SocketAddr, thread};

use serde_json::{Value, json};

use super::{BTreeMap, get, request};

/// Returns record number `number`: text in several scripts, long notes, due dates.
pub fn record(number: usize) -> Value {
    const TITLES: [&str; 8] = [
        "Boiler service",
        "Wartungsvertrag Heizung ÄÖÜß",
        "家庭用ボイラーの点検",
        "暖气检修合同",
        "Техосмотр машины",
        "صيانة السخان",
        "תחזוקת דוד",
        "Zahnarzt 🦷 – e\u{301}cole",
    ];
    const CATEGORIES: [&str; 4] = ["", "house", "Auto/Автомобиль", "健康"];
    let notes = match number % 5 {
        0 => String::new(),
        1 => format!("line one\nline {number}\r\n\ttabbed \"quoted\" <b>&amp; 'single'; -- drop"),
        2 => "длинная заметка ".repeat(number % 300),
        3 => format!("🦀{}", "long ".repeat(number % 2000)),
        _ => format!("n{number}"),
    };
    let mut record = json!({
        "title": format!("{} {number}", TITLES[number % TITLES.len()]),
        "category": CATEGORIES[number % CATEGORIES.len()],
        "notes": notes,
    });
    if number.is_multiple_of(3) {
        record["due_date"] = json!(format!("20{:02}-{:02}-{:02}", 20 + number % 20, 1 + number % 12, 1 + number % 28));
    }
    record
}

/// Adds this many records over several connections at once.
pub fn fill(address: SocketAddr, count: usize) {
    const HANDS: usize = 6;
    thread::scope(|scope| {
        for hand in 0..HANDS {
            scope.spawn(move || {
                for number in (hand..count).step_by(HANDS) {
                    add(address, &record(number));
                }
            });
        }
    });
}

/// Adds one record; returns it as answered.
pub fn add(address: SocketAddr, record: &Value) -> Value {
    let answer = request(address, "POST", "/api/v1/records", "application/json", Some(record))
        .unwrap_or_else(|error| panic!("adding a record: {error}"));
    assert_eq!(answer.status, 201, "{}", answer.body);
    plain(answer.json())
}

/// What every release says of a record: those from before accounts know of no owner, up to 0.4.0 none has a version, and up to
/// 0.6.0 none has a kind, fields, tags or a place.
pub fn plain(mut record: Value) -> Value {
    if let Some(fields) = record.as_object_mut() {
        fields.remove("owner_id");
        fields.remove("visibility");
        fields.remove("version");
        for new in ["kind", "fields", "tags", "guests_see_attachments", "place_id"] {
            fields.remove(new);
        }
    }
    record
}

/// Returns every record, by id.
pub fn all(address: SocketAddr) -> BTreeMap<i64, Value> {
    let mut records = BTreeMap::new();
    let mut path = "/api/v1/records?limit=200".to_owned();
    loop {
        let answer = get(address, &path);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let page = answer.json();
        // `records` up to 0.4.0.
        for record in page["items"].as_array().or(page["records"].as_array()).expect("records") {
            let id = record["id"].as_i64().expect("an id");
            assert!(records.insert(id, plain(record.clone())).is_none(), "record {id} is on two pages");
        }
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/records?limit=200&after={next}"),
            None => return records,
        }
    }
}
