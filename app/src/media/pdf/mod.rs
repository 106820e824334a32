//! What does a PDF say?
//!
//! Its text, page after page, where it has text; a scan has none. lopdf reads the file's structure, within bounds; what the
//! pages draw is followed here: where a glyph ends and the next one begins decides whether the two belong to one word
//! (`page`), and what a glyph means is what its font says (`font`, `cmap`).

mod cmap;
mod font;
mod page;
mod text;

use lopdf::{Document, LoadOptions};

use self::{page::Pages, text::Text};
use super::report::Outcome;

/// How large a file is read: lopdf holds it in memory, and much of it twice.
pub(super) const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// How many characters are kept: four novels.
pub(super) const MOST_CHARACTERS: usize = 1_000_000;
/// How many pages are read.
const MOST_PAGES: usize = 1000;
/// How large a stream may become when it is unpacked while the file is loaded.
const LARGEST_STREAM: usize = 32 * 1024 * 1024;

/// Returns the text of a PDF.
pub(super) fn text(bytes: &[u8]) -> Result<String, Outcome> {
    let options = LoadOptions { max_decompressed_size: Some(LARGEST_STREAM), ..LoadOptions::default() };
    let document = Document::load_mem_with_options(bytes, options).map_err(|_| Outcome::Unreadable)?;
    // What is encrypted with an empty password has been decrypted, as every viewer does.
    if document.is_encrypted() {
        return Err(Outcome::Unreadable);
    }
    let mut text = Text::new(MOST_CHARACTERS);
    let mut pages = Pages::new(&document);
    for page in document.page_iter().take(MOST_PAGES) {
        pages.read(page, &mut text);
        text.end_page();
        if text.is_full() || pages.is_exhausted() {
            break;
        }
    }
    let text = text.finish();
    if text.is_empty() { Err(Outcome::Nothing) } else { Ok(text) }
}

#[cfg(test)]
mod tests;
