//! Hearth among the apps of a phone: its manifest and icons.

use crate::harness::{Data, Start};

/// The width and the height of a PNG.
fn size(picture: &[u8]) -> (u32, u32) {
    assert_eq!(&picture[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(picture[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[test]
fn the_manifest_and_its_icons_are_there_before_anybody_signs_in() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let get = |path: &str| {
        let answer = app.ask_as_nobody("GET", path, &[], b"");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer
    };
    let page = get("/sign-in");
    for link in
        [r#"<link rel="manifest" href="/manifest.webmanifest">"#, r#"<link rel="apple-touch-icon" href="/assets/"#]
    {
        assert!(page.text().contains(link), "{link}: {page:?}");
    }
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("manifest-src 'self';") && policy.contains("img-src 'self' blob:;"), "{policy}");
    let manifest = get("/manifest.webmanifest");
    assert_eq!(manifest.header("content-type"), Some("application/manifest+json"));
    let manifest = manifest.json();
    assert_eq!((&manifest["display"], &manifest["start_url"]), (&"standalone".into(), &"/".into()));
    let icons = manifest["icons"].as_array().unwrap();
    for icon in icons {
        let picture = get(icon["src"].as_str().unwrap());
        assert_eq!(picture.header("content-type"), Some("image/png"));
        assert!(picture.header("cache-control").unwrap().contains("immutable"), "{icon}");
        let (width, height) = size(&picture.body);
        assert_eq!(icon["sizes"], format!("{width}x{height}"));
    }
    for purpose in ["any", "maskable"] {
        assert!(icons.iter().any(|icon| icon["purpose"] == purpose), "{purpose}");
    }
    let touch = page.text().split(r#"rel="apple-touch-icon" href=""#).nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(size(&get(touch).body), (180, 180));
    app.stop();
}
