//! What is promised of destinations, of a directory and of S3: the latter against a real server, s3s-fs, which keeps buckets as
//! directories.
//!
//! It is found as `HEARTH_TEST_S3S_FS`, on the `PATH`, or where `cargo install s3s-fs --features binary` puts it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/watchdog.rs"]
mod watchdog;

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    ops::Deref,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    slice, thread,
    time::{Duration, Instant},
};

use supervisor::{
    data::{
        GenerationId,
        backup::{About, Description, Reason},
        state::FORMAT,
    },
    failure::{Cause, Failure},
    work::backup::destination::{Credentials, Destination, Patience},
};

const KEY: &str = "hearth-test-key";
const SECRET: &str = "hearth-test-secret";
const OWN: &str = "h-0123456789abcdef";
const OTHER: &str = "h-fedcba9876543210";
const MIB: usize = 1 << 20;
/// Long enough for a server on this machine, whatever else it does, and short enough for a test to wait for.
const PATIENCE: Patience =
    Patience { request: Duration::from_secs(60), list: Duration::from_secs(60), silence: Duration::from_secs(60) };
const NONE: Patience = Patience { request: Duration::ZERO, list: Duration::ZERO, silence: Duration::from_secs(60) };

/// Makes two tests of each: with a directory, and with a bucket.
macro_rules! each {
    ($($test:ident)*) => { $(
        mod $test {
            #[test]
            fn in_a_directory() {
                let directory = tempfile::tempdir().unwrap();
                let destination = super::open(directory.path().to_str().unwrap(), super::PATIENCE);
                super::$test(&super::Place::new(directory.path()), &destination);
            }

            #[test]
            #[cfg_attr(not(has = "s3s-fs"), ignore = "needs s3s-fs: cargo install s3s-fs --features binary")]
            fn in_a_bucket() {
                let server = super::Server::start();
                super::$test(&server.place, &server.destination());
            }
        }
    )* };
}

each! {
    what_was_put_is_listed_read_back_and_removed
    nothing_that_is_there_is_overwritten
    other_instances_are_listed_and_neither_written_nor_removed
    what_arrives_otherwise_than_it_was_sent_is_found_and_removed
    an_archive_that_is_not_what_was_verified_is_not_copied
    a_description_counts_only_where_it_belongs_and_beside_its_archive
}
/// Where a destination lies on the disk, and archives of this house.
struct Place {
    objects: PathBuf,
    home: tempfile::TempDir,
}

impl Place {
    fn new(objects: &Path) -> Self {
        Self { objects: objects.to_owned(), home: tempfile::tempdir().unwrap() }
    }

    /// Where an object of this instance lies.
    fn object(&self, name: impl AsRef<Path>) -> PathBuf {
        self.objects.join(OWN).join(name)
    }

    /// Puts an object there, past the server.
    fn plant(&self, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
        fs::create_dir_all(self.object("")).unwrap();
        fs::write(self.object(name), bytes).unwrap();
    }

    /// Makes an archive at 03:30 of a day of November.
    fn archive(&self, day: u32, bytes: &[u8]) -> (PathBuf, Description) {
        let description = describe(day, bytes);
        let path = self.home.path().join(description.id.archive(false));
        fs::write(&path, bytes).unwrap();
        (path, description)
    }

    /// Returns the names of what is there of this instance, without a server's own notes.
    fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.object("")) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.starts_with('.') || name.ends_with(".new"));
        names.sort();
        names
    }
}

/// A server with the bucket `house`, which ends with the test.
struct Server {
    program: PathBuf,
    root: tempfile::TempDir,
    place: Place,
    port: u16,
    child: Child,
}

impl Server {
    fn start() -> Self {
        watchdog::step();
        let program = PathBuf::from(env!("TEST_S3S_FS"));
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("house")).unwrap();
        let place = Place::new(&root.path().join("house/backups/home"));
        // Another process may take the port in between; then the server ends at once, and the next port is tried.
        for _ in 0..20 {
            let port = free_port();
            if let Some(child) = serve(&program, root.path(), port) {
                return Self { program, root, place, port, child };
            }
        }
        panic!("{} did not start", program.display());
    }

    fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.child = serve(&self.program, self.root.path(), self.port).expect("its port is free");
    }

    fn text(&self) -> String {
        format!("s3://house/backups/home?endpoint=http://127.0.0.1:{}", self.port)
    }

    fn destination(&self) -> Destination {
        open(&self.text(), PATIENCE)
    }
}

impl Deref for Server {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts the server; returns once it answers, or `None` when it ended.
fn serve(program: &Path, root: &Path, port: u16) -> Option<Child> {
    let mut child = Command::new(program)
        .args(["--access-key", KEY, "--secret-key", SECRET, "--host", "127.0.0.1", "--port", &port.to_string()])
        .arg(root)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).is_err() {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        assert!(Instant::now() < until, "the server does not answer");
        thread::sleep(Duration::from_millis(20));
    }
    Some(child)
}

fn credentials() -> Credentials {
    Credentials { access_key_id: KEY.into(), secret_access_key: SECRET.into() }
}

fn open(text: &str, patience: Patience) -> Destination {
    Destination::open_with(text, &credentials(), patience).unwrap()
}

fn describe(day: u32, bytes: &[u8]) -> Description {
    let about = About {
        format: FORMAT,
        id: format!("2026-11-{day:02}T03-30-00Z-scheduled").parse().unwrap(),
        sequence: day.into(),
        reason: Reason::Scheduled,
        label: Some("before the move".into()),
        created_at: format!("2026-11-{day:02}T03:30:00Z"),
        instance: OWN.into(),
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

/// Bytes that are nowhere the same.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

fn listed(destination: &Destination) -> Vec<Description> {
    let mut listed = destination.list().unwrap();
    listed.sort_by_key(|description| description.sequence);
    listed
}

fn put(destination: &Destination, archive: &(PathBuf, Description)) -> Result<(), Failure> {
    destination.put(&archive.0, &archive.1, &mut |_, _| {})
}

fn read(destination: &Destination, description: &Description) -> Vec<u8> {
    let mut bytes = Vec::new();
    destination.read(OWN, &description.id, false).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn what_was_put_is_listed_read_back_and_removed(place: &Place, destination: &Destination) {
    assert_eq!(listed(destination), []);
    let (one, two) = (place.archive(3, b"the first backup"), place.archive(4, &noise(700_000)));
    put(destination, &one).unwrap();
    let mut told = Vec::new();
    destination.put(&two.0, &two.1, &mut |done, total| told.push((done, total))).unwrap();
    assert_eq!(told.last(), Some(&(1_400_000, 1_400_000)), "sent, and read back");
    assert!(told.is_sorted());
    assert_eq!(listed(destination), [one.1.clone(), two.1.clone()]);
    assert_eq!(read(destination, &one.1), b"the first backup");
    assert_eq!(read(destination, &two.1), noise(700_000));
    // Again is not an error, and changes nothing.
    put(destination, &two).unwrap();
    destination.tidy(OWN).unwrap();
    assert_eq!(listed(destination), [one.1.clone(), two.1.clone()]);
    destination.remove(OWN, &one.1.id, false).unwrap();
    destination.remove(OWN, &one.1.id, false).unwrap();
    assert!(destination.read(OWN, &one.1.id, false).is_err());
    assert_eq!(listed(destination), slice::from_ref(&two.1));
    assert_eq!(place.names(), [two.1.id.description(), two.1.id.archive(false)]);
    if !destination.name().starts_with("s3:") {
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!([mode(place.object("")), mode(place.object(two.1.id.archive(false)))], [0o700, 0o600]);
    }
}

#[test]
#[cfg_attr(not(has = "s3s-fs"), ignore = "needs s3s-fs: cargo install s3s-fs --features binary")]
fn a_bucket_without_a_prefix_serves_as_well() {
    let server = Server::start();
    let destination =
        open(&format!("s3://house?endpoint=http://127.0.0.1:{}/&region=eu-central-1", server.port), PATIENCE);
    let archive = server.archive(3, b"the backup");
    put(&destination, &archive).unwrap();
    assert_eq!(listed(&destination), slice::from_ref(&archive.1));
    assert!(server.root.path().join("house").join(OWN).join(archive.1.id.description()).is_file());
}

#[test]
#[cfg_attr(not(has = "s3s-fs"), ignore = "needs s3s-fs: cargo install s3s-fs --features binary")]
fn a_long_archive_goes_in_parts_and_comes_back_whole() {
    let server = Server::start();
    let destination = server.destination();
    let bytes = noise(40 * MIB + 12_345);
    let archive = server.archive(3, &bytes);
    let mut told = Vec::new();
    destination.put(&archive.0, &archive.1, &mut |done, total| told.push((done, total))).unwrap();
    let total = 2 * bytes.len() as u64;
    assert!(told.is_sorted() && told.len() > 10, "{told:?}");
    assert_eq!(told.last(), Some(&(total, total)), "sent, and read back");
    assert_eq!(listed(&destination), slice::from_ref(&archive.1));
    assert!(read(&destination, &archive.1) == bytes);
    assert_eq!(destination.name(), format!("s3://house/backups/home at http://127.0.0.1:{}", server.port));
    destination.remove(OWN, &archive.1.id, false).unwrap();
    let Err(failure) = destination.read(OWN, &archive.1.id, false) else { panic!("it was removed") };
    let words = "cannot read 2026-11-03T03-30-00Z-scheduled.tar.zst at s3://house/";
    assert!(failure.message.starts_with(words), "{failure}");
}

fn nothing_that_is_there_is_overwritten(place: &Place, destination: &Destination) {
    let archive = place.archive(3, b"the backup");
    let name = archive.1.id.archive(false);
    for stranger in ["10 letters", "something else"] {
        place.plant(&name, stranger);
        let failure = put(destination, &archive).unwrap_err();
        assert!(failure.message.contains("another file is there already"), "{failure}");
        destination.tidy(OWN).unwrap();
        assert_eq!(fs::read_to_string(place.object(&name)).unwrap(), stranger);
        assert_eq!(place.names(), [name.as_str()], "what carries no mark is not Hearth's to remove");
    }
    // The same file, which someone copied there by hand, is only described.
    place.plant(&name, "the backup");
    let modified = || fs::metadata(place.object(&name)).unwrap().modified().unwrap();
    let before = modified();
    put(destination, &archive).unwrap();
    assert_eq!(modified(), before);
    assert_eq!(listed(destination), [archive.1]);
}

fn other_instances_are_listed_and_neither_written_nor_removed(place: &Place, destination: &Destination) {
    let (own, mut other) = (place.archive(3, b"ours"), place.archive(4, b"theirs"));
    other.1.about.instance = OTHER.into();
    put(destination, &own).unwrap();
    put(destination, &other).unwrap();
    let left = place.objects.join(OTHER).join(format!(".{}.new", other.1.id.archive(true)));
    fs::write(&left, "theirs, unfinished").unwrap();
    destination.tidy(OWN).unwrap();
    destination.remove(OWN, &other.1.id, false).unwrap();
    assert_eq!(listed(destination), [own.1.clone(), other.1.clone()]);
    assert!(left.exists());
    assert_eq!(destination.list_of(OWN).unwrap(), [own.1]);
    for hostile in ["", "..", "../other", "a/b", "A", "h_1", "."] {
        assert!(destination.tidy(hostile).is_err(), "{hostile:?}");
        assert!(destination.remove(hostile, &other.1.id, false).is_err());
        assert!(destination.read(hostile, &other.1.id, false).is_err());
        other.1.about.instance = hostile.into();
        assert!(put(destination, &other).is_err());
    }
}

#[test]
#[cfg_attr(not(has = "s3s-fs"), ignore = "needs s3s-fs: cargo install s3s-fs --features binary")]
fn other_prefixes_are_left_alone() {
    let server = Server::start();
    let destination = server.destination();
    let own = server.archive(3, b"ours");
    put(&destination, &own).unwrap();
    // Names of which ours is the beginning, and what is beside the prefix.
    let near = format!("{OWN}0");
    let beside = ["backups/home", "backups/home2", "backups", "other"]
        .map(|prefix| server.root.path().join("house").join(prefix).join(&near));
    for place in &beside {
        fs::create_dir_all(place).unwrap();
        fs::write(place.join(format!("{}.unfinished", own.1.id)), "not ours").unwrap();
        fs::write(place.join(own.1.id.archive(false)), "not ours").unwrap();
    }
    destination.tidy(OWN).unwrap();
    assert_eq!(listed(&destination), [own.1]);
    for place in &beside {
        assert_eq!(fs::read_dir(place).unwrap().count(), 2, "{}", place.display());
    }
}

#[test]
#[cfg_attr(not(has = "s3s-fs"), ignore = "needs s3s-fs: cargo install s3s-fs --features binary")]
fn what_a_killed_copy_left_is_completed_or_goes() {
    let server = Server::start();
    let destination = server.destination();
    let archive = server.archive(3, b"the backup");
    let (name, mark) = (archive.1.id.archive(false), format!("{}.unfinished", archive.1.id));
    for left in ["the backup", "tHe backup", "the ba"] {
        server.plant(&mark, "Hearth is writing this backup");
        server.plant(&name, left);
        assert_eq!(listed(&destination), [], "half a backup is none");
        put(&destination, &archive).unwrap();
        destination.tidy(OWN).unwrap();
        assert_eq!(listed(&destination), slice::from_ref(&archive.1));
        assert_eq!(server.names(), [archive.1.id.description(), name.clone()]);
        destination.remove(OWN, &archive.1.id, false).unwrap();
        server.plant(&mark, "Hearth is removing this backup");
        server.plant(&name, left);
        destination.tidy(OWN).unwrap();
        assert_eq!(server.names(), [""; 0]);
    }
}

fn what_arrives_otherwise_than_it_was_sent_is_found_and_removed(place: &Place, destination: &Destination) {
    let bytes = noise(20 * MIB);
    let archive = place.archive(3, &bytes);
    let name = archive.1.id.archive(false);
    // A directory has it under a hidden name until it was read back.
    let objects = [place.object(format!(".{name}.new")), place.object(&name)];
    let mut flipped = false;
    let failure = destination
        .put(&archive.0, &archive.1, &mut |done, _| {
            // While its first part is read back, a bit of its last one turns.
            if done > bytes.len() as u64 && !flipped {
                let object = objects.iter().find(|object| object.exists()).unwrap();
                let mut there = fs::read(object).unwrap();
                *there.last_mut().unwrap() ^= 1;
                fs::write(object, there).unwrap();
                flipped = true;
            }
        })
        .unwrap_err();
    assert!(failure.message.ends_with("what was read back is not what was sent"), "{failure}");
    assert_eq!(place.names(), [""; 0]);
    assert_eq!(listed(destination), []);
    put(destination, &archive).unwrap();
    assert_eq!(listed(destination), [archive.1]);
}

fn an_archive_that_is_not_what_was_verified_is_not_copied(place: &Place, destination: &Destination) {
    let archive = place.archive(3, b"the backup");
    for rotten in ["the bacKup", "the backup and more", ""] {
        fs::write(&archive.0, rotten).unwrap();
        let failure = put(destination, &archive).unwrap_err();
        assert_eq!(failure.cause, Cause::Damaged);
        assert!(failure.message.ends_with("is not what was verified here"), "{failure}");
        destination.tidy(OWN).unwrap();
        assert_eq!(place.names(), [""; 0]);
    }
}

fn a_description_counts_only_where_it_belongs_and_beside_its_archive(place: &Place, destination: &Destination) {
    let archive = place.archive(3, b"the backup");
    put(destination, &archive).unwrap();
    let path = place.object(archive.1.id.description());
    let good = archive.1.clone();
    type Change = dyn Fn(&mut Description);
    let wrong: &[(&str, &Change)] = &[
        ("another format", &|it| it.about.format = 2),
        ("another id", &|it| it.about.id = "2026-11-04T03-30-00Z-scheduled".parse().unwrap()),
        ("another instance", &|it| it.about.instance = OTHER.into()),
        ("another reason", &|it| it.about.reason = Reason::Manual),
        ("another length", &|it| it.bytes += 1),
        ("another kind", &|it| it.encrypted = true),
        ("no hash", &|it| it.blake3 = "é".repeat(32)),
        ("no time", &|it| it.about.created_at = "\u{1b}[2J".into()),
        ("no time of a verification", &|it| it.verified_at = Some("yesterday".into())),
    ];
    for (what, change) in wrong {
        let mut description = good.clone();
        change(&mut description);
        fs::write(&path, serde_json::to_vec(&description).unwrap()).unwrap();
        assert_eq!(listed(destination), [], "{what}");
    }
    for damaged in
        [&b""[..], b"{", b"[]", b"\0\0", &vec![b' '; 1 << 21], &[b'['; 1 << 19], &fs::read(&archive.0).unwrap()]
    {
        fs::write(&path, damaged).unwrap();
        assert_eq!(listed(destination), []);
    }
    // It is written anew, since the archive is the right one; but not one that a newer version wrote.
    put(destination, &archive).unwrap();
    assert_eq!(listed(destination), [good]);
    fs::write(&path, r#"{"format":2,"news":true}"#).unwrap();
    assert_eq!(put(destination, &archive).unwrap_err().cause, Cause::UnknownFormat);
    assert_eq!(fs::read(&path).unwrap(), br#"{"format":2,"news":true}"#);
    // And beside an archive of another length.
    put(destination, &archive).unwrap_err();
    fs::write(&path, serde_json::to_vec(&archive.1).unwrap()).unwrap();
    place.plant(archive.1.id.archive(false), "cut off");
    assert_eq!(listed(destination), [], "the archive has another length");
}

#[test]
#[cfg_attr(not(has = "s3s-fs"), ignore = "needs s3s-fs: cargo install s3s-fs --features binary")]
fn a_server_that_dies_half_way_and_comes_back_loses_nothing() {
    let mut server = Server::start();
    let destination = server.destination();
    let bytes = noise(40 * MIB);
    let archive = server.archive(3, &bytes);
    let mut died = 0;
    destination
        .put(&archive.0, &archive.1, &mut |done, total| {
            // Once while it is sent, and once while it is read back.
            let dies = [total / 5, total * 3 / 5];
            if died < dies.len() && done > dies[died] {
                server.stop();
                server.start_again();
                died += 1;
            }
        })
        .unwrap();
    assert_eq!(died, 2);
    assert_eq!(listed(&destination), slice::from_ref(&archive.1));
    assert!(read(&destination, &archive.1) == bytes);
}

#[test]
#[cfg_attr(not(has = "s3s-fs"), ignore = "needs s3s-fs: cargo install s3s-fs --features binary")]
fn a_server_that_dies_and_stays_away_is_an_error_and_the_next_copy_goes_on() {
    let mut server = Server::start();
    let destination = open(&server.text(), NONE);
    let archive = server.archive(3, &noise(40 * MIB));
    let mut dead = false;
    let failure = destination
        .put(&archive.0, &archive.1, &mut |done, total| {
            if !dead && done > total / 5 {
                server.stop();
                dead = true;
            }
        })
        .unwrap_err();
    let said = format!("cannot send {} at {}: ", archive.1.id.archive(false), destination.name());
    assert!(failure.message.starts_with(&said), "{failure}");
    assert!(failure.message.contains("cannot be reached") || failure.message.contains("connection broke"), "{failure}");
    server.start_again();
    assert_eq!(listed(&destination), []);
    put(&destination, &archive).unwrap();
    destination.tidy(OWN).unwrap();
    assert_eq!(listed(&destination), slice::from_ref(&archive.1));
    assert_eq!(server.names(), [archive.1.id.description(), archive.1.id.archive(false)]);
}

#[test]
#[cfg_attr(not(has = "s3s-fs"), ignore = "needs s3s-fs: cargo install s3s-fs --features binary")]
fn wrong_credentials_a_missing_bucket_and_a_server_that_is_away_are_told_apart() {
    let mut server = Server::start();
    let archive = server.archive(3, b"the backup");
    let with = |key: &str, secret: &str, text: &str| {
        let credentials = Credentials { access_key_id: key.into(), secret_access_key: secret.into() };
        let destination = Destination::open_with(text, &credentials, NONE).unwrap();
        let failures = [destination.list().unwrap_err(), put(&destination, &archive).unwrap_err()];
        for failure in &failures {
            let shown = format!("{failure:?}");
            assert!(failure.message.contains(destination.name()) && failure.hint.is_some(), "{shown}");
            assert!(!shown.contains("HUSH") && !shown.contains('<') && !failure.message.contains('\n'), "{shown}");
        }
        let [listing, _] = failures;
        listing
    };
    let unknown = with("HUSH", SECRET, &server.text());
    assert_eq!(unknown.cause, Cause::Permission, "{unknown}");
    let wrong = with(KEY, "HUSH", &server.text());
    assert_eq!(wrong.cause, Cause::Permission);
    assert!(wrong.message.ends_with("the secret access key is not the one of this access key"), "{wrong}");
    let bucket = with(KEY, SECRET, &format!("s3://nowhere?endpoint=http://127.0.0.1:{}", server.port));
    assert_eq!(bucket.cause, Cause::Configuration);
    assert!(bucket.message.ends_with("there is no such bucket"), "{bucket}");
    let text = server.text();
    server.stop();
    let away = with(KEY, SECRET, &text);
    assert!(
        away.message.contains("the server cannot be reached (") && away.message.to_lowercase().contains("refused"),
        "{away}"
    );
    let nobody = with(KEY, SECRET, "s3://house?endpoint=http://no-such-host.invalid");
    assert!(nobody.message.contains("the server cannot be reached ("), "{nobody}");
    let Err(none) =
        Destination::open(&text, &Credentials { access_key_id: String::new(), secret_access_key: String::new() })
    else {
        panic!("there are no credentials")
    };
    assert!(none.message.starts_with("there are no credentials for s3://house/backups/home"), "{none}");
}

/// Lists a bucket whose endpoint is a server that speaks no TLS.
#[test]
#[ignore = "run by a_server_without_a_certificate_and_a_system_without_roots_are_told, in a process of its own"]
fn lists_by_https() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!("s3://house?endpoint=https://{}", silent.local_addr().unwrap());
    thread::spawn(move || {
        silent.incoming().flatten().for_each(|mut taken| drop(taken.write_all(b"HTTP/1.1 400 No\r\n\r\n")))
    });
    let opened = Destination::open_with(&text, &credentials(), NONE);
    let failure = opened.and_then(|destination| destination.list()).unwrap_err();
    println!("\n{}\n{}", failure.message, failure.hint.unwrap_or_default());
}

#[test]
fn a_server_without_a_certificate_and_a_system_without_roots_are_told() {
    let listed = |roots: &Path| {
        let this = env::current_exe().unwrap();
        let mut command = Command::new(this);
        command.args(["--exact", "lists_by_https", "--ignored", "--nocapture"]);
        let output = command.env("SSL_CERT_FILE", roots).env("SSL_CERT_DIR", "/nonexistent").output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let none = listed(Path::new("/nonexistent"));
    assert!(none.contains(": this system has no root certificates"), "{none}");
    assert!(none.contains("install the package ca-certificates"), "{none}");
    let system = Path::new("/etc/ssl/certs/ca-certificates.crt");
    if system.exists() {
        let spoken = listed(system);
        assert!(spoken.contains(": the server cannot be reached ("), "{spoken}");
    }
}

#[test]
fn a_server_that_never_answers_is_an_error_in_time() {
    // It takes the connection and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!("s3://house?endpoint=http://{}", silent.local_addr().unwrap());
    let patience = Patience { silence: Duration::from_millis(300), ..NONE };
    let failure = open(&text, patience).list().unwrap_err();
    assert!(failure.message.ends_with("the server does not answer"), "{failure}");
}

#[test]
#[cfg_attr(not(has = "s3s-fs"), ignore = "needs s3s-fs: cargo install s3s-fs --features binary")]
fn credentials_of_a_destinations_own_come_from_a_file() {
    let server = Server::start();
    let file = server.home.path().join("credentials");
    fs::write(&file, format!("[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")).unwrap();
    let text = format!("{}&credentials={}", server.text(), file.display());
    let nobody = Credentials { access_key_id: String::new(), secret_access_key: String::new() };
    let destination = Destination::open_with(&text, &nobody, PATIENCE).unwrap();
    let archive = server.archive(3, b"the backup");
    put(&destination, &archive).unwrap();
    assert_eq!(listed(&destination), [archive.1]);
}

/// How long the archive is whose copy is watched: many times what may be in memory.
const LONG: usize = 300 * MIB;

#[test]
#[cfg_attr(not(has = "s3s-fs"), ignore = "needs s3s-fs: cargo install s3s-fs --features binary")]
fn a_copy_of_a_long_archive_takes_little_memory() {
    // In a process of its own, as the job is.
    let this = env::current_exe().unwrap();
    let output = Command::new(this).args(["--exact", "copies_alone", "--ignored", "--nocapture"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: usize = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("peak: {} MiB", kib >> 10);
    assert!(kib < 64 << 10, "{peak}");
}

#[test]
#[ignore = "run by a_copy_of_a_long_archive_takes_little_memory, in a process of its own"]
fn copies_alone() {
    let server = Server::start();
    let destination = server.destination();
    let mut archive = server.archive(3, b"");
    let (mut file, mut hasher, piece) = (fs::File::create(&archive.0).unwrap(), blake3::Hasher::new(), noise(MIB));
    for _ in 0..LONG / MIB {
        file.write_all(&piece).unwrap();
        hasher.update(&piece);
    }
    archive.1.bytes = LONG as u64;
    archive.1.blake3 = hasher.finalize().to_hex().to_string();
    put(&destination, &archive).unwrap();
    let mut back = destination.read(OWN, &archive.1.id, false).unwrap();
    assert_eq!(io::copy(&mut back, &mut io::sink()).unwrap(), LONG as u64);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    println!("\n{}", status.lines().find(|line| line.starts_with("VmHWM:")).unwrap());
}
