//! The app is killed while a file comes, or its disk fills up.

use std::fs;

use super::{append, attach, begin, bytes, content, list, offset, partials, record, stored, try_to_attach};
use crate::{
    faults::{assert_sound, disarm, send_and_die, with_fault},
    harness::{Data, Start, eventually},
};

#[test]
fn an_upload_goes_on_after_a_kill_at_any_point_and_is_attached_once() {
    for point in ["app.receiving", "app.received", "app.final", "app.stored", "app.committed"] {
        let data = Data::new();
        let (mut app, arm) = with_fault(&data, &format!("{point}=kill"));
        let (record, whole) = (record(&app), bytes(200_000));
        let upload = begin(&app, record, "scan.bin", whole.len());
        assert_eq!(append(&app, &upload, 0, &whole[..100_000]).status, 200);
        arm();
        send_and_die(&mut app, |app| drop(append(app, &upload, 100_000, &whole[100_000..])));
        let app = Start::alone(&data).start();
        // No row refers to a file that is not there.
        for attachment in list(&app, record) {
            assert_eq!(content(&app, &attachment), whole, "{point}");
        }
        let so_far = offset(&app, &upload);
        assert!(so_far >= 100_000, "{point}: {so_far}");
        let answer = append(&app, &upload, so_far, &whole[so_far..]);
        assert_eq!(answer.status, 200, "{point}: {answer:?}");
        let made = answer.json()["attachment"].clone();
        assert_eq!(content(&app, &made), whole, "{point}");
        assert_eq!(list(&app, record), [made], "{point}");
        app.stop();
        assert_eq!(stored(&data), [blake3::hash(&whole).to_hex().to_string()], "{point}");
    }
}

#[test]
fn a_file_of_one_request_is_there_or_not_after_a_kill() {
    for point in ["app.receiving", "app.received", "app.final", "app.stored", "app.committed"] {
        let data = Data::new();
        let (mut app, arm) = with_fault(&data, &format!("{point}=kill"));
        let (record, whole) = (record(&app), bytes(200_000));
        arm();
        send_and_die(&mut app, |app| drop(try_to_attach(app, record, "scan.bin", &whole)));
        let app = Start::alone(&data).start();
        let found = list(&app, record);
        assert_eq!(found.len(), usize::from(point == "app.committed"), "{point}");
        let made = found.first().cloned().unwrap_or_else(|| attach(&app, record, "scan.bin", &whole));
        assert_eq!(content(&app, &made), whole, "{point}");
        app.stop();
    }
}

#[test]
fn a_disk_that_fills_up_refuses_the_file_and_keeps_nothing_of_it() {
    for point in ["app.receiving", "app.received", "app.stored"] {
        let data = Data::new();
        let (app, arm) = with_fault(&data, &format!("{point}=enospc"));
        let (record, whole) = (record(&app), bytes(200_000));
        let before = attach(&app, record, "before.bin", b"before");
        let upload = begin(&app, record, "scan.bin", whole.len());
        assert_eq!(append(&app, &upload, 0, &whole[..100_000]).status, 200);
        arm();
        let refused = append(&app, &upload, 100_000, &whole[100_000..]);
        assert_eq!(refused.status, 507, "{point}");
        assert_eq!(refused.problem(507)["code"], "disk_full", "{point}");
        app.get(&upload).problem(404);
        assert_eq!(try_to_attach(&app, record, "scan.bin", &whole).problem(507)["code"], "disk_full", "{point}");
        assert!(partials(&data).is_empty(), "{point}: {:?}", partials(&data));
        assert_eq!(list(&app, record), std::slice::from_ref(&before), "{point}");
        // Reading goes on, and so does writing once there is room again.
        assert_eq!(content(&app, &before), b"before");
        fs::remove_file(data.directory.path().join("armed")).unwrap();
        assert_eq!(content(&app, &attach(&app, record, "scan.bin", &whole)), whole);
        app.stop();
    }
}

/// What lies in `cache/`: the names and how they end.
fn cached(data: &Data) -> Vec<String> {
    let entries = fs::read_dir(data.directory.path().join("cache")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_preview_that_a_kill_or_a_full_disk_interrupts_is_made_again_and_never_seen_in_part() {
    let picture = super::png(900, 600);
    let hash = blake3::hash(&picture).to_hex().to_string();
    for fault in ["app.previewing=kill", "app.previewed=kill", "app.previewing=enospc"] {
        let data = Data::new();
        let (mut app, arm) = with_fault(&data, fault);
        let made = attach(&app, record(&app), "photo.png", &picture);
        let path = format!("/api/v1/attachments/{}/preview", made["id"]);
        arm();
        let app = if fault.ends_with("kill") {
            send_and_die(&mut app, |app| drop(app.get(&path)));
            let left = if fault.starts_with("app.previewed") { hash.clone() } else { format!("{hash}.part") };
            assert_eq!(cached(&data), [left], "{fault}");
            Start::alone(&data).start()
        } else {
            // It is seen all the same.
            assert_eq!(app.get(&path).status, 200, "{fault}");
            assert!(cached(&data).is_empty(), "{fault}");
            disarm(&data);
            app
        };
        eventually("no half of it", || cached(&data).iter().all(|name| *name == hash).then_some(()));
        for _ in 0..2 {
            let preview = app.get(&path);
            assert_eq!((preview.status, preview.header("content-type")), (200, Some("image/jpeg")), "{fault}");
            assert!(image::load_from_memory(&preview.body).is_ok(), "{fault}");
        }
        assert_eq!(cached(&data), [&*hash], "{fault}");
        app.stop();
        assert_eq!(assert_sound(&data, fault), 0, "{fault}");
    }
}

#[test]
fn a_content_and_its_name_are_durable_before_the_row_that_refers_to_it() {
    let data = Data::new();
    let trace = data.directory.path().join("trace");
    let app = Start::alone(&data).env("HEARTH_FAULT", format!("trace={}", trace.display())).start();
    let record = record(&app);
    fs::remove_file(&trace).unwrap();
    attach(&app, record, "scan.bin", &bytes(1000));
    app.stop();
    let passed = fs::read_to_string(&trace).unwrap();
    let order: Vec<_> = passed.lines().filter(|point| *point != "app.stopping").collect();
    // `app.received` is behind the fsync of the content, `app.stored` behind those of its directories.
    let expected = ["app.receiving", "app.received", "app.final", "app.stored", "app.committing", "app.committed"];
    assert_eq!(order, expected);
}
