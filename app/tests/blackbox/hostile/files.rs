//! The files that a stranger may send: one function for each trick.

use std::io::{Cursor, Write};

use flate2::{Compression, write::ZlibEncoder};

use crate::attachments::png;

/// A file.
#[derive(Debug, Clone)]
pub(super) struct Hostile {
    /// As it is sent.
    pub(super) name: String,
    /// As it is kept.
    pub(super) kept: String,
    pub(super) content: Vec<u8>,
    /// Whether a page may show it: its type is that of a picture or a PDF, and the browser is told to take it for nothing else.
    pub(super) is_inline: bool,
}

/// Returns all of them.
pub(super) fn all() -> Vec<Hostile> {
    let tricks = [
        page(),
        page_that_calls_itself_a_picture(),
        page_without_its_beginning(),
        drawing_with_a_script(),
        script(),
        document_with_a_style(),
        program(),
        picture_that_is_a_page(),
        picture_that_is_an_archive(),
        picture_of_too_many_pixels(),
        picture_whose_directory_leads_to_itself(),
        document_with_a_script(),
        document_whose_pages_lead_to_themselves(),
        document_that_draws_itself(),
        document_of_brackets(),
        document_that_unpacks_to_much(),
        archive_that_unpacks_to_much(),
    ];
    tricks.into_iter().chain(names()).collect()
}

fn file(name: &str, content: impl Into<Vec<u8>>) -> Hostile {
    Hostile { name: name.to_owned(), kept: name.to_owned(), content: content.into(), is_inline: false }
}

fn shown(file: Hostile) -> Hostile {
    Hostile { is_inline: true, ..file }
}

fn page() -> Hostile {
    file("page.html", "<!DOCTYPE html><script>alert(1)</script>")
}

fn page_that_calls_itself_a_picture() -> Hostile {
    file("picture.png", "<html><script>alert(1)</script>")
}

fn page_without_its_beginning() -> Hostile {
    file("notes.txt", " \n <script>alert(1)</script>")
}

fn drawing_with_a_script() -> Hostile {
    file("drawing.svg", "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><script>alert(1)</script></svg>")
}

fn script() -> Hostile {
    file("code.js", "alert(1)")
}

fn document_with_a_style() -> Hostile {
    file(
        "page.xml",
        "<?xml version='1.0'?><?xml-stylesheet type='text/xsl' href='/x'?><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>",
    )
}

fn program() -> Hostile {
    file("receipt.pdf.exe", b"MZ\x90\0\x03")
}

fn picture_that_is_a_page() -> Hostile {
    shown(file("picture.html", "GIF89a/*<html>*/=1;alert(1)//<script>alert(1)</script>"))
}

fn picture_that_is_an_archive() -> Hostile {
    let mut picture = Cursor::new(Vec::new());
    image::RgbImage::new(8, 8).write_to(&mut picture, image::ImageFormat::Jpeg).unwrap();
    let archive = crate::portability::packed(&[("../../x.html".to_owned(), b"<script>".to_vec())].into());
    shown(file("photo.jpg.zip", [picture.into_inner(), archive].concat()))
}

fn picture_of_too_many_pixels() -> Hostile {
    let mut picture = png(4, 4);
    let head = picture.windows(4).position(|window| window == b"IHDR").unwrap() + 4;
    picture[head..head + 8].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let mut sum = flate2::Crc::new();
    sum.update(&picture[head - 4..head + 13]);
    picture[head + 13..head + 17].copy_from_slice(&sum.sum().to_be_bytes());
    shown(file("huge.png", picture))
}

fn picture_whose_directory_leads_to_itself() -> Hostile {
    // One entry, GPS, whose directory is this one; and so is the next.
    let exif = b"\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x25\x88\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0";
    let mut picture = Cursor::new(Vec::new());
    image::RgbImage::new(8, 8).write_to(&mut picture, image::ImageFormat::Jpeg).unwrap();
    let picture = picture.into_inner();
    shown(file("loop.jpg", [&picture[..2], exif, &picture[2..]].concat()))
}

/// A PDF of these objects, numbered from 1 on; the first is the catalog.
fn pdf(objects: &[&[u8]]) -> Vec<u8> {
    let mut pdf = b"%PDF-1.7\n".to_vec();
    for (number, object) in (1..).zip(objects) {
        pdf.extend([format!("{number} 0 obj\n").as_bytes(), object, b"\nendobj\n"].concat());
    }
    pdf.extend(b"trailer\n<</Root 1 0 R>>\n%%EOF\n");
    pdf
}

fn stream(entries: &str, content: &[u8]) -> Vec<u8> {
    let begin = format!("<<{entries}/Length {}>>stream\n", content.len());
    [begin.as_bytes(), content, b"\nendstream"].concat()
}

fn deflated(content: &[u8]) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    packed.write_all(content).unwrap();
    packed.finish().unwrap()
}

const CATALOG: &[u8] = b"<</Type/Catalog/Pages 2 0 R>>";

fn document_with_a_script() -> Hostile {
    let catalog =
        b"<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.alert(1))>>/AA<</O<</S/Launch/F(/bin/sh)>>>>>>";
    shown(file("script.pdf", pdf(&[catalog, b"<</Type/Pages/Kids[]/Count 0>>"])))
}

fn document_whose_pages_lead_to_themselves() -> Hostile {
    let page = b"<</Type/Page/Parent 2 0 R/Contents 3 0 R/Resources 3 0 R>>";
    shown(file("loop.pdf", pdf(&[CATALOG, b"<</Type/Pages/Kids[2 0 R 2 0 R 3 0 R]/Parent 2 0 R>>", page])))
}

fn document_that_draws_itself() -> Hostile {
    let draws = b"/X Do /X Do /X Do";
    let form = stream("/Subtype/Form/Resources<</XObject<</X 4 0 R>>>>", draws);
    let page = b"<</Type/Page/Parent 2 0 R/Contents 5 0 R/Resources<</XObject<</X 4 0 R>>>>>>";
    let pages = b"<</Type/Pages/Kids[3 0 R]/Count 1>>";
    shown(file("draws.pdf", pdf(&[CATALOG, pages, page, &form, &stream("", draws)])))
}

fn document_of_brackets() -> Hostile {
    shown(file("deep.pdf", pdf(&[CATALOG, &[vec![b'['; 200_000], vec![b']'; 200_000]].concat()])))
}

fn document_that_unpacks_to_much() -> Hostile {
    let bomb = stream("/Filter/FlateDecode", &deflated(&vec![b' '; 32 << 20]));
    let page = b"<</Type/Page/Parent 2 0 R/Contents[4 0 R 4 0 R 4 0 R 4 0 R]>>";
    shown(file("bomb.pdf", pdf(&[CATALOG, b"<</Type/Pages/Kids[3 0 R]/Count 1>>", page, &bomb])))
}

fn archive_that_unpacks_to_much() -> Hostile {
    file("bomb.zip", crate::portability::packed(&[("zeros".to_owned(), vec![0; 32 << 20])].into()))
}

/// The names that lead elsewhere, or look like another.
fn names() -> Vec<Hostile> {
    let long = "n".repeat(300);
    let names: Vec<(String, String)> = [
        ("../../etc/passwd", "etc-passwd"),
        ("..\\..\\windows\\system.ini", "windows-system.ini"),
        ("/etc/shadow", "etc-shadow"),
        ("C:\\fakepath\\scan.txt", "C:-fakepath-scan.txt"),
        ("a\0b\r\nSet-Cookie: x=y.txt", "abSet-Cookie: x=y.txt"),
        ("invoice\u{202e}fdp.exe", "invoicefdp.exe"),
        ("\u{2066}x\u{2069}\u{200b}.txt", "x.txt"),
        (".htaccess", "htaccess"),
        ("..", "file"),
        ("CON.txt", "CON.txt"),
        ("nul", "nul"),
        ("a\"; filename=\"b.html", "a\"; filename=\"b.html"),
        ("](javascript:alert(1)).txt", "](javascript:alert(1)).txt"),
        ("<img src=x onerror=alert(1)>.txt", "<img src=x onerror=alert(1)>.txt"),
        ("=HYPERLINK(\"http://evil\").csv", "=HYPERLINK(\"http:--evil\").csv"),
    ]
    .into_iter()
    .map(|(name, kept)| (name.to_owned(), kept.to_owned()))
    .chain([(format!("{long}.bin"), format!("{}.bin", &long[..251]))])
    .collect();
    // Each with a content of its own.
    names.into_iter().map(|(name, kept)| Hostile { kept, ..file(&name, format!("content of {name:?}")) }).collect()
}

/// Titles, notes and other texts of records.
pub(super) const TEXTS: [&str; 8] = [
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![x](http://evil.example/x.png)",
    "[x]: javascript:alert(1)",
    "\" onmouseover=\"alert(1)",
    "=HYPERLINK(\"http://evil\")",
];
