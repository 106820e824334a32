//! Tests of the settings.

use std::{ffi::OsString, fs, os::unix::fs::symlink, path::Path, time::Duration};

use proptest::prelude::*;

use super::*;

fn load_in(directory: &Path, flags: &Flags, environment: &[(&str, &str)]) -> Result<Loaded, Failure> {
    let environment = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Loaded::from(flags, environment, directory, Path::new("/programs"))
}

pub(super) fn load(environment: &[(&str, &str)]) -> Result<Loaded, Failure> {
    load_in(Path::new("/nowhere"), &Flags::default(), environment)
}

/// A directory with this `data/config.toml`.
fn with_file(text: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("data")).unwrap();
    fs::write(directory.path().join("data/config.toml"), text).unwrap();
    directory
}

pub(super) fn load_file(text: &str) -> Result<Loaded, Failure> {
    load_in(with_file(text).path(), &Flags::default(), &[])
}

/// The message and the hint.
pub(super) fn words(result: Result<Loaded, Failure>) -> String {
    let failure = result.unwrap_err();
    assert_eq!(failure.cause, Cause::Configuration, "{failure}");
    format!("{}\n{}", failure.message, failure.hint.unwrap_or_default())
}

fn source(loaded: &Loaded, key: &str) -> String {
    loaded.settings.iter().find(|setting| setting.key == key).unwrap().source.clone()
}

#[test]
fn the_defaults_need_nothing() {
    let loaded = load(&[("PATH", "/bin"), ("HEARTHSTONE", "1")]).unwrap();
    assert!(loaded.settings.iter().all(|setting| setting.source == "default"), "{:?}", loaded.settings);
    let config = loaded.config;
    assert_eq!(config.data_dir, Path::new("/nowhere/data"));
    assert_eq!(config.backup.dir, Path::new("/nowhere/data/backups"));
    assert_eq!(config.app.command, ["/programs/app", "serve"]);
    assert_eq!(config.migrator.command, ["/programs/migrator"]);
    assert_eq!(config.restart.backoff, Duration::from_millis(500));
    assert_eq!(config.snapshots.keep_written, Duration::from_secs(7 * 24 * 60 * 60));
    assert_eq!((config.unchecked.len(), config.for_the_app.is_empty()), (0, true));
    // They are what the table says, written in the environment.
    let table: Vec<_> = KEYS.iter().map(|key| (key.variable(), key.default)).collect();
    let table: Vec<_> =
        table.iter().map(|(name, text)| (&**name, *text)).filter(|(name, _)| !name.ends_with("COMMAND")).collect();
    let written = load(&table).unwrap().config;
    assert_eq!(Config { for_the_app: ForTheApp::default(), ..written }, config);
}

#[test]
fn flags_go_over_environment_over_file_over_defaults() {
    let directory =
        with_file("listen = \"127.0.0.1:1\"\n[stop]\ngrace = \"1s\"\n[health]\nfailures = 9\ninterval = \"9s\"\n");
    let flags = Flags { listen: Some("127.0.0.1:3".into()), data_dir: None };
    let environment = [("HEARTH_LISTEN", "127.0.0.1:2"), ("HEARTH_HEALTH__FAILURES", "8")];
    let loaded = load_in(directory.path(), &flags, &environment).unwrap();
    let file = directory.path().join("data/config.toml").display().to_string();
    assert_eq!(loaded.config.listen.port(), 3);
    assert_eq!(source(&loaded, "listen"), "--listen");
    assert_eq!(loaded.config.health.failures, 8);
    assert_eq!(source(&loaded, "health.failures"), "HEARTH_HEALTH__FAILURES");
    assert_eq!(loaded.config.health.interval, Duration::from_secs(9));
    assert_eq!(source(&loaded, "health.interval"), file);
    assert_eq!(loaded.config.stop.grace, Duration::from_secs(1));
    assert_eq!(source(&loaded, "stop.grace"), file);
    assert_eq!(source(&loaded, "lock.wait"), "default");
}

#[test]
fn the_file_lies_in_the_data_directory_or_where_it_is_named() {
    let directory = with_file("[lock]\nwait = \"1s\"");
    let elsewhere = tempfile::tempdir().unwrap();
    let data = directory.path().join("data").display().to_string();
    let loaded = load_in(elsewhere.path(), &Flags::default(), &[("HEARTH_DATA_DIR", &data)]).unwrap();
    assert_eq!(loaded.config.lock.wait, Duration::from_secs(1));
    fs::write(elsewhere.path().join("own.toml"), "[lock]\nwait = \"2s\"").unwrap();
    let loaded = load_in(elsewhere.path(), &Flags::default(), &[("HEARTH_CONFIG", "own.toml")]).unwrap();
    assert_eq!(loaded.config.lock.wait, Duration::from_secs(2));
    assert!(
        words(load(&[("HEARTH_CONFIG", "/no/such.toml")]))
            .starts_with("there is no file /no/such.toml, which HEARTH_CONFIG names")
    );
    assert!(words(load(&[("HEARTH_CONFIG", "/dev/zero")])).contains("no regular file"));
}

#[test]
fn the_data_directory_becomes_absolute() {
    let flags = Flags { data_dir: Some("./there/".into()), listen: None };
    let loaded = load_in(Path::new("/somewhere"), &flags, &[("HEARTH_DATA_DIR", "/not/this")]).unwrap();
    assert_eq!(loaded.config.data_dir, Path::new("/somewhere/there"));
    assert_eq!(source(&loaded, "data_dir"), "--data-dir");
    let numeric = load(&[("HEARTH_DATA_DIR", "2026")]).unwrap();
    assert_eq!(numeric.config.data_dir, Path::new("/nowhere/2026"), "a name that looks like a number is a name");
    let message = words(load_file("data_dir = \"/x\""));
    assert!(message.contains("data_dir cannot be set in") && message.contains("HEARTH_DATA_DIR"), "{message}");
    let flags = Flags { data_dir: Some("/".into()), listen: None };
    assert!(words(load_in(Path::new("/x"), &flags, &[])).contains("a directory other than /"));
}

#[test]
fn the_data_directory_is_found_whatever_else_is_wrong() {
    let directory = with_file("this is = = no TOML");
    let find = |flag: Option<&str>, environment: &[(&str, &str)]| {
        let flags = Flags { data_dir: flag.map(Into::into), listen: Some("nonsense".into()) };
        let environment = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        data_dir_from(&flags, environment, directory.path())
    };
    let at = |name: &str| directory.path().join(name);
    let wrong = [("HEARTH_LISTN", "x"), ("HEARTH_STOP__GRACE", "7")];
    assert_eq!(find(None, &wrong).unwrap(), at("data"));
    assert_eq!(find(None, &[wrong[0], ("HEARTH_DATA_DIR", "there")]).unwrap(), at("there"));
    assert_eq!(find(Some("./here/"), &[("HEARTH_DATA_DIR", "there")]).unwrap(), at("here"));
    assert_eq!(find(None, &[("HEARTH_DATA_DIR", " ")]).unwrap(), at("data"), "blank is not set");
    for (flag, environment) in
        [(None, "/"), (None, "~/x"), (Some(""), "there"), (Some("/"), "there"), (Some("~"), "there")]
    {
        let failure = find(flag, &[("HEARTH_DATA_DIR", environment)]).unwrap_err();
        assert_eq!(failure.cause, Cause::Configuration, "{flag:?} {environment}");
        assert!(failure.hint.unwrap().contains("a directory other than /"), "{flag:?} {environment}");
    }
}

#[test]
fn all_settings_are_shown_without_reading_any() {
    let known = known();
    assert_eq!(known.lines().count(), KEYS.len() + 1);
    assert!(known.starts_with("KEY "), "{known}");
    let grace = known.lines().find(|line| line.starts_with("stop.grace ")).unwrap();
    assert!(grace.contains(" HEARTH_STOP__GRACE "), "{grace}");
    assert!(grace.ends_with(" a time from 100ms to 1h with its unit, such as 7s"), "{grace}");
}

#[test]
fn an_image_without_a_name_is_as_none_is_set() {
    assert_eq!(load(&[("HEARTH_UPDATE__IMAGE", "")]).unwrap().config.update.image, "");
}

#[test]
fn commands_come_as_lists() {
    let loaded = load(&[("HEARTH_APP__COMMAND", r#"["/Ωx/app", "serve", "--quick", "7"]"#)]);
    assert_eq!(loaded.unwrap().config.app.command, ["/Ωx/app", "serve", "--quick", "7"]);
    let loaded = load(&[("HEARTH_MIGRATOR__COMMAND", "[\"/m\"]")]).unwrap();
    assert_eq!(loaded.config.migrator.command, ["/m"]);
    for wrong in ["/x/app serve", "[]", "[\"\"]", "7", "[1]"] {
        assert!(words(load(&[("HEARTH_APP__COMMAND", wrong)])).contains("a list of program and arguments"), "{wrong}");
    }
}

#[test]
fn what_is_not_known_is_an_error_with_the_nearest() {
    assert_eq!(
        words(load(&[("HEARTH_LISTN", "x")])),
        "there is no setting HEARTH_LISTN (in the environment)\ndid you mean HEARTH_LISTEN? All settings: supervisor config"
    );
    assert!(words(load(&[("HEARTH_STOP_GRACE", "1s")])).contains("did you mean HEARTH_STOP__GRACE?"));
    assert!(words(load_file("[stop]\ngrase = \"1s\"")).contains("did you mean stop.grace?"));
    assert!(words(load_file("colour = 1")).starts_with("there is no setting colour (in /"));
    assert!(words(load_file("stop = 7")).contains("write [stop] on a line of its own"));
    assert!(words(load_file("[listen]\nport = 1")).contains("listen = {\"port\":1}"));
}

#[test]
fn what_cannot_be_used_is_named_with_its_source_and_what_is_allowed() {
    let cases = [
        ("HEARTH_LISTEN", "localhost", "127.0.0.1:3000"),
        ("HEARTH_LISTEN", ":3000", "127.0.0.1:3000"),
        ("HEARTH_LOG__FORMAT", "yaml", "text, json"),
        ("HEARTH_LOG__LEVEL", "loud", "error, warn, info, debug, trace"),
        ("HEARTH_STOP__GRACE", "7", "a time from 100ms to 1h with its unit, such as 7s"),
        ("HEARTH_STOP__GRACE", "2h", "a time from 100ms to 1h"),
        ("HEARTH_STOP__GRACE", "-1s", "a time from 100ms to 1h"),
        ("HEARTH_HEALTH__FAILURES", "0", "a whole number from 1 to 1000"),
        ("HEARTH_HEALTH__FAILURES", "3.5", "a whole number from 1 to 1000"),
        ("HEARTH_HEALTH__PATH", "health", "begins with /"),
        ("HEARTH_HEALTH__PATH", "/a b", "begins with /"),
        ("HEARTH_SNAPSHOTS__KEEP", "many", "a whole number from 1 to 1000"),
    ];
    for (name, value, allowed) in cases {
        let message = words(load(&[(name, value)]));
        assert!(message.contains(name) && message.contains(allowed), "{name}={value}: {message}");
    }
    let message = words(load_file("[health]\ninterval = 5"));
    assert!(message.contains("health.interval = 5 (from /") && message.contains("such as 5s"), "{message}");
    let message = words(load(&[("HEARTH_RESTART__BACKOFF", "1m")]));
    assert!(
        message.contains("restart.backoff (from HEARTH_RESTART__BACKOFF) cannot be used: it is longer than"),
        "{message}"
    );
}

#[test]
fn a_file_that_is_no_toml_says_where() {
    let message = words(load_file("[stop\ngrace = 1"));
    assert!(message.contains("data/config.toml is not TOML: TOML parse error at line 1, column 6: "), "{message}");
    assert!(!message.trim_end().contains('\n'), "{message}");
}

#[test]
fn the_table_is_aligned_and_complete() {
    let loaded = load(&[("HEARTH_LISTEN", "[::]:80")]).unwrap();
    let table = table(&loaded.document());
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), KEYS.len() + 1);
    let column = lines[0].find("SOURCE").unwrap();
    assert_eq!(&lines[2][column..], "HEARTH_LISTEN");
    assert!(lines[2].starts_with("listen "));
    assert!(table.contains(r#"["/programs/app","serve"]"#), "{table}");
    assert!(lines[1..].iter().all(|line| line.chars().nth(column - 1) == Some(' ')), "{table}");
}

#[test]
fn backups_lie_beside_the_data_and_never_in_it() {
    let dir = |dir: &str| load(&[("HEARTH_BACKUP__DIR", dir)]);
    assert_eq!(dir("/mnt/backups").unwrap().config.backup.dir, Path::new("/mnt/backups"));
    assert_eq!(dir("elsewhere").unwrap().config.backup.dir, Path::new("/nowhere/data/elsewhere"));
    for wrong in
        ["generations", "files/x", "supervisor", "live/x", "x/../files", "/nowhere/data", "/nowhere", ".", ".."]
    {
        let message = words(dir(wrong));
        assert!(message.starts_with("backup.dir (from HEARTH_BACKUP__DIR) cannot be used: "), "{wrong}: {message}");
    }
    for wrong in ["/nowhere/data/x", "/nowhere/data/backups", "/nowhere", "nas", "s3://bucket/prefix"] {
        let message = words(load(&[("HEARTH_BACKUP__DESTINATIONS", &format!("[{wrong:?}]"))]));
        assert!(
            message.starts_with("backup.destinations (from HEARTH_BACKUP__DESTINATIONS) cannot be used: "),
            "{message}"
        );
    }
    for wrong in ["[7]", "[/mnt/nas", "[\"/mnt/nas\""] {
        let message = words(load(&[("HEARTH_BACKUP__DESTINATIONS", wrong)]));
        assert!(message.contains("a list of directories"), "{message}");
    }
    let loaded = load_file("[backup]\ndestinations = [\"/mnt/nas\", \"/mnt/other\"]\nkeep_daily = 0").unwrap();
    assert_eq!(loaded.config.backup.destinations, ["/mnt/nas", "/mnt/other"]);
    assert_eq!(loaded.config.backup.keep_daily, 0);
}

#[test]
fn a_list_in_the_environment_is_one_name_or_several_with_commas_between_them() {
    let loaded = |variable: &str, text: &str| load(&[(variable, text)]).unwrap().config;
    let (one, both) = (vec!["/mnt/nas"], vec!["/mnt/nas", "s3://bucket/hearth?endpoint=https://s3.example.org"]);
    for (written, list) in [
        ("/mnt/nas", &one),
        (" /mnt/nas, ", &one),
        ("\"/mnt/nas\"", &one),
        ("'/mnt/nas'", &one),
        (r#"["/mnt/nas"]"#, &one),
        ("/mnt/nas,s3://bucket/hearth?endpoint=https://s3.example.org", &both),
        ("/mnt/nas , s3://bucket/hearth?endpoint=https://s3.example.org", &both),
        (r#"["/mnt/nas", "s3://bucket/hearth?endpoint=https://s3.example.org"]"#, &both),
    ] {
        let keys = [("HEARTH_BACKUP__S3_ACCESS_KEY_ID", "id"), ("HEARTH_BACKUP__S3_SECRET_ACCESS_KEY", "secret")];
        let set = [("HEARTH_BACKUP__DESTINATIONS", written), keys[0], keys[1]];
        assert_eq!(load(&set).unwrap().config.backup.destinations, *list, "{written}");
    }
    assert_eq!(loaded("HEARTH_BACKUP__DESTINATIONS", "/mnt/my nas/it's").backup.destinations, ["/mnt/my nas/it's"]);
    assert_eq!(loaded("HEARTH_BACKUP__DESTINATIONS", ",").backup.destinations, Vec::<String>::new());
    let (ada, bob) = (format!("age1tag1{}", "q".repeat(8)), format!("age1tagpq1{}", "q".repeat(8)));
    assert_eq!(loaded("HEARTH_BACKUP__RECIPIENTS", &ada).backup.recipients, [&*ada]);
    assert_eq!(loaded("HEARTH_BACKUP__RECIPIENTS", &format!("{ada},{bob}")).backup.recipients, [ada, bob]);
    assert_eq!(loaded("HEARTH_HTTP__HOSTS", "2026").http.hosts, ["2026"], "a name that looks like a number is a name");
    for (wrong, why) in
        [("nas", "neither an absolute path"), ("7", "neither an absolute path"), ("/mnt/nas,~/x", "only a shell")]
    {
        let message = words(load(&[("HEARTH_BACKUP__DESTINATIONS", wrong)]));
        assert!(message.contains(why) && message.contains("a list of directories"), "{message}");
    }
}

#[test]
fn schedules_and_recipients_are_checked_and_the_wrong_half_of_a_key_is_not_repeated() {
    assert_eq!(load(&[("HEARTH_BACKUP__SCHEDULE", "off")]).unwrap().config.backup.schedule, "off");
    for wrong in ["daily", "0 3 * *", "61 3 * * *"] {
        let message = words(load(&[("HEARTH_BACKUP__SCHEDULE", wrong)]));
        assert!(
            message.contains("backup.schedule (from HEARTH_BACKUP__SCHEDULE)") && message.contains("or off"),
            "{message}"
        );
    }
    let secret = "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ";
    let message = words(load(&[("HEARTH_BACKUP__RECIPIENTS", &format!("[{secret:?}]"))]));
    assert!(message.contains("backup.recipients") && !message.contains("QQQ"), "{message}");
}

#[test]
fn what_only_a_library_can_tell_is_left_for_a_job_to_check() {
    let unchecked = |variables: &[(&str, &str)]| load(variables).unwrap().config.unchecked;
    assert_eq!(unchecked(&[("HEARTH_BACKUP__SCHEDULE", "off")]), [], "and neither is a default");
    let [schedule] = &unchecked(&[("HEARTH_BACKUP__SCHEDULE", "0 3 31 2 *")])[..] else { panic!("one") };
    assert_eq!((schedule.key.as_str(), &schedule.texts[..]), ("backup.schedule", &["0 3 31 2 *".to_owned()][..]));
    assert_eq!(schedule.source, "HEARTH_BACKUP__SCHEDULE");
    assert!(schedule.allowed.ends_with("or off"), "{schedule:?}");
    let [recipients] = &unchecked(&[("HEARTH_BACKUP__RECIPIENTS", r#"["age1tag1a"]"#)])[..] else { panic!("one") };
    assert_eq!(recipients.texts, ["age1tag1a"]);
}

#[test]
fn a_secret_comes_from_a_file_too_and_is_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    fs::write(&path, "hush/+hush\r\n").unwrap();
    let path = path.to_str().unwrap();
    let loaded = load(&[("HEARTH_BACKUP__S3_SECRET_ACCESS_KEY_FILE", path)]).unwrap();
    assert_eq!(loaded.config.backup.s3_secret_access_key, "hush/+hush");
    assert_eq!(source(&loaded, "backup.s3_secret_access_key"), "HEARTH_BACKUP__S3_SECRET_ACCESS_KEY_FILE");
    let loaded = load(&[("HEARTH_BACKUP__S3_SECRET_ACCESS_KEY", "hush/+hush")]).unwrap();
    let shown = format!("{} {:?}", table(&loaded.document()), loaded.config);
    assert!(shown.contains("(set)") && !shown.contains("hush"), "{shown}");
    for (variables, wrong) in [
        (
            vec![("HEARTH_BACKUP__S3_SECRET_ACCESS_KEY_FILE", path), ("HEARTH_BACKUP__S3_SECRET_ACCESS_KEY", "hush")],
            "both set",
        ),
        (vec![("HEARTH_BACKUP__S3_SECRET_ACCESS_KEY_FILE", "/no/such")], "is not there"),
        (vec![("HEARTH_BACKUP__S3_SECRET_ACCESS_KEY_FILE", "/dev/zero")], "no regular file"),
        (vec![("HEARTH_BACKUP__S3_SECRET_ACCESS_KEY", "hush hush")], "cannot be used"),
        (vec![("HEARTH_STOP__GRACE_FILE", path)], "there is no setting"),
    ] {
        let message = words(load(&variables));
        assert!(message.contains(wrong) && !message.contains("hush"), "{message}");
    }
}

#[test]
fn names_that_others_bring_are_warned_of_in_one_sentence_and_keep_nothing_from_starting() {
    let kubernetes = [
        ("HEARTH_SERVICE_HOST", "10.0.0.5"),
        ("HEARTH_SERVICE_PORT_HTTP", "3000"),
        ("HEARTH_PORT", "tcp://10.0.0.5:3000"),
        ("HEARTH_PORT_3000_TCP_ADDR", "10.0.0.5"),
        ("HEARTH_LOG_FORMAT_SERVICE_HOST", "10.0.0.5"),
        ("HEARTH_STOP_GRACE", "tcp://10.0.0.5:3000"),
    ];
    let loaded = load(&kubernetes).unwrap();
    assert_eq!(
        loaded.warnings,
        ["HEARTH_SERVICE_HOST, HEARTH_SERVICE_PORT_HTTP, HEARTH_PORT_3000_TCP_ADDR, HEARTH_LOG_FORMAT_SERVICE_HOST, \
          HEARTH_STOP_GRACE in the environment are no settings of Hearth and are not used (all settings: supervisor config)"]
    );
    assert_eq!(loaded.config, load(&[]).unwrap().config);
    let one = load(&[("HEARTH_COLOUR", "red")]).unwrap().warnings;
    assert!(one[0].starts_with("HEARTH_COLOUR in the environment is no setting of Hearth"), "{one:?}");
    // What the compose files put in themselves.
    let compose = ["IMAGE", "USER", "BIND", "PORT", "DATA", "BACKUPS", "MEMORY", "TAILSCALE", "TAILNET_IP", "VOLUMES"];
    for name in compose.map(|name| format!("HEARTH_{name}")) {
        assert_eq!(load(&[(&name, "x")]).unwrap().warnings, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_blank_value_is_not_set_whatever_the_setting() {
    let default = load(&[]).unwrap().config;
    for key in KEYS {
        let variable = key.variable();
        for blank in ["", " ", "\t \n"] {
            assert_eq!(load(&[(&variable, blank)]).unwrap().config, default, "{variable}={blank:?}");
            assert_eq!(
                load(&[(&format!("{variable}_FILE"), blank)]).unwrap().config,
                default,
                "{variable}_FILE={blank:?}"
            );
            // Beside a value that is set, too.
            if let (false, Some((section, name))) = (key.is_guarded(), key.name.split_once('.')) {
                let loaded = load_file(&format!("[{section}]\n{name} = {blank:?}")).unwrap();
                assert_eq!(source(&loaded, key.name), "default", "{} = {blank:?}", key.name);
            }
        }
    }
    assert_eq!(load(&[("HEARTH_CONFIG", "")]).unwrap().config, default);
    let secret = [("HEARTH_BACKUP__S3_SECRET_ACCESS_KEY", "hush"), ("HEARTH_BACKUP__S3_SECRET_ACCESS_KEY_FILE", "")];
    assert_eq!(load(&secret).unwrap().config.backup.s3_secret_access_key, "hush");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let directory = with_file("colour = 1\n[stop]\ngrase = \"1s\"\n[log]\nlevel = \"loud\"");
    let environment = [
        ("HEARTH_LISTN", "x"),
        ("HEARTH_LOG_FORMAT", "json"),
        ("HEARTH_HEALTH__FAILURES", "0"),
        ("HEARTH_AUTH__ADMIN_PASSWORD_FILE", "/no/such"),
    ];
    let said = words(load_in(directory.path(), &Flags::default(), &environment));
    assert!(said.starts_with("7 mistakes in the settings:\n  "), "{said}");
    for wrong in [
        "there is no setting colour (in /",
        "did you mean stop.grace?",
        "log.level = \"loud\" (from /",
        "did you mean HEARTH_LISTEN?",
        "did you mean HEARTH_LOG__FORMAT?",
        "health.failures = 0 (from HEARTH_HEALTH__FAILURES)",
        "the file /no/such, which HEARTH_AUTH__ADMIN_PASSWORD_FILE names, is not there",
    ] {
        assert!(said.contains(wrong), "{wrong}: {said}");
    }
}

#[test]
fn a_link_to_settings_that_are_not_there_is_not_taken_for_none() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("data")).unwrap();
    let link = directory.path().join("data/config.toml");
    for target in ["/nowhere/hearth.toml", "hearth.toml", "../data/x/y"] {
        symlink(target, &link).unwrap();
        let said = words(load_in(directory.path(), &Flags::default(), &[]));
        assert!(said.contains(&format!("config.toml are a link to {target}, where nothing is")), "{said}");
        fs::remove_file(&link).unwrap();
    }
    load_in(directory.path(), &Flags::default(), &[]).unwrap();
}

#[test]
fn a_byte_order_mark_belongs_to_no_setting_and_no_secret() {
    let loaded = load_file("\u{feff}[stop]\ngrace = \"1s\"").unwrap();
    assert_eq!(loaded.config.stop.grace, Duration::from_secs(1));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    let shown = path.to_str().unwrap();
    let read = || load(&[("HEARTH_BACKUP__S3_SECRET_ACCESS_KEY_FILE", shown)]);
    fs::write(&path, "\u{feff}hush\r\n").unwrap();
    assert_eq!(read().unwrap().config.backup.s3_secret_access_key, "hush");
    fs::write(&path, "\u{feff}\n").unwrap();
    assert!(words(read()).contains("is empty"));
    let wide = |mark: [u8; 2]| [&mark[..], b"h\0u\0s\0h\0"].concat();
    for mark in [[0xff, 0xfe], [0xfe, 0xff]] {
        fs::write(&path, wide(mark)).unwrap();
        assert!(words(read()).contains("is UTF-16 text; save it as UTF-8"), "{}", words(read()));
        fs::write(directory.path().join("config.toml"), wide(mark)).unwrap();
        let named = directory.path().join("config.toml");
        let said = words(load(&[("HEARTH_CONFIG", named.to_str().unwrap())]));
        assert!(said.contains("is UTF-16 text; save it as UTF-8"), "{said}");
    }
}

#[test]
fn a_path_that_only_a_shell_would_have_completed_is_refused() {
    for (variable, value) in [
        ("HEARTH_DATA_DIR", "~/hearth"),
        ("HEARTH_DATA_DIR", "~"),
        ("HEARTH_DATA_DIR", "$HOME/hearth"),
        ("HEARTH_BACKUP__DIR", "~ada/backups"),
        ("HEARTH_BACKUP__DESTINATIONS", "[\"~/nas\"]"),
    ] {
        let said = words(load(&[(variable, value)]));
        assert!(said.contains(variable) && said.contains(", which only a shell replaces"), "{said}");
    }
    assert!(load(&[("HEARTH_DATA_DIR", "/srv/~x/$y")]).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_file_makes_it_panic(text in "[\\PC\n]{0,200}") {
        let _ = load_file(&text);
    }

    #[test]
    fn no_value_makes_it_panic(index in 0..KEYS.len(), value in any::<String>(), quoted in any::<bool>()) {
        let key = &KEYS[index];
        let value = if quoted { format!("[{value:?}, {{a = {value}}}]") } else { value };
        if let Ok(loaded) = load(&[(&key.variable(), &value)]) {
            let _ = table(&loaded.document());
        }
        let _ = load_file(&format!("{} = {value}", key.name));
        let _ = load(&[(&key.variable(), &"[".repeat(10_000))]);
    }
}

#[test]
fn what_guards_against_the_app_is_not_taken_from_where_its_uid_can_write() {
    for (text, key, variable) in [
        ("[sandbox]\nmode = \"off\"", "sandbox.mode", "HEARTH_SANDBOX__MODE"),
        ("[app]\ncommand = [\"/tmp/evil\"]", "app.command", "HEARTH_APP__COMMAND"),
        ("[migrator]\ncommand = [\"/tmp/evil\"]", "migrator.command", "HEARTH_MIGRATOR__COMMAND"),
        ("[backup]\nrecipients = []", "backup.recipients", "HEARTH_BACKUP__RECIPIENTS"),
    ] {
        let directory = with_file(text);
        let said = words(load_in(directory.path(), &Flags::default(), &[]));
        assert!(said.starts_with(&format!("{key}: set in ")) && said.contains(variable), "{said}");
        assert_eq!(said.lines().count(), 2, "{said}");
    }
    let directory = with_file("[sandbox]\nmode = \"off\"\n[app]\ncommand = [\"/tmp/evil\"]\n[stop]\ngrace = \"1s\"");
    let environment = [("HEARTH_SANDBOX__MODE", "enforce"), ("HEARTH_APP__COMMAND", "[\"/srv/app\"]")];
    let loaded = load_in(directory.path(), &Flags::default(), &environment).unwrap();
    assert_eq!(loaded.config.app.command, ["/srv/app"], "what the environment sets is not taken from the file");
    let said = words(load_in(directory.path(), &Flags::default(), &[]));
    assert!(said.starts_with("sandbox.mode and app.command: set in "), "all of them at once: {said}");
}
