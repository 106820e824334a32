//! Two e-mail addresses that Unicode folds into one another are two users', and one address in two spellings is one's.

use serde_json::{Value, json};

use super::browser::{Browser, PASSWORD, join, sign_in};
use crate::{
    client::{Answer, exchange},
    harness::{App, Data, PATIENCE, Start},
};

/// Takes an invitation with this name and e-mail.
fn accept(app: &App, name: &str, email: &str) -> Answer {
    let invitation = app.send("POST", "/api/v1/invitations", &json!({ "role": "guest" }));
    let token = invitation.json()["link"]["token"].clone();
    let body = json!({ "token": token, "name": name, "email": email, "password": PASSWORD });
    Browser::default().post(app, "/api/v1/invitations/accept", &body)
}

fn fields(problem: &Value) -> String {
    let names = problem["errors"].as_array().into_iter().flatten().filter_map(|error| error["field"].as_str());
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn an_address_that_folds_into_another_is_refused_wherever_an_account_gets_one() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut member = join(&app, "member", "beck@example.org");
    for email in [
        "bec\u{212a}@example.org",
        "\u{ff42}eck@example.org",
        "a\u{17f}k@example.org",
        "\u{fb01}nn@example.org",
        "\u{212b}sa@example.org",
        "ZO\u{cb}@example.org",
        "anna@example\u{3002}org",
        "anna@bu\u{308}cher.example",
        "@@x",
        "olga@example.org.",
        "ol\u{200d}ga@example.org",
    ] {
        assert_eq!(fields(&accept(&app, "Anna", email).problem(400)), "email", "{email:?}");
        for (method, path, body) in [
            ("PATCH", "/api/v1/profile", json!({ "email": email })),
            ("POST", "/api/v1/invitations", json!({ "role": "guest", "email": email })),
        ] {
            let browser = if path.ends_with("profile") {
                member.send(&app, method, path, Some(&body))
            } else {
                app.send(method, path, &body)
            };
            assert_eq!(fields(&browser.problem(400)), "email", "{path} {email:?}");
        }
    }
    for login in ["bec\u{212a}@example.org", "beck\u{ad}@example.org", "\u{ff42}eck@github"] {
        app.send("PATCH", "/api/v1/users/2", &json!({ "tailscale_login": login })).problem(400);
    }
    // Two that may both exist and that some programs take for one: only the first comes.
    assert_eq!(accept(&app, "A", "strasse@example.org").status, 201);
    accept(&app, "B", "stra\u{df}e@example.org").problem(400);
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM user"), 3);
}

#[test]
fn the_two_spellings_of_a_domain_are_one_mailbox() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    for (name, (kept, typed)) in [
        ("anna@b\u{fc}cher.example", "Anna@xn--bcher-kva.example"),
        ("otto@xn--strae-oqa.example", "otto@stra\u{df}e.example"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(accept(&app, &format!("N{name}"), kept).status, 201, "{kept}");
        for typed in [kept, typed] {
            assert_eq!(sign_in(&app, typed, PASSWORD).1.status, 201, "{typed}");
        }
        accept(&app, "Another", typed).problem(400);
        app.send("POST", "/api/v1/invitations", &json!({ "role": "guest", "email": typed })).problem(400);
    }
    app.stop();
}

#[test]
fn whoever_is_there_signs_in_as_before_whatever_their_address_is() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    for email in ["first@example.org", "second@example.org", "third@example.org"] {
        join(&app, "member", email);
    }
    app.stop();
    // As 0.4.0 kept them: in Unicode's lower case, and otherwise as typed.
    let odd = [("first", "z\u{eb}@example.org"), ("second", "\u{ff42}eck@example.org"), ("third", "@@x")];
    for (name, email) in odd {
        data.sql(&format!("UPDATE user SET email = '{email}' WHERE email = '{name}@example.org'"));
    }
    let app = Start::alone(&data).start();
    for email in
        ["Z\u{cb}@example.org", "z\u{eb}@example.org", "ze\u{308}@example.org", "\u{ff42}eck@example.org", "@@x"]
    {
        assert_eq!(sign_in(&app, email, PASSWORD).1.status, 201, "{email:?}");
    }
    app.stop();
    // Two that collide, from before: each spelling signs in its own user, and a third one nobody.
    data.sql("UPDATE user SET email = 'beck@example.org' WHERE id = 2");
    let app = Start::alone(&data).start();
    for (email, id) in [("beck@example.org", 2), ("\u{ff42}eck@example.org", 3)] {
        let (_, answer) = sign_in(&app, email, PASSWORD);
        assert_eq!(answer.json()["user"]["id"], id, "{email:?}: {answer:?}");
    }
    assert_eq!(sign_in(&app, "b\u{ff45}ck@example.org", PASSWORD).1.status, 401);
    // The owner sees both.
    let page = app.get("/people").text().to_owned();
    assert_eq!(page.matches("can be confused with that of").count(), 2, "{page}");
    app.stop();
}

#[test]
fn tailscale_links_no_login_that_only_folds_into_an_address() {
    let data = Data::new();
    let member = data.add_person("admin", "hearth_member");
    data.sql(&format!("UPDATE user SET email = 'beck@example.org' WHERE id = {member}"));
    let socket = data.directory.path().join("serve.sock");
    let start = || {
        Start::alone(&data)
            .env("HEARTH_AUTH__TAILSCALE", "serve")
            .env("HEARTH_AUTH__TAILSCALE_LISTEN", socket.display())
            .env("HEARTH_AUTH__TAILSCALE_JOIN", "guest")
    };
    let ask = |login: &str| {
        let stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        exchange(stream, "GET", "/api/v1/session", &[("tailscale-user-login", login)], b"")
    };
    let app = start().start();
    // "becK@example.org" with the Kelvin sign, and a full-width b.
    for login in ["=?utf-8?q?bec=E2=84=AA@example.org?=", "=?utf-8?q?=EF=BD=82eck@example.org?="] {
        ask(login).problem(401);
    }
    assert_eq!(ask("Beck@Example.org").json()["user"]["id"], member);
    // Once linked, a login that folds into the linked one is still somebody else's.
    ask("=?utf-8?q?bec=E2=84=AA@example.org?=").problem(401);
    app.stop();
    // A login that 0.4.0 kept with its domain in A-labels stays linked.
    data.sql("UPDATE account SET provider_id = 'beck@xn--bcher-kva.example' WHERE provider = 'tailscale'");
    let app = start().start();
    assert_eq!(ask("beck@xn--bcher-kva.example").json()["user"]["id"], member);
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM user"), 2);
}

#[test]
fn names_and_titles_that_nobody_sees_are_refused_everywhere() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut member = join(&app, "member", "anna@example.org");
    let record = app.create(&json!({ "title": "Boiler" }));
    let record = format!("/api/v1/records/{}", record["id"]);
    for text in
        ["\u{3164}", "\u{200d}", "Olga\u{ad}", "Ol\u{2028}ga", "\u{202e}aglO", "\u{200b}", "Ol\u{e0061}ga", "\u{2800}"]
    {
        assert_eq!(fields(&accept(&app, text, "new@example.org").problem(400)), "name", "{text:?}");
        for (method, path, field) in [
            ("PATCH", "/api/v1/profile", "name"),
            ("POST", "/api/v1/tokens", "name"),
            ("POST", "/api/v1/records", "title"),
            ("PATCH", &*record, "title"),
            ("PATCH", &*record, "category"),
        ] {
            let mut body = json!({ field: text });
            if path == "/api/v1/tokens" {
                body["scope"] = json!("read");
            }
            let answer = member.send(&app, method, path, Some(&body));
            assert_eq!(fields(&answer.problem(400)), field, "{path} {text:?}");
        }
    }
    for text in ["👨‍👩‍👧", "❤️", "علی\u{200c}رضا"] {
        assert_eq!(
            member.send(&app, "PATCH", "/api/v1/profile", Some(&json!({ "name": text }))).status,
            200,
            "{text:?}"
        );
        assert_eq!(member.send(&app, "PATCH", &record, Some(&json!({ "title": text, "category": text }))).status, 200);
    }
    app.stop();
}

#[test]
fn what_was_typed_into_the_wrong_field_is_kept_nowhere() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let typed = ["MyP@ssw0rd!2026", "p@ssword", "p@ssw0rd.2026", "hunter2hunter2", "stranger@example.org"];
    for typed in typed {
        assert_eq!(sign_in(&app, typed, "x").1.status, 401);
    }
    // As many as the throttle lets through, and more.
    for _ in 0..20 {
        sign_in(&app, "s3cret@phrase", "x");
    }
    assert!(data.count("SELECT count(*) FROM audit_event WHERE kind = 'sign_in_throttled'") > 0);
    for typed in typed.into_iter().chain(["s3cret@phrase"]) {
        let found = format!("SELECT count(*) FROM audit_event WHERE who || subject || method LIKE '%{typed}%'");
        assert_eq!(data.count(&found), 0, "{typed}");
    }
    assert_eq!(data.count("SELECT count(DISTINCT who) FROM audit_event WHERE kind LIKE 'sign_in%'"), 1);
    app.stop();
}

#[test]
fn a_change_of_a_profile_that_changes_nothing_is_not_written_down() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut guest = join(&app, "guest", "gus@example.org");
    let before = guest.get(&app, "/api/v1/session").json()["user"].clone();
    for body in [json!({}), json!({ "name": "gus@example.org" }), json!({ "email": "GUS@example.org" })] {
        assert_eq!(guest.send(&app, "PATCH", "/api/v1/profile", Some(&body)).json(), before, "{body}");
    }
    for body in [json!({}), json!({ "role": "guest" }), json!({ "disabled": false }), json!({ "tailscale_login": "" })]
    {
        assert_eq!(app.send("PATCH", "/api/v1/users/2", &body).status, 200);
    }
    assert_eq!(app.send("PATCH", "/api/v1/users/2", &json!({ "tailscale_login": "Gus@github" })).status, 200);
    assert_eq!(app.send("PATCH", "/api/v1/users/2", &json!({ "tailscale_login": " gus@github " })).status, 200);
    assert_eq!(data.count("SELECT count(*) FROM audit_event WHERE kind = 'profile_changed'"), 0);
    assert_eq!(data.count("SELECT count(*) FROM audit_event WHERE kind = 'user_changed'"), 1);
    app.stop();
}
