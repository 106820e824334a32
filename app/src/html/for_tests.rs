//! What the tests of all pages need: a hostile text.

use maud::Markup;

/// A text that would be a script if it were not escaped.
pub(crate) const EVIL: &str = r#""><script>alert('x')</script>&amp;"#;

/// Sees to it that [`EVIL`] is text in a page.
pub(crate) fn assert_harmless(page: &Markup) {
    let text = &page.0;
    assert!(text.contains("&lt;script&gt;"), "the text is not on the page: {text}");
    let text = text.replace("<script src=\"/assets/", "");
    assert!(!text.contains("<script") && !text.contains("alert('x')</"), "{text}");
}
