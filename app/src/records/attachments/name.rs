//! What is an attachment called, whatever name it came with?
//!
//! A name stands in lists, in an archive's folders and in the header of a download. So it is one line without invisible
//! characters, names no directory, and is no longer than file systems take.

use crate::http::first_unseen;

/// The longest name, in bytes: that of most file systems.
pub(crate) const LONGEST: usize = 255;

/// Longer endings are no file types.
const LONGEST_ENDING: usize = 16;

/// Letters of a name that are looked at: many times as many as are kept.
const LOOKED_AT: usize = 4096;

/// What a file is called that came without a name.
const NAMELESS: &str = "file";

/// Returns a name that can be used: separators become `-`, what nobody sees goes, and what is too long is cut before its ending.
pub(crate) fn cleaned(name: &str) -> String {
    let letters = name.chars().take(LOOKED_AT);
    let mut text: String = letters.map(|letter| if matches!(letter, '/' | '\\') { '-' } else { letter }).collect();
    while let Some(unseen) = first_unseen(&text) {
        text = text.replace(unseen, "");
    }
    let text = text.trim().trim_start_matches(['-', '.']).trim_start();
    if text.is_empty() { NAMELESS.to_owned() } else { shortened(text) }
}

fn shortened(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let ending = name.rfind('.').map(|at| &name[at..]).filter(|ending| ending.len() <= LONGEST_ENDING);
    let ending = ending.unwrap_or_default();
    let mut end = LONGEST - ending.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{ending}", name[..end].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_and_names_no_directory() {
        for (name, cleaned_name) in [
            ("receipt.pdf", "receipt.pdf"),
            ("  Rechnung Müller & Söhne.pdf ", "Rechnung Müller & Söhne.pdf"),
            ("../../etc/passwd", "etc-passwd"),
            ("C:\\fakepath\\scan.jpg", "C:-fakepath-scan.jpg"),
            ("a\0b\r\nc\t.txt", "abc.txt"),
            ("invoice\u{202e}fdp.exe", "invoicefdp.exe"),
            ("\u{2066}x\u{2069}.pdf", "x.pdf"),
            (".htaccess", "htaccess"),
            ("..", "file"),
            ("\u{200b}", "file"),
            ("", "file"),
            ("領収書.pdf", "領収書.pdf"),
        ] {
            assert_eq!(cleaned(name), cleaned_name, "{name:?}");
        }
    }

    #[test]
    fn a_long_name_is_cut_before_its_ending() {
        let name = cleaned(&format!("{}.pdf", "é".repeat(300)));
        assert!(name.len() <= LONGEST && name.len() > LONGEST - 4 && name.ends_with("é.pdf"), "{name}");
        let name = cleaned(&format!("a.{}", "b".repeat(400)));
        assert_eq!(name.len(), LONGEST);
        assert_eq!(cleaned(&name), name);
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_can_be_used(name in "\\PC{0,400}|.{0,400}") {
            let name = cleaned(&name);
            proptest::prop_assert!(!name.is_empty() && name.len() <= LONGEST);
            proptest::prop_assert!(!name.contains(['/', '\\', '\0', '\n']) && name != "." && name != "..");
            proptest::prop_assert!(first_unseen(&name).is_none());
        }
    }
}
