use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
};

use super::*;

struct Place {
    directory: tempfile::TempDir,
    store: ContentStore,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("files")).unwrap();
        let store = ContentStore::new(&directory.path().join("files"));
        Self { directory, store }
    }

    /// Puts a content in its place, and returns its hash.
    fn put(&self, content: &[u8]) -> String {
        fs::write(self.directory.path().join("partial"), content).unwrap();
        let from = open(self.directory.path(), directory_flags(), Mode::empty()).unwrap();
        let hash = blake3::hash(content).to_hex().to_string();
        self.store.put(&from, "partial", &hash, content.len() as u64).unwrap();
        hash
    }

    fn path(&self, hash: &str) -> PathBuf {
        self.directory.path().join("files").join(&hash[..2]).join(hash)
    }
}

fn content(store: &ContentStore, hash: &str) -> Vec<u8> {
    let mut content = Vec::new();
    store.open(hash).unwrap().unwrap().read_to_end(&mut content).unwrap();
    content
}

#[test]
fn a_content_is_kept_once_and_read_back() {
    let place = Place::new();
    let hash = place.put(b"a receipt");
    let number = place.path(&hash).metadata().unwrap().ino();
    assert_eq!(place.put(b"a receipt"), hash);
    assert_eq!(content(&place.store, &hash), b"a receipt");
    assert_eq!(place.store.look(&hash).unwrap(), Found::File(9));
    assert!(place.store.is_sound(&hash).unwrap());
    assert_eq!(place.path(&hash).metadata().unwrap().ino(), number, "what was there was used");
    let directory = place.path(&hash).parent().unwrap().to_owned();
    assert_eq!(directory.metadata().unwrap().mode() & 0o777, 0o700);
    assert_eq!(directory.read_dir().unwrap().count(), 1, "nothing is left over");
}

#[test]
fn a_damaged_file_is_replaced_and_so_is_a_link() {
    let place = Place::new();
    let hash = place.put(b"a receipt");
    for damage in [&b"a rec"[..], b"A RECEIPT", b""] {
        fs::remove_file(place.path(&hash)).unwrap();
        fs::write(place.path(&hash), damage).unwrap();
        assert!(!place.store.is_sound(&hash).unwrap());
        place.put(b"a receipt");
        assert_eq!(content(&place.store, &hash), b"a receipt");
    }
    let other = place.directory.path().join("other");
    fs::write(&other, "a receipt").unwrap();
    fs::remove_file(place.path(&hash)).unwrap();
    symlink(&other, place.path(&hash)).unwrap();
    assert!(place.store.open(&hash).unwrap().is_none() && place.store.look(&hash).unwrap() == Found::Nothing);
    place.put(b"a receipt");
    assert!(place.path(&hash).symlink_metadata().unwrap().is_file());
}

#[test]
fn only_a_hash_is_looked_for() {
    let place = Place::new();
    for name in ["", "..", "../../etc/passwd", &"A".repeat(64), &"a".repeat(63), &"a".repeat(64)] {
        assert!(place.store.open(name).unwrap().is_none(), "{name}");
        assert_eq!(place.store.look(name).unwrap(), Found::Nothing, "{name}");
    }
}

#[test]
fn a_copy_is_made_where_there_can_be_no_link() {
    let place = Place::new();
    let other = tempfile::tempdir_in("/dev/shm").unwrap();
    fs::write(other.path().join("partial"), "from another disk").unwrap();
    let from = open(other.path(), directory_flags(), Mode::empty()).unwrap();
    let hash = blake3::hash(b"from another disk").to_hex().to_string();
    place.store.put(&from, "partial", &hash, 17).unwrap();
    assert_eq!(content(&place.store, &hash), b"from another disk");
}

#[test]
fn what_is_in_the_store_is_told_apart_from_what_is_not() {
    let place = Place::new();
    let hash = place.put(b"a receipt");
    let files = place.directory.path().join("files");
    fs::create_dir(files.join("zz")).unwrap();
    fs::write(files.join("Thumbs.db"), "x").unwrap();
    fs::write(files.join(&hash[..2]).join(".adding-7-0"), "half").unwrap();
    let (mut kept, mut stray) = (Vec::new(), Vec::new());
    place
        .store
        .walk(|one, bytes| match one {
            Ok(hash) => kept.push((hash.to_owned(), bytes)),
            Err(path) => stray.push(path.to_owned()),
        })
        .unwrap();
    assert_eq!(kept, [(hash.clone(), 9)]);
    assert_eq!(stray.len(), 3, "{stray:?}");
    place.store.tidy().unwrap();
    assert!(!files.join(&hash[..2]).join(".adding-7-0").exists() && place.store.is_sound(&hash).unwrap());
}
