//! What is promised of a destination that is a directory, and of what is read at any.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    slice,
};

use tempfile::TempDir;

use super::*;
use crate::data::{GenerationId, backup::Reason};

const OWN: &str = "h-0123456789abcdef";
const OTHER: &str = "h-fedcba9876543210";
const NO_CREDENTIALS: Credentials = Credentials { access_key_id: String::new(), secret_access_key: String::new() };

/// A house with one archive, and a directory elsewhere.
struct House {
    home: TempDir,
    away: TempDir,
}

impl House {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), away: tempfile::tempdir().unwrap() }
    }

    fn destination(&self) -> Destination {
        Destination::open(self.away.path().to_str().unwrap(), &NO_CREDENTIALS).unwrap()
    }

    /// Makes an archive of these bytes at 03:30 of a day of November.
    fn archive(&self, day: u32, bytes: &[u8]) -> (PathBuf, Description) {
        let description = describe(day, OWN, bytes);
        let path = self.home.path().join(description.id.archive(description.encrypted));
        fs::write(&path, bytes).unwrap();
        (path, description)
    }

    /// Copies an archive there.
    fn put(&self, (archive, description): &(PathBuf, Description)) -> Result<(), Failure> {
        self.destination().put(archive, description, &mut |_, _| {})
    }

    /// The path of a file there, of this instance.
    fn there(&self, name: impl AsRef<Path>) -> PathBuf {
        self.away.path().join(OWN).join(name)
    }

    fn listed(&self) -> Vec<Description> {
        self.destination().list().unwrap()
    }

    fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.there("")) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn describe(day: u32, instance: &str, bytes: &[u8]) -> Description {
    let about = About {
        format: FORMAT,
        id: format!("2026-11-{day:02}T03-30-00Z-scheduled").parse().unwrap(),
        sequence: day.into(),
        reason: Reason::Scheduled,
        label: None,
        created_at: format!("2026-11-{day:02}T03:30:00Z"),
        instance: instance.to_owned(),
        version: "0.2.0".into(),
        schema: "m0001_initial".into(),
        generation: GenerationId(7),
        rows: BTreeMap::from([("record".into(), 3)]),
        left_out: Vec::new(),
    };
    let (length, hash) = (bytes.len() as u64, blake3::hash(bytes).to_hex().to_string());
    Description {
        database_bytes: 4096,
        verified_at: Some("2026-11-24T03:31:00Z".into()),
        ..Description::new(about, false, length, hash)
    }
}

#[test]
fn a_destination_that_is_not_there_is_an_error_and_is_not_made() {
    let house = House::new();
    let missing = house.away.path().join("not-mounted");
    let failure = Destination::open(missing.to_str().unwrap(), &NO_CREDENTIALS).unwrap_err();
    assert_eq!(failure.message, format!("the destination {} is not there", missing.display()));
    assert!(failure.hint.unwrap().starts_with("is it mounted?"));
    assert!(!missing.exists());
    fs::write(&missing, "").unwrap();
    assert!(
        Destination::open(missing.to_str().unwrap(), &NO_CREDENTIALS)
            .unwrap_err()
            .message
            .ends_with("is not a directory")
    );
}

#[test]
fn a_copy_that_was_killed_after_any_step_is_completed_or_goes() {
    let (sent, other) = (&b"the backup"[..], &b"only a part"[..]);
    // What there is: under the hidden name, under the archive's name, the mark, the description's hidden name.
    for (hidden, archive, described) in [
        (None, None, false),
        (Some(other), None, false),
        (Some(sent), None, false),
        (None, Some(sent), false),
        (None, Some(sent), true),
        (None, Some(other), false),
    ] {
        let house = House::new();
        let made = house.archive(3, sent);
        let name = made.1.id.archive(false);
        let leave = || {
            fs::create_dir_all(house.there("")).unwrap();
            fs::write(house.there(mark(&made.1.id)), MARK_TEXT).unwrap();
            hidden.iter().for_each(|bytes| fs::write(house.there(format!(".{name}.new")), bytes).unwrap());
            archive.iter().for_each(|bytes| fs::write(house.there(&name), bytes).unwrap());
            if described {
                fs::write(house.there(format!(".{}.new", made.1.id.description())), b"{").unwrap();
            }
        };
        leave();
        assert_eq!(house.listed(), [], "half a backup is none");
        house.put(&made).unwrap();
        house.destination().tidy(OWN).unwrap();
        assert_eq!(house.listed(), slice::from_ref(&made.1));
        assert_eq!(house.names(), [made.1.id.description(), name.clone()]);

        house.destination().remove(OWN, &made.1.id, false).unwrap();
        leave();
        house.destination().tidy(OWN).unwrap();
        assert_eq!(house.names(), [""; 0], "what is not wanted any more leaves nothing");
    }
}

#[test]
fn a_note_or_a_trial_that_was_killed_half_way_leaves_nothing_and_what_is_somebody_elses_stays() {
    let house = House::new();
    fs::create_dir_all(house.there("")).unwrap();
    let killed = [".owner.json.new", ".try-0123456789abcdef.new", "try-0123456789abcdef"];
    let strange = [".other.json.new", ".try-me.txt.new", "notes.txt", "owner.json"];
    killed.iter().chain(&strange).for_each(|name| fs::write(house.there(*name), b"{").unwrap());
    house.destination().tidy(OWN).unwrap();
    let mut left = strange;
    left.sort_unstable();
    assert_eq!(house.names(), left);
}

#[test]
fn a_description_whose_archive_went_does_not_make_an_unchecked_one_count() {
    let house = House::new();
    let archive = house.archive(3, b"the backup");
    house.put(&archive).unwrap();
    fs::remove_file(house.there(archive.1.id.archive(false))).unwrap();
    let described = house.there(archive.1.id.description());
    let mut seen = Vec::new();
    house.destination().put(&archive.0, &archive.1, &mut |_, _| seen.push(described.exists())).unwrap();
    assert!(!seen.is_empty() && !seen.contains(&true), "it is described only after the check");
    assert_eq!(house.listed(), [archive.1]);
}

#[test]
fn a_mark_beside_a_complete_backup_goes_and_the_backup_stays() {
    let house = House::new();
    let archive = house.archive(3, b"the backup");
    house.put(&archive).unwrap();
    fs::write(house.there(mark(&archive.1.id)), MARK_TEXT).unwrap();
    house.destination().tidy(OWN).unwrap();
    assert_eq!(house.listed(), [archive.1]);
    assert_eq!(house.names().len(), 2);
}

#[test]
fn planted_links_fifos_and_directories_are_not_followed_and_do_not_block() {
    let house = House::new();
    let archive = house.archive(3, b"the backup");
    let name = archive.1.id.archive(false);
    let precious = house.home.path().join("precious");
    fs::write(&precious, b"the backup").unwrap();
    fs::create_dir(house.there("")).unwrap();
    // At the hidden names and the mark's: they are replaced. At the archive's own name: it stays, and is an error.
    for name in [
        format!(".{name}.new"),
        mark(&archive.1.id),
        archive.1.id.description(),
        format!(".{}.new", archive.1.id.description()),
    ] {
        symlink(&precious, house.there(name)).unwrap();
    }
    house.put(&archive).unwrap();
    assert_eq!(house.listed(), slice::from_ref(&archive.1));
    house.destination().remove(OWN, &archive.1.id, false).unwrap();
    for plant in 0..3 {
        match plant {
            0 => symlink(&precious, house.there(&name)).unwrap(),
            1 => nix::unistd::mkfifo(&house.there(&name), nix::sys::stat::Mode::S_IRWXU).unwrap(),
            _ => fs::create_dir(house.there(&name)).unwrap(),
        }
        fs::write(house.there(archive.1.id.description()), serde_json::to_vec(&archive.1).unwrap()).unwrap();
        assert_eq!(house.listed(), []);
        assert!(house.destination().read(OWN, &archive.1.id, false).is_err());
        assert!(house.put(&archive).unwrap_err().message.contains("something else is there"));
        if plant < 2 {
            fs::remove_file(house.there(&name)).unwrap()
        } else {
            fs::remove_dir(house.there(&name)).unwrap()
        }
    }
    assert_eq!(fs::read(&precious).unwrap(), b"the backup");
    // The instance's own directory as a link.
    fs::remove_dir_all(house.there("")).unwrap();
    symlink(house.home.path(), house.away.path().join(OWN)).unwrap();
    assert_eq!(house.listed(), []);
    assert!(house.put(&archive).unwrap_err().message.contains("no link to one is followed"));
    assert!(house.destination().tidy(OWN).is_err() && house.destination().read(OWN, &archive.1.id, false).is_err());
    assert_eq!(fs::read_dir(house.home.path()).unwrap().count(), 2);
}

#[test]
fn what_is_shown_cannot_steer_a_terminal() {
    let house = House::new();
    let mut archive = house.archive(3, b"the backup");
    let hostile = "\u{1b}[2J\n\u{202e}label";
    archive.1.about.label = Some(hostile.into());
    archive.1.damage = Some(hostile.into());
    archive.1.about.left_out = vec![hostile.into()];
    archive.1.about.version = hostile.into();
    archive.1.about.rows = BTreeMap::from([(hostile.into(), 1)]);
    house.put(&archive).unwrap();
    let shown = format!("{:?}", house.listed());
    assert!(house.listed()[0].label.as_deref() == Some(r"\u{1b}[2J\n\u{202e}label"), "{shown}");
    let listed = house.listed();
    let texts = listed[0].rows.keys().chain(&listed[0].left_out).chain([&listed[0].version]).chain(&listed[0].damage);
    assert!(texts.into_iter().all(|text| text == r"\u{1b}[2J\n\u{202e}label"), "{shown}");
}

#[test]
fn a_destination_that_may_not_be_written_says_so() {
    let house = House::new();
    let archive = house.archive(3, b"the backup");
    // Root may write everywhere, except to where nobody may.
    let read_only = if nix::unistd::geteuid().is_root() {
        PathBuf::from("/proc/self")
    } else {
        fs::set_permissions(house.away.path(), fs::Permissions::from_mode(0o500)).unwrap();
        house.away.path().to_owned()
    };
    let destination = Destination::open(read_only.to_str().unwrap(), &NO_CREDENTIALS).unwrap();
    let failure = destination.put(&archive.0, &archive.1, &mut |_, _| {}).unwrap_err();
    assert!(
        failure.message.contains(&format!("cannot create the directory {}/{OWN}", read_only.display())),
        "{failure}"
    );
}

#[test]
fn another_instances_directory_that_may_not_be_read_hides_no_other() {
    let house = House::new();
    let archive = house.archive(3, b"the backup");
    house.put(&archive).unwrap();
    let closed = house.away.path().join(OTHER);
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    assert_eq!(house.listed(), [archive.1]);
}

proptest::proptest! {
    #[test]
    fn a_hostile_description_is_refused_or_fits(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), at in 0_usize..800) {
        let good = describe(3, OWN, b"the backup");
        let mut json = serde_json::to_vec(&good).unwrap();
        let at = at.min(json.len());
        let to = json.len().min(at + bytes.len());
        json.splice(at..to, bytes);
        if let Some(description) = understand(&json, OWN, &good.id) {
            proptest::prop_assert_eq!(&description.id, &good.id);
            proptest::prop_assert_eq!(&description.instance, OWN);
            let shown = [Some(description.about.version), description.about.label, description.damage];
            let steers = shown.into_iter().flatten().any(|text| text.chars().any(char::is_control));
            proptest::prop_assert!(!steers);
        }
    }
}

#[test]
fn a_trial_leaves_nothing_and_removes_what_a_killed_one_left() {
    let house = House::new();
    let archive = house.archive(3, b"the backup");
    house.put(&archive).unwrap();
    let place = |instance: &str| house.away.path().join(instance);
    let names = |instance: &str| entries_of(&place(instance));
    let before = names(OWN);
    fs::write(place(OWN).join("try-0123456789abcdef"), "cut off").unwrap();
    fs::create_dir(place(OTHER)).unwrap();
    fs::write(place(OTHER).join("try-0123456789abcdef"), "under way").unwrap();
    house.destination().try_out(OWN).unwrap();
    assert_eq!(names(OWN), before);
    assert_eq!(names(OTHER), ["try-0123456789abcdef"], "another instance's");
    assert_eq!(house.destination().list().unwrap(), [archive.1]);
    // A copy cleans up as well.
    fs::write(place(OWN).join("try-0123456789abcdef"), "cut off").unwrap();
    house.destination().tidy(OWN).unwrap();
    assert_eq!(names(OWN), before);
}

#[test]
fn two_instances_of_one_name_try_at_once_and_neither_sees_trouble() {
    let house = House::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|_| house.destination().try_out(OWN).unwrap()));
        }
    });
    assert_eq!(entries_of(&house.away.path().join(OWN)), [""; 0]);
}

fn entries_of(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
