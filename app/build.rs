//! Adds `nss.c` to the program that looks names up, if it is linked statically with glibc.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=nss.c");
    let has =
        |variable: &str, word: &str| env::var(variable).is_ok_and(|words| words.split(',').any(|one| one == word));
    if has("CARGO_CFG_TARGET_FEATURE", "crt-static") && has("CARGO_CFG_TARGET_ENV", "gnu") {
        for object in cc::Build::new().file("nss.c").compile_intermediates() {
            println!("cargo:rustc-link-arg-bin=app={}", object.display());
        }
    }
}
