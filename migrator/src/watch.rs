//! How is it seen from outside that an upgrade works, and does not hang?
//!
//! Whoever listens gets an event at least each second while it works: how far the migration is, where it tells that, else only that it
//! works ([`Event::Working`]). Work is what SQLite's own counter of steps shows, and what becomes of the database's files, which is all
//! that can be seen of a checkpoint. So of a migration that hangs nothing is told, and the supervisor may give it up.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval_at};

use crate::Event;
use crate::database::{self, Files};
use crate::progress::{self, Life, Progress};

/// How often it is looked for work.
const LOOK: Duration = Duration::from_millis(250);

/// How long it may be quiet until a look that finds work tells it: with the look, a second at most.
const QUIET: Duration = Duration::from_millis(750);

/// How often it is told how far a step is, however often the migration tells.
const TOLD: Duration = Duration::from_secs(1);

/// Reports the events of one upgrade.
pub(crate) struct Watch<'a> {
    report: &'a mut (dyn FnMut(Event) + Send),
    path: PathBuf,
    life: Life,
    seen: (u64, Files),
    /// When the last event came, and whether there was work since.
    told: Instant,
    has_worked: bool,
    way: Way,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(path: &Path, life: Life, report: &'a mut (dyn FnMut(Event) + Send)) -> Watch<'a> {
        let seen = (life.beats(), database::files(path));
        let (path, told) = (path.to_owned(), Instant::now());
        Watch { report, path, life, seen, told, has_worked: false, way: Way::default() }
    }

    pub(crate) fn tell(&mut self, event: Event) {
        (self.told, self.has_worked) = (Instant::now(), false);
        (self.report)(event);
    }

    /// Carries out `work`, which is called `doing`, and reports meanwhile that it works.
    pub(crate) async fn during<T>(&mut self, doing: &str, work: impl Future<Output = T>) -> T {
        self.listen(doing, None, work).await
    }

    /// Carries out a migration, and reports how far it is.
    pub(crate) async fn migration<T, E>(
        &mut self,
        name: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.way = Way::default();
        let done = self.listen(&format!("applying {name}"), Some(name), work).await;
        if let (Ok(_), Some(end)) = (&done, self.way.end()) {
            self.progress(name, end);
        }
        done
    }

    async fn listen<T>(&mut self, doing: &str, migration: Option<&str>, work: impl Future<Output = T>) -> T {
        let (work, mut told) = progress::heard(work);
        let mut work = pin!(work);
        let since = Instant::now();
        let mut looks = interval_at(tokio::time::Instant::now() + LOOK, LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                Some(progress) = told.recv() => self.hear(migration, progress),
                _ = looks.tick() => self.look(doing, migration, since),
                done = &mut work => {
                    while let Ok(progress) = told.try_recv() {
                        self.hear(migration, progress);
                    }
                    return done;
                }
            }
        }
    }

    fn hear(&mut self, migration: Option<&str>, progress: Progress) {
        let Some(migration) = migration else { return };
        for progress in self.way.go(progress, Instant::now()) {
            self.progress(migration, progress);
        }
    }

    fn progress(&mut self, migration: &str, Progress { table, done, of }: Progress) {
        self.tell(Event::Progress { migration: migration.to_owned(), table, done, of });
    }

    fn look(&mut self, doing: &str, migration: Option<&str>, since: Instant) {
        let seen = (self.life.beats(), database::files(&self.path));
        self.has_worked |= seen != self.seen;
        self.seen = seen;
        if !self.has_worked || self.told.elapsed() < QUIET {
            return;
        }
        match (migration, self.way.under_way(Instant::now())) {
            (Some(migration), Some(progress)) => self.progress(migration, progress),
            _ => self.tell(Event::Working { doing: doing.to_owned(), seconds: since.elapsed().as_secs() }),
        }
    }
}

/// How far a migration is: through the rows of one table after the other. It never goes backwards, and each table comes to its end.
#[derive(Debug, Default)]
struct Way {
    table: Option<Progress>,
    /// When it was last told.
    told: Option<Instant>,
}

impl Way {
    /// Takes in what a migration tells, and returns what is to be told of it.
    fn go(&mut self, mut next: Progress, now: Instant) -> Vec<Progress> {
        if next.of == 0 {
            return Vec::new();
        }
        next.done = next.done.min(next.of);
        let mut told = Vec::new();
        match &mut self.table {
            Some(table) if table.done < table.of && table.table == next.table => {
                next.of = next.of.max(table.of);
                next.done = next.done.max(table.done);
            }
            // It went on to another table, so this one is done.
            Some(_) => {
                told.extend(self.end());
                self.told = None;
            }
            None => {}
        }
        let is_due = next.done == next.of || self.told.is_none_or(|told| now.duration_since(told) >= TOLD);
        if is_due {
            self.told = Some(now);
            told.push(next.clone());
        }
        self.table = Some(next);
        told
    }

    /// Returns where it is, if it is not at the end of a table.
    fn under_way(&mut self, now: Instant) -> Option<Progress> {
        let table = self.table.clone().filter(|table| table.done < table.of)?;
        self.told = Some(now);
        Some(table)
    }

    /// Returns the end of the table, if that was not told yet.
    fn end(&mut self) -> Option<Progress> {
        let table = self.table.take().filter(|table| table.done < table.of)?;
        Some(Progress { done: table.of, ..table })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(way: &mut Way, table: &str, done: u64, of: u64, now: Instant) -> String {
        let told = way.go(Progress { table: table.to_owned(), done, of }, now);
        told.iter().map(|one| format!("{} {}/{}", one.table, one.done, one.of)).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_way_never_goes_backwards_and_comes_to_its_end() {
        let (mut way, start) = (Way::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(told(&mut way, "a", 0, 0, at(0)), "", "an empty table");
        assert_eq!(told(&mut way, "a", 10, 100, at(0)), "a 10/100");
        assert_eq!(told(&mut way, "a", 20, 100, at(0)), "", "too often");
        assert_eq!(told(&mut way, "a", 5, 100, at(1)), "a 20/100", "it was farther already");
        assert_eq!(told(&mut way, "a", 90, 80, at(2)), "a 80/100", "the number of rows stays");
        assert_eq!(told(&mut way, "a", 100, 100, at(2)), "a 100/100", "the end is always told");
        // The same table again, for another column.
        assert_eq!(told(&mut way, "a", 10, 100, at(2)), "a 10/100");
        assert_eq!(told(&mut way, "b", 1, 2, at(2)), "a 100/100, b 1/2");
        assert_eq!(told(&mut way, "b", 9, 2, at(2)), "b 2/2", "never farther than the end");
        assert_eq!(way.end(), None);
        assert_eq!(told(&mut way, "c", 1, 3, at(3)), "c 1/3");
        assert_eq!(way.end(), Some(Progress { table: "c".to_owned(), done: 3, of: 3 }));
        assert_eq!(way.end(), None, "once");
    }
}
