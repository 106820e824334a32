//! Limits and blows: memory, a full disk, and KILL at any moment.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    engine::{Container, Volume, docker, image, mounted},
    harness::{chance, household, request},
    images,
};

#[test]
#[ignore = "needs a container engine and the image"]
fn an_app_that_the_kernel_kills_for_memory_is_started_again_and_that_is_called_so() {
    // Once, so that the next app behaves.
    let orders = images::orders("once=/app/data/once,eat=512");
    let mut options = vec!["--env", &orders];
    options.extend(["--memory", "96m", "--memory-swap", "96m"]);
    let container = Container::run(images::strange(), &options, &[]);
    let words = "killed by the kernel because the memory limit was reached";
    container.wait_for_log(words);
    let status = container.wait("a second run that serves", || {
        container.status().filter(|status| status["phase"] == "serving" && status["app"]["restarts"] == 1)
    });
    assert!(status["app"]["last_exit"].as_str().unwrap().contains(words), "{status}");
    let said = container.exec(&["supervisor", "status"]);
    assert!(said.contains("memory limit"), "{said}");
    container.wait_health("healthy");
    assert_eq!(container.state()["Running"], true);
    container.stop_after_a_kill_for_memory();
}

impl Container {
    /// As `stop`; the engine goes on saying that the container had a kill for memory.
    fn stop_after_a_kill_for_memory(&self) {
        docker(&["stop", "--time", "10", &self.name]);
        assert_eq!(self.state()["ExitCode"], 0, "{}", self.log());
    }
}

/// A small disk of its own, mounted while this lives.
struct Disk {
    place: PathBuf,
    _directory: tempfile::TempDir,
}

impl Disk {
    fn new(mebibytes: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (file, place) = (directory.path().join("disk"), directory.path().join("mounted"));
        File::create(&file).unwrap().set_len(mebibytes << 20).unwrap();
        fs::create_dir(&place).unwrap();
        let run = |program: &str, arguments: &[&str], path: &[&Path]| {
            let done = Command::new(program).args(arguments).args(path).output().unwrap();
            assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
        };
        run("mkfs.ext4", &["-q", "-F", "-m", "0"], &[&file]);
        run("mount", &["-o", "loop"], &[&file, &place]);
        chown(&place, Some(1001), Some(1001)).unwrap();
        Self { place, _directory: directory }
    }

    /// Takes all the space that is left.
    fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).unwrap();
        for size in [1 << 20, 4096, 1] {
            let zeros = vec![0_u8; size];
            while ballast.write_all(&zeros).and_then(|()| ballast.sync_data()).is_ok() {}
        }
    }

    fn empty(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.place.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.place).status();
    }
}

#[test]
#[ignore = "needs a container engine and the image"]
fn a_full_disk_is_told_loses_nothing_and_passes() {
    let disk = Disk::new(96);
    let container = Container::run(&image(), &["--volume", &mounted(&disk.place)], &[]);
    let address = container.wait_serving();
    household::fill(address, 100);

    disk.fill();
    let refused = container.wait("a write that is refused", || {
        let answer =
            request(address, "POST", "/api/v1/records", "application/json", Some(&household::record(3))).ok()?;
        (answer.status >= 400).then_some(answer)
    });
    assert!(refused.body.contains("full") || refused.body.contains("space"), "{} {}", refused.status, refused.body);
    // What was answered is there to be read, and the container stays up.
    let records = household::all(address);
    assert!(records.len() >= 100);
    assert_eq!(container.state()["Running"], true);

    // Stopped and started meanwhile: it says what it lacks, and waits.
    docker(&["restart", "--time", "10", &container.name]);
    let status = container.wait_phase("held");
    let failure = &status["held"]["failure"];
    assert_eq!(failure["cause"], "no-space", "{failure}");
    container.wait_health("unhealthy");
    assert_eq!(container.health(), Some(503));

    disk.empty();
    container.wait_serving();
    assert_eq!(household::all(address), records);
    household::add(address, &household::record(4));
    container.wait_health("healthy");
    container.stop();
}

#[test]
#[ignore = "needs a container engine and the image"]
fn killed_at_random_moments_it_has_every_record_that_was_answered() {
    let rounds = chance::number("HEARTH_TEST_KILLS").unwrap_or(6);
    let volume = Volume::new();
    let container = Container::run(&image(), &["--volume", &volume.as_data()], &[]);
    let answered: Mutex<BTreeMap<i64, Value>> = Mutex::default();
    for round in 0..rounds {
        let address = container.wait_serving();
        let all = household::all(address);
        for (id, record) in answered.lock().unwrap().iter() {
            assert_eq!(all.get(id), Some(record), "round {round}: record {id} was answered and is not there");
        }
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for hand in 0..3 {
                let (over, answered) = (&over, &answered);
                scope.spawn(move || {
                    for number in (hand..).step_by(3) {
                        let record = household::record(number);
                        let path = "/api/v1/records";
                        match request(address, "POST", path, "application/json", Some(&record)) {
                            Ok(answer) if answer.status == 201 => {
                                let record = household::plain(answer.json());
                                answered.lock().unwrap().insert(record["id"].as_i64().unwrap(), record);
                            }
                            _ if over.load(Ordering::Relaxed) => return,
                            // Refused or cut off by the blow that is just falling.
                            _ => thread::yield_now(),
                        }
                    }
                });
            }
            // At another moment each round; 0x9e37… spreads them (Knuth's multiplicative hashing).
            let moment = Duration::from_millis(150 + (round.wrapping_mul(0x9e37_79b9) >> 8) % 700);
            let until = Instant::now() + moment;
            while Instant::now() < until {
                thread::yield_now();
            }
            container.kill();
            over.store(true, Ordering::Relaxed);
        });
        docker(&["start", &container.name]);
    }
    let address = container.wait_serving();
    let all = household::all(address);
    let answered = answered.into_inner().unwrap();
    assert!(answered.len() as u64 > rounds, "{} records in {rounds} rounds", answered.len());
    for (id, record) in &answered {
        assert_eq!(all.get(id), Some(record), "record {id} was answered and is not there");
    }
    container.stop();
}
