//! What an archive promises, whoever wrote it.

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Read, Write},
    path::{Path, PathBuf},
};

use super::{
    read::{self, Files},
    write::{self, Survey, Unwritten},
};
use crate::{
    backup::{
        Reason,
        manifest::{LONGEST, Manifest, Member},
    },
    data::{DATABASE, GenerationId, state::FORMAT},
    failure::{Cause, Failure},
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
    let scratch = tempfile::tempdir().unwrap();
    read::open(archive, "x.tar.zst")?.extract(&scratch.path().join("app.db"), Files::Check, &mut |_, _| ())
}

fn attachment(content: &[u8]) -> String {
    super::attachment::path(&blake3::hash(content).to_hex())
}

fn manifest(members: Vec<Member>, left_out: Vec<String>) -> Manifest {
    Manifest {
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
        members,
    }
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
