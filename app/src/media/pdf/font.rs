//! What do the codes of a font mean, and how wide are its glyphs?

use std::collections::BTreeMap;

use lopdf::{Dictionary, Document, Object};

use super::cmap::CMap;

/// How large a ToUnicode table is read.
const LARGEST_TABLE: usize = 4 * 1024 * 1024;
/// How many widths are kept of a font: each code of two bytes has one.
const MOST_WIDTHS: usize = 65_536;
/// The widths of Helvetica's glyphs from the blank to the tilde, in thousandths: what a font without widths is taken for. A
/// PDF need not tell those of the fourteen standard fonts.
const HELVETICA: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
    556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
    260, 334, 584,
];

/// A font, as far as its text goes.
pub(super) struct Font {
    meanings: Meanings,
    to_unicode: Option<CMap>,
    widths: Widths,
}

/// What the codes mean where no ToUnicode table says so.
enum Meanings {
    /// Codes of one byte.
    Bytes(Vec<String>),
    /// Codes of two bytes that are UTF-16.
    Utf16,
    /// Codes whose meaning nothing but the table knows; of two bytes, or as long as the table says.
    Unknown { two_bytes: bool },
}

/// How wide the glyphs are, in the font's size.
struct Widths {
    /// By the first code of a range: its last one, and the width.
    known: BTreeMap<u32, (u32, f32)>,
    others: Other,
}

/// The width of all other glyphs.
enum Other {
    All(f32),
    /// Those of Helvetica.
    Standard,
}

/// One glyph of a string.
pub(super) struct Glyph {
    pub(super) meaning: String,
    pub(super) width: f32,
    /// Whether it is the single byte 32, to which the spacing of words applies.
    pub(super) is_blank: bool,
}

impl Font {
    /// Reads a font.
    pub(super) fn read(font: &Dictionary, document: &Document) -> Self {
        let to_unicode = font.get_deref(b"ToUnicode", document).and_then(Object::as_stream).ok();
        let to_unicode = to_unicode.and_then(|stream| stream.get_plain_content_with_limit(LARGEST_TABLE).ok());
        let to_unicode = to_unicode.map(|program| CMap::parse(&program));
        let is = |subtype: &[u8]| {
            font.get_deref(b"Subtype", document).and_then(Object::as_name).is_ok_and(|name| name == subtype)
        };
        if is(b"Type0") {
            let encoding = font.get_deref(b"Encoding", document).and_then(Object::as_name).unwrap_or(b"");
            let has = |part: &[u8]| encoding.windows(part.len()).any(|window| window == part);
            let meanings = if has(b"UCS2") || has(b"UTF16") {
                Meanings::Utf16
            } else {
                Meanings::Unknown { two_bytes: encoding.starts_with(b"Identity") }
            };
            return Self { meanings, to_unicode, widths: composite_widths(font, document) };
        }
        // A glyph of Type 3 is drawn in a space of its own.
        let scale = if is(b"Type3") {
            let matrix = font.get_deref(b"FontMatrix", document).and_then(Object::as_array);
            matrix.ok().and_then(|matrix| matrix.first()?.as_float().ok()).map_or(0.001, f32::abs)
        } else {
            0.001
        };
        let meanings = Meanings::Bytes(one_byte(font, document, is(b"TrueType")));
        Self { meanings, to_unicode, widths: simple_widths(font, document, scale) }
    }

    /// Returns the glyphs of a string.
    pub(super) fn glyphs<'a>(&'a self, mut bytes: &'a [u8]) -> impl Iterator<Item = Glyph> + 'a {
        std::iter::from_fn(move || {
            let first = *bytes.first()?;
            let (code, length) = match (&self.meanings, &self.to_unicode) {
                (Meanings::Bytes(_), _) => (u32::from(first), 1),
                (Meanings::Unknown { two_bytes: false }, Some(cmap)) => cmap.next_code(bytes),
                _ => (bytes.iter().take(2).fold(0, |code, byte| (code << 8) | u32::from(*byte)), bytes.len().min(2)),
            };
            bytes = &bytes[length..];
            Some(Glyph {
                meaning: self.meaning(code),
                width: self.widths.of(code),
                is_blank: length == 1 && code == 32,
            })
        })
    }

    fn meaning(&self, code: u32) -> String {
        if let Some(meaning) = self.to_unicode.as_ref().and_then(|cmap| cmap.get(code)) {
            return meaning;
        }
        match &self.meanings {
            Meanings::Bytes(meanings) => meanings.get(code as usize).cloned().unwrap_or_default(),
            Meanings::Utf16 => char::from_u32(code).map(String::from).unwrap_or_default(),
            Meanings::Unknown { .. } => String::new(),
        }
    }
}

/// Returns what the 256 codes of a simple font mean.
fn one_byte(font: &Dictionary, document: &Document, is_true_type: bool) -> Vec<String> {
    let encoding = font.get_deref(b"Encoding", document).ok();
    let differences = encoding.and_then(|encoding| encoding.as_dict().ok());
    let base = match differences {
        Some(differences) => differences.get_deref(b"BaseEncoding", document).ok(),
        None => encoding,
    };
    let usual: &[u8] = if is_true_type { b"WinAnsiEncoding" } else { b"StandardEncoding" };
    let base = base.and_then(|base| base.as_name().ok()).unwrap_or(usual);
    let mut meanings = decode_all(Object::Name(base.to_vec()), document);
    let list = differences.and_then(|differences| differences.get_deref(b"Differences", document).ok());
    let mut code = 0;
    for entry in list.and_then(|list| list.as_array().ok()).into_iter().flatten().take(1024) {
        match entry {
            Object::Integer(number) => code = usize::try_from(*number).unwrap_or(usize::MAX),
            Object::Name(name) => {
                if let Some(meaning) = meanings.get_mut(code) {
                    *meaning = glyph(name, document);
                }
                code = code.saturating_add(1);
            }
            _ => {}
        }
    }
    meanings
}

/// Returns what a glyph of this name means.
fn glyph(name: &[u8], document: &Document) -> String {
    let name = name.split(|byte| *byte == b'.').next().unwrap_or_default();
    name.split(|byte| *byte == b'_').map(|part| named(part, document)).collect()
}

fn named(name: &[u8], document: &Document) -> String {
    let digits = |digits: &[u8]| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    let by_number = match name {
        [b'u', b'n', b'i', digit @ ..] if digit.len() == 4 => digits(digit),
        [b'u', digit @ ..] if (4..=6).contains(&digit.len()) => digits(digit),
        _ => None,
    };
    if let Some(character) = by_number.and_then(char::from_u32) {
        return character.into();
    }
    // lopdf has the names in the encodings that it makes of an entry like this.
    let differences = Object::Array(vec![Object::Integer(0), Object::Name(name.to_vec())]);
    let encoding = Dictionary::from_iter([("Differences", differences)]);
    decode(Object::Dictionary(encoding), &[0], document)
}

/// Returns what each byte means in an encoding.
fn decode_all(encoding: Object, document: &Document) -> Vec<String> {
    let font = font_with(encoding);
    let encoding = font.get_font_encoding_with_limit(document, 0).ok();
    let decoded = |byte: u8| encoding.as_ref().and_then(|encoding| encoding.bytes_to_string(&[byte]).ok());
    (0..=u8::MAX).map(|byte| decoded(byte).unwrap_or_default()).collect()
}

fn decode(encoding: Object, bytes: &[u8], document: &Document) -> String {
    let font = font_with(encoding);
    let encoding = font.get_font_encoding_with_limit(document, 0);
    encoding.and_then(|encoding| encoding.bytes_to_string(bytes)).unwrap_or_default()
}

fn font_with(encoding: Object) -> Dictionary {
    Dictionary::from_iter([("Type", Object::Name(b"Font".to_vec())), ("Encoding", encoding)])
}

/// Returns a number, also where it lies elsewhere in the file.
fn number(object: &Object, document: &Document) -> Option<f32> {
    document.dereference(object).ok()?.1.as_float().ok()
}

fn simple_widths(font: &Dictionary, document: &Document, scale: f32) -> Widths {
    let first = font.get_deref(b"FirstChar", document).and_then(Object::as_i64).ok();
    let first = first.and_then(|first| u32::try_from(first).ok()).unwrap_or(0);
    let Ok(list) = font.get_deref(b"Widths", document).and_then(Object::as_array) else {
        let name = font.get_deref(b"BaseFont", document).and_then(Object::as_name).unwrap_or(b"");
        let is_monospaced = name.windows(4).any(|part| part == b"Cour" || part == b"Mono");
        return Widths {
            known: BTreeMap::new(),
            others: if is_monospaced { Other::All(0.6) } else { Other::Standard },
        };
    };
    let widths = list.iter().map(|width| number(width, document).unwrap_or(0.0) * scale);
    let known = (first..).zip(widths).take(MOST_WIDTHS).map(|(code, width)| (code, (code, width))).collect();
    let descriptor = font.get_deref(b"FontDescriptor", document).and_then(Object::as_dict);
    let missing = descriptor.and_then(|descriptor| descriptor.get_deref(b"MissingWidth", document));
    let missing = missing.ok().and_then(|width| number(width, document)).unwrap_or(0.0);
    Widths { known, others: Other::All(missing * scale) }
}

fn composite_widths(font: &Dictionary, document: &Document) -> Widths {
    let mut widths = Widths { known: BTreeMap::new(), others: Other::All(1.0) };
    let descendant = font.get_deref(b"DescendantFonts", document).and_then(Object::as_array).ok();
    let descendant = descendant.and_then(|fonts| document.dereference(fonts.first()?).ok()?.1.as_dict().ok());
    let Some(descendant) = descendant else { return widths };
    if let Some(width) = descendant.get_deref(b"DW", document).ok().and_then(|width| number(width, document)) {
        widths.others = Other::All(width / 1000.0);
    }
    let Ok(list) = descendant.get_deref(b"W", document).and_then(Object::as_array) else { return widths };
    let code = |object: Option<&Object>| number(object?, document).map(|code| code as u32);
    let mut list = list.iter();
    while let Some(first) = code(list.next()) {
        if widths.known.len() >= MOST_WIDTHS {
            break;
        }
        match list.next().and_then(|object| document.dereference(object).ok()).map(|(_, object)| object) {
            // Either a list of widths from this code on …
            Some(Object::Array(each)) => {
                let each = each.iter().map(|width| number(width, document).unwrap_or(0.0) / 1000.0);
                widths.known.extend((first..).zip(each).take(MOST_WIDTHS).map(|(code, width)| (code, (code, width))));
            }
            // … or the last code, and the width of all up to it.
            last => {
                let (Some(last), Some(width)) = (code(last), list.next().and_then(|width| number(width, document)))
                else {
                    break;
                };
                widths.known.insert(first, (last, width / 1000.0));
            }
        }
    }
    widths
}

impl Widths {
    fn of(&self, code: u32) -> f32 {
        if let Some((_, (last, width))) = self.known.range(..=code).next_back()
            && code <= *last
        {
            return *width;
        }
        match self.others {
            Other::All(width) => width,
            Other::Standard => {
                let place = code.checked_sub(32).and_then(|place| HELVETICA.get(place as usize));
                f32::from(*place.unwrap_or(&556)) / 1000.0
            }
        }
    }
}
