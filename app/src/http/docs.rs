//! The interactive page of the API's document.
//!
//! It is 1.6 MB of text, most of it Swagger UI: made when a user asks for it, shared by all who read it at that time, however
//! slowly, and not kept after that.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use hyper::body::Bytes;
use poem::{Body, Response, http::header};

/// One page with its script and style inside; it shows nothing that people entered.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// The page while somebody reads it.
#[derive(Debug, Default)]
pub(crate) struct Docs(Mutex<Weak<String>>);

/// What a response holds of it.
struct Part(Arc<String>);

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Docs {
    /// Answers with the page, which `make` makes where nobody reads it at the moment.
    pub(crate) fn answer(&self, make: impl FnOnce() -> String) -> Response {
        Response::builder()
            .content_type("text/html; charset=utf-8")
            .header(header::CONTENT_SECURITY_POLICY, POLICY)
            .body(Body::from_bytes(Bytes::from_owner(Part(self.page(make)))))
    }

    fn page(&self, make: impl FnOnce() -> String) -> Arc<String> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let page = Arc::new(make());
            *shared = Arc::downgrade(&page);
            page
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_who_read_it_at_a_time_share_one_page_and_it_goes_with_the_last() {
        let docs = Docs::default();
        let first = docs.answer(|| "page".to_owned());
        let second = docs.answer(|| panic!("it is there"));
        assert_eq!(first.into_body().into_string().await.unwrap(), "page");
        let third = docs.answer(|| panic!("somebody still reads it"));
        drop((second, third));
        assert_eq!(docs.answer(|| "again".to_owned()).into_body().into_string().await.unwrap(), "again");
    }
}
