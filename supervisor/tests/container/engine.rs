//! How is one container started, asked and ended?

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU8, Ordering},
    time::Instant,
};

use serde_json::Value;

use crate::harness::{Answer, LIMIT, http, request, wait_for};

/// The port in the container, and on the address that each test has for itself.
pub(crate) const PORT: u16 = 3000;

/// The settings that name the owner of an instance.
pub(crate) fn owner() -> Vec<String> {
    vec![format!("HEARTH_AUTH__ADMIN_EMAIL={}", http::EMAIL), format!("HEARTH_AUTH__ADMIN_PASSWORD={}", http::PASSWORD)]
}

/// Runs a program to its end.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Output {
    crate::harness::watchdog::step();
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    output.unwrap_or_else(|error| panic!("{program} cannot be started: {error}"))
}

/// Runs docker to its end.
pub(crate) fn try_docker(arguments: &[&str]) -> Output {
    output("docker", arguments)
}

/// Runs docker, which must do what it is asked; returns what it printed.
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = try_docker(arguments);
    assert!(output.status.success(), "docker {arguments:?} ({}):\n{}", output.status, both(&output));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// What was printed, and what was said beside it.
pub(crate) fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Returns the image that is tested.
pub(crate) fn image() -> String {
    std::env::var("HEARTH_TEST_IMAGE").unwrap_or_else(|_| "hearth:test".to_owned())
}

/// Returns a name and an address of this machine that no other test has.
pub(crate) fn name_and_address() -> (String, SocketAddr) {
    static COUNT: AtomicU8 = AtomicU8::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    let process = std::process::id();
    let [_, _, high, low] = process.to_be_bytes();
    // All of 127.0.0.0/8 is this machine. Pids have at most 22 bits and are handed out one after the other, so that those
    // of two runs at once differ in the lower 16.
    let address = Ipv4Addr::new(127, high.max(1), low, count);
    (format!("hearth-test-{process}-{count}"), SocketAddr::from((address, PORT)))
}

/// A container, removed with this.
pub(crate) struct Container {
    /// Its name or id.
    pub(crate) name: String,
    /// Where the public port of the first one is reached.
    pub(crate) address: SocketAddr,
}

impl Container {
    /// Starts one of this image, with these further options of `docker run` and these arguments to its entrypoint.
    pub(crate) fn run(image: &str, options: &[&str], arguments: &[&str]) -> Self {
        let (name, address) = name_and_address();
        let container = Self { name, address };
        container.start_as(image, options, arguments);
        container
    }

    /// As [`Self::run`], in the place of the one before: with the same name and address.
    pub(crate) fn start_as(&self, image: &str, options: &[&str], arguments: &[&str]) {
        let publish = format!("{}:{PORT}", self.address);
        let mut command = vec!["run", "--detach", "--name", &self.name, "--publish", &publish];
        // Checks at a pace for tests; those with the image's own pace are the ones by compose.
        command.extend(["--health-interval", "1s", "--env", "HEARTH_HEALTH__INTERVAL=200ms"]);
        command.extend(["--env", "HEARTH_RESTART__BACKOFF=20ms", "--env", "HEARTH_BACKUP__SCHEDULE=off"]);
        let owner = owner();
        owner.iter().for_each(|variable| command.extend(["--env", variable]));
        docker(&[&command, options, &[image], arguments].concat());
    }

    /// Takes it away, but not its named volumes.
    pub(crate) fn remove(&self) {
        docker(&["rm", "--force", "--volumes", &self.name]);
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        both(&try_docker(&["logs", &self.name]))
    }

    /// Its state, as the engine has it.
    pub(crate) fn state(&self) -> Value {
        let state = docker(&["inspect", "--format", "{{json .State}}", &self.name]);
        serde_json::from_str(&state).unwrap_or_else(|error| panic!("{error}: {state}"))
    }

    /// Runs a command in it.
    pub(crate) fn try_exec(&self, command: &[&str]) -> Output {
        try_docker(&[&["exec", &self.name], command].concat())
    }

    /// Runs a command in it that must be done; returns what it printed.
    pub(crate) fn exec(&self, command: &[&str]) -> String {
        docker(&[&["exec", &self.name], command].concat())
    }

    /// The supervisor's status, if it answers.
    pub(crate) fn status(&self) -> Option<Value> {
        let output = self.try_exec(&["supervisor", "status", "--json"]);
        serde_json::from_slice(&output.stdout).ok()
    }

    /// Waits for something, and shows the log when it does not come.
    pub(crate) fn wait<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let until = Instant::now() + 2 * LIMIT;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < until, "waited {:?} for {what}; {}\n{}", 2 * LIMIT, self.state(), self.log());
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    /// Waits until its log holds these words.
    pub(crate) fn wait_for_log(&self, words: &str) {
        self.wait(&format!("{words:?} in the log"), || self.log().contains(words).then_some(()));
    }

    /// Waits until it serves; returns where.
    pub(crate) fn wait_serving(&self) -> SocketAddr {
        self.wait("serving", || (self.health()? == 200).then_some(self.address))
    }

    /// Waits until the supervisor is in this phase; returns its status.
    pub(crate) fn wait_phase(&self, phase: &str) -> Value {
        self.wait(phase, || self.status().filter(|status| status["phase"] == phase))
    }

    /// Waits until the engine has it as `healthy` or `unhealthy`.
    pub(crate) fn wait_health(&self, word: &str) {
        self.wait(word, || (self.state()["Health"]["Status"] == word).then_some(()));
    }

    /// The status of `GET /health` on the public port, if anybody answers.
    pub(crate) fn health(&self) -> Option<u16> {
        self.try_get("/health").map(|answer| answer.status)
    }

    /// `GET`, if anybody answers.
    pub(crate) fn try_get(&self, path: &str) -> Option<Answer> {
        request(self.address, "GET", path, "application/json", None).ok()
    }

    /// Stops it as `docker stop` does, and asserts that it ended by itself, in time and well.
    pub(crate) fn stop(&self) {
        docker(&["stop", "--time", "10", &self.name]);
        self.ended_well();
    }

    /// Asserts that it ended with status 0 within the grace period that the images and docs promise, by the times of its log: a busy
    /// engine takes longer.
    pub(crate) fn ended_well(&self) {
        let state = self.state();
        assert_eq!(state["Status"], "exited", "{state}");
        assert_eq!(state["ExitCode"], 0, "{state}\n{}", self.log());
        assert_eq!(state["OOMKilled"], false, "{state}");
        let log = both(&try_docker(&["logs", "--timestamps", &self.name]));
        let at = |words: &str| {
            let time = log.lines().rev().find(|line| line.contains(words)).and_then(|line| line.split(' ').next());
            humantime::parse_rfc3339(time.unwrap_or_else(|| panic!("{words}: {log}"))).unwrap()
        };
        let took = at("[Supervisor] stopped").duration_since(at(" received, stopping")).unwrap_or_default();
        assert!(took.as_secs_f32() < 8.0, "took {took:?}\n{log}");
        assert!(self.log().trim_end().ends_with("[Supervisor] stopped"), "{}", self.log());
    }

    /// KILL, to all of it at once.
    pub(crate) fn kill(&self) {
        docker(&["kill", "--signal", "KILL", &self.name]);
        wait_for("its end", || (self.state()["Status"] == "exited").then_some(()));
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the log of {}:\n{}", self.name, self.log());
        }
        let _ = try_docker(&["rm", "--force", "--volumes", &self.name]);
    }
}

/// A named volume, removed with this.
pub(crate) struct Volume(pub(crate) String);

impl Volume {
    /// Makes a fresh one.
    pub(crate) fn new() -> Self {
        let (name, _) = name_and_address();
        Self(docker(&["volume", "create", &name]))
    }

    /// As an option of `docker run`: the data directory.
    pub(crate) fn as_data(&self) -> String {
        format!("{}:/app/data", self.0)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = try_docker(&["volume", "rm", "--force", &self.0]);
    }
}

/// A directory on the machine, as an option of `docker run`: the data directory.
pub(crate) fn mounted(directory: &Path) -> String {
    format!("{}:/app/data", directory.display())
}
