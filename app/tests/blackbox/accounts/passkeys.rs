//! Whom does a passkey not let in?
//!
//! No device takes part here: what one signs is for the unit tests, and a browser's own for those with a browser.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::browser::{Browser, PASSWORD, join};
use crate::{
    client::Answer,
    harness::{App, Data, Start},
};

const OPTIONS: &str = "/api/v1/session/passkey/options";
const SIGN_IN: &str = "/api/v1/session/passkey";

/// Addresses of this machine, each with attempts of its own.
const HERE: &str = "127.0.0.1";
const ELSEWHERE: &str = "127.0.0.2";
const FURTHER: &str = "127.0.0.3";

const OVER: &str = "This request has expired or was already used. Start again.";
const UNREADABLE: &str = "The browser's response could not be read.";
const UNKNOWN: &str = "This passkey is not registered here. Sign in another way and add it again.";

fn with_passkeys(data: &Data) -> Start<'_> {
    Start::alone(data).env("HEARTH_HTTP__PUBLIC_URL", "https://hearth.example.org")
}

/// Begins to sign in from this address; returns the ceremony.
fn begin(app: &App, address: &str) -> String {
    let answer = app.ask_from(address, "POST", OPTIONS, b"");
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["ceremony"].as_str().unwrap().to_owned()
}

/// Answers from this address.
fn finish(app: &App, address: &str, ceremony: &str, credential: &Value) -> Answer {
    let body = json!({ "ceremony": ceremony, "credential": credential });
    let answer = app.ask_from(address, "POST", SIGN_IN, body.to_string().as_bytes());
    assert_eq!(answer.header("set-cookie"), None, "{answer:?}");
    answer
}

/// What a browser would send with a passkey of this user's that nobody registered.
fn answer_of(user_id: i64) -> Value {
    let handle = [[7; 8], user_id.to_be_bytes()].concat();
    json!({
        "id": "AAAAAAAAAAAAAAAAAAAAAA", "rawId": "AAAAAAAAAAAAAAAAAAAAAA", "type": "public-key",
        "response": {
            "clientDataJSON": BASE64URL_NOPAD.encode(r#"{"type":"webauthn.get"}"#.as_ref()),
            "authenticatorData": BASE64URL_NOPAD.encode([0; 37].as_ref()),
            "signature": BASE64URL_NOPAD.encode([0; 70].as_ref()),
            "userHandle": BASE64URL_NOPAD.encode(handle.as_ref()),
        },
        "clientExtensionResults": {},
    })
}

#[test]
fn without_a_public_url_it_is_said_which_setting_is_missing() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    assert_eq!(app.get("/api/v1/auth").json()["passkeys"], false);
    let finish = json!({ "ceremony": "x", "credential": answer_of(1) });
    let add = json!({ "ceremony": "x", "name": "Phone", "credential": {} });
    for (path, body) in [
        (OPTIONS, None),
        (SIGN_IN, Some(&finish)),
        ("/api/v1/passkeys/options", None),
        ("/api/v1/passkeys", Some(&add)),
    ] {
        let text = body.map(ToString::to_string).unwrap_or_default();
        let refused = app.ask("POST", path, &[("content-type", "application/json")], text.as_bytes()).problem(409);
        assert!(refused["detail"].as_str().unwrap().contains("http.public_url"), "{path}: {refused}");
    }
    // Those that somebody had are listed all the same.
    assert_eq!(app.get("/api/v1/passkeys").json(), json!({ "items": [] }));
    app.stop();
}

#[test]
fn nonsense_opens_nothing() {
    let data = Data::new();
    let app = with_passkeys(&data).start();
    assert_eq!(app.get("/api/v1/auth").json()["passkeys"], true);
    let post = |body: &str| app.ask_from(HERE, "POST", SIGN_IN, body.as_bytes());
    // The first kind is no request at all, and no try either.
    for body in ["", "{", "[]", "{}", r#"{"credential":{}}"#, r#"{"ceremony":1,"credential":{}}"#] {
        post(body).problem(400);
    }
    post(&json!({ "ceremony": "x", "credential": {}, "user": 1 }).to_string()).problem(400);
    for ceremony in ["", &*"x".repeat(201), "' OR 1=1 --"] {
        assert_eq!(finish(&app, FURTHER, ceremony, &json!({})).problem(400)["detail"], UNREADABLE);
        assert_eq!(finish(&app, FURTHER, ceremony, &answer_of(1)).problem(401)["detail"], OVER);
    }

    let with = |pointer: &str, value: Value| {
        let mut credential = answer_of(1);
        *credential.pointer_mut(pointer).unwrap() = value;
        credential
    };
    for credential in [
        json!("x"),
        json!([]),
        json!({}),
        json!({ "rawId": 1, "response": { "userHandle": 1 } }),
        with("/rawId", json!("!")),
        with("/response", Value::Null),
        with("/response/userHandle", Value::Null),
        with("/response/userHandle", json!(BASE64URL_NOPAD.encode([7; 15].as_ref()))),
    ] {
        let refused = finish(&app, HERE, &begin(&app, HERE), &credential).problem(400);
        assert_eq!(refused["detail"], UNREADABLE, "{credential}");
    }
    // It names somebody, and still is no answer.
    for credential in [with("/response/signature", json!(1)), with("/type", Value::Null)] {
        let refused = finish(&app, ELSEWHERE, &begin(&app, ELSEWHERE), &credential).problem(401);
        assert_eq!(refused["detail"], UNREADABLE, "{credential}");
    }
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM session"), 0);
}

#[test]
fn a_ceremony_has_to_be_known_and_is_good_once() {
    let data = Data::new();
    let app = with_passkeys(&data).start();
    let said = |ceremony: &str| finish(&app, HERE, ceremony, &answer_of(1)).problem(401)["detail"].clone();
    assert_eq!(said("unknown"), OVER);
    let ceremony = begin(&app, HERE);
    assert_eq!(said(&ceremony[1..]), OVER);
    assert_eq!(said(&ceremony), UNKNOWN);
    assert_eq!(said(&ceremony), OVER);
    // One to register with is none to sign in with.
    let registering = app.ask("POST", "/api/v1/passkeys/options", &[], b"");
    assert_eq!(registering.status, 201, "{registering:?}");
    assert_eq!(said(registering.json()["ceremony"].as_str().unwrap()), OVER);
    app.stop();
    // What names a passkey is written down; what is over is not.
    assert_eq!(data.count("SELECT count(*) FROM audit_event WHERE kind = 'sign_in_failed'"), 1);
    assert_eq!(data.count("SELECT count(*) FROM session WHERE method = 'passkey'"), 0);
}

#[test]
fn a_passkey_that_nobody_has_is_unknown_whomever_it_names() {
    let data = Data::new();
    let app = with_passkeys(&data).start();
    // The owner, and nobody.
    let refusals = [1, 2, 0, -1, i64::MAX]
        .map(|user| finish(&app, HERE, &begin(&app, HERE), &answer_of(user)).problem(401))
        .map(|refused| refused.to_string());
    for refusal in &refusals {
        assert!(refusal.contains(UNKNOWN), "{refusal}");
        assert_eq!(*refusal, refusals[0]);
    }
    let events = app.get("/api/v1/audit-events").json();
    let event = &events["items"][0];
    assert_eq!(
        (&event["kind"], &event["who"], &event["method"]),
        (&json!("sign_in_failed"), &json!("somebody"), &json!("passkey"))
    );
    app.stop();
}

#[test]
fn many_tries_are_slowed_down_there_and_nowhere_else() {
    let data = Data::new();
    let app = with_passkeys(&data).start();
    let known = join(&app, "member", "anna@example.org");
    let mut answered = 0;
    let refused = loop {
        let answer = finish(&app, HERE, "x", &answer_of(1));
        if answer.status == 429 {
            break answer;
        }
        assert_eq!(answer.problem(401)["detail"], OVER);
        answered += 1;
        assert!(answered < 30, "nobody was slowed down");
    };
    assert_eq!(answered, 10);
    assert!(
        refused.problem(429)["detail"].as_str().unwrap().starts_with("There were too many attempts"),
        "{refused:?}"
    );
    assert!((1..=120).contains(&refused.header("retry-after").unwrap().parse::<u32>().unwrap()), "{refused:?}");
    // A good answer would have to wait as well, and the flood is written down once.
    finish(&app, HERE, &begin(&app, HERE), &answer_of(1)).problem(429);
    assert_eq!(data.count("SELECT count(*) FROM audit_event WHERE kind = 'sign_in_throttled'"), 1);
    assert_eq!(data.count("SELECT count(*) FROM audit_event WHERE kind = 'sign_in_failed'"), 0);
    // Somebody at another address is answered, and the browser that was in before comes in by its password.
    assert_eq!(finish(&app, ELSEWHERE, &begin(&app, ELSEWHERE), &answer_of(1)).problem(401)["detail"], UNKNOWN);
    let mut device = Browser::default();
    device.cookies.insert("hearth-0000002a-device".to_owned(), known.cookies["hearth-0000002a-device"].clone());
    let body = json!({ "email": "anna@example.org", "password": PASSWORD });
    assert_eq!(device.post(&app, "/api/v1/session", &body).status, 201);
    app.stop();
}

#[test]
fn nobody_uses_up_the_tries_of_others_or_of_a_browser_that_was_in_before() {
    let data = Data::new();
    let app = with_passkeys(&data).start();
    let mut known = join(&app, "member", "anna@example.org");
    // Nonsense is no try of anybody's.
    for _ in 0..40 {
        finish(&app, FURTHER, "x", &json!({})).problem(400);
    }
    // Two addresses use up what there is of Anna's.
    for address in [HERE, ELSEWHERE] {
        for _ in 0..10 {
            finish(&app, address, "x", &answer_of(2)).problem(401);
        }
    }
    finish(&app, FURTHER, "x", &answer_of(2)).problem(429);
    assert_eq!(finish(&app, FURTHER, &begin(&app, FURTHER), &answer_of(1)).problem(401)["detail"], UNKNOWN);
    // Her own browser is answered, at the very address.
    let body = json!({ "ceremony": begin(&app, HERE), "credential": answer_of(2) });
    known.cookies.remove("hearth-0000002a");
    assert_eq!(known.post(&app, SIGN_IN, &body).problem(401)["detail"], UNKNOWN);
    app.stop();
}

#[test]
fn who_begins_many_ends_nobody_elses() {
    let data = Data::new();
    let app = with_passkeys(&data).start();
    let other = begin(&app, ELSEWHERE);
    let flood: Vec<_> = (0..40).map(|_| begin(&app, HERE)).collect();
    let said =
        |address: &str, ceremony: &str| finish(&app, address, ceremony, &answer_of(1)).problem(401)["detail"].clone();
    assert_eq!(said(HERE, &flood[0]), OVER);
    assert_eq!(said(HERE, &flood[39]), UNKNOWN);
    assert_eq!(said(ELSEWHERE, &other), UNKNOWN);
    app.stop();
}

#[test]
fn nobody_registers_what_no_device_made_or_what_another_began() {
    let data = Data::new();
    data.add_person("member", "hearth_member");
    let app = with_passkeys(&data).start();
    let ceremony = || app.ask("POST", "/api/v1/passkeys/options", &[], b"").json()["ceremony"].clone();
    let body =
        |ceremony: Value, credential: Value| json!({ "ceremony": ceremony, "name": "Phone", "credential": credential });
    for credential in [Value::Null, json!("x"), json!({}), answer_of(1)] {
        let refused = app.send("POST", "/api/v1/passkeys", &body(ceremony(), credential)).problem(400);
        assert!(refused["detail"].is_string(), "{refused}");
    }
    let own = ceremony();
    // Spent by whoever it is not for: an id that somebody else has is not theirs any more.
    let stolen = app.send_as("hearth_member", "POST", "/api/v1/passkeys", &body(own.clone(), json!({}))).problem(400);
    assert_eq!(stolen["detail"], OVER);
    assert_eq!(app.send("POST", "/api/v1/passkeys", &body(own, json!({}))).problem(400)["detail"], OVER);
    app.ask_as_nobody("POST", "/api/v1/passkeys/options", &[], b"").problem(401);
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM passkey"), 0);
}
