//! What does `app serve` do, from its first moment to its last?
//!
//! Take the sockets, open the database, test it (in probation), become ready, answer, and, when told to stop,
//! finish what is under way and close the database.

use std::{marker::PhantomData, net::SocketAddr, sync::Arc, time::Duration};

use poem::listener::UnixAcceptor;
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinHandle,
    time::Instant,
};

use crate::{
    app,
    audit::backup_audit::HeardBackups,
    auth::{self, Accounts, tailscale::Peer},
    config::Config,
    db::{Access, Database, READERS},
    failure::Failure,
    fallback, fault,
    http::{Budget, CookieNames, Entrance, Hosts, Proxies, Public, ServeSocket, Server, Sockets, Stop, TcpAcceptor},
    instance::{Health, News},
    log::ALWAYS,
    notify::Notifier,
    records::{self, Attachments},
    sign_in::{SignIn, setup},
};

/// Threads that answer requests: one more than may wait for the disk at a time.
const WORKERS: usize = READERS + 1;

/// What is kept of the grace period for closing the database after the last request.
const CLOSING: Duration = Duration::from_secs(1);

/// Runs the server until it is told to stop.
pub(crate) fn run(config: &Config) -> Result<(), Failure> {
    hit("app.started")?;
    let notifier = Notifier::from_env()?;
    let outcome = Sockets::open(config).and_then(|sockets| {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .enable_all()
            .build()
            .map_err(|error| Failure::new(format!("the runtime cannot be started: {error}")))?;
        let outcome = runtime.block_on(live(config, sockets, notifier.clone()));
        // Whatever was cut off must not delay the end.
        runtime.shutdown_background();
        outcome
    });
    if let Err(failure) = &outcome {
        notifier.status(&failure.to_line());
    }
    outcome
}

async fn live(config: &Config, sockets: Sockets, notifier: Notifier) -> Result<(), Failure> {
    let mut signals = Signals::install()?;
    tokio::spawn(notifier.clone().heartbeat());
    if config.fallback {
        fallback::begin();
        tracing::info!(
            "This version serves in place of a newer one: until that takes over, nothing is deleted for good"
        );
    }
    // What is proven is only read, but for what a restore must not bring back to life.
    let access = if config.probation && !config.restored { Access::Read } else { Access::Write };
    let database = tokio::select! {
        opened = Database::open(&config.database, access) => Arc::new(opened?),
        () = signals.stop() => {
            notifier.stopping();
            return Ok(());
        }
    };
    let outcome = tokio::select! {
        running = start(config, sockets, &database, &notifier) => match running {
            Ok(running) => running.until_stopped(config, signals, &notifier).await,
            Err(failure) => Err(failure),
        },
        // Nothing is under way yet.
        () = signals.stop() => {
            notifier.stopping();
            Ok(())
        }
    };
    database.close().await;
    if outcome.is_ok() {
        tracing::info!("Stopped");
    }
    outcome
}

/// The app while it answers.
struct Running {
    /// On each of the household's entrances.
    public: Vec<JoinHandle<usize>>,
    private: Option<JoinHandle<usize>>,
    stop_public: watch::Sender<Option<Instant>>,
    stop_private: watch::Sender<Option<Instant>>,
}

/// Tests what there is to test and begins to answer.
async fn start(
    config: &Config,
    sockets: Sockets,
    database: &Arc<Database>,
    notifier: &Notifier,
) -> Result<Running, Failure> {
    hit("app.opened")?;
    app::check_schema(database).await?;
    let health = Health::new(database.clone(), &config.database, &config.files);
    let news = News::default();
    let attachments = Attachments::new(&config.files, config.attachments);
    if config.probation {
        app::self_test(database, &health, &attachments.store).await?;
        hit("app.tested")?;
        if config.restored {
            auth::restored::void(database).await?;
            records::begin_epoch(database).await?;
        }
    } else {
        records::fold_stale(database).await?;
        auth::email_keys::fill(database).await?;
    }
    if !config.probation {
        if !config.fallback {
            tokio::spawn(attachments.clone().tidy());
        }
        tokio::spawn(attachments.clone().read_texts(database.clone()));
    }
    #[cfg(feature = "faults")]
    planted_fault(database, &health, config.probation, Stage::BeforeReady).await;

    let (stop_public, public_stop) = Stop::channel();
    let (stop_private, private_stop) = Stop::channel();
    let unusable = |error: std::io::Error| Failure::new(format!("a socket cannot be used: {error}"));
    let backups = (!config.probation).then(|| HeardBackups::new(database.clone()));
    let private = match sockets.private {
        Some(listener) => Some(tokio::spawn(
            Server {
                acceptor: UnixAcceptor::from_std(listener).map_err(unusable)?,
                app: app::private(database, &attachments.store, &health, &news, backups),
                proxies: Proxies::default(),
                stop: private_stop,
                peer: PhantomData::<()>,
            }
            .run(),
        )),
        None => None,
    };
    let hosts = Arc::new(Hosts::new(&config.http));
    let cookies = CookieNames::of(database.instance().await?);
    let accounts = Accounts::new(database.clone(), &config.http, &config.auth, cookies);
    let sign_in = Arc::new(SignIn::new(Arc::new(accounts), &config.database)?);
    if let Some(admin) = config.auth.admin.as_ref().filter(|_| config.probation) {
        setup::owner_by_settings(&sign_in, admin).await?;
    }
    if sockets.public.is_some() {
        open_the_house(&sign_in, config).await?;
    }
    let budget = Budget::default();
    let app = |entrance| app::public(entrance, &hosts, &sign_in, &health, &news, &attachments, &budget);
    let mut public = Vec::new();
    if let Some(socket) = sockets.public {
        announce(&socket);
        let proxies = Proxies::new(&config.http.trusted_proxies);
        let acceptor = TcpAcceptor::from_std(socket.listener).map_err(unusable)?;
        public.push(tokio::spawn(
            Server {
                acceptor,
                app: app(Entrance::Public)?,
                proxies,
                stop: public_stop.clone(),
                peer: PhantomData::<Peer>,
            }
            .run(),
        ));
    }
    if let Some(socket) = sockets.tailscale {
        announce_serve(&socket);
        let (app, proxies, stop) = (app(Entrance::TailscaleServe)?, Proxies::all(), public_stop);
        public.push(match socket {
            ServeSocket::Tcp(listener, _) => {
                let acceptor = TcpAcceptor::from_std(listener).map_err(unusable)?;
                tokio::spawn(Server { acceptor, app, proxies, stop, peer: PhantomData::<Peer> }.run())
            }
            ServeSocket::Unix(listener) => {
                let acceptor = UnixAcceptor::from_std(listener).map_err(unusable)?;
                tokio::spawn(Server { acceptor, app, proxies, stop, peer: PhantomData::<Peer> }.run())
            }
        });
    }
    if !config.probation && !config.fallback {
        tokio::spawn(records::empty_trash(database.clone()));
    }
    notifier.ready(if config.probation { "Every query could be read" } else { "Serving" });
    hit("app.ready")?;
    if !config.probation {
        hit("app.serving")?;
    }
    #[cfg(feature = "faults")]
    planted_fault(database, &health, config.probation, Stage::AfterReady).await;
    Ok(Running { public, private, stop_public, stop_private })
}

/// Sees to it that somebody can become the owner, and says how.
async fn open_the_house(sign_in: &SignIn, config: &Config) -> Result<(), Failure> {
    if let Some(admin) = &config.auth.admin {
        setup::by_settings(sign_in, admin).await?;
    }
    if let Some(code) = setup::code(&sign_in.database, &config.database).await? {
        tracing::info!(
            target: ALWAYS,
            "This instance has no owner yet. Open it in a browser and enter this set-up code to become the owner:"
        );
        tracing::info!(target: ALWAYS, "    {code}");
    }
    Ok(())
}

fn announce(public: &Public) {
    if !public.inherited {
        // Under the supervisor this line is the supervisor's.
        tracing::info!("Starting server v{}...", env!("CARGO_PKG_VERSION"));
        tracing::info!("No socket was inherited: listening on one of its own");
    }
    tracing::info!("Serving on http://{}", to_open(public.address));
}

/// Returns an address as this machine's browsers open it: nobody opens 0.0.0.0.
fn to_open(address: SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("localhost:{}", address.port()),
        false => address.to_string(),
    }
}

fn announce_serve(socket: &ServeSocket) {
    match socket {
        ServeSocket::Tcp(_, address) => {
            tracing::info!("Serving `tailscale serve` on http://{address}");
            if !address.ip().is_loopback() {
                tracing::warn!(
                    "Anyone who reaches {address} other than through `tailscale serve` can sign in as any user. Do not publish this \
                     port"
                );
            }
        }
        ServeSocket::Unix(_) => tracing::info!("Serving `tailscale serve` on a unix socket"),
    }
}

impl Running {
    /// Answers until a signal says stop; then finishes what is under way.
    async fn until_stopped(self, config: &Config, mut signals: Signals, notifier: &Notifier) -> Result<(), Failure> {
        signals.stop().await;
        notifier.stopping();
        hit("app.stopping")?;
        let grace = config.stop.grace;
        let drain = grace.saturating_sub(CLOSING.min(grace / 2));
        tracing::info!("Stopping: finishing open requests");
        self.stop_public.send_replace(Some(Instant::now() + drain));
        let drained = async {
            let mut cut_off = 0;
            for server in self.public {
                cut_off += server.await.unwrap_or_default();
            }
            cut_off
        };
        let cut_off = {
            let mut drained = std::pin::pin!(drained);
            tokio::select! {
                cut_off = &mut drained => cut_off,
                // A second signal hastens.
                () = signals.stop() => {
                    self.stop_public.send_replace(Some(Instant::now()));
                    drained.await
                }
            }
        };
        if cut_off > 0 {
            let connections = if cut_off == 1 { "connection" } else { "connections" };
            tracing::warn!("{cut_off} {connections} did not finish in time; closed");
        }
        // The private socket answered until here: the supervisor sees a draining app as alive.
        self.stop_private.send_replace(Some(Instant::now()));
        if let Some(server) = self.private {
            let _ = server.await;
        }
        Ok(())
    }
}

/// The signals that reach the app. All are caught before anything else happens, so that none of them kills it.
struct Signals {
    term: Signal,
    int: Signal,
    quit: Signal,
}

impl Signals {
    fn install() -> Result<Self, Failure> {
        let catch = |kind| signal(kind).map_err(|error| Failure::new(format!("signals cannot be caught: {error}")));
        for (name, kind) in [
            ("HUP", SignalKind::hangup()),
            ("USR1", SignalKind::user_defined1()),
            ("USR2", SignalKind::user_defined2()),
            ("WINCH", SignalKind::window_change()),
        ] {
            tokio::spawn(ignore(name, catch(kind)?));
        }
        Ok(Self {
            term: catch(SignalKind::terminate())?,
            int: catch(SignalKind::interrupt())?,
            quit: catch(SignalKind::quit())?,
        })
    }

    /// Waits for the next signal that says stop.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
            _ = self.quit.recv() => {}
        }
    }
}

async fn ignore(name: &'static str, mut signal: Signal) {
    while signal.recv().await.is_some() {
        tracing::debug!("Signal {name} means nothing here");
    }
}

fn hit(point: &'static str) -> Result<(), Failure> {
    fault::hit(point).map_err(|error| Failure::new(format!("{error} (a test wants it so)")))
}

#[cfg(feature = "faults")]
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    BeforeReady,
    AfterReady,
}

/// Obeys the fault that a test's migration left in the database.
#[cfg(feature = "faults")]
async fn planted_fault(database: &Database, health: &Health, probation: bool, now: Stage) {
    let due = match probation {
        true => Stage::BeforeReady,
        false => Stage::AfterReady,
    };
    match fault::in_database(database.reads()).await {
        Some(fault::Kind::Unhealthy) => health.force_failing(),
        Some(fault::Kind::Crash) if now == due => fault::die(),
        Some(fault::Kind::Hang) if now == due => fault::hang(),
        _ => {}
    }
}
