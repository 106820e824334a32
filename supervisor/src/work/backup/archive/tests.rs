//! What an archive promises, whoever wrote it.

mod damaged;
mod hostile;
mod memory;
mod planted;

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::Command,
};

use proptest::prelude::*;

use super::{
    BLOCK, padding,
    read::{self, Files},
    write::{self, Survey, Unwritten},
};
use crate::{
    data::{
        DATABASE, GenerationId,
        backup::{About, Reason},
        state::FORMAT,
    },
    failure::{Cause, Failure},
    work::backup::manifest::{Manifest, Member, NAME},
};

/// A place with a database and `files/`, of which archives are made, and a second one, where they go.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(place.files()).unwrap();
        fs::create_dir(place.path("target")).unwrap();
        fs::write(place.database(), b"the database".repeat(100)).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn files(&self) -> PathBuf {
        self.path("files")
    }

    fn database(&self) -> PathBuf {
        self.path(DATABASE)
    }

    fn attach(&self, content: &[u8]) -> PathBuf {
        let path = self.path(&attachment(content));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn survey(&self) -> Survey {
        let hashed = write::survey(&self.files(), false).unwrap();
        assert_eq!(write::survey(&self.files(), true).unwrap(), hashed, "names are as good as hashes here");
        hashed
    }

    fn manifest(&self, survey: Survey) -> Manifest {
        let mut members = vec![write::member(&self.database(), DATABASE).unwrap()];
        members.extend(survey.members);
        manifest(members, survey.left_out)
    }

    fn write(&self, manifest: &Manifest) -> Result<Vec<u8>, Unwritten> {
        let mut archive = Vec::new();
        write::write(&mut archive, manifest, &self.database(), &self.files(), &mut |_, _| ())?;
        Ok(archive)
    }

    fn archive(&self) -> (Manifest, Vec<u8>) {
        let manifest = self.manifest(self.survey());
        let archive = self.write(&manifest).unwrap();
        (manifest, archive)
    }

    /// Where [`Self::restore`] puts the attachments.
    fn restored(&self) -> PathBuf {
        self.path("target/files")
    }

    fn restore(&self, archive: &[u8]) -> Result<Manifest, Failure> {
        let database = self.path("target/app.db");
        let _ = fs::remove_file(&database);
        read::open(archive, "x.tar.zst")?.extract(&database, Files::Restore(&self.restored()), &mut |_, _| ())
    }
}

/// Reads an archive to its end and writes nothing but the database.
fn check(archive: impl Read) -> Result<Manifest, Failure> {
    // In memory, where there is such a place: thousands of archives are checked here, each with an fsync.
    let scratch = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    read::open(archive, "x.tar.zst")?.extract(&scratch.path().join("app.db"), Files::Check, &mut |_, _| ())
}

/// A member as a tar archive has it, true or not.
#[derive(Clone)]
struct Entry {
    kind: u8,
    name: Vec<u8>,
    content: Vec<u8>,
    /// Another length than the content has.
    declared: Option<u64>,
    link: &'static str,
}

impl Entry {
    fn file(name: impl Into<Vec<u8>>, content: impl Into<Vec<u8>>) -> Self {
        Self { kind: b'0', name: name.into(), content: content.into(), declared: None, link: "" }
    }

    fn of_kind(kind: u8, name: &str) -> Self {
        Self { kind, ..Self::file(name, "") }
    }

    fn to(self, link: &'static str) -> Self {
        Self { link, ..self }
    }

    fn header(&self) -> tar::Header {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..self.name.len()].copy_from_slice(&self.name);
        header.as_mut_bytes()[157..157 + self.link.len()].copy_from_slice(self.link.as_bytes());
        header.set_entry_type(tar::EntryType::new(self.kind));
        header.set_mode(0o644);
        header.set_size(self.declared.unwrap_or(self.content.len() as u64));
        header.set_cksum();
        header
    }
}

/// Makes a tar archive of such members, without its end.
fn pack(entries: &[Entry]) -> Vec<u8> {
    let mut tar = Vec::new();
    for entry in entries {
        tar.extend_from_slice(entry.header().as_bytes());
        tar.extend_from_slice(&entry.content);
        tar.resize(tar.len() + padding(entry.content.len() as u64), 0);
    }
    tar
}

/// Ends a tar archive, and compresses it.
fn finish(mut tar: Vec<u8>) -> Vec<u8> {
    tar.resize(tar.len() + 2 * BLOCK, 0);
    compress(&tar)
}

fn compress(tar: &[u8]) -> Vec<u8> {
    zstd::encode_all(tar, 3).unwrap()
}

/// The members of an archive in which all is true: a manifest, a database, and attachments in their order.
fn honest(contents: &[&[u8]]) -> Vec<Entry> {
    let database = b"the database".repeat(100);
    let mut files: Vec<_> = contents.iter().map(|content| Entry::file(attachment(content), *content)).collect();
    files.sort_by(|one, other| one.name.cmp(&other.name));
    files.insert(0, Entry::file(DATABASE, database));
    let of = |entry: &Entry| Member {
        path: String::from_utf8(entry.name.clone()).unwrap(),
        bytes: entry.content.len() as u64,
        blake3: blake3::hash(&entry.content).to_hex().to_string(),
    };
    let manifest = manifest(files.iter().map(of).collect(), Vec::new());
    files.insert(0, Entry::file(NAME, serde_json::to_vec(&manifest).unwrap()));
    files
}

/// What lies below a directory, sorted, with what it is; links are not followed.
fn tree(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.symlink_metadata().unwrap().file_type();
            if kind.is_dir() {
                open.push(path.clone());
            }
            let content = if kind.is_file() { fs::read(&path).unwrap().len() } else { 0 };
            found.push(format!("{} {kind:?} {content}", path.display()));
        }
    }
    found.sort();
    found
}

fn attachment(content: &[u8]) -> String {
    super::attachment::path(&blake3::hash(content).to_hex())
}

fn manifest(members: Vec<Member>, left_out: Vec<String>) -> Manifest {
    let about = About {
        format: FORMAT,
        id: "2026-11-24T03-30-00Z-manual".parse().unwrap(),
        sequence: 7,
        reason: Reason::Manual,
        label: Some("before the move".into()),
        created_at: "2026-11-24T03:30:00Z".into(),
        instance: "h-0123456789abcdef".into(),
        version: "0.2.0".into(),
        schema: "m0002_attachments".into(),
        generation: GenerationId(7),
        rows: BTreeMap::from([("records".into(), 3)]),
        left_out,
    };
    Manifest { about, members }
}

#[test]
fn what_is_written_is_what_is_restored() {
    let place = Place::new();
    let contents = [&b""[..], b"a letter", &[7; 512], &[8; 513], &vec![9; 3 << 20]];
    for content in contents {
        place.attach(content);
    }
    let (manifest, archive) = place.archive();
    assert_eq!(manifest.members.len(), 6);
    let mut told = Vec::new();
    let opened = read::open(&archive[..], "x.tar.zst").unwrap();
    assert_eq!(opened.manifest(), &manifest);
    let target = place.path("target/app.db");
    let extracted = opened.extract(&target, Files::Restore(&place.restored()), &mut |done, all| told.push((done, all)));
    assert_eq!(extracted.unwrap(), manifest);
    assert_eq!(told.last(), Some(&(manifest.bytes(), manifest.bytes())));
    assert_eq!(fs::read(target).unwrap(), fs::read(place.database()).unwrap());
    for content in contents {
        assert_eq!(fs::read(place.path("target").join(attachment(content))).unwrap(), content);
    }
    assert!(
        fs::read_dir(place.restored()).unwrap().all(|entry| entry.unwrap().file_name().len() == 2),
        "nothing is left"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_the_attachments_hold_comes_back(
        contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3000), 0..12),
        database in proptest::collection::vec(any::<u8>(), 0..5000),
    ) {
        let place = Place::new();
        fs::write(place.database(), &database).unwrap();
        for content in &contents {
            place.attach(content);
        }
        let (manifest, archive) = place.archive();
        prop_assert_eq!(check(&archive[..]).unwrap(), manifest.clone());
        prop_assert_eq!(place.restore(&archive).unwrap(), manifest);
        prop_assert_eq!(fs::read(place.path("target/app.db")).unwrap(), database);
        for content in &contents {
            prop_assert_eq!(&fs::read(place.path("target").join(attachment(content))).unwrap(), content);
        }
    }
}

#[test]
fn the_manifest_that_is_made_by_hand_is_an_archive() {
    assert_eq!(check(&finish(pack(&honest(&[b"one", b"two"])))[..]).unwrap().members.len(), 3);
}

#[test]
fn it_is_a_plain_archive_with_private_files_from_when_the_backup_was_begun() {
    let place = Place::new();
    place.attach(b"a letter");
    let (manifest, archive) = place.archive();
    let tar = zstd::decode_all(&archive[..]).unwrap();
    let mut reader = tar::Archive::new(&tar[..]);
    let mut names = Vec::new();
    for entry in reader.entries().unwrap().raw(true) {
        let mut entry = entry.unwrap();
        let header = entry.header().clone();
        assert_eq!(header.mode().unwrap(), 0o600);
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        assert_eq!(header.mtime().unwrap(), 1_795_491_000);
        assert!(header.entry_type().is_file());
        names.push(header.path().unwrap().display().to_string());
        if names.len() == 1 {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            assert!(text.starts_with("{\n  \"format\": 1,"), "for people who look: {text}");
        }
    }
    let members: Vec<_> = manifest.members.iter().map(|member| member.path.clone()).collect();
    assert_eq!(names[0], NAME);
    assert_eq!(names[1..], members);
}

/// Runs a command of the system in a directory.
fn run(directory: &Path, command: &[&str]) -> Vec<u8> {
    let done = Command::new(command[0]).args(&command[1..]).current_dir(directory).output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

#[test]
fn tar_alone_opens_it_and_what_tar_packs_again_is_an_archive() {
    let place = Place::new();
    let contents = [&b"one"[..], b"two", b"three", b"four", b"five"];
    for content in contents {
        place.attach(content);
    }
    let (manifest, archive) = place.archive();
    fs::write(place.path("x.tar.zst"), archive).unwrap();
    let hand = place.path("hand");
    fs::create_dir(&hand).unwrap();
    run(&hand, &["tar", "--zstd", "-xf", "../x.tar.zst"]);
    assert_eq!(fs::read(hand.join("app.db")).unwrap(), fs::read(place.database()).unwrap());
    for content in contents {
        assert_eq!(fs::read(hand.join(attachment(content))).unwrap(), content);
    }
    for options in [
        &["--zstd"][..],
        &["--format=gnu", "-I", "zstd -19"],
        &["--format=ustar", "-I", "zstd -1"],
        &["--format=v7", "-I", "zstd --no-check"],
        &["--blocking-factor=1", "-I", "zstd"],
        &["-I", "gzip"],
    ] {
        let mut command = vec!["tar"];
        command.extend(options);
        command.extend(["-cf", "-", "manifest.json", "app.db", "files"]);
        let packed = run(&hand, &command);
        let read = check(&packed[..]);
        match options.last() {
            Some(&"gzip") => assert!(read.unwrap_err().message.contains("it is not compressed with zstd")),
            Some(&"zstd --no-check") => assert!(read.unwrap_err().message.contains("neither a POSIX nor a GNU one")),
            _ => assert_eq!(read.unwrap(), manifest, "{options:?}"),
        }
    }
    // And when the size is known before, as when a file is compressed.
    run(&hand, &["tar", "-cf", "../y.tar", "manifest.json", "app.db", "files"]);
    run(&hand, &["zstd", "-q", "../y.tar"]);
    assert_eq!(check(fs::File::open(place.path("y.tar.zst")).unwrap()).unwrap(), manifest);
}
