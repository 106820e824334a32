//! The binder goes out as one archive and comes back, and others' data come in.

pub(crate) mod foreign;
mod interrupted;
mod meanwhile;

use std::{
    collections::BTreeMap,
    io::{Read, Write},
};

use serde_json::{Value, json};

use crate::{
    client::Answer,
    harness::{App, Data, OWNER, Start},
};

/// The type of any file.
pub(crate) const FILE: (&str, &str) = ("content-type", "application/octet-stream");

/// Returns the archive that somebody gets.
pub(crate) fn export_as(app: &App, token: &str) -> Vec<u8> {
    let mut stream = app.connect();
    let request = format!(
        "GET /api/v1/export HTTP/1.1\r\nhost: hearth\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    let end = (0..all.len()).find(|at| all[*at..].starts_with(b"\r\n\r\n")).unwrap();
    let head = String::from_utf8(all[..end].to_vec()).unwrap().to_lowercase();
    assert!(head.starts_with("http/1.1 200") && head.contains("transfer-encoding: chunked"), "{head}");
    assert!(
        head.contains("content-type: application/zip") && head.contains("attachment; filename=\"hearth-"),
        "{head}"
    );
    let (mut rest, mut body) = (&all[end + 4..], Vec::new());
    loop {
        let line = (0..rest.len()).find(|at| rest[*at..].starts_with(b"\r\n")).unwrap();
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        if length == 0 {
            return body;
        }
        body.extend(&rest[line + 2..line + 2 + length]);
        rest = &rest[line + 2 + length + 2..];
    }
}

/// Returns the entries of an archive.
pub(crate) fn unpacked(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let archive = rawzip::ZipArchive::from_slice(bytes).unwrap();
    let mut entries = BTreeMap::new();
    for entry in archive.entries() {
        let entry = entry.unwrap();
        let name = String::from_utf8(entry.file_path().as_bytes().to_vec()).unwrap();
        let found = archive.get_entry(entry.wayfinder()).unwrap();
        let mut content = Vec::new();
        found.verifying_reader(flate2::read::DeflateDecoder::new(found.data())).read_to_end(&mut content).unwrap();
        entries.insert(name, content);
    }
    entries
}

pub(crate) fn packed(entries: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut zip = rawzip::ZipArchiveWriter::new(&mut bytes);
    for (name, content) in entries {
        let (mut entry, config) = zip.new_file(rawzip::path::EntryPath::verbatim(name.as_bytes())).start().unwrap();
        let mut data = config.wrap(&mut entry);
        data.write_all(content).unwrap();
        let (_, descriptor) = data.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    zip.finish().unwrap();
    bytes
}

pub(crate) fn attach(app: &App, record: i64, name: &str, role: &str, content: &[u8]) {
    let path = format!("/api/v1/records/{record}/attachments?name={name}&role={role}");
    let answer = app.ask("POST", &path, &[FILE], content);
    assert_eq!(answer.status, 201, "{answer:?}");
}

pub(crate) fn import(app: &App, archive: &[u8]) -> Answer {
    app.ask("POST", "/api/v1/imports/binder", &[FILE], archive)
}

/// Fills a binder with one of everything.
fn fill(app: &App) {
    let home = app.send("POST", "/api/v1/places", &json!({ "name": "Home" })).json()["id"].clone();
    let cellar =
        app.send("POST", "/api/v1/places", &json!({ "name": "Cellar", "parent_id": home })).json()["id"].clone();
    assert_eq!(app.send("POST", "/api/v1/places", &json!({ "name": "Empty / shed", "parent_id": home })).status, 201);
    let drill = app.create(&json!({
        "title": "Drill: “green” */",
        "kind": "thing",
        "category": "Tools",
        "notes": "# Bits\n\nare **blue**.\r\n",
        "due_date": "2027-03-24",
        "place_id": cellar,
        "tags": ["power", "Größe L"],
        "fields": [
            { "key": "serial_number", "label": "Serial number", "value": "007" },
            { "key": "price", "label": "Price", "amount": 12950, "currency": "EUR" },
            { "label": "Colour", "value": "green\nand black" },
        ],
        "guests_see_attachments": true,
    }));
    app.create(&json!({ "title": "Mine alone", "visibility": "private" }));
    app.create(&json!({ "title": "Nothing else" }));
    let id = drill["id"].as_i64().unwrap();
    attach(app, id, "receipt.pdf", "receipt", b"%PDF-1.7\n%receipt\n");
    attach(app, id, "receipt.pdf", "document", &[7; 300_000]);
    attach(app, id, "Handbuch%20%E7%8C%AB.txt", "manual", "größe".as_bytes());
}

/// Returns all that somebody sees, without what is given anew.
fn all(app: &App) -> Vec<Value> {
    let places = app.get("/api/v1/places?limit=200").json()["items"].as_array().unwrap().clone();
    let name = |id: &Value| places.iter().find(|place| place["id"] == *id).map(|place| place["name"].clone());
    let list = app.get("/api/v1/records?limit=200&sort=title").json()["items"].as_array().unwrap().clone();
    let record = |mut record: Value| {
        let attachments = app.get(&format!("/api/v1/records/{}/attachments", record["id"])).json()["items"].clone();
        let mut attachments = attachments.as_array().unwrap().clone();
        for attachment in &mut attachments {
            let content = app.get(&format!("/api/v1/attachments/{}/content", attachment["id"])).body;
            attachment["content"] = blake3::hash(&content).to_hex().to_string().into();
            ["id", "record_id"].iter().for_each(|name| drop(attachment.as_object_mut().unwrap().remove(*name)));
        }
        record["attachments"] = attachments.into();
        record["place"] = json!(name(&record["place_id"]));
        ["id", "place_id", "version"].iter().for_each(|name| drop(record.as_object_mut().unwrap().remove(*name)));
        record
    };
    list.into_iter().map(record).collect()
}

#[test]
fn an_export_comes_back_into_an_empty_binder_as_it_was() {
    let (from, to) = (Data::new(), Data::new());
    let app = Start::alone(&from).start();
    fill(&app);
    let (before, archive) = (all(&app), export_as(&app, OWNER));
    assert_eq!(from.count("SELECT count(*) FROM audit_event WHERE kind = 'binder_exported'"), 1);
    app.stop();

    let app = Start::alone(&to).start();
    let report = import(&app, &archive).json();
    assert_eq!(report, json!({ "records": 3, "attachments": 3, "left_out": [], "was_done": false }));
    assert_eq!(all(&app), before);
    assert_eq!(to.count("SELECT count(*) FROM place"), 3);
    let subject = "SELECT count(*) FROM audit_event WHERE kind = 'binder_imported' AND subject LIKE '3 records from %'";
    assert_eq!(to.count(subject), 1);
    // And found, by a tag and a place.
    for query in ["search=grosse", "search=cellar", "search=handbuch", "kind=thing", "tag=power"] {
        assert_eq!(
            app.get(&format!("/api/v1/records?{query}")).json()["items"].as_array().unwrap().len(),
            1,
            "{query}"
        );
    }
    // Once more: added again, and nothing is overwritten.
    assert_eq!(import(&app, &archive).json()["records"], 3);
    assert_eq!((to.count("SELECT count(*) FROM record"), to.count("SELECT count(*) FROM place")), (6, 3));
    // What was exported of that is the same but for the ids.
    let again = unpacked(&export_as(&app, OWNER));
    assert_eq!(again.keys().filter(|name| name.ends_with("/record.md")).count(), 6);
    app.stop();
    assert_eq!(std::fs::read_dir(to.directory.path().join("uploads")).unwrap().count(), 0);
}

#[test]
fn an_archive_is_readable_without_hearth_and_has_what_its_user_sees() {
    let data = Data::new();
    data.add_person("member", "hearth_member");
    data.add_person("guest", "hearth_guest");
    let app = Start::alone(&data).start();
    fill(&app);
    let entries = unpacked(&export_as(&app, OWNER));
    let names: Vec<_> = entries.keys().map(String::as_str).collect();
    let drill = "records/1 Drill- “green” --";
    assert_eq!(
        names,
        [
            "README.txt",
            "binder.json",
            "records.csv",
            &format!("{drill}/Handbuch 猫.txt"),
            &format!("{drill}/receipt (2).pdf"),
            &format!("{drill}/receipt.pdf"),
            &format!("{drill}/record.md"),
            "records/2 Mine alone/record.md",
            "records/3 Nothing else/record.md",
        ]
    );
    let text = |name: &str| String::from_utf8(entries[name].clone()).unwrap();
    let markdown = text(&format!("{drill}/record.md"));
    for words in ["# Drill: “green” \\*/", "- Place: Home / Cellar", "- Price: 129.50 EUR", "(receipt%20%282%29.pdf)"]
    {
        assert!(markdown.contains(words), "{words}: {markdown}");
    }
    assert!(text("records.csv").lines().count() > 3 && text("records.csv").contains("Mine alone"));
    // Another user's has nothing of what is private.
    let others = export_as(&app, "hearth_member");
    assert!(unpacked(&others).values().all(|content| !String::from_utf8_lossy(content).contains("Mine alone")));
    app.get_as("hearth_guest", "/api/v1/export").problem(403);
    let page = app.ask("GET", "/export", &[("accept", "text/html")], b"");
    assert!(page.text().contains("href=\"/export/archive\""), "{page:?}");
    app.stop();
}

#[test]
fn what_is_not_right_in_an_archive_is_left_out_with_the_reason() {
    let (from, to) = (Data::new(), Data::new());
    let app = Start::alone(&from).start();
    fill(&app);
    let mut entries = unpacked(&export_as(&app, OWNER));
    app.stop();
    let receipt = entries.keys().find(|name| name.ends_with("/receipt.pdf")).unwrap().clone();
    let manual = entries.keys().find(|name| name.ends_with(".txt") && name.contains('/')).unwrap().clone();
    entries.insert(receipt, b"another content".to_vec());
    entries.remove(&manual);
    let mut binder: Value = serde_json::from_slice(&entries["binder.json"]).unwrap();
    binder["records"][1]["title"] = "".into();
    binder["records"][2]["created_at"] = "yesterday".into();
    binder["records"][0]["attachments"][1]["name"] = "../../../etc/passwd".into();
    entries.insert("binder.json".to_owned(), binder.to_string().into_bytes());

    let app = Start::alone(&to).start();
    let report = import(&app, &packed(&entries)).json();
    assert_eq!((&report["records"], &report["attachments"]), (&json!(1), &json!(1)));
    let left_out: Vec<_> =
        report["left_out"].as_array().unwrap().iter().map(|one| one["why"].as_str().unwrap()).collect();
    assert_eq!(left_out.len(), 4, "{left_out:?}");
    for why in
        ["it is not the file that was exported", "it is not in the archive", "title must not be empty", "yesterday"]
    {
        assert!(left_out.iter().any(|left| left.contains(why)), "{why}: {left_out:?}");
    }
    assert_eq!(to.count("SELECT count(*) FROM attachment WHERE name = 'etc-passwd'"), 1);
    app.stop();
}

#[test]
fn what_is_no_export_is_refused_and_adds_nothing() {
    let data = Data::new();
    data.add_person("member", "hearth_member");
    let app = Start::alone(&data).start();
    let with = |binder: &Value| packed(&[("binder.json".to_owned(), binder.to_string().into_bytes())].into());
    for (archive, words) in [
        (b"PK and no more".to_vec(), "not a zip archive"),
        (b"title\nBoiler\n".to_vec(), "of another program"),
        (packed(&[("a.txt".to_owned(), b"x".to_vec())].into()), "neither an export of Hearth"),
        (with(&json!({ "format": "hearth-binder", "version": 2, "records": [] })), "newer program"),
        (with(&json!({ "format": "other", "version": 1 })), "not what Hearth writes"),
        (with(&json!({ "format": "hearth-binder", "version": 1, "records": [{}] })), "cannot be read"),
        (with(&json!("nothing")), "cannot be read"),
    ] {
        let problem = import(&app, &archive).problem(422);
        assert!(problem["detail"].as_str().unwrap().contains(words), "{words}: {problem}");
    }
    let member = ("authorization", "Bearer hearth_member");
    app.ask("POST", "/api/v1/imports/binder", &[FILE, member], b"PK").problem(403);
    app.stop();
    for sql in ["SELECT count(*) FROM record", "SELECT count(*) FROM file"] {
        assert_eq!(data.count(sql), 0);
    }
}

#[test]
fn an_import_that_is_sent_again_adds_nothing_more() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let table = b"HB.name,HB.location,HB.tags,HB.asset_id,HB.purchase_price\nDrill,Home / Cellar,tools; power,000-042,129.5\n,,,,\n,Home,,,\n";
    let send = || {
        let key = ("idempotency-key", "one");
        app.ask("POST", "/api/v1/imports/homebox?currency=EUR", &[FILE, key], table).json()
    };
    let first = send();
    let left_out = json!([{ "what": "Row 4", "why": "title must not be empty" }]);
    assert_eq!(first, json!({ "records": 1, "attachments": 0, "left_out": left_out, "was_done": false }));
    assert_eq!(send()["was_done"], true);
    let records = app.get("/api/v1/records").json()["items"].clone();
    assert_eq!(records.as_array().unwrap().len(), 1);
    assert_eq!((&records[0]["kind"], &records[0]["tags"]), (&json!("thing"), &json!(["power", "tools"])));
    let price = json!({ "key": "price", "label": "Price", "amount": 12950, "currency": "EUR" });
    let asset = json!({ "key": "asset_id", "label": "Asset id", "value": "000-042" });
    assert_eq!(records[0]["fields"], json!([price, asset]));
    assert_eq!(data.count("SELECT count(*) FROM place"), 2);
    app.stop();
}

/// Sends a file as a browser's form does.
pub(crate) fn send_file(app: &App, name: &str, content: &[u8]) -> Answer {
    let mut body = b"--frontier\r\ncontent-disposition: form-data; name=\"currency\"\r\n\r\neur\r\n".to_vec();
    let head = format!(
        "--frontier\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\ncontent-type: text/csv\r\n\r\n"
    );
    body.extend([head.as_bytes(), content, b"\r\n--frontier--\r\n"].concat());
    let cookie = app.session_of(OWNER);
    let headers = [
        ("content-type", "multipart/form-data; boundary=frontier"),
        ("accept", "text/html"),
        ("cookie", &*cookie),
        ("sec-fetch-site", "same-origin"),
    ];
    app.ask_as_nobody("POST", "/import?key=abc", &headers, &body)
}

/// Returns what a hidden field of a form says.
fn hidden(page: &str, name: &str) -> String {
    let rest = page.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// Sends what was chosen for the columns of a table.
fn choose(app: &App, file: &str, key: &str, columns: &str) -> Answer {
    let form = format!("file={file}&key={key}&kind=thing&currency=EUR&{columns}");
    let cookie = app.session_of(OWNER);
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("accept", "text/html"),
        ("cookie", &*cookie),
        ("sec-fetch-site", "same-origin"),
    ];
    app.ask_as_nobody("POST", "/import/columns", &headers, form.as_bytes())
}

#[test]
fn any_table_comes_in_once_its_columns_are_matched() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let page = app.ask("GET", "/import", &[("accept", "text/html")], b"");
    assert!(page.text().contains("enctype=\"multipart/form-data\""), "{page:?}");
    let table = "Bezeichnung;Ort;Fällig am;Preis\r\nBohrmaschine;Haus / Keller;24.3.2027;12,50\r\nSäge;;03/04/2026;\r\n;;;1\r\n";
    let page = send_file(&app, "tools.csv", table.as_bytes());
    assert_eq!(page.status, 200, "{page:?}");
    let text = page.text();
    assert!(text.contains("“Bohrmaschine”") && text.contains("Match columns"), "{text}");
    let (file, key) = (hidden(text, "file"), hidden(text, "key"));
    let choose = |columns: &str| choose(&app, &file, &key, columns);
    let refused = choose("column0=title&column1=title&column2=due_date&column3=field");
    assert!(refused.status == 422 && refused.text().contains("Two columns are for “Title”"), "{refused:?}");
    let done = choose("column0=title&column1=place&column2=due_date&column3=field");
    assert_eq!(done.status, 200, "{done:?}");
    for words in ["1 record was added.", "Row 3", "03/04/2026", "Row 4", "Title must not be empty."] {
        assert!(done.text().contains(words), "{words}: {}", done.text());
    }
    assert!(choose("column0=title").text().contains("imported already"));
    let records = app.get("/api/v1/records").json()["items"].clone();
    assert_eq!((&records[0]["title"], &records[0]["kind"]), (&json!("Bohrmaschine"), &json!("thing")));
    assert_eq!(records[0]["due_date"], "2027-03-24");
    let nothing = send_file(&app, "", b"");
    assert!(nothing.status == 422 && nothing.text().contains("No file was chosen"), "{nothing:?}");
    app.stop();
}
