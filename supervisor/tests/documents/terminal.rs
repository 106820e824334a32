//! Who types the commands of a document into a terminal, with an engine and a registry at hand?
//!
//! The engine is the machine's, with root at the terminal, or [`Rootless`], with its user.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs,
    io::Write,
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    harness::{request, watchdog},
    markdown::{Document, root},
    rootless::{Rootless, UID},
};

/// How long the engine may take for anything.
const LIMIT: Duration = Duration::from_secs(180);

/// The tags that the registry knows.
pub(crate) const TAGS: [&str; 2] = ["latest", "old"];

/// Somebody at a terminal, with an engine and a registry.
pub(crate) struct Terminal {
    /// The engine, if it is not the machine's.
    rootless: Option<Rootless>,
    /// Whom Hearth runs as once it has directories: `1001:1001`.
    pub(crate) user: &'static str,
    pub(crate) place: tempfile::TempDir,
    /// Where the shell is.
    pub(crate) directory: RefCell<PathBuf>,
    pub(crate) port: u16,
    registry: Child,
    /// The image's name without a tag.
    image: String,
    /// The blocks that were run.
    pub(crate) ran: RefCell<BTreeSet<(String, String)>>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Runs a command of Docker's; returns what it printed.
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("docker");
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits for something.
pub(crate) fn wait_until(what: &str, look: impl FnMut() -> bool) {
    wait_or_show(what, look, String::new);
}

/// The same, with what is shown when it does not come.
fn wait_or_show(what: &str, mut look: impl FnMut() -> bool, show: impl Fn() -> String) {
    let until = Instant::now() + LIMIT;
    while !look() {
        assert!(Instant::now() < until, "waited {LIMIT:?} for {what}\n{}", show());
        thread::sleep(Duration::from_millis(100));
    }
}

impl Terminal {
    /// Opens one at the machine's engine, for a Hearth that runs as this user.
    pub(crate) fn open(user: &'static str) -> Self {
        Self::at(None, user)
    }

    /// Opens one for a user who is not root, with an engine of his own; he is root in there.
    pub(crate) fn open_rootless() -> Self {
        Self::at(Some(Rootless::start()), "0:0")
    }

    fn at(rootless: Option<Rootless>, user: &'static str) -> Self {
        let place = tempfile::tempdir().unwrap();
        // The directory of the commands has to be reachable for the user that sudo makes of this one.
        fs::set_permissions(place.path(), PermissionsExt::from_mode(0o755)).unwrap();
        if let Some(rootless) = &rootless {
            rootless.give(place.path());
        }
        // The compose that is named, else Docker's own, else the older one by its own name.
        let named = std::env::var("HEARTH_TEST_COMPOSE").ok();
        let plugin = Command::new("docker").args(["compose", "version"]).output().unwrap().status.success();
        if named.is_some() || !plugin {
            let compose = named.unwrap_or_else(|| "docker-compose".to_owned());
            let shim = format!("#!/bin/sh\nif [ \"$1\" = compose ]; then shift; exec '{compose}' \"$@\"; fi\n");
            let real = Command::new("sh").args(["-c", "command -v docker"]).output().unwrap().stdout;
            let real = String::from_utf8(real).unwrap();
            let path = place.path().join("docker");
            fs::write(&path, format!("{shim}exec {} \"$@\"\n", real.trim())).unwrap();
            fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let address = format!("127.0.0.1:{}", free_port());
        let config = place.path().join("registry.yml");
        let storage = place.path().join("registry");
        let settings = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: {address:?}}}\n",
            storage.display()
        );
        fs::write(&config, settings).unwrap();
        // The engine has to reach it by its own 127.0.0.1.
        let program = |name: &str| rootless.as_ref().map_or_else(|| Command::new(name), |engine| engine.inside(name));
        let registry = program("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry, of the Debian package of that name");
        let connect = format!("exec 3<>/dev/tcp/{}", address.replace(':', "/"));
        wait_until("the registry", || {
            program("bash").args(["-c", &connect]).stderr(Stdio::null()).status().unwrap().success()
        });
        let directory = RefCell::new(place.path().to_owned());
        let image = format!("{address}/hearth");
        Self { rootless, user, place, directory, port: free_port(), registry, image, ran: RefCell::default() }
    }

    /// The name of this test's installation.
    pub(crate) fn name(&self) -> String {
        format!("hearth-docs-{}", self.port)
    }

    /// Its volumes.
    fn volumes(&self) -> [String; 2] {
        ["data", "backups"].map(|volume| format!("{}-{volume}", self.name()))
    }

    /// How the log says whom Hearth runs as.
    pub(crate) fn runs_as(&self) -> String {
        format!("as uid {}", self.user.replace(':', " gid "))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Makes an image known to the registry under this tag.
    pub(crate) fn push(&self, image: &str, tag: &str) {
        let name = format!("{}:{tag}", self.image);
        docker(&["tag", image, &name]);
        if let Some(engine) = &self.rootless {
            engine.load(&name);
        }
        // What is here already would be found without the registry.
        for arguments in [["push", &name], ["rmi", &name]] {
            let output = self.docker(&arguments).output().unwrap();
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        if self.rootless.is_some() {
            docker(&["rmi", &name]);
        }
    }

    /// A command of Docker's, to the engine that is used here.
    fn docker(&self, arguments: &[&str]) -> Command {
        let mut machine = Command::new("docker");
        machine.args(arguments);
        self.rootless.as_ref().map_or(machine, |engine| engine.docker(arguments))
    }

    /// Runs commands on a terminal, typing this into it; returns what they printed.
    pub(crate) fn type_in(&self, script: &str, answer: &str) -> String {
        self.type_in_as(self.rootless.as_ref(), script, answer)
    }

    fn type_in_as(&self, user: Option<&Rootless>, script: &str, answer: &str) -> String {
        watchdog::step();
        let (file, after) = (self.place.path().join("block.sh"), self.place.path().join("directory"));
        let directory = self.directory.borrow().clone();
        fs::write(&file, format!("cd '{}'\n{script}\npwd > '{}'\n", directory.display(), after.display())).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
        // It may be another user's, from before.
        let _ = fs::remove_file(&after);
        // Nothing that waits for ever keeps the test from its end.
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", &(2 * LIMIT).as_secs().to_string()]);
        match user {
            None => command.arg("script"),
            Some(engine) => {
                command.args([
                    "setpriv",
                    "--reuid",
                    &UID.to_string(),
                    "--regid",
                    &UID.to_string(),
                    "--clear-groups",
                    "script",
                ]);
                command.env("HOME", engine.home()).env("DOCKER_HOST", engine.host())
            }
        };
        command.args(["-qec", &format!("bash -euo pipefail '{}'", file.display()), "/dev/null"]);
        // A setting from the environment would go before the one in .env.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"HEARTH_")) {
            command.env_remove(name);
        }
        let path = format!("{}:{}", self.place.path().display(), std::env::var("PATH").unwrap());
        command.env("PATH", path).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("script, of the Debian package bsdutils");
        // Kept open until the end, for a terminal does not end by itself.
        let mut typed = child.stdin.take().unwrap();
        typed.write_all(answer.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        drop(typed);
        let said = String::from_utf8_lossy(&output.stdout).replace('\r', "");
        assert!(output.status.success(), "this failed ({}):\n{script}\n{said}", output.status);
        *self.directory.borrow_mut() = fs::read_to_string(after).unwrap().trim().into();
        said
    }

    /// Runs a block of a document as it stands; returns what it printed.
    pub(crate) fn run(&self, document: &str, name: &str) -> String {
        self.run_answering(document, name, "")
    }

    pub(crate) fn run_answering(&self, document: &str, name: &str, answer: &str) -> String {
        let script = self.block(document, name);
        self.ran.borrow_mut().insert((document.to_owned(), name.to_owned()));
        self.type_in(&script, answer)
    }

    /// The same for a block that names the user whom directories belong to: here it is this test's. Root in an engine without root
    /// is who types, and there is nothing to give away.
    pub(crate) fn run_as_user(&self, document: &str, name: &str) -> String {
        let block = Document::read(Path::new(document)).block(name).text.replace("1001:1001", self.user);
        let kept = block.lines().filter(|line| self.rootless.is_none() || !line.starts_with("chown "));
        let script: String = kept.map(|line| format!("{line}\n")).collect();
        self.ran.borrow_mut().insert((document.to_owned(), name.to_owned()));
        self.type_in(&self.here(&script), "")
    }

    /// The same for a block whose files are root's, whichever user the engine runs as.
    pub(crate) fn run_as_root(&self, document: &str, name: &str) -> String {
        let script = self.block(document, name);
        self.ran.borrow_mut().insert((document.to_owned(), name.to_owned()));
        self.type_in_as(None, &script, "")
    }

    /// Gives a file of root's to who types.
    pub(crate) fn give(&self, name: &str) {
        if let Some(engine) = &self.rootless {
            engine.give(&self.place.path().join(name));
        }
    }

    /// Puts the compose files here that a download would have brought.
    pub(crate) fn fetch(&self, folder: &Path) {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let entry = entry.unwrap();
            let copy = self.directory.borrow().join(entry.file_name());
            fs::copy(entry.path(), &copy).unwrap();
            if let Some(engine) = &self.rootless {
                engine.give(&copy);
            }
        }
    }

    /// Writes a file here that the user who types may read.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.directory.borrow().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
    }

    /// Replaces words in a file here.
    pub(crate) fn replace(&self, file: &str, from: &str, to: &str) {
        let path = self.directory.borrow().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    /// Returns the block of a document with this test's own places and image.
    pub(crate) fn block(&self, document: &str, name: &str) -> String {
        self.here(&Document::read(Path::new(document)).block(name).text)
    }

    /// Returns a block with this test's own places and image.
    pub(crate) fn here(&self, block: &str) -> String {
        block
            .replace("ghcr.io/hearth-home/hearth", &self.image)
            .replace("localhost:3000", &format!("localhost:{}", self.port))
            .replace("127.0.0.1:3000:", &format!("127.0.0.1:{}:", self.port))
            .replace("hearth-data hearth-backups", &self.volumes().join(" "))
            .replace("hearth-look", &format!("hearth-look-{}", self.port))
            .replace("/srv/hearth", &self.place.path().join("srv").display().to_string())
            .replace("~/", &format!("{}/", self.place.path().display()))
    }

    /// Sets something in .env, as the document says.
    pub(crate) fn set(&self, name: &str, value: &str) {
        let path = self.directory.borrow().join(".env");
        let text = fs::read_to_string(&path).unwrap();
        let others: String = text
            .lines()
            .filter(|line| !line.starts_with(&format!("{name}=")))
            .map(|line| format!("{line}\n"))
            .collect();
        fs::write(path, format!("{others}{name}={value}\n")).unwrap();
    }

    pub(crate) fn set_image(&self, tag: &str) {
        self.set("HEARTH_IMAGE", &format!("{}:{tag}", self.image));
    }

    pub(crate) fn status(&self) -> String {
        self.type_in("docker compose exec web supervisor status || true", "")
    }

    /// Waits until the supervisor says that it is in this phase.
    pub(crate) fn wait_phase(&self, phase: &str) {
        let line = format!("phase      {phase}");
        let show = || format!("{}\n{}", self.status(), self.type_in("docker compose logs --tail 60 web", ""));
        wait_or_show(&line, || self.status().contains(&line), show);
    }

    /// Whether Hearth serves.
    pub(crate) fn is_answering(&self) -> bool {
        request(self.address(), "GET", "/health", "application/json", None).is_ok_and(|answer| answer.status == 200)
    }

    pub(crate) fn wait_serving(&self) {
        wait_until("an answer of 200", || self.is_answering());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let compose = "docker compose down --volumes --remove-orphans";
        if !thread::panicking() {
            self.type_in(compose, "");
        } else if let Ok(directory) = self.directory.try_borrow() {
            let path = format!("{}:{}", self.place.path().display(), std::env::var("PATH").unwrap_or_default());
            let mut command = Command::new("sh");
            if let Some(engine) = &self.rootless {
                command.env("DOCKER_HOST", engine.host());
            }
            let _ = command.args(["-c", compose]).current_dir(&*directory).env("PATH", path).output();
        }
        // Of those that no service uses any more, `down` knows nothing.
        for volume in self.volumes() {
            let _ = self.docker(&["volume", "rm", "--force", &volume]).output();
        }
        let _ = self.registry.kill();
        let _ = self.registry.wait();
        // By their names: an image that is forced away by its id is gone for everybody.
        for tag in TAGS {
            let _ = Command::new("docker").args(["rmi", &format!("{}:{tag}", self.image)]).output();
        }
        // One that another took the tag from has only its digest left.
        let reference = format!("reference={}", self.image);
        let list = ["images", "--digests", "--format", "{{.Repository}}@{{.Digest}}", "--filter", &reference];
        if let Ok(output) = Command::new("docker").args(list).output() {
            for name in String::from_utf8_lossy(&output.stdout).lines() {
                let _ = Command::new("docker").args(["rmi", name]).output();
            }
        }
    }
}
