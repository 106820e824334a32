//! One-time passwords and recovery codes.

use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};

use super::browser::{Browser, PASSWORD, join};
use crate::{
    client::Answer,
    harness::{App, Data, Start},
};

/// What a phone shows `steps` of 30 s from now (RFC 6238).
pub(crate) fn code(secret: &str, steps: i64) -> String {
    let mut bits = 0_u64;
    let mut held = 0;
    let mut key = Vec::new();
    for letter in secret.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == letter).unwrap();
        bits = bits << 5 | value as u64;
        held += 5;
        if held >= 8 {
            held -= 8;
            key.push((bits >> held & 0xff) as u8);
        }
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let mut mac = <Hmac<sha1::Sha1> as KeyInit>::new_from_slice(&key).unwrap();
    mac.update(&(now / 30 + steps).to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let offset = usize::from(hash[19] & 15);
    let number = u32::from_be_bytes(hash[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

fn sign_in_with(app: &App, browser: &mut Browser, code: Option<&str>) -> Answer {
    let mut body = json!({ "email": "anna@example.org", "password": PASSWORD });
    if let Some(code) = code {
        body["code"] = code.into();
    }
    browser.post(app, "/api/v1/session", &body)
}

/// What Anna's second factor was made with.
struct Activated {
    secret: String,
    /// The code that confirmed it.
    taken: String,
    recovery_codes: Vec<String>,
}

/// Gives Anna a second factor.
fn activate(app: &App, browser: &mut Browser) -> Activated {
    let offer = browser.post(app, "/api/v1/totp", &json!({})).json();
    let secret = offer["secret"].as_str().unwrap().to_owned();
    assert!(offer["uri"].as_str().unwrap().contains(&secret));
    // Nothing is asked for until a first code was right.
    assert_eq!(sign_in_with(app, &mut Browser::default(), None).status, 201);
    browser.send(app, "PUT", "/api/v1/totp", Some(&json!({ "code": "000000" }))).problem(400);
    let taken = code(&secret, -1);
    let answer = browser.send(app, "PUT", "/api/v1/totp", Some(&json!({ "code": taken })));
    assert_eq!(answer.status, 200, "{answer:?}");
    let codes = answer.json()["recovery_codes"].as_array().unwrap().clone();
    let recovery_codes = codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
    Activated { secret, taken, recovery_codes }
}

#[test]
fn a_code_is_asked_for_and_taken_once() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut browser = join(&app, "member", "anna@example.org");
    let Activated { secret, taken, recovery_codes } = activate(&app, &mut browser);
    assert_eq!(recovery_codes.len(), 10);
    let wanted = sign_in_with(&app, &mut browser.clone(), None).problem(401);
    assert_eq!(wanted["type"], "urn:hearth:code-wanted");
    // Only who knows the password learns of it.
    let body = json!({ "email": "anna@example.org", "password": "wrong-wrong-wrong" });
    assert_eq!(browser.clone().post(&app, "/api/v1/session", &body).problem(401)["type"], "about:blank");
    sign_in_with(&app, &mut browser.clone(), Some("123456")).problem(401);
    sign_in_with(&app, &mut browser.clone(), Some(&taken)).problem(401);
    let now = code(&secret, 0);
    assert_eq!(sign_in_with(&app, &mut browser.clone(), Some(&now)).status, 201);
    sign_in_with(&app, &mut browser.clone(), Some(&now)).problem(401);
    app.stop();
}

#[test]
fn a_recovery_code_is_taken_once_and_removing_takes_the_password() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut browser = join(&app, "member", "anna@example.org");
    let recovery = activate(&app, &mut browser).recovery_codes;
    let typed = recovery[0].to_uppercase().replace('-', " ");
    assert_eq!(sign_in_with(&app, &mut browser.clone(), Some(&typed)).status, 201);
    sign_in_with(&app, &mut browser.clone(), Some(&recovery[0])).problem(401);
    let (mut left, _) = (browser.clone(), ());
    // The sign-in above took the place of the session that it came with.
    assert_eq!(sign_in_with(&app, &mut left, Some(&recovery[1])).status, 201);
    assert_eq!(left.get(&app, "/api/v1/totp").json(), json!({ "active": true, "recovery_codes": 8 }));
    // Somebody else's are not one's own.
    let mut other = join(&app, "member", "other@example.org");
    let offer = other.post(&app, "/api/v1/totp", &json!({})).json();
    let secret = offer["secret"].as_str().unwrap();
    assert_eq!(other.send(&app, "PUT", "/api/v1/totp", Some(&json!({ "code": code(secret, 0) }))).status, 200);
    let body = json!({ "email": "other@example.org", "password": PASSWORD, "code": recovery[2] });
    Browser::default().post(&app, "/api/v1/session", &body).problem(401);
    left.post(&app, "/api/v1/totp/remove", &json!({ "password": "wrong-wrong-wrong" })).problem(400);
    assert_eq!(left.post(&app, "/api/v1/totp/remove", &json!({ "password": PASSWORD })).status, 204);
    assert_eq!(sign_in_with(&app, &mut Browser::default(), None).status, 201);
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM verification WHERE kind = 'recovery' AND user_id = 2"), 0);
}

#[test]
fn of_two_that_show_the_same_code_at_once_one_comes_in() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut browser = join(&app, "member", "anna@example.org");
    let secret = activate(&app, &mut browser).secret;
    let now = code(&secret, 0);
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..4)
            .map(|_| {
                let (app, now, mut browser) = (&app, &now, browser.clone());
                scope.spawn(move || sign_in_with(app, &mut browser, Some(now)).status)
            })
            .collect();
        tries.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    app.stop();
}

#[test]
fn an_admins_link_can_take_a_lost_second_factor_away() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut browser = join(&app, "member", "anna@example.org");
    activate(&app, &mut browser);
    let link =
        |body: &Value| app.send("POST", "/api/v1/users/2/reset", body).json()["token"].as_str().unwrap().to_owned();
    let take = |token: &str| {
        let body = json!({ "token": token, "password": PASSWORD });
        assert_eq!(Browser::default().post(&app, "/api/v1/reset", &body).status, 204);
    };
    take(&link(&json!({})));
    assert_eq!(sign_in_with(&app, &mut browser.clone(), None).problem(401)["type"], "urn:hearth:code-wanted");
    take(&link(&json!({ "remove_totp": true })));
    assert_eq!(sign_in_with(&app, &mut browser.clone(), None).status, 201);
    app.stop();
}
