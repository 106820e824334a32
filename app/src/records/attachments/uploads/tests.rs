use super::*;
use crate::datetime::Timestamp;

fn upload(bytes: u64) -> Upload {
    Upload {
        record_id: 7,
        user_id: 3,
        name: "receipt.pdf".to_owned(),
        role: Role::Receipt,
        bytes,
        keep_location: false,
        begun_at: Timestamp::now().to_string(),
        is_final: false,
        attachment_id: None,
    }
}

fn begun(bytes: u64) -> (tempfile::TempDir, Uploads, String) {
    let directory = tempfile::tempdir().unwrap();
    let (uploads, id) = (Uploads::new(directory.path().join("uploads")), Uploads::new_id());
    uploads.begin(&id, &upload(bytes)).unwrap();
    (directory, uploads, id)
}

#[test]
fn an_upload_goes_on_where_it_was() {
    let (_directory, uploads, id) = begun(10);
    let taken = uploads.take(&id).unwrap();
    taken.write(b"hello", 0).unwrap();
    taken.sync().unwrap();
    drop(taken);
    // As another process finds it.
    let uploads = Uploads::new(uploads.root.clone());
    let (found, offset) = uploads.find(&id).unwrap().unwrap();
    assert_eq!((found.bytes, offset, &*found.name), (10, 5, "receipt.pdf"));
    assert_eq!(uploads.pending(3).unwrap(), Pending { bytes: 10, missing: 5, of_the_user: 1 });
    assert_eq!(uploads.pending(4).unwrap().of_the_user, 0);
}

#[test]
fn one_request_works_on_an_upload_at_a_time() {
    let (_directory, uploads, id) = begun(10);
    let taken = uploads.take(&id).unwrap();
    assert!(uploads.clone().take(&id).is_none());
    drop(taken);
    assert!(uploads.take(&id).is_some());
}

#[test]
fn what_became_of_it_is_known_and_its_bytes_are_gone() {
    let (_directory, uploads, id) = begun(5);
    let taken = uploads.take(&id).unwrap();
    taken.write(b"hello", 0).unwrap();
    taken.finish(&Upload { attachment_id: Some(9), ..upload(5) }).unwrap();
    let (found, offset) = uploads.find(&id).unwrap().unwrap();
    assert_eq!((found.attachment_id, offset), (Some(9), 5));
    assert!(!uploads.root.join(&id).exists());
    assert_eq!(uploads.pending(3).unwrap(), Pending::default());
}

#[test]
fn what_nobody_goes_on_with_is_removed_after_a_day() {
    let (_directory, uploads, id) = begun(5);
    let half = Uploads::new_id();
    fs::write(uploads.root.join(format!("{half}.json.part")), "{").unwrap();
    let now = SystemTime::now();
    assert_eq!(uploads.remove_old(now).unwrap(), 0);
    assert_eq!(uploads.remove_old(now - KEPT * 2).unwrap(), 0, "the clock was set back");
    let taken = uploads.take(&id).unwrap();
    assert_eq!(uploads.remove_old(now + KEPT * 2).unwrap(), 1, "somebody works on the other");
    drop(taken);
    assert_eq!(uploads.remove_old(now + KEPT * 2).unwrap(), 1);
    assert_eq!(fs::read_dir(&uploads.root).unwrap().count(), 0);
    assert!(uploads.find(&id).unwrap().is_none());
}

#[test]
fn nothing_else_is_found_by_an_id() {
    let (directory, uploads, _) = begun(5);
    fs::write(directory.path().join("secret.json"), "{}").unwrap();
    for id in ["", "../secret", "x", &"0".repeat(32)] {
        assert!(uploads.find(id).unwrap().is_none(), "{id}");
    }
}
