//! What somebody pastes into the menu of a NAS, as docs/NAS.md says: one file and nothing else, or a form of Unraid's.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    process::Command,
};

use serde_json::json;

use crate::{
    engine::{Container, both, docker, image, name_and_address, owner},
    harness::{household, http, request},
    project::composes,
};

/// Returns a file of the repository, with this test's own image, volumes and port in it.
fn as_this_test(path: &str, name: &str, port: u16) -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap();
    let image = image();
    let replaced = [
        ("ghcr.io/hearth-home/hearth:latest", image.as_str()),
        ("0.0.0.0:3000:3000", &format!("0.0.0.0:{port}:3000")),
        ("name: hearth-", &format!("name: {name}-")),
    ];
    replaced.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{path} has no {from}");
        text.replace(from, to)
    })
}

fn free_port() -> u16 {
    TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port()
}

/// Returns an address of this machine that is not 127.0.0.1: that of Docker's own network.
fn in_the_network(port: u16) -> SocketAddr {
    let gateway = docker(&["network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]);
    SocketAddr::new(gateway.parse().unwrap(), port)
}

#[test]
#[ignore = "needs a container engine and the image"]
fn one_file_without_env_serves_the_home_network_and_its_log_leads_to_the_owner() {
    for compose in composes() {
        let (name, _) = name_and_address();
        let port = free_port();
        let address = in_the_network(port);
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("docker-compose.yml"), as_this_test("compose/nas.yml", &name, port)).unwrap();
        let run = |arguments: &[&str]| {
            let mut command = Command::new(&compose[0]);
            command.args(&compose[1..]).args(["--project-name", &name]).args(arguments).current_dir(directory.path());
            for (variable, _) in std::env::vars_os() {
                if ["HEARTH_", "COMPOSE_"].iter().any(|prefix| variable.to_string_lossy().starts_with(prefix)) {
                    command.env_remove(variable);
                }
            }
            command.output().unwrap()
        };
        let up = run(&["up", "-d"]);
        assert!(up.status.success(), "{}", both(&up));
        // As the menu's viewer of logs finds it. Dropped, it is removed.
        let id = String::from_utf8(run(&["ps", "-q", "web"]).stdout).unwrap().trim().to_owned();
        let web = Container { name: id, address };
        web.wait_serving();
        let log = web.log();
        let code =
            log.split_once("enter this set-up code").and_then(|(_, rest)| rest.lines().nth(1)).unwrap_or_default();
        let code = code.rsplit(' ').next().unwrap();
        assert_eq!(code, web.exec(&["app", "setup-code"]), "{log}");

        let wanted = json!({"code": code, "name": "Ada", "email": http::EMAIL, "password": http::PASSWORD});
        let answer = request(address, "POST", "/api/v1/setup", "application/json", Some(&wanted)).unwrap();
        assert_eq!(answer.status, 201, "{}", answer.body);
        // What docs/NAS.md says of the cookie over plain http.
        let cookie = &answer.headers["set-cookie"];
        assert!(cookie.starts_with("hearth-") && cookie.contains("HttpOnly") && !cookie.contains("Secure"), "{cookie}");
        household::fill(address, 3);
        web.exec(&["supervisor", "backup"]);
        let privileges =
            docker(&["inspect", "--format", "{{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}", &web.name]);
        assert_eq!(privileges, "[ALL] [no-new-privileges:true]");
        let down = run(&["down", "--volumes"]);
        assert!(down.status.success(), "{}", both(&down));
    }
}

/// Returns the options that Unraid makes of the template, and the folders that it makes when they are missing, with mode 0777 for
/// its own user.
fn as_unraid(template: &str, root: &Path, port: u16) -> Vec<String> {
    let attribute = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!(" {name}=\"")).unwrap_or_else(|| panic!("{name}: {line}"));
        rest.split_once('"').unwrap().0.to_owned()
    };
    let (_, options) = template.split_once("<ExtraParams>").unwrap();
    let mut options: Vec<String> = options.split_once('<').unwrap().0.split(' ').map(str::to_owned).collect();
    for line in template.lines().filter(|line| line.trim_start().starts_with("<Config ")) {
        let (target, value) = (attribute(line, "Target"), attribute(line, "Default"));
        let (flag, value) = match attribute(line, "Type").as_str() {
            "Path" => {
                let folder = root.join(target.trim_start_matches("/app/"));
                fs::create_dir(&folder).unwrap();
                fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).unwrap();
                chown(&folder, Some(99), Some(100)).unwrap();
                ("--volume", format!("{}:{target}:rw", folder.display()))
            }
            "Port" => ("--publish", format!("{port}:{target}/tcp")),
            "Variable" => ("--env", format!("{target}={value}")),
            other => panic!("{other}: {line}"),
        };
        options.extend([flag.to_owned(), value]);
    }
    options
}

#[test]
#[ignore = "needs a container engine and the image"]
fn the_form_of_unraid_serves_the_home_network_from_folders_that_unraid_makes() {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/unraid/hearth.xml");
    let (root, port) = (tempfile::tempdir().unwrap(), free_port());
    fs::set_permissions(root.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let (name, _) = name_and_address();
    let container = Container { name, address: in_the_network(port) };
    let mut command: Vec<String> =
        ["run", "--detach", "--name", &container.name].iter().map(|&word| word.to_owned()).collect();
    command.extend(as_unraid(&fs::read_to_string(template).unwrap(), root.path(), port));
    command.extend(owner().into_iter().flat_map(|variable| ["--env".to_owned(), variable]));
    command.push(image());
    docker(&command.iter().map(String::as_str).collect::<Vec<_>>());
    let address = container.wait_serving();
    assert!(container.log().contains("as uid 99 gid 100"), "{}", container.log());
    household::fill(address, 3);
    container.exec(&["supervisor", "backup"]);
    assert!(fs::read_dir(root.path().join("backups")).unwrap().count() > 0);
    container.stop();
}
