//! Do the commands of docs/SETUP.md and docs/UPGRADING.md lead from nothing to a served instance, through an upgrade and
//! back, on a real engine?
//!
//! Ignored unless asked for (`cargo test -p supervisor --test documents -- --ignored`): it needs Docker, Debian's
//! `docker-registry`, and the image that `HEARTH_TEST_IMAGE` names; without root also `rootlesskit`, `uidmap` and `slirp4netns`. The blocks run as they stand, on a terminal, one after
//! the other in the same shell's directory. Only the places are other ones: the port, two directories and the volumes, so that
//! a real Hearth on this machine is left alone.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, chown, symlink},
    path::Path,
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    harness::{Hearth, copy_programs, household, http, next_programs, pack_libraries, program, request, tail},
    markdown::Document,
    rootless::UID,
    terminal::{Terminal, docker, wait_until},
};

const SETUP: &str = "docs/SETUP.md";
const SECURITY: &str = "docs/SECURITY.md";
/// That of 0.4.0.
const SETUP_OF_0_4_0: &str = "supervisor/tests/documents/release-0.4.0/SETUP.md";
const BACKUPS: &str = "docs/BACKUPS.md";
const UPGRADING: &str = "docs/UPGRADING.md";

/// The blocks that are run here.
pub(crate) const RUN: &[(&str, &str)] = &[
    (SETUP, "first-look"),
    (SETUP, "first-look-code"),
    (SETUP, "first-look-end"),
    (SETUP, "place"),
    (SETUP, "configure"),
    (SETUP, "start"),
    (SETUP, "check-settings"),
    (SETUP, "first-owner"),
    (SETUP, "look"),
    (SETUP, "settings"),
    (SETUP, "directories"),
    (SETUP, "backup"),
    (SETUP, "move-out"),
    (SETUP, "move-in"),
    (SETUP, "in-one-file"),
    (SETUP, "bits"),
    (UPGRADING, "before"),
    (UPGRADING, "upgrade"),
    (UPGRADING, "verify"),
    (UPGRADING, "held"),
    (UPGRADING, "back"),
    (UPGRADING, "back-look"),
    (UPGRADING, "back-restore"),
    (UPGRADING, "back-backup"),
    (SECURITY, "taken-over"),
];

/// Those that an installation of 0.4.0 takes besides.
pub(crate) const FROM_0_4_0: &[(&str, &str)] = &[(UPGRADING, "from-0.4.0")];

/// Those that move an installation into directories.
pub(crate) const MOVE: &[(&str, &str)] = &[(SETUP, "move-backups"), (SETUP, "move-restore"), (SETUP, "move-end")];

/// Builds the next version, which has one more migration.
fn next_version(image: &str, migration: &str, place: &Path) -> String {
    let context = place.join(migration);
    fs::create_dir(&context).unwrap();
    copy_programs(&next_programs(), &context.join("app"), |program| match program {
        "migrator" => tail(migration, &format!("migrator.migration={migration}")),
        _ => String::new(),
    });
    // They are linked dynamically, as all that is made for tests, and the image has no libraries: it gets this machine's.
    pack_libraries(&next_programs().join("app"), &context.join("libraries.tar"));
    let lines = format!("FROM {image}\nADD libraries.tar /\nCOPY app /app/\n");
    fs::write(context.join("Dockerfile"), lines).unwrap();
    docker(&["build", "--quiet", &context.display().to_string()]).trim().to_owned()
}

/// Returns the image that is tested.
fn image() -> String {
    std::env::var("HEARTH_TEST_IMAGE").expect("HEARTH_TEST_IMAGE names the image, such as hearth:test")
}

/// Returns the first block of this language below this heading: a file that the document shows.
fn file_shown(document: &str, language: &str, heading: &str) -> String {
    let document = Document::read(Path::new(document));
    let (_, section) = document.text.split_once(&format!("# {heading}\n")).expect("the heading");
    let (_, file) = section.split_once(&format!("```{language}\n")).expect("the block");
    file.split_once("```").unwrap().0.to_owned()
}

/// One container for a look, which goes again.
fn first_look(terminal: &Terminal) {
    terminal.run(SETUP, "first-look");
    terminal.wait_serving();
    let code = terminal.run(SETUP, "first-look-code");
    assert!(code.trim().len() >= 8, "{code}");
    terminal.run(SETUP, "first-look-end");
    assert!(!terminal.is_answering());
}

/// From nothing to a served instance, with these settings in `.env`.
fn set_up(terminal: &Terminal, settings: &[(&str, &str)]) {
    assert_eq!(terminal.run(SETUP, "bits"), "64\n");
    terminal.run(SETUP, "place");
    // The download needs the internet.
    terminal.fetch(Path::new("compose"));
    terminal.run(SETUP, "configure");
    // No other Hearth on this machine is to be touched: a name of its own.
    terminal.set("COMPOSE_PROJECT_NAME", &terminal.name());
    terminal.set("HEARTH_VOLUMES", &terminal.name());
    terminal.set("HEARTH_PORT", &terminal.port.to_string());
    terminal.set_image("latest");
    settings.iter().for_each(|(name, value)| terminal.set(name, value));
    let said = terminal.run(SETUP, "check-settings");
    assert!(said.contains("and no mistake in them"), "{said}");
    terminal.run(SETUP, "start");
    terminal.wait_serving();
    let said = terminal.run(SETUP, "look");
    for words in [concat!("Starting server v", env!("CARGO_PKG_VERSION")), "\"status\":\"ok\"", "phase      serving"] {
        assert!(said.contains(words), "{words:?} is not in\n{said}");
    }
    let said = terminal.run(SETUP, "backup");
    assert!(said.contains("is made and verified"), "{said}");
}

/// What docs/BACKUPS.md has, with what it says to put before each command in a container.
fn back_up(terminal: &Terminal) {
    let document = Document::read(Path::new(BACKUPS));
    for line in ["make-one", "look-after-them"]
        .iter()
        .flat_map(|name| document.block(name).text.lines().map(str::to_owned).collect::<Vec<_>>())
    {
        let said = terminal.type_in(&format!("docker compose exec web {line}"), "");
        assert!(!said.is_empty(), "{line} says nothing");
    }
    let restore = document.block("restore").text;
    let latest = restore.lines().next().unwrap();
    let said = terminal.type_in(&format!("docker compose exec web {latest}"), "y\n");
    assert!(said.contains("is live"), "{latest}: {said}");
    terminal.wait_serving();
}

/// Names the directories, and the user whom they belong to, in `.env`.
fn use_directories(terminal: &Terminal) {
    for (name, directory) in [("HEARTH_DATA", "srv/data"), ("HEARTH_BACKUPS", "srv/backups")] {
        terminal.set(name, &terminal.place.path().join(directory).display().to_string());
    }
    terminal.set("HEARTH_USER", terminal.user);
}

/// A file of one's own with a setting, and directories of one's own.
fn settle_in(terminal: &Terminal) {
    terminal.write("local.yml", &file_shown(SETUP, "yaml", "Settings"));
    terminal.set("COMPOSE_FILE", "compose.yml:tier-recommended.yml:local.yml");
    terminal.set("HEARTH_STOP__GRACE", "25s");
    let said = terminal.run(SETUP, "settings");
    assert!(said.lines().any(|line| line.starts_with("stop.grace ") && line.contains(" 25s ")), "{said}");
    // One that compose.yml cannot pass on.
    let image = said.lines().find(|line| line.starts_with("update.image "));
    assert!(image.is_some_and(|line| line.contains(" registry.example.org/hearth ")), "{said}");
    terminal.run_as_user(SETUP, "directories");
    use_directories(terminal);
    let whole = terminal.run(SETUP, "in-one-file");
    assert!(whole.contains("srv/data") && !whole.contains("${"), "{whole}");
}

/// The data of a source build, into the directories, before the first start there.
fn move_in(terminal: &Terminal) {
    let source = Hearth::new();
    let mut running = source.start();
    household::fill(running.wait_serving(), 40);
    let before = household::all(running.address().unwrap());
    fs::create_dir(source.root.path().join("target")).unwrap();
    symlink(program("supervisor").parent().unwrap(), source.root.path().join("target/release")).unwrap();
    let here = terminal.directory.replace(source.root.path().to_owned());
    terminal.run_as_root(SETUP, "move-out");
    // The source build is root's here, and its backup belongs to who goes on with it.
    terminal.give("move.tar.zst");
    running.stop();
    terminal.directory.replace(here);
    terminal.type_in("docker compose down", "");
    let said = terminal.run(SETUP, "move-in");
    assert!(said.contains("is live"), "{said}");
    terminal.wait_serving();
    assert_eq!(household::all(terminal.address()), before);
}

/// An upgrade that works, and back.
fn there_and_back(terminal: &Terminal, image: &str) {
    let before = household::all(terminal.address());
    terminal.push(&next_version(image, "good", terminal.place.path()), "latest");
    let said = terminal.run(UPGRADING, "before");
    assert!(said.contains("is made and verified"), "{said}");
    terminal.run(UPGRADING, "upgrade");
    wait_until("the upgrade", || terminal.type_in("docker compose logs web", "").contains("is kept as a snapshot"));
    // Until then the version before has served.
    terminal.wait_phase("serving");
    terminal.wait_serving();
    let said = terminal.run(UPGRADING, "verify");
    assert!(said.contains("phase      serving"), "{said}");
    assert_eq!(household::all(terminal.address()), before);
    let newer = household::add(terminal.address(), &household::record(1));

    terminal.set_image("old");
    terminal.run(UPGRADING, "back");
    terminal.wait_phase("held");
    let said = terminal.run(UPGRADING, "back-look");
    assert!(said.contains("the database was last upgraded by v") && said.contains("supervisor restore 0001"), "{said}");
    let said = terminal.run_answering(UPGRADING, "back-restore", "y\n");
    assert!(said.contains("stays behind as a snapshot") && said.contains("is live"), "{said}");
    terminal.wait_serving();
    let after = household::all(terminal.address());
    assert_eq!(after, before, "without {newer}");
    assert!(terminal.run(UPGRADING, "back-backup").contains("before the upgrade"));
}

/// An upgrade that fails, and the old version again.
fn held_and_back(terminal: &Terminal, image: &str) {
    let before = household::all(terminal.address());
    terminal.push(&next_version(image, "fails", terminal.place.path()), "latest");
    terminal.set_image("latest");
    terminal.run(UPGRADING, "upgrade");
    wait_until("the upgrade to fail", || terminal.status().contains("is serving"));
    terminal.wait_serving();
    assert_eq!(household::all(terminal.address()), before);
    // Where nothing falls back.
    terminal.set("HEARTH_UPGRADE__FALLBACK", "off");
    terminal.type_in("docker compose up -d", "");
    terminal.wait_phase("held");
    let said = terminal.run(UPGRADING, "held");
    assert!(said.contains("held while upgrading") && said.contains("start the image of v"), "{said}");
    terminal.set_image("old");
    terminal.run(UPGRADING, "back");
    terminal.wait_serving();
    assert_eq!(household::all(terminal.address()), before);
}

/// The backup that was made before the upgrade, while nothing runs.
fn taken_over(terminal: &Terminal) {
    let said = terminal.run(SECURITY, "taken-over");
    assert!(said.contains("stays behind as a snapshot") && said.contains("is live"), "{said}");
    terminal.wait_serving();
}

/// Returns the image of 0.4.0, where it is here (`.ci/previous-image 0.4.0`); the release after it stands in for it otherwise, since
/// an installation may have taken that and kept the files.
fn image_of_0_4_0() -> String {
    const IMAGE: &str = "hearth:0.4.0";
    let is_here =
        Command::new("docker").args(["image", "inspect", IMAGE]).output().is_ok_and(|done| done.status.success());
    if is_here {
        return IMAGE.to_owned();
    }
    std::env::var("HEARTH_TEST_OLD_IMAGE").expect("HEARTH_TEST_OLD_IMAGE names the image of the release before")
}

/// Sets an installation up as the documents of 0.4.0 say, with its image, in volumes or in directories; returns its records.
fn of_0_4_0(terminal: &Terminal, in_directories: bool) -> BTreeMap<i64, Value> {
    let old = image_of_0_4_0();
    terminal.push(&old, "latest");
    terminal.run(SETUP_OF_0_4_0, "place");
    // All that it had; of the tiers, none has changed since.
    terminal.fetch(Path::new("compose"));
    terminal.fetch(Path::new("supervisor/tests/container/release-0.4.0"));
    terminal.run(SETUP_OF_0_4_0, "configure");
    terminal.set("COMPOSE_PROJECT_NAME", &terminal.name());
    terminal.set("HEARTH_PORT", &terminal.port.to_string());
    terminal.set_image("latest");
    // Its volumes are called app-data and app-backups, also by a real Hearth on this machine.
    terminal.replace("compose.yml", "name: app-", &format!("name: {}-", terminal.name()));
    if in_directories {
        terminal.run_as_user(SETUP_OF_0_4_0, "directories");
        use_directories(terminal);
    }
    terminal.run(SETUP_OF_0_4_0, "start");
    terminal.wait_serving();
    let said = terminal.run(SETUP_OF_0_4_0, "look");
    let version = docker(&["run", "--rm", &old, "--version"]);
    let version = version.trim().rsplit(' ').next().unwrap();
    assert!(said.contains(&format!("Starting server v{version}")), "{said}");
    let code = terminal.run(SETUP_OF_0_4_0, "first-owner");
    let owner = json!({"code": code.trim(), "name": "Ada", "email": http::EMAIL, "password": http::PASSWORD});
    let answer = request(terminal.address(), "POST", "/api/v1/setup", "application/json", Some(&owner)).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
    household::fill(terminal.address(), 40);
    terminal.run(SETUP_OF_0_4_0, "backup");
    household::all(terminal.address())
}

/// Upgrades an installation of 0.4.0 by the documents of today.
fn from_0_4_0(terminal: &Terminal, in_directories: bool) {
    let before = of_0_4_0(terminal, in_directories);
    // It did nothing in 0.4.0.
    terminal.set("HEARTH_BACKUP__KEEP_DAILY", "often");
    terminal.push(&image(), "latest");
    terminal.run(UPGRADING, "before");
    terminal.fetch(Path::new("compose"));
    terminal.replace("compose.yml", ":-app}", &format!(":-{}}}", terminal.name()));

    // A household that does not check first loses nothing, and the log leads to the line.
    terminal.run(UPGRADING, "upgrade");
    // It starts again and again; between two starts some engines have no log.
    let mut log = String::new();
    wait_until("the mistake in the log", || {
        log = terminal.type_in("docker compose logs web", "");
        log.contains("config --env")
    });
    let refused =
        log.lines().find(|line| line.contains("backup.keep_daily = \"often\" (from HEARTH_BACKUP__KEEP_DAILY)"));
    assert!(refused.is_some(), "{log}");
    let (_, way) = log.split_once("what is wrong in .env: ").expect("the way out");
    let way = way.lines().next().unwrap().trim();
    for check in [way, &terminal.block(UPGRADING, "from-0.4.0")] {
        let said = terminal.type_in(&format!("{{ {check}\n}} || true"), "");
        assert!(said.contains("(from HEARTH_BACKUP__KEEP_DAILY, line "), "{check}: {said}");
    }

    terminal.set("HEARTH_BACKUP__KEEP_DAILY", "30");
    let said = terminal.run(UPGRADING, "from-0.4.0");
    assert!(said.contains("and no mistake in them"), "{said}");
    terminal.run(UPGRADING, "upgrade");
    terminal.wait_serving();
    let said = terminal.run(UPGRADING, "verify");
    assert!(said.contains("phase      serving"), "{said}");
    assert_eq!(household::all(terminal.address()), before);
    let list = terminal.type_in("docker compose exec web supervisor backup list", "");
    assert!(list.contains("before the upgrade"), "{list}");
}

#[test]
#[ignore = "needs a Docker engine, and the images that HEARTH_TEST_IMAGE and HEARTH_TEST_OLD_IMAGE name"]
fn an_installation_that_the_documents_of_0_4_0_made_is_upgraded_by_todays_with_its_data() {
    from_0_4_0(&Terminal::open("1001:1001"), false);
}

#[test]
#[ignore = "needs a Docker engine, and the images that HEARTH_TEST_IMAGE and HEARTH_TEST_OLD_IMAGE name"]
fn an_installation_of_0_4_0_in_directories_of_another_user_is_upgraded_with_its_data() {
    from_0_4_0(&Terminal::open("99:100"), true);
}

#[test]
#[ignore = "needs a Docker engine, the images that HEARTH_TEST_IMAGE and HEARTH_TEST_OLD_IMAGE name, root, rootlesskit, uidmap and slirp4netns"]
fn an_installation_of_0_4_0_without_root_is_upgraded_with_its_data() {
    from_0_4_0(&Terminal::open_rootless(), true);
}

/// The documents, from top to bottom.
fn top_to_bottom(terminal: &Terminal) {
    let image = image();
    terminal.push(&image, "latest");
    terminal.push(&image, "old");
    first_look(terminal);
    set_up(terminal, &[]);
    // Nobody owns it yet.
    let code = terminal.run(SETUP, "first-owner");
    assert!(code.trim().len() >= 8, "{code}");
    settle_in(terminal);
    move_in(terminal);
    assert!(terminal.type_in("docker compose logs web", "").contains(&terminal.runs_as()));
    back_up(terminal);
    there_and_back(terminal, &image);
    held_and_back(terminal, &image);
    taken_over(terminal);
    let ran = terminal.ran.borrow();
    let ran: Vec<_> = ran.iter().map(|(document, name)| (document.as_str(), name.as_str())).collect();
    let mut run = RUN.to_vec();
    run.sort_unstable();
    assert_eq!(ran, run, "RUN names what is run");
}

#[test]
#[ignore = "needs a Docker engine, and the image that HEARTH_TEST_IMAGE names"]
fn the_commands_of_setup_backups_and_upgrading_do_what_they_say_as_the_images_own_user() {
    top_to_bottom(&Terminal::open("1001:1001"));
}

#[test]
#[ignore = "needs a Docker engine, and the image that HEARTH_TEST_IMAGE names"]
fn the_commands_of_setup_backups_and_upgrading_do_what_they_say_as_another_user() {
    top_to_bottom(&Terminal::open("99:100"));
}

#[test]
#[ignore = "needs a Docker engine, the image that HEARTH_TEST_IMAGE names, root, rootlesskit, uidmap and slirp4netns"]
fn the_commands_of_setup_backups_and_upgrading_do_what_they_say_without_root() {
    top_to_bottom(&Terminal::open_rootless());
}

/// An installation in volumes, with records; returns them.
fn in_volumes(terminal: &Terminal) -> BTreeMap<i64, Value> {
    terminal.push(&image(), "latest");
    set_up(terminal, &[("HEARTH_AUTH__ADMIN_EMAIL", http::EMAIL), ("HEARTH_AUTH__ADMIN_PASSWORD", http::PASSWORD)]);
    household::fill(terminal.address(), 20);
    household::all(terminal.address())
}

/// The document's blocks of the move; between them, before the restore, `meanwhile`.
fn move_into_directories(terminal: &Terminal, meanwhile: impl FnOnce(&Path)) {
    terminal.run_as_user(SETUP, "directories");
    let said = terminal.run_as_user(SETUP, "move-backups");
    assert!(said.contains("is made and verified"), "{said}");
    use_directories(terminal);
    meanwhile(&terminal.place.path().join("srv/backups"));
    let said = terminal.run_answering(SETUP, "move-restore", "y\n");
    assert!(said.contains("is live"), "{said}");
    terminal.wait_serving();
}

/// Moves an installation from volumes into directories, which belong to this user afterwards.
fn moves_everything(terminal: &Terminal, owner: &str) {
    let before = in_volumes(terminal);
    move_into_directories(terminal, |_| ());
    assert_eq!(household::all(terminal.address()), before, "{owner}");
    let list = terminal.type_in("docker compose exec web supervisor backup list", "");
    assert!(list.contains("move"), "{list}");
    for directory in ["srv/data/live/app.db", "srv/backups"] {
        let stat = fs::metadata(terminal.place.path().join(directory)).unwrap();
        assert_eq!(format!("{}:{}", stat.uid(), stat.gid()), owner, "{directory}");
    }
    terminal.run(SETUP, "move-end");
    // The next backup goes into the directory, beside those that came along.
    assert!(terminal.run(SETUP, "backup").contains("is made and verified"));
}

#[test]
#[ignore = "needs a Docker engine, and the image that HEARTH_TEST_IMAGE names"]
fn the_move_into_directories_brings_everything_for_whatever_user() {
    for user in ["1001:1001", "99:100", "0:0"] {
        moves_everything(&Terminal::open(user), user);
    }
}

#[test]
#[ignore = "needs a Docker engine, the image that HEARTH_TEST_IMAGE names, root, rootlesskit, uidmap and slirp4netns"]
fn the_move_into_directories_brings_everything_without_root() {
    moves_everything(&Terminal::open_rootless(), &format!("{UID}:{UID}"));
}

#[test]
#[ignore = "needs a Docker engine, and the image that HEARTH_TEST_IMAGE names"]
fn a_move_whose_backups_still_belong_to_root_serves_no_empty_hearth_and_says_whose_they_are() {
    let terminal = Terminal::open("1001:1001");
    let before = in_volumes(&terminal);
    move_into_directories(&terminal, |backups| {
        let belong_to = |uid: u32, gid: u32| {
            for entry in fs::read_dir(backups).unwrap() {
                chown(entry.unwrap().path(), Some(uid), Some(gid)).unwrap();
            }
        };
        belong_to(0, 0);
        let said = terminal.type_in("docker compose run --rm web supervisor restore latest --yes || true", "");
        assert!(said.contains("belongs to uid 0 gid 0 (mode 600)"), "{said}");
        assert!(said.contains("chown 1001:1001"), "{said}");
        terminal.type_in("docker compose up -d", "");
        terminal.wait_phase("held");
        let said = terminal.status();
        assert!(said.contains("there are backups") || said.contains("belongs to uid 0"), "{said}");
        terminal.type_in("docker compose down", "");
        belong_to(1001, 1001);
    });
    assert_eq!(household::all(terminal.address()), before);
}
