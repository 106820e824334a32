//! Adds `nss.c` to the program that looks names up, if it is linked statically with glibc; and says whether tests can mount
//! (see supervisor/build.rs).

#[path = "../supervisor/can_mount.rs"]
mod can_mount;

use std::{env, path::Path};

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
    let (root, fuse) = (can_mount::is_root(), Path::new("/dev/fuse").exists());
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
