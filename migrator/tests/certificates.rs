//! Each release is what its certificate says, and none was made without one.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

use std::fs;
use std::path::Path;

use migrator::developer::certificate::{self, Certificate, Checked, Measured, Upgrade};
use migrator::developer::check::{Breach, Cost, Facts, Report, Rule, Verdict};
use migrator::developer::release::changelog;
use migrator::developer::releases::{self, Released};
use migrator::{Difference, Release};

#[test]
fn the_newest_version_of_the_changelog_has_all_that_a_release_leaves() {
    let changelog = fs::read_to_string(releases::root().join("CHANGELOG.md")).unwrap();
    let version = changelog::newest(&changelog).expect("CHANGELOG.md has the section of a version");
    let missing = missing(&releases::directory(), &version.to_string());
    assert!(missing.is_empty(), "{version} has no {}: cargo release {version} makes them", missing.join(" and no "));
}

/// The files that a version does not have in `directory`, and should have.
fn missing(directory: &Path, version: &str) -> Vec<&'static str> {
    let all = releases::of(directory).unwrap();
    let Some(release) = all.iter().find(|release| release.version.to_string() == version) else {
        return vec!["delta.sql", "statements", certificate::EXTENSION];
    };
    let needed = ["statements", certificate::EXTENSION];
    let needed = needed.into_iter().filter(|name| *name == "statements" || certificate::is_needed(release));
    needed.filter(|name| !release.file(name).exists()).collect()
}

#[test]
fn each_certificate_is_what_is_proven_anew_and_is_green() {
    for release in releases::all().unwrap() {
        let file = release.file(certificate::EXTENSION);
        if !file.exists() {
            assert!(!certificate::is_needed(&release), "{} has no certificate", release.version);
            continue;
        }
        let certificate = Certificate::read(&file).unwrap();
        assert_eq!(certificate.objections, [""; 0], "{}", file.display());
        let again = certificate::render(&release).unwrap();
        assert!(fs::read_to_string(&file).unwrap() == again, "{} is stale; proven anew it is\n{again}", file.display());
    }
}

/// A directory with the files of these releases, and the newest of them.
fn copied(versions: &[&str]) -> (tempfile::TempDir, Released) {
    let files = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(releases::directory()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".pinned") || versions.iter().any(|version| name.starts_with(&format!("{version}."))) {
            fs::copy(&path, files.path().join(name)).unwrap();
        }
    }
    let newest = releases::of(files.path()).unwrap().pop().unwrap();
    (files, newest)
}

#[test]
fn a_release_is_proven_from_every_earlier_one_and_a_change_makes_the_certificate_stale() {
    let (files, newest) = copied(&["0.2.0", "0.3.0", "0.4.0"]);
    let proven = certificate::prove(&newest).unwrap();
    assert_eq!(proven.version, "0.4.0");
    assert_eq!(proven.migrations, newest.migrations().unwrap());
    assert_eq!(proven.upgrades.iter().map(|one| one.from.as_str()).collect::<Vec<_>>(), ["0.2.0", "0.3.0"]);
    for upgrade in &proven.upgrades {
        assert!(upgrade.rows > 0 && upgrade.values > upgrade.rows && upgrade.kept == upgrade.values, "{upgrade:?}");
    }
    let names: Vec<&str> = proven.files.keys().map(String::as_str).collect();
    assert!(names.contains(&"0.2.0.sql") && names.contains(&"0.4.0.statements"), "{names:?}");
    assert_eq!(names.iter().filter(|name| name.ends_with(".pinned")).count(), proven.migrations.len());

    let file = newest.file(certificate::EXTENSION);
    let text = Certificate::new(proven, Checked::default(), None, Vec::new()).text();
    fs::write(&file, &text).unwrap();
    assert_eq!(certificate::render(&newest).unwrap(), text);
    // A file that it was proven with, what it says, and its verdict.
    fs::write(files.path().join("0.3.0.statements"), "SELECT 1\n").unwrap();
    assert_ne!(certificate::render(&newest).unwrap(), text);
    let (files, newest) = copied(&["0.2.0", "0.3.0", "0.4.0"]);
    for (from, to) in [("\"kept\": ", "\"kept\": 1"), ("green: ", "red: "), ("releases;", "releases, and more;")] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        fs::write(newest.file(certificate::EXTENSION), &changed).unwrap();
        assert_eq!(certificate::render(&newest).unwrap(), text, "{from}");
    }
    fs::write(newest.file(certificate::EXTENSION), text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    let problem = certificate::render(&newest).unwrap_err();
    assert!(problem.message.ends_with("it has format 2, and this source knows 1"), "{problem:?}");
    assert_eq!(missing(files.path(), "0.4.0"), [""; 0], "it is from before the first certificate");
    assert_eq!(missing(files.path(), "0.5.0"), ["delta.sql", "statements", "certificate.json"]);
    fs::write(files.path().join("0.5.0.delta.sql"), "").unwrap();
    assert_eq!(missing(files.path(), "0.5.0"), ["statements", "certificate.json"]);
}

#[test]
fn what_is_lost_or_refused_makes_it_red() {
    let (_files, newest) = copied(&["0.3.0", "0.4.0"]);
    let proven = certificate::prove(&newest).unwrap();
    let rules =
        |verdict: &str| Checked { rules: [("additive".to_owned(), verdict.to_owned())].into(), ..Checked::default() };
    let green = Certificate::new(proven.clone(), rules("ok"), None, Vec::new());
    assert!(green.objections.is_empty() && green.verdict.starts_with("green: 0.4.0 keeps "), "{green:?}");
    let refused = Certificate::new(proven.clone(), rules(certificate::REFUSED), None, Vec::new());
    assert_eq!(refused.objections, ["cargo migration check refuses it by the rule additive"]);
    assert!(
        refused.verdict.starts_with("red: ") && refused.verdict.contains("; 1 of 1 rules refuse it"),
        "{refused:?}"
    );
    let mut lossy = proven;
    lossy.upgrades[0].kept -= 1;
    let (kept, values) = (lossy.upgrades[0].kept, lossy.upgrades[0].values);
    let lossy = Certificate::new(lossy, rules("ok"), None, Vec::new());
    assert_eq!(lossy.objections, [format!("the upgrade from 0.3.0 keeps {kept} of {values} values")]);
    assert!(lossy.verdict.starts_with("red: "));
}

/// A release of 99.0.0 that declares these.
fn declaring(differences: &[(&str, &str)], oldest: Option<&str>) -> Release {
    Release {
        version: "99.0.0".to_owned(),
        oldest: oldest.map(str::to_owned),
        differences: differences.iter().map(Difference::from).collect(),
        ..Release::current()
    }
}

#[test]
fn a_difference_that_a_release_means_stands_in_its_certificate_with_the_reason() {
    let (files, newest) = copied(&["0.3.0", "0.4.0"]);
    let proven = certificate::prove(&newest).unwrap();
    let of = |differences: &[(&str, &str)]| {
        let declared = differences.iter().map(Difference::from).collect();
        Certificate::new(proven.clone(), Checked::default(), None, declared)
    };
    let none = of(&[]);
    assert!(!none.text().contains("differences") && !none.verdict.contains("declared"), "{}", none.text());
    let (trash, finds) = (("records in the trash", "0.4.0 counts comments"), ("records that user", "roles are new"));
    let certificate = of(&[trash, finds]);
    assert!(certificate.objections.is_empty() && certificate.verdict.ends_with("; 2 differences are declared"));
    let file = newest.file(certificate::EXTENSION);
    fs::write(&file, certificate.text()).unwrap();
    assert_eq!(Certificate::read(&file).unwrap(), certificate);
    assert_eq!(certificate::render(&newest).unwrap(), certificate.text(), "proven anew it is the same");

    let objections = |differences: &[(&str, &str)]| of(differences).objections;
    assert_eq!(objections(&[("", "all")]), ["a declared difference names no figure, and so every one"]);
    let unfounded = objections(&[("records in the trash", " ")]);
    assert_eq!(unfounded, ["the declared difference \"records in the trash\" has no reason"]);
    for twice in
        [[finds, finds], [finds, ("records that user 3 sees", "again")], [("records that user 3 sees", "x"), finds]]
    {
        assert!(objections(&twice)[0].ends_with("is in \"records that user\" already"), "{twice:?}");
    }

    // A later release means it too, for who comes from before; unless it sends them through the release that declared it.
    let earlier = releases::of(files.path()).unwrap();
    let wrong = |differences: &[(&str, &str)], oldest| {
        certificate::wrong_declaration(&declaring(differences, oldest), &earlier).unwrap()
    };
    assert_eq!(wrong(&[trash, finds], None), [""; 0]);
    assert_eq!(wrong(&[trash, ("records", "more is meant")], None).len(), 1, "one is in the other");
    assert_eq!(wrong(&[("records", "all of them")], None), [""; 0]);
    let forgotten = "0.4.0 declared the difference \"records that user\", which an upgrade from before it shows to this release as well";
    assert_eq!(wrong(&[trash], None), [forgotten]);
    assert_eq!(wrong(&[trash], Some("0.3.0")), [forgotten]);
    assert_eq!(wrong(&[], Some("0.4.0")), [""; 0]);
}

/// What the migrator tells of this release is what its certificate and those of the earlier ones say.
#[test]
fn the_differences_of_this_source_agree_with_the_certificates_and_have_reasons() {
    let wrong = certificate::wrong_declaration(&Release::current(), &releases::all().unwrap()).unwrap();
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn a_report_is_taken_over_rule_by_rule_and_what_it_took_is_counted_for_each_gib() {
    let verdict = |rule, skipped: Option<&str>| Verdict {
        rule,
        skipped: skipped.map(str::to_owned),
        breaches: Vec::new(),
        notes: Vec::new(),
    };
    let breach = Breach {
        migration: "m0004_x".to_owned(),
        file: "x.rs".to_owned(),
        line: None,
        object: "table record".to_owned(),
        what: "it is gone".to_owned(),
        instead: "leave it".to_owned(),
        releases: Vec::new(),
    };
    let refused = Verdict { breaches: vec![breach], ..verdict(Rule::Additive, None) };
    let report = Report {
        version: "0.6.0".to_owned(),
        migrations: vec!["m0004_x".to_owned()],
        floor: "0.6.0".to_owned(),
        rules: vec![verdict(Rule::Order, None), refused, verdict(Rule::Time, Some("not measured"))],
        releases: vec![Facts { version: "0.5.0".to_owned(), tables: 1, rows: 2, values: 6, kept: 5 }],
        costs: Vec::new(),
    };
    let checked = Checked::of(&report);
    let rules: Vec<_> = checked.rules.iter().map(|(rule, verdict)| (rule.as_str(), verdict.as_str())).collect();
    assert_eq!(rules, [("additive", "refused"), ("order", "ok"), ("time", "skipped: not measured")]);
    assert_eq!(checked.upgrades, [Upgrade { from: "0.5.0".to_owned(), tables: 1, rows: 2, values: 6, kept: 5 }]);

    let from = "0.5.0".parse().unwrap();
    assert_eq!(Measured::here(&from, &[]), None);
    let cost = |mebibytes: u64, seconds, peak| Cost { bytes: mebibytes << 20, seconds, peak };
    let measured = Measured::here(&from, &[cost(32, 0.1004, 1 << 20), cost(128, 0.5, 16 << 20)]).unwrap();
    assert_eq!(measured.upgrades.iter().map(|one| one.milliseconds).collect::<Vec<_>>(), [100, 500]);
    assert_eq!((measured.per_gib.seconds, measured.per_gib.peak), (4, 128 << 20), "as the largest took");
    assert!(measured.machine.contains(" build"), "{}", measured.machine);
}
