//! The programs in their own image and in other people's: on nothing at all, on a Debian with another C library, and on musl
//! and busybox.
//!
//! They are linked statically, so an image gives them nothing but what they read: names, certificates, time zones. What
//! would be loaded from one is tried as well: the Debian here looks names up by modules that end whoever loads them.

use std::{
    fs,
    os::unix::fs::{chown, symlink},
    path::Path,
    process::Command,
};

use crate::{
    engine::{Container, Volume, both, docker, image, mounted, name_and_address, output, try_docker},
    harness::{LIMIT, household},
    images,
    outside::{Outside, S3_NAMES},
};

/// Makes an image: the programs of the tested one, and nothing else of it, on this base.
fn on(name: &str, base: &str, add: impl FnOnce(&Path) -> String) -> String {
    let directory = tempfile::tempdir().unwrap();
    let more = add(directory.path());
    let lines = format!(
        "FROM {base}\nCOPY --from={} /app/ /app/\n{more}\
         ENV PATH=/app HEARTH_DATA_DIR=/app/data\nUSER 1001:1001\nENTRYPOINT [\"/app/supervisor\"]\n",
        image()
    );
    fs::write(directory.path().join("Dockerfile"), lines).unwrap();
    let tag = format!("hearth-test/{name}");
    docker(&["build", "--quiet", "--tag", &tag, directory.path().to_str().unwrap()]);
    tag
}

fn on_scratch() -> String {
    on("scratch", "scratch", |_| String::new())
}

fn on_musl() -> String {
    on("musl", "alpine:3.22", |_| String::new())
}

/// A Debian whose names are looked up by mdns and systemd-resolved, before the name server is asked.
fn on_debian() -> String {
    on("debian", "debian:trixie-slim", |directory| {
        let trap = directory.join("trap");
        fs::create_dir(&trap).unwrap();
        let (source, module) = (trap.join("trap.c"), directory.join("module.so"));
        fs::write(&source, "void abort(void);\n__attribute__((constructor)) static void loaded(void) { abort(); }\n")
            .unwrap();
        let made = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&module, &source]).output().unwrap();
        assert!(made.status.success(), "{}", both(&made));
        let places = String::from_utf8(output("cc", &["-print-multiarch"]).stdout).unwrap();
        let hosts =
            "passwd: files systemd\nhosts: files mdns4_minimal [NOTFOUND=return] resolve [!UNAVAIL=return] dns\n";
        fs::write(directory.join("nsswitch.conf"), hosts).unwrap();
        let copies = ["mdns4_minimal", "resolve", "systemd"]
            .map(|name| format!("COPY module.so /usr/lib/{}/libnss_{name}.so.2\n", places.trim()));
        format!("COPY nsswitch.conf /etc/\n{}", copies.concat())
    })
}

/// Starts this image, where it finds the servers outside.
fn start(image: &str, outside: &Outside, volume: &str) -> Container {
    start_with(image, outside.options(), volume)
}

fn start_with(image: &str, mut options: Vec<String>, volume: &str) -> Container {
    let (name, address) = name_and_address();
    let container = Container { name, address };
    options.push(format!("--volume={volume}"));
    options.push(format!("--env=HEARTH_LISTEN={address}"));
    // Where it is tomorrow already: three in the morning there is one in the afternoon at Greenwich.
    options.extend(["--env=TZ=Pacific/Kiritimati", "--env=HEARTH_BACKUP__SCHEDULE=0 3 * * *"].map(str::to_owned));
    container.start_as(image, &options.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    container
}

/// Starts for the first time, makes backups, asks for updates and a provider, and is there again after a stop.
fn boots_backs_up_and_finds_everybody(image: &str) {
    let outside = Outside::start();
    let volume = Volume::new();
    let container = start(image, &outside, &volume.as_data());
    household::fill(container.wait_serving(), 20);
    let records = household::all(container.address);

    container.exec(&["supervisor", "backup"]);
    for name in S3_NAMES {
        assert_eq!(outside.archives(name), 1, "copied to the server that is called {name}: {}", container.log());
    }
    let status = container.status().unwrap();
    let next = status["backups"]["next_at"].as_str().unwrap();
    assert!(next.contains("T13:"), "in the time zone: {status}");

    let told = container.exec(&["supervisor", "update", "check"]);
    assert_eq!(told.trim(), "New version v99.0.0 available");
    let answer = container.try_get("/sign-in/oidc?moved=true");
    let asked = outside.asked_provider.recv_timeout(LIMIT);
    assert!(asked.is_ok(), "the app finds the provider: {answer:?}\n{}", container.log());

    container.exec(&["supervisor", "restore", "latest", "--yes"]);
    assert_eq!(household::all(container.wait_serving()), records);
    docker(&["restart", "--time", "10", &container.name]);
    assert_eq!(household::all(container.wait_serving()), records);
    assert_eq!(container.exec(&["supervisor", "healthcheck"]), "healthy: serving");
    container.stop();
}

/// Upgrades what the release before it left behind, and the database of one that has to be migrated.
fn upgrades(image: &str) {
    let volume = Volume::new();
    let before = Container::run(&images::old(), &["--volume", &volume.as_data()], &[]);
    household::fill(before.wait_serving(), 20);
    let records = household::all(before.address);
    before.stop();
    before.remove();
    let listen = ["--volume", &volume.as_data(), "--env", "HEARTH_LISTEN=0.0.0.0:3000"];
    before.start_as(image, &listen, &[]);
    assert_eq!(household::all(before.wait_serving()), records);
    before.stop();
    before.remove();

    let directory = tempfile::tempdir().unwrap();
    let generation = directory.path().join("generations/0001");
    fs::create_dir_all(&generation).unwrap();
    let releases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrator/releases");
    let database = rusqlite::Connection::open(generation.join("app.db")).unwrap();
    database.execute_batch(&fs::read_to_string(releases.join("0.3.0.sql")).unwrap()).unwrap();
    let count: i64 = database.query_row("SELECT count(*) FROM record", [], |row| row.get(0)).unwrap();
    database.close().unwrap();
    symlink("generations/0001", directory.path().join("live")).unwrap();
    give_to_the_container(directory.path());
    let options = ["--volume", &mounted(directory.path()), "--env", "HEARTH_LISTEN=0.0.0.0:3000"];
    before.start_as(image, &options, &[]);
    assert_eq!(household::all(before.wait_serving()).len() as i64, count);
    assert!(before.log().contains("[Migrate] Applying: m0002_accounts"), "{}", before.log());
    assert_eq!(before.status().unwrap()["live"], 2);
    before.stop();
}

fn give_to_the_container(path: &Path) {
    chown(path, Some(1001), Some(1001)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        fs::read_dir(path).unwrap().flatten().for_each(|entry| give_to_the_container(&entry.path()));
    }
}

macro_rules! on_each_base {
    ($($name:ident: $image:expr),*) => {
        mod boots_backs_up_and_finds_everybody {
            $(#[test]
            #[ignore = "needs a container engine and the image"]
            fn $name() {
                super::boots_backs_up_and_finds_everybody(&$image);
            })*
        }
        mod upgrades {
            $(#[test]
            #[ignore = "needs a container engine and the image"]
            fn $name() {
                super::upgrades(&$image);
            })*
        }
    };
}

on_each_base! {
    in_its_own_image: super::image(),
    on_scratch: super::on_scratch(),
    on_debian: super::on_debian(),
    on_musl: super::on_musl()
}

#[test]
#[ignore = "needs a container engine and the image"]
fn a_panic_is_unwound_and_says_where_it_was() {
    let container = Container::run(&image(), &[], &[]);
    container.wait_serving();
    // There is no stack so large: the app's runtime panics when it makes its threads.
    let settings = [
        "HEARTH_DATABASE=/app/data/live/app.db",
        "HEARTH_FILES=/app/data/files",
        "HEARTH_LISTEN=127.0.0.1:3999",
        "RUST_MIN_STACK=999999999999999",
    ];
    let mut command = vec!["exec"];
    settings.iter().for_each(|setting| command.extend(["--env", setting]));
    let ended = try_docker(&[&command[..], &[&container.name, "app", "serve"]].concat());
    assert!(both(&ended).contains("panicked at "), "{}", both(&ended));
    // That of a panic that was unwound to main; one that could not be aborts, and that is 134.
    assert_eq!(ended.status.code(), Some(101), "{}", both(&ended));
    container.stop();
}

#[test]
#[ignore = "needs a container engine and the image"]
fn where_the_image_has_no_certificates_the_programs_have_their_own() {
    let image = on_scratch();
    let outside = Outside::start();
    let volume = Volume::new();
    let mut options = outside.options();
    options.retain(|option| !option.contains("ca-certificates"));
    let container = start_with(&image, options, &volume.as_data());
    container.wait_serving();
    let output = container.try_exec(&["supervisor", "update", "check"]);
    assert!(both(&output).contains("certificate that is not trusted"), "{}", both(&output));
    container.stop();
}
