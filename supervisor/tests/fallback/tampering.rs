//! What is done to a kept program never runs.

use std::{
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use crate::{
    harness::Running,
    image::{Fault, Household},
};

/// Does something to the kept program, then starts an image whose upgrade fails; returns what the status says.
fn after(plant: impl FnOnce(&mut Household, &Path)) -> (Household, Running, serde_json::Value) {
    let mut household = Household::new();
    household.settle();
    let good = household.good();
    plant(&mut household, &good);
    household.pull(Fault::None).next_migrator("fails", "9.1.0");
    let mut running = household.hearth.start();
    let (_, status) = running.wait_held(&household.hearth);
    (household, running, status)
}

#[test]
fn a_changed_program_is_not_started_and_it_is_said() {
    for change in [
        (|path| fs::File::options().append(true).open(path).unwrap().write_all(b"x").unwrap()) as fn(&Path),
        |path| {
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        },
        |path| fs::write(path, "#!/bin/sh\ntouch /tmp/owned\n").unwrap(),
        |path| fs::File::options().write(true).open(path).unwrap().set_len(1000).unwrap(),
        |path| {
            fs::rename(path, path.with_file_name("moved")).unwrap();
            symlink("moved", path).unwrap();
        },
        |path| {
            fs::remove_file(path).unwrap();
            nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        },
    ] {
        let (_household, _running, status) = after(|_, path| change(path));
        assert!(status["notes"].to_string().contains("which was kept, cannot serve"), "{status}");
    }
}

#[test]
fn a_program_of_another_architecture_is_not_started() {
    let (_household, _running, status) = after(|household, path| {
        // The whole of what an attacker could write but cannot: the document names the changed program as well.
        let mut bytes = fs::read(path).unwrap();
        // e_machine, elf(5): riscv.
        bytes[18] = 243;
        let hash = blake3::hash(&bytes).to_hex().to_string();
        fs::remove_file(path).unwrap();
        fs::write(path.with_file_name(&hash), bytes).unwrap();
        let document = household.hearth.data.join("supervisor/programs.json");
        let mut programs = household.programs();
        programs["good"]["blake3"] = hash.into();
        fs::write(document, programs.to_string()).unwrap();
    });
    assert!(status["notes"].to_string().contains("architecture"), "{status}");
}

#[test]
fn without_landlock_only_what_the_image_lists_is_started() {
    let (_household, _running, status) = after(|household, _| {
        household.hearth.set("HEARTH_FAULT", "landlock=0");
    });
    assert!(status["notes"].to_string().contains("without Landlock"), "{status}");
    // Listed beside the supervisor, it is.
    let mut household = Household::new();
    household.settle();
    let good = household.good();
    household.pull(Fault::None).next_migrator("fails", "9.1.0").set("HEARTH_FAULT", "landlock=0");
    let hash = good.file_name().unwrap().to_str().unwrap();
    fs::write(household.hearth.programs().join("known-apps"), format!("{hash}  v0.8.0\n")).unwrap();
    let mut running = household.hearth.start();
    running.wait_serving();
    crate::upgrade::wait_failed(&household, &running);
}

#[test]
fn below_the_security_floor_of_the_image_nothing_takes_its_place() {
    let (_household, _running, status) = after(|household, _| {
        household.hearth.set("TEST_SECURITY_FLOOR", "99.0.0");
    });
    assert!(status["notes"].to_string().contains("for security"), "{status}");
}

#[test]
fn a_document_of_a_later_format_is_kept_and_holds() {
    let mut household = Household::new();
    household.settle();
    for name in ["programs.json", "tries.json"] {
        let path = household.hearth.data.join("supervisor").join(name);
        let before = fs::read(&path).ok();
        fs::write(&path, r#"{"format": 2}"#).unwrap();
        household.pull(Fault::None).next_migrator("good", "9.1.0");
        let mut running = household.hearth.start();
        let (_, status) = running.wait_held(&household.hearth);
        assert!(status["held"]["failure"]["message"].as_str().unwrap().contains("format 2"), "{status}");
        assert_eq!(fs::read(&path).unwrap(), br#"{"format": 2}"#);
        assert!(running.stop().success());
        match before {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
    }
}

#[test]
fn a_program_that_serves_goes_on_when_its_file_is_gone() {
    let (household, mut running, _) = crate::upgrade::in_fallback();
    let good = household.good();
    assert_eq!(fs::metadata(&good).unwrap().permissions().mode() & 0o777, 0o600, "nobody executes it from there");
    fs::remove_file(&good).unwrap();
    household.hearth.done(&["restart"]);
    assert_eq!(crate::harness::get(running.wait_serving(), "/health").status, 200);
    assert!(running.stop().success());
    let mut running = household.hearth.start();
    running.wait_held(&household.hearth);
}

#[test]
fn a_program_that_nothing_names_goes_with_the_next_start_and_nothing_else_does() {
    let mut household = Household::new();
    household.settle();
    let programs = household.hearth.data.join("programs");
    let good = household.files_of_programs();
    // A supervisor that was killed has kept one and not named it; a job has written half of one.
    for name in [&"0".repeat(64), ".1.kept.new", "notes.txt"] {
        fs::write(programs.join(name), "left over").unwrap();
    }
    let mut running = household.hearth.start();
    running.wait_serving();
    let mut expected = good.clone();
    expected.insert("notes.txt".to_owned());
    running.wait("what nobody names to go", || (household.files_of_programs() == expected).then_some(()));
    assert_eq!(household.named(), good);
}
