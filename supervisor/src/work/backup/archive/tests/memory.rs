//! Backups take little memory, however large they are.

use std::io::{Seek, Write};

use super::*;

/// What a job may take, in KiB, with everything that a test has in memory besides.
const MOST: u64 = 64 << 10;
/// More than that.
const CONTENT: u64 = 96 << 20;

/// Not compressible, and the same each time.
fn noise(path: &Path, seed: &[u8]) {
    let mut noise = blake3::Hasher::new().update(seed).finalize_xof();
    let mut file = fs::File::create(path).unwrap();
    let mut chunk = vec![0; 1 << 20];
    for _ in 0..CONTENT >> 20 {
        noise.fill(&mut chunk);
        file.write_all(&chunk).unwrap();
    }
}

/// Runs in a process of its own, below: the peak is of a whole process.
#[test]
#[ignore = "a part of the test below"]
fn peak() {
    let place = Place::new();
    noise(&place.database(), b"database");
    let loose = place.path("loose");
    noise(&loose, b"attachment");
    let hash = write::member(&loose, "x").unwrap().blake3;
    let attached = place.path(&super::super::attachment::path(&hash));
    fs::create_dir(attached.parent().unwrap()).unwrap();
    fs::rename(loose, attached).unwrap();
    let manifest = place.manifest(place.survey());
    assert_eq!(manifest.bytes(), 2 * CONTENT);
    let mut archive = tempfile::tempfile().unwrap();
    write::write(&mut archive, &manifest, &place.database(), &place.files(), &mut |_, _| ()).unwrap();
    archive.rewind().unwrap();
    let opened = read::open(archive, "x").unwrap();
    opened.extract(&place.path("target/app.db"), Files::Restore(&place.restored()), &mut |_, _| ()).unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM:")).unwrap());
}

#[test]
fn a_backup_and_its_restore_take_little_memory() {
    let program = std::env::current_exe().unwrap();
    let this = "work::backup::archive::tests::memory::peak";
    let told = run(Path::new("/"), &[program.to_str().unwrap(), "--exact", this, "--ignored", "--nocapture"]);
    let told = String::from_utf8(told).unwrap();
    let peak: u64 = told
        .split_once("VmHWM:")
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .unwrap_or_else(|| panic!("{told}"))
        .parse()
        .unwrap();
    println!("peak: {peak} KiB");
    assert!(peak < MOST, "{peak} KiB");
}
