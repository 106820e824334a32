//! How is the app started, known to be ready, and stopped?

use std::{ffi::OsString, os::fd::AsFd, rc::Rc, time::Duration};

use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    health::{PrivateSocket, Verdict},
    memory,
    notify::{Message, Notifications},
};
use crate::{
    data::GenerationId,
    failure::{Cause, Failure},
    fault,
    init::{
        reaper::Exit,
        spawn::{Child, Launch},
        strays,
    },
    instance::Instance,
};

/// A second TERM leaves the app this long: time to checkpoint, and no more.
const HASTENED: Duration = Duration::from_secs(1);

/// What the app is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To serve, on the public and the private socket.
    Serving,
    /// To be proven on a staged generation: the private socket only, nothing written, nothing sent.
    Probation,
}

/// The app while it runs.
pub struct App {
    /// The process.
    pub child: Child,
    /// How it is asked.
    pub private: Rc<PrivateSocket>,
    notifications: Notifications,
    instance: Rc<Instance>,
    memory_kills: Option<u64>,
}

impl App {
    /// Starts the app on this generation, once no earlier app process is alive. To serve, the door must be closed.
    ///
    /// # Errors
    /// A sentence why it could not be started.
    pub async fn start(instance: &Rc<Instance>, generation: GenerationId, mode: Mode) -> Result<Self, Failure> {
        end_strays(instance).await;
        if mode == Mode::Serving {
            instance.mend_public();
        }
        let private = PrivateSocket::bind(&instance.data, "app.sock")?;
        let notifications = Notifications::bind(&instance.data.supervisor())
            .map_err(|error| Failure::io("cannot make the socket for the app's notifications", &error))?;
        let mut environment = instance.environment_for(generation);
        let mut set = |name: &str, value: OsString| environment.push((name.into(), value));
        set("HEARTH_FILES", instance.data.files().into());
        set("HEARTH_STOP__GRACE", humantime::format_duration(instance.grace()).to_string().into());
        set("NOTIFY_SOCKET", notifications.address().into());
        if mode == Mode::Probation {
            set("HEARTH_PROBATION", "1".into());
        }
        // Its own descriptor, so that nothing is borrowed across the start.
        let public = match (mode, instance.public.borrow().as_ref()) {
            (Mode::Serving, Some(public)) => Some(public.as_fd().try_clone_to_owned()),
            _ => None,
        };
        let public =
            public.transpose().map_err(|error| Failure::io("cannot hand the public socket to the app", &error))?;
        let mut sockets = Vec::new();
        if let Some(public) = &public {
            sockets.push(("public", public.as_fd()));
        }
        sockets.push(("private", private.listener.as_fd()));
        let command = instance.config.app.command.clone();
        let mut launch = Launch::new(command, environment, instance.locks());
        launch.sockets = sockets;
        launch.watchdog = u64::try_from(instance.config.watchdog.interval.as_micros()).ok();
        let child = launch.start(&instance.reaper).await?;
        instance.app.set(Some(child.pid()));
        instance.board.update(|status| {
            status.app.pid = Some(child.pid().as_raw());
            status.app.ready = false;
            status.app.says = None;
            status.app.health = None;
        });
        Ok(Self {
            child,
            private: Rc::new(private),
            notifications,
            instance: Rc::clone(instance),
            memory_kills: memory::kills(),
        })
    }

    /// Waits for what the app says next; publishes its status.
    ///
    /// # Errors
    /// When its socket cannot be read.
    pub async fn says(&self) -> Result<Vec<Message>, Failure> {
        let messages = self.notifications.next(self.child.pid()).await;
        let messages = messages.map_err(|error| Failure::io("cannot read the app's notifications", &error))?;
        for message in &messages {
            if let Message::Status(sentence) = message {
                self.instance.board.update(|status| status.app.says = Some(sentence.clone()));
            }
        }
        Ok(messages)
    }

    /// Asks the app once how it is.
    pub async fn ask(private: Rc<PrivateSocket>, instance: Rc<Instance>) -> Verdict {
        private.ask(&instance.config.health.path, instance.config.health.timeout).await
    }

    /// Waits until the app has said that it is ready.
    ///
    /// # Errors
    /// [`Cause::Unproven`] when it ended before, or took longer than `app.start_timeout`.
    pub async fn until_ready(&self) -> Result<(), Failure> {
        let limit = self.instance.config.app.start_timeout;
        let until = Instant::now() + limit;
        loop {
            tokio::select! {
                biased;
                exit = self.child.wait() => {
                    let how = self.ended(exit).await;
                    return Err(Failure::new(Cause::Unproven, format!("the app {how} before it was ready")));
                }
                said = timeout_at(until, self.notifications.next(self.child.pid())) => match said {
                    Ok(Ok(messages)) => {
                        for message in messages {
                            match message {
                                Message::Ready => return Ok(()),
                                Message::Status(sentence) => self.instance.board.update(|status| status.app.says = Some(sentence)),
                                Message::Watchdog | Message::Stopping => {}
                            }
                        }
                    }
                    Ok(Err(error)) => return Err(Failure::io("cannot read the app's notifications", &error)),
                    Err(_) => return Err(Failure::new(
                        Cause::Unproven,
                        format!("the app was not ready within {}{}", humantime::format_duration(limit), self.said()),
                    )),
                }
            }
        }
    }

    /// Ends the app: `signal`, the grace period (cut short by a further TERM to the supervisor), KILL for its
    /// whole process group, and for what fled from it. Returns how it ended.
    pub async fn stop(&self, signal: Signal) -> Exit {
        let mut level = self.instance.stop.subscribe();
        let asked = *level.borrow_and_update();
        let mut until = Instant::now() + self.instance.grace();
        self.child.signal(signal);
        // A stopped process does not run its handler.
        self.child.signal(Signal::SIGCONT);
        let exit = loop {
            tokio::select! {
                biased;
                exit = self.child.wait() => break exit,
                changed = level.changed() => if changed.is_ok() && *level.borrow() > asked.max(1) {
                    until = until.min(Instant::now() + HASTENED);
                },
                () = sleep_until(until) => {
                    tracing::warn!(target: "Supervisor", "the app has not ended within its grace period; killing it");
                    self.child.kill_group();
                    break self.child.wait().await;
                }
            }
        };
        self.gone(exit).await;
        exit
    }

    /// Cleans up after the app's own end and tells how it ended, with its last words.
    pub async fn ended(&self, exit: Exit) -> String {
        // Its last words may still be in the socket.
        while let Ok(Ok(messages)) =
            tokio::time::timeout(Duration::from_millis(1), self.notifications.next(self.child.pid())).await
        {
            for message in messages {
                if let Message::Status(sentence) = message {
                    self.instance.board.update(|status| status.app.says = Some(sentence));
                }
            }
        }
        let for_memory = exit.killed()
            && matches!((self.memory_kills, memory::kills()), (Some(before), Some(after)) if after > before);
        let how = if for_memory {
            "was killed by the kernel because the memory limit was reached".to_owned()
        } else {
            exit.to_string()
        };
        let how = format!("{how}{}", self.said());
        self.gone(exit).await;
        self.instance.board.update(|status| status.app.last_exit = Some(how.clone()));
        how
    }

    fn said(&self) -> String {
        self.instance.board.status().app.says.map(|sentence| format!("; it said: {sentence}")).unwrap_or_default()
    }

    async fn gone(&self, exit: Exit) {
        self.child.kill_group();
        self.instance.app.set(None);
        self.instance.board.update(|status| {
            status.app.pid = None;
            status.app.ready = false;
            status.app.last_exit = Some(exit.to_string());
        });
        // What resists even KILL is not waited for here: the next start of an app does.
        let _ = tokio::time::timeout(HASTENED, end_strays(&self.instance)).await;
        self.instance.mend_public();
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.instance.app.set(None);
        self.instance.board.update(|status| status.app.pid = None);
    }
}

/// Ends what fled from an earlier app, and says so.
pub async fn end_strays(instance: &Instance) {
    for stray in strays::end(&instance.reaper, &instance.data, instance.lock.get()).await {
        tracing::warn!(target: "Supervisor", "killed process {} ({}), left over from an earlier app", stray.pid, stray.name);
    }
}

/// Passes a fault point, turning what a test forces there into a failure of this step.
///
/// # Errors
/// What the test asked for.
pub fn point(name: &'static str) -> Result<(), Failure> {
    fault::point(name).map_err(|error| Failure::io(format!("the step {name} failed"), &error))
}
