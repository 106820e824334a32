//! The pages of accounts, as a browser without scripts uses them.

use super::browser::{Browser, PASSWORD, join};
use crate::harness::{App, Data, Start};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml");
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");

#[test]
fn a_form_sent_after_the_session_ended_is_kept_to_be_sent_again() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut browser = join(&app, "member", "anna@example.org");
    data.sql("DELETE FROM session");
    let body = "title=Boiler+%3Cb%3E&notes=one%0D%0Atwo";
    let send = |browser: &Browser, path: &str, body: &str| {
        app.ask_as_nobody("POST", path, &[FORM, HTML, OWN, ("cookie", &browser.cookie())], body.as_bytes())
    };
    let over = send(&browser, "/records", body);
    assert_eq!(over.status, 401, "{over:?}");
    let text = over.text();
    for words in [
        "Nothing was saved.",
        r#"href="/sign-in" target="_blank" rel="noopener""#,
        r#"<form class="card" method="post" action="/records">"#,
        r#"name="title" value="Boiler &lt;b&gt;""#,
        "value=\"one\r\ntwo\"",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // No password comes back, and who wanted to sign out is.
    let over = send(&browser, "/account/password", "current_password=old-otter&new_password=new-otter");
    assert_eq!(over.status, 401);
    assert!(!over.text().contains("otter"), "{}", over.text());
    let out = send(&browser, "/sign-out", "");
    assert_eq!((out.status, out.header("location")), (303, Some("/sign-in")));
    // A program gets a document.
    app.ask_as_nobody("POST", "/records", &[FORM, OWN], body.as_bytes()).problem(401);
    // Signed in again, in another tab.
    let answer = send(&browser, "/sign-in", &format!("email=anna%40example.org&password={PASSWORD}"));
    assert_eq!(answer.status, 303, "{answer:?}");
    browser.keep(&answer);
    assert_eq!(send(&browser, "/records", body).status, 303);
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM record"), 1);
}

#[test]
fn who_is_disabled_gets_no_link_by_the_pages() {
    let data = Data::new();
    data.add_person("member", "hearth_member");
    let app = Start::alone(&data).start();
    let send = |path: &str, body: &str| app.ask("POST", path, &[FORM, HTML], body.as_bytes());
    assert!(app.get("/people").text().contains("/people/2/reset"));
    assert_eq!(send("/people/2", "disabled=true").status, 303);
    assert!(!app.get("/people").text().contains("/people/2/reset"));
    // The page was open before.
    let refused = send("/people/2/reset", "");
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(refused.text().contains("The member is disabled"), "{}", refused.text());
    assert!(refused.text().contains("<title>Error: People"), "{}", refused.text());
    assert_eq!(send("/people/2", "disabled=false").status, 303);
    assert_eq!(send("/people/2/reset", "").status, 200);
    app.stop();
}

#[test]
fn a_link_that_others_may_not_be_able_to_open_is_shown_with_a_warning() {
    let data = Data::new();
    let invite = |app: &App, host: &str| {
        let answer = app.ask("POST", "/people/invitations", &[FORM, HTML, ("host", host)], b"role=guest");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text().to_owned()
    };
    let app = Start::alone(&data).start();
    let here = invite(&app, "nas:3000");
    assert!(here.contains("http://nas:3000/invitation/") && here.contains("HEARTH_HTTP__PUBLIC_URL"), "{here}");
    let alone = invite(&app, "localhost:3000");
    assert!(alone.contains("only works on this machine") && alone.contains("HEARTH_HTTP__PUBLIC_URL"), "{alone}");
    app.stop();
    let app = Start::alone(&data).env("HEARTH_HTTP__PUBLIC_URL", "https://hearth.example.org").start();
    let everybody = invite(&app, "localhost:3000");
    assert!(everybody.contains("https://hearth.example.org/invitation/"), "{everybody}");
    assert!(!everybody.contains("HEARTH_HTTP__PUBLIC_URL"), "{everybody}");
    app.stop();
}

#[test]
fn who_is_locked_out_reads_what_to_do_and_a_refusal_is_in_the_title() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let page = app.ask_as_nobody("GET", "/sign-in", &[HTML], b"");
    assert!(page.text().contains("app user reset-password"), "{}", page.text());
    let wrong = app.ask_as_nobody("POST", "/sign-in", &[FORM, HTML], b"email=a%40example.org&password=wrong");
    assert_eq!(wrong.status, 401);
    assert!(wrong.text().contains("<title>Error: Sign in"), "{}", wrong.text());
    app.stop();
}
