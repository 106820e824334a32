//! What is the operator told when the supervisor cannot go on by itself?
//!
//! What happened, that the data is safe and where, and the exact commands that lead out. It is remembered in
//! `supervisor/held.json` with the image's identity: the same image started again is held again without a new
//! try, so that a watcher that restarts red containers does no harm; another image tries.

use crate::{
    data::{
        GenerationId,
        state::{self, FORMAT, Held, WayOut},
        view::{Generation, Live, View},
    },
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{Document, Job, child},
    status::{VERSION, now},
};

/// Makes the document for this failure.
pub async fn held(instance: &Instance, failure: Failure, doing: String, view: Option<&View>) -> Held {
    let live = match view.map(|view| &view.live) {
        Some(Live::Generation(live)) => Some(*live),
        _ => None,
    };
    Held {
        format: FORMAT,
        ways_out: ways_out(failure.cause, view, live),
        failure,
        doing,
        since: now(),
        version: VERSION.to_owned(),
        image: image(instance).await.unwrap_or_default(),
        live,
    }
}

/// Remembers it on disk, if it can; else it is kept in memory alone, and said.
pub async fn remember(instance: &Instance, held: &Held) {
    // Without the lock, and beside documents of a later version, nothing is touched.
    if instance.lock.get().is_none() || held.failure.cause == Cause::UnknownFormat {
        return;
    }
    let save = Job::Save(Document::Held(Some(Box::new(held.clone()))));
    if let Err(failure) = child::run::<()>(instance, save).await {
        instance.board.note(format!(
            "supervisor/held.json could not be written, so this is not remembered over a restart: {failure}"
        ));
    }
}

/// Returns what an earlier start was held for, if this very image would be held again: a try that failed, and the
/// same programs.
///
/// # Errors
/// [`Cause::UnknownFormat`] when a newer supervisor wrote the document.
pub async fn remembered(instance: &Instance) -> Result<Option<Held>, Failure> {
    let held = match state::read_held(&instance.data) {
        Ok(Some(held)) => held,
        Ok(None) => return Ok(None),
        Err(failure) if failure.cause == Cause::UnknownFormat => {
            return Err(failure.hint(format!(
                "a newer version was held on this data; start that version again, or remove {} to try with this one",
                instance.data.held().display()
            )));
        }
        // Half a document cannot be, for it is renamed into place; so this is somebody's edit. Then it is tried again.
        Err(failure) => {
            instance.board.note(failure.message);
            return Ok(None);
        }
    };
    if !held.failure.cause.is_of_a_try() {
        return Ok(None);
    }
    // An image that cannot be told apart from the one that was held counts as the same.
    if image(instance).await.is_ok_and(|image| image != held.image) {
        return Ok(None);
    }
    tracing::info!(target: "Supervisor", "this same image was held on {}; not trying again by itself", held.since);
    Ok(Some(held))
}

/// Returns the identity of the image: version, and a hash of its programs, as they were opened at the start.
async fn image(instance: &Instance) -> Result<String, Failure> {
    let (programs, descriptors) = instance.programs.to_read();
    let hash: String = child::run_with(instance, Job::Identify { programs }, descriptors).await?;
    Ok(format!("{VERSION}+{hash}"))
}

/// The commands that lead out, best first.
fn ways_out(cause: Cause, view: Option<&View>, live: Option<GenerationId>) -> Vec<WayOut> {
    let way = |command: String, effect: String| WayOut { command, effect };
    let snapshots: Vec<&Generation> = view.map(|view| view.snapshots().collect()).unwrap_or_default();
    let mut ways = Vec::new();
    match cause {
        Cause::Migration | Cause::Unproven | Cause::Drift => {
            if let Some(version) = view.and_then(|view| view.state.as_ref()).map(|state| &state.version) {
                ways.push(way(
                    format!("start the image of v{version} again"),
                    "serves the data exactly as it was before this upgrade".into(),
                ));
            }
            ways.push(way("supervisor resume".into(), "tries the upgrade again, now".into()));
        }
        Cause::CrashLoop => {
            ways.push(way(
                "supervisor resume".into(),
                "starts the app again on the same data, with everything that was written".into(),
            ));
            if let Some(snapshot) = snapshots.first() {
                ways.push(restore(snapshot, view, live));
            }
        }
        Cause::Live => {
            // A name that is no link would not be replaced by `ln`, but get the link inside of it.
            let aside = match view.map(|view| &view.live) {
                Some(Live::NotALink) => "mv live live.old && ",
                _ => "",
            };
            for snapshot in &snapshots {
                ways.push(way(
                    format!("{aside}ln -sfn generations/{} live", snapshot.id),
                    format!(
                        "in the data directory: makes generation {} the live one as it is{}; then: supervisor resume",
                        snapshot.id,
                        when(snapshot)
                    ),
                ));
            }
            ways.extend(restore_backup(view, live));
            ways.push(way(
                "supervisor resume".into(),
                "looks again, once the data is back in its place (an unmounted volume?)".into(),
            ));
        }
        Cause::Newer | Cause::Damaged | Cause::NotADatabase | Cause::Foreign => {
            ways.extend(snapshots.iter().map(|snapshot| restore(snapshot, view, live)));
            ways.extend(restore_backup(view, live));
            ways.push(way("supervisor resume".into(), "checks again, once the database has been put right".into()));
        }
        cause if cause.passes() => {
            ways.push(way("supervisor resume".into(), "tries again, now (it is also tried every minute)".into()));
        }
        _ => ways.push(way("supervisor resume".into(), "tries again, once the cause is gone".into())),
    }
    ways
}

fn restore_backup(view: Option<&View>, live: Option<GenerationId>) -> Option<WayOut> {
    let kept = live.map(|live| format!("; what is there now stays in snapshot {live}")).unwrap_or_default();
    view.filter(|view| view.backups).map(|_| WayOut {
        command: "supervisor restore latest".into(),
        effect: format!("makes a new generation from the newest backup{kept} (supervisor backup list shows them all)"),
    })
}

fn restore(snapshot: &Generation, view: Option<&View>, live: Option<GenerationId>) -> WayOut {
    let left = view
        .and_then(|view| view.state.as_ref())
        .and_then(|state| state.snapshots.iter().find(|known| known.generation == snapshot.id))
        .map(|known| known.left_at.clone());
    let since = match left {
        Some(left) => format!("what was written since {left} is then not in use"),
        None => "what was written since is then not in use".to_owned(),
    };
    let kept = live.map(|live| format!(", and stays in snapshot {live}")).unwrap_or_default();
    WayOut {
        command: format!("supervisor restore {}", snapshot.id),
        effect: format!("goes back to generation {}{}; {since}{kept}", snapshot.id, when(snapshot)),
    }
}

fn when(generation: &Generation) -> String {
    match &generation.description {
        Some(description) => format!(" (made on {} by v{})", description.sealed_at, description.version),
        None => String::new(),
    }
}
