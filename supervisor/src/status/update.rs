//! What does the status say of newer versions?

use serde::{Deserialize, Serialize};

/// What is known of newer versions, as `status` has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// When the registry was last asked, RFC 3339.
    pub checked: Option<String>,
    /// The newest version, if it is newer than the one that runs: `1.2.0`.
    pub newest: Option<String>,
    /// The address of its notes, if the image's name tells it.
    pub notes: Option<String>,
    /// Why the last check could not tell, in a sentence.
    pub trouble: Option<String>,
}

impl Update {
    /// Says that there is a newer version, if there is one.
    pub fn news(&self) -> Option<String> {
        let newest = self.newest.as_ref()?;
        let notes = self.notes.as_ref().map(|notes| format!(": {notes}")).unwrap_or_default();
        Some(format!("New version v{newest} available{notes}"))
    }
}
