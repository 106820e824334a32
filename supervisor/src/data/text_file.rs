//! How is a text file read, whichever editor or shell saved it?
//!
//! As UTF-8, with or without a byte order mark, or as UTF-16, which PowerShell's `>` writes.

/// Returns the text without its mark; `None` for what is no text.
pub fn decode(bytes: &[u8]) -> Option<String> {
    let units = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        rest.is_empty().then(|| String::from_utf16(&pairs.iter().map(|pair| unit(*pair)).collect::<Vec<_>>()).ok())?
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => units(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => units(rest, u16::from_be_bytes),
        // Without a mark: what begins with a letter of ASCII, as all that is read here does.
        [1..0x80, 0, ..] => units(bytes, u16::from_le_bytes),
        [0, 1..0x80, ..] => units(bytes, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] | rest => String::from_utf8(rest.to_vec()).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn a_text_is_the_same_however_it_was_saved() {
        let text = "# für alle\r\nAGE-SECRET-KEY-1…\n";
        let utf16 = |big: bool| {
            let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
            text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>()
        };
        for (mark, bytes) in [
            (&[][..], text.as_bytes().to_vec()),
            (&[0xEF, 0xBB, 0xBF], text.as_bytes().to_vec()),
            (&[0xFF, 0xFE], utf16(false)),
            (&[0xFE, 0xFF], utf16(true)),
            (&[], utf16(false)),
            (&[], utf16(true)),
        ] {
            assert_eq!(decode(&[mark, &bytes].concat()).as_deref(), Some(text), "{mark:?}");
        }
        assert_eq!(decode(b"").as_deref(), Some(""));
        for garbage in [&b"age\xFF\xFF"[..], &[0xFF, 0xFE, 0x41], &[0xFF, 0xFE, 0x00, 0xD8], &[0, 0xFF, 0]] {
            assert_eq!(decode(garbage), None, "{garbage:?}");
        }
    }
}
