//! Images of this workspace's programs, each with an app of its own: what follows a program's last byte changes its hash and nothing
//! else, and a build for tests reads from there how it is to fail.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use crate::harness::{Hearth, PROGRAMS, Running, copy_programs, program, tail};

/// The programs without what debuggers read, which is most of them.
static STRIPPED: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let place = tempfile::tempdir().expect("a temporary directory");
    for name in PROGRAMS {
        let stripped = Command::new("strip").arg("-o").arg(place.path().join(name)).arg(program(name)).status();
        if !stripped.is_ok_and(|status| status.success()) {
            fs::copy(program(name), place.path().join(name)).expect("a program can be copied");
        }
    }
    place
});

/// What is wrong with an image.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// Nothing: it is another build of the same.
    None,
    /// The app behaves like this, in the words of `HEARTH_FAULT`.
    App(&'static str),
    /// The migrator does.
    Migrator(&'static str),
    /// The app is no program.
    NoProgram,
}

/// A data directory, and the images that are started on it.
pub(crate) struct Household {
    pub(crate) hearth: Hearth,
    count: usize,
}

impl Household {
    /// One that falls back, with quick checks.
    pub(crate) fn new() -> Self {
        let mut hearth = Hearth::new();
        hearth.set("HEARTH_UPGRADE__FALLBACK", "on");
        // A new release that older apps may serve, unless a test says otherwise.
        hearth.set("TEST_FLOOR", "0.1.0");
        Self { hearth, count: 0 }
    }

    /// The same once more, for what is going to be destroyed.
    pub(crate) fn copy(&self) -> Self {
        Self { hearth: self.hearth.copy(), count: self.count }
    }

    /// From here on an image of its own is started, with this fault.
    pub(crate) fn pull(&mut self, fault: Fault) -> &mut Hearth {
        self.count += 1;
        let place = self.hearth.root.path().join(format!("image-{}", self.count));
        let build = format!("build {}", self.count);
        copy_programs(STRIPPED.path(), &place, |name| match (name, fault) {
            ("app", Fault::App(words)) | ("migrator", Fault::Migrator(words)) => tail(&build, words),
            ("app", _) => tail(&build, ""),
            _ => String::new(),
        });
        if let Fault::NoProgram = fault {
            fs::write(place.join("app"), "this is no program").expect("a file");
        }
        self.hearth.run_programs(place);
        &mut self.hearth
    }

    /// Has a first image serve some records until its app is kept, and stops it; returns those records.
    pub(crate) fn settle(&mut self) -> std::collections::BTreeMap<i64, serde_json::Value> {
        self.settle_with(Fault::None)
    }

    /// The same with this fault in the image.
    pub(crate) fn settle_with(&mut self, fault: Fault) -> std::collections::BTreeMap<i64, serde_json::Value> {
        self.pull(fault);
        let mut running = self.hearth.start();
        let address = running.wait_serving();
        crate::harness::household::fill(address, 20);
        let record = crate::harness::household::add(address, &crate::harness::household::record(20));
        let attached = crate::harness::attach(address, &record["id"], "boiler.txt", b"the boiler's manual");
        assert_eq!(attached.status, 201, "{}", attached.body);
        let records = crate::harness::household::all(address);
        self.wait_kept(&running);
        assert!(running.stop().success());
        records
    }

    /// Waits until what serves is written down.
    pub(crate) fn wait_kept(&self, running: &Running) {
        let path = self.hearth.data.join("supervisor/programs.json");
        running.wait("the app to be kept", || read(&path).filter(|programs| !programs["good"].is_null()));
    }

    /// Returns what is kept.
    pub(crate) fn programs(&self) -> serde_json::Value {
        read(&self.hearth.data.join("supervisor/programs.json")).expect("programs.json")
    }

    /// Returns the names that programs.json has for files.
    pub(crate) fn named(&self) -> BTreeSet<String> {
        let programs = read(&self.hearth.data.join("supervisor/programs.json")).unwrap_or_default();
        ["good", "trial"].iter().filter_map(|slot| programs[slot]["blake3"].as_str().map(str::to_owned)).collect()
    }

    /// Returns the files that are there.
    pub(crate) fn files_of_programs(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.hearth.data.join("programs")).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Returns the file of the last good app.
    pub(crate) fn good(&self) -> PathBuf {
        self.hearth.data.join("programs").join(self.programs()["good"]["blake3"].as_str().expect("a hash"))
    }

    /// Returns the images that were tried and failed.
    pub(crate) fn tries(&self) -> Vec<serde_json::Value> {
        let tries = read(&self.hearth.data.join("supervisor/tries.json"));
        tries.and_then(|tries| tries["tries"].as_array().cloned()).unwrap_or_default()
    }
}

fn read(path: &Path) -> Option<serde_json::Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}
