//! The app is killed while a file comes, or its disk fills up.

use std::{fs, os::unix::process::ExitStatusExt, thread};

use super::{append, attach, begin, bytes, content, list, offset, partials, record, stored, try_to_attach};
use crate::harness::{App, Data, Start};

/// Starts the app with a fault that waits until it is armed.
fn with_fault(data: &Data, fault: &str) -> (App, impl Fn() + use<>) {
    let armed = data.directory.path().join("armed");
    let _ = fs::remove_file(&armed);
    let app = Start::alone(data).env("HEARTH_FAULT", format!("{fault},armed-by={}", armed.display())).start();
    (app, move || fs::write(&armed, "").unwrap())
}

/// Sends a request to an app that is killed by it.
fn send_and_die(app: &mut App, send: impl FnOnce(&App) + Send) {
    thread::scope(|scope| {
        let app = &*app;
        // It gets no answer.
        let _ = scope.spawn(move || send(app)).join();
    });
    assert_eq!(app.wait().signal(), Some(9));
}

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
