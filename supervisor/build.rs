//! Adds `nss.c` to the program that looks names up, if it is linked statically with glibc; and says what of that which some
//! tests need is here: `#[cfg_attr(not(has = "age"), ignore = "needs age")]`.

mod can_mount;

use std::{
    env,
    path::{Path, PathBuf},
};

/// Programs that tests need, by the name of what they are for.
const PROGRAMS: &[(&str, &[&str])] = &[
    ("zstd", &["tar", "zstd"]),
    ("sqlite3", &["bash", "tar", "zstd", "sqlite3"]),
    ("b3sum", &["b3sum"]),
    ("age", &["age", "age-keygen"]),
    ("docker-registry", &["docker-registry"]),
    ("openssl", &["openssl"]),
];
/// A program of systemd's that reads a file of settings and needs no running systemd.
const SYSTEMD: &str = "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator";

fn main() {
    println!("cargo:rerun-if-changed=nss.c");
    let has =
        |variable: &str, word: &str| env::var(variable).is_ok_and(|words| words.split(',').any(|one| one == word));
    if has("CARGO_CFG_TARGET_FEATURE", "crt-static") && has("CARGO_CFG_TARGET_ENV", "gnu") {
        for object in cc::Build::new().file("nss.c").compile_intermediates() {
            println!("cargo:rustc-link-arg-bin=supervisor-job={}", object.display());
        }
    }
    what_tests_need();
}

fn what_tests_need() {
    for variable in ["PATH", "HOME", "USER", "HEARTH_TEST_S3S_FS"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    let places: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    let find = |name: &str| places.iter().map(|place| place.join(name)).find(|path| path.is_file());
    let s3s_fs = env::var_os("HEARTH_TEST_S3S_FS").map(PathBuf::from).or_else(|| find("s3s-fs"));
    let s3s_fs = s3s_fs.or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".cargo/bin/s3s-fs")));
    let s3s_fs = s3s_fs.filter(|path| path.is_file());
    println!("cargo:rustc-env=TEST_S3S_FS={}", s3s_fs.as_deref().unwrap_or(Path::new("")).display());

    let root = can_mount::is_root();
    let disks = find("mkfs.ext4").is_some() && ["mkfs.btrfs", "mkfs.xfs"].into_iter().any(|made| find(made).is_some());
    let mut found: Vec<(&str, bool)> = PROGRAMS
        .iter()
        .map(|(name, programs)| (*name, programs.iter().all(|program| find(program).is_some())))
        .collect();
    found.extend([
        ("root", root),
        ("disks", root && disks && Path::new("/dev/loop-control").exists()),
        ("fuse", root && Path::new("/dev/fuse").exists()),
        ("s3s-fs", s3s_fs.is_some()),
        ("systemd", Path::new(SYSTEMD).exists()),
    ]);
    let names: Vec<String> = found.iter().map(|(name, _)| format!("{name:?}")).collect();
    println!("cargo:rustc-check-cfg=cfg(has, values({}))", names.join(", "));
    let mut missing = Vec::new();
    for (name, is_here) in found {
        match is_here {
            true => println!("cargo:rustc-cfg=has={name:?}"),
            false => missing.push(name),
        }
    }
    println!("cargo:rustc-env=TESTS_MISS={}", missing.join(" "));
    // What is missing may be installed, and what is here removed.
    let watched =
        if missing.is_empty() { vec![] } else { places.iter().filter(|place| place.is_dir()).cloned().collect() };
    let programs =
        PROGRAMS.iter().flat_map(|(_, programs)| *programs).filter_map(|program| find(program)).chain(s3s_fs);
    for path in watched.into_iter().chain(programs) {
        println!("cargo:rerun-if-changed={}", path.display());
    }
}
