//! What does a backup say of itself?
//!
//! `manifest.json`, the first member of each archive. It names every other member with its length and hash, so that what
//! follows can be checked while it is read, and nothing else is believed.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

use super::attachment;
use crate::{
    data::{
        DATABASE,
        backup::{About, is_instance},
        state::FORMAT,
    },
    failure::{Cause, Failure},
};

/// The name of the member.
pub const NAME: &str = "manifest.json";
/// The longest manifest that is read, in bytes: some 200,000 attachments. A longer one is not written either.
pub const LONGEST: u64 = 32 << 20;

/// The document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// What it is of.
    #[serde(flatten)]
    pub about: About,
    /// The members that follow, in their order: app.db, then those of `files/`.
    pub members: Vec<Member>,
}

/// One member of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its path in the archive: `app.db`, or `files/…`.
    pub path: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// BLAKE3 of it, hexadecimal.
    pub blake3: String,
}

impl Deref for Manifest {
    type Target = About;

    fn deref(&self) -> &About {
        &self.about
    }
}

impl Manifest {
    /// Reads a manifest and believes it only if it makes sense: every member is one that a backup may have, once, in
    /// order, under the name of its hash. `name` is what the archive is called.
    ///
    /// # Errors
    /// [`Cause::UnknownFormat`] when a newer version wrote it; [`Cause::Damaged`] for what no version writes.
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
            version: Option<String>,
        }
        let wrong = |why: String| {
            Failure::new(Cause::Damaged, format!("the backup {name} is damaged: its {NAME} {why}"))
                .hint("copy it anew from where it came, or take another one: supervisor backup list")
        };
        let unreadable = |error: serde_json::Error| wrong(format!("cannot be understood ({error})"));
        // The format first: what else is in a document of another format is not for this version to judge.
        let Format { format, version } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if format < FORMAT {
            return Err(wrong(format!("has the format {format}, which there never was")));
        }
        if format > FORMAT {
            let by = match version.filter(|version| is_plain(version) && version.len() <= 40) {
                Some(version) => format!("version {version} or newer"),
                None => "the version that made it, or a newer one".into(),
            };
            return Err(Failure::new(
                Cause::UnknownFormat,
                format!(
                    "the backup {name} has the format {format}, and this version knows only {FORMAT}: a newer version made it"
                ),
            )
            .hint(format!("restore it with {by}; nothing was touched")));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(unreadable)?;
        manifest.check().map_err(wrong)?;
        Ok(manifest)
    }

    /// The length of everything that it names, in bytes.
    pub fn bytes(&self) -> u64 {
        self.members.iter().fold(0, |sum, member| sum.saturating_add(member.bytes))
    }

    fn check(&self) -> Result<(), String> {
        for (what, text) in [("version", &self.version), ("schema", &self.schema)] {
            if !is_plain(text) {
                return Err(format!("has a {what} that cannot be printed"));
            }
        }
        if !self.label.iter().all(|label| is_plain(label)) {
            return Err("has a label that cannot be printed".into());
        }
        if !self.left_out.iter().all(|sentence| is_plain(sentence)) {
            return Err("says of what was left out what cannot be printed".into());
        }
        if !is_instance(&self.instance) {
            return Err("names no instance".into());
        }
        if humantime::parse_rfc3339(&self.created_at).is_err() {
            return Err("does not say when it was made".into());
        }
        if self.members.first().is_none_or(|first| first.path != DATABASE) {
            return Err(format!("does not name {DATABASE} first"));
        }
        let mut before: Option<&str> = None;
        // A file cannot be longer than an offset can say.
        let mut left = i64::MAX as u64;
        for member in &self.members {
            if !member.is_sound(before.is_none()) {
                return Err(format!("names a member that no backup has: {}", printable(member.path.as_bytes())));
            }
            // As app.db sorts before files/, this is the order of all of them.
            if before.is_some_and(|before| before >= member.path.as_str()) {
                return Err(format!("names {} twice, or not in its order", member.path));
            }
            left = left.checked_sub(member.bytes).ok_or_else(|| "adds up to more than there can be".to_owned())?;
            before = Some(&member.path);
        }
        Ok(())
    }
}

impl Member {
    /// Whether a backup may have it, first or later.
    fn is_sound(&self, first: bool) -> bool {
        if first {
            return self.path == DATABASE && attachment::is_hash(&self.blake3);
        }
        attachment::hash_of(&self.path) == Some(&self.blake3)
    }
}

/// Whether a terminal can show it as it is.
fn is_plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// Returns what someone else called something so that a terminal and a log can show it: what cannot be printed is
/// escaped, and it is not longer than a line.
pub(super) fn printable(name: &[u8]) -> String {
    const LONGEST: usize = 120;
    let shown = &name[..name.len().min(LONGEST)];
    let text = match std::str::from_utf8(shown) {
        Ok(text) => text.escape_debug().to_string(),
        Err(_) => shown.escape_ascii().to_string(),
    };
    if shown.len() < name.len() { text + "…" } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document() -> Value {
        let (one, two) = (blake3::hash(b"1").to_hex(), blake3::hash(b"2").to_hex());
        let mut files = [one, two]
            .map(|hash| json!({"path": format!("files/{}/{hash}", &hash[..2]), "bytes": 1, "blake3": hash.as_str()}));
        files.sort_by_key(|file| file["path"].to_string());
        json!({
            "format": 1, "id": "2026-11-24T03-30-00Z-manual", "sequence": 7, "reason": "manual",
            "created_at": "2026-11-24T03:30:00Z", "instance": "h-0123456789abcdef", "version": "0.2.0",
            "schema": "m0002_attachments", "generation": 7, "rows": {"records": 3},
            "members": [{"path": "app.db", "bytes": 4096, "blake3": blake3::hash(b"").to_hex().as_str()}, files[0], files[1]],
        })
    }

    fn parse(change: impl FnOnce(&mut Value)) -> Result<Manifest, Failure> {
        let mut document = document();
        change(&mut document);
        Manifest::parse(document.to_string().as_bytes(), "x.tar.zst")
    }

    #[test]
    fn a_manifest_that_makes_sense_is_believed() {
        let manifest = parse(|_| ()).unwrap();
        assert_eq!(manifest.bytes(), 4098);
        assert_eq!(Manifest::parse(&serde_json::to_vec(&manifest).unwrap(), "x").unwrap(), manifest);
        assert_eq!(parse(|document| document["later"] = json!("addition")).unwrap(), manifest);
    }

    #[test]
    fn a_manifest_of_a_newer_format_is_refused_with_the_version_to_take() {
        let failure =
            parse(|document| *document = json!({"format": 2, "version": "1.4.0", "of": "another kind"})).unwrap_err();
        assert_eq!(failure.cause, Cause::UnknownFormat);
        assert_eq!(
            failure.message,
            "the backup x.tar.zst has the format 2, and this version knows only 1: a newer version made it"
        );
        assert_eq!(failure.hint.unwrap(), "restore it with version 1.4.0 or newer; nothing was touched");
    }

    #[test]
    fn a_manifest_that_lies_is_not_believed() {
        let swap = |document: &mut Value| {
            let members = document["members"].as_array_mut().unwrap();
            members.swap(1, 2);
        };
        let twice = |document: &mut Value| {
            let members = document["members"].as_array_mut().unwrap();
            members.push(members[2].clone());
        };
        type Change<'a> = (&'a str, &'a dyn Fn(&mut Value));
        let changes: [Change<'_>; 19] = [
            ("not in its order", &swap),
            ("twice", &twice),
            ("does not name app.db first", &|document| document["members"] = json!([])),
            ("does not name app.db first", &|document| {
                document["members"].as_array_mut().unwrap().remove(0);
            }),
            ("no backup has: ../../etc/passwd", &|document| document["members"][1]["path"] = json!("../../etc/passwd")),
            ("no backup has: /etc/passwd", &|document| document["members"][1]["path"] = json!("/etc/passwd")),
            ("no backup has: app.db", &|document| document["members"][1] = document["members"][0].clone()),
            ("no backup has: files", &|document| document["members"][1]["blake3"] = json!("00")),
            ("no backup has: app.db", &|document| document["members"][0]["blake3"] = json!("../../x")),
            (r"no backup has: \u{1b}[2J", &|document| document["members"][2]["path"] = json!("\u{1b}[2J")),
            ("more than there can be", &|document| document["members"][1]["bytes"] = json!(u64::MAX)),
            ("cannot be understood", &|document| document["members"][1]["bytes"] = json!(-1)),
            ("cannot be understood", &|document| document["id"] = json!("../../x")),
            ("names no instance", &|document| document["instance"] = json!("../other")),
            ("names no instance", &|document| document["instance"] = json!("")),
            ("a label that cannot be printed", &|document| document["label"] = json!("\u{1b}]0;x\u{7}")),
            ("left out what cannot be printed", &|document| document["left_out"] = json!(["a link", "\u{1b}[2J"])),
            ("a version that cannot be printed", &|document| document["version"] = json!("1\n2")),
            ("when it was made", &|document| document["created_at"] = json!("yesterday")),
        ];
        for (words, change) in changes {
            let failure = parse(change).unwrap_err();
            assert_eq!(failure.cause, Cause::Damaged, "{failure}");
            assert!(failure.message.contains(words), "{words}: {failure}");
        }
        for wrong in ["", "{", "[]", "null", "{}", "\0", "{\"format\":1}"] {
            assert_eq!(Manifest::parse(wrong.as_bytes(), "x").unwrap_err().cause, Cause::Damaged, "{wrong}");
        }
        let deep = "[".repeat(1 << 20);
        assert_eq!(Manifest::parse(deep.as_bytes(), "x").unwrap_err().cause, Cause::Damaged);
    }
}
