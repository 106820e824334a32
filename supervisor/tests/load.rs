//! Whatever becomes of the app, no connection is refused: requests wait, or are told with 503 when to come again.
//! Excepted are only those that were inside a process when it was killed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    fs, io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use harness::{Answer, Hearth, LIMIT, Running, household, parse, token, wait_for};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{MissedTickBehavior, interval, timeout},
};

/// Time between two requests: 200 a second.
const PACE: Duration = Duration::from_millis(5);
/// One request in so many adds a record.
const WRITES: usize = 8;
/// More than are under way at a time when nothing keeps the answers back.
const FEW: usize = 10;
/// How long a killed process may still accept: a signal is not delivered at once on a busy machine.
const DYING: Duration = Duration::from_millis(300);

/// What came of a request.
#[derive(Debug)]
enum Came {
    Answer(Answer),
    /// The connection was made, and then ended without an answer.
    Cut(io::Error),
    /// There was no connection.
    Refused(io::Error),
    Nothing,
}

#[derive(Debug)]
struct Outcome {
    began: Instant,
    ended: Instant,
    came: Came,
}

/// A client that sends 200 requests a second, each on a connection of its own, whether earlier ones are answered
/// or not.
struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    answered: Arc<AtomicUsize>,
    thread: thread::JoinHandle<Vec<Outcome>>,
    killed: Vec<Instant>,
    address: SocketAddr,
}

impl Load {
    fn begin(address: SocketAddr) -> Self {
        Self::begin_as(&token(address), address)
    }

    /// As whoever has these headers.
    fn begin_as(owner: &str, address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (sent, answered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (until, sends, answers) = (Arc::clone(&stop), Arc::clone(&sent), Arc::clone(&answered));
        let owner: Arc<str> = owner.into();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let mut pace = interval(PACE);
                pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
                let mut requests = Vec::new();
                while !until.load(Ordering::Relaxed) {
                    pace.tick().await;
                    let (number, answers) = (sends.fetch_add(1, Ordering::Relaxed), Arc::clone(&answers));
                    let owner = owner.clone();
                    requests.push(tokio::spawn(async move {
                        let began = Instant::now();
                        let came = timeout(LIMIT, ask(address, &owner, number)).await.unwrap_or(Came::Nothing);
                        answers.fetch_add(1, Ordering::Relaxed);
                        Outcome { began, ended: Instant::now(), came }
                    }));
                }
                let mut outcomes = Vec::new();
                for request in requests {
                    outcomes.push(request.await.unwrap());
                }
                outcomes
            })
        });
        Self { stop, sent, answered, thread, killed: Vec::new(), address }
    }

    /// Waits until so many more requests have come to an end, and few are left in the queue.
    fn wait_for_more(&self, more: usize) {
        let enough = self.answered.load(Ordering::Relaxed) + more;
        wait_for("more answers", || {
            let answered = self.answered.load(Ordering::Relaxed);
            (answered >= enough && self.sent.load(Ordering::Relaxed) < answered + FEW).then_some(())
        });
    }

    /// Waits until a request that is sent now is answered like this.
    fn wait_for_status(&self, status: u16) {
        wait_for(&format!("an answer {status}"), || {
            (harness::get(self.address, "/health").status == status).then_some(())
        });
    }

    /// Kills a process with everything in it.
    fn kill(&mut self, pid: Pid, signal: Signal) {
        self.killed.push(Instant::now());
        kill(pid, signal).unwrap();
    }

    /// Ends the load; asserts what holds in each case, and returns how many were answered well, told to come again,
    /// and cut off.
    fn end(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let outcomes = self.thread.join().unwrap();
        let mut tally = Tally::default();
        for Outcome { began, ended, came } in outcomes {
            match came {
                Came::Answer(answer) if matches!(answer.status, 200 | 201) => {
                    tally.well += 1;
                    tally.added += usize::from(answer.status == 201);
                }
                Came::Answer(answer) => {
                    assert_eq!(answer.status, 503, "{answer:?}");
                    assert!(answer.headers["retry-after"].parse::<u32>().is_ok(), "{answer:?}");
                    tally.later += 1;
                }
                Came::Cut(error) => {
                    let inside = |killed: &Instant| began <= *killed + DYING && ended >= *killed;
                    assert!(self.killed.iter().any(inside), "cut off, and nothing was killed meanwhile: {error}");
                    tally.cut += 1;
                }
                Came::Refused(error) => panic!("a connection was refused: {error}"),
                Came::Nothing => panic!("no answer within {LIMIT:?}"),
            }
        }
        println!("{tally:?}");
        tally
    }
}

#[derive(Debug, Default)]
struct Tally {
    well: usize,
    added: usize,
    later: usize,
    cut: usize,
}

async fn ask(address: SocketAddr, owner: &str, number: usize) -> Came {
    let mut stream = match TcpStream::connect(address).await {
        Ok(stream) => stream,
        Err(error) => return Came::Refused(error),
    };
    let head = format!("HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\nconnection: close\r\n{owner}");
    let request = if number.is_multiple_of(WRITES) {
        let body = json!({"title": format!("under load {number}")}).to_string();
        let length = body.len();
        format!("POST /api/v1/records {head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
    } else {
        format!("GET /api/v1/records?limit=5 {head}\r\n")
    };
    let mut bytes = Vec::new();
    let answered = async {
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_end(&mut bytes).await
    };
    if let Err(error) = answered.await {
        return Came::Cut(error);
    }
    match parse(&bytes) {
        Some(answer) => Came::Answer(answer),
        None => Came::Cut(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{} bytes of an answer", bytes.len()))),
    }
}

/// A supervisor that starts its app again as often as it takes.
fn patient() -> Hearth {
    let mut hearth = Hearth::new();
    hearth.set("HEARTH_RESTART__ATTEMPTS", "100").set("HEARTH_RESTART__BACKOFF_MAX", "200ms");
    hearth
}

fn app(hearth: &Hearth) -> Option<Pid> {
    let status = hearth.status()?;
    let pid = status["app"]["pid"].as_i64().filter(|_| status["phase"] == "serving")?;
    Some(Pid::from_raw(i32::try_from(pid).unwrap()))
}

/// Waits until another app than this one serves.
fn wait_for_another(running: &Running, hearth: &Hearth, earlier: Pid) {
    running.wait("another app", || app(hearth).filter(|pid| *pid != earlier));
}

#[test]
fn no_connection_is_refused_while_the_app_is_killed_crashes_and_is_restarted() {
    let hearth = patient();
    let mut running = hearth.start();
    let mut load = Load::begin(running.wait_serving());
    for signal in [Signal::SIGKILL, Signal::SIGABRT, Signal::SIGKILL] {
        load.wait_for_more(100);
        let killed = app(&hearth).unwrap();
        load.kill(killed, signal);
        wait_for_another(&running, &hearth, killed);
    }
    load.wait_for_more(100);
    let address = load.address;
    let killed = load.end();
    assert!(killed.well > 350 && killed.cut < 3 * 2 * FEW, "{killed:?}");
    assert_eq!(killed.later, 0, "gaps this short are for the kernel's queue: {killed:?}");
    // Whoever was answered has its record.
    let records = household::all(address).len();
    assert!(records >= killed.added && records <= killed.added + killed.cut, "{records} records, {killed:?}");

    // A restart that was asked for cuts nobody off.
    let load = Load::begin(address);
    for _ in 0..3 {
        load.wait_for_more(100);
        let earlier = app(&hearth).unwrap();
        let restarted = hearth.run(&["restart"]);
        assert!(restarted.status.success(), "{}\n{}", String::from_utf8_lossy(&restarted.stderr), running.log());
        wait_for_another(&running, &hearth, earlier);
    }
    load.wait_for_more(100);
    let restarted = load.end();
    assert!(restarted.well > 300 && restarted.later == 0, "{restarted:?}");
}

#[test]
fn in_a_long_gap_everyone_is_told_when_to_come_again() {
    let mut hearth = patient();
    // Half of it is left to chance, so the gap is of 3 to 6 seconds.
    hearth.set("HEARTH_RESTART__BACKOFF", "6s").set("HEARTH_RESTART__BACKOFF_MAX", "6s");
    let mut running = hearth.start();
    let mut load = Load::begin(running.wait_serving());
    load.wait_for_more(50);
    let killed = app(&hearth).unwrap();
    load.kill(killed, Signal::SIGKILL);
    load.wait_for_status(503);
    load.wait_for_status(200);
    wait_for_another(&running, &hearth, killed);
    load.wait_for_more(50);
    let tally = load.end();
    assert!(tally.later > 0 && tally.well > 100, "{tally:?}");
}

#[test]
fn while_held_and_then_resumed_no_connection_is_refused() {
    let mut hearth = patient();
    let first = hearth.root.path().join("first").display().to_string();
    hearth.strange(&format!("once={first},die=3")).set("HEARTH_RESTART__ATTEMPTS", "1");
    let mut running = hearth.start();
    let (address, _) = running.wait_held(&hearth);
    let load = Load::begin(address);
    load.wait_for_status(503);
    load.wait_for_more(100);
    let resumed = hearth.run(&["resume"]);
    assert!(resumed.status.success(), "{}\n{}", String::from_utf8_lossy(&resumed.stderr), running.log());
    load.wait_for_status(200);
    load.wait_for_more(100);
    let tally = load.end();
    assert!(tally.later > 50 && tally.well > 50 && tally.cut == 0, "{tally:?}");
}

#[test]
fn a_door_that_is_killed_is_opened_again() {
    let mut hearth = patient();
    hearth.strange("die=3").set("HEARTH_RESTART__ATTEMPTS", "1");
    let mut running = hearth.start();
    let (address, _) = running.wait_held(&hearth);
    let mut load = Load::begin(address);
    load.wait_for_status(503);
    for _ in 0..3 {
        let door = wait_for("the door", || children(running.pid()).into_iter().next());
        load.kill(door, Signal::SIGKILL);
        load.wait_for_status(503);
        load.wait_for_more(20);
    }
    let tally = load.end();
    assert!(tally.later > 60 && tally.cut < 3 * 2 * FEW, "{tally:?}");
}

#[test]
fn an_upgrade_under_load_refuses_nobody_and_cuts_nobody_off() {
    let mut hearth = patient();
    let mut running = hearth.start();
    let address = running.wait_serving();
    household::fill(address, 50);
    let owner = token(address);
    running.stop();
    // Held at the last step, until there is space again.
    let full = hearth.root.path().join("full");
    fs::write(&full, "").unwrap();
    hearth
        .next_migrator("good,slow", "9.1.0")
        .set("TEST_SLOW_MILLISECONDS", "300")
        .set("HEARTH_FAULT", format!("armed-by={},finalize.begun=enospc", full.display()));
    let mut running = hearth.start();
    let (address, _) = running.wait_held(&hearth);
    let load = Load::begin_as(&owner, address);
    load.wait_for_more(50);
    fs::remove_file(&full).unwrap();
    let resumed = hearth.run(&["resume"]);
    assert!(resumed.status.success(), "{}\n{}", String::from_utf8_lossy(&resumed.stderr), running.log());
    load.wait_for_more(100);
    let tally = load.end();
    assert_eq!(hearth.live().as_deref(), Some("0002"));
    assert!(tally.later > 50 && tally.well > 50 && tally.cut == 0, "{tally:?}");
}

#[test]
fn a_live_restore_under_load_refuses_nobody_and_cuts_nobody_off() {
    let mut hearth = patient();
    let mut running = hearth.start();
    let address = running.wait_serving();
    household::fill(address, 50);
    let owner = token(address);
    running.stop();
    hearth.next_migrator("good", "9.1.0");
    let mut running = hearth.start();
    let load = Load::begin_as(&owner, running.wait_serving());
    for snapshot in ["0001", "0002"] {
        load.wait_for_more(100);
        let restored = hearth.run(&["restore", snapshot, "--yes"]);
        assert!(restored.status.success(), "{}\n{}", String::from_utf8_lossy(&restored.stderr), running.log());
    }
    load.wait_for_more(100);
    let tally = load.end();
    assert_eq!(hearth.live().as_deref(), Some("0004"));
    assert!(tally.well > 200 && tally.cut == 0, "{tally:?}");
}

#[test]
fn a_stop_in_the_very_moment_of_the_apps_end_is_obeyed() {
    let mut hearth = patient();
    hearth.strange("");
    // What the supervisor does at an end takes a few milliseconds: the stop comes at each moment of it.
    for moment in 0..20 {
        let mut running = hearth.start();
        running.wait_serving();
        let app = wait_for("the app", || app(&hearth));
        kill(app, Signal::SIGKILL).unwrap();
        thread::sleep(Duration::from_micros(300) * moment);
        running.signal(Signal::SIGTERM);
        running.wait_end();
        assert!(running.log().contains("stopped"), "{}", running.log());
    }
}

/// Returns the children of a process.
fn children(parent: Pid) -> Vec<Pid> {
    let listed = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    listed.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap())).collect()
}
