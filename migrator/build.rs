//! Says whether tests can mount (see supervisor/build.rs).

use std::{
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Command, Stdio},
};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=USER");
    println!("cargo:rustc-check-cfg=cfg(has, values(\"root\"))");
    let root = is_root();
    if root {
        println!("cargo:rustc-cfg=has=\"root\"");
    }
    println!("cargo:rustc-env=TESTS_MISS={}", if root { "" } else { "root" });
}

/// Whether this is a root that may make namespaces and mount.
fn is_root() -> bool {
    let mounts = || {
        let script = "mount -t tmpfs none /mnt || mount -t tmpfs none /tmp";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    Path::new("/proc/self").metadata().is_ok_and(|process| process.uid() == 0) && mounts()
}
