//! Does another instance write under this instance's name?
//!
//! Where others can write as well, at a destination or in a shared `backup.dir`, an instance leaves a token before it removes
//! anything, `<instance>/owner.json`, a new one each time. If it finds another token than the last it left, two instances have one
//! name: the disk was cloned, which [`identity`] cannot detect. The instance then takes another name and removes nothing. If it left the token itself
//! and has forgotten, since its disk was set back to an earlier day, it keeps the name, and removes nothing for a week, in
//! which the other would show itself. Where a clone cannot be told from a disk that was set back (same path, same machine), the
//! one that was there first disputes the name, and both take another.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{
    destination::{Destination, OWNER},
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

/// The longest document that is read.
const LIMIT: u64 = 64 << 10;
/// How many tokens that were overruled are remembered.
const REMEMBERED: usize = 16;

/// `owner.json`: who last wrote there under a name.
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
    /// Whether one that was overruled is still there: then nobody goes by this name until a person decides.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    disputed: bool,
}

/// Whose a name is.
#[derive(Debug, PartialEq, Eq)]
enum Whose {
    Ours,
    /// Ours, though we do not remember having written there last.
    OursSetBack,
    Anothers,
}

/// A place that this instance may write to.
pub(super) struct Taken<'a> {
    /// Under which name.
    pub(super) own: Identity,
    /// That it had another until now, as the rest of a sentence about the place.
    pub(super) gave_way: Option<String>,
    /// `None`: nobody else can write there.
    place: Option<&'a Destination>,
    lease: Lease,
}

/// Decides. Pure.
fn whose(there: Option<&Owner>, lease: Option<&Lease>, home: &str, chosen: bool) -> Whose {
    let Some(there) = there else { return Whose::Ours };
    let left = |token: &String| lease.is_some_and(|lease| lease.left(token));
    let is_disputed = there.disputed && lease.is_some();
    if left(&there.token) && !is_disputed {
        Whose::Ours
    } else if lease.is_none() && chosen || there.home == home && !is_disputed && !there.overruled.iter().any(left) {
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

/// Returns what this instance remembers of a place: by the place's name, or by the token that lies there, since the place may have
/// had another path.
fn remembered<'a>(own: &'a Identity, place: &Destination, there: Option<&Owner>) -> Option<&'a Lease> {
    let left_it = |lease: &&Lease| there.is_some_and(|there| lease.left(&there.token));
    own.leases.get(place.name()).or_else(|| own.leases.values().find(left_it))
}

/// Whether what lies there under this instance's name is its own to remove, as far as that is known without asking for it.
pub(super) fn is_held(place: &Destination, own: &Identity) -> bool {
    look(place, &own.instance).is_ok_and(|there| {
        let lease = remembered(own, place, there.as_ref());
        let waits = lease.is_some_and(|lease| lease.waits(SystemTime::now()));
        !waits && whose(there.as_ref(), lease, "", false) == Whose::Ours
    })
}

/// Leaves a new token where others can write (`place`). If somebody else writes there under this instance's name, it goes by
/// another one from now on.
pub(super) fn take<'a>(
    data: &DataDir,
    place: Option<&'a Destination>,
    mut own: Identity,
) -> Result<Taken<'a>, Failure> {
    let Some(at) = place else { return Ok(Taken { own, gave_way: None, place, lease: Lease::default() }) };
    let mut there = look(at, &own.instance)?;
    let known = remembered(&own, at, there.as_ref()).cloned();
    let mut lease = known.clone().unwrap_or_default();
    let mut gave_way = None;
    let whose = whose(there.as_ref(), known.as_ref(), &own.home.hash(), own.chosen);
    let held = (whose == Whose::Ours).then(|| there.as_ref().map(|there| there.token.clone()).unwrap_or_default());
    match (whose, &there) {
        (Whose::Anothers, Some(other)) => {
            let old = own.instance.clone();
            own = give_way(data, at, own, other)?;
            let new = &own.instance;
            gave_way = Some(format!(
                "another instance goes by the same name there, {old}; this one is called {new} from now on"
            ));
            (there, lease) = (None, Lease::default());
        }
        (Whose::OursSetBack, _) => lease.set_back_at = Some(now()),
        _ => {}
    }
    let token = identity::random()?;
    let mut overruled = there.as_ref().map(|there| there.overruled.clone()).unwrap_or_default();
    if let Some(there) = there
        && there.token != lease.token
    {
        overruled.push(there.token);
        overruled.drain(..overruled.len().saturating_sub(REMEMBERED));
    }
    // Remembered before it is left there: killed between the two, it is known to be ours.
    lease.next = Some(token.clone());
    own.leases.retain(|_, other| Some(&*other) != known.as_ref());
    let (home, written_at) = (own.home.hash(), now());
    let owner = Owner { format: FORMAT, token: token.clone(), home, written_at, overruled, disputed: false };
    let owner = state::to_bytes(&owner)?;
    let left = remember(data, at, own.clone(), &lease)
        .and_then(|own| at.leave_note(&own.instance, OWNER, &owner).map(|()| own));
    let own = match (left, held) {
        // What is to be removed makes room, and nobody else was there.
        (Err(failure), Some(token)) if failure.cause == Cause::NoSpace => {
            return Ok(Taken { own, gave_way, place, lease: Lease { token, next: None, ..lease } });
        }
        (left, _) => left?,
    };
    lease = Lease { token, next: None, ..lease };
    let own = remember(data, at, own, &lease)?;
    Ok(Taken { own, gave_way, place, lease })
}

fn remember(data: &DataDir, place: &Destination, mut own: Identity, lease: &Lease) -> Result<Identity, Failure> {
    own.leases.insert(place.name().to_owned(), lease.clone());
    identity::write(data, own)
}

/// Leaves the name to the other, or to nobody where the other would not know that there are two.
fn give_way(data: &DataDir, place: &Destination, own: Identity, there: &Owner) -> Result<Identity, Failure> {
    let home = own.home.hash();
    if there.home == home && !there.disputed {
        place.leave_note(&own.instance, OWNER, &state::to_bytes(&Owner { disputed: true, ..there.clone() })?)?;
    }
    let why = format!("another one wrote its backups to {} under it at {}", place.name(), there.written_at);
    // Not what the other would choose.
    let last = remembered(&own, place, Some(there)).map_or("", |lease| &lease.token);
    let next = identity::short_hash(&[&own.instance, last, &there.token, &home]);
    identity::rename(data, own, &next, why)
}

impl Taken<'_> {
    /// Whether backups may be removed there now.
    ///
    /// # Errors
    /// When somebody else came by meanwhile; what went wrong.
    pub(super) fn may_remove(&self) -> Result<bool, Failure> {
        let Some(place) = self.place else { return Ok(true) };
        let instance = &self.own.instance;
        let is_held = match look(place, instance)? {
            Some(there) => there.token == self.lease.token && !there.disputed,
            // Nobody was there, and there was no room to leave a token.
            None => self.lease.token.is_empty(),
        };
        if !is_held {
            let place = place.name();
            let message = format!(
                "cannot prune the backups at {place}: another instance writes there under the same name, {instance}"
            );
            return Err(Failure::new(Cause::Busy, message)
                .hint("nothing was removed; the next backup finds out who goes by which name"));
        }
        Ok(!self.lease.waits(SystemTime::now()))
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
            disputed: false,
        };
        let lease = |token: &str| Lease { token: token.into(), next: Some("next".into()), set_back_at: None };
        let decide = |there: Owner, lease: Option<Lease>| whose(Some(&there), lease.as_ref(), "here", false);
        assert_eq!(whose(None, None, "here", false), Whose::Ours, "nobody was there");
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
        let disputed = Owner { disputed: true, ..owner("1", "here", &[]) };
        assert_eq!(decide(disputed.clone(), Some(lease("1"))), Whose::Anothers, "the one we overruled is still there");
        for there in [disputed, owner("2", "elsewhere", &[])] {
            assert_eq!(whose(Some(&there), None, "here", true), Whose::OursSetBack, "a person gave us the name");
        }
    }
}
