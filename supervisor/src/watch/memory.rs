//! Was it killed for memory?
//!
//! The kernel counts such kills in the control group: `oom_kill` in `memory.events` (cgroup v2) or in
//! `memory.oom_control` (v1). A count that rose around a KILL says who sent it.

use std::fs;

/// The places of the counter inside a container, where the own group is the root of what it sees.
const PLACES: [&str; 2] = ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"];

/// Returns how many processes of this control group were killed for memory, if that can be known.
#[must_use]
pub fn kills() -> Option<u64> {
    PLACES.iter().find_map(|place| parse(&fs::read_to_string(place).ok()?))
}

fn parse(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    #[test]
    fn both_forms_of_the_counter_are_read() {
        assert_eq!(super::parse("low 0\nhigh 0\nmax 4\noom 2\noom_kill 2\noom_group_kill 0\n"), Some(2));
        assert_eq!(super::parse("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"), Some(3));
        assert_eq!(super::parse("low 0\n"), None);
    }
}
