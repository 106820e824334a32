//! Tests of the check of a `.env`.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn checked(text: &str) -> Checked {
    check(text, ".env", Path::new("/programs"))
}

/// The mistakes, each with its hint.
fn wrong(text: &str) -> Vec<String> {
    let checked = checked(text);
    let words = |failure: &Failure| format!("{}; {}", failure.message, failure.hint.as_deref().unwrap_or_default());
    checked.wrong.iter().map(words).collect()
}

#[test]
fn the_example_has_nothing_wrong_in_it_also_where_every_line_is_in_use() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../compose/.env.example");
    let example = std::fs::read_to_string(example).unwrap();
    assert_eq!(wrong(&example), Vec::<String>::new());
    assert_eq!(checked(&example).warnings, Vec::<String>::new());
    let in_use = example.replace("\n#HEARTH_", "\nHEARTH_").replace("\n#TS_", "\nTS_").replace("=…", "=secret");
    assert!(in_use.matches("\nHEARTH_").count() > 12, "{in_use}");
    assert_eq!(wrong(&in_use), Vec::<String>::new());
    assert_eq!(checked(&in_use).warnings, Vec::<String>::new());
}

#[test]
fn a_misspelt_name_is_found_with_its_line_and_what_was_meant() {
    for (name, meant) in [
        ("HEARTH_LOG_FORMAT", "HEARTH_LOG__FORMAT"),
        ("HEARTH_BACKUP__KEEP_DAYLY", "HEARTH_BACKUP__KEEP_DAILY"),
        ("HEARTH_BACKUP__KEEP_DAYS", "HEARTH_BACKUP__KEEP_DAILY"),
        ("HEARTH_BACKUP_DESTINATION", "HEARTH_BACKUP__DESTINATIONS"),
        ("HEARTH_PUBLIC_URL", "HEARTH_HTTP__PUBLIC_URL"),
        ("HEARTH_HOST", "HEARTH_HTTP__HOSTS"),
        ("HEARTH_VOLUME", "HEARTH_VOLUMES"),
        ("HEARTH_PROT", "HEARTH_PORT"),
        ("HEARTH_IMAGES", "HEARTH_IMAGE"),
        ("HEARTH_BACKUP", "HEARTH_BACKUPS"),
        ("HEARTH_TAILNETIP", "HEARTH_TAILNET_IP"),
        ("hearth_log__format", "HEARTH_LOG__FORMAT"),
        ("HEATH_PORT", "HEARTH_PORT"),
        ("HEARHT_DATA", "HEARTH_DATA"),
        ("LOG__FORMAT", "HEARTH_LOG__FORMAT"),
        ("COMPOSE_FILES", "COMPOSE_FILE"),
        ("COMPOSE_PROJECTNAME", "COMPOSE_PROJECT_NAME"),
        ("TS_AUTH_KEY", "TS_AUTHKEY"),
    ] {
        let found = wrong(&format!("# a comment\n\nTZ=Etc/UTC\n{name}=1\n"));
        let expected = format!("there is no setting {name} (line 4 of .env); did you mean {meant}?");
        assert!(matches!(&found[..], [one] if one.starts_with(&expected)), "{name}: {found:?}");
        // Also while it is blank: somebody will fill it in.
        assert_eq!(wrong(&format!("{name}=")).len(), 1, "{name}");
    }
    for name in ["HEARTH_COLOUR", "HEARTH_DATABASE", "HEARTH_PROBATION"] {
        assert!(matches!(&wrong(&format!("{name}=1"))[..], [one] if !one.contains("did you mean")), "{name}");
    }
}

#[test]
fn what_others_and_compose_itself_have_is_no_mistake() {
    let text = "HEARTH_SERVICE_HOST=10.0.0.5\nHEARTH_LOG_FORMAT_SERVICE_PORT=1\nHEARTH_LISTENS=tcp://10.0.0.5:3000\n\
                DOMAIN=example.org\nNAS=/mnt/nas\nDOCKER_HOST=unix:///run/docker.sock\nexport COMPOSE_PROFILES=x\n";
    assert_eq!(wrong(text), Vec::<String>::new());
    let warnings = checked(text).warnings;
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[1].contains("HEARTH_LOG_FORMAT_SERVICE_PORT (line 2 of .env) is no setting"), "{warnings:?}");
    for name in COMPOSE {
        assert_eq!(wrong(&format!("HEARTH_{name}=")), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_wrong_value_is_named_with_its_line_and_what_is_allowed() {
    for (line, allowed) in [
        ("HEARTH_STOP__GRACE=7", "a time from 100ms to 1h with its unit, such as 7s"),
        ("HEARTH_LOG__FORMAT=yaml", "text, json"),
        ("HEARTH_BACKUP__KEEP_DAILY=many", "a whole number from 0 to 10000"),
        ("HEARTH_BACKUP__SCHEDULE=daily", "or off"),
        ("HEARTH_BACKUP__DESTINATIONS=nas", "a list of directories"),
        ("HEARTH_BACKUP__DESTINATIONS=/app/data/x", "backups belong beside the data"),
        ("HEARTH_BACKUP__DESTINATIONS=s3://bucket", "HEARTH_BACKUP__S3_SECRET_ACCESS_KEY_FILE"),
        ("HEARTH_RESTART__BACKOFF=1m", "restart.backoff is the first wait"),
        ("HEARTH_AUTH__ADMIN_PASSWORD_FILE=secret.txt", "absolute path"),
        ("HEARTH_PORT=abc", "a port from 1"),
        ("HEARTH_PORT=0", "a port from 1"),
        ("HEARTH_BIND=localhost", "an IP address"),
        ("HEARTH_USER=nobody", "99:100"),
        ("HEARTH_USER=99:100:1", "99:100"),
        ("HEARTH_DATA=srv/hearth", "begins with / or ./"),
        ("HEARTH_BACKUPS=//nas:/x", "begins with / or ./"),
        ("HEARTH_MEMORY=half", "512m"),
        ("HEARTH_VOLUMES=my hearth", "letters, digits"),
        ("COMPOSE_PROJECT_NAME=Hearth", "small letters"),
        ("HEARTH_LISTEN=0.0.0.0:80", "HEARTH_BIND and HEARTH_PORT"),
        ("HEARTH_DATA_DIR=/srv/hearth", "HEARTH_DATA names"),
        ("HEARTH_BACKUP__DIR=/mnt/nas", "HEARTH_BACKUPS names"),
        ("HEARTH_APP__COMMAND=[\"/bin/x\"]", "compose does not pass it on, since the image sets it itself"),
        ("HEARTH_MIGRATOR__COMMAND=/bin/x", "in a compose file of your own, such as local.yml"),
        ("HEARTH_UPDATE__IMAGE=registry.example.org/hearth", "under services: web: environment:"),
        ("HEARTH_UPDATE__IMAGE=", "compose does not pass it on"),
        ("no equals sign", "NAME=value"),
        ("HEARTH PORT=1", "NAME=value"),
        ("HEARTH_PORT: 3000", "NAME=value"),
        ("HEARTH_LOG__LEVEL='info", "close the '"),
        ("HEARTH_LOG__LEVEL=\"info\" x", "around the whole value"),
    ] {
        let found = wrong(&format!("HEARTH_PORT=3001\n{line}\nTS_HOSTNAME=hearth"));
        assert!(
            matches!(&found[..], [one] if one.contains("line 2 of .env") && one.contains(allowed)),
            "{line}: {found:?}"
        );
    }
    let values = "HEARTH_USER=99\nHEARTH_BIND=[::1]\nHEARTH_DATA=./data # here\nHEARTH_MEMORY=1g\t# less\nHEARTH_STOP__GRACE='7s' # why\n\
                  HEARTH_BACKUP__SCHEDULE=0 3 * * *\nHEARTH_LOG__FORMAT=\"json\"\nHEARTH_BACKUP__DESTINATIONS=/mnt/a, /mnt/b\n";
    assert_eq!(wrong(values), Vec::<String>::new());
    let config = checked(&values.replace('\n', "\r\n")).loaded.unwrap().config;
    assert_eq!((config.stop.grace.as_secs(), config.backup.schedule.as_str()), (7, "0 3 * * *"));
    assert_eq!(config.backup.destinations, ["/mnt/a", "/mnt/b"]);
}

#[test]
fn all_mistakes_are_told_in_the_order_of_the_file_and_no_secret_is_repeated() {
    let text = "HEARTH_RESTART__BACKOFF=40s\nHEARTH_LISTN=1\nHEARTH_AUTH__ADMIN_PASSWORD=pa$$word-HUSH\nHEARTH_STOP__GRACE=7\n\
                HEARTH_BACKUP__S3_SECRET_ACCESS_KEY=HUSH HUSH\nAGE-SECRET-KEY-1HUSH\nHEARTH_BACKUP__RECIPIENTS=AGE-SECRET-KEY-1HUSH\n";
    let found = wrong(text);
    let lines: Vec<_> = found.iter().map(|one| one.split("line ").nth(1).unwrap()[..1].to_owned()).collect();
    assert_eq!(lines, ["2", "3", "4", "5", "6", "7"], "{found:?}");
    assert!(!found.concat().contains("HUSH"), "{found:?}");
}

#[test]
fn what_the_versions_of_compose_read_differently_is_refused() {
    for value in ["a$b", "\"a$b\"", "pa$$word", "'${X}'", "a${X}$b"] {
        let found = wrong(&format!("HEARTH_AUTH__ADMIN_PASSWORD={value}"));
        assert!(
            matches!(&found[..], [one] if one.contains("has a $") && one.contains("single quotes")),
            "{value}: {found:?}"
        );
    }
    assert_eq!(wrong("HEARTH_AUTH__ADMIN_PASSWORD='correct $horse'"), Vec::<String>::new());
    let put_together = checked("HEARTH_VOLUMES=${COMPOSE_PROJECT_NAME}\n");
    assert!(
        put_together.wrong.is_empty() && put_together.warnings[0].contains("was not checked"),
        "{:?}",
        put_together.warnings
    );
}

#[test]
fn puid_and_pgid_are_answered_and_so_is_what_is_set_twice() {
    let warnings = |text: &str| checked(text).warnings;
    let said = warnings("TZ=Etc/UTC\nPUID=99\nPGID=100\n");
    assert!(
        matches!(&said[..], [one] if one.starts_with("PUID and PGID are not used (line 2 of .env, line 3 of .env)")
            && one.ends_with("HEARTH_USER=99:100")),
        "{said:?}"
    );
    assert_eq!(warnings("PUID=99\nPGID=100\nHEARTH_USER=99:100"), Vec::<String>::new());
    assert_eq!(warnings("PUID=1001\nPGID=1001\n"), Vec::<String>::new());
    assert_eq!(warnings("PUID=\nPGID= \n"), Vec::<String>::new());
    let said = warnings("HEARTH_PORT=1\nTZ=Etc/UTC\nHEARTH_PORT=2");
    assert_eq!(said, ["HEARTH_PORT is set twice (line 1 of .env, line 3 of .env); the last one counts"]);
}

#[test]
fn a_zone_is_one_that_is_there() {
    let zones = tempfile::tempdir().unwrap();
    std::fs::create_dir(zones.path().join("Europe")).unwrap();
    std::fs::write(zones.path().join("Europe/Berlin"), "").unwrap();
    for (name, there) in [
        ("Europe/Berlin", true),
        (":Europe/Berlin", true),
        ("CET-1CEST,M3.5.0,M10.5.0/3", true),
        ("/usr/share/zoneinfo/x", true),
        ("Europe/Berln", false),
        ("Berlin", false),
        ("../x", false),
    ] {
        assert_eq!(names_a_zone(name, zones.path()), there, "{name}");
        assert!(names_a_zone(name, Path::new("/nowhere")), "{name}");
    }
}

/// The list of compose.yml and tailscale-sidecar.yml is made from the code:
/// `HEARTH_TEST_UPDATE_SNAPSHOTS=1 cargo test -p supervisor --lib env_file`.
#[test]
fn the_compose_files_hand_every_setting_on_by_its_name() {
    const HEAD: &str = "      # Every other setting, handed on when .env has it";
    let image: Vec<_> = KEYS.iter().filter(|key| OF_THE_IMAGE.contains(&key.name)).map(Key::variable).collect();
    let mut list = format!(
        "{HEAD}; docs/CONFIGURATION.md says what each does. This list is made of\n      \
         # the table of settings. Not in it, since compose would take the image's own value away:\n      # {}.\n",
        image.join(", ")
    );
    let other = |key: &&Key| !OF_THE_IMAGE.contains(&key.name) && !FIXED.iter().any(|(name, ..)| *name == key.name);
    let names = KEYS.iter().filter(other).flat_map(|key| {
        let file = key.is_secret().then(|| format!("{}{}", key.variable(), names::FROM_FILE));
        [Some(key.variable()), file].into_iter().flatten()
    });
    for name in [FILE.to_owned()].into_iter().chain(names) {
        list += &format!("      {name}:\n");
    }
    list += "      # What images of others take; Hearth says what to set in their place.\n      PUID:\n      PGID:\n";
    for (file, listen) in [("compose.yml", "0.0.0.0:3000"), ("tailscale-sidecar.yml", "127.0.0.1:3000")] {
        let path = format!("{}/../compose/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = text.split_once(HEAD).unwrap_or_else(|| panic!("{file} has no list of settings"));
        let (_, after) = rest.split_once("    volumes:\n").unwrap();
        let expected = format!("{before}{list}    volumes:\n{after}");
        if std::env::var_os("HEARTH_TEST_UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(&path, expected).unwrap();
        } else {
            assert_eq!(text, expected, "{file} is not what the code says; see above this test");
        }
        for (name, value, _) in FIXED {
            let key = KEYS.iter().find(|key| key.name == name).unwrap();
            let value = if name == "listen" { listen } else { value };
            assert!(before.contains(&format!("      {}: {value}\n", key.variable())), "{file} does not set {name}");
        }
    }
}

#[test]
fn what_the_compose_files_put_in_themselves_is_known() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../compose");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "yml"));
    let texts: Vec<String> = files.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let names = texts.iter().flat_map(|text| text.split("${").skip(1));
    let names =
        names.map(|rest| rest.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next().unwrap());
    let (own, others): (BTreeSet<&str>, BTreeSet<&str>) = names.partition(|name| name.starts_with(PREFIX));
    assert_eq!(own, COMPOSE.map(|name| format!("{PREFIX}{name}")).iter().map(String::as_str).collect());
    assert!(others.iter().all(|name| OF_COMPOSE.contains(name) || *name == "TZ"), "{others:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in "[\\PC\n\t]{0,300}", name in "[A-Za-z_]{0,12}", value in "\\PC{0,40}") {
        checked(&text);
        let (at, of) = (name.len() % KEYS.len(), value.len() % COMPOSE.len());
        for name in [KEYS[at].variable(), format!("{PREFIX}{}", COMPOSE[of]), format!("{PREFIX}{name}"), name] {
            checked(&format!("{name}={value}"));
            checked(&format!("{name}='{value}'"));
        }
    }
}
