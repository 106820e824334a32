//! A test that waits for ever is named, and ends with its program: `Command::output`, `Child::wait` and the like have no limit of
//! their own.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    process::Command,
    sync::{Mutex, MutexGuard, Once, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// What a test may do between two calls of [`step`]: longer than anything takes on two busy cores. `HEARTH_TEST_STEP` names
/// another, in seconds.
const LIMIT: u64 = 15 * 60;

/// Each test that runs, by the number of its thread: its name, and when it last went on.
static STEPS: Mutex<BTreeMap<u64, (String, Instant)>> = Mutex::new(BTreeMap::new());

/// A thread's entry, which goes with the thread.
struct Entry(u64);

impl Drop for Entry {
    fn drop(&mut self) {
        steps().remove(&self.0);
    }
}

thread_local! {
    static ENTRY: Entry = {
        static NUMBER: Mutex<u64> = Mutex::new(0);
        let mut number = NUMBER.lock().unwrap_or_else(PoisonError::into_inner);
        *number += 1;
        Entry(*number)
    };
}

fn steps() -> MutexGuard<'static, BTreeMap<u64, (String, Instant)>> {
    STEPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes that the test of this thread goes on.
pub(crate) fn step() {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| drop(thread::spawn(watch)));
    let name = thread::current().name().unwrap_or("a thread of a test").to_owned();
    // It fails in a thread that is ending, where no step follows.
    let _ = ENTRY.try_with(|entry| steps().insert(entry.0, (name, Instant::now())));
}

fn watch() {
    let limit = std::env::var("HEARTH_TEST_STEP").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(LIMIT);
    loop {
        thread::sleep(Duration::from_secs(1));
        let hangs = steps().values().find(|(_, since)| since.elapsed() > Duration::from_secs(limit)).cloned();
        if let Some((name, _)) = hangs {
            // Not by a macro: what this thread prints would be captured with the output of the test that started it.
            let _ = writeln!(std::io::stderr(), "\n{name} hangs: it has not gone on for {limit} s");
            end();
        }
    }
}

/// Ends this process and what it started, itself first: the end of a child would let the test go on, and pass.
fn end() -> ! {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let processes = format!("{} {}", std::process::id(), children.collect::<String>());
    let _ = Command::new("sh").args(["-c", &format!("kill -KILL {processes}")]).status();
    std::process::exit(101);
}
