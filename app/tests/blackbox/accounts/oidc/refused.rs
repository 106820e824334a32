//! Those who are turned away, and what a person reads then.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{BEGIN, CALLBACK, PENDING, SESSION, Visitor, add_alice, back, kinds, let_in, say, turned_away, with};
use crate::{
    harness::{Data, Start},
    provider::{CLIENT, Provider, Signs},
};

/// What is said about a sign-in that is not this browser's, or not any more.
const STALE: &str = "This sign-in was started in another browser or has expired. Start again.";

#[test]
fn without_the_setting_there_is_no_such_way() {
    let data = Data::new();
    let app = Start::alone(&data).env("HEARTH_HTTP__PUBLIC_URL", "https://hearth.example.org").start();
    let mut visitor = Visitor::default();
    assert!(!visitor.open(&app, "/sign-in").text().contains("oidc"));
    for path in [BEGIN, CALLBACK] {
        let answer = visitor.open(&app, path);
        turned_away(&mut visitor, &app, &answer, 404, "Single sign-on is not set up.");
        app.get(path).problem(404);
    }
    app.stop();
}

#[test]
fn an_email_that_is_not_verified_or_not_known_is_nobodys() {
    let (provider, data) = (Provider::start(), Data::new());
    add_alice(&data);
    provider.ways().info = json!({ "sub": "alice-1" });
    let app = with(&data, &provider).start();
    let unverified = "The provider has not verified that alice@example.org is your e-mail, so it was not linked. \
                      Verify it there and try again,";
    let none = "The provider did not send your e-mail, so the account was not linked. Add one there, verify it and try \
                again,";
    let unknown = "Ask an admin or an owner for an invitation.";
    for (claims, words) in [
        (&[("email_verified", json!(false))][..], unverified),
        (&[("email_verified", json!("false"))], unverified),
        (&[("email_verified", Value::Null)], unverified),
        (&[("email", Value::Null)], none),
        (&[("email", json!("alice@example.org.evil.example"))], unknown),
        (&[("email", json!("alice@example.org\u{0}"))], none),
        (&[("email", json!("stranger@example.org")), ("sub", json!("stranger"))], unknown),
    ] {
        say(&provider, claims);
        let mut visitor = Visitor::default();
        let answer = visitor.sign_in(&app, &provider);
        turned_away(&mut visitor, &app, &answer, 403, words);
    }
    let events = app.get("/api/v1/audit-events").json();
    assert_eq!(kinds(&app), json!(vec!["sign_in_failed"; 7]));
    assert_eq!(events["items"][0]["who"], "stranger@example.org");
    assert_eq!(
        (&events["items"][3]["who"], &events["items"][3]["method"]),
        (&json!("alice-1"), &json!("single sign-on"))
    );
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM account WHERE provider = 'oidc'"), 0);
    assert_eq!(data.count("SELECT count(*) FROM user"), 2);
}

#[test]
fn a_sign_in_is_for_the_browser_that_began_it() {
    let (provider, data) = (Provider::start(), Data::new());
    add_alice(&data);
    let app = with(&data, &provider).start();
    let mut alice = Visitor::default();
    let path = alice.visit(&app, &provider);
    // Nobody is signed in as somebody else by a link that these sent them, whether or not they began one of their own.
    let mut without = Visitor::default();
    let answer = without.open(&app, &path);
    turned_away(&mut without, &app, &answer, 401, STALE);
    let mut own = Visitor::default();
    own.begin(&app);
    let answer = own.open(&app, &path);
    turned_away(&mut own, &app, &answer, 401, STALE);
    // Two cookies of this name: one may be planted, and nobody knows which.
    let planted = format!("{PENDING}=planted; {}", alice.0.cookie());
    let headers = [("host", "hearth.example.org"), ("accept", "text/html"), ("cookie", &*planted)];
    let answer = app.ask_as_nobody("GET", &path, &headers, b"");
    turned_away(&mut Visitor::default(), &app, &answer, 401, STALE);
    // Over plain http the cookie of https counts for nothing.
    let kept = alice.0.cookie().replace(PENDING, "hearth-oidc");
    let headers = [("host", "hearth.example.org"), ("accept", "text/html"), ("cookie", &*kept)];
    let answer = app.ask_as_nobody("GET", &path, &headers, b"");
    turned_away(&mut Visitor::default(), &app, &answer, 401, STALE);
    // No code was spent on any of it.
    assert_eq!(provider.ways().posted.len(), 0);
    let answer = alice.open(&app, &path);
    let_in(&mut alice, &app, &answer);
    app.stop();
}

#[test]
fn an_email_that_passed_to_somebody_else_is_not_believed_again() {
    let (provider, data) = (Provider::start(), Data::new());
    let alice = add_alice(&data);
    let app = with(&data, &provider).env("HEARTH_AUTH__OIDC_JOIN", "member").start();
    let mut visitor = Visitor::default();
    let answer = visitor.sign_in(&app, &provider);
    let_in(&mut visitor, &app, &answer);
    say(&provider, &[("sub", json!("bob-2"))]);
    let mut bob = Visitor::default();
    let answer = bob.sign_in(&app, &provider);
    turned_away(&mut bob, &app, &answer, 403, "or that user is linked to another account at the provider");
    // Until she takes the former one away.
    let links = data.count("SELECT id FROM account WHERE provider = 'oidc'");
    data.sql(&format!("DELETE FROM account WHERE id = {links}"));
    let answer = bob.sign_in(&app, &provider);
    assert_eq!(let_in(&mut bob, &app, &answer)["id"], alice);
    app.stop();
}

#[test]
fn who_begins_thousands_ends_nobody_elses() {
    let (provider, data) = (Provider::start(), Data::new());
    add_alice(&data);
    let app = with(&data, &provider).start();
    let mut alice = Visitor::default();
    let path = alice.visit(&app, &provider);
    for _ in 0..1_000 {
        assert_eq!(app.ask_from("127.0.0.2", "GET", "/sign-in/oidc?moved=true", b"").status, 303);
    }
    let answer = alice.open(&app, &path);
    let_in(&mut alice, &app, &answer);
    app.stop();
}

#[test]
fn a_sign_in_is_good_for_one_try() {
    let (provider, data) = (Provider::start(), Data::new());
    add_alice(&data);
    let app = with(&data, &provider).start();
    for wrong in ["", "state=", "state=wrong", "code=code-0", "state=a&state=b", "state=%FF"] {
        let mut visitor = Visitor::default();
        let path = visitor.visit(&app, &provider);
        let answer = visitor.open(&app, &format!("{CALLBACK}?{wrong}"));
        let (status, words) =
            if wrong == "state=a&state=b" { (400, "The form or query cannot be read.") } else { (401, STALE) };
        turned_away(&mut visitor, &app, &answer, status, words);
        assert_eq!(provider.ways().posted.len(), 0);
        // Any page can send a browser there: the sign-in that is under way goes on.
        let answer = visitor.open(&app, &path);
        let_in(&mut visitor, &app, &answer);
        provider.ways().posted.clear();
    }

    let mut visitor = Visitor::default();
    let path = visitor.visit(&app, &provider);
    let begun = visitor.clone();
    let answer = visitor.open(&app, &path);
    let_in(&mut visitor, &app, &answer);
    // Going back in the browser, and the same with the cookie that it had then.
    for mut again in [visitor.clone(), begun] {
        again.0.cookies.remove(SESSION);
        let answer = again.open(&app, &path);
        turned_away(&mut again, &app, &answer, 401, STALE);
    }
    assert_eq!(visitor.user(&app).unwrap()["email"], "alice@example.org");
    // A program reads a document where a person reads a page.
    let problem = app.ask_as_nobody("GET", &path, &[], b"").problem(401);
    assert_eq!(problem["detail"], STALE);
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM session"), 7);
}

#[test]
fn the_code_of_another_sign_in_is_worth_nothing() {
    let (provider, data) = (Provider::start(), Data::new());
    add_alice(&data);
    let app = with(&data, &provider).start();
    let (stolen, _) = provider.visit(&Visitor::default().begin(&app));
    let mut thief = Visitor::default();
    let (_, state) = provider.visit(&thief.begin(&app));
    let answer = thief.open(&app, &back(&stolen, &state));
    turned_away(&mut thief, &app, &answer, 401, "rejects the code (invalid_grant");
    // It was sent with the thief's own verifier, and refused for that.
    assert_eq!(provider.ways().posted[0].0["code"], stolen);
    app.stop();
}

#[test]
fn an_id_token_that_is_not_for_this_sign_in_is_not_believed() {
    let (provider, data) = (Provider::start(), Data::new());
    add_alice(&data);
    let app = with(&data, &provider).env("HEARTH_AUTH__OIDC_JOIN", "member").start();
    let long_ago = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() - 600;
    for (claims, words) in [
        (&[("nonce", json!("another"))][..], "the ID token belongs to another sign-in"),
        (&[("nonce", Value::Null)], "the ID token belongs to another sign-in"),
        (&[("iss", json!("https://id.example.org"))], "the ID token is from another provider"),
        (&[("aud", json!("another"))], "the ID token is for another client"),
        (&[("aud", json!([CLIENT, "another"]))], "the ID token is for another client"),
        (&[("exp", json!(long_ago))], "the ID token has expired"),
        (&[("sub", json!(""))], "the ID token names no user"),
    ] {
        say(&provider, claims);
        let mut visitor = Visitor::default();
        let answer = visitor.sign_in(&app, &provider);
        let words = format!("The provider's response is not valid: {words}");
        turned_away(&mut visitor, &app, &answer, 401, &words);
    }
    assert_eq!(kinds(&app), json!([]));
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM account WHERE provider = 'oidc'"), 0);
}

#[test]
fn an_id_token_that_the_provider_did_not_sign_is_not_believed() {
    let (provider, data) = (Provider::start(), Data::new());
    add_alice(&data);
    let app = with(&data, &provider).start();
    for (signs, words) in [
        (Signs::StolenName, "the signature of the ID token is wrong"),
        (Signs::Wrongly, "the signature of the ID token is wrong"),
        (Signs::Hs256, "the ID token is not signed with RS256"),
        (Signs::None, "the ID token is not signed"),
    ] {
        provider.ways().signs = signs;
        let mut visitor = Visitor::default();
        let answer = visitor.sign_in(&app, &provider);
        turned_away(&mut visitor, &app, &answer, 401, words);
    }
    provider.ways().signs = Signs::Es256;
    let mut visitor = Visitor::default();
    let answer = visitor.sign_in(&app, &provider);
    let_in(&mut visitor, &app, &answer);
    app.stop();
}

#[test]
fn who_breaks_off_at_the_provider_reads_so() {
    let (provider, data) = (Provider::start(), Data::new());
    add_alice(&data);
    let app = with(&data, &provider).start();
    for (error, shown) in [
        ("access_denied", "(access_denied)"),
        ("%3Cscript%3Ealert(1)%3C/script%3E", "(&lt;script&gt;alert(1)&lt;/script&gt;)"),
        ("%0D%0Aset-cookie:%20__Host-hearth=planted", "(  set-cookie: __Host-hearth=planted)"),
    ] {
        let mut visitor = Visitor::default();
        let (_, state) = provider.visit(&visitor.begin(&app));
        // Whoever denies is not let in by a code beside it.
        let answer = visitor.open(&app, &format!("{CALLBACK}?error={error}&state={state}&code=code-0"));
        let words = format!("The sign-in was cancelled at the provider {shown}.");
        turned_away(&mut visitor, &app, &answer, 401, &words);
    }
    let mut visitor = Visitor::default();
    let (_, state) = provider.visit(&visitor.begin(&app));
    let answer = visitor.open(&app, &format!("{CALLBACK}?state={state}"));
    turned_away(&mut visitor, &app, &answer, 401, "started in another browser or has expired");
    app.stop();
}

#[test]
fn who_is_disabled_gets_nothing() {
    let (provider, data) = (Provider::start(), Data::new());
    let alice = add_alice(&data);
    let app = with(&data, &provider).env("HEARTH_AUTH__OIDC_JOIN", "member").start();
    let disable = |disabled: bool| {
        let answer = app.send("PATCH", &format!("/api/v1/users/{alice}"), &json!({ "disabled": disabled }));
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    let words = "No active user has the e-mail alice@example.org";
    disable(true);
    let mut visitor = Visitor::default();
    let answer = visitor.sign_in(&app, &provider);
    turned_away(&mut visitor, &app, &answer, 403, words);
    assert_eq!(data.count("SELECT count(*) FROM account WHERE provider = 'oidc'"), 0, "linked all the same");

    disable(false);
    let answer = visitor.sign_in(&app, &provider);
    let_in(&mut visitor, &app, &answer);
    // What she begins before and ends after is nothing either.
    let path = visitor.visit(&app, &provider);
    disable(true);
    assert_eq!(visitor.user(&app), None);
    let answer = visitor.open(&app, &path);
    turned_away(&mut visitor, &app, &answer, 403, words);
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM session"), 0);
}
