//! What nobody reads anywhere: codes, tokens and the client's secret.

use std::{collections::HashMap, fs};

use serde_json::json;
use url::Url;

use super::{CALLBACK, Visitor, add_alice, back, let_in, say, with};
use crate::{
    client::Answer,
    harness::Data,
    provider::{Provider, SECRET, Signs},
};

/// What was secret in a run, and what could be read of it.
#[derive(Default)]
struct Seen {
    secrets: Vec<(&'static str, String)>,
    pages: Vec<String>,
}

impl Seen {
    /// Keeps what a page shows, not the address that it leads to or its cookies: these are for the browser alone.
    fn page(&mut self, answer: &Answer) {
        self.pages.push(answer.text().to_owned());
    }

    fn secret(&mut self, what: &'static str, text: &str) {
        self.secrets.push((what, text.to_owned()));
    }

    /// Keeps what the provider was told and what the browser keeps.
    fn after(&mut self, provider: &Provider, visitor: &Visitor) {
        for (form, authorization) in &provider.ways().posted {
            self.secret("the verifier", &form["code_verifier"]);
            self.secret(
                "the client's secret as a header",
                authorization.as_deref().unwrap().split(' ').nth(1).unwrap(),
            );
        }
        for value in visitor.0.cookies.values() {
            self.secret("a cookie", value);
        }
    }
}

#[test]
fn no_log_no_page_and_no_database_has_a_secret_in_it() {
    for format in ["text", "json"] {
        let (provider, data) = (Provider::start(), Data::new());
        add_alice(&data);
        provider.ways().access_token = "the-access-token".to_owned();
        // The level at which the libraries speak as well.
        let app = with(&data, &provider).env("HEARTH_LOG__LEVEL", "trace").env("HEARTH_LOG__FORMAT", format).start();
        let mut seen = Seen::default();
        seen.secret("the client's secret", SECRET);
        seen.secret("the client's secret in a form", "a+secret%3A+with+%2B+and+%25");
        seen.secret("the access token", "the-access-token");
        // Every JWT begins with a brace.
        seen.secret("the ID token", "eyJ");

        let visit = |seen: &mut Seen, visitor: &mut Visitor| {
            let location = visitor.begin(&app);
            let query: HashMap<_, _> = Url::parse(&location).unwrap().query_pairs().into_owned().collect();
            for key in ["state", "nonce"] {
                seen.secret(key, &query[key]);
            }
            let (code, state) = provider.visit(&location);
            seen.secret("the code", &code);
            seen.after(&provider, visitor);
            (code, state)
        };
        // Well, and in each way that it goes wrong.
        let mut visitor = Visitor::default();
        let (code, state) = visit(&mut seen, &mut visitor);
        let answer = visitor.open(&app, &back(&code, &state));
        seen.page(&answer);
        seen.after(&provider, &visitor);
        let_in(&mut visitor, &app, &answer);
        for page in ["/", "/account"] {
            seen.page(&visitor.open(&app, page));
        }
        seen.page(&visitor.open(&app, &back(&code, &state)));

        say(&provider, &[("nonce", json!("another"))]);
        let (code, state) = visit(&mut seen, &mut visitor);
        seen.page(&visitor.open(&app, &back(&code, &state)));
        say(&provider, &[("email", json!("stranger@example.org")), ("sub", json!("stranger"))]);
        let (code, state) = visit(&mut seen, &mut visitor);
        seen.page(&visitor.open(&app, &back(&code, &state)));
        say(&provider, &[]);
        provider.ways().signs = Signs::Wrongly;
        let (code, state) = visit(&mut seen, &mut visitor);
        seen.page(&visitor.open(&app, &back(&code, &state)));
        provider.ways().token_answer = Some((401, json!({ "error": "invalid_client" }).to_string()));
        let (code, state) = visit(&mut seen, &mut visitor);
        seen.page(&visitor.open(&app, &back(&code, &state)));
        let answer =
            r#"{"access_token":"the-access-token","token_type":"Bearer","id_token":"eyJhbGciOiJFUzI1NiJ9.e30"}"#;
        provider.ways().token_answer = Some((200, answer.to_owned()));
        let (code, state) = visit(&mut seen, &mut visitor);
        seen.page(&visitor.open(&app, &back(&code, &state)));
        let (code, state) = visit(&mut seen, &mut visitor);
        seen.page(&visitor.open(&app, &format!("{CALLBACK}?error=access_denied&code={code}&state={state}")));
        seen.page(&app.ask("GET", "/audit", &[("accept", "text/html")], b""));
        seen.page(&app.get("/api/v1/audit-events?limit=200"));
        seen.after(&provider, &visitor);

        let lines = app.stop().join("\n");
        assert!(lines.contains("Serving on http://"), "{lines}");
        let kept = [data.database(), data.wal()].map(|path| fs::read(path).unwrap_or_default()).concat();
        let kept = String::from_utf8_lossy(&kept);
        for (what, secret) in &seen.secrets {
            assert!(secret.len() > 2, "{what}");
            assert!(!lines.contains(&**secret), "{what} ({secret}) is in the log:\n{lines}");
            assert!(!kept.contains(&**secret), "{what} ({secret}) is in the database");
            for page in &seen.pages {
                assert!(!page.contains(&**secret), "{what} ({secret}) is on a page:\n{page}");
            }
        }
        assert!(seen.pages.len() > 10 && seen.secrets.len() > 30);
    }
}
