//! By which name does a browser save a file, and does it show it?
//!
//! `Content-Disposition` (RFC 6266): the name in ASCII for clients that know no other, and as it is in UTF-8 (RFC 8187).

use super::encoded;

/// What a browser does with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disposition {
    Show,
    Save,
}

/// Returns the header's value.
pub(crate) fn disposition(what: Disposition, name: &str) -> String {
    let what = match what {
        Disposition::Show => "inline",
        Disposition::Save => "attachment",
    };
    // Neither a quotation mark nor a backslash, which would have to be escaped, nor a per cent sign, which some decode.
    let is_plain = |letter: char| (letter.is_ascii_graphic() || letter == ' ') && !matches!(letter, '"' | '\\' | '%');
    let ascii: String = name.chars().map(|letter| if is_plain(letter) { letter } else { '_' }).collect();
    match ascii == name {
        true => format!("{what}; filename=\"{ascii}\""),
        false => format!("{what}; filename=\"{ascii}\"; filename*=UTF-8''{}", encoded(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_its_header() {
        for (name, expected) in [
            ("receipt 7.pdf", "attachment; filename=\"receipt 7.pdf\""),
            ("Müller.pdf", "attachment; filename=\"M_ller.pdf\"; filename*=UTF-8''M%C3%BCller.pdf"),
            ("a\"; x=\"b", "attachment; filename=\"a_; x=_b\"; filename*=UTF-8''a%22%3B%20x%3D%22b"),
            ("a\r\nb\\", "attachment; filename=\"a__b_\"; filename*=UTF-8''a%0D%0Ab%5C"),
            ("100%.pdf", "attachment; filename=\"100_.pdf\"; filename*=UTF-8''100%25.pdf"),
        ] {
            assert_eq!(disposition(Disposition::Save, name), expected);
        }
        assert_eq!(disposition(Disposition::Show, "a.png"), "inline; filename=\"a.png\"");
    }
}
