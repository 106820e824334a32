//! How does a text get into a phone by its camera?
//!
//! As a QR code that is part of the page: SVG, with no style attribute, since the pages' policy forbids it. Dark on a
//! white field of its own, so that it reads in dark mode too.

use maud::{Markup, html};
use qrcodegen::{QrCode, QrCodeEcc};

/// The quiet zone around the code, in modules (ISO/IEC 18004).
const QUIET: i32 = 4;

/// Returns the picture of a text, with a label for those who do not see it; nothing when the text is too long for one.
pub(crate) fn picture(text: &str, label: &str) -> Option<Markup> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let side = code.size() + 2 * QUIET;
    Some(html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (side) " " (side) } role="img" aria-label=(label)
            shape-rendering="crispEdges" {
            rect width=(side) height=(side) fill="#fff" {}
            path d=(dark(&code)) fill="#000" {}
        }
    })
}

/// Returns the dark modules as one path, each run of them in a row as one rectangle.
fn dark(code: &QrCode) -> String {
    let mut path = String::new();
    for y in 0..code.size() {
        let mut x = 0;
        while x < code.size() {
            let start = x;
            // Beyond the edge all is light.
            while code.get_module(x, y) {
                x += 1;
            }
            if x > start {
                path.push_str(&format!("M{} {}h{}v1h-{}z", start + QUIET, y + QUIET, x - start, x - start));
            }
            x += 1;
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_covers_the_dark_modules_and_nothing_else() {
        let code = QrCode::encode_text("otpauth://totp/Hearth:anna", QrCodeEcc::Medium).unwrap();
        let mut covered = vec![];
        for run in dark(&code).split_terminator('z') {
            let numbers: Vec<i32> =
                run.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect();
            let &[x, y, width, 1, back] = numbers.as_slice() else { panic!("{run}") };
            assert_eq!(width, back);
            covered.extend((x..x + width).map(|x| (x - QUIET, y - QUIET)));
        }
        let all = || (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (x, y)));
        assert_eq!(covered, all().filter(|(x, y)| code.get_module(*x, *y)).collect::<Vec<_>>());
    }

    #[test]
    fn it_needs_no_style_has_a_name_and_escapes_it() {
        let svg = picture("hello", "The code for \"Anna\" <3").unwrap().into_string();
        assert!(svg.starts_with("<svg ") && svg.contains("role=\"img\"") && !svg.contains("style"), "{svg}");
        assert!(svg.contains("aria-label=\"The code for &quot;Anna&quot; &lt;3\""), "{svg}");
        assert!(svg.contains("viewBox=\"0 0 29 29\""), "{svg}");
    }

    #[test]
    fn what_does_not_fit_is_said() {
        assert!(picture(&"x".repeat(10_000), "long").is_none());
    }
}
