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
fn a_record_added_by_the_form_has_a_page_and_is_on_the_list() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    assert!(app.get("/").text().contains("There are no records yet"));
    let answer = add(
        &app,
        "title=Stra%C3%9Fe+%3Cb%3E&kind=thing&field-serial_number=S%2F7&field-price=12%2C50+%E2%82%AC&row-label=Colour&row-value=blue\
         &tags=Attic%2C+tools&category=a%26b&notes=one%0D%0A**two**&due_date=2027-01-01&visibility=household",
    );
    assert_eq!(answer.status, 303, "{answer:?}");
    let page = app.get(answer.header("location").unwrap());
    let text = page.text();
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(text.contains("The record was added.") && text.contains("<h1>Straße &lt;b&gt;</h1>"), "{text}");
    for part in [
        "<dt>Serial number</dt><dd><span class=\"typed\">S/7</span>",
        "<dt>Price</dt><dd>EUR\u{a0}12.50</dd>",
        "<dt>Colour</dt>",
        "<p>one<br><strong>two</strong></p>",
        r#"<a href="/?kind=thing">Thing</a>"#,
        r#"<a class="tag" href="/?tag=tools">tools</a>"#,
        r#"<a href="/?category=a%26b">a&amp;b</a>"#,
        "2027-01-01",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let list = app.get("/?kind=thing&tag=TOOLS").text().to_owned();
    assert!(list.contains(">Straße &lt;b&gt;</a></h2>") && list.contains("2027-01-01"), "{list}");
    assert!(!app.get("/?kind=vehicle").text().contains("Straße"));
    // None but our own.
    assert_eq!(text.matches("<script").count(), text.matches(r#"<script src="/assets/"#).count());
    app.stop();
}

#[test]
fn a_form_shows_the_fields_of_another_kind_without_saving_and_loses_none() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let shown = add(&app, "title=Car&kind=vehicle&field-model=Panda&field-serial_number=7&notes=%0Ax&again=kind");
    assert_eq!(shown.status, 200, "{shown:?}");
    let text = shown.text();
    assert!(text.contains(r#"name="field-licence_plate""#) && text.contains("\n\nx</textarea>"), "{text}");
    // A vehicle has a model, and no serial number: that is a row of its own.
    assert!(text.contains(r#"name="field-model" type="text" value="Panda""#), "{text}");
    assert!(text.contains(r#"name="row-key" value="serial_number""#) && text.contains(r#"value="7""#), "{text}");
    let more = add(&app, "title=Car&kind=vehicle&again=rows").text().to_owned();
    assert!(more.matches(r#"name="row-label""#).count() > text.matches(r#"name="row-label""#).count());
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM record"), 0);
}

#[test]
fn a_duplicate_begins_as_the_record_is_and_is_another_one() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let added = add(&app, "title=Drill&kind=thing&field-model=GSR+12&tags=attic");
    let page = added.header("location").unwrap().split('?').next().unwrap().to_owned();
    assert!(app.get(&page).text().contains(&format!("/records/new?from={}", &page["/records/".len()..])));
    let form = app.get(&format!("/records/new?from={}", &page["/records/".len()..])).text().to_owned();
    assert!(
        form.contains(r#"value="GSR 12""#) && form.contains(r#"value="attic""#) && form.contains(r#"value="Drill""#),
        "{form}"
    );
    assert!(!form.contains(r#"name="version" value"#), "{form}");
    assert!(app.ask("GET", "/records/new?from=99", &[HTML], b"").status == 404);
    app.stop();
}

#[test]
fn what_was_wrong_is_said_in_the_form_and_what_was_typed_stays() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let answer =
        add(&app, "title=+&category=Keep+%22me%22&notes=%0Aand+me&due_date=2027-02-30&kind=thing&field-price=12");
    assert_eq!(answer.status, 400);
    let text = answer.text();
    assert!(text.contains("The title must not be empty."), "{text}");
    assert!(text.contains("<title>Error: New record"), "{text}");
    assert!(text.contains("The due date is not a valid date"));
    assert!(text.contains(r##"href="#record-field-price">Price needs a currency"##), "{text}");
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

const PIXEL: &[u8] = include_bytes!("../../../docs/images/people.png");

/// What a browser without scripts sends of a form with files.
fn multipart(parts: &[(&str, Option<&str>, &[u8])]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, file, content) in parts {
        let file = file
            .map(|file| format!("; filename=\"{file}\"\r\nContent-Type: application/octet-stream"))
            .unwrap_or_default();
        body.extend(format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").into_bytes());
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--X--\r\n");
    ("multipart/form-data; boundary=X".to_owned(), body)
}

fn send_files(app: &App, path: &str, parts: &[(&str, Option<&str>, &[u8])]) -> Answer {
    let (kind, body) = multipart(parts);
    app.ask("POST", path, &[("content-type", &*kind), HTML], &body)
}

#[test]
fn a_photograph_is_a_record_in_one_step_without_scripts() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let answer = send_files(
        &app,
        "/records/quick",
        &[
            ("title", None, b""),
            ("file", Some(""), b""),
            ("file", Some("Receipt_2026.png"), PIXEL),
            ("file", Some("terms.txt"), b"words"),
        ],
    );
    assert_eq!(answer.status, 303, "{answer:?}");
    let page = app.get(answer.header("location").unwrap());
    let text = page.text();
    assert!(text.contains("<h1>Receipt 2026</h1>"), "{text}");
    assert!(text.contains("/preview\" alt=\"Receipt_2026.png\"") && text.contains("terms.txt</a>"), "{text}");
    let preview = text.split("<img src=\"/api").nth(1).unwrap().split('"').next().unwrap();
    let preview = format!("/api{preview}");
    assert_eq!(app.get(&preview).header("content-type"), Some("image/jpeg"));
    assert_eq!(app.get(&preview.replace("preview", "content")).body, PIXEL);
    // The list shows it, too.
    assert!(app.get("/").text().contains(&format!("class=\"thumbnail\" src=\"{preview}\"")));
    // A title is enough as well, and nothing at all is not.
    assert_eq!(send_files(&app, "/records/quick", &[("title", None, b"Boiler"), ("file", Some(""), b"")]).status, 303);
    let refused = send_files(&app, "/records/quick", &[("title", None, b" "), ("file", Some(""), b"")]);
    assert_eq!(refused.status, 400);
    assert!(
        refused.text().contains("The title must not be empty.")
            && refused.text().contains("<details class=\"quick\" open>")
    );
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM record"), 2);
}

#[test]
fn a_file_is_added_renamed_and_removed_on_the_records_page() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let record = app.create(&serde_json::json!({ "title": "Boiler" }));
    let page = format!("/records/{}", record["id"]);
    assert_eq!(send_files(&app, &format!("{page}/attachments"), &[("file", Some("a.txt"), b"words")]).status, 303);
    let text = app.get(&page).text().to_owned();
    let form = text.split(&format!("action=\"{page}/attachments/")).nth(1).unwrap().split('"').next().unwrap();
    let form = format!("{page}/attachments/{form}");
    let send = |body: &str| app.ask("POST", &form, &[FORM, HTML], body.as_bytes());
    assert_eq!(send("version=2&name=Warranty.txt&role=manual").status, 303);
    assert!(app.get(&page).text().contains("Warranty.txt</a>") && app.get(&page).text().contains("Manual · "));
    // What was shown before it changed removes nothing.
    let refused = send("version=2&what=remove");
    assert_eq!(refused.status, 412);
    assert!(refused.text().contains("The record was changed while this page was open."), "{}", refused.text());
    assert_eq!(send("version=3&what=remove").status, 303);
    assert!(!app.get(&page).text().contains("Warranty.txt"));
    // A form that breaks off keeps what had arrived, and says so.
    let (kind, mut body) = multipart(&[("file", Some("b.txt"), b"more"), ("file", Some("c.txt"), b"words")]);
    body.truncate(body.len() - 14);
    let broken = app.ask("POST", &format!("{page}/attachments"), &[("content-type", &*kind), HTML], &body);
    assert!(
        broken.status >= 400 && broken.text().contains("b.txt</a>") && !broken.text().contains("c.txt</a>"),
        "{broken:?}"
    );
    assert_eq!(app.ask("POST", &format!("{page}/attachments"), &[FORM, HTML], b"x=1").status, 415);
    app.stop();
}
