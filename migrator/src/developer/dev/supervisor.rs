//! How is the supervisor run, and its app asked for a link?

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::programs::{Programs, ended};
use super::scratch::Scratch;
use super::{output, say};
use crate::developer::Problem;

/// A supervisor that was started.
pub(super) struct Supervisor {
    child: Child,
    listen: SocketAddr,
    /// The programs that it runs.
    pub(super) version: Vec<(u64, i64, i64, u64)>,
}

/// What came of a start.
pub(super) enum Outcome {
    Serving,
    Held,
    Ended,
}

/// Refuses to go on where another supervisor has the data directory.
pub(super) fn nobody_else(programs: &Programs, scratch: &Scratch) -> Result<(), Problem> {
    match status(programs, scratch) {
        Some(status) if status["phase"] != "stopped" => {
            // "process 4711 on host x"
            let which = status["supervisor"].as_str().unwrap_or_default();
            let process = which.split(' ').nth(1).unwrap_or("its process");
            let data = scratch.data();
            Err(Problem::new(format!("a supervisor already runs on {}, as process {process}", data.display()))
                .hint(format!("a cargo dev that was killed has left it: end it with kill {process}")))
        }
        _ => Ok(()),
    }
}

impl Supervisor {
    pub(super) fn start(
        programs: &Programs,
        scratch: &Scratch,
        listen: SocketAddr,
        version: Vec<(u64, i64, i64, u64)>,
    ) -> Result<Supervisor, Problem> {
        let mut command = programs.command("supervisor", &scratch.data());
        command.env("HEARTH_LISTEN", listen.to_string());
        // Nobody wants backups of scratch data, unless that is what is being worked on.
        if std::env::var_os("HEARTH_BACKUP__SCHEDULE").is_none() {
            command.env("HEARTH_BACKUP__SCHEDULE", "off");
        }
        let child = command.spawn().map_err(|error| {
            Problem::new(format!("cannot start {}: {error}", programs.path("supervisor").display()))
        })?;
        Ok(Supervisor { child, listen, version })
    }

    /// Waits until the app serves, or it is known that it will not.
    pub(super) async fn wait_serving(&mut self, programs: &Programs, scratch: &Scratch) -> Outcome {
        loop {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return Outcome::Ended;
            }
            if let Some(status) = status(programs, scratch) {
                if let Some(address) = status["listen"].as_str().and_then(|text| text.parse().ok()) {
                    self.listen = address;
                }
                match status["phase"].as_str() {
                    Some("serving") if status["app"]["ready"] == true => return Outcome::Serving,
                    Some("held") => return Outcome::Held,
                    _ => {}
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Returns where a browser on this machine finds it.
    pub(super) fn address(&self) -> String {
        let mut address = self.listen;
        if address.ip().is_unspecified() {
            address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        format!("http://{address}")
    }

    /// Has the app make a link by which the owner chooses a password.
    pub(super) fn link(&self, programs: &Programs, scratch: &Scratch) -> Result<String, Problem> {
        let users = asked(programs.command("app", &scratch.data()).args(["user", "list", "--json"]))?;
        let users = users["users"].as_array().into_iter().flatten();
        let owner = users.filter(|user| user["role"] == "owner").find_map(|user| user["email"].as_str());
        let owner = owner.ok_or_else(|| Problem::new("the sample household has no owner"))?;
        let link = asked(programs.command("app", &scratch.data()).args(["user", "reset-password", owner, "--json"]))?;
        let link = link["url"].as_str().unwrap_or_default();
        // A path where no setting says how browsers find this Hearth.
        Ok(if link.starts_with('/') { format!("{}{link}", self.address()) } else { link.to_owned() })
    }

    /// Waits for its end.
    pub(super) async fn ended(&mut self) -> String {
        match ended(&mut self.child).await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Ends it. It takes at most its own time for that, and ends all that it started.
    pub(super) async fn stop(&mut self) {
        if let (Ok(None), Ok(pid)) = (self.child.try_wait(), i32::try_from(self.child.id())) {
            if let Err(error) = kill(Pid::from_raw(pid), Signal::SIGTERM) {
                say(format_args!("cannot stop the supervisor, process {pid}: {error}"));
            }
            self.ended().await;
        }
    }
}

/// What the supervisor on this data directory says of itself.
fn status(programs: &Programs, scratch: &Scratch) -> Option<Value> {
    let output = output(programs.command("supervisor", &scratch.data()).args(["status", "--json"])).ok()?;
    serde_json::from_slice(&output.stdout).ok()
}

/// Runs a command that prints a JSON document.
fn asked(command: &mut Command) -> Result<Value, Problem> {
    let arguments = command.get_args().map(|argument| argument.to_string_lossy());
    let words = std::iter::once(command.get_program().to_string_lossy()).chain(arguments).collect::<Vec<_>>().join(" ");
    let output = output(command).map_err(|error| Problem::new(format!("cannot run {words}: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Problem::new(format!("{words} failed: {}", said.trim())));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| Problem::new(format!("what {words} prints is no JSON document: {error}")))
}
