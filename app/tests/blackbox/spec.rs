//! The API's document.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::harness::{Data, SESSION, Start};

const SNAPSHOT: &str = "tests/blackbox/openapi.json";

fn printed() -> String {
    let output = Command::new(crate::served::program()).arg("openapi").output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// A changed API is a decision: after it, run the tests with `HEARTH_TEST_UPDATE_SNAPSHOTS=1` and read the difference.
#[test]
fn the_document_is_the_one_that_was_agreed_on() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(SNAPSHOT);
    let now = printed();
    if std::env::var_os("HEARTH_TEST_UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &now).unwrap();
    }
    let agreed = fs::read_to_string(&path).unwrap_or_default();
    let without_version = |text: &str| text.replace(&format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION")), "");
    assert!(
        without_version(&now) == without_version(&agreed),
        "the document differs from {SNAPSHOT}; if that is meant, set HEARTH_TEST_UPDATE_SNAPSHOTS=1"
    );
}

/// It touches nothing and reads no settings: a supervisor asks it of a program that it does not know.
#[test]
fn the_contract_is_the_document_of_the_golden_file_in_one_line() {
    let mut command = Command::new(crate::served::program());
    command.args(["contract", "--json"]).env("HEARTH_LISTEN", "no address").env("HEARTH_DATABASE", "/nowhere/app.db");
    let output = command.output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.lines().count(), 1, "{printed}");
    let mut golden: Value = serde_json::from_str(include_str!("../../../docs/contracts/app-contract.json")).unwrap();
    golden["version"] = env!("CARGO_PKG_VERSION").into();
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), golden);
}

#[test]
fn the_served_document_is_the_printed_one() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let served = app.get("/api/v1/openapi.json");
    assert_eq!(served.header("content-type"), Some("application/json"));
    // Each instance has cookies of its own name.
    let printed = printed().replace("hearth-INSTANCE", SESSION);
    assert_eq!(served.json(), serde_json::from_str::<Value>(&printed).unwrap());
    app.stop();
}

#[test]
fn every_operation_is_described_in_full() {
    let spec: Value = serde_json::from_str(&printed()).unwrap();
    let mut ids = Vec::new();
    for (path, operations) in spec["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let name = format!("{method} {path}");
            ids.push(operation["operationId"].as_str().expect(&name));
            assert!(operation["summary"].is_string(), "{name}");
            assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{name}");
            let responses = operation["responses"].as_object().unwrap();
            for (status, response) in responses {
                assert!(!response["description"].as_str().unwrap().is_empty(), "{name} {status}");
                if status.starts_with(['4', '5']) {
                    assert!(response["content"]["application/problem+json"].is_object(), "{name} {status}");
                }
            }
            let mut expected = vec!["400", "500", "503"];
            if operation.get("requestBody").is_some() {
                expected.extend(["413", "415", "507"]);
            }
            for status in expected {
                assert!(responses.contains_key(status), "{name} {status}");
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{name} {}", parameter["name"]);
            }
        }
    }
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
    // Each reference leads somewhere.
    let text = spec.to_string();
    for reference in text.split("\"$ref\":\"#/").skip(1) {
        let pointer = format!("/{}", reference.split('"').next().unwrap());
        assert!(spec.pointer(&pointer).is_some(), "{pointer}");
    }
}
