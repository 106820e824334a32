//! Was it killed for memory?
//!
//! The kernel counts such kills in the control group: `oom_kill` in `memory.events` (cgroup v2) or in
//! `memory.oom_control` (v1, since Linux 4.13). A count that rose around a KILL says who sent it.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where the control groups are mounted: both versions, in containers and outside.
const MOUNTED: &str = "/sys/fs/cgroup";

/// Returns how many processes of this control group were killed for memory, if that can be known.
pub fn kills() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    count(&groups, Path::new(MOUNTED))
}

/// Reads the counter of these groups (lines of cgroups(7)'s /proc/self/cgroup) below `mounted`.
fn count(groups: &str, mounted: &Path) -> Option<u64> {
    places(groups, mounted).iter().find_map(|place| parse(&fs::read_to_string(place).ok()?))
}

/// Returns where the counter may be. A container mostly sees its own group as the root of what is mounted, also where its
/// path is told as the machine sees it (v1 without a namespace of its own); a service of systemd sees all groups.
fn places(groups: &str, mounted: &Path) -> Vec<PathBuf> {
    let mut places = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (_, Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let (root, file) = if controllers.is_empty() {
            (mounted.to_owned(), "memory.events")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            (mounted.join("memory"), "memory.oom_control")
        } else {
            continue;
        };
        places.push(root.join(path.trim_start_matches('/')).join(file));
        places.push(root.join(file));
    }
    places
}

fn parse(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each version has in its file, with this many kills.
    fn events(kills: u64) -> String {
        format!("low 0\nhigh 0\nmax 4\noom 9\noom_kill {kills}\noom_group_kill 0\n")
    }

    fn oom_control(kills: u64) -> String {
        format!("oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n")
    }

    /// Returns what is counted where these files lie below the mount point.
    fn counted(groups: &str, files: &[(&str, String)]) -> Option<u64> {
        let mounted = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = mounted.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        count(groups, mounted.path())
    }

    #[test]
    fn the_own_group_is_found_in_both_versions_and_in_a_mixture() {
        // v2, in a container with a namespace of its own, and in one without.
        assert_eq!(counted("0::/\n", &[("memory.events", events(2))]), Some(2));
        assert_eq!(counted("0::/docker/abc\n", &[("memory.events", events(3))]), Some(3));
        // v2, a service of systemd.
        let service = [("system.slice/hearth.service/memory.events", events(4)), ("memory.events", events(9))];
        assert_eq!(counted("0::/system.slice/hearth.service\n", &service), Some(4));
        // v1, in a container: the path is the machine's, and what is mounted is its own.
        let groups = "12:cpu,cpuacct:/docker/abc\n5:memory:/docker/abc\n1:name=systemd:/docker/abc\n";
        assert_eq!(counted(groups, &[("memory/memory.oom_control", oom_control(5))]), Some(5));
        // v1, outside.
        let both =
            [("memory/docker/abc/memory.oom_control", oom_control(6)), ("memory/memory.oom_control", oom_control(9))];
        assert_eq!(counted(groups, &both), Some(6));
        // Both at once: memory is accounted in v1.
        let mixed = "5:memory:/docker/abc\n0::/docker/abc\n";
        assert_eq!(counted(mixed, &[("memory/memory.oom_control", oom_control(7))]), Some(7));
        assert_eq!(counted("0::/x\n5:memory:/x\n", &[("memory/memory.oom_control", oom_control(8))]), Some(8));
    }

    #[test]
    fn what_cannot_be_known_is_not() {
        assert_eq!(counted("0::/\n", &[]), None);
        assert_eq!(counted("", &[("memory.events", events(1))]), None);
        // Linux before 4.13.
        let old = "oom_kill_disable 0\nunder_oom 0\n".to_owned();
        assert_eq!(counted("5:memory:/\n", &[("memory/memory.oom_control", old)]), None);
        assert_eq!(counted("no groups\n5:memory\n", &[]), None);
    }
}
