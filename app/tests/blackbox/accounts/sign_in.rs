//! Coming in with e-mail and password, and what of it a browser keeps.

use serde_json::json;

use super::browser::{Browser, PASSWORD, join, sign_in};
use crate::harness::{Data, SESSION, SESSION_HTTPS, Start, eventually};

#[test]
fn the_cookie_is_the_browsers_alone_and_another_one_over_https() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    join(&app, "member", "anna@example.org");
    let body = json!({ "email": " ANNA@example.org ", "password": PASSWORD }).to_string();
    let json_type = ("content-type", "application/json");
    let answer = app.ask_as_nobody("POST", "/api/v1/session", &[json_type], body.as_bytes());
    assert_eq!(answer.status, 201, "{answer:?}");
    let cookie = |head: &str, name: &str| {
        let found = head.lines().find(|line| line.starts_with(&format!("set-cookie: {name}="))).map(str::to_owned);
        found.unwrap_or_else(|| panic!("{name}: {head}"))
    };
    let plain = cookie(&answer.head, SESSION);
    assert!(plain.ends_with("; HttpOnly; SameSite=Lax; Path=/; Max-Age=604800"), "{plain}");
    let over_https = [json_type, ("x-forwarded-proto", "https")];
    let answer = app.ask_as_nobody("POST", "/api/v1/session", &over_https, body.as_bytes());
    let secure = cookie(&answer.head, SESSION_HTTPS);
    assert!(secure.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=604800"), "{secure}");
    let value = |cookie: &str| cookie.split(['=', ';']).nth(1).unwrap().to_owned();
    // The one of plain http is nobody's over https, also when it takes the other's place. The other one is never sent but
    // over https, whether a proxy says so or not.
    let (plain, secure) = (value(&plain), value(&secure));
    for (cookie, https, status) in [
        (format!("hearth-0000002a={plain}"), false, 200),
        (format!("__Host-hearth-0000002a={secure}"), true, 200),
        (format!("hearth-0000002a={plain}"), true, 401),
        (format!("__Host-hearth-0000002a={secure}"), false, 200),
        (format!("__Host-hearth-0000002a={secure}x; hearth-0000002a={plain}"), false, 401),
        (format!("hearth-0000002a={secure}"), true, 401),
    ] {
        let mut headers = vec![("cookie", &*cookie)];
        if https {
            headers.push(("x-forwarded-proto", "https"));
        }
        assert_eq!(app.ask("GET", "/api/v1/session", &headers, b"").status, status, "{cookie} {https}");
    }
    app.stop();
}

#[test]
fn each_sign_in_is_a_session_of_its_own_whatever_cookie_came_with_it() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut first = join(&app, "member", "anna@example.org");
    let old = first.cookies["hearth-0000002a"].clone();
    let mut planted = Browser::default();
    planted.cookies.insert("hearth-0000002a".to_owned(), "planted".to_owned());
    let body = json!({ "email": "anna@example.org", "password": PASSWORD });
    assert_eq!(planted.post(&app, "/api/v1/session", &body).status, 201);
    assert_ne!(planted.cookies["hearth-0000002a"], "planted");
    // Who signs in again does not leave the former session behind.
    assert_eq!(first.post(&app, "/api/v1/session", &body).status, 201);
    assert_ne!(first.cookies["hearth-0000002a"], old);
    app.ask("GET", "/api/v1/session", &[("cookie", &format!("hearth-0000002a={old}"))], b"").problem(401);
    assert_eq!(first.get(&app, "/api/v1/sessions").json()["items"].as_array().unwrap().len(), 2);
    app.stop();
}

#[test]
fn sessions_are_listed_and_end_one_by_one_and_all_at_once() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut first = join(&app, "member", "anna@example.org");
    let mut others: Vec<_> = (0..3).map(|_| sign_in(&app, "anna@example.org", PASSWORD).0).collect();
    let list = first.get(&app, "/api/v1/sessions").json();
    let sessions = list["items"].as_array().unwrap();
    assert_eq!(sessions.len(), 4);
    assert_eq!(sessions.iter().filter(|session| session["current"] == true).count(), 1);
    let other = sessions.iter().find(|session| session["current"] == false).unwrap()["id"].as_i64().unwrap();
    assert_eq!(first.send(&app, "DELETE", &format!("/api/v1/sessions/{other}"), None).status, 204);
    first.send(&app, "DELETE", &format!("/api/v1/sessions/{other}"), None).problem(404);
    let left = |others: &mut [Browser]| {
        others
            .iter_mut()
            .map(|browser| browser.get(&app, "/api/v1/session").status)
            .filter(|status| *status == 200)
            .count()
    };
    assert_eq!(left(&mut others), 2);
    // Not somebody else's.
    let mut stranger = join(&app, "admin", "other@example.org");
    let own = first.get(&app, "/api/v1/session").json()["id"].as_i64().unwrap();
    stranger.send(&app, "DELETE", &format!("/api/v1/sessions/{own}"), None).problem(404);
    assert_eq!(first.send(&app, "DELETE", "/api/v1/sessions", None).status, 204);
    assert_eq!(left(&mut others), 0);
    assert_eq!(first.get(&app, "/api/v1/session").status, 200);
    let token = first.cookies["hearth-0000002a"].clone();
    assert_eq!(first.send(&app, "DELETE", "/api/v1/session", None).status, 204);
    assert!(!first.cookies.contains_key("hearth-0000002a"));
    app.ask("GET", "/api/v1/session", &[("cookie", &format!("hearth-0000002a={token}"))], b"").problem(401);
    app.stop();
}

#[test]
fn a_new_password_ends_all_other_sessions() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut own = join(&app, "member", "anna@example.org");
    let (mut other, _) = sign_in(&app, "anna@example.org", PASSWORD);
    let change = |current: &str, new: &str| json!({ "current_password": current, "new_password": new });
    own.post(&app, "/api/v1/password", &change("wrong-wrong-wrong", "eight-blue-bottles")).problem(400);
    own.post(&app, "/api/v1/password", &json!({ "new_password": "eight-blue-bottles" })).problem(400);
    assert_eq!(own.post(&app, "/api/v1/password", &change(PASSWORD, "eight-blue-bottles")).status, 204);
    other.get(&app, "/api/v1/session").problem(401);
    assert_eq!(own.get(&app, "/api/v1/session").status, 200);
    assert_eq!(sign_in(&app, "anna@example.org", PASSWORD).1.status, 401);
    assert_eq!(sign_in(&app, "anna@example.org", "eight-blue-bottles").1.status, 201);
    app.stop();
}

#[test]
fn a_session_is_renewed_by_use_and_ends_without() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut browser = join(&app, "member", "anna@example.org");
    assert_eq!(browser.get(&app, "/api/v1/session").header("set-cookie"), None);
    let moment = |ago: &str| format!("strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '{ago}')");
    let promise = "SELECT unixepoch(expires_at) - unixepoch() FROM session";
    data.sql(&format!("UPDATE session SET expires_at = {}", moment("+5 days")));
    // What another process writes is seen within a second.
    let cookie = eventually("the session's new date", || {
        browser.get(&app, "/api/v1/session").header("set-cookie").map(str::to_owned)
    });
    assert!(cookie.starts_with("hearth-0000002a="), "{cookie}");
    eventually("the renewal", || (data.count(promise) > 6 * 86400).then_some(()));
    data.sql(&format!("UPDATE session SET expires_at = {}", moment("-1 seconds")));
    eventually("the session's end", || (browser.get(&app, "/api/v1/session").status == 401).then_some(()));
    app.stop();
}

#[test]
fn nobody_learns_by_words_who_has_an_account() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    join(&app, "member", "anna@example.org");
    let known = sign_in(&app, "anna@example.org", "wrong-wrong-wrong").1;
    let unknown = sign_in(&app, "nobody@example.org", "wrong-wrong-wrong").1;
    // The owner of the tests has no password at all.
    let without = sign_in(&app, "owner0@example.org", "wrong-wrong-wrong").1;
    assert_eq!(known.problem(401), unknown.problem(401));
    assert_eq!(known.problem(401), without.problem(401));
    let headers = |answer: &crate::client::Answer| {
        answer.head.lines().filter(|line| !line.starts_with("date: ")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(headers(&known), headers(&unknown));
    let nonsense = sign_in(&app, "no e-mail at all", "x").1;
    assert_eq!(nonsense.problem(401), unknown.problem(401));
    app.stop();
}

#[test]
fn guesses_are_slowed_down_and_lock_nobody_out() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let known = join(&app, "member", "anna@example.org");
    let mut refused = None;
    for _ in 0..30 {
        let (_, answer) = sign_in(&app, "anna@example.org", "wrong-wrong-wrong");
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        answer.problem(401);
    }
    let refused = refused.expect("nobody was slowed down");
    refused.problem(429);
    assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() <= 600);
    // Even the right password has to wait, from there; nobody else does, nor does the browser that was in before.
    assert_eq!(sign_in(&app, "anna@example.org", PASSWORD).1.status, 429);
    let mut device = Browser::default();
    device.cookies.insert("hearth-0000002a-device".to_owned(), known.cookies["hearth-0000002a-device"].clone());
    let body = json!({ "email": "anna@example.org", "password": PASSWORD });
    assert_eq!(device.post(&app, "/api/v1/session", &body).status, 201);
    let elsewhere = app.ask_from("127.0.0.2", "POST", "/api/v1/session", body.to_string().as_bytes());
    assert_eq!(elsewhere.status, 201, "{elsewhere:?}");
    // What was tried is written down; what was turned away, once.
    let events = app.get("/api/v1/audit-events?limit=200").json();
    let count = |kind: &str| events["items"].as_array().unwrap().iter().filter(|event| event["kind"] == kind).count();
    assert!((5..=20).contains(&count("sign_in_failed")), "{events}");
    assert_eq!(count("sign_in_throttled"), 1);
    assert_eq!(count("signed_in"), 3);
    app.stop();
}

#[test]
fn what_happened_says_who_from_where_and_how() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    join(&app, "member", "anna@example.org");
    let body = json!({ "email": "anna@example.org", "password": PASSWORD }).to_string();
    let agent = ("user-agent", "A browser of Anna's");
    app.ask_as_nobody("POST", "/api/v1/session", &[("content-type", "application/json"), agent], body.as_bytes());
    let events = app.get("/api/v1/audit-events?limit=1").json();
    let event = &events["items"][0];
    assert_eq!(event["kind"], "signed_in");
    assert_eq!(event["who"], "anna@example.org");
    assert_eq!(event["user_id"], 2);
    assert_eq!(event["method"], "password");
    assert_eq!(event["address"], "127.0.0.1");
    assert_eq!(event["user_agent"], "A browser of Anna's");
    // A page that holds the last one leads nowhere.
    assert_eq!(app.get("/api/v1/audit-events?limit=4").json()["next"], serde_json::Value::Null);
    let next = events["next"].as_str().unwrap();
    let more = app.get(&format!("/api/v1/audit-events?after={next}&limit=200")).json();
    assert_eq!(more["next"], serde_json::Value::Null);
    let kinds: Vec<_> = more["items"].as_array().unwrap().iter().map(|event| event["kind"].clone()).collect();
    assert_eq!(kinds, ["signed_in", "invitation_accepted", "invitation_created"]);
    app.stop();
}
