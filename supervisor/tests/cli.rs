//! What the commands say and end with: of a healthy supervisor, of a stopped one, and to whoever may not ask.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    fs::{self, File},
    io::Read,
    os::{
        fd::AsRawFd,
        unix::{
            fs::{OpenOptionsExt, PermissionsExt},
            process::ExitStatusExt,
        },
    },
    process::{Command, Output, Stdio},
    time::Duration,
};

use harness::{Hearth, get, household, page, program, said, told};
use nix::{
    libc,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// A data directory with a record, at rest, live in generation 0002 with the snapshot 0001.
fn upgraded() -> Hearth {
    let mut hearth = Hearth::new();
    let mut running = hearth.start();
    household::add(running.wait_serving(), &household::record(1));
    running.stop();
    hearth.next_migrator("good", "9.1.0");
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    assert_eq!(hearth.live().as_deref(), Some("0002"));
    hearth
}

#[test]
fn on_a_terminal_what_matters_is_in_colour_unless_no_color_is_set() {
    let hearth = Hearth::new();
    let mut running = hearth.start();
    running.wait_serving();
    running.wait("healthy", || hearth.status().filter(|status| status["health"] == "healthy"));
    let on_terminal = |arguments: &str, (name, value): (&str, &str)| {
        let (supervisor, data) = (program("supervisor"), hearth.data.display());
        let line = format!("'{}' {arguments} --data-dir '{data}'", supervisor.display());
        let mut command = Command::new("script");
        command.args(["-qefc", &line, "/dev/null"]).stdin(Stdio::null());
        // The shell that `script` starts would complain of an odd locale.
        command.env_remove("NO_COLOR").env("LC_ALL", "C").env("TERM", "xterm").env(name, value);
        said(&command.output().unwrap())
    };
    // Set to nothing is not set: https://no-color.org.
    for variable in [("TERM", "xterm"), ("NO_COLOR", "")] {
        let status = on_terminal("status", variable);
        assert!(status.contains("\u{1b}[32mhealthy\u{1b}[0m"), "{status:?}");
        let failed = on_terminal("restore 99 --yes", variable);
        assert!(failed.contains("\u{1b}[1;31merror:\u{1b}[0m "), "{failed:?}");
    }
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "")] {
        for arguments in ["status", "restore 99 --yes"] {
            let plain = on_terminal(arguments, variable);
            assert!(!plain.is_empty() && !plain.contains('\u{1b}'), "{variable:?}: {plain:?}");
        }
    }
    let json = on_terminal("status --json", ("TERM", "xterm"));
    assert!(json.starts_with('{') && !json.contains('\u{1b}'), "{json:?}");
    assert!(!said(&hearth.run(&["status"])).contains('\u{1b}'));
    running.stop();
}

#[test]
fn commands_beside_a_stopped_instance_say_stopped_and_how_it_is_started() {
    let hearth = Hearth::new();
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    assert_says_stopped(&hearth, "start it with: supervisor;");
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn commands_in_a_container_beside_a_stopped_instance_say_how_compose_starts_it() {
    let mut hearth = Hearth::new();
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    // As `docker compose run --rm web supervisor status`: the command is the first process of its container.
    hearth.set("container", "docker").through(&["unshare", "-pf", "--mount-proc", "--kill-child"]);
    assert_says_stopped(&hearth, "start it with: docker compose up --detach;");
}

fn assert_says_stopped(hearth: &Hearth, start: &str) {
    let output = hearth.command(&["status"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let shown = said(&output);
    assert!(shown.contains("stopped: no supervisor is running on ") && shown.contains(start), "{shown}");
    assert!(shown.contains("generation 0001"), "{shown}");
    for command in ["healthcheck", "resume", "restart"] {
        let output = hearth.command(&[command]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{command}: {}", said(&output));
        let told = told(&output);
        assert!(told.starts_with("error: Hearth is stopped: no supervisor is running on "), "{command}: {told}");
        assert!(told.contains(start) && !told.contains("socket"), "{command}: {told}");
    }
}

/// Reads standard error as programs do: a document a line.
fn documents(output: &Output) -> Vec<Value> {
    told(output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[test]
fn with_json_results_and_errors_are_documents() {
    let mut hearth = Hearth::new();
    // Nothing is there; wrong usage; a wrong setting.
    for (command, status) in [
        (&["healthcheck", "--json"][..], 1),
        (&["resume", "--json"], 1),
        (&["restart", "--json"], 1),
        (&["restore", "1", "--yes", "--json"], 2),
        (&["restore", "latest", "--json"], 2),
        (&["backup", "--json"], 1),
        (&["backup", "verify", "never", "--json"], 2),
        (&["status", "--json", "--frobnicate"], 2),
        (&["app", "user", "list", "--json"], 1),
    ] {
        let output = hearth.run(command);
        assert_eq!((output.status.code(), said(&output).as_str()), (Some(status), ""), "{command:?}");
        let documents = documents(&output);
        let error = &documents.last().unwrap()["error"];
        assert!(error["message"].is_string() && error["cause"].is_string(), "{command:?}: {documents:?}");
        assert!(error["hint"].is_string(), "{command:?}: {documents:?}");
        assert!(documents.iter().all(|document| document["format"] == 1), "{command:?}: {documents:?}");
    }
    hearth.set("HEARTH_LISTN", "127.0.0.1:1");
    let output = hearth.run(&["backup", "list", "--json"]);
    let misspelt = documents(&output).pop().unwrap();
    assert!(misspelt["error"]["message"].as_str().unwrap().contains("HEARTH_LISTN"), "{misspelt}");
    hearth.unset("HEARTH_LISTN");
    let mut running = hearth.start();
    running.wait_serving();
    let done = |command: &[&str]| -> Value {
        let output = hearth.run(command);
        assert!(output.status.success(), "{command:?}: {}", told(&output));
        assert!(documents(&output).iter().all(|document| document["note"].is_string()), "{}", told(&output));
        serde_json::from_str(&said(&output)).unwrap_or_else(|error| panic!("{command:?}: {error}: {}", said(&output)))
    };
    let health = done(&["healthcheck", "--json"]);
    assert_eq!((&health["health"], &health["phase"]), (&"healthy".into(), &"serving".into()), "{health}");
    assert_eq!(done(&["restart", "--json"]), serde_json::json!({"format": 1, "phase": "serving", "live": 1}));
    done(&["backup", "--json"]);
    let restored = done(&["restore", "latest", "--yes", "--json"]);
    assert_eq!((&restored["live"], &restored["format"]), (&2.into(), &1.into()), "{restored}");
    let output = hearth.run(&["resume", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(documents(&output)[0]["error"]["message"].as_str().unwrap().contains("nothing is held"));
    running.stop();
    // By itself, where the log would be in the way.
    let restored = done(&["restore", "1", "--yes", "--json"]);
    assert_eq!(restored["live"], 3, "{restored}");
    assert_eq!(done(&["status", "--json"])["phase"], "stopped");
    done(&["backup", "--json"]);
}

#[test]
fn where_there_is_no_data_the_commands_say_that() {
    let hearth = Hearth::new();
    for (command, status) in [
        (&["status"][..], 1),
        (&["healthcheck"], 1),
        (&["resume"], 1),
        (&["backup"], 1),
        (&["restore", "1", "--yes"], 2),
    ] {
        let output = hearth.run(command);
        assert_eq!(output.status.code(), Some(status), "{command:?}: {}", said(&output));
        let told = told(&output);
        assert!(told.contains(&format!("there is no data directory {}", hearth.data.display())), "{command:?}: {told}");
        assert!(told.contains("HEARTH_DATA_DIR"), "{command:?}: {told}");
    }
    assert!(!hearth.data.exists());
}

#[test]
fn the_address_that_is_shown_can_be_opened_and_one_is_no_plural() {
    let mut hearth = Hearth::new();
    hearth.set("HEARTH_LISTEN", "0.0.0.0:0");
    let mut running = hearth.start();
    let port = running.wait_serving().port();
    hearth.done(&["restart"]);
    let status = hearth.done(&["status"]);
    assert!(status.contains(&format!("on http://localhost:{port}\n")), "{status}");
    // The last start was the operator's, so that nothing was started again by itself.
    assert!(status.contains("started again 0 times") || status.contains("started again 1 time\n"), "{status}");
    let log = running.log();
    assert!(log.contains("listening at all addresses of this machine") && !log.contains("http://0.0.0.0"), "{log}");
    hearth.backup(&[]);
    let preview = String::from_utf8_lossy(&hearth.run(&["restore", "latest"]).stderr).into_owned();
    assert!(preview.contains(": 1 row then, 1 now") && !preview.contains(" 1 rows"), "{preview}");
    running.stop();
    // Behind the container's own address there is what it publishes; which is no alarm.
    hearth.set("container", "docker").set("HEARTH_HTTP__PUBLIC_URL", "https://hearth.example.org");
    let mut running = hearth.start();
    running.wait_serving();
    assert!(hearth.done(&["status"]).contains(" on https://hearth.example.org\n"));
    let log = running.log();
    assert!(log.contains("of this container, at each address where the container publishes it"), "{log}");
    assert!(!log.contains("warning: listening") && !log.contains("http://0.0.0.0"), "{log}");
}

#[test]
fn each_program_tells_its_version_and_what_it_is_for() {
    for name in ["supervisor", "supervisor-job", "migrator", "app"] {
        let run = |flag: &str| Command::new(program(name)).arg(flag).stdin(Stdio::null()).output().unwrap();
        let version = said(&run("--version"));
        assert!(version.starts_with(&format!("{name} ")), "{name}: {version}");
        let (short, help) = (run("-V"), run("--help"));
        assert_eq!((said(&short), short.status.code()), (version, Some(0)), "{name}: {}", told(&short));
        assert!(help.status.success() && !said(&help).contains('{'), "{name}: {}", said(&help));
    }
}

#[test]
fn the_migrator_looks_at_the_data_directory_that_the_others_take_by_themselves() {
    let hearth = Hearth::new();
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    let run = |command: &str| {
        let mut migrator = Command::new(program("migrator"));
        migrator.arg(command).current_dir(hearth.root.path()).stdin(Stdio::null());
        migrator.env_remove("HEARTH_DATA_DIR").env_remove("HEARTH_DATABASE").output().unwrap()
    };
    for command in ["status", "schema"] {
        let output = run(command);
        assert!(output.status.success(), "{command}: {}", told(&output));
    }
    assert!(said(&run("status")).contains("data/live/app.db"));
    // A live database is changed by nothing but the app.
    let refused = run("up");
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
}

#[test]
fn a_first_word_names_the_program_as_in_the_image() {
    let hearth = Hearth::new();
    for words in [&["--version"][..], &["supervisor", "--version"]] {
        assert!(hearth.done(words).starts_with("supervisor "));
    }
    // The programs beside it have its standard output, its environment and its exit status.
    assert!(hearth.done(&["migrator", "--version"]).starts_with("migrator "));
    let document: Value = serde_json::from_str(&hearth.done(&["app", "openapi"])).unwrap();
    assert!(document["paths"].is_object());
    for wrong in [&["migrator", "frobnicate"][..], &["supervisor", "migrator"], &["launch"]] {
        let wrong = hearth.run(wrong);
        assert_eq!(wrong.status.code(), Some(2), "{}", told(&wrong));
    }
    let mut running = hearth.start();
    running.wait_serving();
    assert!(hearth.done(&["migrator", "status"]).contains("Nothing is pending."));
    assert!(hearth.done(&["supervisor", "status"]).contains("serving"));
}

#[test]
fn a_control_socket_that_was_deleted_is_made_again() {
    let hearth = Hearth::new();
    let mut running = hearth.start();
    running.wait_serving();
    let supervisor = hearth.data.join("supervisor");
    let token = fs::read(supervisor.join("token")).unwrap();
    for gone in [&["control.sock"][..], &["token"], &["control.sock", "token"]] {
        gone.iter().for_each(|name| fs::remove_file(supervisor.join(name)).unwrap());
        running.wait("an answer", || hearth.status());
        assert_eq!(fs::read(supervisor.join("token")).unwrap(), token, "{gone:?}");
    }
    // What somebody else put in its place is no socket of ours.
    fs::write(supervisor.join("theirs"), "").unwrap();
    fs::rename(supervisor.join("theirs"), supervisor.join("control.sock")).unwrap();
    running.wait("an answer", || hearth.status());
    assert!(running.stop().success());
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn a_second_container_does_not_answer_with_the_first_ones_health() {
    let mut hearth = Hearth::new();
    let mut first = hearth.start();
    first.wait_serving();
    hearth.set("HEARTH_LOCK__WAIT", "60s").through(&["unshare", "-pf", "--mount-proc", "--kill-child"]);
    let second = hearth.start();
    second.wait_for_log("waiting up to");
    let inside = || {
        let children = format!("/proc/{0}/task/{0}/children", second.pid());
        fs::read_to_string(children).unwrap().trim().to_owned()
    };
    hearth.through(&["nsenter", "--target", &inside(), "--pid", "--mount"]);
    let output = hearth.command(&["healthcheck"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(told(&output).contains("the supervisor of this container does not serve"), "{}", told(&output));
    assert!(told(&output).contains(&format!("supervisor {} on host", first.pid())), "{}", told(&output));
    // Other commands reach the one that has the data, and say who that is.
    let output = hearth.command(&["status"]).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    assert!(told(&output).contains("answers, and not the supervisor of this container"), "{}", told(&output));
    assert!(said(&output).contains(&format!("process {} on host", first.pid())), "{}", said(&output));
    // The first one's own are as ever.
    hearth.through(&[]);
    let output = hearth.command(&["healthcheck"]).output().unwrap();
    assert_eq!((output.status.code(), said(&output).as_str()), (Some(0), "healthy: serving\n"));
    assert!(first.stop().success());
}

#[test]
fn too_few_descriptors_are_called_that() {
    let mut hearth = Hearth::new();
    for limit in ["64", "40", "24"] {
        hearth.through(&["sh", "-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")]);
        let mut running = hearth.start();
        assert_eq!(running.wait_end().code(), Some(2), "{limit}: {}", running.log());
        let said = format!("this process may have {limit} files open (nofile), and Hearth needs 128");
        assert!(running.log().contains(&said), "{}", running.log());
    }
    // What can be raised is.
    hearth.through(&["sh", "-c", "ulimit -S -n 40; exec \"$0\" \"$@\""]);
    let mut running = hearth.start();
    running.wait_serving();
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn another_user_is_told_to_run_the_command_as_the_owner_and_never_to_take_the_data() {
    let mut hearth = Hearth::new();
    hearth.for_every_user();
    let mut running = hearth.start();
    running.wait_serving();
    hearth.through(&["setpriv", "--reuid=1234", "--regid=1234", "--clear-groups", "--bounding-set=-all"]);
    let run = |command: &[&str]| hearth.command(command).output().unwrap();
    for mode in [0o750, 0o755] {
        fs::set_permissions(&hearth.data, PermissionsExt::from_mode(mode)).unwrap();
        for command in
            [&["status"][..], &["healthcheck"], &["snapshot", "list"], &["restart"], &["restore", "1", "--yes"]]
        {
            let output = run(command);
            let told = told(&output);
            assert_eq!(output.status.code(), Some(1), "{command:?}: {told}");
            assert!(told.contains("belongs to uid 0, and this command runs as uid 1234"), "{command:?}: {told}");
            assert!(told.contains("sudo -u '#0' supervisor status --data-dir /"), "{command:?}: {told}");
            assert!(!told.contains("chown") && !told.contains('<'), "{command:?}: {told}");
        }
    }
    // Its own settings are not passed off as the running supervisor's.
    let output = run(&["config"]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("so this is not what a supervisor on "), "{}", told(&output));
    assert!(said(&output).contains("health.interval"), "{}", said(&output));
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn what_belongs_to_another_user_is_named_with_whose_it_is() {
    let mut hearth = Hearth::new();
    hearth.for_every_user();
    let place = hearth.root.path().join("moved");
    fs::create_dir(&place).unwrap();
    let archive = place.join("2026-11-24T03-12-07Z-manual.tar.zst");
    fs::write(&archive, "x").unwrap();
    let key = place.join("key.txt");
    fs::write(&key, "x").unwrap();
    for file in [&archive, &key] {
        fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
    }
    hearth.through(&["setpriv", "--reuid=1234", "--regid=1235", "--clear-groups", "--bounding-set=-all"]);
    hearth.set("HEARTH_DATA_DIR", hearth.root.path().join("none").display().to_string());
    let (archive, key) = (archive.to_str().unwrap(), key.to_str().unwrap());
    let secret = ("HEARTH_AUTH__ADMIN_PASSWORD_FILE", key);
    for (command, file, set) in [
        (&["restore", archive, "--yes"][..], archive, None),
        (&["restore", archive, "--yes", "--identity", key], key, None),
        (&["config", "--env", key], key, None),
        (&["config"], key, Some(secret)),
    ] {
        let mut command_line = hearth.command(command);
        let output = command_line.envs(set).output().unwrap();
        let told = told(&output);
        let whose = format!("{file} belongs to uid 0 gid 0 (mode 600), and this process runs as uid 1234 gid 1235");
        assert!(told.contains(&whose) && told.contains(&format!("chown 1234:1235 {file}")), "{command:?}: {told}");
    }
}

#[test]
fn a_restore_that_failed_says_how_to_try_it_again() {
    let mut hearth = upgraded();
    hearth.set("HEARTH_FAULT", "stage.begun=enospc");
    let output = hearth.run(&["restore", "1", "--yes"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).ends_with("\nhint: try again with: supervisor restore 0001\n"), "{}", told(&output));
    assert!(!told(&output).contains("supervisor resume"), "{}", told(&output));
    let mut running = hearth.start();
    running.wait_serving();
    let output = hearth.run(&["restore", "1", "--yes"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).ends_with("\nhint: try again with: supervisor restore 0001\n"), "{}", told(&output));
    assert!(!told(&output).contains("supervisor resume"), "{}", told(&output));
    // What was refused will not be accepted another time.
    let output = hearth.run(&["restore", "9", "--yes"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!told(&output).contains("try again"), "{}", told(&output));
    running.stop();
    hearth.unset("HEARTH_FAULT");
    let output = hearth.run(&["restore", "1", "--yes"]);
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(said(&output), "generation 0003 is live; start the supervisor to serve it\n");
}

#[test]
fn a_restore_whose_supervisor_was_killed_says_what_is_live() {
    for (point, live, status) in [("commit.begun", "0002", 1), ("commit.synced", "0003", 0)] {
        let mut hearth = upgraded();
        let armed = hearth.root.path().join("armed");
        hearth.set("HEARTH_FAULT", format!("{point}=kill-parent,armed-by={}", armed.display()));
        let mut running = hearth.start();
        running.wait_serving();
        fs::write(&armed, "").unwrap();
        let output = hearth.run(&["restore", "1", "--yes"]);
        running.wait_end();
        assert_eq!(hearth.live().as_deref(), Some(live), "{point}");
        assert_eq!(output.status.code(), Some(status), "{point}: {}{}", said(&output), told(&output));
        if live == "0003" {
            let words = "generation 0003 is live; the supervisor stopped after the restore was done\n";
            assert_eq!(said(&output), words);
        } else {
            let told = told(&output);
            assert!(told.contains("before the restore was done; everything is as it was"), "{told}");
            assert!(told.ends_with("hint: try again with: supervisor restore 0001\n"), "{told}");
        }
    }
}

#[test]
fn ctrl_c_ends_the_question_whether_to_restore() {
    ctrl_c_ends_the_question(&[]);
}

#[test]
fn ctrl_c_ends_the_question_also_where_a_script_had_it_ignored() {
    ctrl_c_ends_the_question(&["sh", "-c", "trap '' INT QUIT TERM HUP; exec \"$0\" \"$@\""]);
}

fn ctrl_c_ends_the_question(wrapper: &[&str]) {
    let mut hearth = upgraded();
    hearth.through(wrapper);
    let (_terminal, stdin) = terminal();
    let mut command = hearth.command(&["restore", "1"]);
    let mut child = command.stdin(stdin).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let mut asked = String::new();
    while !asked.ends_with("Go on? [y/N] ") {
        let mut byte = [0];
        stderr.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error}: {asked}"));
        asked.push(char::from(byte[0]));
    }
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGINT));
    assert_eq!(hearth.generations(), ["0001", "0002"]);
}

/// Returns both ends of a terminal.
fn terminal() -> (File, File) {
    let open = |path: String| File::options().read(true).write(true).custom_flags(libc::O_NOCTTY).open(path).unwrap();
    let master = open("/dev/ptmx".to_owned());
    let (mut lock, mut number): (libc::c_int, libc::c_int) = (0, 0);
    // SAFETY: the descriptor is an open terminal's, and both calls (ioctl_tty(2)) read or write one int, which lives on
    // this stack.
    unsafe {
        assert_eq!(libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw mut lock), 0);
        assert_eq!(libc::ioctl(master.as_raw_fd(), libc::TIOCGPTN, &raw mut number), 0);
    }
    (master, open(format!("/dev/pts/{number}")))
}

#[test]
fn attachments_without_a_database_are_no_first_start() {
    let hearth = Hearth::new();
    fs::create_dir_all(hearth.data.join("files/ab")).unwrap();
    let mut running = hearth.start();
    let (address, status) = running.wait_held(&hearth);
    let message = status["held"]["failure"]["message"].as_str().unwrap();
    assert!(message.contains("there are attachments in files/"), "{message}");
    assert_eq!(get(address, "/health").status, 503);
    assert_eq!(hearth.generations(), Vec::<String>::new());
}

#[test]
fn people_see_the_times_of_their_zone_and_programs_those_of_utc() {
    let mut hearth = Hearth::new();
    let no_zones = hearth.root.path().join("no-zones");
    fs::create_dir(&no_zones).unwrap();
    // As in an image without a database of time zones.
    hearth.set("TZ", "Asia/Kathmandu").set("TZDIR", no_zones.to_str().unwrap());
    let mut running = hearth.start();
    let address = running.wait_serving();
    let ahead = Duration::from_secs((5 * 60 + 45) * 60);
    let on_clocks = |moment: &str| {
        let at = humantime::parse_rfc3339(moment).unwrap_or_else(|error| panic!("{moment}: {error}"));
        humantime::format_rfc3339_seconds(at + ahead).to_string().replace('T', " ").trim_end_matches('Z').to_owned()
    };
    let status = hearth.status().unwrap();
    assert_eq!(status["time_zone"]["name"], "Asia/Kathmandu");
    let since = status["since"].as_str().unwrap();
    let text = hearth.done(&["status"]);
    assert!(text.contains(&format!("serving since {} +0545", on_clocks(since))), "{text}");
    assert!(!text.contains(since), "{text}");
    let event = get(address, "/api/v1/audit-events").json()["items"][0]["at"].as_str().unwrap().to_owned();
    let audit = page(address, "/audit").body;
    assert!(audit.contains("The time zone is Asia/Kathmandu."), "{audit}");
    assert!(audit.contains(&on_clocks(&event)[.."2026-11-24 23:30".len()]), "{event}: {audit}");
    assert!(page(address, "/people").body.contains(" +0545\""), "the title of a time that is told as an age");
    running.stop();

    hearth.set("TZ", "Mars/Olympus_Mons");
    let mut running = hearth.start();
    running.wait_serving();
    let said = "TZ names no time zone (Mars/Olympus_Mons)";
    running.wait("it to be said", || hearth.done(&["status"]).contains(said).then_some(()));
    assert!(hearth.done(&["status"]).contains(" UTC\n"), "{}", hearth.done(&["status"]));
    assert!(running.log().contains(said), "{}", running.log());
}
