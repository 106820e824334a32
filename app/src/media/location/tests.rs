use proptest::prelude::*;

use super::*;

/// EXIF data with an orientation (6), a camera's name, and GPS data: 48° 8' and an altitude.
fn exif() -> Vec<u8> {
    let mut tiff = b"MM\0*\0\0\0\x08".to_vec();
    let mut directory = |entries: &[(u16, u16, u32, [u8; 4])]| {
        tiff.extend((entries.len() as u16).to_be_bytes());
        for (tag, kind, count, value) in entries {
            tiff.extend([&tag.to_be_bytes()[..], &kind.to_be_bytes(), &count.to_be_bytes(), value].concat());
        }
        tiff.extend([0; 4]);
    };
    // At 8, with three entries: 50 bytes are taken. At 50 the camera's name, at 58 GPS, at 100 its values.
    directory(&[
        (0x010f, 2, 8, 50_u32.to_be_bytes()),
        (0x0112, 3, 1, [0, 6, 0, 0]),
        (0x8825, 4, 1, 58_u32.to_be_bytes()),
    ]);
    tiff.extend(b"Kamera X");
    let mut gps = 3_u16.to_be_bytes().to_vec();
    for (tag, kind, count, value) in
        [(1_u16, 2_u16, 2_u32, *b"N\0\0\0"), (2, 5, 3, 100_u32.to_be_bytes()), (6, 5, 1, 124_u32.to_be_bytes())]
    {
        gps.extend([&tag.to_be_bytes()[..], &kind.to_be_bytes(), &count.to_be_bytes(), &value].concat());
    }
    gps.extend([0; 4]);
    assert_eq!((tiff.len(), gps.len()), (58, 42));
    tiff.extend(gps);
    for number in [48_u32, 1, 8, 1, 4711, 100, 519, 1] {
        tiff.extend(number.to_be_bytes());
    }
    tiff
}

const XML: &str = r#"<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="48,8.5N" tiff:Orientation = '6'
 photoshop:City='Munich' drone-dji:GpsLongitude="+11.5">
<exif:GPSLongitude>11,34.5E</exif:GPSLongitude><dc:title>A > B</dc:title><photoshop:Country/>
<Iptc4xmpExt:LocationCreated><rdf:Bag><rdf:li rdf:parseType="Resource" Iptc4xmpExt:Anything="Schwabing">
<Iptc4xmpExt:City>Munich</Iptc4xmpExt:City></rdf:li></rdf:Bag></Iptc4xmpExt:LocationCreated>
<dc:creator>Ada</dc:creator></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"#;
const PLACES_IN_XML: [&str; 5] = ["48,8.5N", "Munich", "+11.5", "11,34.5E", "Schwabing"];

fn segment(marker: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
    [&[0xff, marker][..], &length, &content].concat()
}

fn jpeg(segments: &[Vec<u8>]) -> Vec<u8> {
    [&[0xff, 0xd8][..], &segments.concat(), b"\xff\xda\0\x02entropy\xff\0\xff\xd9"].concat()
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let sum = crc(&[kind, data].concat()).to_be_bytes();
    [&(data.len() as u32).to_be_bytes()[..], kind, data, &sum].concat()
}

fn png(chunks: &[Vec<u8>]) -> Vec<u8> {
    [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &[0; 13]), &chunks.concat(), &chunk(b"IEND", b"")].concat()
}

fn webp(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut webp = b"RIFF\0\0\0\0WEBP".to_vec();
    for (kind, data) in chunks {
        webp.extend([&kind[..], &(data.len() as u32).to_le_bytes(), data, &vec![0; data.len() % 2]].concat());
    }
    webp
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Removes the location, and checks what holds of every file. Returns what is left.
fn removed(before: &[u8]) -> Vec<u8> {
    let mut after = before.to_vec();
    let changed = remove(&mut after);
    assert!(!changed.is_empty());
    assert_eq!(after.len(), before.len());
    // What is written is what has changed, and all of it.
    let mut written = before.to_vec();
    for range in changed {
        written[range.clone()].copy_from_slice(&after[range]);
    }
    assert!(written == after);
    assert!(remove(&mut after.clone()).is_empty(), "a second time there is nothing left");
    after
}

/// The EXIF data as they have to be: no GPS data, and all else as it was.
fn exif_without() -> Vec<u8> {
    let mut tiff = exif();
    tiff[58..96].fill(0);
    tiff[100..132].fill(0);
    tiff
}

#[test]
fn gps_goes_from_a_jpeg_and_every_other_byte_stays() {
    let with =
        |tiff: &[u8]| jpeg(&[segment(0xe0, &[b"JFIF\0"]), segment(0xe1, &[EXIF, tiff]), segment(0xe2, &[b"ICC"])]);
    assert_eq!(removed(&with(&exif())), with(&exif_without()));
    assert!(remove(&mut with(&exif_without())).is_empty());
}

#[test]
fn gps_goes_from_each_picture_in_a_file() {
    // A second picture behind the first (a depth map, a film's first frame) and a thumbnail in one.
    let one = |tiff: &[u8]| jpeg(&[segment(0xe1, &[EXIF, tiff])]);
    let inner = segment(0xe1, &[EXIF, &exif(), &one(&exif())]);
    let inner_without = segment(0xe1, &[EXIF, &exif_without(), &one(&exif_without())]);
    assert_eq!(
        removed(&[one(&exif()), one(&exif()), jpeg(&[inner])].concat()),
        [one(&exif_without()), one(&exif_without()), jpeg(&[inner_without])].concat()
    );
}

#[test]
fn exif_of_either_byte_order_and_from_the_directory_of_exif_is_found() {
    // A little-endian one whose GPS directory (with an altitude's reference) is named in EXIF's own directory.
    let mut tiff = b"II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x1a\0\0\0\0\0\0\0".to_vec();
    tiff.extend(b"\x01\0\x25\x88\x04\0\x01\0\0\0\x2c\0\0\0\0\0\0\0");
    tiff.extend(b"\x01\0\x05\0\x01\0\x01\0\0\0\x01\0\0\0\0\0\0\0");
    let before = jpeg(&[segment(0xe1, &[EXIF, &tiff])]);
    tiff[44..58].fill(0);
    assert_eq!(removed(&before), jpeg(&[segment(0xe1, &[EXIF, &tiff])]));
}

#[test]
fn what_the_gps_entry_leads_to_is_left_alone_if_it_is_something_else() {
    for offset in [8_u32, 0, 10, 50, 131, 132, u32::MAX] {
        let mut tiff = exif();
        tiff[42..46].copy_from_slice(&offset.to_be_bytes());
        let mut bytes = jpeg(&[segment(0xe1, &[EXIF, &tiff])]);
        assert!(remove(&mut bytes).is_empty(), "{offset}");
    }
    // A value that claims to lie over the orientation.
    let mut tiff = exif();
    tiff[80..84].copy_from_slice(&8_u32.to_be_bytes());
    let after = removed(&jpeg(&[segment(0xe1, &[EXIF, &tiff])]));
    assert!(has(&after, &tiff[..58]));
}

#[test]
fn places_go_from_xmp_and_its_markup_and_everything_else_stays() {
    let after = removed(&jpeg(&[segment(0xe1, &[XMP, XML.as_bytes()])]));
    let expected = PLACES_IN_XML.iter().fold(XML.to_owned(), |xml, place| xml.replace(place, &" ".repeat(place.len())));
    assert_eq!(after, jpeg(&[segment(0xe1, &[XMP, expected.as_bytes()])]));
}

#[test]
fn a_value_that_lies_in_two_parts_of_a_long_xmp_goes() {
    let head = [&[b'0'; 32][..], &[0; 8]].concat();
    let cut = XML.find("34.5E").unwrap();
    let [first, second] =
        [&XML.as_bytes()[..cut], &XML.as_bytes()[cut..]].map(|part| segment(0xe1, &[MORE_XMP, &head, part]));
    let after = removed(&jpeg(&[first, segment(0xe2, &[b"between"]), second]));
    assert!(!PLACES_IN_XML.iter().any(|place| has(&after, place.as_bytes())) && !has(&after, b"34.5E"));
    assert!(has(&after, b"between") && has(&after, b"</exif:GPSLongitude>") && has(&after, b"Ada"));
}

#[test]
fn names_of_places_go_from_iptc() {
    let sets = b"\x1c\x02\x50\0\x03Ada\x1c\x02\x5a\0\x06Munich\x1c\x02\x65\0\x07Germany";
    let resources =
        [b"8BIM\x03\xed\0\0\0\0\0\x01x\0", &b"8BIM\x04\x04\0\0\0\0\0"[..], &[sets.len() as u8], sets].concat();
    let after = removed(&jpeg(&[segment(0xed, &[PHOTOSHOP, &resources])]));
    assert!(has(&after, b"\x03Ada\x1c") && has(&after, b"\x06      \x1c\x02\x65\0\x07       \xff"));
}

#[test]
fn a_png_keeps_valid_checksums() {
    let xmp = [b"XML:com.adobe.xmp\0\0\0\0\0", XML.as_bytes()].concat();
    let before =
        png(&[chunk(b"eXIf", &exif()), chunk(b"iTXt", &xmp), chunk(b"tEXt", b"Comment\0Munich"), chunk(b"IDAT", b"x")]);
    let after = removed(&before);
    let xmp = PLACES_IN_XML
        .iter()
        .fold(String::from_utf8(xmp).unwrap(), |xml, place| xml.replace(place, &" ".repeat(place.len())));
    let text = chunk(b"tEXt", b"Comment\0Munich");
    assert_eq!(
        after,
        png(&[chunk(b"eXIf", &exif_without()), chunk(b"iTXt", xmp.as_bytes()), text, chunk(b"IDAT", b"x")])
    );
}

#[test]
fn packed_data_of_a_png_that_may_name_a_place_go_whole() {
    for (kind, data) in [
        (b"iTXt", &b"XML:com.adobe.xmp\0\x01\0\0\0packed"[..]),
        (b"zTXt", b"Raw profile type exif\0\0packed"),
        (b"tEXt", b"Raw profile type APP1\0packed"),
    ] {
        let after = removed(&png(&[chunk(kind, data), chunk(b"IDAT", b"x")]));
        assert_eq!(after, png(&[chunk(NOTHING, &vec![0; data.len()]), chunk(b"IDAT", b"x")]));
    }
    assert!(remove(&mut png(&[chunk(b"zTXt", b"Raw profile type icc\0\0packed")])).is_empty());
}

#[test]
fn gps_and_places_go_from_webp_heic_avif_and_gif() {
    let after = removed(&webp(&[(b"VP8X", b"x"), (b"EXIF", &exif()), (b"XMP ", XML.as_bytes())]));
    assert!(has(&after, &exif_without()) && !PLACES_IN_XML.iter().any(|place| has(&after, place.as_bytes())));
    let after = removed(&webp(&[(b"EXIF", &[EXIF, &exif()].concat())]));
    assert!(has(&after, &exif_without()));
    for brand in ["heic", "avif", "mif1"] {
        for lead in [&b"\0\0\0\x06Exif\0\0"[..], b"\0\0\0\0"] {
            let begin = format!("\0\0\0\x18ftyp{brand}\0\0\0\0mdat");
            let before = [begin.as_bytes(), lead, &exif(), XML.as_bytes(), b"pixels"].concat();
            let after = removed(&before);
            assert!(has(&after, &exif_without()) && !PLACES_IN_XML.iter().any(|place| has(&after, place.as_bytes())));
        }
    }
    assert!(!has(&removed(&[b"GIF89a", XML.as_bytes()].concat()), b"Munich"));
}

#[test]
fn files_of_other_kinds_are_left_alone() {
    let other = [b"%PDF-1.7 ", &exif()[..], XML.as_bytes()].concat();
    assert!(remove(&mut other.clone()).is_empty());
}

proptest! {
    #[test]
    fn damaged_files_keep_their_length_and_come_to_an_end(
        kind in 0_usize..5,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..30),
        length: prop::sample::Index,
    ) {
        let mut bytes = match kind {
            0 => jpeg(&[segment(0xe1, &[EXIF, &exif()]), segment(0xe1, &[XMP, XML.as_bytes()])]),
            1 => png(&[chunk(b"eXIf", &exif()), chunk(b"iTXt", XML.as_bytes())]),
            2 => webp(&[(b"EXIF", &exif()), (b"XMP ", XML.as_bytes())]),
            3 => [b"\0\0\0\x18ftypheic\0\0\0\0", &b"Exif\0\0"[..], &exif(), XML.as_bytes()].concat(),
            _ => [b"GIF89a", XML.as_bytes()].concat(),
        };
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.truncate(length.index(bytes.len()) + 1);
        let before = bytes.clone();
        let changed = remove(&mut bytes);
        prop_assert_eq!(bytes.len(), before.len());
        prop_assert_eq!(changed.is_empty(), bytes == before);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(kind in 0_usize..5, bytes: Vec<u8>) {
        let first = [&b"\xff\xd8\xff"[..], b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"\0\0\0\x18ftypheic", b"GIF89a"][kind];
        let _ = remove(&mut [first, &bytes].concat());
    }
}
