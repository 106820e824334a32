//! How is a generation deleted?
//!
//! It is renamed to `.removing-<n>` first, so that from then on it is no generation, whatever part of it is deleted when the power
//! goes. Then its content is deleted.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    DataDir, GenerationId,
    durable::{self, Explain},
    permissions,
};
use crate::failure::Failure;

/// What the name of a generation that is being removed begins with.
const REMOVING: &str = ".removing-";

/// Takes a generation's name away, for good: from here it is no generation any more.
/// Returns what is left to delete with [`delete`].
///
/// # Errors
/// What the file system said. The generation is there as before, or its name is gone.
pub fn unname(data: &DataDir, id: GenerationId) -> Result<PathBuf, Failure> {
    let removing = data.generations().join(format!("{REMOVING}{id}"));
    // One that could not be deleted earlier may have the name: then it is tried once more, and stands in the way
    // with a sentence if it must.
    let _ = delete(&removing);
    durable::rename(&data.generation(id), &removing)?;
    durable::sync_directory(&data.generations())?;
    Ok(removing)
}

/// Deletes what [`unname`] left. Links in it are removed, not followed.
///
/// # Errors
/// What the file system said; the next start goes on with it.
pub fn delete(removing: &Path) -> Result<(), Failure> {
    permissions::remove_all(removing)
        .explain(|| format!("cannot delete {}; it takes up space and harms nothing", removing.display()))
}

/// Removes a generation, name first.
pub fn discard(data: &DataDir, id: GenerationId) -> Result<(), Failure> {
    delete(&unname(data, id)?)
}

/// Returns what killed removals left in `generations/`.
pub fn leftovers(data: &DataDir) -> Result<Vec<PathBuf>, Failure> {
    let generations = data.generations();
    let entries = fs::read_dir(&generations).explain(|| format!("cannot read {}", generations.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.explain(|| format!("cannot read {}", generations.display()))?;
        let removing = entry.file_name().to_str().and_then(removed).is_some();
        if removing && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Returns the generation that this name in `generations/` is of: `0007`, and neither `7` nor `00007`, which no
/// path of a generation would lead to.
pub fn named(name: &str) -> Option<GenerationId> {
    name.parse().ok().filter(|id: &GenerationId| id.to_string() == name)
}

/// Returns the generation that a name such as `.removing-0007` is what is left of.
pub fn removed(name: &str) -> Option<GenerationId> {
    named(name.strip_prefix(REMOVING)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_name_is_a_generation() {
        assert_eq!(named("0007"), Some(GenerationId(7)));
        assert_eq!(named("12345"), Some(GenerationId(12345)));
        for wrong in ["7", "00007", "0007 ", "0007.bak", ".removing-0007", "", "lost+found"] {
            assert_eq!(named(wrong), None, "{wrong}");
        }
        assert_eq!(removed(".removing-0007"), Some(GenerationId(7)));
        assert_eq!(removed(".removing-x"), None);
        assert_eq!(removed("0007"), None);
    }
}
