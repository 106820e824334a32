//! When is the next backup due, and is one overdue?

use super::{
    catalog, confine,
    create::INDEXES,
    identity, marker, prune, retention,
    schedule::{self, Past, Schedule},
    trial::closed,
};
use crate::{
    config::{Backup as Settings, destination},
    data::{
        DataDir, GenerationId,
        view::{self, Live},
    },
    failure::{Cause, Failure},
    jobs::backup::{BackupStatus, StatusRequest},
    process::sandbox::{SandboxSupport, Sockets},
    status::{Backups, COPY, LastBackup},
};
use jiff::{SignedDuration, Timestamp};

/// Looks at the backups there are, and at the clock.
///
/// # Errors
/// A schedule that cannot be read; what keeps `backup.dir` from being read.
pub fn status(data: &DataDir, support: SandboxSupport, request: &StatusRequest) -> Result<BackupStatus, Failure> {
    let settings = &request.settings;
    // What describes a backup may be anybody's.
    confine(data, support, vec![settings.dir.clone(), data.backups()], None, Sockets::None)?;
    let (zone, unknown_zone) = schedule::zone();
    let this = Timestamp::now();
    // This writes nothing down, since it runs beside jobs that do. Where there is no history yet, or a damaged one, it counts from
    // the start of the supervisor.
    let running_since = Timestamp::from_second(request.running_since).unwrap_or(this);
    let history = catalog::history(data, &in_seconds(running_since))?;
    // What cannot be read is no backup: it is overdue by and by, and that is said. And why.
    let (local, unreadable) = match catalog::list(&settings.dir) {
        Ok(local) => (local, None),
        Err(failure) => (Vec::new(), Some(failure.message)),
    };
    // The newest first, by its number: what was made while the clock was wrong hides nothing.
    // Others may lie beside this instance's.
    let identity = identity::look(data)?;
    let is_own = |instance: &str| identity.instance == instance || identity.went_by(instance);
    let sound = local.iter().map(|local| &local.description).filter(|backup| backup.is_sound());
    let sound: Vec<_> = sound.filter(|backup| is_own(&backup.instance)).collect();
    let last = sound.first().map(|last| LastBackup { id: last.id.clone(), created_at: last.created_at.clone() });
    let time = |text: &String| text.parse::<Timestamp>().ok();
    let past = Past {
        since: time(&history.since).unwrap_or(this),
        last_success: sound.iter().find_map(|backup| time(&backup.created_at)),
        last_attempt: history.attempted_at.as_ref().and_then(time),
        last_drill: history.drilled_at.as_ref().and_then(time),
    };
    let parse = |key: &str, text: &str| {
        Schedule::parse(text)
            .map_err(|wrong| Failure::new(Cause::Configuration, format!("{key} cannot be used: {wrong}")))
    };
    let salt = identity.instance.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let schedule = parse("backup.schedule", &settings.schedule)?;
    let drill = parse("backup.drill", &settings.drill)?;
    let plan = schedule::plan(&schedule, &drill, settings.jitter, salt, &past, running_since, this, &zone);
    let wait = |at: Timestamp| u64::try_from(at.duration_since(this).as_secs()).unwrap_or(0);
    // What is no longer wanted is no trouble any more.
    let wanted = |what: &str| match what.strip_prefix(COPY) {
        Some(name) => settings.destinations.iter().any(|destination| destination::named(destination) == name),
        None if what == INDEXES => view::live(data).is_ok_and(|live| live_is(&live, history.reindex)),
        None => what != "drill" || !drill.is_off(),
    };
    let away = marker::check(&settings.dir, &history).err().map(|failure| failure.with_hint());
    let own = |instance: &str| instance == identity.instance;
    let (candidates, _) = prune::candidates(local.iter().map(|local| &local.description), own);
    let ahead = retention::ahead(&candidates, this).and_then(|backup| clock_is_behind(backup, this));
    let trouble = history.trouble.into_iter().filter(|(what, _)| wanted(what));
    let mut trouble: Vec<String> = trouble.map(|(what, why)| format!("{what}: {why}")).collect();
    trouble.extend(unreadable);
    trouble.extend(closed(&settings.dir));
    trouble.extend(away);
    trouble.extend(ahead);
    trouble.extend(identity.told(data, this.into()));
    trouble.extend(elsewhere(data, settings));
    trouble.extend(unknown_zone);
    let status = Backups {
        last,
        next_at: plan.next_at.map(in_seconds),
        overdue_since: plan.overdue_since.map(in_seconds),
        trouble,
        storage: Vec::new(),
    };
    Ok(BackupStatus { status, next_in: plan.next_at.map(wait), due: plan.due, drill: plan.drill })
}

fn live_is(live: &Live, generation: Option<GenerationId>) -> bool {
    generation.is_some_and(|generation| *live == Live::Generation(generation))
}

/// Says that a backup bears a time that is yet to come, before the disk is full of what is not pruned. Not of a clock that was just
/// put right by seconds.
fn clock_is_behind(backup: &retention::Candidate, now: Timestamp) -> Option<String> {
    (backup.at.duration_since(now) > JUMP).then(|| {
        format!(
            "the clock: it shows {}, but the backup {} was made at {}; nothing is pruned. If the clock is wrong, set it. If it is right, it was ahead then: \
             pruning goes on when more backups than those with a wrong time were made since; sooner, when those with a wrong time are removed by hand",
            in_seconds(now),
            backup.id,
            in_seconds(backup.at),
        )
    })
}

/// Says that there are backups where they are by default, and `backup.dir` is elsewhere: nothing lists or restores those.
fn elsewhere(data: &DataDir, settings: &Settings) -> Option<String> {
    let default = data.backups();
    let left = catalog::list(&default).ok().filter(|_| settings.dir != default)?.len();
    (left > 0).then(|| {
        format!(
            "{left} backups lie in {}, which is not backup.dir any more: move them to {} with the .json beside each",
            default.display(),
            settings.dir.display()
        )
    })
}

fn in_seconds(at: Timestamp) -> String {
    at.round(jiff::Unit::Second).unwrap_or(at).to_string()
}

/// By how much a clock is put right as it runs, at most.
const JUMP: SignedDuration = SignedDuration::from_mins(10);
