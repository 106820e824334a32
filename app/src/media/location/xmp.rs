//! Where does XMP say where a picture was taken?
//!
//! XMP is XML, with each property as an element or as an attribute. It is read leniently and not as a whole: what is known to name a place
//! loses its value, and all markup stays.

use std::ops::Range;

use super::Eraser;

/// Properties of several vocabularies that name a place, besides all that begin with `GPS`; in lower case, without prefix.
const PLACES: [&str; 15] = [
    "latitude",
    "longitude",
    "location",
    "locationcreated",
    "locationshown",
    "locationid",
    "locationname",
    "sublocation",
    "city",
    "state",
    "provincestate",
    "country",
    "countrycode",
    "countryname",
    "worldregion",
];

/// Overwrites, with blanks, the values that name a place in the XMP that these parts of the file make up together.
pub(super) fn erase(eraser: &mut Eraser, parts: &[Range<usize>]) {
    let xml: Vec<u8> =
        parts.iter().flat_map(|part| eraser.bytes.get(part.clone()).unwrap_or_default().to_vec()).collect();
    for mut value in values(&xml) {
        let mut begin = 0;
        for part in parts {
            // As much of the value as lies in this part.
            let end = begin + part.len();
            if value.start < end && !value.is_empty() {
                let last = value.end.min(end);
                eraser.fill(part.start + value.start - begin..part.start + last - begin, b' ');
                value.start = last;
            }
            begin = end;
        }
    }
}

/// Returns where the values are that name a place.
fn values(xml: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    // The element that names a place, while its end has not come, and how many of its name are open.
    let mut within: Option<(&[u8], usize)> = None;
    let mut at = 0;
    while at < xml.len() {
        let open = position(xml, at, |byte| byte == b'<');
        if within.is_some() {
            found.push(at..open);
        }
        let Some(kind) = xml.get(open + 1) else { break };
        if matches!(kind, b'!' | b'?') {
            at = position(xml, open, |byte| byte == b'>') + 1;
            continue;
        }
        let name_start = open + if *kind == b'/' { 2 } else { 1 };
        let name_end =
            position(xml, name_start.min(xml.len()), |byte| byte.is_ascii_whitespace() || b"/>".contains(&byte));
        let name = &xml[name_start.min(name_end)..name_end];
        let (end, is_empty) = attributes(xml, name_end, within.is_some(), &mut found);
        match &mut within {
            Some((outer, depth)) if *outer == name => {
                if *kind == b'/' {
                    *depth -= 1;
                } else if !is_empty {
                    *depth += 1;
                }
                if *depth == 0 {
                    within = None;
                }
            }
            None if *kind != b'/' && !is_empty && names_a_place(name) => within = Some((name, 1)),
            _ => {}
        }
        at = end;
    }
    found.retain(|value| xml[value.clone()].iter().any(|byte| !byte.is_ascii_whitespace()));
    found
}

/// Reads the attributes of a tag, from after its name; returns where the tag has ended, and whether the element is empty.
fn attributes(xml: &[u8], mut at: usize, is_within: bool, found: &mut Vec<Range<usize>>) -> (usize, bool) {
    loop {
        at = position(xml, at, |byte| !byte.is_ascii_whitespace());
        match xml.get(at) {
            None => return (xml.len(), false),
            Some(b'>') => return (at + 1, xml[at - 1] == b'/'),
            Some(b'/') => at += 1,
            Some(_) => {
                let name_end = position(xml, at, |byte| byte.is_ascii_whitespace() || b"=/>".contains(&byte));
                let name = &xml[at..name_end];
                let equals = position(xml, name_end, |byte| !byte.is_ascii_whitespace());
                // Progress, whatever this is.
                at = name_end.max(at + 1);
                if xml.get(equals) != Some(&b'=') {
                    continue;
                }
                let quote = position(xml, equals + 1, |byte| !byte.is_ascii_whitespace());
                let Some(mark @ (b'"' | b'\'')) = xml.get(quote).copied() else { continue };
                let end = position(xml, quote + 1, |byte| byte == mark);
                let is_syntax = name.starts_with(b"xml") || name.starts_with(b"rdf:");
                if names_a_place(name) || is_within && !is_syntax {
                    found.push(quote + 1..end);
                }
                at = (end + 1).min(xml.len());
            }
        }
    }
}

/// Whether a property, by its name with prefix, names a place.
fn names_a_place(name: &[u8]) -> bool {
    let local = name.rsplit(|byte| *byte == b':').next().unwrap_or_default().to_ascii_lowercase();
    local.starts_with(b"gps") || PLACES.iter().any(|place| place.as_bytes() == local)
}

/// Returns where the first byte is, from a place on, of which this is true; the end if there is none.
fn position(xml: &[u8], from: usize, is_it: impl Fn(u8) -> bool) -> usize {
    let rest = xml.get(from..).unwrap_or_default();
    rest.iter().position(|byte| is_it(*byte)).map_or(xml.len(), |found| from + found)
}
