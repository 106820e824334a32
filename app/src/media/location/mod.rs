//! How is it forgotten where a picture was taken?
//!
//! Cameras write it into EXIF data (GPS), programs also into XMP (coordinates, place names) and IPTC (place names). It is
//! overwritten where it stands, with zeros and blanks, so that the file keeps its length and everything else, such as its
//! orientation and its pixels. What a maker hides in notes of its own (MakerNote) is not known, and stays.

mod exif;
mod iptc;
mod xmp;

use std::{ops::Range, slice};

use super::sniff;

/// How large a file is read: all of it is in memory.
pub(super) const MOST_BYTES: u64 = 128 * 1024 * 1024;
/// How EXIF data begin in a JPEG.
const EXIF: &[u8] = b"Exif\0\0";
/// How XMP begins in a JPEG.
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
/// How the rest of a long XMP begins in a JPEG, with the name, the length and the offset of a part.
const MORE_XMP: &[u8] = b"http://ns.adobe.com/xmp/extension/\0";
const MORE_XMP_HEAD: usize = MORE_XMP.len() + 32 + 4 + 4;
/// How IPTC data begin in a JPEG, among other things.
const PHOTOSHOP: &[u8] = b"Photoshop 3.0\0";
/// A private chunk of PNG, which all readers pass over.
const NOTHING: &[u8; 4] = b"noNe";

/// A file of which parts are overwritten.
struct Eraser<'a> {
    bytes: &'a mut [u8],
    changed: Vec<Range<usize>>,
}

/// Overwrites, in a file's bytes, where the picture was taken. Returns what was changed, in the order in which it has to be written:
/// what leads to a value comes after the value, so that a second try finds the rest.
pub(super) fn remove(bytes: &mut [u8]) -> Vec<Range<usize>> {
    let media_type = sniff::media_type(bytes, "");
    let mut eraser = Eraser { bytes, changed: Vec::new() };
    match media_type {
        "image/jpeg" => eraser.jpeg(),
        "image/png" => eraser.png(),
        "image/webp" => eraser.webp(),
        "image/heic" | "image/avif" => {
            eraser.exif_anywhere();
            eraser.xmp_anywhere();
        }
        "image/gif" => eraser.xmp_anywhere(),
        _ => {}
    }
    eraser.changed
}

impl Eraser<'_> {
    /// Overwrites a range with a byte, as far as it is not overwritten yet.
    fn fill(&mut self, range: Range<usize>, byte: u8) {
        if let Some(part) = self.bytes.get_mut(range.clone())
            && part.iter().any(|found| *found != byte)
        {
            part.fill(byte);
            self.changed.push(range);
        }
    }

    fn put(&mut self, at: usize, new: &[u8]) {
        let range = at..at + new.len();
        if let Some(part) = self.bytes.get_mut(range.clone())
            && part != new
        {
            part.copy_from_slice(new);
            self.changed.push(range);
        }
    }

    fn starts_with(&self, at: usize, begin: &[u8]) -> bool {
        self.bytes.get(at..).is_some_and(|rest| rest.starts_with(begin))
    }

    /// Returns where the bytes at a range begin, if they begin like this, after that.
    fn after(&self, range: &Range<usize>, begin: &[u8]) -> Option<Range<usize>> {
        let fits = range.len() >= begin.len() && self.starts_with(range.start, begin);
        fits.then(|| range.start + begin.len()..range.end)
    }

    /// Finds the segments wherever they are: pictures can follow one another in a file, and lie in one another.
    fn jpeg(&mut self) {
        let mut more_xmp = Vec::new();
        let mut at = 2;
        while let Some(found) = self.bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == 0xff)) {
            at += found + 1;
            let Some(&[marker @ (0xe1 | 0xed), high, low]) = self.bytes.get(at..at + 3) else { continue };
            let end = at + 1 + usize::from(u16::from_be_bytes([high, low]));
            let segment = at + 3..end.min(self.bytes.len());
            if segment.is_empty() {
                continue;
            }
            if marker == 0xed {
                if let Some(data) = self.after(&segment, PHOTOSHOP) {
                    iptc::erase(self, data);
                }
            } else if let Some(data) = self.after(&segment, EXIF) {
                exif::erase(self, data);
            } else if let Some(data) = self.after(&segment, XMP) {
                xmp::erase(self, slice::from_ref(&data));
            } else if self.starts_with(segment.start, MORE_XMP) && segment.len() > MORE_XMP_HEAD {
                more_xmp.push(segment.start + MORE_XMP_HEAD..segment.end);
            }
        }
        // Its parts were cut anywhere.
        xmp::erase(self, &more_xmp);
    }

    fn png(&mut self) {
        let mut at = 8;
        while let Some(&[a, b, c, d]) = self.bytes.get(at..at + 4) {
            let length = u32::from_be_bytes([a, b, c, d]) as usize;
            let data = at + 8..at + 8 + length;
            let Some(kind) = self.bytes.get(at + 4..at + 8).map(<[u8]>::to_vec) else { return };
            if self.bytes.len() < data.end + 4 {
                return;
            }
            let before = self.changed.len();
            match kind.as_slice() {
                b"eXIf" => {
                    // Some programs write it as into a JPEG.
                    let data = self.after(&data, EXIF).unwrap_or(data.clone());
                    exif::erase(self, data);
                }
                // Flag and method, then language and translated keyword: the XML begins later, and that is no matter.
                b"iTXt" if self.starts_with(data.start, b"XML:com.adobe.xmp\0\0") => {
                    xmp::erase(self, slice::from_ref(&data))
                }
                // Packed, it cannot be overwritten in part.
                b"iTXt" if self.starts_with(data.start, b"XML:com.adobe.xmp\0") => self.drop_chunk(at, &data),
                b"tEXt" | b"zTXt" | b"iTXt" if self.starts_with(data.start, b"Raw profile type ") => {
                    let kind = data.start + b"Raw profile type ".len();
                    if [&b"exif\0"[..], b"APP1\0", b"xmp\0", b"iptc\0"]
                        .iter()
                        .any(|known| self.starts_with(kind, known))
                    {
                        self.drop_chunk(at, &data);
                    }
                }
                b"IEND" => return,
                _ => {}
            }
            if self.changed.len() > before {
                let sum = crc(&self.bytes[at + 4..data.end]);
                self.put(data.end, &sum.to_be_bytes());
            }
            at = data.end + 4;
        }
    }

    /// Makes nothing of a chunk of PNG.
    fn drop_chunk(&mut self, at: usize, data: &Range<usize>) {
        self.fill(data.clone(), 0);
        self.put(at + 4, NOTHING);
    }

    fn webp(&mut self) {
        let mut at = 12;
        while let Some(&[a, b, c, d, e, f, g, h]) = self.bytes.get(at..at + 8) {
            let length = u32::from_le_bytes([e, f, g, h]) as usize;
            let data = at + 8..(at + 8).saturating_add(length).min(self.bytes.len());
            match &[a, b, c, d] {
                b"EXIF" => {
                    let data = self.after(&data, EXIF).unwrap_or(data.clone());
                    exif::erase(self, data);
                }
                b"XMP " => xmp::erase(self, slice::from_ref(&data)),
                _ => {}
            }
            // Padded to an even length.
            at = data.end + length % 2;
        }
    }

    /// Finds EXIF data by how they begin, in a file whose structure leads there in too many ways.
    fn exif_anywhere(&mut self) {
        const BEGINS: [&[u8]; 4] = [
            b"Exif\0\0II*\0",
            b"Exif\0\0MM\0*",
            // After the length of what comes before it, which is nothing.
            b"\0\0\0\0II*\0\x08\0\0\0",
            b"\0\0\0\0MM\0*\0\0\0\x08",
        ];
        for at in 0..self.bytes.len() {
            // Most bytes are decided by the first.
            if matches!(self.bytes[at], b'E' | 0)
                && let Some(begin) = BEGINS.iter().find(|begin| self.starts_with(at, begin))
            {
                let skipped = if begin[0] == b'E' { EXIF.len() } else { 4 };
                exif::erase(self, at + skipped..self.bytes.len());
            }
        }
    }

    /// Finds XMP by its outermost element.
    fn xmp_anywhere(&mut self) {
        let (begin, end) = (b"<x:xmpmeta", b"</x:xmpmeta");
        let mut at = 0;
        while let Some(found) = self.find(at, begin) {
            let Some(last) = self.find(found, end) else { return };
            xmp::erase(self, slice::from_ref(&(found..last)));
            at = last;
        }
    }

    fn find(&self, from: usize, what: &[u8]) -> Option<usize> {
        let rest = self.bytes.get(from..)?;
        rest.windows(what.len()).position(|window| window == what).map(|found| from + found)
    }
}

/// Returns the checksum of PNG's chunks.
pub(super) fn crc(bytes: &[u8]) -> u32 {
    let sum = bytes.iter().fold(u32::MAX, |sum, byte| {
        let mut sum = sum ^ u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
        }
        sum
    });
    !sum
}

#[cfg(test)]
mod tests;
