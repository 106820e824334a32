//! Which files does each of Hearth's programs need?
//!
//! All that is granted adds up, and nothing can be taken back out of it: so no directory is granted that the data or the
//! backups lie in, and of a program its file rather than the directory that it lies in.

use std::{
    env,
    fs::{DirBuilder, File},
    io::{BufRead, BufReader, Read},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};

use super::{Rules, Sockets};
use crate::data::DataDir;

/// Where shared libraries lie.
const LIBRARIES: &[&str] =
    &["/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/nix/store"];
/// What tells the time zone, finds names in the network, and knows whom TLS trusts.
const SYSTEM: &[&str] = &[
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/timezone",
    "/usr/share/zoneinfo",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ssl",
    // Where links in there lead on some systems; one that leads elsewhere is followed when its rule is made.
    "/etc/ssl/certs",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/var/lib/ca-certificates",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/share/pki",
    "/dev/random",
    "/dev/urandom",
    // Whether the kernel would rather swap than fail: the C library asks before it makes threads.
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
];
/// How long the first line of a script may be (`BINPRM_BUF_SIZE`).
const FIRST_LINE: u64 = 256;

/// A program of ours that is confined from its first instruction on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The app: it may write the generation with its database, the attachments, uploads, its cache, and temporary files.
    App {
        /// Its database.
        database: PathBuf,
        /// What it may do with attachments.
        keeps: Keeps,
        /// Whether its notifications go to an abstract socket, because the path of the other is too long for one.
        abstract_notify: bool,
        /// Whether it asks tailscaled, over its unix socket, who somebody is (`auth.tailscale = "localapi"`).
        asks_tailscaled: bool,
    },
    /// The migrator: it may write the generation with its database, and temporary files.
    Migrator {
        /// Its database.
        database: PathBuf,
    },
}

/// What the app may do with attachments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keeps {
    /// Only read them; it has neither uploads nor a cache.
    Nothing,
    /// Add some, and remove none: a newer version may need them.
    More,
    /// Add and remove them.
    All,
}

/// Where what is to be kept from them lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Private {
    /// The data directory.
    pub data: DataDir,
    /// `backup.dir`.
    pub backups: PathBuf,
}

impl Role {
    /// Returns the rules of the program that this command starts, in the environment of this process, with this directory for
    /// its temporary files; `opened` is the program, if it is started by a descriptor. Looks at files, but never at `backup.dir`, whose file server may be gone.
    pub fn rules(
        &self,
        private: &Private,
        command: &[String],
        opened: Option<PathBuf>,
        temporary: Option<PathBuf>,
    ) -> Rules {
        let mut rules = program(private, command, opened);
        rules.writes.extend(temporary);
        match self {
            Self::App { database, keeps, abstract_notify, asks_tailscaled } => {
                rules.abstract_sockets = *abstract_notify;
                rules.writes.extend(database.parent().map(Path::to_owned));
                match keeps {
                    Keeps::All => rules.writes.extend(private.data.kept_by_the_app()),
                    Keeps::More => {
                        let [files, uploads, cache] = private.data.kept_by_the_app();
                        rules.adds.push(files);
                        rules.writes.extend([uploads, cache]);
                    }
                    Keeps::Nothing => rules.reads.push(private.data.files()),
                }
                rules.sockets = if *asks_tailscaled { Sockets::NetworkAndUnix } else { Sockets::Network };
            }
            Self::Migrator { database } => rules.writes.extend(database.parent().map(Path::to_owned)),
        }
        rules
    }
}

/// Returns what tells the time zone, finds names in the network, and knows whom TLS trusts.
pub fn system() -> Vec<PathBuf> {
    let mut reads: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
    // The file may be replaced meanwhile, by a resolver that writes it anew: where a link leads, the directory is granted.
    let resolver = Path::new("/etc/resolv.conf");
    if resolver.is_symlink() {
        let real = resolver.canonicalize().ok();
        // Resolvers keep theirs below /run; a link to elsewhere is the operator's, and covers the file alone.
        let directory = real.as_deref().and_then(Path::parent).filter(|parent| parent.starts_with("/run"));
        reads.extend(directory.map(Path::to_owned));
    }
    reads.extend(["SSL_CERT_FILE", "SSL_CERT_DIR", "TZDIR"].into_iter().filter_map(env::var_os).map(PathBuf::from));
    reads
}

/// Returns the directory for the temporary files of this household's programs, and makes it: one of its own, since data and
/// backups may lie in `/tmp`, and other programs' files of the same uid. `None`: something else is in its place.
pub fn temporary(data: &DataDir) -> Option<PathBuf> {
    let path = temporary_path(data)?;
    // It is there from the last time, or another user was faster.
    let _ = DirBuilder::new().mode(0o700).create(&path);
    let made = std::fs::symlink_metadata(&path).ok()?;
    (made.is_dir() && made.uid() == geteuid().as_raw() && made.mode() & 0o077 == 0).then_some(path)
}

/// Removes that directory when nothing runs any more, if nothing is left in it.
pub fn forget_temporary(data: &DataDir) {
    if let Some(path) = temporary_path(data) {
        let _ = std::fs::remove_dir(path);
    }
}

fn temporary_path(data: &DataDir) -> Option<PathBuf> {
    let place = std::fs::metadata(data.path()).ok()?;
    Some(env::temp_dir().join(format!("hearth-{:x}-{:x}", place.dev(), place.ino())))
}

/// Returns what every program needs to run at all.
fn program(private: &Private, command: &[String], opened: Option<PathBuf>) -> Rules {
    let data = private.data.path();
    let data = data.canonicalize().unwrap_or_else(|_| data.to_owned());
    let harmless = |path: &PathBuf| {
        let path = path.canonicalize().unwrap_or_else(|_| path.clone());
        !data.starts_with(&path) && !private.backups.starts_with(&path)
    };
    let mut runs: Vec<PathBuf> = LIBRARIES.iter().map(PathBuf::from).collect();
    runs.extend(env::var_os("LD_LIBRARY_PATH").iter().flat_map(env::split_paths).filter(|path| path.is_absolute()));
    let program = opened.unwrap_or_else(|| {
        let program = command.first().map(|program| find(program)).unwrap_or_default();
        runs.extend(interpreter(&program));
        program
    });
    // A file in memory has no place that a rule could name, and Landlock denies none: it was open before.
    let is_in_memory =
        std::fs::read_link(&program).is_ok_and(|place| place.as_os_str().as_encoded_bytes().starts_with(b"/memfd:"));
    runs.extend((!is_in_memory).then_some(program));
    // A program that starts another one, which it is told: `/bin/sh /srv/start`, `/usr/bin/env python3 /srv/app.py`.
    runs.extend(command.iter().skip(1).map(PathBuf::from).filter(|word| word.is_absolute() && word.is_file()));
    let [reads, runs] = [system(), runs].map(|paths| paths.into_iter().filter(&harmless).collect());
    Rules { reads, runs, writes: vec!["/dev/null".into()], ..Rules::default() }
}

/// Returns where the program is: a name without a slash is looked for in `PATH`, as in a shell.
pub fn find(program: &str) -> PathBuf {
    let search = env::var_os("PATH").filter(|_| !program.contains('/'));
    let found = search.and_then(|search| {
        env::split_paths(&search).map(|directory| directory.join(program)).find(|path| path.is_file())
    });
    found.unwrap_or_else(|| program.into())
}

/// Returns the interpreter that a script names in its first line, and the program that env(1) would look for there.
fn interpreter(program: &Path) -> Vec<PathBuf> {
    let line = || -> Option<String> {
        let mut line = Vec::new();
        BufReader::new(File::open(program).ok()?).take(FIRST_LINE).read_until(b'\n', &mut line).ok()?;
        String::from_utf8(line.strip_prefix(b"#!")?.to_vec()).ok()
    };
    let line = line().unwrap_or_default();
    let mut words = line.split_ascii_whitespace();
    let Some(interpreter) = words.next() else { return Vec::new() };
    let looked_for = words.find(|word| interpreter.ends_with("/env") && !word.starts_with('-') && !word.contains('='));
    [interpreter].into_iter().chain(looked_for).map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_granted_that_the_data_or_the_backups_lie_in() {
        let root = tempfile::tempdir().unwrap();
        let data = DataDir::new(root.path().join("data"));
        std::fs::create_dir(data.path()).unwrap();
        let database = data.path().join("generations/0001/app.db");
        let app = |data: &DataDir, backups: PathBuf, keeps| {
            let role = Role::App { database: database.clone(), keeps, abstract_notify: false, asks_tailscaled: false };
            role.rules(&Private { data: data.clone(), backups }, &["/bin/sh".into()], None, temporary(data))
        };
        let rules = app(&data, data.backups(), Keeps::All);
        let own = temporary(&data).unwrap();
        assert!(rules.writes.contains(&own) && rules.writes.contains(&database.parent().unwrap().to_owned()));
        for granted in rules.writes.iter().chain(&rules.reads).chain(&rules.runs) {
            assert!(!data.path().starts_with(granted), "the data lies in {}", granted.display());
        }
        // Another one's, or a link: not granted.
        std::fs::remove_dir(&own).unwrap();
        std::os::unix::fs::symlink("/", &own).unwrap();
        assert_eq!(temporary(&data), None);
        std::fs::remove_file(&own).unwrap();
        let rules = app(&data, "/usr/lib/backups".into(), Keeps::Nothing);
        assert!(!rules.runs.contains(&"/usr/lib".into()), "the backups lie in it: {:?}", rules.runs);
        assert!(rules.reads.contains(&data.files()));
        for kept in data.kept_by_the_app() {
            assert!(!rules.writes.contains(&kept), "{}", kept.display());
            assert!(app(&data, data.backups(), Keeps::All).writes.contains(&kept), "{}", kept.display());
        }
        std::fs::remove_dir(&own).unwrap();
    }

    #[test]
    fn a_script_may_run_its_interpreter() {
        let root = tempfile::tempdir().unwrap();
        let script = root.path().join("app");
        let of = |content: &[u8]| {
            std::fs::write(&script, content).unwrap();
            interpreter(&script)
        };
        assert_eq!(of(b"#! /bin/sh -e\nexit"), [PathBuf::from("/bin/sh")]);
        assert_eq!(of(b"#!/usr/bin/env -S sh -e\nexit"), [PathBuf::from("/usr/bin/env"), find("sh")]);
        assert!(find("sh").is_absolute());
        assert!(of(&[0xff; 1000]).is_empty());
        assert!(of(b"#!").is_empty());
    }
}
