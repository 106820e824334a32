//! Which files can a process reach?
//!
//! Landlock (<https://docs.kernel.org/userspace-api/landlock.html>) allows by path what is named and denies the rest. What
//! it denies depends on its ABI: moving between directories from 2 on, truncation from 3, device ioctls from 5, signals and
//! abstract unix sockets from 6. The seccomp filter closes what older ones leave open.

use std::{os::fd::AsFd, path::Path};

use landlock::{
    ABI, Access, AccessFs, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use nix::sys::stat::{SFlag, fstat};

use super::Rules;

/// Restricts this thread by what ABI `most` and the kernel both know; returns that ABI, 0 for none.
pub(super) fn restrict(most: u32, rules: &Rules) -> Result<u32, String> {
    let abi = ABI::from(i32::try_from(most).unwrap_or(0));
    let made = build(abi, rules).and_then(RulesetCreated::restrict_self).map_err(|error| error.to_string())?;
    match (made.ruleset, made.landlock) {
        (RulesetStatus::NotEnforced, _) | (_, LandlockStatus::NotEnabled | LandlockStatus::NotImplemented) => Ok(0),
        (_, LandlockStatus::Available { effective_abi, .. }) => Ok((effective_abi as u32).min(most)),
    }
}

fn build(abi: ABI, rules: &Rules) -> Result<RulesetCreated, landlock::RulesetError> {
    let reads = AccessFs::ReadFile | AccessFs::ReadDir;
    let devices = AccessFs::MakeChar | AccessFs::MakeBlock;
    let writes = AccessFs::from_all(abi) & !(devices | AccessFs::Execute);
    let mut ruleset = Ruleset::default().handle_access(AccessFs::from_all(abi))?;
    let mut scopes = Scope::from_all(abi);
    if rules.abstract_sockets {
        scopes.remove(Scope::AbstractUnixSocket);
    }
    if !scopes.is_empty() {
        ruleset = ruleset.scope(scopes)?;
    }
    let mut ruleset = ruleset.create()?;
    let keeping = AccessFs::RemoveFile | AccessFs::RemoveDir | AccessFs::WriteFile | AccessFs::Truncate;
    // The first ABI lets no file be linked from one directory into another, so that there a file is added by writing it.
    let adds = if abi < ABI::V2 { writes } else { writes & !keeping };
    let runs = reads | AccessFs::Execute;
    let allowed = [(&rules.reads, reads), (&rules.runs, runs), (&rules.writes, writes), (&rules.adds, adds)];
    for (paths, access) in allowed {
        for path in paths {
            ruleset = allow(ruleset, abi, path, access)?;
        }
    }
    #[cfg(feature = "faults")]
    if let Some(trace) = trace() {
        ruleset = allow(ruleset, abi, &trace, writes)?;
    }
    Ok(ruleset)
}

/// Allows this at a path; one that is not there is left out.
fn allow(
    ruleset: RulesetCreated,
    abi: ABI,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, landlock::RulesetError> {
    let Ok(place) = PathFd::new(path) else { return Ok(ruleset) };
    let is_directory = fstat(place.as_fd())
        .is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR);
    let access = if is_directory { access } else { access & AccessFs::from_file(abi) };
    ruleset.add_rule(PathBeneath::new(place, access))
}

/// Where a test has this process write the points that it passes; made here, since a rule needs something that is there.
#[cfg(feature = "faults")]
fn trace() -> Option<std::path::PathBuf> {
    let faults = std::env::var("HEARTH_FAULT").ok()?;
    let path = faults.split(',').find_map(|fault| fault.strip_prefix("trace="))?;
    let _ = std::fs::File::options().append(true).create(true).open(path);
    Some(path.into())
}
