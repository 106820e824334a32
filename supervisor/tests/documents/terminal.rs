//! Who types the commands of a document into a terminal, with an engine and a registry at hand?

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs,
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{harness::request, markdown::Document};

/// How long the engine may take for anything.
const LIMIT: Duration = Duration::from_secs(180);

/// The tags that the registry knows.
pub(crate) const TAGS: [&str; 2] = ["latest", "old"];

/// Somebody at a terminal, with an engine and a registry.
pub(crate) struct Terminal {
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
pub(crate) fn wait_until(what: &str, mut look: impl FnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !look() {
        assert!(Instant::now() < until, "waited {LIMIT:?} for {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

impl Terminal {
    pub(crate) fn open() -> Self {
        let place = tempfile::tempdir().unwrap();
        // The directory of the commands has to be reachable for the user that sudo makes of this one.
        fs::set_permissions(place.path(), PermissionsExt::from_mode(0o755)).unwrap();
        // The compose that is named, else Docker's own, else the older one by its own name.
        let named = std::env::var("HEARTH_TEST_COMPOSE").ok();
        let plugin = Command::new("docker").args(["compose", "version"]).output().unwrap().status.success();
        if named.is_some() || !plugin {
            let compose = named.unwrap_or_else(|| "docker-compose".to_owned());
            let shim = format!("#!/bin/sh\nif [ \"$1\" = compose ]; then shift; exec {compose} \"$@\"; fi\n");
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
        let registry = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry, of the Debian package of that name");
        let listening: SocketAddr = address.parse().unwrap();
        wait_until("the registry", || TcpStream::connect(listening).is_ok());
        let directory = RefCell::new(place.path().to_owned());
        let image = format!("{address}/hearth");
        Self { place, directory, port: free_port(), registry, image, ran: RefCell::default() }
    }

    /// The name of this test's installation.
    pub(crate) fn name(&self) -> String {
        format!("hearth-docs-{}", self.port)
    }

    /// Its volumes.
    fn volumes(&self) -> [String; 2] {
        ["data", "backups"].map(|volume| format!("{}-{volume}", self.name()))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Makes an image known to the registry under this tag.
    pub(crate) fn push(&self, image: &str, tag: &str) {
        let name = format!("{}:{tag}", self.image);
        docker(&["tag", image, &name]);
        docker(&["push", &name]);
        // What is here already would be found without the registry.
        docker(&["rmi", &name]);
    }

    /// Runs commands on a terminal, typing this into it; returns what they printed.
    pub(crate) fn type_in(&self, script: &str, answer: &str) -> String {
        let (file, after) = (self.place.path().join("block.sh"), self.place.path().join("directory"));
        let directory = self.directory.borrow().clone();
        fs::write(&file, format!("cd '{}'\n{script}\npwd > '{}'\n", directory.display(), after.display())).unwrap();
        let mut command = Command::new("script");
        command.args(["-qec", &format!("bash -euo pipefail {}", file.display()), "/dev/null"]);
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
        let script = self.here(&Document::read(Path::new(document)).block(name).text);
        self.ran.borrow_mut().insert((document.to_owned(), name.to_owned()));
        self.type_in(&script, answer)
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
            let _ = Command::new("sh").args(["-c", compose]).current_dir(&*directory).env("PATH", path).output();
        }
        // Of those that no service uses any more, `down` knows nothing.
        for volume in self.volumes() {
            let _ = Command::new("docker").args(["volume", "rm", "--force", &volume]).output();
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
