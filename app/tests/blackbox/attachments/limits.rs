//! How large a file may be, and all together.

use serde_json::json;

use super::{FILE, attach, begin, list, partials, record, stored, try_to_attach};
use crate::harness::{Data, Start};

#[test]
fn a_file_may_have_so_many_bytes_and_no_more() {
    let data = Data::new();
    let app = Start::alone(&data).env("HEARTH_ATTACHMENTS__MAX_SIZE", "100kB").start();
    let record = record(&app);
    attach(&app, record, "a.bin", &vec![1; 100_000]);
    let refused = try_to_attach(&app, record, "b.bin", &vec![1; 100_001]).problem(413);
    assert_eq!(refused["code"], "body_too_large");
    assert!(refused["detail"].as_str().unwrap().contains("97.6 KiB"), "{refused}");
    let upload = json!({ "name": "c.bin", "bytes": 100_001 });
    app.send("POST", &format!("/api/v1/records/{record}/uploads"), &upload).problem(413);
    // One that does not say how long it is.
    let chunked = app.ask(
        "POST",
        &format!("/api/v1/records/{record}/attachments?name=d.bin"),
        &[FILE, ("transfer-encoding", "chunked")],
        &[],
    );
    assert!(matches!(chunked.status, 400 | 408), "{chunked:?}");
    assert_eq!(list(&app, record).len(), 1);
    app.stop();
    assert!(partials(&data).is_empty());
}

#[test]
fn the_quota_counts_each_attachment_and_what_is_still_to_come() {
    let data = Data::new();
    let app = Start::alone(&data).env("HEARTH_ATTACHMENTS__QUOTA", "1000").start();
    let record = record(&app);
    attach(&app, record, "a.bin", &[1; 400]);
    // The same content takes no more of the disk, and counts all the same.
    attach(&app, record, "again.bin", &[1; 400]);
    assert_eq!(stored(&data).len(), 1);
    let refused = try_to_attach(&app, record, "b.bin", &[2; 201]).problem(507);
    assert_eq!(refused["code"], "quota_exceeded");
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("attachments.quota") && detail.contains("800 bytes"), "{detail}");
    let upload = begin(&app, record, "c.bin", 150);
    try_to_attach(&app, record, "d.bin", &[2; 100]).problem(507);
    assert_eq!(app.ask("DELETE", &upload, &[], b"").status, 204);
    let last = attach(&app, record, "d.bin", &[2; 200]);
    // What is removed makes room, though a version of the record keeps it.
    assert_eq!(app.ask("DELETE", &format!("/api/v1/attachments/{}", last["id"]), &[], b"").status, 204);
    attach(&app, record, "e.bin", &[3; 200]);
    app.stop();
}

#[test]
fn a_setting_that_is_no_size_is_named() {
    let data = Data::new();
    for (name, value) in [("MAX_SIZE", "much"), ("MAX_SIZE", "0"), ("MAX_SIZE", "2TiB"), ("QUOTA", "-1")] {
        let mut app = Start::alone(&data).env(&format!("HEARTH_ATTACHMENTS__{name}"), value).spawn();
        assert_eq!(app.wait().code(), Some(2));
        app.log.wait(&format!("attachments.{} = {value:?}", name.to_lowercase()));
    }
}
