//! The child that reads pictures and PDFs: what it answers, and what it may not do.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use app::media::{self, MediaError};
use image::{DynamicImage, ImageFormat, RgbImage};
use nix::sys::signal::Signal;

const APP: &str = env!("CARGO_BIN_EXE_app");

/// A file with this content, opened for reading and writing.
fn file(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    // Where its position is, is no matter.
    file.write_all(content).unwrap();
    file
}

fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let noise =
        RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * 7 + y * 3) as u8, (x ^ y) as u8, (x * y) as u8]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(noise).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A PDF that says this.
fn pdf(words: &str) -> Vec<u8> {
    let content = format!("BT /F1 12 Tf ({words}) Tj ET");
    format!(
        "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
         3 0 obj<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F1<</Type/Font/Subtype/Type1\
         /BaseFont/Helvetica/Encoding/WinAnsiEncoding>>>>>>>>endobj\n\
         4 0 obj<</Length {}>>stream\n{content}\nendstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
        content.len()
    )
    .into_bytes()
}

/// A JPEG with EXIF data: an orientation, and a GPS directory with one entry, a latitude's reference.
fn with_location() -> Vec<u8> {
    let exif = b"\xff\xe1\0\x46Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\x88\x25\0\x04\0\0\0\x01\0\0\0\x26\
        \0\0\0\0\0\x01\0\x01\0\x02\0\0\0\x02N\0\0\0\0\0\0\0rest of it";
    let jpeg = picture(80, 40, ImageFormat::Jpeg);
    [&jpeg[..2], exif, &jpeg[2..]].concat()
}

fn use_app() {
    media::use_program(APP.into());
}

#[tokio::test]
async fn pictures_have_previews_and_other_files_none() {
    use_app();
    for (format, media_type) in
        [(ImageFormat::Jpeg, "image/jpeg"), (ImageFormat::Png, "image/png"), (ImageFormat::WebP, "image/webp")]
    {
        let preview = media::preview(file(&picture(1300, 900, format)), media_type).await.unwrap().unwrap();
        let preview = image::load_from_memory_with_format(&preview, ImageFormat::Jpeg).unwrap();
        assert_eq!((preview.width(), preview.height()), (640, 443));
    }
    assert!(media::preview(file(b"%PDF-1.4"), "application/pdf").await.unwrap().is_none());
    for damaged in [&b""[..], b"\xff\xd8\xff", b"<svg/>", &picture(100, 100, ImageFormat::Png)[..50]] {
        let preview = media::preview(file(damaged), "image/png").await;
        assert!(matches!(preview, Err(MediaError::Unreadable)), "{preview:?}");
    }
}

#[tokio::test]
async fn a_phones_largest_picture_has_a_preview_within_the_limits() {
    use_app();
    let large = DynamicImage::ImageRgb8(RgbImage::new(8000, 6200));
    for format in [ImageFormat::Jpeg, ImageFormat::Png] {
        let mut bytes = std::io::Cursor::new(Vec::new());
        large.write_to(&mut bytes, format).unwrap();
        let preview =
            media::preview(file(bytes.get_ref()), if format == ImageFormat::Png { "image/png" } else { "image/jpeg" });
        assert!(preview.await.unwrap().is_some(), "{format:?}");
    }
}

#[tokio::test]
async fn a_pdf_says_its_text_and_a_scan_none() {
    use_app();
    let text = media::pdf_text(file(&pdf("Garantie bis M\\344rz 2031"))).await.unwrap();
    assert_eq!(text.as_deref(), Some("Garantie bis März 2031"));
    assert_eq!(media::pdf_text(file(&pdf(" "))).await.unwrap(), None);
    assert!(matches!(media::pdf_text(file(&picture(8, 8, ImageFormat::Jpeg))).await, Err(MediaError::Unreadable)));
    let sparse = file(b"%PDF-1.4");
    sparse.set_len(65 << 20).unwrap();
    assert!(matches!(media::pdf_text(sparse).await, Err(MediaError::TooLarge)));
}

#[tokio::test]
async fn a_location_goes_from_the_file_itself_and_all_else_stays() {
    use_app();
    let before = with_location();
    let mut kept = file(&before);
    assert!(media::remove_location(kept.try_clone().unwrap()).await.unwrap());
    let mut after = Vec::new();
    kept.seek(SeekFrom::Start(0)).unwrap();
    kept.read_to_end(&mut after).unwrap();
    let mut expected = before;
    let gps = expected.windows(7).position(|window| window == b"\0\x01\0\x01\0\x02\0").unwrap();
    expected[gps..gps + 14].fill(0);
    assert!(after == expected);
    assert!(!media::remove_location(kept).await.unwrap(), "there is nothing left");
    assert!(!media::remove_location(file(b"a text")).await.unwrap());
    // Opened for reading only, the location would stay: that is an error, and no success.
    let place = tempfile::NamedTempFile::new().unwrap();
    fs::write(place.path(), with_location()).unwrap();
    assert!(media::remove_location(File::open(place.path()).unwrap()).await.is_err());
}

#[tokio::test]
async fn children_wait_for_one_another() {
    use_app();
    let all: Vec<_> = (0..8).map(|_| tokio::spawn(media::pdf_text(file(&pdf("one"))))).collect();
    for one in all {
        assert_eq!(one.await.unwrap().unwrap().as_deref(), Some("one"));
    }
}

/// Has a child make an attempt, with a file that is a PDF and no picture.
fn attempt(task: &str, faults: &str, place: &Path) -> Output {
    let file = File::options().read(true).write(true).open(place).unwrap();
    let mut child = Command::new(APP);
    child.args(["media", task]).env_clear().env("HEARTH_FAULT", faults);
    child.stdin(file).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
}

/// The table of docs/SECURITY.md: what is tried, what comes of it in a child that reads, and in one that may overwrite, and why.
fn table() -> Vec<[&'static str; 4]> {
    let document = include_str!("../../../docs/SECURITY.md");
    let (_, section) = document.split_once("## The child that reads pictures and PDFs").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    rows.filter_map(|cells| <[&str; 4]>::try_from(cells).ok()).filter(|[_, reads, ..]| *reads == "denied").collect()
}

#[test]
fn each_attempt_of_a_hijacked_child_ends_as_the_table_says() {
    let table = table();
    assert!(table.len() >= 13, "{table:?}");
    let content = pdf("as it was");
    let place = tempfile::NamedTempFile::new().unwrap();
    for [name, reads, overwrites, why] in table {
        for (task, expected) in [("text", reads), ("location", overwrites)] {
            fs::write(place.path(), &content).unwrap();
            let hurry = if why == "alarm" { "media.little-time" } else { "media.little-processor" };
            let ended = attempt(task, &format!("media={name},{hurry}"), place.path());
            let outcome = if ended.status.success() { "possible" } else { "denied" };
            assert_eq!(outcome, expected, "{task}: {name}: {ended:?}");
            let signal = ended.status.signal().map(|signal| Signal::try_from(signal).unwrap());
            let stopped = match why.split([' ', ';']).next().unwrap() {
                "seccomp" => Some(Signal::SIGSYS),
                "RLIMIT_FSIZE" => Some(Signal::SIGXFSZ),
                "RLIMIT_CPU" => Some(Signal::SIGXCPU),
                "RLIMIT_AS" => None,
                "alarm" => Some(Signal::SIGALRM),
                other => panic!("docs/SECURITY.md: {name}: {other}"),
            };
            if outcome == "denied" {
                // A child that only reads may write to no file in the first place.
                let is_sooner = task == "text" && signal == Some(Signal::SIGSYS);
                assert!(signal == stopped || is_sooner, "{task}: {name}: {ended:?}");
                assert!(
                    ended.stdout.is_empty() && fs::read(place.path()).unwrap() == content,
                    "{task}: {name}: {ended:?}"
                );
            }
        }
    }
    // The attempts are real: without the filter, which old kernels do not have, they succeed; the limits are there still.
    for (name, outcome) in
        [("signal the app", true), ("start a thread", true), ("take more memory", false), ("open a file", false)]
    {
        let ended = attempt("text", &format!("media={name},seccomp=none"), place.path());
        assert_eq!(ended.status.success(), outcome, "{name}: {ended:?}");
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(!outcome || said.contains(r#""seccomp":false"#), "{said}");
    }
    // One that panics ends as every program does that panics.
    assert_eq!(attempt("text", "media=panic", place.path()).status.code(), Some(101));
}
