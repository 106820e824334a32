//! A first start, an upgrade on real data, and every way in which one can fail.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{fs, path::Path, process::Command};

use harness::{Hearth, MIGRATIONS, get, hash, household, request};
use serde_json::Value;

/// The lines of the log contract, without the supervisor's own.
fn contract_lines(log: &str) -> Vec<String> {
    log.lines()
        .filter(|line| line.starts_with("[Migrate]") || line.contains("Starting server"))
        .map(str::to_owned)
        .collect()
}

/// Spoils what stands at this path.
type Spoil<'a> = &'a dyn Fn(&Path);

fn starting() -> String {
    format!("[App] Starting server v{}...", env!("CARGO_PKG_VERSION"))
}

/// The log contract of a start at which this is done with each migration of this release, and with none else.
fn contract(done: &str) -> Vec<String> {
    let mut lines = vec!["[Migrate] Checking database state...".to_owned()];
    lines.extend(MIGRATIONS.iter().map(|migration| format!("[Migrate] {done}: {migration}")));
    lines.extend(["[Migrate] All migrations complete!".to_owned(), starting()]);
    lines
}

/// How many lines of this start's log begin with the time, and how many do not; of supervisor, migrator and app.
fn lines_with_and_without_time(hearth: &Hearth) -> (usize, usize) {
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    let log = running.log();
    let (mut with, mut without) = (0, 0);
    for tag in ["[Supervisor] ", "[Migrate] ", "[App] "] {
        let lines: Vec<_> = log.lines().filter_map(|line| line.split_once(tag)).map(|(before, _)| before).collect();
        assert!(!lines.is_empty(), "no line of {tag}: {log}");
        for time in lines {
            let is_time = time.strip_suffix(' ').is_some_and(|time| humantime::parse_rfc3339(time).is_ok());
            assert!(is_time || time.is_empty(), "{time:?} before {tag}: {log}");
            if is_time { with += 1 } else { without += 1 }
        }
    }
    (with, without)
}

#[test]
fn each_line_of_the_log_begins_with_the_time_where_nobody_else_adds_it() {
    let fresh = || {
        let mut hearth = Hearth::new();
        hearth.unset("HEARTH_LOG__TIMESTAMPS");
        hearth
    };
    let all = |(with, without): (usize, usize)| (with > 0 && without == 0, with == 0 && without > 0);
    assert_eq!(all(lines_with_and_without_time(&fresh())), (true, false), "a file");
    // As systemd connects it to the journal.
    let journal = r#"export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); exec "$@""#;
    let mut hearth = fresh();
    hearth.through(&["sh", "-c", journal, "sh"]);
    assert_eq!(all(lines_with_and_without_time(&hearth)), (false, true), "the journal");
    let mut hearth = fresh();
    hearth.set("JOURNAL_STREAM", "8:1234");
    assert_eq!(all(lines_with_and_without_time(&hearth)), (true, false), "what was connected to the journal once");
    let mut hearth = fresh();
    hearth.set("container", "oci");
    assert_eq!(all(lines_with_and_without_time(&hearth)), (false, true), "a container");
    let mut hearth = fresh();
    hearth.set("container", "oci").set("HEARTH_LOG__TIMESTAMPS", "always");
    assert_eq!(all(lines_with_and_without_time(&hearth)), (true, false), "always");
}

/// Lets this release serve `count` records, and stop; returns them.
fn household_of(hearth: &Hearth, count: usize) -> std::collections::BTreeMap<i64, Value> {
    let mut running = hearth.start();
    let address = running.wait_serving();
    household::fill(address, count);
    let records = household::all(address);
    assert_eq!(records.len(), count);
    assert_eq!(running.stop().code(), Some(0), "{}", running.log());
    records
}

#[test]
fn a_first_start_serves_and_its_log_is_the_contract() {
    let hearth = Hearth::new();
    let mut running = hearth.start();
    let address = running.wait_serving();
    let health = get(address, "/health");
    assert_eq!(health.status, 200, "{}", health.body);
    assert_eq!(health.json()["version"], env!("CARGO_PKG_VERSION"));
    let status = running.wait("all to be well", || hearth.status().filter(|status| status["health"] == "healthy"));
    assert_eq!(status["phase"], "serving", "{status}");
    assert_eq!(hearth.live().as_deref(), Some("0001"));
    assert!(hearth.run(&["healthcheck"]).status.success());
    assert_eq!(contract_lines(&running.log()), contract("Applying"));
    assert_eq!(running.stop().code(), Some(0));
    assert!(!running.anyone_left());
    hearth.assert_tidy();

    let mut running = hearth.start();
    running.wait_serving();
    assert_eq!(contract_lines(&running.log()), contract("Skipping"));
    assert_eq!(hearth.generations(), ["0001"], "nothing pending, so no new generation");
}

#[test]
fn an_upgrade_carries_five_thousand_records_and_leaves_one_snapshot() {
    let mut hearth = Hearth::new();
    let before = household_of(&hearth, 5000);
    let left = hash(&hearth.database());

    hearth.next_migrator("good", "9.1.0");
    let mut running = hearth.start();
    let address = running.wait_serving();
    assert_eq!(household::all(address), before);
    assert_eq!(hearth.live().as_deref(), Some("0002"));
    assert_eq!(hearth.generations(), ["0001", "0002"], "exactly one snapshot");
    assert_eq!(hash(&hearth.data.join("generations/0001/app.db")), left, "the snapshot is the database as it was");
    let mut lines = contract("Skipping");
    lines.insert(1 + MIGRATIONS.len(), "[Migrate] Applying: m9001_good".to_owned());
    assert_eq!(contract_lines(&running.log()), lines);
    running.stop();

    // Started again there is nothing to do, and no further snapshot.
    let mut running = hearth.start();
    let address = running.wait_serving();
    assert_eq!(household::all(address).len(), 5000);
    assert_eq!(hearth.generations(), ["0001", "0002"]);
    hearth.assert_tidy();
}

#[test]
fn versions_may_be_skipped() {
    let mut hearth = Hearth::new();
    let before = household_of(&hearth, 40);
    hearth.next_migrator("good,good2", "9.5.0");
    let mut running = hearth.start();
    let address = running.wait_serving();
    assert_eq!(household::all(address), before);
    assert_eq!(hearth.generations(), ["0001", "0002"], "one upgrade, one snapshot");
    let log = running.log();
    assert!(log.contains("Applying: m9001_good\n") && log.contains("Applying: m9002_good2\n"), "{log}");
}

#[test]
fn every_bad_upgrade_is_held_and_leaves_everything_as_it_was() {
    for (migrations, cause, words) in [
        ("fails", "migration", "m9003_fails"),
        ("loses-row", "migration", "record"),
        ("drops-index", "migration", "record"),
        ("breaks-foreign-key", "migration", "that it refers to"),
        ("empties-search", "migration", "full-text index record_search"),
        ("crash", "unproven", "the app was ended by SIGKILL"),
        ("hang", "unproven", "the app"),
        ("unhealthy", "unproven", "not healthy"),
    ] {
        let mut hearth = Hearth::new();
        let before = household_of(&hearth, 20);
        let left = hash(&hearth.database());
        hearth.next_migrator(migrations, "9.1.0");
        hearth
            .set("HEARTH_APP__START_TIMEOUT", "3s")
            .set("HEARTH_HEALTH__TIMEOUT", "300ms")
            .set("HEARTH_STOP__GRACE", "1s");
        let mut running = hearth.start();
        let (address, status) = running.wait_held(&hearth);
        let log = running.log();

        // Held, with the reason and the ways out.
        let failure = &status["held"]["failure"];
        assert_eq!(failure["cause"], cause, "{migrations}: {status}");
        let message = failure["message"].as_str().unwrap();
        assert!(message.contains(words), "{migrations}: {message}");
        assert!(log.contains(message) && log.contains("supervisor resume"), "{migrations}: {log}");
        let back = format!("start the image of v{} again", env!("CARGO_PKG_VERSION"));
        assert!(log.contains(&back), "{migrations}: {log}");
        let check = hearth.run(&["healthcheck"]);
        assert_eq!(check.status.code(), Some(1), "{migrations}");

        // A page for people, a problem for programs, and the container's port answers 503.
        let page = running.wait("the page to say the way out", || {
            let page = request(address, "GET", "/", "text/html", None).unwrap();
            assert_eq!(page.status, 503);
            page.body.contains("supervisor resume").then_some(page)
        });
        assert!(page.headers["content-type"].starts_with("text/html"), "{page:?}");
        for path in ["/health", "/api/v1/records"] {
            let problem = get(address, path);
            assert_eq!(problem.status, 503);
            assert_eq!(problem.headers["content-type"], "application/problem+json");
            assert!(problem.headers.contains_key("retry-after"));
            assert_eq!(problem.headers["connection"], "close");
            assert!(problem.body.contains(words) || problem.json()["detail"].as_str().is_some(), "{}", problem.body);
        }

        // Not a byte of the live database has changed, and nothing is left of the attempt.
        assert_eq!(hash(&hearth.database()), left, "{migrations}");
        assert_eq!(hearth.generations(), ["0001"], "{migrations}");

        // The same image started again is held again without a new try.
        assert_eq!(running.stop().code(), Some(0));
        let mut running = hearth.start();
        running.wait_held(&hearth);
        assert!(running.log().contains("not trying again by itself"), "{}", running.log());
        assert!(!running.log().contains("Applying"), "{}", running.log());
        running.stop();

        // The old image serves at once, everything there.
        hearth.own_migrator();
        let mut running = hearth.start();
        let address = running.wait_serving();
        assert_eq!(household::all(address), before, "{migrations}");
        running.stop();

        // The broken one again. What is put in its place while the supervisor runs counts from the next start on.
        hearth.next_migrator(migrations, "9.1.0");
        let switch = hearth.root.path().join("migrator");
        let link = |to: &Path| {
            let _ = fs::remove_file(&switch);
            std::os::unix::fs::symlink(to, &switch).unwrap();
        };
        link(&harness::program("examples/next_migrator"));
        hearth.set("HEARTH_MIGRATOR__COMMAND", format!("[{:?}]", switch.display().to_string()));
        let mut running = hearth.start();
        running.wait_held(&hearth);
        link(&harness::program("migrator"));
        hearth.refused(&["resume"]);
        running.stop();
        let mut running = hearth.start();
        assert_eq!(household::all(running.wait_serving()), before, "{migrations}");
        hearth.assert_tidy();
    }
}

#[test]
fn an_app_that_served_writes_and_then_crash_loops_is_held_with_its_writes_kept() {
    let mut hearth = Hearth::new();
    household_of(&hearth, 10);
    // An upgrade whose app serves, and then takes to dying.
    hearth.next_migrator("good", "9.1.0");
    let mut running = hearth.start();
    let address = running.wait_serving();
    household::fill(address, 15);
    let with_writes = household::all(address);
    let link = hearth.live();
    running.stop();
    hearth.strange("die=3").set("HEARTH_RESTART__ATTEMPTS", "3");
    let mut running = hearth.start();
    let (_, status) = running.wait_held(&hearth);
    assert_eq!(status["held"]["failure"]["cause"], "crash-loop", "{status}");
    assert_eq!(hearth.live(), link, "nothing goes back by itself");
    let ways = status["held"]["ways_out"].to_string();
    assert!(ways.contains("supervisor resume") && ways.contains("supervisor restore 0001"), "{ways}");
    assert!(ways.contains("what was written since"), "{ways}");
    running.stop();

    hearth.unset("HEARTH_APP__COMMAND");
    let mut running = hearth.start();
    assert_eq!(household::all(running.wait_serving()), with_writes);
}

#[test]
fn a_snapshot_is_restored_and_that_can_be_taken_back() {
    let mut hearth = Hearth::new();
    let before = household_of(&hearth, 12);
    hearth.next_migrator("good", "9.1.0");
    let mut running = hearth.start();
    let address = running.wait_serving();
    household::fill(address, 5);
    let after = household::all(address);

    let asked = hearth.run(&["restore", "0001"]);
    assert_eq!(asked.status.code(), Some(2), "without a terminal it needs --yes");
    let restored = hearth.run(&["restore", "0001", "--yes"]);
    assert!(restored.status.success(), "{}\n{}", String::from_utf8_lossy(&restored.stderr), running.log());
    assert_eq!(hearth.live().as_deref(), Some("0003"));
    assert_eq!(household::all(address), before, "migrated, and as it was");

    let restored = hearth.run(&["restore", "2", "--yes"]);
    assert!(restored.status.success(), "{}\n{}", String::from_utf8_lossy(&restored.stderr), running.log());
    assert_eq!(hearth.live().as_deref(), Some("0004"));
    assert_eq!(household::all(address), after);
    hearth.assert_tidy();

    for (wrong, words) in
        [("0004", "is the live one"), ("77", "there is no snapshot 0077"), ("x", "not the id of a backup")]
    {
        let refused = hearth.run(&["restore", wrong, "--yes"]);
        assert_eq!(refused.status.code(), Some(2), "{wrong}");
        assert!(
            String::from_utf8_lossy(&refused.stderr).contains(words),
            "{}",
            String::from_utf8_lossy(&refused.stderr)
        );
    }
    running.stop();

    // And without a supervisor, under the lock.
    let restored = hearth.run(&["restore", "3", "--yes"]);
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let mut running = hearth.start();
    assert_eq!(household::all(running.wait_serving()), before);
    let list = hearth.run(&["snapshot", "list", "--json"]);
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    let live = list["generations"].as_array().unwrap().iter().filter(|row| row["state"] == "live").count();
    assert_eq!(live, 1, "{list}");
}

#[test]
fn a_restore_that_fails_leaves_the_old_app_serving() {
    let mut hearth = Hearth::new();
    household_of(&hearth, 6);
    hearth.next_migrator("good", "9.1.0");
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    hearth.set("HEARTH_FAULT", "finalize.begun=enospc");
    let mut running = hearth.start();
    let address = running.wait_serving();
    let before = household::all(address);
    let restored = hearth.run(&["restore", "1", "--yes"]);
    assert_eq!(restored.status.code(), Some(1));
    let said = String::from_utf8_lossy(&restored.stderr).into_owned();
    assert!(said.contains("error: "), "{said}");
    running.wait("the old app serving again", || hearth.status().filter(|status| status["phase"] == "serving"));
    assert_eq!(household::all(address), before);
    assert_eq!(hearth.live().as_deref(), Some("0002"));
    hearth.assert_tidy();
}

#[test]
fn a_newer_database_names_the_version_and_the_snapshot_that_leads_back() {
    let mut hearth = Hearth::new();
    let before = household_of(&hearth, 3);
    hearth.next_migrator("good", "9.1.0");
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    let left = hash(&hearth.database());
    hearth.own_migrator();
    let mut running = hearth.start();
    let (_, status) = running.wait_held(&hearth);
    let message = status["held"]["failure"]["message"].as_str().unwrap();
    assert_eq!(
        message,
        format!("the database was last upgraded by v9.1.0, and this is v{}", env!("CARGO_PKG_VERSION"))
    );
    let ways = status["held"].to_string();
    assert!(ways.contains("supervisor restore 0001"), "{ways}");
    assert_eq!(hash(&hearth.database()), left);
    // And that command does lead out of it.
    let restored = hearth.run(&["restore", "0001", "--yes"]);
    assert!(restored.status.success(), "{}\n{}", String::from_utf8_lossy(&restored.stderr), running.log());
    assert_eq!(household::all(running.wait_serving()), before);
}

#[test]
fn a_file_that_is_not_hearths_is_refused_and_not_touched() {
    let make: [(&str, Spoil, &str); 4] = [
        (
            "garbage",
            &|path| fs::write(path, "this is no database, but a letter to grandmother".repeat(100)).unwrap(),
            "not-a-database",
        ),
        (
            "foreign",
            &|path| {
                fs::remove_file(path).unwrap();
                let sqlite = rusqlite::Connection::open(path).unwrap();
                sqlite
                    .execute_batch(
                        "PRAGMA application_id = 252006674; CREATE TABLE photos (id); INSERT INTO photos VALUES (1);",
                    )
                    .unwrap();
            },
            "foreign",
        ),
        (
            "damaged",
            &|path| {
                // A table's, since indexes are built anew; and as after a stop that was not clean, so that it is looked for.
                let sqlite = rusqlite::Connection::open(path).unwrap();
                let page = "SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size WHERE name = 'record'";
                let (root, size) =
                    sqlite.query_row(page, [], |row| Ok((row.get::<_, usize>(0)?, row.get::<_, usize>(1)?))).unwrap();
                drop(sqlite);
                let mut bytes = fs::read(path).unwrap();
                bytes[(root - 1) * size..root * size].fill(0xA5);
                fs::write(path, bytes).unwrap();
                fs::write(path.with_extension("db-wal"), "x").unwrap();
            },
            "damaged",
        ),
        ("missing", &|path| fs::remove_file(path).unwrap(), "live"),
    ];
    for (name, spoil, cause) in make {
        let hearth = Hearth::new();
        household_of(&hearth, 60);
        let path = hearth.data.join("generations/0001/app.db");
        spoil(&path);
        let left = path.exists().then(|| hash(&path));
        let mut running = hearth.start();
        let (_, status) = running.wait_held(&hearth);
        assert_eq!(status["held"]["failure"]["cause"], cause, "{name}: {status}");
        assert!(status["held"]["failure"]["message"].as_str().unwrap().len() > 20, "{name}: {status}");
        assert_eq!(running.stop().code(), Some(0));
        assert_eq!(path.exists().then(|| hash(&path)), left, "{name}");
        assert_eq!(hearth.generations(), ["0001"], "{name}");
    }
}

#[test]
fn a_missing_or_dangling_link_holds_and_deletes_nothing() {
    let spoil: [(&str, Spoil); 4] = [
        ("missing", &|live| fs::remove_file(live).unwrap()),
        ("points to generations/0009, where nothing is", &|live| {
            fs::remove_file(live).unwrap();
            std::os::unix::fs::symlink("generations/0009", live).unwrap();
        }),
        ("not one of this data directory's generations", &|live| {
            fs::remove_file(live).unwrap();
            std::os::unix::fs::symlink("/etc", live).unwrap();
        }),
        ("not a link", &|live| {
            fs::remove_file(live).unwrap();
            fs::create_dir(live).unwrap();
        }),
    ];
    for (words, spoil) in spoil {
        let hearth = Hearth::new();
        let before = household_of(&hearth, 4);
        let live = hearth.data.join("live");
        spoil(&live);
        let mut running = hearth.start();
        let (_, status) = running.wait_held(&hearth);
        let message = status["held"]["failure"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{words}: {message}");
        let way = status["held"]["ways_out"][0]["command"].as_str().unwrap();
        assert!(way.ends_with("ln -sfn generations/0001 live"), "{way}");
        assert_eq!(hearth.generations(), ["0001"]);
        // The very command leads out.
        assert!(Command::new("sh").args(["-c", way]).current_dir(&hearth.data).status().unwrap().success());
        assert!(hearth.run(&["resume"]).status.success(), "{}", running.log());
        assert_eq!(household::all(running.wait_serving()), before);
    }
}

#[test]
fn all_data_gone_is_not_a_first_start() {
    let hearth = Hearth::new();
    household_of(&hearth, 2);
    fs::remove_dir_all(hearth.data.join("generations")).unwrap();
    fs::remove_file(hearth.data.join("live")).unwrap();
    let mut running = hearth.start();
    let (_, status) = running.wait_held(&hearth);
    let message = status["held"]["failure"]["message"].as_str().unwrap();
    assert!(message.contains("the data is gone"), "{message}");
    assert!(hearth.generations().is_empty(), "never healthy and empty");
}

#[test]
fn an_older_generation_that_an_operator_pointed_to_is_served_and_the_newer_one_is_kept() {
    let mut hearth = Hearth::new();
    let before = household_of(&hearth, 5);
    hearth.next_migrator("good", "9.1.0");
    let mut running = hearth.start();
    household::fill(running.wait_serving(), 4);
    running.stop();
    let live = hearth.data.join("live");
    fs::remove_file(&live).unwrap();
    std::os::unix::fs::symlink("generations/0001", &live).unwrap();
    hearth.own_migrator();
    for _ in 0..2 {
        let mut running = hearth.start();
        assert_eq!(household::all(running.wait_serving()), before);
        running.stop();
        assert_eq!(hearth.generations(), ["0001", "0002"]);
    }
    // An upgrade from there takes a new number and keeps both.
    hearth.next_migrator("good", "9.1.0");
    let mut running = hearth.start();
    assert_eq!(household::all(running.wait_serving()), before);
    assert_eq!(hearth.generations(), ["0001", "0002", "0003"]);
}
