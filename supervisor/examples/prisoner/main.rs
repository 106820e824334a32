//! A program for the sandbox's tests that was taken over completely, and tries what it can do.
//!
//! Started as the app it is a good one in its probation; then it makes its attempts, writes what came of each to
//! `attempts` beside its database, a line each (`denied` or `possible`, a tab, the attempt), and says READY. Started as the
//! migrator it prints `TEST_STATUS` for `status`, and for `up` makes its attempts, writes what came of them to `attempts`
//! among its temporary files, and fails. `TEST_PLACES` names what the attempts are made on: `<name>=<path>` in a comma list.

mod attempts;

use std::{
    env, fs,
    io::{Read, Write},
    os::{
        fd::{FromRawFd, OwnedFd},
        unix::net::{UnixDatagram, UnixListener},
    },
    path::{Path, PathBuf},
    thread,
};

fn main() {
    let words: Vec<String> = env::args().collect();
    if words.get(1).is_some_and(|word| word == "whoami") {
        // Started by itself, from a file with a set-user-ID bit.
        std::process::exit(if nix::unistd::geteuid().is_root() { 0 } else { 1 });
    }
    if words.get(1).is_some_and(|word| word == "again") {
        return;
    }
    let database = PathBuf::from(env::var_os("HEARTH_DATABASE").expect("HEARTH_DATABASE"));
    match words.get(1).map(String::as_str) {
        Some("status") => {
            println!("{}", env::var("TEST_STATUS").expect("TEST_STATUS"));
            return;
        }
        Some("up") => {
            write(&env::temp_dir().join("attempts"));
            std::process::exit(1);
        }
        _ => {}
    }
    let beside = database.parent().expect("a directory").join("attempts");
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let private = 3 + names.split(':').position(|name| name == "private").expect("a private socket");
    if env::var_os("HEARTH_PROBATION").is_none() {
        write(&beside);
    }
    // SAFETY: the supervisor put a listening socket at this place for this process, and it is taken once.
    let listener = UnixListener::from(unsafe { OwnedFd::from_raw_fd(i32::try_from(private).expect("a descriptor")) });
    thread::spawn(move || {
        listener.set_nonblocking(false).expect("flags can be set");
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let body = r#"{"status":"ok"}"#;
            let _ =
                write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        }
    });
    let socket = UnixDatagram::unbound().expect("a datagram socket");
    socket.send_to(b"READY=1", env::var("NOTIFY_SOCKET").expect("NOTIFY_SOCKET")).expect("the supervisor listens");
    loop {
        thread::park();
    }
}

fn write(path: &Path) {
    let mut text = String::new();
    for (attempt, outcome) in attempts::all() {
        text += &format!("{outcome}\t{attempt}\n");
    }
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, text).expect("what it may write");
    fs::rename(unfinished, path).expect("what it may write");
}
