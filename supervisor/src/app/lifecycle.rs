//! How is the app started, known to be ready, and stopped?

use std::{cell::RefCell, ffi::OsString, os::fd::AsFd, path::Path, rc::Rc, time::Duration};

use nix::sys::signal::Signal;

use super::{
    health::{PrivateSocket, Told, Verdict},
    memory,
    notify::{Messages, Notifications},
    proof::Proof,
};
use crate::{
    config::LogLevel,
    data::state::{FORMAT, Reason},
    failure::{Cause, Failure},
    fault,
    instance::Instance,
    jobs::{child, same_version},
    process::programs::AppProgram,
    process::sandbox::rules::{Keeps, Role},
    process::{
        deadline::{Deadline, within},
        reaper::Exit,
        spawn::{Child, Launch},
        strays,
    },
    status::{AppStatus, Fallback, VERSION},
};

/// How long the app may take to say its version.
const PATIENCE: Duration = Duration::from_secs(30);

/// A second TERM leaves the app this long: time to checkpoint, and no more.
const HASTENED: Duration = Duration::from_secs(1);

/// The app's exit status when what is in the database cannot be used: EX_DATAERR of sysexits(3).
const UNFIT_DATA: u8 = 65;

/// The app's exit status when a setting cannot be used: what it means, until the app was ready.
const UNUSABLE_SETTINGS: u8 = 2;

/// What the app is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To serve, on the public and the private socket, and on that of `tailscale serve`, if there is one.
    Serving,
    /// To be proven on a staged generation: the private socket only, nothing written, nothing sent.
    /// What was made from a backup or snapshot, the app voids sessions, invitations and resets in, which would come to life
    /// again.
    Probation(Reason),
    /// The same on a restored backup, beside the app that serves, of which nothing is touched.
    Drill,
    /// The same on a copy of the live database, beside the app that serves: what an upgrade would come to.
    Rehearsal,
}

impl Mode {
    /// Whether it runs beside the app that serves.
    pub fn is_beside(self) -> bool {
        matches!(self, Self::Drill | Self::Rehearsal)
    }
}

/// The app while it runs.
pub struct App {
    /// The process.
    pub child: Child,
    /// How it is asked.
    pub private: Rc<PrivateSocket>,
    notifications: Notifications,
    instance: Rc<Instance>,
    program: Rc<AppProgram>,
    mode: Mode,
    said: RefCell<Option<String>>,
    memory_kills: Option<u64>,
}

impl App {
    /// Starts the app on this database, once no earlier app process is alive (a drill's is none of those). To serve, the
    /// door must be closed.
    pub async fn start(
        instance: &Rc<Instance>,
        program: &Rc<AppProgram>,
        database: &Path,
        mode: Mode,
    ) -> Result<Self, Failure> {
        if !mode.is_beside() {
            end_strays(instance).await;
        }
        if mode == Mode::Serving {
            instance.restore_listeners();
        }
        let (place, private, notify) = match mode {
            Mode::Drill => (instance.data.supervisor(), "drill.sock", "drill-notify.sock"),
            // Perhaps beside another supervisor, whose sockets lie in the usual place.
            Mode::Rehearsal => (instance.data.rehearsal(), "app.sock", "notify.sock"),
            Mode::Serving | Mode::Probation(_) => (instance.data.supervisor(), "app.sock", "notify.sock"),
        };
        let private = PrivateSocket::bind(&place, private)?;
        let notifications = Notifications::bind(&place, notify)
            .map_err(|error| Failure::io("cannot make the socket for the app's notifications", &error))?;
        let mut environment = instance.environment_for(database);
        if mode.is_beside() && instance.config.log.level > LogLevel::Warn {
            // That an app stops beside the one that serves would only puzzle whoever reads the log.
            environment.retain(|(name, _)| name != "HEARTH_LOG__LEVEL");
            environment.push(("HEARTH_LOG__LEVEL".into(), LogLevel::Warn.to_string().into()));
        }
        let mut set = |name: &str, value: OsString| environment.push((name.into(), value));
        set("HEARTH_FILES", instance.data.files().into());
        set("HEARTH_STOP__GRACE", humantime::format_duration(instance.config.stop.grace).to_string().into());
        set("NOTIFY_SOCKET", notifications.address().into());
        if mode != Mode::Serving {
            set("HEARTH_PROBATION", "1".into());
        }
        // A drill shows that a restore would do, all of it.
        if matches!(mode, Mode::Probation(Reason::Restore) | Mode::Drill) {
            set("HEARTH_RESTORED", "1".into());
        }
        let contract = program.contract();
        if contract.is_some() {
            set("HEARTH_FALLBACK", "1".into());
        }
        environment.extend(instance.settings_of(program));
        let own = if mode == Mode::Serving { instance.sockets()? } else { Vec::new() };
        let mut sockets: Vec<_> = own.iter().map(|(name, socket)| (*name, socket.as_fd())).collect();
        // After the public one, as docs/ARCHITECTURE.md has it.
        sockets.insert(sockets.len().min(1), ("private", private.listener.as_fd()));
        sockets.retain(|(name, _)| contract.is_none_or(|contract| contract.sockets.iter().any(|known| known == name)));
        let mut launch = Launch::new(&program.program, program.command.clone(), environment, instance.locks());
        launch.sockets = sockets;
        launch.background = mode.is_beside();
        let database = database.to_owned();
        let abstract_notify = notifications.address().starts_with('@');
        let serves = mode == Mode::Serving;
        let asks_tailscaled = serves && instance.config.asks_tailscaled().is_some();
        let keeps = match (serves, contract) {
            (false, _) => Keeps::Nothing,
            (true, None) => Keeps::All,
            (true, Some(_)) => Keeps::More,
        };
        let role = Role::App { database, keeps, abstract_notify, asks_tailscaled };
        launch.confinement = instance.confinement(role);
        launch.watchdog = u64::try_from(instance.config.watchdog.interval.as_micros()).ok();
        let child = launch.start(&instance.reaper).await?;
        let app = Self {
            child,
            private: Rc::new(private),
            notifications,
            instance: Rc::clone(instance),
            program: Rc::clone(program),
            mode,
            said: RefCell::new(None),
            memory_kills: memory::kills(),
        };
        app.publish(|status| {
            status.pid = Some(app.child.pid().as_raw());
            status.ready = false;
            status.says = None;
            status.health = None;
            status.health_detail = None;
        });
        Ok(app)
    }

    /// Publishes what is known of the app; one beside it is nobody's status.
    fn publish(&self, change: impl FnOnce(&mut AppStatus)) {
        if !self.mode.is_beside() {
            self.instance.publisher.update(|status| change(&mut status.app));
        }
    }

    /// Waits for what the app says next; publishes its status.
    pub async fn says(&self) -> Result<Messages, Failure> {
        let messages = self.notifications.next(self.child.pid()).await;
        let messages = messages.map_err(|error| Failure::io("cannot read the app's notifications", &error))?;
        Ok(self.heard(messages))
    }

    /// Returns what the app has said up to now: what was said in time counts, however late it is read.
    pub fn said_by_now(&self) -> Messages {
        self.heard(self.notifications.remaining(self.child.pid()))
    }

    /// Asks the app for its version, before anything is staged for it.
    ///
    /// # Errors
    /// As [`same_version`]; what starting it met.
    pub async fn is_of_this_version(instance: &Instance) -> Result<(), Failure> {
        let program = &instance.programs.app.program;
        if !program.is_own() {
            return Ok(());
        }
        let command = vec![program.path().display().to_string(), "--version".to_owned()];
        let launch = Launch::new(program, command, instance.environment(), instance.locks());
        let answered = child::lines(instance, launch, |line| {
            let version = std::str::from_utf8(line).ok().and_then(|line| line.split_whitespace().nth(1));
            same_version("app", version.unwrap_or("unknown"), VERSION)
        });
        match within(PATIENCE, answered).await {
            Some(answered) => answered.map(drop),
            None => Err(Failure::new(Cause::Launch, "the app does not say its version (app --version)").hint(
                "is the program named app, beside the supervisor, Hearth's? Another one is named by app.command",
            )),
        }
    }

    /// Returns the question of how it is, to be asked once.
    pub fn question(&self) -> impl Future<Output = Result<Verdict, Failure>> + use<> {
        let (private, instance, program) =
            (Rc::clone(&self.private), Rc::clone(&self.instance), Rc::clone(&self.program));
        async move {
            let status = instance.publisher.status();
            let told = Told {
                backups: status.backups,
                update: status.update,
                time_zone: status.time_zone,
                version: program.is_own().then(|| program.version(VERSION).to_owned()),
                notice: status.fallback.as_ref().and_then(Fallback::notice),
            };
            private.ask(&instance.config.health.path, instance.config.health.timeout, &told).await
        }
    }

    /// Asks the app what people see at this moment; `None` of one that does not say it.
    ///
    /// # Errors
    /// [`Cause::Unproven`] with what it answered instead.
    pub async fn proof(&self, at: &str) -> Result<Option<Proof>, Failure> {
        if !self.program.is_own() || self.program.contract().is_some_and(|contract| contract.proof != Some(FORMAT)) {
            return Ok(None);
        }
        let limit = self.instance.config.app.start_timeout;
        self.private.proof(at, limit).await.map(Some).map_err(|why| Failure::new(self.shown(false), why))
    }

    /// Returns what an app that ended before it was ready says of its settings, if it does. Other people's programs end with that
    /// status for other reasons as well, so they have to say it in words, too.
    pub fn refusal(&self, exit: Exit, how: &str, words: &str) -> Option<Failure> {
        let is_meant = self.program.is_own() || self.said.borrow().is_some();
        (exit == Exit::Code(UNUSABLE_SETTINGS) && is_meant && !self.mode.is_beside()).then(|| {
            Failure::new(Cause::Configuration, format!("the app cannot use its settings: it {how}{words}"))
                .hint("change the setting, then start Hearth anew; all settings: supervisor config")
        })
    }

    /// Waits until the app has said that it is ready.
    ///
    /// # Errors
    /// [`Cause::Unproven`] when it ended before, or took longer than `app.start_timeout`.
    pub async fn until_ready(&self) -> Result<(), Failure> {
        let limit = self.instance.config.app.start_timeout;
        let mut deadline = Deadline::after(limit);
        loop {
            let messages = tokio::select! {
                biased;
                exit = self.child.wait() => {
                    let (how, words) = self.ended(exit).await;
                    return Err(self.refusal(exit, &how, &words).unwrap_or_else(|| Failure::new(self.shown_by(exit), format!("the app {how} before it was ready{words}"))));
                }
                () = deadline.passed() => match self.said_by_now() {
                    messages if messages.ready => messages,
                    _ => return Err(Failure::new(
                        self.shown(false),
                        format!("the app was not ready within {}{}", humantime::format_duration(limit), self.said()),
                    )),
                },
                messages = self.says() => messages?,
            };
            if messages.ready {
                return Ok(());
            }
        }
    }

    /// Ends the app: `signal`, the grace period (cut short by a further TERM to the supervisor), KILL for its
    /// whole process group, and for what fled from it. Returns how it ended.
    pub async fn stop(&self, signal: Signal) -> Exit {
        let mut level = self.instance.stop.subscribe();
        let asked = *level.borrow_and_update();
        let mut deadline = Deadline::after(self.instance.config.stop.grace);
        self.child.signal(signal);
        // A stopped process does not run its handler.
        self.child.signal(Signal::SIGCONT);
        let exit = loop {
            tokio::select! {
                biased;
                exit = self.child.wait() => break exit,
                changed = level.changed() => if changed.is_ok() && *level.borrow() > asked.max(1) {
                    deadline.shorten(HASTENED);
                },
                () = deadline.passed() => {
                    tracing::warn!(target: "Supervisor", "the app has not ended within its grace period; killing it");
                    self.child.kill_group();
                    break self.child.wait().await;
                }
                // Its farewell must not wait for room in the socket.
                _ = self.says() => {}
            }
        };
        self.gone(exit).await;
        exit
    }

    /// Cleans up after the app's own end and tells how it ended, and its last words, which end a sentence.
    pub async fn ended(&self, exit: Exit) -> (String, String) {
        // Its last words may still be in the socket.
        self.said_by_now();
        let for_memory = exit.killed()
            && matches!((self.memory_kills, memory::kills()), (Some(before), Some(after)) if after > before);
        let how = if for_memory {
            "was killed by the kernel because the memory limit was reached".to_owned()
        } else {
            exit.to_string()
        };
        let words = self.said();
        self.gone(exit).await;
        self.publish(|app| app.last_exit = Some(format!("{how}{words}")));
        (how, words)
    }

    /// What it shows that the app failed in its probation: by this exit, by taking too long, or by what it says of its health. Of
    /// what a drill was to prove only what the app says of the data itself counts (`damaged`): it gives way to everything, and may end
    /// for a full disk as well as for a kill.
    pub fn shown(&self, damaged: bool) -> Cause {
        match (self.mode, damaged) {
            (Mode::Drill, true) => Cause::Damaged,
            (Mode::Drill, false) => Cause::Interrupted,
            _ => Cause::Unproven,
        }
    }

    /// What this end of it shows.
    pub fn shown_by(&self, exit: Exit) -> Cause {
        match exit.killed() && self.mode == Mode::Rehearsal {
            // By whoever wants memory, or by a person.
            true => Cause::Interrupted,
            false => self.shown(exit == Exit::Code(UNFIT_DATA)),
        }
    }

    fn heard(&self, messages: Messages) -> Messages {
        if let Some(sentence) = &messages.status {
            self.publish(|app| app.says = Some(sentence.clone()));
            self.said.replace(Some(sentence.clone()));
        }
        messages
    }

    fn said(&self) -> String {
        let said = self.said.borrow();
        said.as_ref().map(|sentence| format!("; it said: {}", sentence.trim_end_matches('.'))).unwrap_or_default()
    }

    async fn gone(&self, exit: Exit) {
        self.child.kill_group();
        if self.mode.is_beside() {
            return;
        }
        self.publish(|app| {
            app.pid = None;
            app.ready = false;
            app.last_exit = Some(exit.to_string());
        });
        // What resists even KILL is not waited for here: the next start of an app does.
        let _ = within(HASTENED, end_strays(&self.instance)).await;
        self.instance.restore_listeners();
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.publish(|app| app.pid = None);
    }
}

/// Ends what fled from an earlier app, and says so.
pub async fn end_strays(instance: &Instance) {
    for stray in strays::end(&instance.reaper, &instance.data, instance.lock.get()).await {
        tracing::warn!(target: "Supervisor", "killed process {} ({}), left over from an earlier app", stray.pid, stray.name);
    }
}

/// Passes a fault point, turning what a test forces there into a failure of this step.
pub fn point(name: &'static str) -> Result<(), Failure> {
    fault::point(name).map_err(|error| Failure::io(format!("the step {name} failed"), &error))
}
