//! Are the backups whole, here and on the far side?

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use serde_json::Value;

use crate::{harness::hash, house::House};

/// The names in a directory; none where there is no directory.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn is_archive(name: &str) -> bool {
    name.ends_with(".tar.zst") && !name.starts_with('.')
}

/// Asserts that this archive is the one of its description.
fn assert_described(directory: &Path, id: &str) {
    let path = directory.join(format!("{id}.tar.zst"));
    let description: Value = serde_json::from_slice(&fs::read(directory.join(format!("{id}.json"))).unwrap()).unwrap();
    assert_eq!(description["id"], id);
    assert_eq!(description["bytes"], fs::metadata(&path).unwrap().len(), "{}", path.display());
    assert_eq!(description["blake3"], hash(&path), "{}", path.display());
    assert!(description["verified_at"].is_string() && description["damage"].is_null(), "{description}");
}

/// Returns the ids of the backups on the far side: those with a description.
fn far_side(house: &House) -> Vec<String> {
    let mut found = Vec::new();
    let far = house.far.as_ref().unwrap();
    for instance in names(far) {
        let directory = far.join(instance);
        for name in names(&directory) {
            if let Some(id) = name.strip_suffix(".json").filter(|id| !id.starts_with('.') && *id != "owner") {
                // Removal takes the description first, so one that is there has its archive.
                assert_described(&directory, id);
                found.push(id.to_owned());
            }
        }
    }
    found
}

/// Asserts what holds at any moment at which no process runs: whatever counts as a backup is one, complete, and there is
/// one here and one on the far side.
pub(crate) fn assert_whole(house: &House) {
    let directory = house.hearth.data.join("backups");
    let here: Vec<String> = names(&directory).into_iter().filter(|name| is_archive(name)).collect();
    for name in &here {
        assert_described(&directory, name.strip_suffix(".tar.zst").unwrap());
    }
    let listed: Vec<String> =
        house.hearth.backups().iter().map(|listed| listed["backup"]["id"].as_str().unwrap().to_owned()).collect();
    assert!(here.iter().all(|name| listed.iter().any(|id| name.starts_with(id.as_str()))), "{here:?}, {listed:?}");
    assert!(!here.is_empty(), "no backup is left");
    assert!(!far_side(house).is_empty(), "no backup is left on the far side");
    if house.hearth.live().is_some_and(|live| live != "0001") {
        for (path, content) in &house.attachments {
            assert_eq!(&fs::read(house.hearth.data.join(path)).unwrap(), content, "{path}");
        }
    }
}

/// Asserts that nothing is left of what was begun, and that the next backup is made and copied as if nothing had been.
pub(crate) fn assert_goes_on(house: &House) {
    let data = &house.hearth.data;
    let left = |directory: &Path| -> Vec<String> {
        names(directory).into_iter().filter(|name| name.starts_with('.') || name.ends_with(".unfinished")).collect()
    };
    let far = house.far.as_ref().unwrap();
    let mut places = vec![data.join("backups"), data.join("files"), data.join("supervisor")];
    places.extend(names(far).iter().map(|instance| far.join(instance)));
    for place in &places {
        assert!(left(place).is_empty(), "left in {}: {:?}", place.display(), left(place));
    }
    assert!(!data.join("supervisor/scratch").exists());
    house.hearth.done(&["backup", "verify", "--all"]);
    let made = house.hearth.backup(&[]);
    let id = made["backup"]["id"].as_str().unwrap();
    let pair = [format!("{id}.json"), format!("{id}.tar.zst")];
    assert_eq!(names(&data.join("backups")), pair);
    let [instance] = &names(far)[..] else { panic!("one instance: {:?}", names(far)) };
    assert_eq!(names(&far.join(instance)), [&pair[..], &["owner.json".to_owned()]].concat());
    assert_described(&far.join(instance), id);
}
