//! What somebody pastes into the menu of a NAS, as docs/NAS.md says: one file and nothing else, or a form of Unraid's.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    process::{Command, Output},
};

use serde_json::json;

use crate::{
    engine::{Container, both, docker, image, name_and_address, output, owner},
    harness::{household, http, request},
    project::{Compose, composes},
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
    let format = "{{(index .IPAM.Config 0).Gateway}} {{(index .IPAM.Config 0).Subnet}}";
    let network = docker(&["network", "inspect", "bridge", "--format", format]);
    let (gateway, subnet) = network.split_once(' ').unwrap();
    // A daemon that made the network itself names no gateway until it is started again; it is the first address.
    let first = || {
        let network: Ipv4Addr = subnet.split('/').next().unwrap().parse().unwrap();
        Ipv4Addr::from_bits(network.to_bits() + 1).into()
    };
    SocketAddr::new(gateway.parse().unwrap_or_else(|_| first()), port)
}

/// What a menu makes of a file that is pasted into it; taken down with this, volumes and all.
struct Pasted<'a> {
    compose: &'a Compose,
    name: String,
    directory: tempfile::TempDir,
}

impl<'a> Pasted<'a> {
    fn start(compose: &'a Compose, name: String, text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("docker-compose.yml"), text).unwrap();
        let pasted = Self { compose, name, directory };
        let up = pasted.run(&["up", "-d"]);
        assert!(up.status.success(), "{}", both(&up));
        pasted
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.compose[0]);
        command.args(&self.compose[1..]).args(["--project-name", &self.name]).args(arguments);
        for (variable, _) in std::env::vars_os() {
            if ["HEARTH_", "COMPOSE_"].iter().any(|prefix| variable.to_string_lossy().starts_with(prefix)) {
                command.env_remove(variable);
            }
        }
        command.current_dir(self.directory.path()).output().unwrap()
    }

    /// Its container, which serves; and the set-up code that a viewer of logs shows.
    fn web(&self, address: SocketAddr) -> (Container, String) {
        let id = String::from_utf8(self.run(&["ps", "-q", "web"]).stdout).unwrap().trim().to_owned();
        let web = Container { name: id, address };
        web.wait_serving();
        let log = web.log();
        let code = log.split_once("enter this set-up code").and_then(|(_, rest)| rest.lines().nth(1));
        let code =
            code.and_then(|line| line.rsplit(' ').next()).unwrap_or_else(|| panic!("no code in {log}")).to_owned();
        assert_eq!(code, web.exec(&["app", "setup-code"]), "{log}");
        (web, code)
    }
}

impl Drop for Pasted<'_> {
    fn drop(&mut self) {
        self.run(&["down", "--volumes", "--timeout", "0"]);
    }
}

#[test]
#[ignore = "needs a container engine and the image"]
fn one_file_without_env_serves_the_home_network_and_its_log_leads_to_the_owner() {
    for compose in composes() {
        let (name, _) = name_and_address();
        let port = free_port();
        let address = in_the_network(port);
        let text = as_this_test("compose/nas.yml", &name, port);
        let pasted = Pasted::start(compose, name, &text);
        let (web, code) = pasted.web(address);

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
    }
}

#[test]
#[ignore = "needs a container engine and the image"]
fn behind_the_proxy_of_the_nas_the_same_file_has_the_secure_cookie_and_sees_each_devices_own_address() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/NAS.md")).unwrap();
    let (_, section) = document.split_once("### Https with Synology's reverse proxy").unwrap();
    let (_, lines) = section.split_once("```yaml\n").unwrap();
    let (name, _) = name_and_address();
    let port = free_port();
    let gateway = in_the_network(port).ip().to_string();
    let lines = lines.split_once("```").unwrap().0;
    let lines = lines.replace("127.0.0.1:3000:", &format!("127.0.0.1:{port}:")).replace("172.17.0.1", &gateway);
    // The lines of the document in the file, as a person puts them there.
    let (network, rest) = lines.trim_start_matches("services:\n  web:\n").split_once("    ports:\n").unwrap();
    let (published, settings) = rest.split_once("    environment:\n").unwrap();
    let text = as_this_test("compose/nas.yml", &name, port);
    let text = text
        .replace(&format!("      - 0.0.0.0:{port}:3000\n"), published)
        .replace("    ports:\n", &format!("{network}    ports:\n"))
        .replace("    environment:\n", &format!("    environment:\n{settings}"));
    assert!(text.contains(&format!("- 127.0.0.1:{port}:3000")) && text.contains("network_mode: bridge"), "{text}");
    let pasted = Pasted::start(&composes()[0], name, &text);
    let (_web, code) = pasted.web(SocketAddr::from(([127, 0, 0, 1], port)));

    // As the proxy of a Synology passes a request on that a stranger forged: it adds the client to what is there.
    let ask = |path: &str, more: &[&str]| {
        let url = format!("http://127.0.0.1:{port}{path}");
        let mut arguments = vec!["--silent", "--include", &url];
        for header in [
            "Host: hearth.example.synology.me",
            "X-Forwarded-Host: hearth.example.synology.me",
            "X-Forwarded-Proto: https",
            "X-Forwarded-For: 203.0.113.9, 192.168.1.77",
            "Content-Type: application/json",
            "Sec-Fetch-Site: same-origin",
        ] {
            arguments.extend(["--header", header]);
        }
        both(&output("curl", &[&arguments, more].concat()))
    };
    let wanted = json!({"code": code, "name": "Ada", "email": http::EMAIL, "password": http::PASSWORD}).to_string();
    let answer = ask("/api/v1/setup", &["--data", &wanted]);
    let cookie =
        answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap_or_else(|| panic!("{answer}"));
    assert!(cookie.starts_with("__Host-hearth-") && cookie.contains("Secure"), "{cookie}");
    let sessions = ask("/api/v1/sessions", &["--cookie", cookie.split(';').next().unwrap()]);
    assert!(sessions.contains("192.168.1.77") && !sessions.contains("203.0.113.9"), "{sessions}");
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
