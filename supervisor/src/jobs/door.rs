//! Who answers on the public socket?
//!
//! PID 1 owns the socket ([`crate::process::listener`]) and never accepts on it. The app does. While no app lives and there is
//! something to wait for, the *door* does: a job that shows a page with what the supervisor is doing ([`notice`]). Never both: the
//! door is closed before the app starts. The same goes for the socket of `tailscale serve`, where there is one.

pub mod notice;

use std::{cell::RefCell, io::Write, os::fd::AsFd, rc::Rc, time::Duration};

use nix::{fcntl::OFlag, sys::signal::Signal, unistd::pipe2};
use tokio::task::JoinHandle;

use super::{Job, child};
use crate::{
    failure::{Cause, Failure},
    instance::Instance,
    process::{deadline::within, reaper::Exit, spawn::Child},
};

/// How long the door may take to finish its answers before it is killed.
const CLOSING: Duration = Duration::from_secs(2);
/// How long after its own end it is opened again: soon, and no busy loop if it ends each time.
const AGAIN: Duration = Duration::from_secs(1);
/// How long the making of a generation takes before the door opens: a first start is over by then, and has no use for one.
pub const SOON: Duration = Duration::from_millis(300);

/// The door, open or closed.
pub struct Door {
    instance: Rc<Instance>,
    open: RefCell<Option<Open>>,
    later: RefCell<Option<JoinHandle<()>>>,
}

struct Open {
    child: Child,
    notices: std::fs::File,
    refresh: JoinHandle<()>,
    watcher: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.refresh.abort();
        self.watcher.abort();
    }
}

impl Door {
    /// Makes the door, closed.
    pub fn new(instance: &Rc<Instance>) -> Rc<Self> {
        Rc::new(Self { instance: Rc::clone(instance), open: RefCell::default(), later: RefCell::default() })
    }

    /// Opens the door if nothing has closed it by then: short gaps are the kernel's queue to bridge.
    pub fn open_after(self: &Rc<Self>, delay: Duration) {
        if self.open.borrow().is_some() {
            return;
        }
        let door = Rc::clone(self);
        let timer = tokio::task::spawn_local(async move {
            tokio::time::sleep(delay).await;
            door.open_now().await;
        });
        if let Some(earlier) = self.later.replace(Some(timer)) {
            earlier.abort();
        }
    }

    /// Opens the door. That it cannot be opened is noted and stops nothing.
    pub async fn open(self: &Rc<Self>) {
        self.not_later().await;
        self.open_now().await;
    }

    async fn open_now(self: &Rc<Self>) {
        if self.open.borrow().as_ref().is_some_and(|open| open.child.exited().is_none()) {
            self.refresh();
            return;
        }
        match start(self).await {
            Ok(open) => {
                self.open.replace(Some(open));
                self.refresh();
            }
            Err(failure) => self.instance.publisher.note(format!("the maintenance page cannot be shown: {failure}")),
        }
    }

    /// Gives the door the present notice. A pipe that is full holds newer ones than anyone has read, so that is fine.
    fn refresh(&self) {
        if let Some(open) = self.open.borrow_mut().as_mut()
            && let Ok(mut line) = serde_json::to_vec(&notice::notice(&self.instance.publisher.status()))
        {
            line.push(b'\n');
            let _ = open.notices.write_all(&line);
        }
    }

    /// Closes the door: from when this returns, nobody accepts on the public socket.
    pub async fn close(&self) {
        self.not_later().await;
        let Some(open) = self.open.take() else { return };
        open.watcher.abort();
        open.child.signal(Signal::SIGTERM);
        if within(CLOSING, open.child.wait()).await.is_none() {
            open.child.kill_group();
            open.child.wait().await;
        }
        self.instance.restore_listeners();
    }

    /// Sees to it that the door is opened again after it ended without having been closed: a household may be looking
    /// at its page for days.
    fn lost(self: &Rc<Self>, exit: Exit) {
        self.instance.publisher.note(format!("the maintenance page {exit}; it is shown again"));
        // This runs in its watcher, which goes with it, so nothing is awaited from here on.
        self.open.take();
        self.instance.restore_listeners();
        self.open_after(AGAIN);
    }

    /// Takes back an [`Door::open_after`]; until it is gone it may still be opening the door.
    async fn not_later(&self) {
        let later = self.later.take();
        if let Some(later) = later {
            later.abort();
            let _ = later.await;
        }
    }
}

async fn start(door: &Rc<Door>) -> Result<Open, Failure> {
    let instance = &door.instance;
    let pipe = |error: nix::Error| Failure::io("cannot make a pipe for the door", &error.into());
    let (stdin, notices) = pipe2(OFlag::O_CLOEXEC).map_err(pipe)?;
    nix::fcntl::fcntl(&notices, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(pipe)?;
    let sockets = instance.sockets()?;
    if sockets.is_empty() {
        return Err(Failure::new(Cause::Launch, "there is no public socket yet"));
    }
    let mut launch = child::launch(instance, Job::Door)?;
    launch.stdin = Some(stdin);
    let names = instance.config.for_the_app.names();
    launch.environment.extend(names.into_iter().map(|(name, value)| (name.into(), value.into())));
    launch.sockets = sockets.iter().map(|(name, socket)| (*name, socket.as_fd())).collect();
    let child = launch.start(&instance.reaper).await?;
    let weak = Rc::downgrade(door);
    let mut changes = instance.publisher.watch();
    let refresh = tokio::task::spawn_local(async move {
        while changes.changed().await.is_ok() {
            let Some(door) = weak.upgrade() else { return };
            door.refresh();
            drop(door);
            // Progress may come often; a page is read by people.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let weak = Rc::downgrade(door);
    let mut end = child.end();
    let watcher = tokio::task::spawn_local(async move {
        let exit = end.wait().await;
        if let Some(door) = weak.upgrade() {
            door.lost(exit);
        }
    });
    Ok(Open { child, notices: std::fs::File::from(notices), refresh, watcher })
}
