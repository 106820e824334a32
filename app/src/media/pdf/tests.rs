use std::fmt::Write;

use lopdf::{Dictionary, Stream};
use proptest::prelude::*;

use super::*;

/// A PDF of these objects, numbered from 1 on; the first is the catalog.
fn pdf(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut pdf = b"%PDF-1.7\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (number, object) in objects.iter().enumerate() {
        writeln!(table, "{:010} 00000 n ", pdf.len()).unwrap();
        pdf.extend([format!("{} 0 obj\n", number + 1).as_bytes(), object, b"\nendobj\n"].concat());
    }
    let start = pdf.len();
    let trailer = format!("trailer\n<</Root 1 0 R/Size {}>>\nstartxref\n{start}\n%%EOF\n", objects.len() + 1);
    [pdf, table.into_bytes(), trailer.into_bytes()].concat()
}

/// A stream with these entries.
fn stream(entries: &str, content: &[u8]) -> Vec<u8> {
    let begin = format!("<<{entries}/Length {}>>stream\n", content.len());
    [begin.as_bytes(), content, b"\nendstream"].concat()
}

/// The same, packed.
fn packed(entries: &str, content: &[u8]) -> Vec<u8> {
    let mut packed = Stream::new(Dictionary::new(), content.to_vec());
    // What would not become smaller stays.
    packed.compress().unwrap();
    let filter = if packed.is_compressed() { "/Filter/FlateDecode" } else { "" };
    stream(&format!("{filter}{entries}"), &packed.content)
}

/// A PDF with one page of this content, whose fonts F1, F2 … are these, with what they refer to as objects from 6 on.
fn page(content: &[u8], fonts: &[&str], others: &[Vec<u8>]) -> Vec<u8> {
    let fonts: String = fonts.iter().enumerate().map(|(number, font)| format!("/F{} {font}", number + 1)).collect();
    let mut objects = vec![
        b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
        format!("<</Type/Pages/Kids[3 0 R]/Count 1/Resources<</Font<<{fonts}>>/XObject<</X 6 0 R>>>>>>").into_bytes(),
        b"<</Type/Page/Parent 2 0 R/Contents 4 0 R/MediaBox[0 0 600 800]>>".to_vec(),
        packed("", content),
        b"null".to_vec(),
    ];
    objects.extend_from_slice(others);
    pdf(&objects)
}

const HELVETICA: &str = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>";

fn of(bytes: &[u8]) -> String {
    text(bytes).unwrap()
}

#[test]
fn kerned_letters_stay_one_word_and_distance_parts_words() {
    let content = b"BT /F1 12 Tf 72 700 Td [(W)80(asc)20(hmasc)-30(hine)-278(T)70(yp)-600(WM 14)] TJ \
        0 -14 Td (Seriennummer ) Tj (4711) Tj T* 14 TL (Garantie) ' 0 0 (bis 2031) \" ET";
    assert_eq!(of(&page(content, &[HELVETICA], &[])), "Waschmaschine Typ WM 14\nSeriennummer 4711\nGarantie\nbis 2031");
}

#[test]
fn glyphs_that_are_placed_one_by_one_are_words_by_their_widths() {
    let mut content = "BT /F1 10 Tf ".to_owned();
    let mut x = 50.0;
    for (letter, width) in [("K", 6.67), ("a", 5.56), ("u", 5.56), ("f", 2.78), (" ", 2.78), ("a", 5.56), ("m", 8.33)] {
        write!(content, "1 0 0 1 {x} 100 Tm ({letter}) Tj ").unwrap();
        x += width;
    }
    // Without a blank that is drawn; and another line.
    write!(content, "1 0 0 1 {} 100 Tm (7.) Tj 1 0 0 1 50 88 Tm (Mai) Tj ET", x + 2.5).unwrap();
    assert_eq!(of(&page(content.as_bytes(), &[HELVETICA], &[])), "Kauf am 7.\nMai");
    let spaced = b"BT /F1 10 Tf 4 Tc 50 100 Td (RECHNUNG) Tj ET";
    assert_eq!(of(&page(spaced, &[HELVETICA], &[])), "RECHNUNG");
    let turned = b"BT /F1 10 Tf 0 1 -1 0 50 100 Tm (von) Tj [-300 (unten)] TJ ET";
    assert_eq!(of(&page(turned, &[HELVETICA], &[])), "von unten");
}

#[test]
fn the_standard_encodings_and_differences_are_read() {
    let content = b"BT /F1 9 Tf (Geb\\374hr \\200) Tj ET BT /F2 9 Tf 0 -20 Td (M\\232bel) Tj ET BT /F3 9 Tf 0 -40 Td (\\256\\1\\2\\3\\4\\5) Tj ET";
    let fonts = [
        HELVETICA,
        "<</Type/Font/Subtype/TrueType/BaseFont/A/Encoding/MacRomanEncoding>>",
        "<</Type/Font/Subtype/Type1/BaseFont/B/Encoding<</Differences[1/a/germandbls/uni20AC/f_i/g17]>>>>",
    ];
    assert_eq!(of(&page(content, &fonts, &[])), "Gebühr €\nMöbel\nfiaß€fi");
}

#[test]
fn tables_of_unicode_are_read_for_fonts_of_one_byte_and_of_two() {
    let table = b"1 begincodespacerange <0000> <FFFF> endcodespacerange 2 beginbfrange <0001> <001A> <0041> <0030> \
        <0031> [<00FC> <D83DDE00>] endbfrange";
    let simple = b"1 beginbfchar <41> <0416> endbfchar";
    let fonts = [
        "<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/DescendantFonts[7 0 R]/ToUnicode 8 0 R>>",
        "<</Type/Font/Subtype/TrueType/BaseFont/Y/Encoding/WinAnsiEncoding/ToUnicode 9 0 R>>",
        "<</Type/Font/Subtype/Type0/BaseFont/Z/Encoding/UniGB-UTF16-H/DescendantFonts[7 0 R]>>",
        "<</Type/Font/Subtype/Type0/BaseFont/Z/Encoding/Identity-H/DescendantFonts[7 0 R]>>",
    ];
    let others = [
        b"null".to_vec(),
        b"<</Type/Font/Subtype/CIDFontType2/DW 500/W[1[600 600 600]4 26 700]>>".to_vec(),
        packed("", table),
        stream("", simple),
    ];
    let content = b"BT /F1 9 Tf <0008001500030030> Tj [<0031> -400 <0001>] TJ /F2 9 Tf 90 0 Td (AB) Tj /F3 9 Tf 30 0 Td <4FDD4FEE> Tj \
        /F4 9 Tf <00410042> Tj ET";
    assert_eq!(of(&page(content, &fonts, &others)), "HUCü😀 A ЖB 保修");
}

#[test]
fn text_in_parts_and_in_filled_in_fields_is_found() {
    let form = stream("/Type/XObject/Subtype/Form/Matrix[1 0 0 1 100 0]", b"BT /F1 9 Tf 10 50 Td (im Teil) Tj ET");
    let content = b"BT /F1 9 Tf 10 50 Td (davor) Tj ET q /X Do Q BT /F1 9 Tf 10 20 Td (danach) Tj ET";
    assert_eq!(of(&page(content, &[HELVETICA], std::slice::from_ref(&form))), "davor im Teil\ndanach");
    let mut objects = vec![
        b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>".to_vec(),
        b"<</Type/Page/Parent 2 0 R/Annots[4 0 R]>>".to_vec(),
        b"<</Subtype/Widget/AP<</N 5 0 R>>>>".to_vec(),
    ];
    let resources = format!("/Subtype/Form/Resources<</Font<</F1 {HELVETICA}>>>>");
    objects.push(stream(&resources, b"/Tx BMC BT /F1 9 Tf (Ada) Tj ET EMC"));
    assert_eq!(of(&pdf(&objects)), "Ada");
}

#[test]
fn pages_without_text_have_none_and_other_files_are_not_read() {
    assert_eq!(text(&page(b"0 0 m 10 10 l S", &[], &[])), Err(Outcome::Nothing));
    for other in [&b""[..], b"%PDF-1.7", b"\xff\xd8\xff", b"%PDF-1.7\ntrailer <</Root 1 0 R>>", &[0; 4096]] {
        assert!(text(other).is_err());
    }
}

#[test]
fn a_table_of_contents_that_is_damaged_is_made_anew() {
    let mut damaged = page(b"BT /F1 9 Tf (noch da) Tj ET", &[HELVETICA], &[]);
    let table = damaged.windows(9).rposition(|window| window == b"startxref").unwrap();
    damaged.truncate(table);
    damaged.splice(9..9, *b"% more bytes than before\n");
    assert_eq!(of(&damaged), "noch da");
}

#[test]
fn files_that_lead_in_circles_come_to_an_end() {
    let font = HELVETICA;
    let draws = b"BT /F1 9 Tf (x) Tj ET /X Do /X Do";
    let resources = format!("/Subtype/Form/Resources<</XObject<</X 6 0 R>>/Font<</F1 {font}>>>>");
    // A form that draws itself twice, each time.
    assert!(of(&page(draws, &[font], &[stream(&resources, draws)])).starts_with('x'));
    let circles: [&[&str]; 6] = [
        // The page tree, its parents, and the resources.
        &[
            "<</Type/Catalog/Pages 2 0 R>>",
            "<</Type/Pages/Kids[2 0 R 2 0 R 3 0 R]/Parent 2 0 R>>",
            "<</Type/Page/Parent 2 0 R/Contents 3 0 R/Resources 3 0 R>>",
        ],
        &["<</Type/Catalog/Pages 2 0 R>>", "2 0 R"],
        &["1 0 R"],
        &["<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids 3 0 R>>", "3 0 R"],
        // Lengths that name themselves.
        &["<</Type/Catalog/Pages 2 0 R>>", "<</Length 2 0 R>>stream\nendstream"],
        // An object stream that lies in itself.
        &[
            "<</Type/Catalog/Pages 4 0 R>>",
            "<</Type/ObjStm/N 1/First 4/Extends 2 0 R/Length 2 0 R>>stream\n2 0 <<>>\nendstream",
        ],
    ];
    for objects in circles {
        let objects: Vec<_> = objects.iter().map(|object| object.as_bytes().to_vec()).collect();
        let _ = text(&pdf(&objects));
    }
    // Tables that name one another.
    let mut tables = page(b"", &[], &[]);
    let end = tables.windows(9).rposition(|window| window == b"startxref").unwrap();
    let start = tables.windows(4).rposition(|window| window == b"xref").unwrap();
    tables.truncate(end);
    tables.extend(format!("startxref\n{start}\n%%EOF").bytes());
    let looped = String::from_utf8_lossy(&tables).replace("/Size", &format!("/Prev {start}/Size"));
    let _ = text(looped.as_bytes());
}

#[test]
fn deep_nesting_and_huge_lengths_do_no_harm() {
    for deep in [
        [vec![b'['; 200_000], vec![b']'; 200_000]].concat(),
        b"<</A".repeat(100_000),
        b"(".repeat(300_000),
        b"<</Length 9223372036854775807>>stream\nx\nendstream".to_vec(),
        b"<</Type/ObjStm/N 999999999/First 999999999/Length 3>>stream\n1 0\nendstream".to_vec(),
        b"<</Type/XRef/W[99 99999999 9]/Size 2147483647/Index[0 2147483647]/Length 1>>stream\n0\nendstream".to_vec(),
    ] {
        let _ = text(&page(b"BT /F1 9 Tf (x) Tj ET", &[HELVETICA], std::slice::from_ref(&deep)));
        let _ = text(&page(&deep, &[HELVETICA], &[]));
    }
    let nested = b"q ".repeat(1_000_000);
    let _ = text(&page(&nested, &[HELVETICA], &[]));
    let numbers = "<</Type/Font/Subtype/Type1/FirstChar 2147483647/Widths[1 2 3]/Encoding<</Differences[-1/a 9999999999/b 255/c/d]>>>>";
    let odd = b"BT /F1 1e38 Tf 1e38 Tc [(a)-1e38(b)] TJ 1e38 1e38 1e38 1e38 1e38 1e38 Tm (c) Tj 99999999999999999999 0 Td (\\377) Tj ET";
    let _ = text(&page(odd, &[numbers], &[]));
}

#[test]
fn bombs_are_not_unpacked() {
    let bomb = packed("", &vec![b' '; 64 * 1024 * 1024]);
    assert!(bomb.len() < 100_000);
    // As the content of a page, as a part that is drawn often, and as a font's table.
    assert_eq!(text(&page(b"/X Do /X Do /X Do", &[], std::slice::from_ref(&bomb))), Err(Outcome::Nothing));
    let font = "<</Type/Font/Subtype/Type1/Encoding/WinAnsiEncoding/ToUnicode 6 0 R>>";
    assert_eq!(of(&page(b"BT /F1 9 Tf (da) Tj ET", &[font], std::slice::from_ref(&bomb))), "da");
    let mut objects: Vec<Vec<u8>> = vec![
        b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
        b"<</Type/Pages/Kids[3 0 R]>>".to_vec(),
        b"<</Type/Page/Contents[4 0 R 4 0 R 4 0 R 4 0 R]>>".to_vec(),
    ];
    objects.push(bomb);
    assert_eq!(text(&pdf(&objects)), Err(Outcome::Nothing));
}

#[test]
fn no_more_is_kept_than_there_is_room_for() {
    let words = "BT /F1 9 Tf ".to_owned() + &"(wort und ) Tj ".repeat(150_000) + "ET";
    let text = of(&page(words.as_bytes(), &[HELVETICA], &[]));
    assert!((MOST_CHARACTERS - 1..=MOST_CHARACTERS).contains(&text.chars().count()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn damaged_files_are_read_without_a_panic(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..30),
    ) {
        let table = b"1 beginbfrange <00> <ff> <0041> endbfrange";
        let font = "<</Type/Font/Subtype/Type1/FirstChar 32/Widths[5 6 7]/Encoding<</Differences[1/a]>>/ToUnicode 7 0 R>>";
        let mut bytes = page(b"BT /F1 9 Tf [(a)1(b)] TJ ET /X Do", &[font], &[stream("/Subtype/Form", b"(x) Tj"), stream("", table)]);
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let _ = text(&bytes);
    }

    #[test]
    fn any_content_is_read_without_a_panic(
        words in proptest::collection::vec(
            prop_oneof![
                Just("q"), Just("Q"), Just("BT"), Just("ET"), Just("/F1"), Just("/X"), Just("Do"), Just("Tf"), Just("9"), Just("-1e9"),
                Just("(a)"), Just("<41>"), Just("["), Just("]"), Just("TJ"), Just("Tj"), Just("'"), Just("\""), Just("Tm"), Just("Td"),
                Just("cm"), Just("Tz"), Just("Tc"), Just("BI"), Just("ID"), Just("EI"), Just("<<"), Just(">>"), Just("T*"),
            ],
            0..80,
        ),
    ) {
        let content = words.join(" ");
        let _ = text(&page(content.as_bytes(), &[HELVETICA], &[stream("/Subtype/Form", content.as_bytes())]));
    }

    #[test]
    fn any_bytes_after_the_first_are_read_without_a_panic(bytes: Vec<u8>) {
        let _ = text(&[&b"%PDF-1.4\n"[..], &bytes].concat());
    }
}
