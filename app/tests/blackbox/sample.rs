//! The sample household, as people load and remove it.

use serde_json::json;

use crate::harness::{App, Data, Start};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml");

fn post(app: &App, path: &str) -> crate::client::Answer {
    app.ask("POST", path, &[FORM, HTML], b"")
}

fn page(app: &App, path: &str) -> String {
    app.ask("GET", path, &[HTML], b"").text().to_owned()
}

#[test]
fn the_sample_is_loaded_into_an_empty_binder_and_removed_again() {
    let data = Data::new();
    data.add_person("guest", "hearth_guest");
    let app = Start::alone(&data).start();
    assert!(page(&app, "/").contains("href=\"/sample\"") && page(&app, "/sample").contains("Load the sample"));
    assert_eq!(post(&app, "/sample").header("location"), Some("/sample?done=loaded"));
    let number = data.count("SELECT count(*) FROM record");
    assert!(number >= 12, "{number}");
    for (sql, least) in [("SELECT count(DISTINCT kind) FROM record", 6), ("SELECT count(*) FROM place", 6)] {
        assert!(data.count(sql) >= least, "{sql}");
    }
    let found = |query: &str| app.get(&format!("/api/v1/records?{query}")).json()["items"].as_array().unwrap().len();
    for query in ["search=filter", "search=ND-7400", "search=laundry", "search=Aurora", "kind=vehicle", "tag=travel"] {
        assert!(found(query) > 0, "{query}");
    }
    for id in 1..=number {
        assert_eq!(app.ask("GET", &format!("/records/{id}"), &[HTML], b"").status, 200, "{id}");
    }
    // Twice is once.
    let again = post(&app, "/sample");
    assert_eq!(again.status, 409);
    assert!(again.text().contains("for an empty binder"), "{again:?}");
    assert_eq!(data.count("SELECT count(*) FROM record"), number);
    // Who takes the tag from a record keeps it, and its place.
    let car = app.get("/api/v1/records?kind=vehicle").json()["items"][0]["id"].clone();
    assert_eq!(app.send("PATCH", &format!("/api/v1/records/{car}"), &json!({ "tags": ["Ours"] })).status, 200);
    assert!(page(&app, "/sample").contains(&format!("{} records</a>", number - 1)));
    assert_eq!(post(&app, "/sample/remove").header("location"), Some("/sample?done=removed"));
    assert_eq!(data.count("SELECT count(*) FROM record"), 1);
    assert_eq!(data.count("SELECT count(*) FROM trash"), number - 1);
    let places = app.get("/api/v1/places").json();
    assert_eq!(places["items"].as_array().unwrap().iter().map(|place| &place["path"]).collect::<Vec<_>>(), ["Garage"]);
    assert!(page(&app, "/sample").contains("there are records in this one"));
    assert_eq!(app.ask("POST", "/sample/remove", &[FORM, HTML], b"").status, 303, "nothing more to remove is no error");
    let guest = [HTML, ("authorization", "Bearer hearth_guest")];
    assert_eq!(app.ask("GET", "/sample", &guest, b"").status, 403);
    app.stop();
}
