//! Where do IPTC data say where a picture was taken?

use std::ops::Range;

use super::Eraser;

/// The resource of Photoshop's that holds IPTC data.
const IPTC: u16 = 0x0404;
/// The data that name a place: its code and name, city, part of it, province, and the country's code and name.
const PLACES: [u8; 7] = [26, 27, 90, 92, 95, 100, 101];

/// Overwrites the names of places in Photoshop's resources at this place.
pub(super) fn erase(eraser: &mut Eraser, mut resources: Range<usize>) {
    while let Some(resource) = eraser.after(&resources, b"8BIM") {
        let at = resource.start;
        let Some(&[high, low, name]) = eraser.bytes.get(at..at + 3) else { return };
        // A name with its length before it, padded.
        let size = at + 2 + (usize::from(name) + 2) / 2 * 2;
        let Some(&[a, b, c, d]) = eraser.bytes.get(size..size + 4) else { return };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let end = (size + 4).saturating_add(length).min(resources.end);
        if u16::from_be_bytes([high, low]) == IPTC {
            erase_sets(eraser, size + 4..end);
        }
        resources.start = end + length % 2;
        if resources.is_empty() {
            return;
        }
    }
}

fn erase_sets(eraser: &mut Eraser, sets: Range<usize>) {
    let mut at = sets.start;
    while let Some(&[0x1c, record, set, high, low]) = eraser.bytes.get(at..at + 5) {
        let end = at + 5 + usize::from(u16::from_be_bytes([high, low]));
        if end > sets.end {
            return;
        }
        if record == 2 && PLACES.contains(&set) {
            eraser.fill(at + 5..end, b' ');
        }
        at = end;
    }
}
