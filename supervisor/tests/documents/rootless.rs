//! How is an engine started that belongs to a user who is not root?
//!
//! By rootlesskit, in a mount namespace where `/etc/passwd` and `/etc/subuid` know one more user: the machine's own files stay as
//! they are. It has a network of its own, and what listens in there is reached with [`Rootless::inside`].

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::terminal::wait_until;

/// A uid that nobody has, and the ids that it may give to others.
pub(crate) const UID: u32 = 54_321;
const SUBORDINATE: &str = "hearth-docs:600000:65536\n";

/// An engine without root.
pub(crate) struct Rootless {
    engine: Child,
    place: tempfile::TempDir,
}

impl Rootless {
    /// Starts one. It needs root, to become that user, and the Debian packages rootlesskit, uidmap and slirp4netns.
    pub(crate) fn start() -> Self {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::set_permissions(place.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let account = |file: &str, line: &str| fs::read_to_string(file).unwrap() + line;
        let passwd = account("/etc/passwd", &format!("hearth-docs:x:{UID}:{UID}::{}:/bin/sh\n", at("home").display()));
        let group = account("/etc/group", &format!("hearth-docs:x:{UID}:\n"));
        let mut binds = String::new();
        for (name, text) in
            [("passwd", passwd.as_str()), ("group", &group), ("subuid", SUBORDINATE), ("subgid", SUBORDINATE)]
        {
            fs::write(at(name), text).unwrap();
            fs::set_permissions(at(name), PermissionsExt::from_mode(0o644)).unwrap();
            binds += &format!("touch /etc/{name} && mount --bind '{}' /etc/{name}\n", at(name).display());
        }
        for name in ["home", "run"] {
            fs::create_dir(at(name)).unwrap();
            fs::set_permissions(at(name), PermissionsExt::from_mode(0o700)).unwrap();
            chown(at(name), Some(UID), Some(UID)).unwrap();
        }
        let (home, run) = (at("home"), at("run"));
        let script = format!(
            "set -eu\n{binds}
            exec setpriv --reuid {UID} --regid {UID} --clear-groups --pdeathsig TERM \
                env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME='{home}' XDG_RUNTIME_DIR='{run}' \
                rootlesskit --state-dir='{run}/rootlesskit' --net=slirp4netns --mtu=65520 --disable-host-loopback \
                --port-driver=builtin --copy-up=/etc --copy-up=/run --propagation=rslave \
                sh -c 'rm -f /run/docker /run/containerd /run/xtables.lock; exec dockerd --storage-driver vfs'\n",
            home = home.display(),
            run = run.display(),
        );
        let log = fs::File::create(at("log")).unwrap();
        let engine = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "bash", "-c", &script])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("unshare, of the Debian package util-linux");
        let mut started = Self { engine, place };
        wait_until("the engine without root", || {
            if let Some(status) = started.engine.try_wait().unwrap() {
                panic!("it ended ({status}):\n{}", fs::read_to_string(started.place.path().join("log")).unwrap());
            }
            started.docker(&["info"]).output().unwrap().status.success()
        });
        started
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.place.path().join("home")
    }

    /// Where its client finds it, as the environment says it.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.place.path().join("run/docker.sock").display())
    }

    /// A command of Docker's, to this engine.
    pub(crate) fn docker(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(arguments).env("DOCKER_HOST", self.host());
        command
    }

    /// A command in the engine's own network.
    pub(crate) fn inside(&self, program: &str) -> Command {
        let pid = fs::read_to_string(self.place.path().join("run/rootlesskit/child_pid")).unwrap();
        let mut command = Command::new("nsenter");
        command.args([&format!("--net=/proc/{}/ns/net", pid.trim()), program]);
        command
    }

    /// Brings an image here that the machine's engine has.
    pub(crate) fn load(&self, name: &str) {
        let archive = self.place.path().join("image.tar");
        let save = Command::new("docker").args(["save", "--output"]).arg(&archive).arg(name).status().unwrap();
        assert!(save.success(), "docker save {name}");
        let load = self.docker(&["load", "--quiet", "--input"]).arg(&archive).output().unwrap();
        assert!(load.status.success(), "docker load {name}: {}", String::from_utf8_lossy(&load.stderr));
    }

    /// Gives a file or directory to its user.
    pub(crate) fn give(&self, path: &Path) {
        chown(path, Some(UID), Some(UID)).unwrap();
    }
}

impl Drop for Rootless {
    fn drop(&mut self) {
        // rootlesskit takes its engine along.
        let _ = Command::new("kill").arg(self.engine.id().to_string()).status();
        let _ = self.engine.wait();
    }
}
