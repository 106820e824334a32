//! What an operator writes into `.env` reaches Hearth, and what is wrong there is found before anything starts.

use std::{
    fs::File,
    process::{Command, Stdio},
};

use crate::{
    engine::{both, image},
    project::{Project, composes},
};

const FILES: [&str; 2] = ["compose.yml", "tier-recommended.yml"];

#[test]
#[ignore = "needs a container engine and the image"]
fn what_stands_in_env_reaches_hearth() {
    for compose in composes() {
        let project = Project::by(compose, &FILES, &image());
        for (name, value) in [
            ("HEARTH_BACKUP__KEEP_DAILY", "30"),
            ("HEARTH_STOP__GRACE", "6s"),
            ("HEARTH_LOG__FORMAT", "json"),
            ("HEARTH_HTTP__TRUSTED_PROXIES", "172.18.0.2, 192.168.1.0/24"),
            // Left blank, they are not set.
            ("HEARTH_BACKUP__SCHEDULE", ""),
            ("HEARTH_HTTP__PUBLIC_URL", ""),
            ("PUID", "99"),
            ("PGID", "100"),
        ] {
            project.set(name, value);
        }
        project.compose(&["up", "-d"]);
        project.wait_serving();
        let shown = project.exec(&["supervisor", "config"]);
        let row = |key: &str| {
            let row = shown.lines().find(|line| line.split(' ').next() == Some(key));
            row.unwrap_or_else(|| panic!("no {key} in {shown}")).split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(row("backup.keep_daily"), "backup.keep_daily 30 HEARTH_BACKUP__KEEP_DAILY", "{compose:?}");
        assert_eq!(row("stop.grace"), "stop.grace 6s HEARTH_STOP__GRACE");
        assert!(row("http.trusted_proxies").contains("192.168.1.0/24"), "{shown}");
        assert!(
            row("backup.schedule").ends_with(" default") && row("http.public_url").ends_with(" default"),
            "{shown}"
        );
        let log = project.log();
        let warning = log.lines().find(|line| line.contains("PUID and PGID are not used"));
        assert!(warning.is_some_and(|line| line.starts_with('{') && line.contains("HEARTH_USER=99:100")), "{log}");
    }
}

#[test]
#[ignore = "needs a container engine and the image"]
fn a_mistake_in_env_is_found_before_anything_starts() {
    let project = Project::new(&FILES, &image());
    let check = || {
        let env = File::open(project.directory.path().join(".env")).unwrap();
        let mut command = Command::new("docker");
        command.args(["run", "--rm", "-i", &image(), "config", "--env", "-"]).stdin(Stdio::from(env));
        command.output().unwrap()
    };
    let right = check();
    assert!(right.status.success(), "{}", both(&right));
    project.set("HEARTH_BACKUP__KEEP_DAYLY", "30");
    project.set("HEARTH_LOG_FORMAT", "json");
    project.set("TZ", "Europe/Berln");
    project.set("HEARTH_HTTP__PUBLIC_URL", "http://hearth.example.org");
    let wrong = check();
    assert_eq!(wrong.status.code(), Some(2), "{}", both(&wrong));
    for words in
        ["did you mean HEARTH_BACKUP__KEEP_DAILY?", "did you mean HEARTH_LOG__FORMAT?", "TZ = \"Europe/Berln\""]
    {
        assert!(both(&wrong).contains(words), "{words}: {}", both(&wrong));
    }
}
