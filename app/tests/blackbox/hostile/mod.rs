//! What strangers send does nothing, through whichever door it comes.
//!
//! [`files`] has each trick once. Each door takes all of them; then all are looked at as a browser would, exported, and taken in again.

mod files;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use self::files::{Hostile, TEXTS};
use crate::{
    client::Answer,
    faults::assert_sound,
    harness::{App, Data, OWNER, Start, eventually},
    portability::{FILE, export_as, foreign::homebox, import, packed, unpacked},
};

/// How much more memory the app may take at its peak, in KiB. What unpacks to much does so in a child, or nowhere.
const GROWTH: u64 = 96 << 10;

/// A door: sends all files, and returns how many were stored.
type Door = fn(&App, &[Hostile]) -> usize;

/// Writes a name as an address has it.
fn encoded(name: &str) -> String {
    name.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn record(app: &App, title: &str) -> Value {
    app.create(&json!({ "title": title }))["id"].clone()
}

/// Whether a file was stored; else it is refused with a sentence.
fn is_stored(answer: &Answer, file: &Hostile) -> bool {
    if (200..300).contains(&answer.status) {
        return true;
    }
    assert!((400..500).contains(&answer.status), "{}: {answer:?}", file.name);
    answer.problem(answer.status);
    false
}

fn in_one_request(app: &App, files: &[Hostile]) -> usize {
    let send = |file: &&Hostile| {
        let path = format!("/api/v1/records/{}/attachments?name={}", record(app, "one"), encoded(&file.name));
        let answer = app.ask("POST", &path, &[FILE], &file.content);
        is_stored(&answer, file)
    };
    files.iter().filter(send).count()
}

fn resumed(app: &App, files: &[Hostile]) -> usize {
    let send = |file: &&Hostile| {
        let body = json!({ "name": file.name, "bytes": file.content.len() });
        let begun = app.send("POST", &format!("/api/v1/records/{}/uploads", record(app, "one")), &body);
        if !is_stored(&begun, file) {
            return false;
        }
        let headers = [FILE, ("upload-offset", "0")];
        is_stored(&app.ask("PATCH", begun.header("location").unwrap(), &headers, &file.content), file)
    };
    files.iter().filter(send).count()
}

fn quickly_added(app: &App, files: &[Hostile]) -> usize {
    let cookie = app.session_of(OWNER);
    let headers = [
        ("content-type", "multipart/form-data; boundary=frontier"),
        ("accept", "text/html"),
        ("cookie", &*cookie),
        ("sec-fetch-site", "same-origin"),
    ];
    let send = |file: &&Hostile| {
        // As browsers write it.
        let name = file.name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A").replace('\0', "");
        let head = format!("--frontier\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
        let body = [head.as_bytes(), &file.content, b"\r\n--frontier--\r\n"].concat();
        let answer = app.ask_as_nobody("POST", "/records/quick", &headers, &body);
        assert!(answer.status == 303 || answer.text().contains("role=\"alert\""), "{}: {answer:?}", file.name);
        answer.status == 303
    };
    files.iter().filter(send).count()
}

fn of_hearth(app: &App, files: &[Hostile]) -> usize {
    let mut entries = BTreeMap::new();
    let record = |(number, file): (usize, &Hostile)| {
        let path = format!("../{number}/{}", if file.name.contains('\0') { "x" } else { &file.name });
        entries.insert(path.clone(), file.content.clone());
        let hash = blake3::hash(&file.content).to_hex().to_string();
        let attachment = json!({ "path": path, "name": file.name, "bytes": file.content.len(), "blake3": hash });
        json!({ "id": number, "title": "one", "attachments": [attachment] })
    };
    let records: Vec<_> = files.iter().enumerate().map(record).collect();
    let binder = json!({ "format": "hearth-binder", "version": 1, "records": records });
    entries.insert("binder.json".to_owned(), binder.to_string().into_bytes());
    reported(&import(app, &packed(&entries)), files.len())
}

fn of_homebox(app: &App, files: &[Hostile]) -> usize {
    let numbered = || files.iter().enumerate();
    let items = numbered().map(|(number, _)| json!({ "id": format!("e{number}"), "name": "one" }));
    let rows = numbered().map(|(number, file)| {
        json!({ "id": format!("a{number}"), "title": file.name, "entity_attachments": format!("e{number}") })
    });
    let mut entries = homebox(items.collect(), rows.collect());
    entries.extend(numbered().map(|(number, file)| (format!("attachments/a{number}"), file.content.clone())));
    reported(&app.ask("POST", "/api/v1/imports/homebox", &[FILE], &packed(&entries)), files.len())
}

/// Returns how many files an import took; each other one is listed.
fn reported(answer: &Answer, sent: usize) -> usize {
    assert_eq!(answer.status, 200, "{answer:?}");
    let report = answer.json();
    let taken = usize::try_from(report["attachments"].as_u64().unwrap()).unwrap();
    assert_eq!(taken + report["left_out"].as_array().unwrap().len(), sent, "{report}");
    taken
}

/// All attachments.
fn attachments(app: &App) -> Vec<Value> {
    let records = app.get("/api/v1/records?limit=200").json()["items"].as_array().unwrap().clone();
    let of = |record: &Value| {
        let path = format!("/api/v1/records/{}/attachments", record["id"]);
        app.get(&path).json()["items"].as_array().unwrap().clone()
    };
    records.iter().flat_map(of).collect()
}

/// The peak of the app's memory, in KiB.
fn peak(app: &App) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", app.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Expects a name that a file system, a header and a page can bear.
fn assert_safe_name(name: &str) {
    let is_safe = |letter: char| {
        !letter.is_control() && !"/\\\u{202a}\u{202b}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}".contains(letter)
    };
    assert!(!name.is_empty() && name.len() <= 255 && name.chars().all(is_safe), "{name:?}");
    assert!(!name.starts_with('.'), "{name:?}");
}

/// Looks at an attachment as a browser does.
fn assert_harmless(app: &App, attachment: &Value, is_inline: bool) -> Vec<u8> {
    let name = attachment["name"].as_str().unwrap();
    assert_safe_name(name);
    let answer = app.get(&format!("/api/v1/attachments/{}/content", attachment["id"]));
    assert_eq!(answer.status, 200, "{name}: {answer:?}");
    let header = |name: &str| answer.header(name).unwrap_or_default();
    let (media_type, policy) = (header("content-type"), header("content-security-policy"));
    assert!(policy.contains("default-src 'none'"), "{name}: {answer:?}");
    if is_inline {
        let inline = ["image/jpeg", "image/png", "image/gif", "application/pdf"];
        assert!(inline.contains(&media_type), "{name}: {media_type}");
    } else {
        let plain = ["application/octet-stream", "text/plain; charset=utf-8", "text/csv; charset=utf-8"];
        assert!(plain.contains(&media_type), "{name}: {media_type}");
        assert!(header("content-disposition").starts_with("attachment; "), "{name}: {answer:?}");
    }
    assert!(media_type == "application/pdf" || policy.contains("sandbox"), "{name}: {answer:?}");
    assert_eq!(header("x-content-type-options"), "nosniff", "{name}");
    assert_eq!(header("cross-origin-resource-policy"), "same-origin", "{name}");
    assert_eq!(header("cache-control"), "private, no-cache", "{name}");
    assert!(answer.header("set-cookie").is_none(), "{name}: {answer:?}");
    let preview = app.get(&format!("/api/v1/attachments/{}/preview", attachment["id"]));
    let is_preview = preview.status == 200 && preview.header("content-type") == Some("image/jpeg");
    assert!(is_preview || preview.status == 404, "{name}: {preview:?}");
    let page = app.ask("GET", &format!("/records/{}", attachment["record_id"]), &[("accept", "text/html")], b"");
    assert_eq!(page.status, 200, "{name}");
    assert_tame(page.text());
    answer.body
}

/// Expects a page in which no text became markup.
fn assert_tame(page: &str) {
    for wild in ["<script>", "<img src=x", "\"javascript:", "evil.example/x.png\"", "\" onmouseover="] {
        assert!(!page.contains(wild), "{wild}: {page}");
    }
}

/// Expects an archive that every program can unpack into one folder.
fn assert_safe_archive(entries: &BTreeMap<String, Vec<u8>>) {
    let mut seen = BTreeSet::new();
    for path in entries.keys() {
        assert!(seen.insert(path.to_lowercase()), "{path:?} stands there twice, for whom letters have no case");
        for part in path.split('/') {
            assert_safe_name(part);
            let stem = part.split('.').next().unwrap().trim().to_lowercase();
            assert!(!["con", "nul", "prn", "aux", "com1", "lpt1"].contains(&&*stem), "{path:?}");
            assert!(!part.contains([':', '*', '?', '"', '<', '>', '|']), "{path:?}");
        }
    }
}

fn through(door: Door, keeps_names: bool) {
    let (data, files) = (Data::new(), files::all());
    let app = Start::alone(&data).start();
    let before = peak(&app);
    let stored = door(&app, &files);
    assert_eq!(stored, files.len(), "all of it can be kept");
    // Whatever the child makes of them, it comes to an end.
    eventually("the texts of all", || (data.count("SELECT count(*) FROM file WHERE text IS NULL") == 0).then_some(()));
    let all = attachments(&app);
    assert_eq!(all.len(), stored);
    let by_hash: HashMap<_, _> = files.iter().map(|file| (blake3::hash(&file.content), file)).collect();
    for attachment in &all {
        let content = app.get(&format!("/api/v1/attachments/{}/content", attachment["id"])).body;
        let same = by_hash.get(&blake3::hash(&content)).copied();
        // A picture from which a location was removed is as long as before.
        let file = same.unwrap_or_else(|| {
            let found = files.iter().find(|file| file.is_inline && attachment["bytes"] == file.content.len());
            found.unwrap_or_else(|| panic!("{attachment} is none of the files"))
        });
        let content = assert_harmless(&app, attachment, file.is_inline);
        assert_eq!(content.len(), file.content.len(), "{}", file.name);
        assert!(!keeps_names || attachment["name"] == *file.kept, "{attachment}: {}", file.kept);
    }
    assert_eq!(app.get("/health").json()["status"], "ok");
    let grown = peak(&app) - before;
    assert!(grown < GROWTH, "{grown} KiB more");
    let archive = export_as(&app, OWNER);
    app.stop();
    assert_eq!(assert_sound(&data, "after hostile files"), 0);
    let entries = unpacked(&archive);
    assert_safe_archive(&entries);
    let empty = Data::new();
    let app = Start::alone(&empty).start();
    assert_eq!(reported(&import(&app, &archive), stored), stored);
    app.stop();
}

#[test]
fn hostile_files_in_one_request_do_nothing() {
    through(in_one_request, true);
}

#[test]
fn hostile_files_that_are_resumed_do_nothing() {
    through(resumed, true);
}

#[test]
fn hostile_files_that_are_quickly_added_do_nothing() {
    // A form cannot say each of the names.
    through(quickly_added, false);
}

#[test]
fn hostile_files_in_an_archive_of_hearth_do_nothing() {
    through(of_hearth, true);
}

#[test]
fn hostile_files_in_an_archive_of_homebox_do_nothing() {
    through(of_homebox, true);
}

#[test]
fn hostile_texts_do_nothing_on_a_page_and_in_an_export() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    for text in TEXTS {
        let field = json!({ "label": text, "value": text });
        let tags = json!([text.replace(',', " ")]);
        let body =
            json!({ "title": text, "notes": text, "category": text, "fields": [field], "tags": tags, "kind": "thing" });
        let id = app.create(&body)["id"].clone();
        assert_eq!(app.send("PATCH", &format!("/api/v1/records/{id}"), &json!({ "notes": "changed" })).status, 200);
        let notes = app.send("PATCH", &format!("/api/v1/records/{id}"), &json!({ "notes": text }));
        assert_eq!(notes.status, 200, "{notes:?}");
        let place = app.send("POST", "/api/v1/places", &json!({ "name": text }));
        assert_eq!(place.status, 201, "{place:?}");
        for path in [format!("/records/{id}"), format!("/records/{id}/versions"), format!("/records/{id}/edit")] {
            let page = app.ask("GET", &path, &[("accept", "text/html")], b"");
            assert!(matches!(page.status, 200 | 404), "{page:?}");
            assert_tame(page.text());
        }
    }
    for path in ["/", "/?search=script", "/places", "/tags", "/trash"] {
        assert_tame(app.ask("GET", path, &[("accept", "text/html")], b"").text());
    }
    let entries = unpacked(&export_as(&app, OWNER));
    assert_safe_archive(&entries);
    for (path, content) in entries.iter().filter(|(path, _)| path.ends_with("record.md")) {
        let text = String::from_utf8(content.clone()).unwrap();
        // The first line is the title, as text.
        let title = text.lines().next().unwrap().replace("\\<", "");
        assert!(title.starts_with("# ") && !title.contains('<'), "{path}: {text}");
    }
    // No spreadsheet takes a text for a formula.
    let table = String::from_utf8(entries["records.csv"].clone()).unwrap();
    assert!(!table.contains(",=HYPERLINK") && !table.contains(",\"=HYPERLINK"), "{table}");
    app.stop();
}
