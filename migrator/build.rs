//! Says whether tests can mount (see supervisor/build.rs).

#[path = "../supervisor/can_mount.rs"]
mod can_mount;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=USER");
    println!("cargo:rustc-check-cfg=cfg(has, values(\"root\"))");
    let root = can_mount::is_root();
    if root {
        println!("cargo:rustc-cfg=has=\"root\"");
    }
    println!("cargo:rustc-env=TESTS_MISS={}", if root { "" } else { "root" });
}
