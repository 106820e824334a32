//! What does somebody see whose session ended while they were filling in a form?
//!
//! That nothing was saved, and a way to sign in that leaves this page open. It carries what they sent, to be sent again:
//! going back does not always help, since some browsers empty the forms of pages that are not to be stored.

use maud::html;
use poem::Response;
use url::form_urlencoded;

use super::{Frame, refused};
use crate::http::Problem;

/// Fields that no page ever sends back.
const SECRETS: [&str; 4] = ["code", "current_password", "new_password", "password"];

/// Returns the page for a form that was sent to `path` with `body`, by nobody any more.
pub(crate) fn session_over(problem: &Problem, path: &str, body: &[u8]) -> Response {
    let sent: Vec<_> = form_urlencoded::parse(body).filter(|(name, _)| !SECRETS.contains(&&**name)).collect();
    let title = "Your session has ended";
    let content = html! {
        div.narrow {
            h1 { (title) }
            p {
                strong { "Nothing was saved." }
                " Sign in again in a new tab, then return to this one."
            }
            p { a.button.main.wide href="/sign-in" target="_blank" rel="noopener" { "Sign in in a new tab" } }
            @if sent.is_empty() {
                p { "After signing in, go back one page and try again." }
            } @else {
                form.card method="post" action=(path) {
                    p { "Your input is kept on this page. After signing in, submit it again." }
                    @for (name, value) in &sent { input type="hidden" name=(name) value=(value); }
                    button { "Submit again" }
                }
            }
        }
    };
    refused(problem, Frame::default().page(title, &content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::for_tests::EVIL;

    async fn text(body: &str) -> String {
        session_over(&Problem::unauthorized("Not signed in."), "/records", body.as_bytes())
            .into_body()
            .into_string()
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn what_was_typed_can_be_sent_again_and_secrets_are_not_sent_back() {
        let page = text("title=Boiler&notes=one%0D%0Atwo+%26&password=hunter2&code=123456").await;
        assert!(page.contains(r#"action="/records""#) && page.contains(r#"name="title" value="Boiler""#), "{page}");
        assert!(page.contains("value=\"one\r\ntwo &amp;\""), "{page}");
        assert!(!page.contains("hunter2") && !page.contains("123456"), "{page}");
        let page = text("current_password=a&new_password=b").await;
        assert!(!page.contains("<form") && page.contains("go back"), "{page}");
    }

    #[tokio::test]
    async fn text_of_people_is_never_taken_for_html() {
        let evil: String = form_urlencoded::byte_serialize(EVIL.as_bytes()).collect();
        let page = text(&format!("{evil}={evil}")).await;
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
    }
}
