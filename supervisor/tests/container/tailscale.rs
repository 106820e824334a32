//! Tailscale on the machine and in a container beside. No tailnet is to be had, so a stand-in has the place of Tailscale's image:
//! it answers the health check as that does, and nothing more.

use std::{
    fs,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    os::unix::{
        fs::{PermissionsExt, chown, symlink},
        net::UnixStream,
    },
    path::Path,
    sync::OnceLock,
};

use crate::{
    engine::{both, docker, image, try_docker},
    harness::{get, household, http::EMAIL},
    project::Project,
};

/// Makes the stand-in: a shell, and Tailscale's `containerboot`, by the name and with the answer that the file counts on.
fn stand_in() -> &'static str {
    static IMAGE: OnceLock<&str> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let place = tempfile::tempdir().unwrap();
        let at = |path: &str| place.path().join(path);
        for directory in ["bin", "usr/local/bin", "www"] {
            fs::create_dir_all(at(directory)).unwrap();
        }
        fs::copy("/bin/busybox", at("bin/busybox")).expect("a static busybox (apt-get install busybox-static)");
        for name in ["sh", "wget", "killall", "sleep", "httpd"] {
            symlink("busybox", at(&format!("bin/{name}"))).unwrap();
        }
        fs::write(at("www/healthz"), "ok").unwrap();
        let boot = at("usr/local/bin/containerboot");
        fs::write(&boot, "#!/bin/sh\nexec httpd -f -p \"$TS_LOCAL_ADDR_PORT\" -h /www\n").unwrap();
        fs::set_permissions(boot, PermissionsExt::from_mode(0o755)).unwrap();
        fs::write(at("Dockerfile"), "FROM scratch\nCOPY . /\nENV PATH=/bin:/usr/local/bin\n").unwrap();
        docker(&["build", "--quiet", "--tag", "hearth-test/tailscale", place.path().to_str().unwrap()]);
        "hearth-test/tailscale"
    })
}

/// Brings the two containers up; returns the project, and Tailscale's container.
fn beside(files: &[&str]) -> (Project, String) {
    let project = Project::new(files, &image());
    project.set("TAILSCALE_IMAGE", stand_in());
    let compose = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose");
    for file in ["serve.json", "serve-signin.json"] {
        fs::copy(compose.join(file), project.directory.path().join(file)).unwrap();
    }
    project.compose(&["up", "-d"]);
    project.wait_health("healthy");
    let tailscale = project.compose(&["ps", "-q", "tailscale"]).trim().to_owned();
    (project, tailscale)
}

#[test]
#[ignore = "needs a container engine and the image"]
fn tailscale_in_a_container_beside() {
    let (project, tailscale) = beside(&["tailscale-sidecar.yml", "tier-recommended.yml", "tier-hardened.yml"]);
    let tailscale = &*tailscale;
    let reaches = || {
        let health = ["exec", tailscale, "wget", "-q", "-O", "-", "http://127.0.0.1:3000/health"];
        both(&try_docker(&health)).contains("\"status\":\"ok\"").then_some(())
    };
    project.wait("Hearth from Tailscale's network", reaches);
    assert_eq!(docker(&["port", &project.name]), "", "nothing is published");
    let healthy =
        || docker(&["inspect", "--format", "{{.State.Health.Status}}", tailscale]).contains("healthy").then_some(());
    project.wait("a healthy Tailscale", healthy);
    // It ends by itself without a sign-in, and the container must not end with it: it has the network.
    docker(&["exec", tailscale, "killall", "httpd"]);
    let again = || {
        let health = ["exec", tailscale, "wget", "-q", "-O", "-", "http://127.0.0.1:9002/healthz"];
        both(&try_docker(&health)).contains("ok").then_some(())
    };
    project.wait("Tailscale again", again);
    project.wait("Hearth from the same network", reaches);
    project.stop_well();
}

/// What `tailscale serve` says of the owner.
fn login() -> String {
    format!("Tailscale-User-Login: {EMAIL}")
}

/// Whether this answer of `/api/v1/session` is the owner's, by Tailscale's word.
fn is_signed_in(answer: &str) -> bool {
    answer.contains(EMAIL) && answer.contains(r#""by":"tailscale""#)
}

#[test]
#[ignore = "needs a container engine and the image"]
fn tailscale_beside_says_who_somebody_is() {
    let files = ["tailscale-sidecar.yml", "tier-recommended.yml", "tailscale-sidecar-signin.yml", "tier-hardened.yml"];
    let (project, tailscale) = beside(&files);
    let ask = |address: &str| {
        let address = format!("http://{address}/api/v1/session");
        both(&try_docker(&["exec", &tailscale, "wget", "-q", "-O", "-", "--header", &login(), &address]))
    };
    project.wait("Tailscale's word", || is_signed_in(&ask("127.0.0.2:3001")).then_some(()));
    // Where the tailnet gets to past serve, everybody can say that.
    let forged = ask("127.0.0.1:3000");
    assert!(forged.contains("401"), "{forged}");
    project.stop_well();
}

#[test]
#[ignore = "needs a container engine and the image"]
fn tailscale_on_the_machine_says_who_somebody_is() {
    let project = Project::new(&["compose.yml", "tier-recommended.yml", "tailscale-signin.yml"], &image());
    let place = project.directory.path().join("tailscale");
    fs::create_dir(&place).unwrap();
    fs::set_permissions(&place, PermissionsExt::from_mode(0o700)).unwrap();
    chown(&place, Some(1001), Some(1001)).unwrap();
    project.compose(&["up", "-d"]);
    project.wait_health("healthy");
    let socket = place.join("hearth.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let ask = |mut stream: Box<dyn ReadWrite>| {
        let head =
            format!("GET /api/v1/session HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{}\r\n\r\n", login());
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let answer = ask(Box::new(UnixStream::connect(&socket).unwrap()));
    assert!(is_signed_in(&answer), "{answer}");
    let forged = ask(Box::new(TcpStream::connect(project.wait_serving()).unwrap()));
    assert!(forged.starts_with("HTTP/1.1 401 "), "{forged}");
    project.stop_well();
    // The next start is not kept by the socket of the last.
    project.compose(&["up", "-d"]);
    project.wait_health("healthy");
    assert!(is_signed_in(&ask(Box::new(UnixStream::connect(&socket).unwrap()))));
    project.stop_well();
}

/// A stream of either kind.
trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// The kernel's setting that lets programs listen on addresses that are still to come; as before when this is dropped.
struct Nonlocal(String);

impl Nonlocal {
    const PATH: &str = "/proc/sys/net/ipv4/ip_nonlocal_bind";

    fn set(value: &str) -> Self {
        let before = fs::read_to_string(Self::PATH).unwrap();
        fs::write(Self::PATH, value).unwrap();
        Self(before)
    }
}

impl Drop for Nonlocal {
    fn drop(&mut self) {
        let _ = fs::write(Self::PATH, &self.0);
    }
}

#[test]
#[ignore = "needs a container engine and the image"]
fn tailscale_on_the_machine() {
    let project = Project::new(&["compose.yml", "tier-recommended.yml", "tailscale-host.yml"], &image());
    project.set("HEARTH_TAILNET_IP", "127.0.0.3");
    {
        // Without it the next start after a power cut would fail, so this one does.
        let _nonlocal = Nonlocal::set("0");
        let refused = project.try_compose(&["up", "-d"]);
        assert!(!refused.status.success() && both(&refused).contains("192.0.2.1"), "{}", both(&refused));
    }
    let _nonlocal = Nonlocal::set("1");
    project.compose(&["up", "-d"]);
    project.wait_health("healthy");
    let port = project.wait_serving().port();
    let tailnet = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3)), port);
    household::add(tailnet, &household::record(1));
    assert_eq!(get(tailnet, "/health").status, 200);
    project.stop_well();
}
