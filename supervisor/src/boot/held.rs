//! What is the operator told when the supervisor cannot go on by itself?
//!
//! What happened, that the data is safe and where, and the exact commands that lead out. It is remembered in
//! `supervisor/held.json` with the image's identity: the same image started again is held again without a new
//! try, so that a watcher that restarts red containers does no harm; another image tries.

use std::path::PathBuf;

use crate::{
    data::{
        GenerationId,
        state::{FORMAT, Held, WayOut},
        view::{Generation, Live, View},
    },
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{Document, Job, child},
    phase::{VERSION, now},
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

/// Returns what an earlier start was held for, if this very image would be held again: a cause that does not pass
/// by itself, and the same programs.
///
/// # Errors
/// [`Cause::UnknownFormat`] when a newer supervisor wrote the document.
pub async fn remembered(instance: &Instance) -> Result<Option<Held>, Failure> {
    let path = instance.data.held();
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::io(format!("cannot read {}", path.display()), &error)),
    };
    let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    // Half a document cannot be (it is renamed into place), so this is somebody's edit: try again then.
    let Some(format) = document["format"].as_u64() else { return Ok(None) };
    if format != u64::from(FORMAT) {
        return Err(Failure::new(
            Cause::UnknownFormat,
            format!("{} is of format {format}, and this supervisor reads format {FORMAT}", path.display()),
        )
        .hint(
            "a newer version was held on this data; start that version again, or remove the file to try with this one",
        ));
    }
    let Ok(held) = serde_json::from_value::<Held>(document) else { return Ok(None) };
    if held.failure.cause.passes() || image(instance).await? != held.image {
        return Ok(None);
    }
    tracing::info!(target: "Supervisor", "this same image was held on {}; not trying again by itself", held.since);
    Ok(Some(held))
}

/// Returns the identity of the image: version, and a hash of its three programs.
async fn image(instance: &Instance) -> Result<String, Failure> {
    let program = |command: &[String]| command.first().map(PathBuf::from);
    let own = std::env::current_exe().ok();
    let programs = [own, program(&instance.config.migrator.command), program(&instance.config.app.command)];
    let hash: String =
        child::run(instance, Job::Identify { programs: programs.into_iter().flatten().collect() }).await?;
    Ok(format!("{VERSION}+{hash}"))
}

/// The commands that lead out, best first.
fn ways_out(cause: Cause, view: Option<&View>, live: Option<GenerationId>) -> Vec<WayOut> {
    let way = |command: String, effect: String| WayOut { command, effect };
    let snapshots: Vec<&Generation> = view
        .map(|view| {
            let usable = view.generations.iter().rev();
            usable
                .filter(|generation| Some(generation.id) != live && !generation.staging && generation.database)
                .collect()
        })
        .unwrap_or_default();
    let mut ways = Vec::new();
    match cause {
        Cause::Migration | Cause::Unproven | Cause::Drift | Cause::Launch => {
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
            for snapshot in &snapshots {
                ways.push(way(
                    format!("ln -sfn generations/{} live", snapshot.id),
                    format!(
                        "in the data directory: makes generation {} the live one as it is{}; then: supervisor resume",
                        snapshot.id,
                        when(snapshot)
                    ),
                ));
            }
        }
        Cause::Newer | Cause::Damaged | Cause::NotADatabase | Cause::Foreign => {
            ways.extend(snapshots.iter().map(|snapshot| restore(snapshot, view, live)));
            ways.push(way("supervisor resume".into(), "checks again, once the database has been put right".into()));
        }
        _ => ways.push(way("supervisor resume".into(), "tries again, now (it is also tried at the next start)".into())),
    }
    ways
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
