//! Held, resume and restore in sequences that nobody plans for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{fs, process::Command, thread};

use harness::{Hearth, Running, household};
use nix::{
    sys::{
        signal::{Signal, kill},
        stat::Mode,
    },
    unistd::{Pid, mkfifo},
};
use serde_json::Value;

/// Two generations: 0001 with `before` records, 0002 live with more.
fn two_generations(hearth: &mut Hearth) -> Running {
    let mut running = hearth.start();
    household::fill(running.wait_serving(), 3);
    running.stop();
    hearth.next_migrator("good", "9.1.0");
    hearth.start()
}

fn held_for(hearth: &Hearth, running: &mut Running) -> String {
    let (_, status) = running.wait_held(hearth);
    status["held"]["failure"]["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_commit_of_which_nothing_is_known_is_held_and_the_old_app_does_not_serve_on() {
    let mut hearth = Hearth::new();
    let armed = hearth.root.path().join("armed");
    hearth.set("HEARTH_FAULT", format!("armed-by={},commit.linked=eio,recover.begun=eio", armed.display()));
    let mut running = two_generations(&mut hearth);
    let address = running.wait_serving();
    household::fill(address, 2);
    let kept = household::all(address);
    fs::write(&armed, "").unwrap();
    let restored = hearth.run(&["restore", "1", "--yes"]);
    assert_eq!(restored.status.code(), Some(1), "{}", running.log());
    let message = held_for(&hearth, &mut running);
    assert!(message.contains("whether generation 0003 is live now cannot be told"), "{message}");
    assert_eq!(hearth.live().as_deref(), Some("0003"), "it is, and only the link knows");
    // Nobody is told what is not known.
    let said = String::from_utf8_lossy(&restored.stderr).into_owned();
    for words in [&running.log(), &said] {
        assert!(!words.contains("everything is as it was") && !words.contains(", as it was"), "{words}");
    }
    assert!(running.log().contains("which generation is live is not known yet"), "{}", running.log());
    let status = hearth.status().unwrap();
    assert_eq!(
        (&status["held"]["step"], &status["held"]["data"]),
        (&"committing".into(), &"unknown".into()),
        "{status}"
    );
    // The disk is mended: what the link says is served, and the other generation is there to go back to.
    fs::remove_file(&armed).unwrap();
    let resumed = hearth.run(&["resume"]);
    assert!(resumed.status.success(), "{}\n{}", String::from_utf8_lossy(&resumed.stderr), running.log());
    assert_eq!(hearth.status().unwrap()["live"], 3);
    assert!(hearth.run(&["restore", "2", "--yes"]).status.success(), "{}", running.log());
    assert_eq!(household::all(address), kept);
    hearth.assert_tidy();
}

#[test]
fn nothing_boots_while_a_restore_is_being_prepared() {
    let mut hearth = Hearth::new();
    let mut running = two_generations(&mut hearth);
    running.wait_serving();
    running.stop();
    // Held, and its restore hangs in the middle of staging.
    fs::remove_file(hearth.data.join("live")).unwrap();
    hearth.set("HEARTH_FAULT", "stage.marked=hang");
    let mut running = hearth.start();
    running.wait_held(&hearth);
    let mut restore = hearth.command(&["restore", "1", "--yes"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    running.wait("the restore to stage", || hearth.generations().contains(&"0003".to_owned()).then_some(()));
    for refused in [&["resume"][..], &["restore", "2", "--yes"]] {
        let refused = hearth.run(refused);
        assert_eq!(refused.status.code(), Some(1));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("restore 0001 is under way since"), "{said}");
    }
    assert!(hearth.generations().contains(&"0003".to_owned()), "nobody swept it away");
    assert_eq!(running.stop().code(), Some(0));
    restore.wait().unwrap();
    hearth.unset("HEARTH_FAULT");
    std::os::unix::fs::symlink("generations/0002", hearth.data.join("live")).unwrap();
    let mut running = hearth.start();
    running.wait_serving();
    hearth.assert_tidy();
}

#[test]
fn a_generation_that_names_itself_as_its_source_leads_nobody_in_circles() {
    let mut hearth = Hearth::new();
    let mut running = two_generations(&mut hearth);
    running.wait_serving();
    running.stop();
    let path = hearth.data.join("generations/0002/generation.json");
    let mut description: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    description["source"] = 2.into();
    fs::write(&path, description.to_string()).unwrap();
    hearth.own_migrator();
    let mut running = hearth.start();
    assert!(held_for(&hearth, &mut running).contains("last upgraded by v9.1.0"));
    assert_eq!(running.stop().code(), Some(0));
}

#[test]
fn a_fifo_where_a_document_should_be_does_not_stop_the_start() {
    for name in ["held.json", "token"] {
        let hearth = Hearth::new();
        let mut running = hearth.start();
        running.wait_serving();
        running.stop();
        let path = hearth.data.join("supervisor").join(name);
        let _ = fs::remove_file(&path);
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        let mut running = hearth.start();
        running.wait_serving();
        running.signal(Signal::SIGTERM);
        assert_eq!(running.wait_end().code(), Some(0), "{name}");
    }
}

#[test]
fn a_migrator_that_dies_each_time_is_held_and_not_tried_again_by_itself() {
    let mut hearth = Hearth::new();
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    hearth.next_migrator("good", "9.1.0").set("HEARTH_FAULT", "migrate.applied=kill");
    for tried in [true, false] {
        let mut running = hearth.start();
        let message = held_for(&hearth, &mut running);
        assert!(message.contains("the migrator was ended by SIGKILL before it was done"), "{message}");
        assert_eq!(running.log().contains("Applying"), tried, "{}", running.log());
        running.wait("held.json", || hearth.data.join("supervisor/held.json").exists().then_some(()));
        running.stop();
    }
}

#[test]
fn a_migrator_that_talks_without_end_is_cut_short() {
    let mut hearth = Hearth::new();
    // A shell starts other programs, which no sandbox would let it.
    hearth.set("HEARTH_SANDBOX__MODE", "off");
    hearth.set("HEARTH_MIGRATOR__COMMAND", r#"["sh", "-c", "tr '\\0' x < /dev/zero"]"#);
    let mut running = hearth.start();
    let message = held_for(&hearth, &mut running);
    assert!(message.contains("which is no document of ours"), "{message}");
    running.stop();
}

#[test]
fn term_ends_it_also_while_it_writes_down_why_it_is_held() {
    let mut hearth = Hearth::new();
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    hearth.next_migrator("fails", "9.1.0").set("HEARTH_FAULT", "save.written=hang");
    let mut running = hearth.start();
    running.wait_held(&hearth);
    assert_eq!(running.stop().code(), Some(0));
    assert!(!running.anyone_left());
}

#[test]
fn resume_right_after_it_was_held_comes_back_with_what_came_of_it() {
    let mut hearth = Hearth::new();
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    hearth.next_migrator("fails", "9.1.0");
    let mut running = hearth.start();
    running.wait_held(&hearth);
    for _ in 0..3 {
        let resumed = hearth.run(&["resume"]);
        assert_eq!(resumed.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&resumed.stderr).contains("m9003_fails"));
    }
}

#[test]
fn what_an_entrypoint_script_left_running_is_left_alone() {
    let mut hearth = Hearth::new();
    let file = hearth.root.path().join("bystander");
    let script = format!("sleep 600 & echo $! > {}; exec \"$@\"", file.display());
    hearth.through(&["sh", "-c", &script, "sh"]);
    let running = hearth.start();
    let serving = || hearth.status().filter(|status| status["phase"] == "serving");
    running.wait("serving", serving);
    assert!(hearth.run(&["restart"]).status.success(), "{}", running.log());
    let bystander: i32 = fs::read_to_string(file).unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(bystander), None).expect("it is alive");
    assert!(!running.log().contains("left over from an earlier app"), "{}", running.log());
    kill(Pid::from_raw(bystander), Signal::SIGKILL).unwrap();
    let pid = Pid::from_raw(i32::try_from(running.child.id()).unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    let mut running = running;
    assert_eq!(running.wait_end().code(), Some(0));
}

#[test]
fn deleting_the_lock_lets_no_second_writer_in() {
    let mut hearth = Hearth::new();
    let mut first = hearth.start();
    first.wait_serving();
    // A job that looks after the backups may write a file there at this very moment.
    let own = hearth.data.join("supervisor");
    first.wait("the end of its directory", || (fs::remove_dir_all(&own).is_ok() || !own.exists()).then_some(()));
    hearth.set("HEARTH_LOCK__WAIT", "200ms");
    let mut second = hearth.start();
    assert_eq!(second.wait_end().code(), Some(1));
    let log = second.log();
    assert!(log.contains("is in use by process") && log.contains(&first.pid().to_string()), "{log}");
}

#[test]
fn callers_that_only_hold_the_control_socket_open_keep_nobody_out_for_long() {
    let hearth = Hearth::new();
    let mut running = hearth.start();
    running.wait_serving();
    let socket = hearth.data.join("supervisor/control.sock");
    let idle: Vec<_> = (0..200).filter_map(|_| std::os::unix::net::UnixStream::connect(&socket).ok()).collect();
    assert!(idle.len() > 32);
    let asked = thread::spawn({
        let mut command = Command::new(harness::program("supervisor"));
        command.env("HEARTH_DATA_DIR", &hearth.data).arg("healthcheck");
        move || command.output().unwrap()
    });
    drop(idle);
    assert!(asked.join().unwrap().status.success());
    assert_eq!(running.stop().code(), Some(0));
}

/// A fault that strikes for as long as a file is there.
struct Passing(std::path::PathBuf);

impl Passing {
    fn fault(hearth: &mut Hearth, fault: &str) -> Self {
        let armed = hearth.root.path().join("armed");
        fs::write(&armed, "").unwrap();
        hearth.set("HEARTH_FAULT", format!("armed-by={},{fault}", armed.display()));
        Self(armed)
    }

    fn passes(&self) {
        fs::remove_file(&self.0).unwrap();
    }
}

#[test]
fn after_a_cause_that_has_passed_a_crash_loop_is_told_with_its_ways_out() {
    let mut hearth = Hearth::new();
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    hearth.set("HEARTH_RESTART__ATTEMPTS", "3").set("TEST_RECHECK", "100ms");
    let disk = Passing::fault(&mut hearth, "preflight.links=enospc");
    let mut running = hearth.start();
    running.wait_held(&hearth);
    disk.passes();
    running.wait_serving();
    let mut last = Value::Null;
    for _ in 0..3 {
        let serves = running.wait("the app to serve again", || {
            let status = hearth.status().filter(|status| status["app"]["pid"] != last)?;
            if !last.is_null() {
                assert_ne!(status["health"], "held", "a restart is no holding: {status}");
            }
            (status["phase"] == "serving" && status["app"]["pid"].is_i64()).then_some(status)
        });
        last = serves["app"]["pid"].clone();
        kill(Pid::from_raw(i32::try_from(last.as_i64().unwrap()).unwrap()), Signal::SIGKILL).unwrap();
    }
    let crash_loop = || hearth.status().filter(|status| status["held"]["failure"]["cause"] == "crash-loop");
    let status = running.wait("the crash loop", crash_loop);
    assert_eq!((&status["phase"], &status["health"]), (&"held".into(), &"held".into()), "{status}");
    assert_eq!((&status["held"]["step"], &status["held"]["data"]), (&"serving".into(), &"written".into()), "{status}");
    let log = running.log();
    assert_eq!(log.matches("The ways out").count(), 2, "once for each cause:\n{log}");
    assert!(log.contains("the app ended 3 times") && log.contains("with everything that was written"), "{log}");
    assert_eq!(running.stop().code(), Some(0));
}

#[test]
fn a_cause_that_passes_while_a_restore_is_staged_does_not_take_the_restore_away() {
    let mut hearth = Hearth::new();
    let mut running = two_generations(&mut hearth);
    running.wait_serving();
    running.stop();
    hearth.set("TEST_RECHECK", "20ms");
    let disk = Passing::fault(&mut hearth, "preflight.links=enospc");
    let mut running = hearth.start();
    running.wait_held(&hearth);
    thread::scope(|scope| {
        // In the middle of a further look it is refused, and ordered again.
        let restored = scope.spawn(|| {
            loop {
                let restored = hearth.run(&["restore", "0001", "--yes"]);
                if !String::from_utf8_lossy(&restored.stderr).contains("cannot restore 0001 now") {
                    break restored;
                }
            }
        });
        running.wait("the restore", || {
            let begun = hearth.status().is_some_and(|status| status["operation"].is_object());
            (begun || restored.is_finished()).then_some(())
        });
        disk.passes();
        let restored = restored.join().unwrap();
        assert!(restored.status.success(), "{}\n{}", String::from_utf8_lossy(&restored.stderr), running.log());
    });
    running.wait_serving();
    assert_eq!(hearth.live().as_deref(), Some("0003"));
    assert_eq!(household::all(running.address().unwrap()).len(), 3);
}

#[test]
fn what_kept_a_start_from_looking_is_looked_at_anew_at_the_next() {
    for fault in ["preflight.links=kill", "recover.begun=kill", "recover.begun=eio", "plan.status=eio"] {
        let mut hearth = Hearth::new();
        let mut running = hearth.start();
        running.wait_serving();
        running.stop();
        let once = Passing::fault(&mut hearth, fault);
        let mut running = hearth.start();
        let (_, status) = running.wait_held(&hearth);
        let step = status["held"]["step"].as_str().unwrap();
        assert!(["starting", "recovering", "planning"].contains(&step), "{fault}: {status}");
        running.wait("held.json", || hearth.data.join("supervisor/held.json").exists().then_some(()));
        running.stop();
        once.passes();
        let mut running = hearth.start();
        running.wait_serving();
        assert_eq!(running.stop().code(), Some(0), "{fault}");
    }
}

#[test]
fn a_changed_setting_is_something_new_to_try_and_its_secret_is_not_written_down() {
    const WRONG: &str = "qwertyuiop";
    let mut hearth = Hearth::new();
    hearth.set("HEARTH_AUTH__ADMIN_PASSWORD", WRONG);
    let held = hearth.data.join("supervisor/held.json");
    let remembered = || fs::read_to_string(&held).ok().filter(|text| text.ends_with("}\n"));
    for attempted in [true, false] {
        let mut running = hearth.start();
        let message = held_for(&hearth, &mut running);
        let is_one_sentence = message
            .starts_with("the app exited with status 1 before it was ready; it said: the owner of ")
            && message.contains("is too easy to guess")
            && message.contains("; see HEARTH_AUTH__ADMIN_EMAIL and HEARTH_AUTH__ADMIN_PASSWORD_FILE")
            && !message.contains(". ")
            && !message.ends_with('.');
        assert!(is_one_sentence, "{message}");
        // The settings of a process do not change: it is to be started again, and only then the same is tried no more.
        let ways = hearth.status().unwrap()["held"]["ways_out"].clone();
        assert_eq!(ways[0]["command"], "start the supervisor again", "{ways}");
        assert!(!ways.to_string().contains("upgrade"), "{ways}");
        let text = running.wait("held.json", remembered);
        assert!(text.contains("\"settings\"") && !text.contains(WRONG), "{text}");
        assert_eq!(running.log().contains("Applying"), attempted, "{}", running.log());
        assert_eq!(running.stop().code(), Some(0));
    }
    hearth.set("HEARTH_AUTH__ADMIN_PASSWORD", harness::http::PASSWORD);
    let mut running = hearth.start();
    running.wait_serving();
    running.wait("held to be forgotten", || (!held.exists()).then_some(()));
}

#[test]
fn an_app_that_cannot_use_its_settings_is_held_with_its_own_words_until_they_change() {
    for has_served in [false, true] {
        let mut hearth = Hearth::new();
        hearth.strange("");
        if has_served {
            let mut running = hearth.start();
            running.wait_serving();
            running.stop();
        }
        hearth.set("HEARTH_HTTP__HOSTS", "refused");
        for _ in 0..2 {
            let mut running = hearth.start();
            let (_, status) = running.wait_held(&hearth);
            let held = &status["held"];
            assert_eq!(held["failure"]["cause"], "configuration", "{status}");
            assert_eq!(held["step"], if has_served { "serving" } else { "proving" }, "{status}");
            let said = "the app cannot use its settings: it exited with status 2; it said: http.hosts cannot be used: it is refused";
            assert_eq!(held["failure"]["message"], said, "{status}");
            assert!(hearth.done(&["status"]).contains(said));
            assert!(running.log().contains(said) && !running.log().contains("starting it again"), "{}", running.log());
            running.wait("held.json", || hearth.data.join("supervisor/held.json").exists().then_some(()));
            assert_eq!(running.stop().code(), Some(0));
        }
        hearth.set("HEARTH_HTTP__HOSTS", "hearth.example.org");
        let mut running = hearth.start();
        running.wait_serving();
        running.stop();
    }
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn on_a_directory_of_another_user_the_ways_out_are_those_that_work() {
    for closed in ["", "supervisor"] {
        let mut hearth = Hearth::new();
        hearth.for_every_user().set("TEST_RECHECK", "100ms");
        fs::create_dir(&hearth.data).unwrap();
        let chown = |path: &std::path::Path, uid: u32| {
            let done = Command::new("chown").arg("-R").arg(format!("{uid}:{uid}")).arg(path).status().unwrap();
            assert!(done.success());
        };
        hearth.through(&["setpriv", "--reuid=1234", "--regid=1234", "--clear-groups", "--bounding-set=-all"]);
        if !closed.is_empty() {
            chown(&hearth.data, 1234);
            let mut running = hearth.start();
            running.wait_serving();
            running.stop();
            chown(&hearth.data.join(closed), 0);
        }
        let mut running = hearth.start();
        running.wait_for_log("The ways out");
        running.wait_for_log("stop this supervisor and start it again");
        let log = running.log();
        assert!(!log.contains("supervisor resume"), "no command reaches it: {log}");
        // The command that is printed, word for word.
        let command = log.lines().find_map(|line| {
            let at = line.find("  chown -R 1234:1234 ")?;
            Some(line[at..].split("  (").next()?.trim().to_owned())
        });
        let command = command.or_else(|| {
            let at = log.find("chown -R 1234:1234 ")?;
            log[at..].split([' ', ';', '\n']).take(3).collect::<Vec<_>>().join(" ").into()
        });
        let command = command.unwrap_or_else(|| panic!("{closed}: no chown in {log}"));
        assert!(Command::new("sh").arg("-c").arg(&command).status().unwrap().success(), "{command}");
        running.wait_serving();
        assert!(running.stop().success());
    }
}
