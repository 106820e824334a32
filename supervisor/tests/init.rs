//! The supervisor as PID 1, and as a child subreaper: signals, children, exit statuses.
//!
//! Each test runs with real processes; those with `both` run twice, outside and as PID 1 in a fresh PID namespace.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use harness::{Hearth, Running, get, wait_for};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// As PID 1 of a PID namespace of its own.
const PID_1: &[&str] = &["unshare", "-pf", "--mount-proc", "--kill-child"];

/// Makes two tests of each: outside, and as PID 1.
macro_rules! both {
    ($($test:ident)*) => { $(
        mod $test {
            #[test]
            fn outside() {
                super::$test(super::Hearth::new());
            }

            #[test]
            #[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
            fn as_pid_1() {
                let mut hearth = super::Hearth::new();
                hearth.through(super::PID_1);
                super::$test(hearth);
            }
        }
    )* };
}

both! {
    every_signal_reaches_the_app_and_the_stop_has_the_apps_own_status
    no_signal_of_the_first_milliseconds_is_lost
    a_second_term_hastens_a_stubborn_app_and_kill_ends_it_after_the_grace_period
    ten_thousand_orphans_leave_no_zombie_and_no_exit_status_is_lost
    the_children_of_a_killed_supervisor_die_with_it
    what_fled_from_the_app_does_not_outlive_it
    int_and_quit_stop_too_and_the_app_gets_the_same_signal
}

/// Returns the supervisor's own pid: the wrapper's child, or the process itself.
fn supervisor(running: &Running) -> Pid {
    let own = running.pid();
    if !running.wrapped {
        return own;
    }
    running.wait("the supervisor's own process", || {
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok().map(Pid::from_raw)
    })
}

fn ends_with(running: &mut Running, status: i32) {
    let ended = running.wait_end();
    assert_eq!(ended.code(), Some(status), "{ended}; the log:\n{}", running.log());
}

fn every_signal_reaches_the_app_and_the_stop_has_the_apps_own_status(mut hearth: Hearth) {
    hearth.strange("exit=5");
    let mut running = hearth.start();
    running.wait_serving();
    let pid = supervisor(&running);
    for signal in [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGWINCH] {
        kill(pid, signal).unwrap();
        running.wait(signal.as_str(), || hearth.app_log().contains(signal.as_str()).then_some(()));
    }
    kill(pid, Signal::SIGTERM).unwrap();
    ends_with(&mut running, 5);
    assert!(hearth.app_log().ends_with("SIGTERM\n"), "{}", hearth.app_log());
    assert!(!running.anyone_left());
}

fn int_and_quit_stop_too_and_the_app_gets_the_same_signal(mut hearth: Hearth) {
    for signal in [Signal::SIGINT, Signal::SIGQUIT] {
        hearth.strange("");
        let mut running = hearth.start();
        running.wait_serving();
        kill(supervisor(&running), signal).unwrap();
        ends_with(&mut running, 0);
        assert!(hearth.app_log().ends_with(&format!("{}\n", signal.as_str())), "{}", hearth.app_log());
    }
}

fn no_signal_of_the_first_milliseconds_is_lost(mut hearth: Hearth) {
    hearth.strange("");
    for round in 0..12 {
        let mut running = hearth.start();
        let pid = supervisor(&running);
        // From the moment that the program itself runs; before that, the kernel is still loading it.
        running.wait("TERM to be blocked", || {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            // `unshare` blocks TERM as well, before it becomes the supervisor.
            status.lines().any(|line| line == "Name:\tsupervisor").then_some(())?;
            let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"))?;
            let blocked = u64::from_str_radix(blocked.trim(), 16).ok()?;
            (blocked & (1 << (Signal::SIGTERM as i32 - 1)) != 0).then_some(())
        });
        // Then a little later each round, so that another step of the start is hit.
        let until = Instant::now() + Duration::from_micros(700 * round);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        kill(pid, Signal::SIGTERM).unwrap();
        ends_with(&mut running, 0);
        assert!(!running.anyone_left());
    }
}

/// The ways to stay in one phase for as long as a test wants.
#[test]
fn term_in_every_phase_ends_it_quickly_and_leaves_no_process() {
    let upgrade = |hearth: &mut Hearth| {
        let mut running = hearth.start();
        running.wait_serving();
        running.stop();
        hearth.next_migrator("good", "9.1.0");
    };
    let fault = |hearth: &mut Hearth, fault: &str| {
        hearth.set("HEARTH_FAULT", fault);
    };
    type Arrange<'a> = &'a dyn Fn(&mut Hearth);
    let phases: [(&str, Arrange); 11] = [
        ("starting", &|hearth| fault(hearth, "preflight.links=hang")),
        ("recovering", &|hearth| fault(hearth, "recover.begun=hang")),
        ("planning", &|hearth| {
            upgrade(hearth);
            fault(hearth, "migrate.opened=hang");
        }),
        ("staging", &|hearth| {
            upgrade(hearth);
            fault(hearth, "stage.marked=hang");
        }),
        ("migrating", &|hearth| {
            upgrade(hearth);
            fault(hearth, "migrate.applied=hang");
        }),
        ("proving", &|hearth| fault(hearth, "app.opened=hang")),
        ("committing", &|hearth| fault(hearth, "finalize.begun=hang")),
        ("committing", &|hearth| fault(hearth, "commit.linked=hang")),
        ("restarting", &|hearth| {
            upgrade(hearth);
            hearth.own_migrator();
            hearth.strange("die=3").set("HEARTH_RESTART__BACKOFF", "1h").set("HEARTH_RESTART__BACKOFF_MAX", "2h");
        }),
        ("held", &|hearth| {
            upgrade(hearth);
            hearth.next_migrator("fails", "9.1.0");
        }),
        ("serving", &|_| ()),
    ];
    for (phase, arrange) in phases {
        let mut hearth = Hearth::new();
        arrange(&mut hearth);
        let mut running = hearth.start();
        running.wait(phase, || {
            // Restarting is also the first start of an app; meant is the wait before the next one.
            let waits = |status: &Value| phase != "restarting" || status["app"]["restarts"] == 1;
            hearth.status().filter(|status| status["phase"] == phase && waits(status))
        });
        let asked = Instant::now();
        let ended = running.stop();
        assert_eq!(ended.code(), Some(0), "while {phase}: {ended}; the log:\n{}", running.log());
        assert!(asked.elapsed() < Duration::from_secs(8), "while {phase}: took {:?}", asked.elapsed());
        assert!(!running.anyone_left(), "while {phase}");
        // And nothing is half-done for the next start.
        hearth.unset("HEARTH_FAULT").unset("HEARTH_APP__COMMAND").own_migrator();
        if hearth.live().is_none_or(|live| live == "0001") {
            let mut running = hearth.start();
            running.wait_serving();
            hearth.assert_tidy();
        }
    }
}

fn a_second_term_hastens_a_stubborn_app_and_kill_ends_it_after_the_grace_period(mut hearth: Hearth) {
    hearth.strange("stubborn").set("HEARTH_STOP__GRACE", "8s");
    let mut running = hearth.start();
    running.wait_serving();
    let pid = supervisor(&running);
    let asked = Instant::now();
    kill(pid, Signal::SIGTERM).unwrap();
    running.wait("the app to have TERM", || hearth.app_log().ends_with("SIGTERM\n").then_some(()));
    kill(pid, Signal::SIGTERM).unwrap();
    ends_with(&mut running, 137);
    assert!(asked.elapsed() < Duration::from_secs(6), "hastened: {:?}", asked.elapsed());

    hearth.set("HEARTH_STOP__GRACE", "300ms");
    let mut running = hearth.start();
    running.wait_serving();
    kill(supervisor(&running), Signal::SIGTERM).unwrap();
    ends_with(&mut running, 137);
    assert!(running.log().contains("has not ended within its grace period"));
    assert!(!running.anyone_left());
}

fn ten_thousand_orphans_leave_no_zombie_and_no_exit_status_is_lost(mut hearth: Hearth) {
    hearth.strange("orphans=5000");
    let mut running = hearth.start();
    running.wait_serving();
    let pid = supervisor(&running);
    // Jobs, and the app itself, come and go meanwhile; each of their statuses is waited for by somebody.
    let mut restarts = 0;
    running.wait("10,000 orphans", || {
        if restarts < 2 && hearth.app_log().matches("orphaned").count() > restarts {
            let restarted = hearth.run(&["restart"]);
            assert!(restarted.status.success(), "{}", String::from_utf8_lossy(&restarted.stderr));
            restarts += 1;
        }
        (hearth.app_log().matches("orphaned").count() >= 2).then_some(())
    });
    running.wait("no zombie", || (zombies_of(pid) == 0).then_some(()));
    kill(pid, Signal::SIGTERM).unwrap();
    ends_with(&mut running, 0);
}

fn zombies_of(parent: Pid) -> usize {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    children
        .split_whitespace()
        .filter(|child| {
            fs::read_to_string(format!("/proc/{child}/stat"))
                .is_ok_and(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" Z")))
        })
        .count()
}

fn the_children_of_a_killed_supervisor_die_with_it(mut hearth: Hearth) {
    hearth.strange("");
    let mut running = hearth.start();
    running.wait_serving();
    assert!(running.anyone_left());
    kill(supervisor(&running), Signal::SIGKILL).unwrap();
    running.wait_end();
    running.wait("the app to be gone", || (!running.anyone_left()).then_some(()));
}

#[test]
fn an_escaped_process_keeps_the_next_supervisor_out_and_is_named() {
    let mut hearth = Hearth::new();
    hearth.strange("escape");
    let mut running = hearth.start();
    running.wait_serving();
    let escaped = running.wait("a process that escaped", || {
        hearth.app_log().lines().rev().find_map(|line| line.strip_prefix("escaped ")?.parse::<i32>().ok())
    });
    kill(supervisor(&running), Signal::SIGKILL).unwrap();
    running.wait_end();
    assert!(running.anyone_left(), "{escaped} lives on");

    hearth.set("HEARTH_LOCK__WAIT", "300ms");
    let mut second = hearth.start();
    ends_with(&mut second, 1);
    let log = second.log();
    assert!(log.contains("waiting up to 300ms"), "{log}");
    assert!(log.contains(&format!("is in use by process {escaped} (strange_app)")), "{log}");

    // It waits for the escaped process, and serves once that is gone.
    hearth.set("HEARTH_LOCK__WAIT", "30s").set("TEST_APP", "");
    let mut third = hearth.start();
    third.wait_for_log("waiting up to 30s");
    kill(Pid::from_raw(escaped), Signal::SIGKILL).unwrap();
    third.wait_serving();
}

fn what_fled_from_the_app_does_not_outlive_it(mut hearth: Hearth) {
    let once = hearth.root.path().join("once").display().to_string();
    hearth.strange(&format!("once={once},escape,die=3"));
    let mut running = hearth.start();
    running.wait_serving();
    running.wait_for_log("left over from an earlier app");
    kill(supervisor(&running), Signal::SIGTERM).unwrap();
    ends_with(&mut running, 0);
    assert!(!running.anyone_left());
}

#[test]
fn a_child_that_spoils_the_public_socket_neither_hangs_the_supervisor_nor_closes_the_port() {
    for spoil in ["blocking", "shutdown"] {
        let mut hearth = Hearth::new();
        let once = hearth.root.path().join("once").display().to_string();
        hearth.strange(&format!("once={once},{spoil}"));
        let mut running = hearth.start();
        let address = running.wait_serving();
        assert!(running.log().contains("the app exited with status 7"), "{}", running.log());
        assert_eq!(get(address, "/").status, 200);
        assert_eq!(running.stop().code(), Some(0));
    }
}

#[test]
fn an_app_that_hangs_is_ended_and_started_again() {
    for (orders, words) in
        [("deaf", "did not answer 2 health checks in a row"), ("pong", "sent no sign of life for its watchdog")]
    {
        let mut hearth = Hearth::new();
        let once = hearth.root.path().join("once").display().to_string();
        hearth.strange(&format!("once={once},{orders}"));
        hearth
            .set("HEARTH_HEALTH__TIMEOUT", "100ms")
            .set("HEARTH_HEALTH__INTERVAL", "100ms")
            .set("HEARTH_HEALTH__FAILURES", "2");
        hearth.set("HEARTH_WATCHDOG__INTERVAL", "1s");
        let running = hearth.start();
        running.wait_for_log(words);
        running.wait("a second run that is healthy", || {
            hearth.status().filter(|status| status["phase"] == "serving" && status["app"]["restarts"] == 1)
        });
    }
}

/// `flood`, whatever else it does or leaves undone.
#[test]
fn an_app_that_floods_the_notifications_holds_up_no_limit_and_no_order() {
    for (orders, words) in [
        ("flood,mute", "did not become ready in time"),
        ("flood,deaf", "did not answer 2 health checks in a row"),
        ("flood,pong", "sent no sign of life for its watchdog"),
    ] {
        let mut hearth = Hearth::new();
        let once = hearth.root.path().join("once").display().to_string();
        hearth.strange(&format!("once={once},{orders}"));
        hearth
            .set("HEARTH_HEALTH__TIMEOUT", "100ms")
            .set("HEARTH_HEALTH__INTERVAL", "100ms")
            .set("HEARTH_HEALTH__FAILURES", "2")
            .set("HEARTH_WATCHDOG__INTERVAL", "1s")
            .set("HEARTH_APP__START_TIMEOUT", "5s");
        let running = hearth.start();
        running.wait_for_log(words);
        running.wait("a second run that is healthy", || {
            hearth.status().filter(|status| status["phase"] == "serving" && status["app"]["restarts"] == 1)
        });
    }

    let mut hearth = Hearth::new();
    hearth.strange("flood,stubborn").set("HEARTH_STOP__GRACE", "500ms");
    let mut running = hearth.start();
    running.wait_serving();
    running.wait("the flood", || {
        let status = hearth.status()?;
        status["app"]["says"].as_str()?.starts_with("flood").then_some(())
    });
    assert!(hearth.run(&["restart"]).status.success(), "{}", running.log());
    running.wait_for_log("the app has not ended within its grace period");
    running.wait("a second run", || (hearth.app_log().matches("started\n").count() == 3).then_some(()));
    running.signal(Signal::SIGTERM);
    // Killed, since it heeds nothing; in the end it is gone.
    ends_with(&mut running, 137);
    assert!(!running.anyone_left());
}

/// What `docker pause` does to all of a container, one process after the other; they go on in this order or the other.
fn pause(running: &Running, hearth: &Hearth, app_first: bool) {
    let app = hearth.status().and_then(|status| status["app"]["pid"].as_i64()).expect("an app");
    let mut both = [supervisor(running), Pid::from_raw(i32::try_from(app).unwrap())];
    for pid in both {
        kill(pid, Signal::SIGSTOP).unwrap();
    }
    // For as long as the clock says: that nothing happens meanwhile is what is tried out.
    std::thread::sleep(Duration::from_secs(3));
    if app_first {
        both.reverse();
    }
    for pid in both {
        kill(pid, Signal::SIGCONT).unwrap();
    }
}

#[test]
fn a_pause_of_the_whole_container_is_no_hang_and_a_hang_after_it_is_one() {
    let mut hearth = Hearth::new();
    // The real app, with its watchdog; all limits are shorter than the pause.
    hearth
        .set("HEARTH_HEALTH__TIMEOUT", "1s")
        .set("HEARTH_HEALTH__INTERVAL", "50ms")
        .set("HEARTH_HEALTH__FAILURES", "2")
        .set("HEARTH_WATCHDOG__INTERVAL", "2s");
    let mut running = hearth.start();
    let address = running.wait_serving();
    for round in 0..5 {
        pause(&running, &hearth, round % 2 == 1);
        assert_eq!(get(address, "/health").status, 200);
        let status = hearth.status().unwrap();
        assert_eq!((&status["phase"], &status["app"]["restarts"]), (&"serving".into(), &0.into()), "{}", running.log());
    }
    // The app alone stands still from now on.
    pause(&running, &hearth, true);
    let app = hearth.status().unwrap()["app"]["pid"].as_i64().unwrap();
    kill(Pid::from_raw(i32::try_from(app).unwrap()), Signal::SIGSTOP).unwrap();
    running.wait("a second run that is healthy", || {
        hearth.status().filter(|status| status["phase"] == "serving" && status["app"]["restarts"] == 1)
    });
}

#[test]
fn a_program_that_cannot_start_is_told_in_a_sentence() {
    let root = tempfile::tempdir().unwrap();
    let wrong = root.path().join("wrong");
    let mut elf = [0_u8; 64];
    elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
    elf[18] = if cfg!(target_arch = "aarch64") { 62 } else { 183 };
    fs::write(&wrong, elf).unwrap();
    Command::new("chmod").arg("755").arg(&wrong).status().unwrap();
    let (loader, closed) = (root.path().join("loader"), root.path().join("closed"));
    fs::write(&loader, "#!/nowhere/sh\n").unwrap();
    fs::write(&closed, "#!/bin/sh\n").unwrap();
    Command::new("chmod").arg("755").arg(&loader).arg(root.path()).status().unwrap();
    for (app, words) in [
        ("/nowhere/app".to_owned(), "cannot start /nowhere/app: there is no such program"),
        (wrong.display().to_string(), "it is built for"),
        (loader.display().to_string(), "the interpreter or loader that it names is not"),
        (closed.display().to_string(), "it may not be executed by uid"),
    ] {
        let mut hearth = Hearth::new();
        hearth.set("HEARTH_APP__COMMAND", format!("[{app:?}]"));
        let mut running = hearth.start();
        let (address, status) = running.wait_held(&hearth);
        assert!(status["held"]["failure"]["message"].as_str().unwrap().contains(words), "{status}");
        assert_eq!(get(address, "/").status, 503);
    }
}

#[test]
fn a_closed_standard_output_does_not_end_it() {
    let hearth = Hearth::new();
    let mut command = hearth.command(&[]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    drop(child.stderr.take());
    let status = wait_for("serving", || hearth.status().filter(|status| status["phase"] == "serving"));
    let address = status["listen"].as_str().unwrap().parse().unwrap();
    assert_eq!(get(address, "/health").status, 200);
    let restarted = hearth.run(&["restart"]);
    assert!(restarted.status.success(), "{}", String::from_utf8_lossy(&restarted.stderr));
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_reader_that_stopped_reading_the_log_does_not_stop_it() {
    let mut hearth = Hearth::new();
    hearth.set("HEARTH_LOG__LEVEL", "trace");
    let mut command = hearth.command(&[]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The pipe stays open, and nobody reads it; each of these calls is several lines.
    wait_for("serving", || hearth.status().filter(|status| status["phase"] == "serving"));
    for _ in 0..150 {
        assert!(hearth.run(&["healthcheck"]).status.success());
    }
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    // The app's own lines may wait for the reader, but not the supervisor: in the end it kills.
    let ended = wait_for("the end", || child.try_wait().unwrap());
    assert!(ended.code().is_some(), "{:?}", ended.signal());
}

#[test]
fn it_runs_under_setsid_and_on_a_terminal() {
    for wrapper in [&["setsid", "--wait"][..], &["script", "-qefc"][..]] {
        let mut hearth = Hearth::new();
        let mut running = if wrapper[0] == "script" {
            let mut command = Command::new("script");
            let supervisor = harness::program("supervisor").display().to_string();
            let file = hearth.root.path().join("typescript");
            command
                .args(["-qefc", &supervisor])
                .arg(file)
                .env("HEARTH_DATA_DIR", &hearth.data)
                .env("HEARTH_LISTEN", "127.0.0.1:0");
            command.stdin(Stdio::null());
            hearth.spawn(command)
        } else {
            hearth.through(wrapper);
            hearth.start()
        };
        let status = running.wait("serving", || hearth.status().filter(|status| status["phase"] == "serving"));
        let pid = fs::read_to_string(hearth.data.join("supervisor/lock")).unwrap();
        let pid = pid.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert_eq!(get(status["listen"].as_str().unwrap().parse().unwrap(), "/health").status, 200);
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
        assert!(running.wait_end().success(), "{}", running.log());
    }
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn it_runs_as_an_unprivileged_uid_without_capabilities_on_a_read_only_root() {
    let mut hearth = Hearth::new();
    // A mount namespace: the root read-only, and a writable file system of its own for the data.
    let volume = hearth.root.path().join("volume");
    fs::create_dir(&volume).unwrap();
    hearth.for_every_user();
    hearth.data = volume.join("data");
    let script = format!(
        "mount -t tmpfs -o mode=777 none {volume} && mount -o remount,bind,ro / && \
         exec setpriv --reuid=1001 --regid=1001 --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs \"$@\"",
        volume = volume.display()
    );
    hearth.through(&["unshare", "-mpf", "--mount-proc", "--kill-child", "sh", "-c", &script, "sh"]);
    // The data is seen only in that namespace, so the supervisor tells its address in the log.
    let mut running = hearth.start();
    let address = running.wait_serving();
    let health = get(address, "/health");
    assert_eq!(health.status, 200, "{}", health.body);
    let log = running.log();
    assert!(log.contains("as uid 1001 gid 1001"), "{log}");
    kill(supervisor(&running), Signal::SIGTERM).unwrap();
    ends_with(&mut running, 0);
}
