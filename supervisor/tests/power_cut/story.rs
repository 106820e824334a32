//! What is under way when the power is cut?
//!
//! Each [`Story`] begins with a clone of the same disk: generation 0002 is live, after an upgrade that left 0001. The
//! client writes from its beginning to its end.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use crate::{
    disk::{Ground, Mount},
    harness::{Hearth, MIGRATIONS, Running, household},
    imports::Imports,
    ledger::{ATTACHED, Books, Client, Ending, Window, live, told_by},
};

/// The generations that are there at the beginning, the second one live, and the one that is then made.
pub(crate) const SNAPSHOT: &str = "0001";
pub(crate) const OLD: &str = "0002";
pub(crate) const NEW: &str = "0003";
/// What the books call the backup that is there at the beginning.
const BACKUP: &str = "the backup";
/// The records of the snapshot, and those that are added after it.
const RECORDS: [usize; 2] = [300, 60];
/// The attachments that are there at the beginning, and their length in bytes.
const ATTACHMENTS: usize = 6;
const ATTACHMENT_BYTES: usize = 300_000;
/// The answers that the client waits for before and after what the story is about.
const BEFORE: usize = 20;
const AFTER: usize = 80;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Story {
    /// The old version ends, well or badly, and the new one is started.
    Upgrade,
    /// The snapshot is restored beside the serving app.
    SnapshotRestore,
    /// A backup is made beside the serving app.
    Backup,
    /// A backup is restored beside the serving app, of whose attachments one was lost and one is damaged.
    BackupRestore,
}

/// When the power is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    /// So long after the story's beginning.
    Into(Duration),
    /// So long after what is under way can be seen to have come about: another generation is live, or there is a
    /// further backup. What has not been made durable by then would be lost now.
    OnceDone(Duration),
}

/// The disk that a story begins with.
pub(crate) struct Beginning {
    disk: PathBuf,
    books: Books,
    /// The ids of its backups.
    backups: BTreeSet<String>,
    /// The paths of its attachments, below the data directory.
    attachments: Vec<String>,
}

/// The power was cut, and this is the disk.
pub(crate) struct Cut {
    pub(crate) disk: PathBuf,
    /// What was known before the cut and after it.
    pub(crate) window: Window,
    /// The generations that may be live.
    pub(crate) may_be_live: BTreeSet<String>,
    /// The backups that were made.
    pub(crate) backups: BTreeSet<String>,
    /// What was known when a further backup was begun, if it was.
    pub(crate) backup_begun: Option<Books>,
    /// The imports that were answered.
    pub(crate) imports: Vec<(String, usize)>,
    /// The attachments that are missing or damaged until the story has gone over to the new generation.
    pub(crate) disturbed: Vec<String>,
    /// When it was, after the beginning of the story, and how long the clone took.
    pub(crate) at: Duration,
    pub(crate) took: Duration,
}

/// What the story's own steps have come to.
#[derive(Default)]
struct Deeds {
    backups: BTreeSet<String>,
    backup_begun: Option<Books>,
}

/// Returns the data directory on a mounted disk, with the settings of these tests.
pub(crate) fn hearth_on(mount: &Mount) -> Hearth {
    let mut hearth = Hearth::new();
    hearth.data = mount.path().join("data");
    // One snapshot is kept, so that each new generation lets one go.
    hearth.set("HEARTH_SNAPSHOTS__KEEP", "1").set("HEARTH_SNAPSHOTS__KEEP_WRITTEN", "0s");
    hearth.set("HEARTH_STOP__GRACE", "2s");
    hearth.next_migrator("good", "0.3.0");
    hearth
}

impl Story {
    /// Whether backups play a part in it.
    pub(crate) fn has_backups(self) -> bool {
        matches!(self, Self::Backup | Self::BackupRestore)
    }

    /// Has the version started that the story ends with.
    pub(crate) fn run_last_version(self, hearth: &mut Hearth) {
        if self == Self::Upgrade {
            hearth.next_migrator("good,good2,slow", "0.4.0").set("TEST_SLOW_MILLISECONDS", "150");
        }
    }

    /// Returns how many migrations this generation has.
    pub(crate) fn migrations(self, generation: &str) -> usize {
        let later = match generation {
            SNAPSHOT => 0,
            NEW if self == Self::Upgrade => 3,
            _ => 1,
        };
        MIGRATIONS.len() + later
    }

    /// Makes the disk that it begins with.
    pub(crate) fn prepare(self, ground: &Ground) -> Beginning {
        let disk = ground.disk("beginning");
        let mount = ground.mount(&disk);
        let mut hearth = hearth_on(&mount);
        hearth.own_migrator();
        let mut running = hearth.start();
        let address = running.wait_serving();
        household::fill(address, RECORDS[0]);
        let content = |number: usize| -> Vec<u8> {
            let blocks = (0..ATTACHMENT_BYTES / 32)
                .map(|block| *blake3::hash(format!("{number} {block}").as_bytes()).as_bytes());
            blocks.flatten().collect()
        };
        let attachments: Vec<String> = (0..ATTACHMENTS).map(|number| hearth.attach(&content(number))).collect();
        for path in &attachments {
            household::add(
                address,
                &serde_json::json!({"title": format!("scan {path}"), "notes": format!("{ATTACHED}{path}")}),
            );
        }
        let mut books = Books::default();
        books.open(SNAPSHOT, told_by(address));
        running.stop();
        hearth = hearth_on(&mount);
        let mut running = hearth.start();
        let address = running.wait_serving();
        for number in RECORDS[0]..RECORDS[0] + RECORDS[1] {
            household::add(address, &household::record(number));
        }
        let told = told_by(address);
        books.open(BACKUP, told.clone());
        books.open(OLD, told);
        let backups = match self.has_backups() {
            true => BTreeSet::from([id(&hearth.backup(&[]))]),
            false => BTreeSet::new(),
        };
        running.stop();
        assert_eq!(hearth.generations(), [SNAPSHOT, OLD]);
        // Whoever looks at the mount right now would delay the end of it, and with it what is not yet on the disk.
        mount.sync();
        Beginning { disk, books, backups, attachments }
    }

    /// Lives through the story, and cuts the power at these moments after its beginning. Returns how long it took, and
    /// the disks.
    pub(crate) fn live(
        self,
        ground: &Ground,
        beginning: &Beginning,
        end: Signal,
        moments: &[Moment],
    ) -> (Duration, Vec<Cut>) {
        let disk = ground.clone_of(&beginning.disk, "disk");
        let mount = ground.mount(&disk);
        let mut hearth = hearth_on(&mount);
        let disturbed = if self == Self::BackupRestore { disturb(&hearth, &beginning.attachments) } else { Vec::new() };
        mount.sync();
        let mut running = hearth.start();
        let client = Client::new(beginning.books.clone(), mount.path());
        client.write_to(running.wait_serving());
        let imports = Imports::default();
        let deeds = Mutex::new(Deeds { backups: beginning.backups.clone(), backup_begun: None });
        let begun = Instant::now();
        let data = hearth.data.clone();
        let cut = |number: usize, moment: Moment| {
            match moment {
                Moment::Into(moment) => thread::sleep(moment.saturating_sub(begun.elapsed())),
                Moment::OnceDone(delay) => {
                    while !client.is_ended() && !is_done(&data, beginning) {
                        thread::sleep(Duration::from_micros(200));
                    }
                    thread::sleep(delay);
                }
            }
            let (backups, imports) = (deeds.lock().unwrap().backups.clone(), imports.answered());
            let (before, was_live) = (client.books().clone(), client.live());
            let at = begun.elapsed();
            let disk = ground.clone_of(&disk, &format!("cut-{number}"));
            let took = begun.elapsed() - at;
            let (is_live, after) = (client.live(), client.books().clone());
            let may_be_live = BTreeSet::from([before.current.clone(), was_live, is_live]);
            let backup_begun = deeds.lock().unwrap().backup_begun.clone();
            let (window, disturbed) = (Window { before, after }, disturbed.clone());
            Cut { disk, window, may_be_live, backups, backup_begun, imports, disturbed, at, took }
        };
        let (took, cuts) = thread::scope(|scope| {
            let ending = Ending(&client);
            scope.spawn(|| client.run());
            scope.spawn(|| imports.run(&client));
            let cut = &cut;
            let cutters: Vec<_> =
                moments.iter().enumerate().map(|(number, moment)| scope.spawn(move || cut(number, *moment))).collect();
            client.wait_for_answers(BEFORE);
            self.act(&mut hearth, &mut running, end, &client, &deeds);
            client.wait_for_answers(AFTER);
            let took = begun.elapsed();
            let cuts = cutters.into_iter().map(|cutter| cutter.join().unwrap()).collect();
            drop(ending);
            (took, cuts)
        });
        client.pause();
        let books = client.books().clone();
        let now = Window { before: books.clone(), after: books };
        now.check(&client.live(), &told_by(running.address().unwrap()), "the app, which no power was cut from");
        running.stop();
        (took, cuts)
    }

    /// Does what the story is about.
    fn act(self, hearth: &mut Hearth, running: &mut Running, end: Signal, client: &Client<'_>, deeds: &Mutex<Deeds>) {
        match self {
            Self::Upgrade => {
                running.signal(end);
                running.wait_end();
                client.pause();
                client.books().make(NEW, OLD);
                self.run_last_version(hearth);
                *running = hearth.start();
                client.write_to(running.wait_serving());
            }
            Self::SnapshotRestore | Self::BackupRestore => {
                let (what, source) = if self == Self::BackupRestore { ("latest", BACKUP) } else { ("1", SNAPSHOT) };
                client.books().make(NEW, source);
                hearth.done(&["restore", what, "--yes"]);
                assert_eq!(client.live(), NEW, "{}", running.log());
                client.books().current = NEW.to_owned();
            }
            Self::Backup => {
                deeds.lock().unwrap().backup_begun = Some(client.books().clone());
                let made = hearth.backup(&[]);
                deeds.lock().unwrap().backups.insert(id(&made));
            }
        }
    }
}

fn id(made: &serde_json::Value) -> String {
    made["backup"]["id"].as_str().unwrap().to_owned()
}

/// Whether what a story is about has come about.
fn is_done(data: &Path, beginning: &Beginning) -> bool {
    let is_archive = |name: String| !name.starts_with('.') && name.contains(".tar.zst");
    let archives = fs::read_dir(data.join("backups")).into_iter().flatten().flatten();
    let archives = archives.filter(|entry| is_archive(entry.file_name().display().to_string())).count();
    live(data.parent().unwrap()).as_deref() == Some(NEW) || archives > beginning.backups.len()
}

/// Loses one attachment and damages another; returns their paths.
fn disturb(hearth: &Hearth, attachments: &[String]) -> Vec<String> {
    fs::remove_file(hearth.data.join(&attachments[0])).unwrap();
    let damaged: &Path = &hearth.data.join(&attachments[1]);
    let mut content = fs::read(damaged).unwrap();
    content[ATTACHMENT_BYTES / 2] ^= 1;
    fs::write(damaged, content).unwrap();
    attachments[..2].to_vec()
}
