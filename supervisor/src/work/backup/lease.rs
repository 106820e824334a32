//! Does another instance write under this instance's name at a destination?
//!
//! An instance that brings a destination up to date leaves a token there, `<instance>/owner.json`, a new one each time. If it finds
//! another token than the last it left, two instances have one name: the disk was copied as a whole, which [`identity`] cannot
//! detect. The instance then takes another name and removes nothing. If it left the token itself and has forgotten, since its disk
//! was set back to an earlier day, it keeps the name, and removes nothing for a week, in which the other would show itself.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{
    destination::Destination,
    identity::{self, Identity, Lease},
};
use crate::{
    data::{
        DataDir,
        state::{self, FORMAT},
    },
    failure::{Cause, Failure},
    status::now,
};

/// The document's name.
const OWNER: &str = "owner.json";
/// The longest one that is read.
const LIMIT: u64 = 64 << 10;
/// How long nothing is removed after it seemed that the disk was set back.
const WAIT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How many tokens that were overruled are remembered.
const REMEMBERED: usize = 16;

/// `owner.json`: who last brought a destination up to date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    format: u32,
    token: String,
    /// [`identity::Home::hash`] of the one who wrote it.
    home: String,
    written_at: String,
    /// Tokens that the writer found and had not left, the last one last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    overruled: Vec<String>,
}

/// Whose a name at a destination is.
#[derive(Debug, PartialEq, Eq)]
enum Whose {
    Ours,
    /// Ours, though we do not remember having written there last.
    OursSetBack,
    Anothers,
}

/// A destination that this instance may write to.
pub(super) struct Taken {
    /// By which name.
    pub(super) instance: String,
    token: String,
    lease: Lease,
}

/// Decides. Pure.
fn whose(there: Option<&Owner>, lease: Option<&Lease>, home: &str) -> Whose {
    let Some(there) = there else { return Whose::Ours };
    let left = |token: &String| lease.is_some_and(|lease| lease.token == *token || lease.next.as_ref() == Some(token));
    if left(&there.token) {
        Whose::Ours
    } else if there.home == home && !there.overruled.iter().any(left) {
        Whose::OursSetBack
    } else {
        Whose::Anothers
    }
}

fn look(place: &Destination, instance: &str) -> Result<Option<Owner>, Failure> {
    let Some(bytes) = place.note(instance, OWNER, LIMIT)? else { return Ok(None) };
    match state::understand::<Owner>(std::path::Path::new(OWNER), &bytes) {
        Err(failure) if failure.cause != Cause::UnknownFormat => Ok(None),
        owner => owner.map(Some),
    }
}

/// Whether what lies there under this instance's name is its own, as far as that is known without asking for it.
pub(super) fn is_held(place: &Destination, own: &Identity) -> bool {
    let lease = own.leases.get(place.name());
    look(place, &own.instance).is_ok_and(|there| whose(there.as_ref(), lease, "") == Whose::Ours)
}

/// Leaves a new token, if what lies there under this instance's name is its own.
///
/// # Errors
/// When somebody else writes there: then this instance goes by another name already. What went wrong.
pub(super) fn take(data: &DataDir, place: &Destination) -> Result<Taken, Failure> {
    let own = identity::identity(data)?;
    let there = look(place, &own.instance)?;
    let lease = own.leases.get(place.name());
    let home = own.home.hash();
    let mut lease = match (whose(there.as_ref(), lease, &home), &there) {
        (Whose::Anothers, Some(there)) => return Err(give_way(data, place, own, there)?),
        (Whose::OursSetBack, _) => Lease { set_back_at: Some(now()), ..lease.cloned().unwrap_or_default() },
        _ => lease.cloned().unwrap_or_default(),
    };
    let token = identity::random()?;
    let mut overruled = there.as_ref().map(|there| there.overruled.clone()).unwrap_or_default();
    if let Some(there) = &there
        && there.token != lease.token
    {
        overruled.push(there.token.clone());
        overruled.drain(..overruled.len().saturating_sub(REMEMBERED));
    }
    // Remembered before it is left there: killed between the two, it is known to be ours.
    lease.next = Some(token.clone());
    let own = remember(data, place, own, &lease)?;
    let owner = Owner { format: FORMAT, token: token.clone(), home, written_at: now(), overruled };
    place.leave_note(&own.instance, OWNER, &state::to_bytes(&owner)?)?;
    lease = Lease { token: token.clone(), next: None, ..lease };
    let own = remember(data, place, own, &lease)?;
    Ok(Taken { instance: own.instance, token, lease })
}

fn remember(data: &DataDir, place: &Destination, mut own: Identity, lease: &Lease) -> Result<Identity, Failure> {
    own.leases.insert(place.name().to_owned(), lease.clone());
    identity::write(data, own)
}

/// Leaves the name to the other, and says so.
fn give_way(data: &DataDir, place: &Destination, own: Identity, there: &Owner) -> Result<Failure, Failure> {
    let old = own.instance.clone();
    let why = format!("another one wrote its backups to {} under it at {}", place.name(), there.written_at);
    let next = identity::short_hash(&[&old, &there.token, &own.home.hash()]);
    let new = identity::rename(data, own, &next, why)?.instance;
    let message = format!(
        "cannot copy backups to {}: another instance goes by the same name there, {old}; this one is called {new} from now on",
        place.name()
    );
    Ok(Failure::new(Cause::Configuration, message).hint(
        "was the data directory or the whole machine copied? Nothing was removed there; the next backup is copied under the new name",
    ))
}

impl Taken {
    /// Whether backups may be removed there now.
    ///
    /// # Errors
    /// When somebody else came by meanwhile; what went wrong.
    pub(super) fn may_remove(&self, place: &Destination) -> Result<bool, Failure> {
        if look(place, &self.instance)?.is_none_or(|there| there.token != self.token) {
            let message = format!(
                "cannot prune the backups at {}: another instance writes there under the same name, {}",
                place.name(),
                self.instance
            );
            return Err(Failure::new(Cause::Busy, message)
                .hint("nothing was removed; the next backup finds out who goes by which name"));
        }
        let set_back = self.lease.set_back_at.as_ref().and_then(|at| humantime::parse_rfc3339(at).ok());
        Ok(set_back.is_none_or(|at| SystemTime::now().duration_since(at).is_ok_and(|ago| ago > WAIT)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_a_name_is_follows_from_what_was_left_there() {
        let owner = |token: &str, home: &str, overruled: &[&str]| Owner {
            format: FORMAT,
            token: token.into(),
            home: home.into(),
            written_at: "2026-11-24T03:30:00Z".into(),
            overruled: overruled.iter().map(|&token| token.into()).collect(),
        };
        let lease = |token: &str| Lease { token: token.into(), next: Some("next".into()), set_back_at: None };
        let decide = |there: Owner, lease: Option<Lease>| whose(Some(&there), lease.as_ref(), "here");
        assert_eq!(whose(None, None, "here"), Whose::Ours, "nobody was there");
        assert_eq!(decide(owner("1", "here", &[]), Some(lease("1"))), Whose::Ours);
        assert_eq!(decide(owner("1", "elsewhere", &[]), Some(lease("1"))), Whose::Ours, "moved since");
        assert_eq!(decide(owner("next", "here", &[]), Some(lease("1"))), Whose::Ours, "killed on the way");
        assert_eq!(decide(owner("2", "elsewhere", &[]), Some(lease("1"))), Whose::Anothers);
        assert_eq!(
            decide(owner("2", "elsewhere", &[]), None),
            Whose::Anothers,
            "copied from a time before there were tokens"
        );
        assert_eq!(decide(owner("2", "here", &[]), Some(lease("1"))), Whose::OursSetBack);
        assert_eq!(decide(owner("2", "here", &[]), None), Whose::OursSetBack);
        assert_eq!(decide(owner("3", "here", &["0", "1"]), Some(lease("1"))), Whose::Anothers, "a twin overruled us");
    }

    /// A machine that is copied as a whole, and both go on.
    #[test]
    fn of_two_that_cannot_be_told_apart_one_gives_way_and_neither_removes() {
        let directory = tempfile::tempdir().unwrap();
        let nas = tempfile::tempdir().unwrap();
        let credentials =
            super::super::destination::Credentials { access_key_id: String::new(), secret_access_key: String::new() };
        let place = Destination::open(nas.path().to_str().unwrap(), &credentials).unwrap();
        let data = DataDir::new(directory.path().join("data"));
        std::fs::create_dir_all(data.supervisor()).unwrap();
        let name = take(&data, &place).unwrap().instance;
        assert!(take(&data, &place).unwrap().may_remove(&place).unwrap());
        // The other one is this one as it was now, which is how the same file system can hold both.
        let twin = std::fs::read(data.identity()).unwrap();
        assert!(take(&data, &place).unwrap().may_remove(&place).unwrap());
        let first = std::fs::read(data.identity()).unwrap();
        std::fs::write(data.identity(), twin).unwrap();
        let set_back = take(&data, &place).unwrap();
        assert_eq!(set_back.instance, name, "it may have been set back");
        assert!(!set_back.may_remove(&place).unwrap(), "and removes nothing for a week");
        std::fs::write(data.identity(), first).unwrap();
        let Err(failure) = take(&data, &place) else { panic!("there are two") };
        assert!(
            failure.message.contains(&name) && failure.hint.unwrap().contains("Nothing was removed"),
            "{}",
            failure.message
        );
        let taken = take(&data, &place).unwrap();
        assert_ne!(taken.instance, name);
        assert!(set_back.may_remove(&place).is_ok(), "the other goes on as before");
    }
}
