//! An upgrade as an operator does it: another image named in `.env`, and `docker compose up -d`.

use std::{collections::BTreeSet, path::Path};

use crate::{
    engine::{both, docker, image, output, try_docker},
    harness::household,
    images,
    project::Project,
};

#[test]
#[ignore = "needs a container engine and the image"]
fn a_newer_image_migrates_and_in_place_of_a_broken_one_it_serves_on() {
    let project = Project::new(&["compose.yml", "tier-recommended.yml"], &images::old());
    project.compose(&["up", "-d"]);
    let address = project.wait_serving();
    household::fill(address, 200);
    let records = household::all(address);

    project.change_image(images::next());
    project.wait_health("healthy");
    project.wait_serving();
    assert_eq!(household::all(address), records);
    let log = project.log();
    let lines = [
        "[Migrate] Checking database state...",
        "[Migrate] Skipping: m0001_records",
        "[Migrate] Applying: m",
        "[Migrate] All migrations complete!",
        "[App] Starting server v",
    ];
    let mut rest = log.as_str();
    for line in lines {
        rest = rest.split_once(line).unwrap_or_else(|| panic!("{line:?} is not in its place:\n{log}")).1;
    }
    let snapshots = project.exec(&["supervisor", "snapshot", "list"]);
    assert!(snapshots.contains("0001") && snapshots.contains("0002"), "{snapshots}");
    let more = household::add(address, &household::record(200));
    let records = household::all(address);
    assert!(records.contains_key(&more["id"].as_i64().unwrap()));

    // The next version, which serves, serves on.
    project.change_image(images::broken());
    project.wait_serving();
    let status = project
        .wait("the upgrade to fail", || project.status().filter(|status| !status["fallback"]["failure"].is_null()));
    let failure = &status["fallback"]["failure"];
    assert!(failure["message"].as_str().unwrap().contains("half of the work"), "{failure}");
    project.wait_health("healthy");
    assert_eq!((project.health(), &status["live"]), (Some(200), &2.into()));
    assert_eq!(household::all(address), records);
    // A watcher that restarts it does no harm, and makes no new try.
    let tries = || project.log().matches("[Backup] error: rehearse").count();
    assert_eq!(tries(), 1, "{}", project.log());
    docker(&["restart", "--time", "10", &project.name]);
    project.wait_serving();
    project.wait("what failed before", || project.status().filter(|status| !status["fallback"]["failure"].is_null()));
    assert_eq!(tries(), 1, "{}", project.log());

    project.change_image(images::next());
    project.wait_health("healthy");
    project.wait_serving();
    assert_eq!(household::all(address), records);
    let status = project.status().unwrap();
    assert_eq!((&status["live"], &status["held"]), (&2.into(), &serde_json::Value::Null));
}

#[test]
#[ignore = "needs a container engine and the image"]
fn an_image_older_than_the_data_says_which_one_is_needed_and_leads_back_to_the_snapshot() {
    let project = Project::new(&["compose.yml", "tier-recommended.yml"], &image());
    project.compose(&["up", "-d"]);
    let address = project.wait_serving();
    household::fill(address, 20);
    let records = household::all(address);
    project.change_image(images::next());
    // The tested one serves until the next one takes over.
    project.wait("the next version", || {
        project.status().filter(|status| status["live"] == 2 && status["phase"] == "serving")
    });

    project.change_image(&image());
    let status = project.wait_phase("held");
    let failure = &status["held"]["failure"];
    assert_eq!(failure["cause"], "newer", "{failure}");
    assert!(failure["message"].as_str().unwrap().contains(&images::next_version()), "{failure}");
    // The way out that it prints, as it is printed, but for the question.
    let ways = status["held"]["ways_out"].as_array().unwrap();
    let restore =
        ways.iter().find_map(|way| way["command"].as_str().filter(|way| way.starts_with("supervisor restore")));
    let restore = restore.unwrap_or_else(|| panic!("no way back in {ways:?}"));
    let mut words: Vec<&str> = restore.split(' ').collect();
    words.push("--yes");
    project.exec(&words);
    project.wait_serving();
    assert_eq!(household::all(address), records);
}

#[test]
#[ignore = "needs a container engine and the image"]
fn the_script_shows_an_upgrade_and_the_way_back_and_removes_what_it_made() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/test-upgrade.sh");
    let script = script.to_str().unwrap();
    let made = || -> BTreeSet<String> {
        let listed = [&["ps", "--all"][..], &["volume", "ls"]].map(|what| both(&try_docker(what))).concat();
        listed.split_whitespace().filter(|word| word.starts_with("hearth-test-upgrade-")).map(str::to_owned).collect()
    };
    let before = made();
    for (to, words) in [
        // Whether there is a migration between the two is another's business.
        (image(), ["== The generations", "== The way back", "== Done"]),
        (images::next().to_owned(), ["Applying: m", "supervisor restore 0001", "generation 0003 is live"]),
    ] {
        let shown = output(script, &[&images::old(), &to]);
        let said = both(&shown);
        assert!(shown.status.success(), "{said}");
        for words in words {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert_eq!(said.matches("all 60 records are the same").count(), 2, "{said}");
    }
    // One that goes wrong says so.
    let shown = output(script, &[&image(), images::broken()]);
    let said = both(&shown);
    assert_eq!(shown.status.code(), Some(1), "{said}");
    assert!(said.contains("half of the work") && said.contains("is unchanged"), "{said}");
    assert_eq!(output(script, &["one"]).status.code(), Some(2));
    assert!(made().is_subset(&before), "{:?}", made());
}
