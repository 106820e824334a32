//! Tailscale's word: believed where it can only be Tailscale's, and nowhere else.

use serde_json::json;

use super::browser::join;
use crate::{
    client::{Answer, exchange},
    harness::{App, Data, Start},
    tailscaled::{Reply, StandIn},
};

const LOGIN: (&str, &str) = ("Tailscale-User-Login", "owner0@example.org");

fn serve(data: &Data) -> Start<'_> {
    let socket = data.directory.path().join("serve.sock");
    Start::alone(data).env("HEARTH_AUTH__TAILSCALE", "serve").env("HEARTH_AUTH__TAILSCALE_LISTEN", socket.display())
}

fn by_serve(data: &Data, path: &str, headers: &[(&str, &str)]) -> Answer {
    let stream = std::os::unix::net::UnixStream::connect(data.directory.path().join("serve.sock")).unwrap();
    stream.set_read_timeout(Some(crate::harness::PATIENCE)).unwrap();
    exchange(stream, "GET", path, headers, b"")
}

/// Each header that some proxy or other says an identity with.
const SPOOFED: [(&str, &str); 8] = [
    LOGIN,
    ("Tailscale-User-Name", "Owner"),
    ("X-Forwarded-User", "owner0@example.org"),
    ("Remote-User", "owner0@example.org"),
    ("X-Forwarded-Email", "owner0@example.org"),
    ("X-Webauth-User", "owner0@example.org"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("Forwarded", "for=127.0.0.1;proto=https"),
];

#[test]
fn serves_word_is_believed_on_its_own_socket_alone() {
    let data = Data::new();
    let app = serve(&data).start();
    let known = by_serve(&data, "/api/v1/session", &[LOGIN]);
    assert_eq!(known.json()["user"]["email"], "owner0@example.org", "{known:?}");
    assert_eq!(known.json()["by"], "tailscale");
    by_serve(&data, "/api/v1/session", &[("Tailscale-User-Login", "stranger@example.org")]).problem(401);
    by_serve(&data, "/api/v1/session", &[]).problem(401);
    by_serve(&data, "/api/v1/session", &[LOGIN, ("Tailscale-Funnel-Request", "?1")]).problem(401);
    by_serve(&data, "/api/v1/session", &[LOGIN, LOGIN]).problem(401);
    for (name, value) in SPOOFED {
        app.ask_as_nobody("GET", "/api/v1/session", &[(name, value)], b"").problem(401);
    }
    app.ask_as_nobody("GET", "/api/v1/session", &SPOOFED, b"").problem(401);
    app.stop();
}

#[test]
fn without_the_setting_nobodys_word_is_believed() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    app.ask_as_nobody("GET", "/api/v1/session", &SPOOFED, b"").problem(401);
    app.stop();
}

#[test]
fn a_change_by_tailscales_word_has_to_come_from_a_page_of_this_site() {
    let data = Data::new();
    let app = serve(&data).start();
    let post = |headers: &[(&str, &str)]| {
        let stream = std::os::unix::net::UnixStream::connect(data.directory.path().join("serve.sock")).unwrap();
        let mut all = vec![LOGIN, ("content-type", "application/json")];
        all.extend(headers);
        exchange(stream, "POST", "/api/v1/records", &all, b"{\"title\":\"x\"}")
    };
    post(&[]).problem(403);
    post(&[("sec-fetch-site", "cross-site")]).problem(403);
    post(&[("origin", "https://evil.example")]).problem(403);
    assert_eq!(post(&[("sec-fetch-site", "same-origin")]).status, 201);
    app.stop();
}

#[test]
fn whom_tailscale_answers_for_can_sign_in_as_somebody_else() {
    let data = Data::new();
    let app = serve(&data).start();
    let html = ("accept", "text/html");
    let account = by_serve(&data, "/account", &[LOGIN, html]);
    assert!(account.text().contains(r#"href="/sign-in">Sign in as another user"#), "{}", account.text());
    assert!(!account.text().contains("/sign-out"), "{}", account.text());
    let page = by_serve(&data, "/sign-in?next=/people", &[LOGIN, html]);
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.text().contains(r#"href="/people">Continue as The owner"#), "{}", page.text());
    // A session goes before Tailscale's word, and who has one is sent on.
    let cookie = join(&app, "member", "anna@example.org").cookie();
    let session = by_serve(&data, "/api/v1/session", &[LOGIN, ("cookie", &cookie)]);
    assert_eq!(session.json()["user"]["email"], "anna@example.org", "{session:?}");
    let page = by_serve(&data, "/sign-in?next=/records/7", &[LOGIN, html, ("cookie", &cookie)]);
    assert_eq!((page.status, page.header("location")), (303, Some("/records/7")), "{page:?}");
    let account = by_serve(&data, "/account", &[LOGIN, html, ("cookie", &cookie)]);
    assert!(account.text().contains("/sign-out"), "{}", account.text());
    app.stop();
}

#[test]
fn an_unknown_login_joins_when_the_owner_allows_it() {
    let data = Data::new();
    let app = serve(&data).env("HEARTH_AUTH__TAILSCALE_JOIN", "guest").start();
    let headers = [("Tailscale-User-Login", "Zoe@example.org"), ("Tailscale-User-Name", "=?utf-8?q?Zo=C3=AB?=")];
    for _ in 0..2 {
        let user = &by_serve(&data, "/api/v1/session", &headers).json()["user"];
        assert_eq!((&user["name"], &user["role"]), (&json!("Zoë"), &json!("guest")));
    }
    assert_eq!(app.send("PATCH", "/api/v1/users/2", &json!({ "disabled": true })).status, 200);
    by_serve(&data, "/api/v1/session", &headers).problem(401);
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM user"), 2);
}

#[test]
fn nobody_joins_an_instance_without_an_owner() {
    let data = Data::unowned();
    let app = serve(&data).env("HEARTH_AUTH__TAILSCALE_JOIN", "member").start();
    by_serve(&data, "/api/v1/session", &[LOGIN]).problem(401);
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM user"), 0);
}

#[test]
fn an_owner_says_by_which_login_somebody_is_known() {
    let data = Data::new();
    let member = data.add_person("member", "hearth_member");
    let app = serve(&data).start();
    let path = format!("/api/v1/users/{member}");
    assert_eq!(app.send("PATCH", &path, &json!({ "tailscale_login": "Anna@github" })).status, 200);
    let known = by_serve(&data, "/api/v1/session", &[("Tailscale-User-Login", "anna@github")]);
    assert_eq!(known.json()["user"]["id"], member, "{known:?}");
    app.send("PATCH", "/api/v1/users/1", &json!({ "tailscale_login": "anna@github" })).problem(400);
    assert_eq!(app.get("/api/v1/users").json()["items"][1]["tailscale_login"], "anna@github");
    assert_eq!(app.send("PATCH", &path, &json!({ "tailscale_login": "" })).status, 200);
    by_serve(&data, "/api/v1/session", &[("Tailscale-User-Login", "anna@github")]).problem(401);
    app.stop();
}

fn localapi(data: &Data, tailscaled: &StandIn) -> App {
    with_localapi(Start::alone(data), tailscaled).start()
}

fn with_localapi<'a>(start: Start<'a>, tailscaled: &StandIn) -> Start<'a> {
    start.env("HEARTH_AUTH__TAILSCALE", "localapi").env("HEARTH_AUTH__TAILSCALE_SOCKET", tailscaled.socket().display())
}

/// Another device than the one that Hearth runs on.
const DEVICE: &str = "127.0.0.2";

fn by_device(app: &App, headers: &[(&str, &str)]) -> Answer {
    exchange(app.connect_from(DEVICE), "GET", "/api/v1/session", headers, b"")
}

#[test]
fn tailscaled_says_who_the_other_end_is_once_for_each_connection() {
    let data = Data::new();
    let tailscaled = StandIn::start();
    for address in [DEVICE, "127.0.0.1"] {
        tailscaled.set(address, Reply::user("owner0@example.org", "The Owner"));
    }
    let app = localapi(&data, &tailscaled);
    let known = by_device(&app, &[]);
    assert_eq!(known.json()["by"], "tailscale", "{known:?}");
    assert_eq!(known.json()["user"]["email"], "owner0@example.org");
    assert_eq!(tailscaled.asked().len(), 1);
    // What a proxy passed on is the proxy's connection, also where nothing but a header of `tailscale serve` tells.
    for (name, value) in
        [("X-Forwarded-For", "100.64.0.9"), ("Forwarded", "for=100.64.0.9"), ("Via", "1.1 proxy"), LOGIN]
    {
        by_device(&app, &[(name, value)]).problem(401);
    }
    // Nor is whoever comes by way of this very machine the one that it belongs to.
    app.ask_as_nobody("GET", "/api/v1/session", &[], b"").problem(401);
    assert_eq!(tailscaled.asked().len(), 1);
    app.stop();
}

#[test]
fn this_very_machine_is_nobody_also_where_hearth_listens_at_all_addresses() {
    for everywhere in ["0.0.0.0:0", "[::]:0"] {
        let data = Data::new();
        let tailscaled = StandIn::start();
        for address in ["127.0.0.1", "::1"] {
            tailscaled.set(address, Reply::user("owner0@example.org", "The Owner"));
        }
        let app = with_localapi(Start::alone(&data).listening(everywhere), &tailscaled).start();
        app.ask_as_nobody("GET", "/api/v1/session", &[], b"").problem(401);
        assert_eq!(tailscaled.asked().len(), 0, "{everywhere}");
        app.stop();
    }
}

#[test]
fn a_session_that_ended_does_nothing_in_the_name_of_whom_tailscale_answers_for() {
    let data = Data::new();
    let app = serve(&data).start();
    let cookie = join(&app, "member", "ben@example.org").cookie();
    assert_eq!(app.send("PATCH", "/api/v1/users/2", &json!({ "disabled": true })).status, 200);
    let own = ("cookie", &*cookie);
    let stream = std::os::unix::net::UnixStream::connect(data.directory.path().join("serve.sock")).unwrap();
    let form = ("content-type", "application/x-www-form-urlencoded");
    let sent = [LOGIN, own, form, ("accept", "text/html"), ("sec-fetch-site", "same-origin")];
    let answer = exchange(stream, "POST", "/records", &sent, b"title=Diary&visibility=private");
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(answer.text().contains("Nothing was saved") && answer.text().contains("Diary"), "{}", answer.text());
    // With the next page the old cookie goes, and it is Tailscale's word that counts.
    let page = by_serve(&data, "/account", &[LOGIN, own, ("accept", "text/html")]);
    assert!(page.text().contains("signed in with Tailscale"), "{}", page.text());
    assert!(page.header("set-cookie").is_some_and(|cookie| cookie.starts_with("hearth-0000002a=; ")), "{page:?}");
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM record"), 0);
}

#[test]
fn an_email_is_believed_once() {
    let data = Data::new();
    let app = serve(&data).start();
    assert_eq!(by_serve(&data, "/api/v1/session", &[LOGIN]).status, 200);
    assert_eq!(app.send("PATCH", "/api/v1/profile", &json!({ "email": "family@example.org" })).status, 200);
    // Known by the login from then on, and whoever has the other e-mail in the tailnet is somebody else.
    assert_eq!(by_serve(&data, "/api/v1/session", &[LOGIN]).status, 200);
    by_serve(&data, "/api/v1/session", &[("Tailscale-User-Login", "family@example.org")]).problem(401);
    app.stop();
}

#[test]
fn devices_with_tags_strangers_and_a_tailscaled_that_fails_are_nobody() {
    let data = Data::new();
    for reply in [
        Reply::Tagged,
        Reply::user("stranger@example.org", "A stranger"),
        Reply::Status(404),
        Reply::Status(500),
        Reply::Garbage,
        Reply::Json("{}".to_owned()),
        Reply::CutOff,
    ] {
        let tailscaled = StandIn::start();
        tailscaled.set(DEVICE, reply.clone());
        let app = localapi(&data, &tailscaled);
        by_device(&app, &[]).problem(401);
        by_device(&app, &SPOOFED).problem(401);
        app.stop();
    }
    // A stranger is written down, once.
    assert_eq!(data.count("SELECT count(*) FROM audit_event WHERE who = 'stranger@example.org'"), 1);
}
