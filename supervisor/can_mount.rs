//! May tests mount? For the build scripts of all three crates.

/// Whether this is a root that may make namespaces and mount.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    let mounts = || {
        let script = "mount -t tmpfs none /mnt || mount -t tmpfs none /tmp";
        let mut command = std::process::Command::new("unshare");
        let null = std::process::Stdio::null;
        command.args(["--mount", "sh", "-c", script]).stdin(null()).stdout(null()).stderr(null());
        command.status().is_ok_and(|status| status.success())
    };
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) && mounts()
}
