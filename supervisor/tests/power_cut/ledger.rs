//! Which states of the data may a disk hold, going by what its client was answered?
//!
//! One client writes, one write after the other, so what a generation holds is what it began with and its first so many
//! writes: all that were answered before the power was cut, and of the later ones any number, without a gap.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Write as _},
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::json;

use crate::{
    harness::{household, request, wait_for},
    imports::IMPORTED,
};

/// What the titles of the client's records begin with. It changes and removes no others.
const OWN: &str = "write ";
/// What the notes of a record say that refers to an attachment, before its path.
pub(crate) const ATTACHED: &str = "attached: ";
/// Between two writes: a household in a hurry, that leaves two cores something for the rest.
const PACE: Duration = Duration::from_millis(2);

/// Notes by title.
pub(crate) type Records = BTreeMap<String, String>;

/// The client's records in one possible state: by title, what the notes may be; `None`: no such record. More than one
/// where a write was never answered.
type State = BTreeMap<String, Vec<Option<String>>>;

/// One write: what there is under a title from then on.
#[derive(Clone, Debug)]
struct Write {
    title: String,
    notes: Option<String>,
}

impl Write {
    fn apply(&self, state: &mut State, answered: bool) {
        let may_be = state.entry(self.title.clone()).or_insert_with(|| vec![None]);
        if answered {
            may_be.clear();
        }
        may_be.push(self.notes.clone());
    }
}

/// What a generation may hold.
#[derive(Clone)]
struct Generation {
    /// The records that nobody touches.
    base: Arc<Records>,
    /// The states that those of the client may be in.
    states: Vec<State>,
}

/// What is known at one moment.
#[derive(Clone, Default)]
pub(crate) struct Books {
    generations: BTreeMap<String, Generation>,
    /// The generation that took the last answered write: an earlier one cannot be live any more.
    pub(crate) current: String,
    /// What was done to which generation since the books were begun, and whether that was answered.
    done: Vec<(String, Write, bool)>,
    /// What was asked for and is not yet answered.
    in_flight: Option<Write>,
}

impl Books {
    /// A generation at rest holds exactly this.
    pub(crate) fn open(&mut self, generation: &str, records: Records) {
        let generation_at_rest = Generation { base: Arc::new(records), states: vec![State::new()] };
        self.generations.insert(generation.to_owned(), generation_at_rest);
        self.current = generation.to_owned();
    }

    /// A generation is about to be made, which begins with what this one holds now.
    pub(crate) fn make(&mut self, generation: &str, source: &str) {
        let begins = self.generations[source].clone();
        self.generations.insert(generation.to_owned(), begins);
    }

    /// Returns how many writes were answered.
    pub(crate) fn answered(&self) -> usize {
        self.done.iter().filter(|(_, _, answered)| *answered).count()
    }

    fn note(&mut self, generation: &str, write: &Write, answered: bool) {
        for state in &mut self.generations.get_mut(generation).unwrap().states {
            write.apply(state, answered);
        }
        self.done.push((generation.to_owned(), write.clone(), answered));
        if answered {
            self.current = generation.to_owned();
        }
    }
}

/// What was known before and after something that took a while.
#[derive(Clone)]
pub(crate) struct Window {
    pub(crate) before: Books,
    pub(crate) after: Books,
}

impl Window {
    /// Returns how many writes were answered before, and how many were at most begun after.
    pub(crate) fn answered_and_begun(&self) -> (usize, usize) {
        (self.before.answered(), self.after.done.len() + usize::from(self.after.in_flight.is_some()))
    }

    /// Returns the states that the client's records in a generation may have been in at some moment in between.
    fn states(&self, generation: &str) -> Vec<State> {
        let begins = self.before.generations.get(generation).or_else(|| self.after.generations.get(generation));
        let mut latest = begins.unwrap_or_else(|| panic!("nobody has made generation {generation}")).states.clone();
        let mut all = latest.clone();
        let meanwhile = &self.after.done[self.before.done.len()..];
        let own = meanwhile.iter().filter(|(into, ..)| into == generation);
        for (write, answered) in own.map(|(_, write, answered)| (write, *answered)) {
            latest.iter_mut().for_each(|state| write.apply(state, answered));
            all.extend(latest.iter().cloned());
        }
        // It may have been done already.
        if let Some(write) = &self.after.in_flight {
            latest.iter_mut().for_each(|state| write.apply(state, false));
            all.extend(latest);
        }
        all
    }

    /// Asserts that these records are what the generation may have held at some moment in between.
    pub(crate) fn check(&self, generation: &str, found: &Records, place: &str) {
        let (own, others): (Records, Records) =
            found.clone().into_iter().partition(|(title, _)| title.starts_with(OWN));
        let base = &self.after.generations[generation].base;
        assert!(others == **base, "{place}: records that nobody has touched: {}", difference(base, &others));
        let states = self.states(generation);
        let fits = |state: &State| {
            let is_expected = |title: &String| state.contains_key(title);
            state.iter().all(|(title, may_be)| may_be.contains(&own.get(title).cloned())) && own.keys().all(is_expected)
        };
        if !states.iter().any(fits) {
            let last = states.last().unwrap();
            let expected = last.iter().filter_map(|(title, may_be)| Some((title.clone(), may_be.last()?.clone()?)));
            panic!(
                "{place}: generation {generation} holds none of the {} states it may be in; beside the last one: {}",
                states.len(),
                difference(&expected.collect(), &own)
            );
        }
    }
}

fn difference(expected: &Records, found: &Records) -> String {
    let titles: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let differ = titles.into_iter().filter(|title| expected.get(*title) != found.get(*title));
    let lines = differ.map(|title| format!("{title}: {:?}, not {:?}", found.get(title), expected.get(title)));
    lines.collect::<Vec<_>>().join("; ")
}

/// Returns all records as the app tells them, once it serves; but for imported ones, which [`imports`](crate::imports) looks after.
pub(crate) fn told_by(address: SocketAddr) -> Records {
    wait_for("an app that serves", || {
        request(address, "GET", "/health", "application/json", None).ok().filter(|answer| answer.status == 200)
    });
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let records = household::all(address).into_values().map(|record| (text(&record["title"]), text(&record["notes"])));
    records.filter(|(title, _)| !title.starts_with(IMPORTED)).collect()
}

/// The client: writes as long as something answers, and keeps the books.
pub(crate) struct Client<'a> {
    books: Mutex<Books>,
    address: Mutex<Option<SocketAddr>>,
    /// Where the disk is mounted.
    disk: &'a Path,
    done: AtomicBool,
}

/// Ends the client's work, also when the test fails: a scope waits for its threads.
pub(crate) struct Ending<'a>(pub(crate) &'a Client<'a>);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::Relaxed);
    }
}

impl<'a> Client<'a> {
    pub(crate) fn new(books: Books, disk: &'a Path) -> Self {
        Self { books: Mutex::new(books), address: Mutex::new(None), disk, done: AtomicBool::new(false) }
    }

    /// The books, which no write is entered into meanwhile.
    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    /// From here on it writes to this address.
    pub(crate) fn write_to(&self, address: SocketAddr) {
        *self.address.lock().unwrap() = Some(address);
    }

    /// Where it writes to.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        *self.address.lock().unwrap()
    }

    /// It writes nothing more, and what it had asked for is in the books, answered or not.
    pub(crate) fn pause(&self) {
        *self.address.lock().unwrap() = None;
        wait_for("the client to pause", || self.books().in_flight.is_none().then_some(()));
    }

    /// Waits until it was answered so many more times.
    pub(crate) fn wait_for_answers(&self, count: usize) {
        let enough = self.books().answered() + count;
        wait_for("answers", || (self.books().answered() >= enough).then_some(()));
    }

    /// Returns the generation that is live.
    pub(crate) fn live(&self) -> String {
        live(self.disk).expect("a live generation")
    }

    /// Whether its work is ended.
    pub(crate) fn is_ended(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }

    /// Writes until its work is ended.
    pub(crate) fn run(&self) {
        let mut own = Vec::new();
        let mut generation = self.live();
        for count in 0_usize.. {
            if self.is_ended() {
                break;
            }
            thread::sleep(PACE);
            let target = own.get(count * 7 % own.len().max(1)).cloned();
            let (method, path, write) = match (count % 8, target) {
                (3 | 6, Some((id, title))) => {
                    ("PATCH", format!("/api/v1/records/{id}"), Write { title, notes: Some(format!("changed {count}")) })
                }
                (7, Some((id, title))) => ("DELETE", format!("/api/v1/records/{id}"), Write { title, notes: None }),
                (kind, _) => {
                    let notes =
                        if kind == 1 { format!("{ATTACHED}{}", attach(self.disk, count)) } else { String::new() };
                    ("POST", "/api/v1/records".to_owned(), Write { title: format!("{OWN}{count}"), notes: Some(notes) })
                }
            };
            let Some(address) = self.begin(&write) else { continue };
            let before = self.live();
            let body = write.notes.as_ref().map(|notes| json!({"title": write.title, "notes": notes}));
            let answer = request(address, method, &path, "application/json", body.as_ref());
            let after = self.live();
            // What waits in the kernel's queue while the generations change is served from the new one.
            let moved = before != after;
            let into = match &answer {
                Ok(answer) if matches!(answer.status, 200 | 201 | 204) => {
                    let is_there = || told_by(address).get(&write.title) == write.notes.as_ref();
                    vec![if moved && is_there() { &after } else { &before }]
                }
                Ok(answer) if answer.status == 503 || (answer.status == 404 && (moved || generation != before)) => {
                    Vec::new()
                }
                Ok(answer) => panic!("{method} {path}: {answer:?}"),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Vec::new(),
                Err(_) => BTreeSet::from([&before, &after]).into_iter().collect(),
            };
            let answered = answer.is_ok();
            if generation != after {
                own.clear();
                generation.clone_from(&after);
            }
            if answered && into == [&generation] {
                match method {
                    "POST" => own.push((answer.unwrap().json()["id"].as_i64().unwrap(), write.title.clone())),
                    "DELETE" => own.retain(|(_, title)| *title != write.title),
                    _ => {}
                }
            } else {
                // Whether it is there is not known.
                own.retain(|(_, title)| *title != write.title);
            }
            let mut books = self.books();
            into.into_iter().for_each(|generation| books.note(generation, &write, answered));
            books.in_flight = None;
        }
    }

    /// Enters a write as asked for, if there is somebody to ask.
    fn begin(&self, write: &Write) -> Option<SocketAddr> {
        // Held until it is entered, so that a pause finds it.
        let address = self.address.lock().unwrap();
        self.books().in_flight = Some(write.clone()).filter(|_| address.is_some());
        *address
    }
}

/// Returns the generation that is live on a disk.
pub(crate) fn live(disk: &Path) -> Option<String> {
    let target = fs::read_link(disk.join("data/live")).ok()?;
    Some(target.file_name()?.to_str()?.to_owned())
}

/// Adds an attachment as an app does: durable before anything refers to it. Returns its path below the data directory.
fn attach(disk: &Path, number: usize) -> String {
    let content = format!("page {number} of a scan\n").repeat(2000);
    let name = blake3::hash(content.as_bytes()).to_hex().to_string();
    let path = format!("files/{}/{name}", &name[..2]);
    let (draft, target) = (disk.join("draft"), disk.join("data").join(&path));
    let directory = target.parent().unwrap();
    fs::create_dir_all(directory).unwrap();
    let mut file = File::create(&draft).unwrap();
    file.write_all(content.as_bytes()).and_then(|()| file.sync_all()).unwrap();
    fs::rename(&draft, &target).unwrap();
    for directory in [directory, directory.parent().unwrap()] {
        File::open(directory).and_then(|directory| directory.sync_all()).unwrap();
    }
    path
}
