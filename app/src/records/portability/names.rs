//! Which names do folders and files in an archive have?
//!
//! Such that every system can unpack them beside each other: no letters that Windows forbids, no names that it keeps for itself, none
//! that differ by case alone, and none too long.

use std::collections::HashSet;

use crate::{http::is_unseen, records::fold::fold};

/// Bytes of a folder's or a file's name. With those around it a path stays below the 260 characters that old programs take.
const LONGEST: usize = 100;
/// Bytes of an ending that is kept when a name is cut.
const LONGEST_ENDING: usize = 16;

/// What Windows keeps for devices, whatever ending follows.
const KEPT: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2",
    "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// Returns the folder of a record, which its id tells from all others.
pub(super) fn folder(id: i64, title: &str) -> String {
    let title = safe(title);
    if title.is_empty() { format!("records/{id}") } else { format!("records/{id} {title}") }
}

/// The names that are taken in a folder.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// Returns the names of a folder in which these are taken.
    pub(super) fn with(taken: &[&str]) -> Self {
        Self(taken.iter().map(|name| fold(name)).collect())
    }

    /// Returns a safe name like this one, which is taken from now on.
    pub(super) fn take(&mut self, name: &str) -> String {
        let mut safe = safe(name);
        if safe.is_empty() {
            "file".clone_into(&mut safe);
        }
        if self.0.insert(fold(&safe)) {
            return safe;
        }
        let (stem, ending) = split(&safe);
        for number in 2.. {
            let name = format!("{stem} ({number}){ending}");
            if self.0.insert(fold(&name)) {
                return name;
            }
        }
        safe
    }
}

/// Returns a name as every file system takes it; empty if nothing is left of it.
fn safe(name: &str) -> String {
    let letter = |letter: char| match letter {
        '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '-',
        letter => letter,
    };
    let mut safe = String::new();
    for word in name.split_whitespace() {
        let word: String = word.chars().filter(|letter| !is_unseen(*letter)).map(letter).collect();
        if !(safe.is_empty() || word.is_empty()) {
            safe.push(' ');
        }
        safe.push_str(&word);
    }
    let is_outer = |letter: char| letter == '.' || letter.is_whitespace();
    let safe = shortened(safe.trim_matches(is_outer)).trim_end_matches(is_outer).to_owned();
    let stem = safe.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    if KEPT.contains(&&*stem) { format!("_{safe}") } else { safe }
}

fn shortened(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let (stem, ending) = split(name);
    let mut end = LONGEST - ending.len();
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{ending}", stem[..end].trim_end())
}

/// Parts a name before its ending.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(at) if at > 0 && name.len() - at <= LONGEST_ENDING => name.split_at(at),
        _ => (name, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_the_id_and_what_can_be_of_the_title() {
        for (title, name) in [
            ("Washing machine", "records/7 Washing machine"),
            ("../../etc/passwd", "records/7 -..-etc-passwd"),
            ("a/b\\c:d*e?f\"g<h>i|j", "records/7 a-b-c-d-e-f-g-h-i-j"),
            (" dots at the end... ", "records/7 dots at the end"),
            ("\u{202e}gpj.exe", "records/7 gpj.exe"),
            ("\u{200b}", "records/7"),
            ("nul", "records/7 _nul"),
            ("領収書", "records/7 領収書"),
        ] {
            assert_eq!(folder(7, title), name);
        }
        assert!(folder(1, &"é".repeat(200)).len() <= LONGEST + "records/1 ".len());
    }

    #[test]
    fn files_of_a_folder_have_names_of_their_own() {
        let mut names = Names::with(&["record.md"]);
        let taken: Vec<_> = ["a.pdf", "A.PDF", "a.pdf", "record.md", "", "é.txt", "e.txt"]
            .iter()
            .map(|name| names.take(name))
            .collect();
        assert_eq!(taken, ["a.pdf", "A (2).PDF", "a (3).pdf", "record (2).md", "file", "é.txt", "e (2).txt"]);
        let long = names.take(&format!("{}.jpeg", "x".repeat(300)));
        assert!(long.len() <= LONGEST && long.ends_with("x.jpeg"), "{long}");
        assert_eq!(names.take("COM1.txt"), "_COM1.txt");
    }

    proptest::proptest! {
        #[test]
        fn no_name_leads_out_of_its_folder(name in "\\PC{0,300}|.{0,300}") {
            let taken = Names::default().take(&name);
            proptest::prop_assert!(!taken.is_empty() && taken.len() <= LONGEST + 1);
            proptest::prop_assert!(!taken.contains(['/', '\\', '\0', ':']) && !taken.starts_with('.') && !taken.ends_with('.'));
        }
    }
}
