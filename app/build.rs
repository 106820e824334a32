//! Adds `nss.c` to the program that looks names up, if it is linked statically with glibc; and says whether tests can mount
//! (see supervisor/build.rs).

use std::{
    env,
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Command, Stdio},
};

fn main() {
    println!("cargo:rerun-if-changed=nss.c");
    let has =
        |variable: &str, word: &str| env::var(variable).is_ok_and(|words| words.split(',').any(|one| one == word));
    if has("CARGO_CFG_TARGET_FEATURE", "crt-static") && has("CARGO_CFG_TARGET_ENV", "gnu") {
        for object in cc::Build::new().file("nss.c").compile_intermediates() {
            println!("cargo:rustc-link-arg-bin=app={}", object.display());
        }
    }
    what_tests_need();
}

fn what_tests_need() {
    println!("cargo:rerun-if-env-changed=USER");
    println!("cargo:rustc-check-cfg=cfg(has, values(\"root\", \"fuse\"))");
    let (root, fuse) = (is_root(), Path::new("/dev/fuse").exists());
    if root {
        println!("cargo:rustc-cfg=has=\"root\"");
    }
    if root && fuse {
        println!("cargo:rustc-cfg=has=\"fuse\"");
    }
    let missing = if !root {
        "root"
    } else if !fuse {
        "/dev/fuse"
    } else {
        ""
    };
    println!("cargo:rustc-env=TESTS_MISS={missing}");
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
