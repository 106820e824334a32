//! An app for the supervisor's tests that behaves as told, for what a good app never does.
//!
//! `TEST_APP` is a comma list: `stubborn` (ignores TERM), `exit=N` (its status at TERM), `die=N` (ends by itself
//! with N, once ready), `orphans=N` (leaves N orphans behind, in waves), `escape` (double-forks a process that
//! lives on), `blocking` (clears O_NONBLOCK on the public socket and ends), `shutdown` (shuts the public socket
//! down and ends), `shutdown-tailscale` (the one of that name), `mute` (never says READY), `deaf` (stops answering health checks once ready), `pong`
//! (sends the watchdog one sign of life and no more), `flood` (never stops sending notifications, from its start on), `eat=N` (takes N MiB of memory, once ready). `once=FILE` limits what follows it to the first start.
//! In probation it behaves well, but that it refuses a setting (`HEARTH_HTTP__HOSTS=refused`) as in any start, and where it is told that its database was restored, it marks it with `TEST_MARK` (SQLite's
//! `user_version`) and leaves that in the WAL. `TEST_VERSION` is the version it says it has, if it is to say one. What it received is written to `TEST_LOG`, a word a line. Both variables can also be its
//! arguments, as for env(1): a released supervisor hands on no variables of tests.

use std::{
    fs::File,
    io::{Read, Write},
    net::TcpListener,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::net::{UnixDatagram, UnixListener},
    },
    process::exit,
    thread,
    time::Duration,
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::{
        signal::{SigSet, Signal},
        socket::{Shutdown, shutdown},
    },
    unistd::{ForkResult, fork, setsid},
};

/// Returns what a test says, in a variable or an argument.
fn told(name: &str) -> Option<String> {
    let argument =
        std::env::args().find_map(|argument| Some(argument.strip_prefix(name)?.strip_prefix('=')?.to_owned()));
    argument.or_else(|| std::env::var(name).ok())
}

struct Orders(Vec<String>);

impl Orders {
    fn read() -> Self {
        let mut text = told("TEST_APP").unwrap_or_default();
        if std::env::var_os("HEARTH_PROBATION").is_some() {
            text.clear();
        }
        let mut orders = Vec::new();
        for order in text.split(',') {
            if let Some(file) = order.strip_prefix("once=") {
                if File::options().write(true).create_new(true).open(file).is_err() {
                    break;
                }
            } else {
                orders.push(order.to_owned());
            }
        }
        Self(orders)
    }

    fn has(&self, word: &str) -> bool {
        self.0.iter().any(|order| order == word)
    }

    fn number(&self, word: &str) -> Option<i32> {
        self.0.iter().find_map(|order| order.strip_prefix(word)?.strip_prefix('=')?.parse().ok())
    }
}

fn log(word: &str) {
    if let Some(path) = told("TEST_LOG") {
        let mut file = File::options().append(true).create(true).open(path).expect("TEST_LOG can be written");
        writeln!(file, "{word}").expect("TEST_LOG can be written");
    }
}

fn notify(words: &str) {
    let Ok(address) = std::env::var("NOTIFY_SOCKET") else { return };
    let socket = UnixDatagram::unbound().expect("a socket");
    let _ = match address.strip_prefix('@') {
        Some(name) => {
            use std::os::linux::net::SocketAddrExt;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name).expect("a name");
            socket.send_to_addr(words.as_bytes(), &address)
        }
        None => socket.send_to(words.as_bytes(), address),
    };
}

/// Sends notifications as fast as they are taken, and does not heed that nobody takes them.
fn flood() {
    let Ok(address) = std::env::var("NOTIFY_SOCKET") else { return };
    let socket = UnixDatagram::unbound().expect("a socket");
    // For it to stay full: what is sent waits for room.
    for number in 0_u64.. {
        let _ = socket.send_to(format!("STATUS=flood {number}").as_bytes(), &address);
    }
}

fn own(descriptor: RawFd) -> OwnedFd {
    // SAFETY: the supervisor put a listening socket at this place for this process, and each is taken once.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

fn answer(stream: impl Read + Write) {
    let version = told("TEST_VERSION").map(|version| format!(r#","version":"{version}""#)).unwrap_or_default();
    answer_with(stream, &format!(r#"{{"status":"ok"{version}}}"#));
}

fn answer_with(mut stream: impl Read + Write, body: &str) {
    let mut request = [0_u8; 1024];
    let _ = stream.read(&mut request);
    let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
}

/// Writes to the database as the app does to one that was restored, and leaves the connection open until the end, and so
/// what was written in the WAL.
fn mark_database(mark: &str) {
    let database = std::env::var("HEARTH_DATABASE").expect("HEARTH_DATABASE");
    let connection = rusqlite::Connection::open(database).expect("the database opens");
    connection
        .execute_batch(&format!("PRAGMA journal_mode = WAL; PRAGMA user_version = {mark}"))
        .expect("the database can be written to");
    std::mem::forget(connection);
}

/// Answers on the socket of `tailscale serve`, whichever kind it is.
fn answer_tailscale(socket: OwnedFd) {
    const BODY: &str = r#"{"status":"ok","socket":"tailscale"}"#;
    let is_unix = nix::sys::socket::getsockname::<nix::sys::socket::UnixAddr>(socket.as_raw_fd()).is_ok();
    thread::spawn(move || {
        if is_unix {
            let listener = UnixListener::from(socket);
            listener.set_nonblocking(false).expect("flags can be set");
            listener.incoming().flatten().for_each(|stream| answer_with(stream, BODY));
        } else {
            let listener = TcpListener::from(socket);
            listener.set_nonblocking(false).expect("flags can be set");
            listener.incoming().flatten().for_each(|stream| answer_with(stream, BODY));
        }
    });
}

fn fork_away(work: impl FnOnce()) {
    // SAFETY: the child runs only `work`, which forks, sleeps or ends, and never returns here.
    match unsafe { fork() }.expect("a fork") {
        ForkResult::Parent { child } => {
            let _ = nix::sys::wait::waitpid(child, None);
        }
        ForkResult::Child => {
            work();
            // SAFETY: ends the forked child at once, without this process's exit handlers.
            unsafe { nix::libc::_exit(0) }
        }
    }
}

fn main() {
    if std::env::args().any(|argument| argument == "--version") {
        println!("app {}", told("TEST_VERSION").unwrap_or_default());
        return;
    }
    let orders = Orders::read();
    let mut signals = SigSet::empty();
    for signal in [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGHUP,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGWINCH,
    ] {
        signals.add(signal);
    }
    signals.thread_block().expect("signals can be blocked");
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    assert_eq!(std::env::var("LISTEN_PID").ok(), Some(std::process::id().to_string()), "LISTEN_PID is this process");
    let place =
        |name: &str| names.split(':').position(|here| here == name).map(|at| 3 + i32::try_from(at).unwrap_or(0));
    log("started");
    for (name, value) in std::env::vars() {
        if ["HEARTH_", "LISTEN_", "NOTIFY_", "WATCHDOG_"].iter().any(|prefix| name.starts_with(prefix)) {
            log(&format!("environment {name}"));
            log(&format!("value {name}={value}"));
        }
    }
    if std::env::var("HEARTH_HTTP__HOSTS").is_ok_and(|hosts| hosts == "refused") {
        notify("STATUS=http.hosts cannot be used: it is refused");
        exit(2);
    }
    if std::env::var_os("HEARTH_RESTORED").is_some()
        && let Some(mark) = told("TEST_MARK")
    {
        mark_database(&mark);
    }

    if orders.has("escape") {
        fork_away(|| {
            let _ = setsid();
            // SAFETY: as in `fork_away`; this grandchild only sleeps.
            if let Ok(ForkResult::Child) = unsafe { fork() } {
                log(&format!("escaped {}", std::process::id()));
                thread::sleep(Duration::from_secs(600));
            }
        });
    }
    if let Some(public) = place("public") {
        let public = TcpListener::from(own(public));
        if orders.has("blocking") {
            fcntl(&public, FcntlArg::F_SETFL(OFlag::empty())).expect("flags can be set");
            exit(7);
        }
        if orders.has("shutdown") {
            shutdown(public.as_raw_fd(), Shutdown::Both).expect("the socket can be shut down");
            exit(7);
        }
        thread::spawn(move || {
            public.set_nonblocking(false).expect("flags can be set");
            for stream in public.incoming().flatten() {
                thread::spawn(move || answer(stream));
            }
        });
    }
    if let Some(socket) = place("tailscale").map(own) {
        if orders.has("shutdown-tailscale") {
            shutdown(socket.as_raw_fd(), Shutdown::Both).expect("the socket can be shut down");
            exit(7);
        }
        answer_tailscale(socket);
    }
    if let Some(private) = place("private") {
        let private = UnixListener::from(own(private));
        let deaf = orders.has("deaf");
        thread::spawn(move || {
            private.set_nonblocking(false).expect("flags can be set");
            for (count, stream) in private.incoming().flatten().enumerate() {
                if deaf && count > 0 {
                    thread::sleep(Duration::from_secs(600));
                }
                answer(stream);
            }
        });
    }
    if let Some(count) = orders.number("orphans") {
        thread::spawn(move || {
            for _ in 0..count {
                fork_away(|| {
                    // SAFETY: as in `fork_away`; this grandchild ends at once, an orphan.
                    let _ = unsafe { fork() };
                });
            }
            log("orphaned");
        });
    }
    if orders.has("flood") {
        thread::spawn(flood);
    }
    if !orders.has("mute") {
        notify("READY=1\nSTATUS=as strange as told");
    }
    if orders.has("pong") {
        notify("WATCHDOG=1");
    }
    if let Some(mebibytes) = orders.number("eat") {
        log("eating");
        // Written to, and kept: only then it is really taken.
        let eaten: Vec<Vec<u8>> = (0..mebibytes).map(|_| vec![1; 1 << 20]).collect();
        log(&format!("ate {}", eaten.len()));
    }
    if let Some(status) = orders.number("die") {
        log("dying");
        exit(status);
    }
    loop {
        let signal = signals.wait().expect("a signal");
        log(signal.as_str());
        let stop = matches!(signal, Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT);
        if stop && !orders.has("stubborn") {
            exit(orders.number("exit").unwrap_or(0));
        }
    }
}
