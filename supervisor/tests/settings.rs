//! What do the programs say of their settings, in the environment, in `config.toml` and in compose's `.env`?

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    fs,
    process::{Command, Stdio},
};

use harness::{Hearth, program, said, told};
use serde_json::Value;

#[test]
fn a_mistake_in_the_settings_keeps_no_healthy_supervisor_from_being_asked() {
    let mut hearth = Hearth::new();
    let mut running = hearth.start();
    running.wait_serving();
    fs::write(hearth.data.join("config.toml"), "[stop]\ngrase = \"1s\"\n").unwrap();
    hearth.set("HEARTH_LISTN", "127.0.0.1:1");
    for command in [&["healthcheck"][..], &["status"], &["snapshot", "list"], &["restart"]] {
        let output = hearth.run(command);
        assert_eq!(output.status.code(), Some(0), "{command:?}: {}", told(&output));
    }
    hearth.unset("HEARTH_LISTN");
    // What is in force is shown, and that the next start will not have it.
    let output = hearth.run(&["config"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).starts_with("what the supervisor on "), "{}", told(&output));
    assert!(told(&output).contains("error: there is no setting stop.grase"), "{}", told(&output));
    assert!(said(&output).contains("health.interval") && said(&output).contains("200ms"), "{}", said(&output));
    assert!(!said(&output).contains("ALLOWED"), "{}", said(&output));
    // The start itself is not forgiving.
    running.stop();
    let mut again = hearth.start();
    assert_eq!(again.wait_end().code(), Some(2), "{}", again.log());
}

#[test]
fn the_settings_there_are_are_shown_to_whoever_mistyped_one() {
    let mut hearth = Hearth::new();
    hearth.set("HEARTH_LISTN", "127.0.0.1:1");
    let output = hearth.run(&["config"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        told(&output),
        "error: there is no setting HEARTH_LISTN (in the environment)\nhint: did you mean HEARTH_LISTEN? All settings: supervisor config\n"
    );
    let shown = said(&output);
    assert!(shown.contains("ALLOWED") && shown.contains("HEARTH_STOP__GRACE"), "{shown}");
    let output = hearth.run(&["config", "--json"]);
    assert_eq!((output.status.code(), said(&output).as_str()), (Some(2), ""));
}

/// What `config --env` says of this text: on standard error, on standard output, and by its exit status.
fn config_of(text: &str, words: &[&str]) -> (String, String, Option<i32>) {
    let hearth = Hearth::new();
    let file = hearth.root.path().join("a directory/.env");
    fs::create_dir(file.parent().unwrap()).unwrap();
    fs::write(&file, text).unwrap();
    let output = hearth.run(&[&["config", "--env", file.to_str().unwrap()], words].concat());
    let told = told(&output).replace(file.to_str().unwrap(), ".env");
    assert!(!hearth.data.exists(), "nothing is made");
    (told, said(&output).replace(file.to_str().unwrap(), ".env"), output.status.code())
}

#[test]
fn an_env_file_is_checked_line_by_line_before_anything_starts() {
    let (told, said, status) = config_of("TZ=Etc/UTC\nHEARTH_LOG_FORMAT=json\n", &[]);
    assert_eq!(
        (told.as_str(), said.as_str(), status),
        (
            "error: there is no setting HEARTH_LOG_FORMAT (line 2 of .env)\nhint: did you mean HEARTH_LOG__FORMAT?\n",
            "",
            Some(2)
        )
    );
    let (told, _, status) =
        config_of("# mine\nHEARTH_PORT=30000000\n\nHEARTH_STOP__GRACE=7\nHEARTH_BACKUP_DIR=/x\nPUID=99\n", &[]);
    assert_eq!(status, Some(2));
    let lines: Vec<_> = told.lines().collect();
    assert!(lines[0].starts_with("warning: PUID is not used (line 6 of .env)"), "{told}");
    assert_eq!(
        lines[1..],
        [
            "error: 3 mistakes in .env:",
            "  HEARTH_PORT = \"30000000\" cannot be used (line 2 of .env); allowed: a port from 1 to 65535, such as 3000",
            "  stop.grace = \"7\" (from HEARTH_STOP__GRACE, line 4 of .env) cannot be used; allowed: a time from 100ms to 1h with its unit, such as 7s",
            "  there is no setting HEARTH_BACKUP_DIR (line 5 of .env); did you mean HEARTH_BACKUP__DIR?",
            "hint: all settings: supervisor config",
        ]
    );
    let right = "HEARTH_PORT=3000\nHEARTH_LOG__FORMAT=json\nHEARTH_BACKUP__DESTINATIONS=/mnt/nas\n";
    let (told, said, status) = config_of(right, &[]);
    assert_eq!((told.as_str(), said.as_str(), status), ("", ".env: 3 variables, and no mistake in them\n", Some(0)));
    let (_, said, status) = config_of("HEARTH_LISTN=1\n", &["--json"]);
    let document: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((status, &document["set"]), (Some(2), &1.into()));
    assert!(document["mistakes"][0]["message"].as_str().unwrap().contains("line 1 of .env"), "{document}");
}

#[test]
fn an_env_file_is_checked_by_the_app_and_the_job_too() {
    // What the supervisor itself cannot tell.
    for (line, why) in [
        ("HEARTH_HTTP__PUBLIC_URL=hearth.example.org", "https://"),
        ("HEARTH_AUTH__ADMIN_EMAIL=ada", "ada@example.org"),
        ("HEARTH_AUTH__TAILSCALE_JOIN=everybody", "refuse, guest, member"),
        ("HEARTH_HTTP__TRUSTED_PROXIES=proxy", "IP addresses"),
        ("HEARTH_BACKUP__SCHEDULE=0 3 31 2 *", "or off"),
    ] {
        let (told, _, status) = config_of(&format!("TZ=Etc/UTC\n{line}\n"), &[]);
        assert!(told.contains("line 2 of .env") && told.contains(why) && status == Some(2), "{line}: {told}");
    }
}

#[test]
fn an_env_file_comes_from_a_pipe_too_and_one_that_cannot_be_read_is_named() {
    let hearth = Hearth::new();
    let mut command = hearth.command(&["config", "--env", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"HEARTH_VOLUME=x\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        told(&output).contains("(line 1 of standard input)\nhint: did you mean HEARTH_VOLUMES?"),
        "{}",
        told(&output)
    );
    let output = hearth.run(&["config", "--env", "/no/such/.env"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).starts_with("error: cannot read /no/such/.env"), "{}", told(&output));
}

#[test]
fn puid_and_pgid_are_answered_by_the_log_and_by_config() {
    let mut hearth = Hearth::new();
    hearth.set("PUID", "4711").set("PGID", "nobody");
    let mut running = hearth.start();
    running.wait_serving();
    let log = running.log();
    assert_eq!(log.matches("PUID and PGID are not used").count(), 1, "{log}");
    let output = hearth.run(&["config"]);
    assert!(told(&output).contains("warning: PUID and PGID are not used"), "{}", told(&output));
}

#[test]
fn what_kubernetes_and_compose_put_into_the_environment_keeps_nothing_from_starting() {
    let mut hearth = Hearth::new();
    // Kubernetes' description of a Service named hearth, compose's own .env handed on whole, fields left blank in a form.
    for (name, value) in [
        ("HEARTH_SERVICE_HOST", "10.0.0.5"),
        ("HEARTH_SERVICE_PORT", "3000"),
        ("HEARTH_PORT", "tcp://10.0.0.5:3000"),
        ("HEARTH_PORT_3000_TCP_PROTO", "tcp"),
        ("HEARTH_IMAGE", "ghcr.io/hearth-home/hearth:latest"),
        ("HEARTH_BIND", "127.0.0.1"),
        ("HEARTH_BACKUP__DRILL", ""),
        ("HEARTH_AUTH__OIDC_CLIENT_SECRET", ""),
        ("HEARTH_AUTH__OIDC_CLIENT_SECRET_FILE", ""),
        ("HEARTH_HTTP__PUBLIC_URL", " "),
    ] {
        hearth.set(name, value);
    }
    let mut running = hearth.start();
    running.wait_serving();
    let log = running.log();
    let warned: Vec<_> = log.lines().filter(|line| line.contains("no setting")).collect();
    let names = "HEARTH_PORT_3000_TCP_PROTO, HEARTH_SERVICE_HOST, HEARTH_SERVICE_PORT in the environment";
    assert!(matches!(warned[..], [line] if line.contains(names)), "{warned:?}");
    let output = hearth.run(&["config"]);
    assert!(output.status.success(), "{}", told(&output));
    // A misspelt setting is no such name.
    hearth.set("HEARTH_BACKUP_DIR", "/mnt/backups").set("HEARTH_LOG_FORMAT", "json");
    running.stop();
    let mut refused = hearth.start();
    assert_eq!(refused.wait_end().code(), Some(2));
    let log = refused.log();
    assert!(
        log.contains("did you mean HEARTH_BACKUP__DIR?") && log.contains("did you mean HEARTH_LOG__FORMAT?"),
        "{log}"
    );
}

#[test]
fn app_and_migrator_read_their_settings_by_the_same_rules() {
    let hearth = Hearth::new();
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    let run = |name: &str, arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = Command::new(program(name));
        command.args(arguments).env("HEARTH_DATA_DIR", &hearth.data).envs(environment.iter().copied());
        command.stdin(Stdio::null()).output().unwrap()
    };
    // What others bring, and what is blank, is nothing to them.
    let foreign = [
        ("HEARTH_SERVICE_HOST", "10.0.0.5"),
        ("HEARTH_PORT", "tcp://10.0.0.5:3000"),
        ("HEARTH_LOG_FORMAT", "tcp://10.0.0.5:3000"),
        ("HEARTH_IMAGE", "hearth"),
        ("HEARTH_COLOUR", "red"),
        ("HEARTH_DATABASE", " "),
        ("HEARTH_LOG__FORMAT", ""),
        ("HEARTH_LOG__LEVEL", " "),
        ("HEARTH_HTTP__PUBLIC_URL", ""),
        ("HEARTH_BACKUP__SCHEDULE", "off"),
    ];
    for (name, arguments) in [("migrator", &["status"][..]), ("app", &["user", "list"])] {
        let output = run(name, arguments, &foreign);
        assert!(output.status.success(), "{name}: {}", told(&output));
    }
    // All mistakes at once.
    let mistakes = [("HEARTH_LOG_FORMAT", "json"), ("HEARTH_LOG__LEVEL", "loud")];
    let output = run("migrator", &["status"], &mistakes);
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("did you mean HEARTH_LOG__FORMAT?"), "{}", told(&output));
    assert!(told(&output).contains("HEARTH_LOG__LEVEL: "), "{}", told(&output));
    let mistakes = [
        ("HEARTH_LOG_FORMAT", "json"),
        ("HEARTH_STOP__GRASE", "1s"),
        ("HEARTH_LOG__LEVEL", "loud"),
        ("HEARTH_HTTP__PUBLIC_URL", "nowhere"),
        ("HEARTH_AUTH__OIDC_NAME", ""),
        ("HEARTH_FILES", "/nowhere"),
    ];
    let database = hearth.database();
    let output = run("app", &["serve", "--database", database.to_str().unwrap()], &mistakes);
    assert_eq!(output.status.code(), Some(2));
    let told = told(&output);
    for wrong in ["4 mistakes", "HEARTH_LOG__FORMAT?", "HEARTH_STOP__GRACE?", "log.level = ", "http.public_url (from "]
    {
        assert!(told.contains(wrong), "{wrong}: {told}");
    }
}

#[test]
fn config_says_whose_settings_it_shows() {
    let mut hearth = Hearth::new();
    let output = hearth.run(&["config"]);
    assert!(told(&output).starts_with("no supervisor is running on "), "{}", told(&output));
    let of = |hearth: &Hearth| {
        let document: Value = serde_json::from_slice(&hearth.run(&["config", "--json"]).stdout).unwrap();
        document["of"].as_str().unwrap().to_owned()
    };
    assert_eq!(of(&hearth), "start");
    let mut running = hearth.start();
    running.wait_serving();
    hearth.set("HEARTH_HEALTH__INTERVAL", "300ms");
    assert_eq!(of(&hearth), "running");
    assert!(said(&hearth.run(&["config"])).contains("200ms"));
}
