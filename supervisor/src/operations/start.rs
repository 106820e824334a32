//! What comes before anything is touched?
//!
//! The settings, the lock, the sockets; then the job *start*, which probes the file systems, and recovers the data directory.

use std::{fs::DirBuilder, net::SocketAddr, os::unix::fs::DirBuilderExt, path::Path, time::Duration};

use crate::{
    app::lifecycle::{end_strays, point},
    config::{self, SandboxMode, ids::WishedIds},
    data::{
        DataDir, access,
        lock::Lock,
        view::{self, Live, View},
    },
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{Job, Start, child},
    process::{
        clone3,
        deadline::within,
        endpoint::Endpoint,
        listener::{self, ListeningSocket},
        programs::AppProgram,
        sandbox::{SandboxSupport, rules},
        spawn::Launch,
    },
};

/// How long a look at `backup.dir` may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the app may take to check its settings. One that does not come back from that is no reason to keep people waiting.
const CHECKING: Duration = Duration::from_secs(10);

/// Makes the data directory if it is not there, and takes its lock.
///
/// # Errors
/// [`Cause::Busy`] when another one holds the lock, after `lock.wait`; else why it cannot be taken.
pub async fn lock(instance: &Instance) -> Result<(), Failure> {
    if instance.lock.get().is_some() {
        return Ok(());
    }
    let data = &instance.data;
    make(data, data.path(), 0o750)?;
    make(data, &data.supervisor(), 0o700)?;
    let wait = instance.config.lock.wait;
    let lock = Lock::take(data, wait, |holder| {
        tracing::info!(target: "Supervisor", "waiting up to {} for the data directory, which is in use by {holder}", humantime::format_duration(wait));
    })
    .await?;
    let _ = instance.lock.set(lock);
    point("run.locked")
}

/// Binds the public socket, and that of `tailscale serve`, if there is to be one.
pub fn bind(instance: &Instance) -> Result<(), Failure> {
    let public = ListeningSocket::bind(Endpoint::Tcp(instance.config.listen), listener::PUBLIC)?;
    let address = public.endpoint().to_string();
    let open = address_to_open(instance, public.endpoint());
    instance.publisher.update(|status| {
        status.listen.clone_from(&address);
        status.open = open;
    });
    const PLAIN: &str = "without Tailscale, or a proxy with a certificate, passwords cross the network as plain text";
    let port = instance.config.listen.port();
    match instance.config.listen.ip() {
        ip if ip.is_loopback() => {}
        // Who reaches it is decided outside: compose.yml publishes on 127.0.0.1 only.
        ip if ip.is_unspecified() && access::in_container() => {
            tracing::info!(target: "Supervisor", "listening on port {port} of this container, at each address where the container publishes it; {PLAIN}");
        }
        ip if ip.is_unspecified() => {
            tracing::warn!(target: "Supervisor", "listening at all addresses of this machine ({address}): everyone who can reach one gets to the sign-in page; {PLAIN}");
        }
        _ => {
            tracing::warn!(target: "Supervisor", "listening on {address}: everyone who can reach this address gets to the sign-in page; {PLAIN}");
        }
    }
    let mut listeners = vec![("public", public)];
    if let Some(place) = instance.config.serves_tailscale() {
        let socket = ListeningSocket::bind(place, listener::IDENTITY)?;
        tracing::info!(target: "Supervisor", "listening on {} for tailscale serve, whose word on who somebody is counts there", socket.endpoint());
        listeners.push(("tailscale", socket));
    }
    instance.listeners.replace(listeners);
    point("run.bound")
}

/// Returns the address that people open: the one that they gave Hearth, else that of the socket, as this machine reaches it.
fn address_to_open(instance: &Instance, bound: &Endpoint) -> String {
    let names = instance.config.for_the_app.names();
    let public_url = names.into_iter().find(|(variable, _)| *variable == "HEARTH_HTTP__PUBLIC_URL");
    public_url.map_or_else(|| address_here(&bound.to_string()), |(_, url)| url)
}

/// Returns the address of a socket as this machine's browsers open it: nobody opens 0.0.0.0.
pub fn address_here(listen: &str) -> String {
    match listen.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_unspecified() => format!("http://localhost:{}", address.port()),
        _ => format!("http://{listen}"),
    }
}

/// Checks what only a job can tell of the settings, and only the app of its own. An app that is somebody else's says it when it is
/// started: [`refusal`](crate::app::lifecycle::App::refusal).
///
/// # Errors
/// [`Cause::Configuration`], with all that is wrong.
pub async fn check_settings(instance: &Instance) -> Result<(), Failure> {
    // What cannot be started or is of another version: the job start meets it too, and holds.
    let by_the_job = async {
        let unchecked = &instance.config.unchecked;
        match unchecked.is_empty() {
            true => Vec::new(),
            false => child::run(instance, Job::CheckSettings(unchecked.clone())).await.unwrap_or_default(),
        }
    };
    let by_the_app = async {
        match instance.programs.app.is_own() {
            true => within(CHECKING, mistakes(instance, &instance.programs.app, Vec::new()))
                .await
                .and_then(Result::ok)
                .unwrap_or_default(),
            false => Vec::new(),
        }
    };
    // Beside each other: the start waits for both.
    let (mut wrong, by_the_app): (Vec<Failure>, _) = tokio::join!(by_the_job, by_the_app);
    wrong.extend(by_the_app);
    if wrong.is_empty() { Ok(()) } else { Err(config::all(wrong)) }
}

/// Asks an app what is wrong with its settings, if any is set, and whether it answers to these names: `app check-settings` prints a failure a
/// line. It gets nothing else.
///
/// # Errors
/// What starting it met.
pub async fn mistakes(instance: &Instance, app: &AppProgram, hosts: Vec<String>) -> Result<Vec<Failure>, Failure> {
    if instance.config.for_the_app.is_empty() {
        return Ok(Vec::new());
    }
    let mut command = vec![app.program.path().display().to_string(), "check-settings".to_owned()];
    command.extend(hosts.into_iter().flat_map(|name| ["--host".to_owned(), name]));
    let mut launch = Launch::new(&app.program, command, instance.environment(), Vec::new());
    launch.environment.extend(instance.settings_of(app));
    let mut wrong = Vec::new();
    let exit = child::lines(instance, launch, |line| {
        wrong.extend(serde_json::from_slice::<Failure>(line));
        Ok(())
    })
    .await?;
    match exit.status() {
        0 => Ok(wrong),
        _ if !wrong.is_empty() => Ok(wrong),
        _ => Err(Failure::new(Cause::Launch, format!("it did not check its settings (app check-settings): it {exit}"))),
    }
}

/// Finds out how jobs can be confined, for a command that only looks.
pub async fn confinement(instance: &Instance) -> Result<(), Failure> {
    let mode = instance.config.sandbox.mode;
    let support = match mode {
        SandboxMode::Off => SandboxSupport::default(),
        SandboxMode::BestEffort | SandboxMode::Enforce => child::run(instance, Job::Sandbox(mode)).await?,
    };
    confine(instance, mode, support);
    Ok(())
}

/// Probes the data directory, removes what was never committed, and looks.
///
/// # Errors
/// What it cannot do, and what to do about it; without a live generation also that `backup.dir`, where the job has to look then,
/// does not answer.
pub async fn look(instance: &Instance) -> Result<View, Failure> {
    lock(instance).await?;
    // What a killed supervisor left running may still have the old database open.
    end_strays(instance).await;
    let mode = instance.config.sandbox.mode;
    let backups = instance.config.backup.dir.clone();
    let job = child::run::<Start>(instance, Job::Start { sandbox: mode, backups: backups.clone() });
    let Start { findings, support, view, time_zone } = match view::live(&instance.data) {
        Ok(Live::Generation(_)) => job.await?,
        _ => tokio::time::timeout(PATIENCE, job).await.unwrap_or_else(|_| {
            Err(Failure::new(Cause::Io, format!("there is no live generation, and whether there are backups cannot be told: {} (backup.dir) does not answer, or {} does not", backups.display(), instance.data.path().display()))
                .hint("is it a network mount whose server is gone? Nothing was changed"))
        })?,
    };
    tracing::debug!(filesystem = findings.filesystem, free_bytes = findings.free_bytes, "probed and recovered");
    instance.publisher.update(|status| status.time_zone = time_zone);
    confine(instance, mode, support);
    if support.is_whole() {
        tracing::info!(target: "Supervisor", "sandbox: {support}");
    }
    findings
        .notes
        .into_iter()
        .chain(clone3::is_masked().then(|| clone3::NOTE.to_owned()))
        .for_each(|note| instance.publisher.note(note));
    view.trouble.iter().chain(&view.state_trouble).for_each(|trouble| instance.publisher.note(trouble.clone()));
    Ok(view)
}

/// Has children confined by these means from here on, and says so.
fn confine(instance: &Instance, mode: SandboxMode, support: SandboxSupport) {
    instance.support.set(support);
    if support != SandboxSupport::default() && rules::temporary(&instance.data).is_none() {
        instance.publisher.note(format!(
            "there is no place for temporary files: something else has the name hearth-… in {}, or it cannot be written in",
            std::env::temp_dir().display()
        ));
    }
    let asks = instance.config.asks_tailscaled().filter(|_| support.seccomp);
    let lifted = asks.map(|_| "; the app may connect to unix sockets (auth.tailscale = localapi)").unwrap_or_default();
    instance.publisher.update(|status| status.sandbox = format!("{support}{lifted}"));
    if let Some(socket) = asks {
        tracing::warn!(target: "Supervisor", "sandbox: the app may connect to unix sockets, since it asks {} who somebody is (auth.tailscale = localapi)", socket.display());
    }
    if let Some(Endpoint::Tcp(address)) = instance.config.serves_tailscale() {
        listener::exposed(address).into_iter().for_each(|note| instance.publisher.note(note));
    }
    if mode == SandboxMode::Off {
        instance
            .publisher
            .note("sandbox.mode is off: an app that was taken over could read and destroy backups and snapshots");
    } else if support.landlock == 0 {
        instance.publisher.note(format!("sandbox: {support}; this kernel, or the container's seccomp profile, has no Landlock: an app that was taken over could read and destroy backups and snapshots"));
    } else if !support.seccomp {
        instance.publisher.note(format!("sandbox: {support}; system calls cannot be filtered: an app that was taken over could change modes and times of files, and signal the supervisor"));
    }
}

fn make(data: &DataDir, path: &Path, mode: u32) -> Result<(), Failure> {
    match DirBuilder::new().mode(mode).recursive(true).create(path) {
        Ok(()) => Ok(()),
        Err(_) if path.is_dir() => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory || path.exists() => {
            Err(Failure::new(Cause::Configuration, format!("{} is not a directory", path.display()))
                .hint("HEARTH_DATA_DIR or --data-dir names the data directory"))
        }
        Err(error) => Err(access::unwritable(data, path, &format!("cannot create {}", path.display()), &error)),
    }
}

/// Warns whoever sets `PUID` or `PGID`.
pub fn warn_of_wished_ids() {
    if let Some(warning) = ids_of_process() {
        tracing::warn!(target: "Supervisor", "{warning}");
    }
}

/// Returns the advice for an operator who has set `PUID` or `PGID` for this process.
pub fn ids_of_process() -> Option<String> {
    let own = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let WishedIds { names, user } = WishedIds::of(std::env::var("PUID").ok(), std::env::var("PGID").ok(), own)?;
    let how = match access::in_container() {
        true => format!(
            "give the container its user with: user: \"{user}\" (docker run: --user {user}; in .env: HEARTH_USER={user})"
        ),
        false => "start it as that user (under systemd: User= and Group= of the unit)".to_owned(),
    };
    Some(format!("{names} not used, since Hearth never runs as root to become another user; {how}"))
}

/// Checks that /proc shows this process's own PID namespace: processes are looked up there, and signalled by what is
/// found.
///
/// # Errors
/// A sentence with the command that mounts it.
pub fn see_processes() -> Result<(), Failure> {
    let seen = std::fs::read_link("/proc/self").ok().and_then(|link| link.to_str()?.parse().ok());
    if seen == Some(std::process::id()) {
        return Ok(());
    }
    Err(Failure::new(Cause::Configuration, "/proc is not mounted, or shows the processes of another PID namespace")
        .hint("mount it for this namespace: mount -t proc proc /proc (unshare does it with --mount-proc)"))
}
