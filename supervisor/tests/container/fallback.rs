//! A failed upgrade of the app is no downtime, as a household sees it: another image named in `.env`, and `docker compose up -d`.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    engine::image,
    harness::{household, http, request},
    images,
    project::Project,
};

/// How long after `up -d` somebody answers, at most.
const SOON: Duration = Duration::from_secs(20);

/// What becomes of an upgrade.
#[derive(Clone, Copy, PartialEq)]
enum Becomes {
    /// It fails, and the version before serves on.
    Failed,
    /// It goes well.
    Upgraded,
    /// It fails after the new version took over, and the version before serves the present data.
    TakenBack,
    /// The same, and it serves the data from before, since nothing was written.
    BackToBefore,
}

/// A way in which a release can be broken.
struct Broken {
    name: &'static str,
    app: &'static str,
    migrator: &'static str,
    mode: u32,
    /// What is said of it.
    words: &'static str,
    becomes: Becomes,
}

const fn broken(name: &'static str, app: &'static str, migrator: &'static str, words: &'static str) -> Broken {
    Broken { name, app, migrator, mode: 0o755, words, becomes: Becomes::Failed }
}

const GOOD: &str = "migrator.migration=good";

/// The ways in which a release is broken here, but for the one that is held.
fn ways() -> Vec<Broken> {
    vec![
        broken("bad-migration", "", "migrator.migration=fails", "half of the work is done"),
        broken("loses-a-row", "", "migrator.migration=loses-row", "record"),
        Broken { becomes: Becomes::Upgraded, ..broken("slow", "", "migrator.migration=slow:15", "") },
        broken("out-of-space", "", "migrator.migration=good,migrate.applied=enospc", "space"),
        broken("dies-at-start", "app.started=panic", GOOD, "before it was ready"),
        broken("hangs-in-probation", "app.tested=hang", GOOD, "not ready within"),
        broken("hides-rows", "app.hides", GOOD, "people would not see"),
        broken("loses-an-attachment", "app.loses", GOOD, "people would not see"),
        broken("wrong-search", "app.finds-nothing", GOOD, "people would not see"),
        broken("sigill", "app.started=ill", GOOD, "SIGILL"),
        broken("proof-panics", "app.proof=panic", GOOD, "what people see"),
        Broken { mode: 0o644, ..broken("not-executable", "", GOOD, "executed") },
        Broken { becomes: Becomes::TakenBack, ..broken("falls-over", "app.serving=kill", "", "ended 3 times") },
        Broken {
            becomes: Becomes::BackToBefore,
            ..broken("falls-over-migrated", "app.serving=kill", GOOD, "ended 3 times")
        },
    ]
}

/// A household with the tested image, whose app is kept, and its records.
fn household_with_data() -> (Project, BTreeMap<i64, Value>) {
    let project = Project::new(&["compose.yml", "tier-recommended.yml"], &image());
    project.set("HEARTH_HEALTH__INTERVAL", "200ms");
    project.set("HEARTH_RESTART__BACKOFF", "100ms");
    project.set("HEARTH_APP__START_TIMEOUT", "15s");
    project.compose(&["up", "-d"]);
    let address = project.wait_serving();
    household::fill(address, 40);
    let record = household::add(address, &household::record(40));
    let attached = http::attach(address, &record["id"], "boiler.txt", b"the boiler's manual");
    assert_eq!(attached.status, 201, "{}", attached.body);
    let records = household::all(address);
    project.wait_for_log("kept the app of v");
    (project, records)
}

/// Waits until somebody answers reads and writes; returns the record that was added.
fn answers_soon(project: &Project, since: Instant, records: &BTreeMap<i64, Value>) -> Value {
    let address = project.address;
    let wanted = household::record(records.len());
    let added = project.wait("reads and writes", || {
        let answer = request(address, "POST", "/api/v1/records", "application/json", Some(&wanted)).ok()?;
        (answer.status == 201).then(|| answer.json())
    });
    assert!(since.elapsed() < SOON, "it took {:?}\n{}", since.elapsed(), project.log());
    let now = household::all(address);
    records.iter().for_each(|(id, record)| assert_eq!(now.get(id), Some(record)));
    added
}

/// Waits until the upgrade has failed; returns the status.
fn wait_failed(project: &Project) -> Value {
    project.wait("the upgrade to fail", || {
        project.status().filter(|status| !status["fallback"]["failure"].is_null() && status["phase"] == "serving")
    })
}

fn wait_upgraded(project: &Project) {
    project.wait("the new version", || {
        project.status().filter(|status| status["fallback"].is_null() && status["phase"] == "serving")
    });
}

#[test]
#[ignore = "needs a container engine and the image"]
fn in_each_way_that_a_release_is_broken_the_version_before_answers_and_then_a_good_one_comes_through() {
    let (project, mut records) = household_with_data();
    let version = images::next_version();
    let mut live = 1;
    for Broken { name, app, migrator, mode, words, becomes } in ways() {
        let since = Instant::now();
        project.change_image(&images::next_with(name, app, migrator, mode));
        let added = answers_soon(&project, since, &records);
        // What was written while it failed is there, but where it goes back to what was before the new version took over.
        if becomes == Becomes::Upgraded {
            wait_upgraded(&project);
            project.wait_serving();
            let now = household::all(project.address);
            assert!(now.contains_key(&added["id"].as_i64().unwrap()), "{name}");
            // Back to the version before, by its snapshot: the others are broken upgrades from it.
            live = project.status().unwrap()["live"].as_u64().unwrap();
            project.change_image(&image());
            project.wait_phase("held");
            let snapshot = format!("{:04}", live - 1);
            project.exec(&["supervisor", "restore", &snapshot, "--yes"]);
            project.wait_serving();
            live = project.status().unwrap()["live"].as_u64().unwrap();
            records = household::all(project.address);
            continue;
        }
        let status = wait_failed(&project);
        let failure = status["fallback"]["failure"]["message"].as_str().unwrap();
        assert!(failure.contains(words), "{name}: {failure}");
        project.wait_serving();
        let now = household::all(project.address);
        assert!(
            now.contains_key(&added["id"].as_i64().unwrap()),
            "{name}: what was written is there\n{}",
            project.log()
        );
        records.iter().for_each(|(id, record)| assert_eq!(now.get(id), Some(record), "{name}"));
        let before = std::mem::replace(&mut live, status["live"].as_u64().unwrap());
        match becomes {
            Becomes::Failed => assert_eq!(live, before, "{name}"),
            // The generation that failed lies between.
            Becomes::TakenBack | Becomes::BackToBefore => assert_eq!(live, before + 2, "{name}"),
            Becomes::Upgraded => {}
        }
        // It is said on the page, and nothing restarts the container.
        let page = project.wait("the page to say so", || {
            let page = http::page(project.address, "/");
            page.body.contains(&version).then_some(page)
        });
        assert!(page.body.contains("is serving"), "{name}: {}", page.body);
        assert_eq!(project.health(), Some(200), "{name}");
        project.wait_health("healthy");
        records = household::all(project.address);
    }
    // Then a good one.
    let since = Instant::now();
    project.change_image(images::next());
    answers_soon(&project, since, &records);
    wait_upgraded(&project);
    project.wait_serving();
    let now = household::all(project.address);
    records.iter().for_each(|(id, record)| assert_eq!(now.get(id), Some(record)));
}

#[test]
#[ignore = "needs a container engine and the image"]
fn a_version_that_took_writes_which_the_one_before_cannot_serve_is_held_with_both_ways() {
    let (project, records) = household_with_data();
    project.change_image(&images::next_with("falls-over-written", "app.wrote=kill", GOOD, 0o755));
    wait_upgraded(&project);
    // Each write ends it.
    for number in 0..200 {
        if project.status().is_some_and(|status| status["phase"] == "held") {
            break;
        }
        let wanted = household::record(1000 + number);
        let _ = request(project.address, "POST", "/api/v1/records", "application/json", Some(&wanted));
    }
    let status = project.wait_phase("held");
    let ways = status["held"]["ways_out"].to_string();
    assert!(ways.contains("supervisor resume") && ways.contains("supervisor restore 0001"), "{ways}");
    assert_eq!(status["live"], 2, "with what was written");
    // The way that gives the writes up.
    project.change_image(&image());
    project.wait_phase("held");
    project.exec(&["supervisor", "restore", "0001", "--yes"]);
    project.wait_serving();
    assert_eq!(household::all(project.address), records);
}

#[test]
#[ignore = "needs a container engine and the image"]
fn two_bad_ones_in_a_row_and_a_rehearsal_by_hand_leave_the_last_good_one_serving() {
    let (project, records) = household_with_data();
    for name in ["first-bad", "second-bad"] {
        let bad = images::next_with(name, "", "migrator.migration=fails", 0o755);
        let since = Instant::now();
        project.change_image(&bad);
        answers_soon(&project, since, &records);
        wait_failed(&project);
    }
    // Beside the running one, as docs/UPGRADING.md has it.
    let path = project.directory.path().join(".env");
    let settings = std::fs::read_to_string(&path).unwrap();
    let other: Vec<String> =
        settings
            .lines()
            .map(|line| {
                if line.starts_with("HEARTH_IMAGE=") { format!("HEARTH_IMAGE={}", images::next()) } else { line.into() }
            })
            .collect();
    std::fs::write(&path, other.join("\n") + "\n").unwrap();
    let said = project.compose(&["run", "--rm", "-T", "web", "rehearse"]);
    assert!(said.contains("would go well"), "{said}");
    assert_eq!(project.health(), Some(200));
    let now = household::all(project.address);
    records.iter().for_each(|(id, record)| assert_eq!(now.get(id), Some(record)));
    let listed = project.exec(&["supervisor", "exec", "app", "user", "list"]);
    assert!(listed.contains(http::EMAIL), "{listed}");
}
