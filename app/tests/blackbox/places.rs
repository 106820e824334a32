//! Places, as programs and people use them.

use serde_json::{Value, json};

use crate::{
    client::Answer,
    harness::{App, Data, OWNER, Start},
};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml");
const BEN: &str = "hearth_ben";
const GUEST: &str = "hearth_guest";

fn add(app: &App, name: &str, parent_id: Option<i64>) -> i64 {
    let mut body = json!({ "name": name });
    if let Some(parent) = parent_id {
        body["parent_id"] = parent.into();
    }
    let answer = app.send("POST", "/api/v1/places", &body);
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_i64().unwrap()
}

fn change(app: &App, id: i64, body: Value) -> Answer {
    app.send("PATCH", &format!("/api/v1/places/{id}"), &body)
}

fn delete(app: &App, id: i64) -> Answer {
    app.ask("DELETE", &format!("/api/v1/places/{id}"), &[], b"")
}

/// Each place as somebody sees it: its path, the records in it, and those within.
fn seen(app: &App, token: &str) -> Vec<(String, i64, i64)> {
    let page = app.get_as(token, "/api/v1/places?limit=200").json();
    let number = |place: &Value, field: &str| place[field].as_i64().unwrap();
    let places = page["items"].as_array().unwrap().iter();
    places
        .map(|place| {
            let path = place["path"].as_str().unwrap().to_owned();
            (path, number(place, "records"), number(place, "records_within"))
        })
        .collect()
}

/// The titles that a search finds.
fn found(app: &App, search: &str) -> Vec<String> {
    let page = app.get(&format!("/api/v1/records?sort=title&search={search}")).json();
    page["items"].as_array().unwrap().iter().map(|record| record["title"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_viewer_counts_what_they_see_in_a_place() {
    let data = Data::new();
    data.add_person("member", BEN);
    data.add_person("guest", GUEST);
    let app = Start::alone(&data).start();
    let house = add(&app, "House", None);
    let kitchen = add(&app, "Kitchen", Some(house));
    for (place, visibility) in [(house, "household"), (kitchen, "household"), (kitchen, "private")] {
        app.create(&json!({ "title": "x", "place_id": place, "visibility": visibility }));
    }
    let of = |records: [i64; 4]| {
        let [house, houses, kitchen, kitchens] = records;
        vec![("House".to_owned(), house, houses), ("House / Kitchen".to_owned(), kitchen, kitchens)]
    };
    assert_eq!(seen(&app, OWNER), of([1, 3, 2, 2]));
    assert_eq!(seen(&app, BEN), of([1, 2, 1, 1]));
    assert_eq!(seen(&app, GUEST), of([1, 2, 1, 1]));
    app.stop();
}

#[test]
fn what_a_place_cannot_be_is_refused_and_changes_nothing() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let house = add(&app, "House", None);
    let kitchen = add(&app, "Kitchen", Some(house));
    let detail = |answer: Answer, status: u16| answer.problem(status)["detail"].as_str().unwrap().to_owned();
    for (body, field) in [
        (json!({ "name": " " }), "name"),
        (json!({ "name": "a\nb" }), "name"),
        (json!({ "name": "x".repeat(101) }), "name"),
        (json!({ "name": "x", "parent_id": 99 }), "parent_id"),
    ] {
        let problem = app.send("POST", "/api/v1/places", &body).problem(400);
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let twice = app.send("POST", "/api/v1/places", &json!({ "name": "KITCHEN", "parent_id": house }));
    assert_eq!(detail(twice, 409), "“House” already has a place “Kitchen”.");
    for parent in [house, kitchen] {
        let problem = change(&app, house, json!({ "parent_id": parent })).problem(400);
        assert_eq!(problem["errors"][0]["field"], "parent_id", "{problem}");
    }
    change(&app, 99, json!({ "name": "x" })).problem(404);
    delete(&app, 99).problem(404);
    assert_eq!(detail(delete(&app, house), 409), "“House” has 1 place in it. Move or delete it first.");
    app.create(&json!({ "title": "x", "place_id": kitchen }));
    assert_eq!(detail(delete(&app, kitchen), 409), "“Kitchen” has 1 record in it. Move or delete it first.");
    let names = seen(&app, OWNER).into_iter().map(|(path, ..)| path).collect::<Vec<_>>();
    assert_eq!(names, ["House", "House / Kitchen"]);
    app.stop();
}

#[test]
fn a_place_with_anothers_private_record_stays_and_nothing_is_told_of_it() {
    let data = Data::new();
    data.add_person("member", BEN);
    let app = Start::alone(&data).start();
    let drawer = add(&app, "Drawer", None);
    let secret = json!({ "title": "Secret", "visibility": "private", "place_id": drawer });
    assert_eq!(app.send_as(BEN, "POST", "/api/v1/records", &secret).status, 201);
    let problem = delete(&app, drawer).problem(409);
    let why = "“Drawer” has something in it that only another user can see. Ask them to move it.";
    assert_eq!(problem["detail"], why);
    assert_eq!(seen(&app, OWNER), [("Drawer".to_owned(), 0, 0)]);
    let page = app.ask("GET", &format!("/places/{drawer}"), &[HTML], b"");
    assert!(page.text().contains("There are no records here") && !page.text().contains("Secret"), "{page:?}");
    app.stop();
}

#[test]
fn a_record_is_found_by_the_new_name_of_a_place_and_by_where_it_was_moved() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let house = add(&app, "House", None);
    let kitchen = add(&app, "Kitchen", Some(house));
    app.create(&json!({ "title": "Kettle", "place_id": kitchen }));
    assert_eq!(found(&app, "kitchen"), ["Kettle"]);
    assert_eq!(change(&app, house, json!({ "name": "Villa" })).json()["name"], "Villa");
    assert_eq!((found(&app, "villa"), found(&app, "house")), (vec!["Kettle".to_owned()], vec![]));
    let moved = change(&app, kitchen, json!({ "parent_id": null })).json();
    assert_eq!((&moved["path"], moved.get("parent_id")), (&json!("Kitchen"), None));
    assert_eq!(found(&app, "villa"), [""; 0]);
    for (place, number) in [(house, 0), (kitchen, 1)] {
        let page = app.get(&format!("/api/v1/records?place_id={place}")).json();
        assert_eq!(page["items"].as_array().unwrap().len(), number, "{place}");
    }
    assert_eq!(delete(&app, house).status, 204);
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM record WHERE fold_version = 0"), 0);
    // A place is no part of a record: none was changed by it.
    assert_eq!(data.count("SELECT version FROM record"), 1);
}

#[test]
fn a_circle_that_was_made_by_hand_is_shown_and_can_be_undone() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let a = add(&app, "A", None);
    let b = add(&app, "B", Some(a));
    app.create(&json!({ "title": "Lost", "place_id": b }));
    data.sql("UPDATE place SET parent_id = 2 WHERE id = 1");
    assert_eq!(seen(&app, OWNER), [("A".to_owned(), 0, 0), ("B".to_owned(), 1, 1)]);
    for path in ["/places", "/places/1", "/places/2", "/?place_id=1", "/?search=lost"] {
        assert_eq!(app.get(path).status, 200, "{path}");
    }
    assert_eq!(change(&app, a, json!({ "parent_id": null })).status, 200);
    assert_eq!(seen(&app, OWNER), [("A".to_owned(), 0, 1), ("A / B".to_owned(), 1, 1)]);
    app.stop();
}

#[test]
fn people_keep_places_by_forms() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let post = |path: &str, form: &str| app.ask("POST", path, &[FORM, HTML], form.as_bytes());
    let page = |path: &str| app.ask("GET", path, &[HTML], b"").text().to_owned();
    assert!(page("/places").contains("There are no places yet"));
    let added = post("/places", "name=Ha%C3%BCs+%3Cb%3E&parent_id=");
    assert_eq!((added.status, added.header("location")), (303, Some("/places?added=1")));
    assert!(page("/places?added=1").contains("“Haüs &lt;b&gt;” was added."));
    assert_eq!(post("/places", "name=Box&parent_id=1").header("location"), Some("/places/1?added=2"));
    app.create(&json!({ "title": "Sledge", "place_id": 2 }));
    let box_page = page("/places/2");
    for text in [">Haüs &lt;b&gt;</a>", "href=\"/records/1\">Sledge</a>", "href=\"/?place_id=2\""] {
        assert!(box_page.contains(text), "{text}: {box_page}");
    }
    assert!(page("/places/1").contains("Haüs &lt;b&gt; / Box"), "the record says where in it");
    let wrong = post("/places/2", "name=+&parent_id=1");
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("The name must not be empty.") && wrong.text().contains("<title>Error: Box"));
    let wrong = post("/places/1", "name=Box&parent_id=2");
    assert!(wrong.text().contains("The place that it is in must not be the place itself"), "{wrong:?}");
    let full = post("/places/2/delete", "");
    assert_eq!(full.status, 409);
    assert!(full.text().contains("“Box” has 1 record in it. Move or delete it first."), "{full:?}");
    assert_eq!(post("/places/2", "name=Crate&parent_id=").header("location"), Some("/places/2?done=changed"));
    assert_eq!(post("/places/1/delete", "").header("location"), Some("/places?done=deleted"));
    let left = page("/places?done=deleted");
    assert!(left.contains(">Crate</a>") && !left.contains("Haüs") && left.contains("1 record"), "{left}");
    app.stop();
}
