//! Previews that a browser makes, of pictures that Hearth cannot decode.

use std::fs;

use serde_json::{Value, json};

use super::{FILE, record};
use crate::{
    client::Answer,
    harness::{App, Data, Start},
};

/// A picture as far as Hearth knows: what is in it only a browser can tell.
const HEIC: &[u8] = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic and a picture";

fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let mut data = Vec::new();
    image::RgbImage::from_pixel(width, height, image::Rgb([200, 80, 20]))
        .write_to(&mut std::io::Cursor::new(&mut data), image::ImageFormat::Jpeg)
        .unwrap();
    data
}

fn attach(app: &App, record: i64, name: &str, content: &[u8]) -> Value {
    let path = format!("/api/v1/records/{record}/attachments?name={name}&role=photo&keep_location=true");
    let answer = app.ask("POST", &path, &[FILE], content);
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

fn address(attachment: &Value) -> String {
    format!("/api/v1/attachments/{}/preview", attachment["id"])
}

fn set(app: &App, attachment: &Value, preview: &[u8]) -> Answer {
    app.ask("PUT", &address(attachment), &[FILE], preview)
}

#[test]
fn a_preview_that_a_browser_makes_is_made_anew_and_shown() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let record = record(&app);
    let photo = attach(&app, record, "IMG_1.HEIC", HEIC);
    assert_eq!(photo["media_type"], "image/heic");
    app.get(&address(&photo)).problem(404);
    let page = |path: &str| app.get(path).text().to_owned();
    let of_record = format!("/records/{record}");
    let wanted = format!("data-attachment=\"{}\"", photo["id"]);
    let shown = format!("src=\"{}\"", address(&photo));
    assert!(page(&of_record).contains(&wanted) && page(&of_record).contains("/assets/preview.js"));
    assert!(!page(&of_record).contains(&shown) && !page("/").contains(&shown));

    // What follows the picture is not kept.
    let sent = [&jpeg(1200, 900)[..], b"<script>alert(1)</script>"].concat();
    assert_eq!(set(&app, &photo, &sent).status, 204);
    let first = app.get(&address(&photo));
    assert_eq!((first.status, first.header("content-type")), (200, Some("image/jpeg")));
    let made = image::load_from_memory(&first.body).unwrap();
    assert_eq!((made.width(), made.height()), (640, 480));
    assert!(!first.body.windows(7).any(|part| part == b"<script"));
    assert!(page(&of_record).contains(&shown) && page("/").contains(&shown));
    assert!(!page(&of_record).contains(&wanted) && !page(&of_record).contains("/assets/preview.js"));

    // Another one replaces it, for who has the first as well.
    let tag = first.header("etag").unwrap();
    let again = |tag: &str| app.ask("GET", &address(&photo), &[("if-none-match", tag)], b"").status;
    assert_eq!(again(tag), 304);
    assert_eq!(set(&app, &photo, &jpeg(30, 20)).status, 204);
    assert_eq!(again(tag), 200);

    // It may go at any time, and can be set again; the record has no version of it.
    fs::remove_dir_all(data.directory.path().join("cache")).unwrap();
    app.get(&address(&photo)).problem(404);
    assert_eq!(set(&app, &photo, &jpeg(30, 20)).status, 204);
    assert_eq!(app.get(&address(&photo)).status, 200);
    assert_eq!(app.get(&format!("/api/v1/records/{record}")).json()["version"], 2);
    app.stop();
}

#[test]
fn what_is_no_picture_is_no_preview_and_hearths_own_are_not_replaced() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let record = record(&app);
    let photo = attach(&app, record, "IMG_1.HEIC", HEIC);
    for nothing in [&b""[..], HEIC, b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", &jpeg(40, 40)[..60]] {
        set(&app, &photo, nothing).problem(422);
    }
    set(&app, &photo, &vec![0xff; (4 << 20) + 1]).problem(413);
    app.get(&address(&photo)).problem(404);
    let own = attach(&app, record, "photo.jpg", &jpeg(40, 40));
    set(&app, &own, &jpeg(30, 20)).problem(409);
    let notes = attach(&app, record, "notes.txt", b"words");
    set(&app, &notes, &jpeg(30, 20)).problem(409);
    let uploads = data.directory.path().join("uploads");
    assert_eq!(fs::read_dir(uploads).unwrap().count(), 0, "what was sent is not kept");
    app.stop();
}

#[test]
fn a_preview_is_for_its_attachment_alone_and_for_who_sees_it() {
    let data = Data::new();
    data.add_person("member", "hearth_anna");
    data.add_person("guest", "hearth_guest");
    let app = Start::alone(&data).start();
    let private = app.create(&json!({ "title": "Diary", "visibility": "private" }))["id"].as_i64().unwrap();
    let (mine, ours) = (attach(&app, private, "a.heic", HEIC), attach(&app, record(&app), "b.heic", HEIC));
    let set_as = |token: &str, attachment: &Value| {
        let bearer = format!("Bearer {token}");
        app.ask("PUT", &address(attachment), &[FILE, ("authorization", &bearer)], &jpeg(30, 20))
    };
    let hidden = set_as("hearth_anna", &mine).problem(404);
    let absent = set_as("hearth_anna", &json!({ "id": 9 })).problem(404);
    let id = mine["id"].to_string();
    assert_eq!(hidden.to_string().replace(&format!("id {id}"), "id 9"), absent.to_string());
    set_as("hearth_guest", &ours).problem(403);
    // The same file has it nowhere else.
    assert_eq!(set(&app, &mine, &jpeg(30, 20)).status, 204);
    app.get(&address(&ours)).problem(404);
    app.get_as("hearth_anna", &address(&mine)).problem(404);
    assert_eq!(set_as("hearth_anna", &ours).status, 204);
    app.stop();
}
