//! Killed at each step of keeping, rehearsing, switching and falling back, and at random moments: what starts next is one whole version on
//! whole data, with every write that somebody got an answer to.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant, SystemTime},
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    harness::{
        Running,
        chance::{Dice, Telling, number},
        household, request, watchdog,
    },
    image::{Fault, Household},
};

/// The random kills of the default version.
const KILLS: u64 = 6;

/// The titles of what was added: those that were answered, and those that may be there or not.
#[derive(Clone, Default)]
struct Ledger {
    answered: BTreeSet<String>,
    unanswered: BTreeSet<String>,
    last: Option<Instant>,
}

impl Ledger {
    /// Adds a record, where somebody answers; several times a second, so that others can be killed beside it.
    fn write(&mut self, running: &Running) {
        if self.last.is_some_and(|last| last.elapsed() < Duration::from_millis(20)) {
            return;
        }
        self.last = Some(Instant::now());
        let Some(address) = running.address() else {
            thread::sleep(Duration::from_millis(2));
            return;
        };
        let title = format!("record {} of the ledger", self.answered.len() + self.unanswered.len());
        let mut record = household::record(1);
        record["title"] = json!(title);
        match request(address, "POST", "/api/v1/records", "application/json", Some(&record)) {
            Ok(answer) if answer.status == 201 => self.answered.insert(title),
            Ok(answer) if answer.status == 503 => true,
            Ok(answer) => panic!("adding a record: {answer:?}\n{}", running.log()),
            Err(_) => self.unanswered.insert(title),
        };
    }

    fn check(&self, running: &Running) {
        let address = running.address().unwrap();
        let found: BTreeSet<String> =
            household::all(address).values().map(|record| record["title"].as_str().unwrap().to_owned()).collect();
        let lost: Vec<_> = self.answered.difference(&found).collect();
        assert!(lost.is_empty(), "lost: {lost:?}\n{}", running.log());
    }
}

/// What is upgraded.
#[derive(Clone, Copy, Debug)]
enum Story {
    /// It goes well.
    Good,
    /// The rehearsal fails.
    Fails,
    /// The new version falls over after it took over.
    FallsOver,
}

impl Story {
    /// A household whose app is kept, and the next image.
    fn prepare(self) -> Household {
        let mut household = Household::new();
        household.settle();
        let good = household.good();
        match self {
            Self::Good => household.pull(Fault::None).next_migrator("good", "9.1.0"),
            Self::Fails => household.pull(Fault::None).next_migrator("fails", "9.1.0"),
            Self::FallsOver => household.pull(Fault::App("app.serving=kill")),
        };
        // A child that kills its parent has no sandbox, so that only what the image lists may serve.
        let listed = household.hearth.programs().join("known-apps");
        fs::write(listed, good.file_name().unwrap().as_encoded_bytes()).unwrap();
        household
    }

    /// Whether it has come to its end.
    fn is_settled(self, status: &Value) -> bool {
        let serves = status["phase"] == "serving";
        match self {
            Self::Good => serves && status["fallback"].is_null(),
            Self::Fails | Self::FallsOver => serves && !status["fallback"]["failure"].is_null(),
        }
    }
}

/// Serves and writes until the story has come to its end, the supervisor has, or something else ends it; returns whether the supervisor was
/// killed.
fn live_through(
    story: Story,
    household: &Household,
    ledger: &mut Ledger,
    mut over: impl FnMut(&Running) -> bool,
) -> bool {
    let mut running = household.hearth.start();
    // Asking is a program's start each time, and is not what this is about.
    let mut asked = Instant::now();
    running.wait_with("the end of the story", |running| {
        ledger.write(running);
        let ended = running.child.try_wait().unwrap().is_some();
        let is_asked = asked.elapsed() > Duration::from_millis(100);
        let status = || {
            asked = Instant::now();
            household.hearth.status()
        };
        let is_over = ended
            || over(running)
            || is_asked.then(status).flatten().is_some_and(|status| {
                story.is_settled(&status) || status["phase"] == "held" || !status["fallback"]["failure"].is_null()
            });
        is_over.then_some(())
    });
    if running.child.try_wait().unwrap().is_none() {
        running.signal(Signal::SIGTERM);
    }
    let killed = running.wait_end().signal() == Some(Signal::SIGKILL as i32);
    running.wait("everything to end", || (!running.anyone_left()).then_some(()));
    killed
}

/// Starts again without a fault: everything is there, and the story comes to its end.
fn go_on(story: Story, household: &mut Household, ledger: &mut Ledger) {
    household.hearth.unset("HEARTH_FAULT");
    let mut running = household.hearth.start();
    running.wait_serving();
    ledger.check(&running);
    ledger.write(&running);
    running.wait("the end of the story", || household.hearth.status().filter(|status| story.is_settled(status)));
    running.wait_serving();
    ledger.check(&running);
    ledger.write(&running);
    running.wait("every kept program to be named, and nothing to be left over", || {
        (household.named() == household.files_of_programs()).then_some(())
    });
    assert_eq!(running.stop().code(), Some(0), "{}", running.log());
    household.hearth.assert_tidy();
    assert!(!household.hearth.data.join("rehearsal").exists());
}

/// Lives through the story with a fault, in a copy of the household; returns the points that it passed, and whether the supervisor was killed.
fn crash(story: Story, household: &Household, fault: Option<(&str, &str)>) -> (BTreeSet<String>, bool) {
    let _telling = Telling(format!("{story:?} with {fault:?}"));
    let mut household = household.copy();
    let trace = household.hearth.root.path().join("trace");
    let words = fault.map(|(point, action)| format!(",{point}={action}")).unwrap_or_default();
    household.hearth.set("HEARTH_FAULT", format!("trace={}{words}", trace.display()));
    let mut ledger = Ledger::default();
    let killed = live_through(story, &household, &mut ledger, |_| false);
    go_on(story, &mut household, &mut ledger);
    (fs::read_to_string(trace).unwrap_or_default().lines().map(str::to_owned).collect(), killed)
}

fn killed_at_each_step(story: Story, begins: &[&str]) {
    let household = story.prepare();
    let (passed, _) = crash(story, &household, None);
    let points: Vec<_> = passed.iter().filter(|point| begins.iter().any(|begin| point.starts_with(begin))).collect();
    assert!(points.len() >= begins.len(), "{passed:?}");
    for point in points {
        // Where the supervisor did not die, it was a child that did, and the supervisor can be killed from there.
        if !crash(story, &household, Some((point, "kill"))).1 {
            assert!(crash(story, &household, Some((point, "kill-parent"))).1, "{story:?}, {point}=kill-parent");
        }
    }
}

#[test]
fn a_rehearsal_killed_at_any_step_leaves_the_last_good_version_serving() {
    killed_at_each_step(Story::Good, &["rehearse."]);
}

#[test]
fn keeping_killed_at_any_step_leaves_one_whole_program_or_none() {
    // The last good app of an instance that has none yet.
    let mut household = Household::new();
    household.pull(Fault::None);
    for point in ["keep.begun", "keep.written", "keep.renamed", "save.written", "save.renamed"] {
        for action in ["kill", "kill-parent"] {
            let _telling = Telling(format!("{point}={action}"));
            let mut household = household.copy();
            // Not before the app serves: a first start saves documents of its own.
            let trigger = household.hearth.root.path().join("trigger");
            let trace = household.hearth.root.path().join("trace");
            household.hearth.set(
                "HEARTH_FAULT",
                format!("armed-by={},trace={},{point}={action}", trigger.display(), trace.display()),
            );
            let mut ledger = Ledger::default();
            let mut running = household.hearth.start();
            running.wait_serving();
            File::create(&trigger).unwrap();
            running.wait_with("the point to be passed, or all to be kept", |running| {
                ledger.write(running);
                let passed = fs::read_to_string(&trace).unwrap_or_default().contains(point);
                let kept = household.hearth.data.join("supervisor/programs.json").exists();
                (passed || kept).then_some(())
            });
            if running.child.try_wait().unwrap().is_none() {
                running.signal(Signal::SIGKILL);
            }
            running.wait_end();
            running.wait("everything to end", || (!running.anyone_left()).then_some(()));
            household.hearth.unset("HEARTH_FAULT");
            let mut running = household.hearth.start();
            running.wait_serving();
            ledger.check(&running);
            household.wait_kept(&running);
            assert_eq!(
                blake3::hash(&fs::read(household.good()).unwrap()).to_hex().as_str(),
                household.programs()["good"]["blake3"]
            );
            assert!(running.stop().success());
            assert_eq!(fs::read_dir(household.hearth.data.join("programs")).unwrap().count(), 1);
        }
    }
}

#[test]
fn a_switch_killed_at_any_step_is_the_old_version_or_the_new_one() {
    killed_at_each_step(Story::Good, &["checkpoint.", "stage.", "finalize.", "commit."]);
}

#[test]
fn falling_back_killed_at_any_step_comes_to_the_last_good_version() {
    killed_at_each_step(Story::FallsOver, &["commit.", "stage.marked", "prove."]);
}

#[test]
fn killed_at_random_moments_every_answered_write_is_there() {
    let kills = number("HEARTH_TEST_KILLS").unwrap_or(KILLS);
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let first = number("HEARTH_TEST_SEED").unwrap_or(clock.as_secs() * 1_000_000);
    println!("HEARTH_TEST_SEED={first} HEARTH_TEST_KILLS={kills}");
    let stories = [Story::Good, Story::Fails, Story::FallsOver].map(|story| (story, story.prepare()));
    let (next, done) = (AtomicU64::new(first), AtomicU64::new(0));
    let written = AtomicU64::new(0);
    // Most of the time they wait.
    let houses = kills.min(3 + kills / 100).min(8);
    let house = || {
        while done.load(Ordering::Relaxed) < kills {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let _telling = Telling(format!("HEARTH_TEST_SEED={seed} HEARTH_TEST_KILLS=1"));
            let mut dice = Dice(seed);
            let (story, household) = &stories[usize::try_from(dice.below(3)).unwrap()];
            let mut household = household.copy();
            let mut ledger = Ledger::default();
            // Until the story is over: killed soon after the start, and later.
            for _ in 0..=dice.below(20) {
                if !killed_soon(*story, &household, &mut ledger, &mut dice) {
                    break;
                }
                let count = done.fetch_add(1, Ordering::Relaxed) + 1;
                if count.is_multiple_of(500) {
                    println!("{count} kills");
                }
            }
            go_on(*story, &mut household, &mut ledger);
            written.fetch_add(ledger.answered.len() as u64, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        let houses: Vec<_> = (0..houses).map(|_| scope.spawn(house)).collect();
        while houses.iter().any(|house| !house.is_finished()) {
            watchdog::step();
            // One that has failed ends the others.
            if houses.iter().any(|house| house.is_finished()) {
                done.fetch_max(kills, Ordering::Relaxed);
            }
            thread::sleep(Duration::from_millis(100));
        }
    });
    println!("{} kills, {} answered writes, none lost", done.into_inner(), written.into_inner());
}

/// Lives on until the supervisor or one of its children is killed at a random moment; returns whether the story has not come to its end
/// before.
fn killed_soon(story: Story, household: &Household, ledger: &mut Ledger, dice: &mut Dice) -> bool {
    let longest = [200, 1000, 3000][usize::try_from(dice.below(3)).unwrap()];
    let due = Instant::now() + dice.time(Duration::from_millis(longest));
    let mut killer = Dice(dice.roll());
    let mut killed = false;
    live_through(story, household, ledger, |running| {
        killed = Instant::now() >= due;
        if killed {
            kill_one(running, &mut killer);
        }
        killed
    });
    killed
}

/// Kills the supervisor or one of its children.
fn kill_one(running: &Running, dice: &mut Dice) {
    let children: Vec<i32> = fs::read_to_string(format!("/proc/{0}/task/{0}/children", running.pid()))
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect();
    let chosen = usize::try_from(dice.below(children.len() as u64 + 1)).unwrap();
    let pid = children.get(chosen).copied().unwrap_or(running.pid().as_raw());
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL);
}
