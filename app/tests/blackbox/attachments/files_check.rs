//! Files that are lost, and how they are missed.

use std::{fs, path::PathBuf};

use serde_json::Value;

use super::{attach, record};
use crate::{
    faults::files_check,
    harness::{Data, Start},
};

fn path(data: &Data, content: &[u8]) -> PathBuf {
    let hash = blake3::hash(content).to_hex().to_string();
    data.files().join(&hash[..2]).join(hash)
}

#[test]
fn the_check_finds_missing_damaged_and_stray_files() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let record = record(&app);
    let made: Vec<_> = ["one", "two", "three"].map(|name| attach(&app, record, name, name.as_bytes())).into();
    // Beside the app, and without it.
    let whole = files_check(&data, &["--hash"]);
    assert!(whole.status.success(), "{whole:?}");
    let text = String::from_utf8(whole.stdout).unwrap();
    assert!(text.contains("3 attachments with 3 files of 11 bytes") && text.contains("Stray: 0"), "{text}");
    // A version of the record keeps it.
    assert_eq!(app.ask("DELETE", &format!("/api/v1/attachments/{}", made[2]["id"]), &[], b"").status, 204);
    assert!(String::from_utf8(files_check(&data, &[]).stdout).unwrap().contains("2 attachments with 3 files"));
    app.stop();
    fs::remove_file(path(&data, b"one")).unwrap();
    fs::write(path(&data, b"two"), "TWO").unwrap();
    fs::write(data.files().join("notes.txt"), "mine").unwrap();
    let stray = path(&data, b"nobody's");
    fs::create_dir_all(stray.parent().unwrap()).unwrap();
    fs::write(&stray, "nobody's").unwrap();
    for (arguments, missing, damaged) in [(&["--json"][..], 1, 0), (&["--json", "--hash"], 1, 1)] {
        let output = files_check(&data, arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["missing"].as_array().unwrap().len(), missing, "{report}");
        assert_eq!(report["damaged"].as_array().unwrap().len(), damaged, "{report}");
        assert_eq!(
            (&report["missing"][0]["attachments"][0], &report["missing"][0]["records"][0]),
            (&made[0]["id"], &made[0]["record_id"])
        );
        assert_eq!((report["stray"].as_array().unwrap().len(), &report["stray_bytes"]), (2, &12.into()), "{report}");
    }
    assert!(stray.exists(), "it only reads");
    // What is uploaded again is whole again.
    let app = Start::alone(&data).start();
    attach(&app, record, "one", b"one");
    attach(&app, record, "two", b"two");
    app.stop();
    assert!(files_check(&data, &["--hash"]).status.success());
}

#[test]
fn an_upgrade_that_would_lose_a_file_does_not_commit() {
    for (harm, words) in [
        (&(|path: &PathBuf| fs::remove_file(path).unwrap()) as &dyn Fn(&PathBuf), "is missing"),
        (&|path| fs::write(path, "shorter").unwrap(), "has 7 bytes instead of 10"),
    ] {
        let data = Data::new();
        let app = Start::alone(&data).start();
        let record = record(&app);
        attach(&app, record, "kept.txt", b"kept");
        attach(&app, record, "lost.txt", b"lost words");
        app.stop();
        let proven = Start::probation(&data).start();
        proven.stop();
        harm(&path(&data, b"lost words"));
        let mut app = Start::probation(&data).spawn();
        assert_eq!(app.wait().code(), Some(65));
        let line = app.log.wait("error: the file of attachment 2 (of record 1)");
        assert!(line.contains(words), "{line}");
        app.log.wait("hint: nothing was changed");
        assert!(!app.said().iter().any(|line| line == "READY=1"));
    }
}

#[test]
fn a_file_that_is_lost_is_no_other_file() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let made = attach(&app, record(&app), "lost.txt", b"lost words");
    fs::write(path(&data, b"lost words"), "other").unwrap();
    let problem = app.get(&format!("/api/v1/attachments/{}/content", made["id"])).problem(500);
    assert!(problem["detail"].as_str().unwrap().contains("missing or damaged"), "{problem}");
    app.log.wait("app files check");
    app.stop();
}
