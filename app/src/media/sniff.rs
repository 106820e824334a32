//! Of which kind is a file?
//!
//! Decided by its first bytes, never by what a client says. Only what no browser runs as a program has a type of its own: HTML,
//! SVG and XML are `application/octet-stream`, like everything that is not known, and are downloaded.

/// The types that are shown in the page; all others are downloaded.
const INLINE: [&str; 7] =
    ["image/jpeg", "image/png", "image/webp", "image/gif", "image/avif", "image/heic", "application/pdf"];
/// What a file is that may be anything.
const UNKNOWN: &str = "application/octet-stream";
/// How a PDF begins, somewhere in its first kilobyte.
const PDF: &[u8] = b"%PDF-";

/// Returns the type of a file, by its first bytes (a kilobyte is enough) and, for plain text only, its name.
pub fn media_type(first: &[u8], name: &str) -> &'static str {
    let first = &first[..first.len().min(1024)];
    match first {
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => "image/png",
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        [_, _, _, _, b'f', b't', b'y', b'p', brands @ ..] => by_brand(brands),
        // Viewers find it after other bytes as well; so does a browser, but only where it is told that it is one.
        _ if first.starts_with(PDF) => "application/pdf",
        _ => by_name(first, name),
    }
}

/// Whether a file of this type is shown in the page, rather than downloaded.
pub fn is_inline(media_type: &str) -> bool {
    INLINE.contains(&media_type)
}

/// Returns the type of an ISO media file, by its main brand.
fn by_brand(brands: &[u8]) -> &'static str {
    match brands.get(..4) {
        Some(b"avif" | b"avis") => "image/avif",
        Some(b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1") => "image/heic",
        _ => UNKNOWN,
    }
}

/// Returns whether a file is plain text: its name says so, and its first bytes could be nothing else.
fn by_name(first: &[u8], name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    let media_type = match ending.as_str() {
        "txt" | "log" | "md" => "text/plain",
        "csv" => "text/csv",
        _ => return UNKNOWN,
    };
    // A character may be cut at the end.
    let is_text = match std::str::from_utf8(first) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && first.len() - error.valid_up_to() < 4,
    };
    let begins_as_markup = first.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<');
    let has_controls = first.iter().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace());
    if is_text && !begins_as_markup && !has_controls { media_type } else { UNKNOWN }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_type_is_known_by_the_first_bytes() {
        let types: [(&[u8], &str, &str); 18] = [
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "a.png", "image/jpeg"),
            (b"\x89PNG\r\n\x1a\n", "", "image/png"),
            (b"GIF89a", "a.html", "image/gif"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "", "image/webp"),
            (b"\0\0\0\x1cftypavif", "", "image/avif"),
            (b"\0\0\0\x1cftypheic", "", "image/heic"),
            (b"\0\0\0\x1cftypmif1", "", "image/heic"),
            (b"\0\0\0\x1cftypisom", "film.mp4", UNKNOWN),
            (b"%PDF-1.7\n", "", "application/pdf"),
            ("Zwölf Monate Garantie".as_bytes(), "Bon.TXT", "text/plain"),
            (b"a;b\r\n1;2", "table.csv", "text/csv"),
            (b"plain", "without an ending", UNKNOWN),
            (b"plain\0", "binary.txt", UNKNOWN),
            (b"\xe4", "latin1.txt", "text/plain"),
            (b"\xe4hnlich und mehr", "latin1.txt", UNKNOWN),
            (b"MZ\x90", "setup.exe", UNKNOWN),
            (b"RIFF\0\0\0\0WAVE", "", UNKNOWN),
            (b"", "empty.txt", "text/plain"),
        ];
        for (first, name, expected) in types {
            assert_eq!(media_type(first, name), expected, "{name}: {}", String::from_utf8_lossy(first));
        }
    }

    #[test]
    fn what_a_browser_could_run_is_downloaded_whatever_it_is_called() {
        let documents: [&[u8]; 6] = [
            b"<!DOCTYPE html><script>alert(1)</script>",
            b"\n\t <svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>",
            b"<?xml version=\"1.0\"?><html xmlns=\"http://www.w3.org/1999/xhtml\"/>",
            b"\xef\xbb\xbf<html>",
            b"\xfe\xff\0<\0s\0v\0g",
            b"%!PS-Adobe",
        ];
        for document in documents {
            for name in ["a.html", "a.svg", "a.xml", "a.jpg", "a.pdf", ""] {
                assert_eq!(media_type(document, name), UNKNOWN, "{name}: {}", String::from_utf8_lossy(document));
            }
            assert!(!is_inline(media_type(document, "a.txt")));
        }
        assert!(!is_inline("text/plain") && !is_inline("text/html") && !is_inline("image/svg+xml"));
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_type_of_the_list(first: Vec<u8>, name: String) {
            let found = media_type(&first, &name);
            prop_assert!(is_inline(found) || ["text/plain", "text/csv", UNKNOWN].contains(&found));
        }
    }
}
