//! Which name do this instance's backups have, and is this data directory still the one that the name was given to?
//!
//! The name, `supervisor/instance`, tells the backups of several instances apart where they share a directory or a destination:
//! each removes only what lies under its own name. A copy of a data directory has the same name, and each of the two would remove
//! the other's backups. So `supervisor/instance.json` says where the file with the name was when it was given, and
//! a file that was written anew elsewhere is a copy's, which gets a name of its own before anything is done in the old one's.
//!
//! A data directory that was only renamed, or whose volume another container or machine uses now, still has the very same file
//! (inode and time of birth). One that was put back in its place on the same machine, or moved there from a place
//! where it is no longer, keeps its name, too. What cannot be told apart from a copy counts as one: then nothing is lost, but
//! what lies under the old name is not pruned any more, and `status` says how to go back to it.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::{
    data::{
        DataDir, access,
        backup::is_instance,
        durable::{self, Explain, Unfinished},
        state::{self, FORMAT},
    },
    failure::{Cause, Failure},
    status::now,
};

/// What tells this machine from others.
pub(super) const MACHINE: &str = "/etc/machine-id";

/// How long a change of the name is told, and how long nothing is removed where another instance may go by the same name.
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// `supervisor/instance.json`: where the name was given, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// [`FORMAT`].
    pub format: u32,
    /// The name, as it stands in `supervisor/instance`.
    pub instance: String,
    /// Where its file was last seen.
    pub home: Home,
    /// The names that this data directory went by before, the last one last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<Former>,
    /// Whether a person gave it the name: then it is believed where nothing else is known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub chosen: bool,
    /// What was last written down at each destination, and in a shared `backup.dir`, by its name: see `lease.rs`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub leases: BTreeMap<String, Lease>,
}

/// What tells a file from its copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    /// The data directory.
    pub path: PathBuf,
    /// The number of the file.
    pub inode: u64,
    /// When the file was made; `None` where the file system does not tell. Such ones may number their files anew at each mount.
    pub born: Option<String>,
    /// A hash of the machine's own identity, which a container has none of.
    pub machine: Option<String>,
}

/// A name that is no longer used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Former {
    /// The name.
    pub instance: String,
    /// Until when it was used.
    pub until: String,
    /// Why it no longer is, as the rest of a sentence.
    pub why: String,
}

/// What was last written down at such a place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// What was written.
    pub token: String,
    /// What was about to be written in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// When something was found there that this instance did not know it had written, as after its disk was set back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_back_at: Option<String>,
}

impl Lease {
    /// Whether this is a token that was left there, or was about to be.
    #[must_use]
    pub fn left(&self, token: &String) -> bool {
        self.token == *token || self.next.as_ref() == Some(token)
    }

    /// Whether nothing may be removed there yet.
    pub fn waits(&self, now: SystemTime) -> bool {
        self.waits_until().is_some_and(|until| until >= now)
    }

    fn waits_until(&self) -> Option<SystemTime> {
        humantime::parse_rfc3339(self.set_back_at.as_ref()?).ok()?.checked_add(WEEK)
    }
}

impl Home {
    fn of(data: &DataDir) -> Result<Self, Failure> {
        let path = data.instance();
        let stat = fs::symlink_metadata(&path).explain(|| format!("cannot look at {}", path.display()))?;
        let born = stat.created().ok().map(|born| humantime::format_rfc3339_nanos(born).to_string());
        Ok(Self { path: data.path().to_owned(), inode: stat.ino(), born, machine: machine() })
    }

    /// Whether the file that is there now is that one, or has come in its place.
    fn is_still(&self, here: &Self, name: &str) -> bool {
        let is_same_file = self.inode == here.inode && self.born == here.born;
        let is_same_machine = self.machine.is_some() && self.machine == here.machine;
        is_same_file
            || self.born.is_none()
            || here.born.is_none()
            || is_same_machine && (self.path == here.path || !goes_by(&self.path, name))
    }

    /// Returns what stands for it where others can read it.
    pub fn hash(&self) -> String {
        short_hash(&[
            &self.path.to_string_lossy(),
            &self.inode.to_string(),
            &format!("{:?}{:?}", self.born, self.machine),
        ])
    }
}

/// Whether a data directory at this path goes by this name; one that cannot be looked at may.
fn goes_by(path: &Path, name: &str) -> bool {
    match read_name(&DataDir::new(path.to_owned()).instance()) {
        Ok(found) => found.as_deref() == Some(name),
        Err(_) => true,
    }
}

fn machine() -> Option<String> {
    // An image brings one along that many containers share.
    if access::in_container() {
        return None;
    }
    let id = durable::read_small(Path::new(MACHINE), 256).ok()?;
    let id = String::from_utf8(id).ok().filter(|id| id.trim().len() >= 32)?;
    Some(short_hash(&["hearth", id.trim()]))
}

/// Returns 16 hexadecimal digits that stand for these texts.
pub fn short_hash(parts: &[&str]) -> String {
    blake3::hash(parts.join("\0").as_bytes()).to_hex()[..16].to_owned()
}

/// Returns 16 random hexadecimal digits.
pub fn random() -> Result<String, Failure> {
    let mut random = [0; 8];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .explain(|| "cannot read /dev/urandom")?;
    Ok(format!("{:016x}", u64::from_be_bytes(random)))
}

/// Returns this instance's name, `h-` and 16 hexadecimal digits, and what else is known of it: gives it one the first time, and
/// another one to a copy.
///
/// # Errors
/// What the file system said; a name that is none.
pub fn identity(data: &DataDir) -> Result<Identity, Failure> {
    // Two commands may find out at once that this is a copy. In a confined job, which may not lock, another has looked before.
    let _alone =
        fs::File::open(data.supervisor()).ok().and_then(|place| Flock::lock(place, FlockArg::LockExclusive).ok());
    let (name, known, identity) = found(data)?;
    if identity.instance != name {
        give_name(data, identity)
    } else if known.as_ref() == Some(&identity) {
        Ok(identity)
    } else {
        write(data, identity)
    }
}

/// As [`identity`], without writing down what it is: beside jobs that do.
///
/// # Errors
/// As [`identity`].
pub fn look(data: &DataDir) -> Result<Identity, Failure> {
    found(data).map(|(_, _, identity)| identity)
}

/// Returns the name that is written down, what is known, and what that comes to.
fn found(data: &DataDir) -> Result<(String, Option<Identity>, Identity), Failure> {
    let name = named(data)?;
    let home = Home::of(data)?;
    let known = match state::read::<Identity>(&data.identity()) {
        Ok(known) => known,
        Err(failure) if failure.cause == Cause::UnknownFormat => return Err(failure),
        // Half a document cannot be; somebody's edit counts as none.
        Err(_) => None,
    };
    let identity = match known.clone() {
        None => Identity { instance: name.clone(), ..Identity::of(home) },
        // A person gave it another name, or one back that it had.
        Some(known) if known.instance != name => {
            let former = known.former.into_iter().filter(|former| former.instance != name).collect();
            Identity { instance: name.clone(), former, chosen: true, ..Identity::of(home) }
        }
        Some(known) if known.home.is_still(&home, &name) => Identity { home, ..known },
        Some(known) => {
            let why = format!("this data directory was copied or moved from {}", known.home.path.display());
            // The same, whoever finds it out first.
            let next = short_hash(&[&name, &home.hash()]);
            renamed(known, &next, why)
        }
    };
    Ok((name, known, identity))
}

fn renamed(known: Identity, next: &str, why: String) -> Identity {
    let mut former = known.former;
    former.push(Former { instance: known.instance, until: now(), why });
    Identity { instance: format!("h-{next}"), former, ..Identity::of(known.home) }
}

/// Goes on under another name, and leaves what lies under the present one alone.
pub fn rename(data: &DataDir, known: Identity, next: &str, why: String) -> Result<Identity, Failure> {
    give_name(data, renamed(known, next, why))
}

fn give_name(data: &DataDir, identity: Identity) -> Result<Identity, Failure> {
    durable::write(&data.instance(), format!("{}\n", identity.instance).as_bytes())?;
    // It is another file now.
    write(data, Identity { home: Home::of(data)?, ..identity })
}

/// Writes down what is known.
pub fn write(data: &DataDir, identity: Identity) -> Result<Identity, Failure> {
    durable::write(&data.identity(), &state::to_bytes(&identity)?)?;
    Ok(identity)
}

impl Identity {
    fn of(home: Home) -> Self {
        let (format, instance) = (FORMAT, String::new());
        Self { format, instance, home, former: Vec::new(), chosen: false, leases: BTreeMap::new() }
    }

    /// Whether it went by this name before.
    pub fn went_by(&self, name: &str) -> bool {
        self.former.iter().any(|former| former.instance == name)
    }

    /// Says for a while that the name was changed, or that another may go by it, and what to do.
    pub fn told(&self, data: &DataDir, now: SystemTime) -> Vec<String> {
        let (file, name) = (data.instance(), &self.instance);
        let file = file.display();
        let lately = |until: &String| humantime::parse_rfc3339(until).is_ok_and(|at| at <= now && now < at + WEEK);
        let renamed = self.former.last().filter(|former| lately(&former.until)).map(|Former { instance: old, why, .. }| {
            format!(
                "the name of this instance: {why}, so its backups go by the name {name} from now on, and those under {old} are left alone. \
                 If nobody else goes by that name any more, take it back: write {old} into {file}"
            )
        });
        let waits = self.leases.iter().filter_map(|(place, lease)| {
            let until = humantime::format_rfc3339_seconds(lease.waits_until().filter(|until| *until >= now)?);
            Some(format!(
                "the backups at {place}: more was written there under the name {name} than this instance remembers, as after its disk was \
                 set back to an earlier day or cloned; nothing is removed there until {until}. If this is a clone, give it a name of its own: \
                 remove {file}"
            ))
        });
        renamed.into_iter().chain(waits).collect()
    }
}

fn named(data: &DataDir) -> Result<String, Failure> {
    if let Some(name) = known_instance(data)? {
        return Ok(name);
    }
    let name = format!("h-{}", random()?);
    // A first backup and the start of Hearth come at once: the first name counts, since a backup may have it already. Each
    // is written under a hidden name of its own.
    let path = data.instance();
    let own = path.with_file_name(format!("instance-{name}"));
    Unfinished::write(&own, format!("{name}\n").as_bytes())?.put_if_missing(&path)?;
    durable::sync_parent(&path)?;
    Ok(known_instance(data)?.unwrap_or(name))
}

/// Returns this instance's name as it is written down, if it has one yet.
pub fn known_instance(data: &DataDir) -> Result<Option<String>, Failure> {
    read_name(&data.instance())
}

fn read_name(path: &Path) -> Result<Option<String>, Failure> {
    match durable::read_small(path, 256) {
        Ok(bytes) => {
            let name = String::from_utf8_lossy(&bytes).trim().to_owned();
            if is_instance(&name) {
                return Ok(Some(name));
            }
            Err(Failure::new(Cause::Configuration, format!("{} is no name of an instance", path.display()))
                .hint("lower-case letters, digits and hyphens, 64 at most; without the file a new name is made, and backups at destinations are kept under the old one"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::io(format!("cannot read {}", path.display()), &error)),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, process::Command, sync::Barrier, thread};

    use super::*;

    fn instance(data: &DataDir) -> Result<String, Failure> {
        identity(data).map(|identity| identity.instance)
    }

    fn house() -> (tempfile::TempDir, DataDir) {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::new(directory.path().join("data"));
        fs::create_dir_all(data.supervisor()).unwrap();
        (directory, data)
    }

    /// Copies a data directory as an operator does; `None` where its copy could not be told from it.
    fn copied(data: &DataDir, to: &Path) -> Option<DataDir> {
        let done = Command::new("cp").arg("-a").arg(data.path()).arg(to).status().unwrap();
        assert!(done.success());
        Home::of(data).unwrap().born.is_some().then(|| DataDir::new(to.to_owned()))
    }

    #[test]
    fn several_that_name_an_instance_at_once_agree() {
        for _ in 0..50 {
            let (_directory, data) = house();
            let begin = Barrier::new(8);
            let names: BTreeSet<_> = thread::scope(|scope| {
                let name = || {
                    begin.wait();
                    named(&data).unwrap()
                };
                let all: Vec<_> = (0..8).map(|_| scope.spawn(name)).collect();
                all.into_iter().map(|one| one.join().unwrap()).collect()
            });
            assert_eq!(names.len(), 1, "{names:?}");
            assert_eq!(known_instance(&data).unwrap(), names.first().cloned());
            assert_eq!(fs::read_dir(data.supervisor()).unwrap().count(), 1, "nothing is left beside it");
        }
    }

    #[test]
    fn a_copy_gets_a_name_of_its_own_and_the_original_keeps_its() {
        let (directory, data) = house();
        let name = instance(&data).unwrap();
        let Some(copy) = copied(&data, &directory.path().join("copy")) else { return };
        let other = instance(&copy).unwrap();
        assert_ne!(other, name);
        assert_eq!(instance(&copy).unwrap(), other, "for good");
        assert_eq!(instance(&data).unwrap(), name);
        let told = identity(&copy).unwrap().told(&copy, SystemTime::now()).concat();
        assert!(told.contains(&name) && told.contains(&other) && told.contains("copied or moved from"), "{told}");
        assert_eq!(identity(&data).unwrap().told(&data, SystemTime::now()), [""; 0]);
        // And a copy of the copy a third.
        let third = copied(&copy, &directory.path().join("third")).unwrap();
        assert!(![name.clone(), other].contains(&instance(&third).unwrap()));
        // An operator who knows better has the last word.
        fs::write(copy.instance(), format!("{name}\n")).unwrap();
        assert_eq!(instance(&copy).unwrap(), name);
        assert_eq!(instance(&copy).unwrap(), name, "for good");
        assert_eq!(identity(&copy).unwrap().told(&copy, SystemTime::now()), [""; 0]);
    }

    #[test]
    fn a_look_writes_nothing_down() {
        let (directory, data) = house();
        let name = look(&data).unwrap().instance;
        assert_eq!(look(&data).unwrap().instance, name, "but for the name itself");
        assert!(!data.identity().exists());
        assert_eq!(instance(&data).unwrap(), name);
        let Some(copy) = copied(&data, &directory.path().join("copy")) else { return };
        let before = (fs::read(copy.instance()).unwrap(), fs::read(copy.identity()).unwrap());
        let other = look(&copy).unwrap().instance;
        assert_ne!(other, name, "it says what it will be called");
        assert_eq!((fs::read(copy.instance()).unwrap(), fs::read(copy.identity()).unwrap()), before);
        assert_eq!(instance(&copy).unwrap(), other);
    }

    #[test]
    fn what_was_only_moved_keeps_its_name() {
        let (directory, data) = house();
        let name = instance(&data).unwrap();
        let renamed = DataDir::new(directory.path().join("renamed"));
        fs::rename(data.path(), renamed.path()).unwrap();
        assert_eq!(instance(&renamed).unwrap(), name, "renamed");
        assert_eq!(identity(&renamed).unwrap().home.path, renamed.path());
        if machine().is_none() {
            return;
        }
        // To another disk, and back into its place from a copy of the files.
        let Some(moved) = copied(&renamed, &directory.path().join("moved")) else { return };
        fs::remove_dir_all(renamed.path()).unwrap();
        assert_eq!(instance(&moved).unwrap(), name, "moved to another disk");
        let _ = copied(&moved, &directory.path().join("saved"));
        fs::remove_dir_all(moved.path()).unwrap();
        fs::rename(directory.path().join("saved"), moved.path()).unwrap();
        assert_eq!(instance(&moved).unwrap(), name, "put back in its place");
    }

    #[test]
    fn the_same_volume_is_the_same_instance_whatever_the_machine_is_called() {
        let home = Home { path: "/app/data".into(), inode: 7, born: Some("a".into()), machine: None };
        let is_still = |here: &Home| home.is_still(here, "h-1");
        assert!(is_still(&Home { machine: Some("other".into()), path: "/elsewhere".into(), ..home.clone() }));
        assert!(is_still(&Home { inode: 8, born: None, ..home.clone() }), "nothing is known");
        assert!(!is_still(&Home { inode: 8, born: Some("b".into()), ..home.clone() }), "another volume");
    }
}
