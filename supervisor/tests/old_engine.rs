//! Every program does its work where an old container engine refuses `clone3` with EPERM (Docker 20.10.0 to 20.10.9), however
//! it was started: `docker compose exec web app setup-code` has no supervisor before it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    collections::BTreeMap,
    os::unix::process::CommandExt,
    process::{Command, Output, Stdio},
};

use harness::{Hearth, program};
use nix::libc;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// Has the engine's filter laid over a command.
fn refuse_clone3(command: &mut Command) -> &mut Command {
    let calls = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, refused, architecture).unwrap();
    let filter: BpfProgram = filter.try_into().unwrap();
    // SAFETY: between fork and exec this makes system calls only, and allocates nothing unless they fail.
    unsafe { command.pre_exec(move || seccompiler::apply_filter(&filter).map_err(std::io::Error::other)) }
}

fn run(hearth: &Hearth, name: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program(name));
    command.args(arguments).env("HEARTH_DATA_DIR", &hearth.data).stdin(Stdio::null());
    refuse_clone3(&mut command).output().unwrap()
}

#[test]
fn each_program_does_its_work_where_the_engine_refuses_clone3() {
    let mut hearth = Hearth::new();
    hearth.without_owner();
    let mut command = hearth.command(&[]);
    refuse_clone3(&mut command);
    let mut running = hearth.spawn(command);
    running.wait_serving();
    let notes = hearth.status().unwrap()["notes"].to_string();
    assert!(notes.contains("seccomp profile is old"), "{notes}");
    for (name, arguments) in [
        ("supervisor", &["healthcheck"][..]),
        ("supervisor", &["status"]),
        ("supervisor", &["backup"]),
        ("supervisor", &["backup", "verify", "--all"]),
        ("app", &["setup-code"]),
        ("app", &["user", "list"]),
        ("app", &["user", "create", "ada@example.org"]),
        ("app", &["openapi"]),
        ("migrator", &["status"]),
        ("migrator", &["status", "--json", "--quick-check"]),
        ("migrator", &["schema"]),
        ("supervisor", &["migrator", "status"]),
        ("supervisor", &["app", "user", "list"]),
    ] {
        let output = run(&hearth, name, arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} {arguments:?}: {told}");
    }
    assert!(running.stop().success());
    // Without one that runs, a command does the work itself.
    let output = run(&hearth, "supervisor", &["backup"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
