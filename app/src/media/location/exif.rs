//! Where do EXIF data say where a picture was taken?
//!
//! EXIF is a TIFF: directories of entries, which hold a value or say where it is. The GPS data are a directory of their own, to which
//! an entry leads.

use std::ops::Range;

use super::Eraser;

/// The entries that lead to other directories: EXIF's own, and GPS.
const EXIF: u16 = 0x8769;
const GPS: u16 = 0x8825;
/// How long an entry is.
const ENTRY: usize = 12;
/// How many entries the GPS directory has at most: 32 are known.
const MOST_ENTRIES: usize = 64;
/// How many directories are read; they can lead to one another in circles.
const MOST_DIRECTORIES: usize = 16;
/// How many bytes a value of each type has.
const SIZES: [usize; 14] = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4];

/// Overwrites the GPS data of the TIFF at this place: values first, then what leads to them. The directory stays, with no entry.
pub(super) fn erase(eraser: &mut Eraser, place: Range<usize>) {
    let Some(tiff) = Tiff::new(eraser, place) else { return };
    let (directories, located) = tiff.directories(eraser);
    for directory in located {
        tiff.erase(eraser, directory, &directories);
    }
}

/// A TIFF somewhere in a file.
struct Tiff {
    place: Range<usize>,
    is_big_endian: bool,
}

impl Tiff {
    fn new(eraser: &Eraser, place: Range<usize>) -> Option<Self> {
        let is_big_endian = match eraser.bytes.get(place.clone())? {
            [b'I', b'I', 42, 0, ..] => false,
            [b'M', b'M', 0, 42, ..] => true,
            _ => return None,
        };
        Some(Self { place, is_big_endian })
    }

    fn two(&self, eraser: &Eraser, offset: usize) -> Option<u16> {
        let at = self.place.start.checked_add(offset)?;
        let bytes: [u8; 2] = eraser.bytes.get(at..at.checked_add(2)?.min(self.place.end))?.try_into().ok()?;
        Some(if self.is_big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn four(&self, eraser: &Eraser, offset: usize) -> Option<usize> {
        let (first, second) = (self.two(eraser, offset)?, self.two(eraser, offset + 2)?);
        let (high, low) = if self.is_big_endian { (first, second) } else { (second, first) };
        Some(usize::from(high) << 16 | usize::from(low))
    }

    /// Returns where the directories are, and where those with GPS data.
    fn directories(&self, eraser: &Eraser) -> (Vec<Range<usize>>, Vec<usize>) {
        let (mut known, mut located) = (Vec::<Range<usize>>::new(), Vec::new());
        let mut ahead: Vec<usize> = self.four(eraser, 4).into_iter().collect();
        while let Some(offset) = ahead.pop() {
            let Some(entries) = self.two(eraser, offset) else { continue };
            let end = offset + 2 + usize::from(entries) * ENTRY;
            if offset == 0 || known.len() >= MOST_DIRECTORIES || known.iter().any(|directory| directory.start == offset)
            {
                continue;
            }
            known.push(offset..end + 4);
            for entry in (offset + 2..end).step_by(ENTRY) {
                match (self.two(eraser, entry), self.four(eraser, entry + 8)) {
                    (Some(GPS), Some(directory)) => located.push(directory),
                    (Some(EXIF), Some(directory)) => ahead.push(directory),
                    (None, _) => break,
                    _ => {}
                }
            }
            ahead.extend(self.four(eraser, end));
        }
        (known, located)
    }

    /// Overwrites a directory and the values that it leads to, but none of the directories in which other things are.
    fn erase(&self, eraser: &mut Eraser, directory: usize, others: &[Range<usize>]) {
        let Some(entries) = self.two(eraser, directory).map(usize::from) else { return };
        let end = directory + 2 + entries * ENTRY;
        // It is none: whatever the entry leads to is left alone.
        let is_sound = |entry: usize| {
            let kind = self.two(eraser, entry + 2).map_or(0, usize::from);
            (1..SIZES.len()).contains(&kind) && entry + ENTRY <= self.place.len()
        };
        let table: Vec<usize> = (directory + 2..end).step_by(ENTRY).collect();
        let is_another = others.iter().any(|other| directory < other.end && other.start < end);
        if directory == 0 || is_another || entries > MOST_ENTRIES || !table.iter().all(|entry| is_sound(*entry)) {
            return;
        }
        for entry in table {
            let size = self.two(eraser, entry + 2).map_or(0, |kind| SIZES[usize::from(kind)]);
            let length = self.four(eraser, entry + 4).unwrap_or(0).saturating_mul(size);
            if length > 4
                && let Some(offset) = self.four(eraser, entry + 8)
            {
                self.fill(eraser, offset..offset.saturating_add(length), others);
            }
        }
        self.fill(eraser, directory + 2..end, others);
        self.fill(eraser, directory..directory + 2, others);
    }

    fn fill(&self, eraser: &mut Eraser, range: Range<usize>, others: &[Range<usize>]) {
        let overlaps = |other: &Range<usize>| range.start < other.end && other.start < range.end;
        if range.end <= self.place.len() && !others.iter().any(overlaps) {
            eraser.fill(self.place.start + range.start..self.place.start + range.end, 0);
        }
    }
}
