//! The first page, as a browser without scripts uses it.

use crate::{
    accounts::browser::join,
    client::Answer,
    harness::{App, Data, Start},
};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml");

fn add(app: &App, form: &str) -> Answer {
    app.ask("POST", "/records", &[FORM, HTML], form.as_bytes())
}

#[test]
fn a_record_added_by_the_form_is_on_the_page() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    assert!(app.get("/").text().contains("There are no records yet"));
    let answer = add(&app, "title=Stra%C3%9Fe+%3Cb%3E&category=a%26b&notes=one%0D%0Atwo&due_date=2027-01-01");
    assert_eq!(answer.status, 303, "{answer:?}");
    let location = answer.header("location").unwrap().to_owned();
    let page = app.get(location.split('#').next().unwrap());
    let text = page.text();
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(text.contains("“Straße &lt;b&gt;” was added"), "{text}");
    assert!(text.contains(">Straße &lt;b&gt;</a></h2>"), "{text}");
    assert!(text.contains("a&amp;b") && text.contains("one\ntwo") && text.contains("2027-01-01"));
    assert!(!text.contains("<script"));
    app.stop();
}

#[test]
fn what_was_wrong_is_said_in_the_form_and_what_was_typed_stays() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let answer = add(&app, "title=+&category=Keep+%22me%22&notes=%0Aand+me&due_date=2027-02-30");
    assert_eq!(answer.status, 400);
    let text = answer.text();
    assert!(text.contains("The title must not be empty."), "{text}");
    assert!(text.contains("<title>Error: Records"), "{text}");
    assert!(text.find("<h1") < text.find("<h2"), "{text}");
    assert!(text.contains("The due date is not a valid date"));
    assert!(text.contains("value=\"Keep &quot;me&quot;\""));
    assert!(text.contains("\n\nand me</textarea>"));
    assert!(text.contains("aria-invalid=\"true\""));
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM record"), 0);
}

#[test]
fn the_list_is_paged_searched_and_ordered() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    for number in 0..45 {
        add(&app, &format!("title=Number+{number:02}&notes=%E4%BF%9D%E9%99%A9"));
    }
    let mut path = "/?sort=title&search=%E4%BF%9D%E9%99%A9".to_owned();
    let mut pages = 0;
    let mut seen = Vec::new();
    loop {
        let answer = app.get(&path);
        let text = answer.text();
        let titles = text.split("<h2><a href=").skip(1).map(|rest| rest.split(['>', '<']).nth(1).unwrap().to_owned());
        seen.extend(titles);
        pages += 1;
        match text.split("rel=\"next\" href=\"").nth(1) {
            Some(rest) => path = rest.split(['#', '"']).next().unwrap().replace("&amp;", "&"),
            None => break,
        }
    }
    assert_eq!(pages, 3);
    assert_eq!(seen, (0..45).map(|number| format!("Number {number:02}")).collect::<Vec<_>>());
    assert!(app.get("/?search=nothing+like+it").text().contains("No records found"));
    app.stop();
}

#[test]
fn a_person_gets_a_page_where_a_program_gets_a_document() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    for (path, status) in [("/nowhere", 404), ("/?sort=random", 400), ("/?after=x", 400), ("/records", 405)] {
        let answer = app.ask("GET", path, &[HTML], b"");
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        assert!(answer.text().contains("Back to Records"));
        app.get(path).problem(status);
    }
    let cookie = join(&app, "member", "anna@example.org").cookie();
    let foreign = [FORM, HTML, ("origin", "http://evil.example"), ("cookie", &*cookie)];
    let foreign = app.ask("POST", "/records", &foreign, b"title=x");
    assert_eq!(foreign.status, 403);
    assert!(foreign.text().starts_with("<!DOCTYPE html>"));
    app.ask("GET", "/api/v1/nowhere", &[HTML], b"").problem(404);
    app.stop();
}

#[test]
fn a_page_under_a_name_that_is_not_ours_leads_nowhere() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let answer = app.ask("GET", "/", &[HTML, ("host", "evil.example")], b"");
    assert_eq!(answer.status, 421);
    let text = answer.text();
    assert!(text.contains("HEARTH_HTTP__HOSTS") && !text.contains("Back to Records"), "{text}");
    app.stop();
}

#[test]
fn what_the_page_refers_to_is_there() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let page = app.get("/");
    let mut found = 0;
    for rest in page.text().split("href=\"").skip(1).chain(page.text().split("src=\"").skip(1)) {
        let path = rest.split(['"', '#']).next().unwrap();
        if path.is_empty() {
            // Within the page.
            continue;
        }
        let answer = app.get(&path.replace("&amp;", "&"));
        assert_eq!(answer.status, 200, "{path}");
        assert!(path.starts_with('/') && !path.starts_with("//"), "{path}");
        found += 1;
    }
    assert!(found >= 4);
    let docs = app.get("/api/v1/docs");
    assert!(docs.text().contains("SwaggerUIBundle"));
    app.stop();
}
