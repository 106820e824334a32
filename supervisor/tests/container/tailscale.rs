//! Tailscale on the machine and in a container beside. No tailnet is to be had, so a stand-in has the place of Tailscale's image:
//! it answers the health check as that does, and nothing more.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::OnceLock,
};

use crate::{
    engine::{both, docker, image, try_docker},
    harness::{get, household},
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

fn beside(files: &[&str]) {
    let project = Project::new(files, &image());
    project.set("TAILSCALE_IMAGE", stand_in());
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::copy(repository.join("compose/serve.json"), project.directory.path().join("serve.json")).unwrap();
    project.add_volume("app-tailscale");
    project.compose(&["up", "-d"]);
    project.wait_health("healthy");
    let tailscale = project.compose(&["ps", "-q", "tailscale"]);
    let tailscale = tailscale.trim();
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

#[test]
#[ignore = "needs a container engine and the image"]
fn tailscale_in_a_container_beside() {
    beside(&["tailscale-sidecar.yml", "tier-recommended.yml", "tier-hardened.yml"]);
}

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
