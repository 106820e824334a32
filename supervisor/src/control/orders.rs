//! What can an operator order a running supervisor to do?

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::{
    data::{
        GenerationId,
        backup::{BackupId, Reason},
    },
    failure::Failure,
    jobs::backup::Archive,
};

/// An order, with the way to answer it.
pub enum Order {
    /// Start the app again.
    Restart(Reply),
    /// Try again what is held, in spite of these findings.
    Resume(Vec<String>, Reply),
    /// Ask the registry for a newer version.
    Update(Reply),
    /// Do this beside whatever the supervisor does.
    Begin(Operation, Reply),
}

/// An operation on the data: the body of `POST /v1/operations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Make a new generation from this and go over to it.
    Restore(From),
    /// Make a backup.
    Backup {
        /// Why.
        reason: Reason,
        /// What the person calls it.
        label: Option<String>,
        /// Boot from it as well.
        drill: bool,
    },
    /// Verify backups.
    Verify {
        /// Which ones.
        ids: Vec<BackupId>,
        /// Boot from each as well.
        drill: bool,
        /// What opens encrypted ones: the content of an age identity file.
        identities: Option<Identities>,
    },
    /// Remove these backups, here and at the destinations.
    Remove {
        /// Which ones.
        ids: Vec<BackupId>,
    },
    /// Try the upgrade on a copy, and go on with it where an earlier version serves in its place.
    Rehearse {
        /// The findings in spite of which it goes on.
        accept: Vec<String>,
    },
    /// Remove what the policy does not keep.
    Prune {
        /// Only say what would go.
        dry_run: bool,
    },
}

/// What a restore begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum From {
    /// A snapshot.
    Snapshot(GenerationId),
    /// A backup.
    Archive(Archive),
}

/// The content of an age identity file. A secret, so it is never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identities(pub String);

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl Operation {
    /// Names it for `status` and the log.
    pub fn what(&self) -> String {
        match self {
            Self::Restore(From::Snapshot(snapshot)) => format!("restore {snapshot}"),
            Self::Restore(From::Archive(archive)) => format!("restore {}", archive.place),
            Self::Backup { reason, .. } => format!("backup ({reason})"),
            Self::Verify { ids, .. } => match &ids[..] {
                [one] => format!("backup verify {one}"),
                more => format!("backup verify of {} backups", more.len()),
            },
            Self::Remove { ids } => match &ids[..] {
                [one] => format!("backup remove {one}"),
                more => format!("backup remove of {} backups", more.len()),
            },
            Self::Rehearse { .. } => "rehearse the upgrade".to_owned(),
            Self::Prune { .. } => "backup prune".to_owned(),
        }
    }
}

/// Answers an order: that it was taken, with a sentence, or why not.
pub struct Reply(oneshot::Sender<Result<String, Failure>>);

impl Reply {
    /// The order was taken and needs no words.
    pub fn done(self) {
        self.says(Ok(String::new()));
    }

    /// Answers. That nobody waits for the answer any more changes nothing.
    pub fn says(self, answer: Result<String, Failure>) {
        let _ = self.0.send(answer);
    }
}

/// Gives orders to the run loop.
#[derive(Clone)]
pub struct Orders(mpsc::Sender<Order>);

impl Orders {
    /// Makes both ends. Few places: an order that waits is an operator that waits.
    pub fn channel() -> (Self, mpsc::Receiver<Order>) {
        let (give, take) = mpsc::channel(4);
        (Self(give), take)
    }

    /// Gives an order and waits for the answer.
    pub async fn give(&self, order: impl FnOnce(Reply) -> Order) -> Result<String, Failure> {
        let ending = || Failure::new(crate::failure::Cause::Busy, "the supervisor is stopping");
        let (reply, answer) = oneshot::channel();
        self.0.send(order(Reply(reply))).await.map_err(|_| ending())?;
        answer.await.map_err(|_| ending())?
    }
}
