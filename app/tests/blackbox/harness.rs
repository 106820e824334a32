//! Starts the real app and speaks to it.

use std::{
    ffi::CString,
    fmt::Display,
    fs,
    io::{BufRead, BufReader, Read},
    net::{TcpListener, TcpStream},
    os::{
        fd::{AsRawFd, RawFd},
        unix::{
            net::{UnixDatagram, UnixListener, UnixStream},
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use nix::{
    fcntl::{FcntlArg, fcntl},
    libc,
    sys::signal::{Signal, kill},
    unistd::{Pid, execve},
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::{
    client::{Answer, exchange, exchange_with_anything},
    served,
};

/// Longer than anything takes on a loaded machine; a test that waits that long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The cookie of a session over plain http, and over https.
pub(crate) const SESSION: &str = "hearth-0000002a";
pub(crate) const SESSION_HTTPS: &str = "__Host-hearth-0000002a";

/// A directory with a database as the migrator makes it, and a place for files.
pub(crate) struct Data {
    pub(crate) directory: TempDir,
}

/// The token of the owner whom [`Data::new`] makes; each request carries it that carries nothing else of the kind.
pub(crate) const OWNER: &str = "hearth_0000000000000000000000000000000000000000000";

impl Data {
    /// With an owner, who has the token [`OWNER`].
    pub(crate) fn new() -> Self {
        let data = Self::unowned();
        // A database that was used has one.
        if data.count("SELECT count(*) FROM user") == 0 {
            assert_eq!(data.add_person("owner", OWNER), 1);
        }
        data
    }

    /// Adds somebody with this role and a token good for everything, and returns their number.
    pub(crate) fn add_person(&self, role: &str, token: &str) -> i64 {
        add_person(&self.database(), role, token)
    }

    /// Just migrated: nobody owns it.
    pub(crate) fn unowned() -> Self {
        crate::watchdog::step();
        let directory = tempfile::tempdir().unwrap();
        let data = Self { directory };
        fs::create_dir(data.files()).unwrap();
        migrate(&data.database());
        data
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.directory.path().join("app.db")
    }

    pub(crate) fn files(&self) -> PathBuf {
        self.directory.path().join("files")
    }

    pub(crate) fn sql(&self, sql: &str) {
        rusqlite::Connection::open(self.database()).unwrap().execute_batch(sql).unwrap();
    }

    pub(crate) fn count(&self, sql: &str) -> i64 {
        rusqlite::Connection::open(self.database()).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    pub(crate) fn wal(&self) -> PathBuf {
        self.directory.path().join("app.db-wal")
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        served::keep(&self.database());
    }
}

/// Makes a database with the real migrator, as the supervisor does: from an empty file.
pub(crate) fn migrate(path: &Path) {
    if let Some(given) = served::database() {
        fs::copy(given, path).unwrap();
        return;
    }
    fs::write(path, "").unwrap();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(migrator::up(path, &migrator::Release::current(), &mut |_| {}))
        .unwrap();
    // Each instance has cookies of its own name: this one's number is 42.
    rusqlite::Connection::open(path).unwrap().execute_batch("PRAGMA user_version = 42").unwrap();
}

/// Adds somebody with this role to a database, with a token good for everything, and returns their number.
pub(crate) fn add_person(database: &Path, role: &str, token: &str) -> i64 {
    let connection = rusqlite::Connection::open(database).unwrap();
    let now = "2026-11-24T12:00:00.000Z";
    let count: i64 = connection.query_row("SELECT count(*) FROM user", [], |row| row.get(0)).unwrap();
    connection
        .execute(
            // With its key, so that a start has nothing to write.
            "INSERT INTO user (name, email, email_key, role, created_at, updated_at) VALUES (?1, ?2, ?2, ?3, ?4, ?4)",
            [format!("The {role}"), format!("{role}{count}@example.org"), role.to_owned(), now.to_owned()],
        )
        .unwrap();
    let id = connection.last_insert_rowid();
    connection
        .execute(
            // Used in the future: a use is not written down, beside what a test looks at.
            "INSERT INTO api_token (user_id, name, token_hash, scope, created_at, last_used_at)
             VALUES (?1, 'test', ?2, 'admin', ?3, '2999-01-01T00:00:00.000Z')",
            rusqlite::params![id, digest(token), now],
        )
        .unwrap();
    id
}

/// What the app is started with.
pub(crate) struct Start<'a> {
    data: &'a Data,
    program: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    sockets: Option<&'static [&'static str]>,
    watchdog: Option<Duration>,
    public: Option<TcpListener>,
}

impl<'a> Start<'a> {
    /// Alone, on a port of its own choice.
    pub(crate) fn alone(data: &'a Data) -> Self {
        let start = Self {
            data,
            program: served::program(),
            arguments: Vec::new(),
            environment: Vec::new(),
            sockets: None,
            watchdog: None,
            public: None,
        };
        start.listening("127.0.0.1:0")
    }

    /// At this address.
    pub(crate) fn listening(mut self, address: &str) -> Self {
        self.arguments = ["serve", "--listen", address].map(String::from).into();
        self
    }

    /// As the supervisor does it, with these inherited sockets.
    pub(crate) fn with_sockets(data: &'a Data, names: &'static [&'static str]) -> Self {
        Self { arguments: vec!["serve".to_owned()], sockets: Some(names), ..Self::alone(data) }
    }

    /// As the supervisor does it for a database that is being proven.
    pub(crate) fn probation(data: &'a Data) -> Self {
        Self::with_sockets(data, &["private"]).env("HEARTH_PROBATION", "1")
    }

    /// Another program than the one that is tested.
    pub(crate) fn program(mut self, program: &str) -> Self {
        program.clone_into(&mut self.program);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl Display) -> Self {
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn watchdog(mut self, limit: Duration) -> Self {
        self.watchdog = Some(limit);
        self
    }

    /// Passes this socket as the public one, besides those named.
    pub(crate) fn inheriting(mut self, public: TcpListener) -> Self {
        self.public = Some(public);
        self
    }

    /// Starts and does not wait for anything.
    pub(crate) fn spawn(self) -> App {
        crate::watchdog::step();
        let directory = tempfile::tempdir().unwrap();
        let notify = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        notify.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let private = directory.path().join("private");
        let mut environment = vec![
            ("HEARTH_DATABASE".to_owned(), self.data.database().display().to_string()),
            ("HEARTH_FILES".to_owned(), self.data.files().display().to_string()),
            ("NOTIFY_SOCKET".to_owned(), directory.path().join("notify").display().to_string()),
        ];
        if let Some(limit) = self.watchdog {
            environment.push(("WATCHDOG_USEC".to_owned(), limit.as_micros().to_string()));
        }
        // All of it as it is while this app serves in place of a newer one: what does not go for good then is known.
        if std::env::var_os("HEARTH_TEST_FALLBACK").is_some() {
            environment.push(("HEARTH_FALLBACK".to_owned(), "1".to_owned()));
        }
        environment.extend(self.environment);
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut listeners = Listeners::default();
        if let Some(names) = self.sockets {
            for name in names {
                match *name {
                    "public" => listeners.add_tcp(TcpListener::bind("127.0.0.1:0").unwrap()),
                    name => listeners.add_unix(UnixListener::bind(directory.path().join(name)).unwrap()),
                }
            }
            let mut names = names.to_vec();
            if let Some(listener) = self.public {
                names.push("public");
                listeners.add_tcp(listener);
            }
            environment.push(("LISTEN_FDNAMES".to_owned(), names.join(":")));
            inherit(&mut command, &self.program, &self.arguments, &environment, &listeners.descriptors);
        }
        let mut child = command.spawn().unwrap();
        let log = Log::of(child.stderr.take().unwrap());
        App {
            child,
            log,
            notify,
            private,
            address: listeners.public.as_ref().map(|socket| socket.local_addr().unwrap().to_string()),
            listeners,
            database: self.data.database(),
            directory,
            said: Mutex::default(),
        }
    }

    /// Starts and waits until the app can be asked.
    pub(crate) fn start(self) -> App {
        let alone = self.sockets.is_none();
        let mut app = self.spawn();
        app.wait_said("READY=1");
        if alone {
            let line = app.log.wait("Serving on http://");
            // In a log of JSON a quotation mark ends it.
            app.address = line.split("http://").nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned);
        }
        app
    }
}

/// The supervisor's copies of the sockets.
#[derive(Default)]
pub(crate) struct Listeners {
    pub(crate) public: Option<TcpListener>,
    private: Option<UnixListener>,
    descriptors: Vec<RawFd>,
}

impl Listeners {
    fn add_tcp(&mut self, listener: TcpListener) {
        self.descriptors.push(high(listener.as_raw_fd(), &listener));
        self.public = Some(listener);
    }

    fn add_unix(&mut self, listener: UnixListener) {
        self.descriptors.push(high(listener.as_raw_fd(), &listener));
        self.private = Some(listener);
    }
}

/// A duplicate far above the numbers that dup2 writes to.
fn high(_: RawFd, descriptor: impl std::os::fd::AsFd) -> RawFd {
    fcntl(descriptor, FcntlArg::F_DUPFD_CLOEXEC(200)).unwrap()
}

/// Makes the child take `descriptors` to 3, 4, … and say so with its own pid, as sd_listen_fds(3) wants it.
fn inherit(
    command: &mut Command,
    program: &str,
    arguments: &[String],
    environment: &[(String, String)],
    descriptors: &[RawFd],
) {
    let text = |text: String| CString::new(text).unwrap();
    let program = text(program.to_owned());
    let mut argv = vec![program.clone()];
    argv.extend(arguments.iter().cloned().map(text));
    let environment: Vec<_> = environment.iter().map(|(name, value)| text(format!("{name}={value}"))).collect();
    let descriptors = descriptors.to_owned();
    // SAFETY: between fork and exec this allocates a little, which glibc allows after a fork (it takes its own
    // locks around it), and otherwise calls dup2 and execve only.
    unsafe {
        command.pre_exec(move || {
            for (descriptor, target) in descriptors.iter().zip(3..) {
                if libc::dup2(*descriptor, target) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            let mut environment = environment.clone();
            for variable in [format!("LISTEN_FDS={}", descriptors.len()), format!("LISTEN_PID={}", std::process::id())]
            {
                environment.push(CString::new(variable)?);
            }
            Err(match execve(&program, &argv, &environment) {
                Err(error) => error.into(),
                Ok(never) => match never {},
            })
        });
    }
}

/// The running app.
pub(crate) struct App {
    pub(crate) child: Child,
    pub(crate) log: Log,
    notify: UnixDatagram,
    pub(crate) private: PathBuf,
    pub(crate) address: Option<String>,
    pub(crate) listeners: Listeners,
    database: PathBuf,
    #[allow(dead_code, reason = "removed when the app is dropped")]
    directory: TempDir,
    said: Mutex<Vec<String>>,
}

impl App {
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits for the exit and returns its status.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        eventually("the app's exit", || self.child.try_wait().unwrap())
    }

    /// Tells the app to stop and expects it to do so with status 0.
    pub(crate) fn stop(mut self) -> Vec<String> {
        self.signal(Signal::SIGTERM);
        let status = self.wait();
        let lines = self.log.lines();
        assert!(status.success(), "{status}: {lines:#?}");
        lines
    }

    /// Everything that came by the notify protocol so far, one `KEY=value` each.
    pub(crate) fn said(&self) -> Vec<String> {
        let mut said = self.said.lock().unwrap();
        let mut buffer = [0; 4096];
        while let Ok(length) = self.notify.recv(&mut buffer) {
            let text = std::str::from_utf8(&buffer[..length]).unwrap();
            said.extend(text.lines().map(str::to_owned));
        }
        said.clone()
    }

    /// Waits for a message of the notify protocol that begins like this.
    pub(crate) fn wait_said(&self, beginning: &str) -> String {
        eventually(&format!("{beginning} of\n{:#?}", self.log.lines()), || {
            self.said().into_iter().find(|line| line.starts_with(beginning))
        })
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address.as_deref().unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a request on a connection of its own.
    ///
    /// It is the owner's, unless its headers say who asks; [`App::ask_as_nobody`] is for nobody. Where no token will do,
    /// the user of the token is signed in.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let says_who = |(name, _): &(&str, &str)| matches!(*name, "authorization" | "cookie");
        let bearer = match headers.iter().filter(|header| says_who(header)).collect::<Vec<_>>()[..] {
            [] => format!("Bearer {OWNER}"),
            [(_, value)] => (*value).to_owned(),
            _ => return self.ask_as_nobody(method, path, headers, body),
        };
        let Some(token) = bearer.strip_prefix("Bearer ") else {
            return self.ask_as_nobody(method, path, headers, body);
        };
        let mut headers: Vec<_> = headers.iter().filter(|header| !says_who(header)).copied().collect();
        let cookie;
        if takes_a_user(method, path) {
            cookie = self.session_of(token);
            headers.extend([("cookie", &*cookie), ("sec-fetch-site", "same-origin")]);
        } else {
            headers.push(("authorization", &bearer));
        }
        self.ask_as_nobody(method, path, &headers, body)
    }

    /// Returns the cookie of a session, just begun, of the user of this token.
    pub(crate) fn session_of(&self, token: &str) -> String {
        let connection = rusqlite::Connection::open(&self.database).unwrap();
        connection.busy_timeout(PATIENCE).unwrap();
        connection
            .execute(
                "INSERT OR IGNORE INTO session
                     (user_id, token_hash, method, address, user_agent, created_at, last_seen_at, expires_at)
                 SELECT user_id, token_hash, 'password', '', '', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'),
                     '2999-01-01T00:00:00.000Z', '2999-01-01T00:00:00.000Z'
                 FROM api_token WHERE token_hash = ?1",
                [digest(token)],
            )
            .unwrap();
        format!("{SESSION}={token}")
    }

    /// Sends a request with these headers and no others on a connection of its own.
    pub(crate) fn ask_as_nobody(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        exchange(self.connect(), method, path, headers, body)
    }

    /// Sends JSON as whoever has this token.
    pub(crate) fn send_as(&self, token: &str, method: &str, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", &*bearer), ("content-type", "application/json")];
        self.ask(method, path, &headers, body.to_string().as_bytes())
    }

    /// Connects from this address of the machine.
    pub(crate) fn connect_from(&self, address: &str) -> TcpStream {
        let target: std::net::SocketAddr = self.address.as_deref().unwrap().parse().unwrap();
        let socket = nix::sys::socket::socket(
            nix::sys::socket::AddressFamily::Inet,
            nix::sys::socket::SockType::Stream,
            nix::sys::socket::SockFlag::SOCK_CLOEXEC,
            None,
        )
        .unwrap();
        let from: std::net::SocketAddrV4 = format!("{address}:0").parse().unwrap();
        nix::sys::socket::bind(socket.as_raw_fd(), &nix::sys::socket::SockaddrIn::from(from)).unwrap();
        let std::net::SocketAddr::V4(target) = target else { panic!("{target}") };
        nix::sys::socket::connect(socket.as_raw_fd(), &nix::sys::socket::SockaddrIn::from(target)).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends JSON as nobody from this address of the machine.
    pub(crate) fn ask_from(&self, address: &str, method: &str, path: &str, body: &[u8]) -> Answer {
        exchange(self.connect_from(address), method, path, &[("content-type", "application/json")], body)
    }

    /// Asks as whoever has this token.
    pub(crate) fn get_as(&self, token: &str, path: &str) -> Answer {
        self.ask("GET", path, &[("authorization", &format!("Bearer {token}"))], b"")
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    pub(crate) fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let json = ("content-type", "application/json");
        self.ask(method, path, &[json], body.to_string().as_bytes())
    }

    pub(crate) fn create(&self, body: &Value) -> Value {
        let answer = self.send("POST", "/api/v1/records", body);
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()
    }

    /// Asks on the private socket.
    pub(crate) fn ask_private(&self, path: &str) -> Answer {
        self.ask_private_with(path, &[])
    }

    pub(crate) fn ask_private_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let stream = UnixStream::connect(&self.private).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        exchange_with_anything(stream, "GET", path, headers, b"")
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for descriptor in &self.listeners.descriptors {
            let _ = nix::unistd::close(*descriptor);
        }
    }
}

/// What the app writes to its standard error.
pub(crate) struct Log(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Log {
    fn of(stderr: impl Read + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let log = Self(shared.clone());
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                shared.0.lock().unwrap().push(line);
                shared.1.notify_all();
            }
        });
        log
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.0.lock().unwrap().clone()
    }

    /// Waits for a line with this text in it.
    pub(crate) fn wait(&self, text: &str) -> String {
        let end = Instant::now() + PATIENCE;
        let mut lines = self.0.0.lock().unwrap();
        loop {
            if let Some(line) = lines.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {text:?} in {lines:#?}");
            lines = self.0.1.wait_timeout(lines, left).unwrap().0;
        }
    }
}

/// What the database keeps of a token: its SHA-256 in lower-case hex.
pub(crate) fn digest(token: &str) -> String {
    Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether this is only for a user who is signed in.
fn takes_a_user(method: &str, path: &str) -> bool {
    let path = path.strip_prefix("/api/v1").unwrap_or(path);
    let own = ["/password", "/passkeys", "/totp", "/tokens", "/linked-accounts", "/account/"];
    let is_reset = |prefix| path.starts_with(prefix) && path.ends_with("/reset");
    method != "GET" && (own.iter().any(|own| path.starts_with(own)) || is_reset("/users/") || is_reset("/people/"))
}

/// Looks until there is something.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "never came: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
