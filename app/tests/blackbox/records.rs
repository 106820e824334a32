//! The records over the API.

use std::{collections::BTreeMap, thread};

use serde_json::{Value, json};

use crate::harness::{App, Data, Start};

/// What `sort` takes.
const ORDERS: [&str; 6] = ["updated_desc", "updated", "due", "due_desc", "title", "title_desc"];

/// Titles of a list, page by page to its end, each page asked with `query`.
fn walk(app: &App, query: &str, mut between: impl FnMut(usize)) -> Vec<Value> {
    let mut found = Vec::new();
    let mut after = String::new();
    for number in 0.. {
        let answer = app.get(&format!("/api/v1/records?{query}{after}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = answer.json();
        found.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return found,
        }
        assert!(number < 1000, "the list has no end");
        between(number);
    }
    unreachable!()
}

fn titles(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["title"].as_str().unwrap()).collect()
}

fn search(app: &App, words: &str) -> Vec<String> {
    let encoded: String = words.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut found: Vec<_> =
        titles(&walk(app, &format!("sort=title&search={encoded}"), |_| {})).into_iter().map(str::to_owned).collect();
    found.sort();
    found
}

#[test]
fn a_record_is_added_read_changed_and_deleted() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let full = json!({
        "title": "  Boiler service ", "category": "House", "notes": "Call Müller\n二年一次", "due_date": "2027-03-01",
    });
    let answer = app.send("POST", "/api/v1/records", &full);
    assert_eq!(answer.status, 201);
    let record = answer.json();
    let path = answer.header("location").unwrap();
    assert_eq!(path, format!("/api/v1/records/{}", record["id"]));
    assert_eq!(record["title"], "Boiler service");
    assert_eq!(record["notes"], "Call Müller\n二年一次");
    assert_eq!(record["due_date"], "2027-03-01");
    assert_eq!(record["created_at"], record["updated_at"]);
    assert_eq!(record["created_at"].as_str().unwrap().len(), "2026-11-24T22:30:00.000Z".len());
    assert_eq!(app.get(path).json(), record);

    // What is absent stays; null takes the date away; the moment of the change moves.
    let changed = app.send("PATCH", path, &json!({ "category": "Heating" })).json();
    assert_eq!(changed["category"], "Heating");
    assert_eq!(changed["due_date"], "2027-03-01");
    assert_eq!(changed["created_at"], record["created_at"]);
    assert!(changed["updated_at"].as_str() >= record["updated_at"].as_str());
    let changed = app.send("PATCH", path, &json!({ "due_date": null })).json();
    assert!(changed.get("due_date").is_none());
    // Of what cannot be taken away, null could mean two things.
    let refused = app.send("PATCH", path, &json!({ "title": "Boiler", "notes": null }));
    assert_eq!(refused.status, 400);
    assert!(refused.json()["detail"].as_str().unwrap().contains("omitted instead of null"), "{refused:?}");
    assert_eq!(app.get(path).json()["title"], "Boiler service");
    assert_eq!(app.get(path).json(), changed);
    // A change that changes nothing is no change.
    assert_eq!(app.send("PATCH", path, &json!({ "category": "Heating" })).json(), changed);

    let answer = app.ask("DELETE", path, &[], b"");
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    app.get(path).problem(404);
    app.ask("DELETE", path, &[], b"").problem(404);
    app.send("PATCH", path, &json!({ "title": "x" })).problem(404);
    // Its number is not given again.
    assert!(app.create(&json!({ "title": "Next" }))["id"].as_i64() > record["id"].as_i64());
    app.stop();
}

#[test]
fn every_order_walks_through_all_records_exactly_once() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    // Equal keys abound: the id has to decide.
    for number in 0..25 {
        let due = (number % 3 > 0).then(|| format!("2027-0{}-01", number % 4 + 1));
        let mut body = json!({ "title": format!("{} {}", ["b", "A", "c", "B"][number % 4], number / 8) });
        if let Some(due) = due {
            body["due_date"] = due.into();
        }
        app.create(&body);
    }
    data.sql("UPDATE record SET updated_at = '2026-11-24T22:30:00.000Z' WHERE id % 2 = 0");
    for order in ORDERS {
        let whole = walk(&app, &format!("sort={order}&limit=200"), |_| {});
        assert_eq!(whole.len(), 25);
        for limit in [1, 2, 7, 24, 25] {
            assert_eq!(walk(&app, &format!("sort={order}&limit={limit}"), |_| {}), whole, "{order} {limit}");
        }
        let is_descending = order.ends_with("_desc");
        let key = |record: &Value| {
            let text = |field: &str| record[field].as_str().map(str::to_ascii_lowercase);
            let key = match order {
                "updated" | "updated_desc" => text("updated_at"),
                "due" | "due_desc" => text("due_date"),
                _ => text("title"),
            };
            let bytes = |text: String| text.bytes().map(|byte| if is_descending { !byte } else { byte }).collect();
            // What is never due comes last both ways.
            key.map_or(vec![0xff; 2], bytes)
        };
        assert!(whole.is_sorted_by_key(key), "{order}: {whole:#?}");
        // The other way round it is the same list, but for what is never due.
        let due = |record: &&Value| !order.starts_with("due") || record["due_date"].is_string();
        let reversed = if is_descending { order.trim_end_matches("_desc").to_owned() } else { format!("{order}_desc") };
        let mut reversed = walk(&app, &format!("sort={reversed}&limit=7"), |_| {});
        reversed.reverse();
        assert!(whole.iter().filter(due).eq(reversed.iter().filter(due)), "{order}");
    }
    assert_eq!(walk(&app, "", |_| {}), walk(&app, "sort=updated_desc&limit=3", |_| {}));
    app.stop();
}

#[test]
fn pages_neither_repeat_nor_hide_records_while_others_come_and_go() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    for order in ORDERS {
        let mut kept = BTreeMap::new();
        for number in 0..30 {
            let due = format!("2027-01-{:02}", number % 28 + 1);
            let record =
                app.create(&json!({ "title": format!("kept {number:02}"), "due_date": due, "category": order }));
            kept.insert(record["id"].as_i64().unwrap(), record["title"].clone());
        }
        let mut comer = None;
        let seen = walk(&app, &format!("sort={order}&category={order}&limit=4"), |number| {
            // Before, between and behind the places where the pages were cut.
            if let Some(path) = comer.take() {
                assert_eq!(app.ask("DELETE", path, &[], b"").status, 204);
            }
            let title = ["a", "kept 10x", "z"][number % 3];
            let due = ["2026-01-01", "2027-01-15", "2028-01-01"][number % 3];
            let body = json!({ "title": title, "category": order, "due_date": due });
            let record = app.create(&body);
            comer = Some(&*Box::leak(format!("/api/v1/records/{}", record["id"]).into_boxed_str()));
        });
        let mut ids: Vec<_> = seen.iter().map(|record| record["id"].as_i64().unwrap()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "{order}: a record came twice");
        assert!(kept.keys().all(|id| ids.contains(id)), "{order}: a record was hidden");
    }
    app.stop();
}

#[test]
fn search_finds_parts_of_words_in_every_script() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    for (title, category, notes) in [
        ("Car insurance", "Auto", "Policy 4711-X, renewed by José"),
        ("保险合同", "文件", "汽车 保险 2027"),
        ("Страховка", "Документы", "Продлить ежегодно"),
        ("التأمين على السيارة", "وثائق", "تجديد سنوي"),
        ("自動車保険", "書類", "毎年更新する"),
        ("Führerschein", "Ämter", "100% \"fertig\"_!"),
        ("कार बीमा", "दस्तावेज़", "हर साल"),
    ] {
        app.create(&json!({ "title": title, "category": category, "notes": notes }));
    }
    for (words, found) in [
        ("insur", vec!["Car insurance"]),
        ("INSURANCE car", vec!["Car insurance"]),
        ("jose", vec!["Car insurance"]),
        ("4711-X", vec!["Car insurance"]),
        ("car bicycle", vec![]),
        ("保险合", vec!["保险合同"]),
        // Two characters, and one.
        ("保险", vec!["保险合同"]),
        ("保", vec!["保险合同", "自動車保険"]),
        ("保 毎年更", vec!["自動車保険"]),
        ("страх", vec!["Страховка"]),
        ("ДОКУМ", vec!["Страховка"]),
        ("ка", vec!["Страховка"]),
        ("КА", vec!["Страховка"]),
        ("السيارة", vec!["التأمين على السيارة"]),
        ("बीमा", vec!["कार बीमा"]),
        ("fuhrer", vec!["Führerschein"]),
        ("äm", vec!["Führerschein"]),
        // What has a meaning in FTS5 or LIKE has none here.
        ("%", vec!["Führerschein"]),
        ("_", vec!["Führerschein"]),
        ("!", vec!["Führerschein"]),
        ("\"fertig\"", vec!["Führerschein"]),
        ("car OR bicycle", vec![]),
        ("title:car", vec![]),
        ("car*", vec![]),
        ("\"", vec!["Führerschein"]),
        ("'; DROP TABLE record; --", vec![]),
    ] {
        assert_eq!(search(&app, words), found, "{words}");
    }
    // The index follows changes and deletions.
    app.send("PATCH", "/api/v1/records/1", &json!({ "title": "Motorbike policy" }));
    assert_eq!(search(&app, "motorb"), ["Motorbike policy"]);
    assert!(search(&app, "insurance").is_empty());
    app.ask("DELETE", "/api/v1/records/1", &[], b"");
    assert!(search(&app, "motorb").is_empty());
    app.stop();
}

#[test]
fn spellings_that_people_take_for_the_same_are_the_same() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    for (title, words) in [
        ("Öl nachfüllen", "ol"),
        ("O\u{308}lfass", "ÖLF"),
        ("Straße", "STRASSE"),
        ("Anna\u{2019}s passport", "Anna's"),
        ("Anna's letter", "annas lett"),
        ("ﬁre alarm", "fire"),
        ("cooperative", "co\u{ad}operative"),
        ("Işıklar", "isik"),
        ("Ｆｕｌｌ width", "full"),
        ("健康保険", "保険"),
        ("火災保険", "険"),
        ("ｶﾞｽ", "ガス"),
        ("Ёлка", "елк"),
        ("Łódź", "lodz"),
        ("crème brûlée recipe", "brulee"),
    ] {
        let id = app.create(&json!({ "title": title }));
        assert!(search(&app, words).contains(&title.to_owned()), "{words} finds {title}");
        let path = format!("/api/v1/records/{}", id["id"]);
        assert_eq!(app.ask("DELETE", &path, &[], b"").status, 204);
    }
    // Marks that are not accents make another letter.
    app.create(&json!({ "title": "がく" }));
    assert!(search(&app, "かく").is_empty());
    app.stop();
}

#[test]
fn titles_are_in_the_order_that_people_expect() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    for title in ["Zebra", "apple", "Äpfel", "Öse", "Ole", "émile", "Zürich", "zoo", "保険", "Яблоко"] {
        app.create(&json!({ "title": title }));
    }
    let order = ["Äpfel", "apple", "émile", "Ole", "Öse", "Zebra", "zoo", "Zürich", "Яблоко", "保険"];
    // In pages, so that the cursor is in that order too.
    assert_eq!(titles(&walk(&app, "sort=title&limit=3", |_| {})), order);
    app.stop();
}

#[test]
fn what_an_older_program_wrote_is_found_after_the_next_start() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    app.create(&json!({ "title": "Boiler", "category": "Haus" }));
    app.stop();
    // 0.4.0's statements.
    data.sql(
        "INSERT INTO record (title, category, notes, due_date, created_at, updated_at, owner_id, visibility)
            VALUES ('Ölfass', 'Müll', '', NULL, '2026-11-24T12:00:00.000Z', '2026-11-24T12:00:00.000Z', 1, 'household');
         UPDATE record SET title = 'Ofen', category = 'Haus', notes = '', due_date = NULL,
            created_at = '2026-11-24T12:00:00.000Z', updated_at = '2026-11-24T12:00:00.000Z', owner_id = 1,
            visibility = 'household' WHERE id = 1",
    );
    let app = Start::alone(&data).start();
    assert_eq!(search(&app, "olf"), ["Ölfass"]);
    assert_eq!(search(&app, "ofen"), ["Ofen"]);
    assert!(search(&app, "boiler").is_empty());
    assert_eq!(titles(&walk(&app, "sort=title&category=mull", |_| {})), ["Ölfass"]);
    assert_eq!(titles(&walk(&app, "sort=title", |_| {})), ["Ofen", "Ölfass"]);
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM record WHERE fold_version = 0"), 0);
}

#[test]
fn a_folding_of_another_version_is_done_again_at_the_start() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    for number in 0..250 {
        app.create(&json!({ "title": format!("Öl {number}") }));
    }
    app.stop();
    data.sql("UPDATE record SET folded = 'x', title_key = x'00', fold_version = 99; UPDATE record_state SET fold_version = 99");
    let app = Start::alone(&data).start();
    assert_eq!(titles(&walk(&app, "search=ol&limit=200", |_| {})).len(), 250);
    app.stop();
    let folded = "SELECT count(*) FROM record WHERE fold_version = 2 AND folded LIKE 'ol %'";
    assert_eq!(data.count(folded), 250);
}

#[test]
fn the_list_can_be_narrowed() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    for (title, category, due) in [("a", "x", Some("2027-01-01")), ("b", "x", Some("2027-01-02")), ("c", "y", None)] {
        let mut body = json!({ "title": title, "category": category });
        if let Some(due) = due {
            body["due_date"] = due.into();
        }
        app.create(&body);
    }
    let found = |query: &str| titles(&walk(&app, &format!("sort=title&{query}"), |_| {})).concat();
    assert_eq!(found("category=x"), "ab");
    assert_eq!(found("category=X"), "ab");
    assert_eq!(found("category=z"), "");
    assert_eq!(found("due_before=2027-01-02"), "a");
    assert_eq!(found("due_before=2027-01-03&category=x&search=b"), "b");
    assert_eq!(found("search=%20"), "abc");
    assert_eq!(found("due_after=2027-01-01"), "b");
    assert_eq!(found("due_after=2026-12-31&due_before=2027-01-02"), "a");
    let owner = app.get("/api/v1/records?limit=1").json()["items"][0]["owner_id"].clone();
    assert_eq!(found(&format!("owner_id={owner}")), "abc");
    assert_eq!(found("owner_id=999"), "");
    app.create(&json!({ "title": "d", "visibility": "private" }));
    assert_eq!(found("visibility=private"), "d");
    assert_eq!(found("visibility=household&category=x"), "ab");
    app.stop();
}

#[test]
fn a_page_of_very_long_records_ends_early_and_nothing_is_lost() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let notes = "猫".repeat(100_000);
    for number in 0..20 {
        app.create(&json!({ "title": format!("{number:02}"), "notes": notes }));
    }
    let first = app.get("/api/v1/records?sort=title&limit=200");
    assert!(first.body.len() < 6 << 20, "{}", first.body.len());
    assert!(first.json()["next"].is_string());
    let all = walk(&app, "sort=title&limit=200", |_| {});
    assert_eq!(titles(&all), (0..20).map(|number| format!("{number:02}")).collect::<Vec<_>>());
    assert!(all.iter().all(|record| record["notes"] == notes.as_str()));
    app.stop();
}

#[test]
fn many_writers_at_once_lose_nothing_and_are_never_refused() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let counter = app.create(&json!({ "title": "counter" }))["id"].clone();
    thread::scope(|scope| {
        for writer in 0..16 {
            let (app, counter) = (&app, &counter);
            scope.spawn(move || {
                for number in 0..15 {
                    let record = app.create(&json!({ "title": format!("{writer}-{number}") }));
                    // It can be read by whoever asks after the answer.
                    let path = format!("/api/v1/records/{}", record["id"]);
                    assert_eq!(app.get(&path).json(), record);
                    let answer = app.send("PATCH", &path, &json!({ "notes": format!("{writer}") }));
                    assert_eq!(answer.status, 200, "{answer:?}");
                    let path = format!("/api/v1/records/{counter}");
                    assert_eq!(app.send("PATCH", &path, &json!({ "category": format!("{writer}") })).status, 200);
                }
            });
        }
    });
    let all = walk(&app, "limit=200", |_| {});
    assert_eq!(all.len(), 16 * 15 + 1);
    let wrong = all
        .iter()
        .filter(|record| record["title"] != "counter")
        .filter(|record| {
            !record["title"].as_str().unwrap().starts_with(&format!("{}-", record["notes"].as_str().unwrap()))
        })
        .count();
    assert_eq!(wrong, 0);
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM record"), 16 * 15 + 1);
}

#[test]
fn a_write_that_was_answered_survives_being_killed() {
    let data = Data::new();
    let mut app = Start::alone(&data).start();
    let ids: Vec<_> =
        (0..20).map(|number| app.create(&json!({ "title": format!("{number}") }))["id"].as_i64().unwrap()).collect();
    app.child.kill().unwrap();
    app.wait();
    assert_eq!(data.count("SELECT count(*) FROM record"), ids.len() as i64);
}

#[test]
fn a_write_whose_answer_was_lost_is_complete() {
    let data = Data::new();
    let mut app = Start::alone(&data).env("HEARTH_FAULT", "app.committed=kill").start();
    let mut stream = app.connect();
    let body = r#"{"title":"Committed"}"#;
    let request = format!(
        "POST /api/v1/records HTTP/1.1\r\nhost: x\r\nauthorization: Bearer hearth_0000000000000000000000000000000000000000000\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    app.wait();
    assert_eq!(data.count("SELECT count(*) FROM record WHERE title = 'Committed'"), 1);
    assert_eq!(data.count("SELECT count(*) FROM record_search('\".com\"')"), 1);
}
