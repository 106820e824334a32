//! Speaking to registries: the sign-in, pages, TLS, and everything that may go wrong.
//!
//! Version 2 of docker-registry gives all tags on one page whatever is asked for, so pages are cut from its list by a stand-in
//! before it.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::fd::AsRawFd,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, socket};
use serde_json::json;
use supervisor::{
    config::image::Reference,
    jobs::update::Question,
    work::update::{self, registry},
};

use crate::{
    harness::Hearth,
    real::{NAME, Registry, SERVICE, Signer, send},
    stand_in::{Asked, StandIn, answer, list},
};

fn check(image: &str, running: &str) -> Result<Option<String>, String> {
    let question = Question { image: image.to_owned(), running: running.to_owned() };
    update::check(&question).map_err(|failure| {
        assert!(!failure.message.chars().any(char::is_control), "{failure:?}");
        assert!(failure.message.len() < 600, "{failure:?}");
        failure.message
    })
}

fn newest(image: &str, running: &str) -> Option<String> {
    check(image, running).unwrap_or_else(|message| panic!("{message}"))
}

/// Asserts that this is all that a question gives away.
pub(crate) fn assert_anonymous(asked: &Asked) {
    let names: Vec<&str> = asked.headers.keys().map(String::as_str).filter(|name| *name != "authorization").collect();
    assert_eq!(names, ["accept", "host", "user-agent"], "{asked:?}");
    assert_eq!(asked.headers["user-agent"], format!("hearth/{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(asked.method, "GET");
}

const TAGS: &[&str] =
    &["latest", "v1.0.0", "1.0.0", "1.0", "v1.2.0", "1.2.0", "v1.10.0", "v1.9.0", "v2.0.0-rc.1", "sha-0123abc"];

#[test]
#[cfg_attr(not(has = "docker-registry"), ignore = "needs docker-registry")]
fn a_real_registry_is_asked_for_versions() {
    let registry = Registry::with(TAGS);
    assert_eq!(newest(&registry.image(), "1.2.0").as_deref(), Some("1.10.0"));
    assert_eq!(newest(&registry.image(), "1.10.0"), None, "a pre-release is not for whoever runs a release");
    assert_eq!(newest(&registry.image(), "2.0.0-alpha.1").as_deref(), Some("2.0.0-rc.1"));
    registry.push(&["v2.0.0"]);
    assert_eq!(newest(&registry.image(), "1.10.0").as_deref(), Some("2.0.0"));
    let other = format!("{}/house/other", registry.address);
    assert_eq!(
        check(&other, "1.0.0").unwrap_err(),
        format!("the registry {} knows no image house/other", registry.address)
    );
}

#[test]
#[cfg_attr(not(all(has = "docker-registry", has = "openssl")), ignore = "needs docker-registry and openssl")]
fn a_real_registry_that_wants_tokens_gets_one() {
    let signer = Signer::new();
    let section = Arc::new(Mutex::new(answer("200 OK", "", json!({"token": signer.token()}).to_string())));
    let given = Arc::clone(&section);
    let tokens = StandIn::start(move |_, stream| stream.write_all(&given.lock().unwrap()).unwrap());
    let registry = Registry::with(TAGS).guarded(&signer.section(tokens.address));
    assert_eq!(newest(&registry.image(), "1.2.0").as_deref(), Some("1.10.0"));
    let asked = tokens.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_anonymous(&asked[0]);
    assert!(!asked[0].headers.contains_key("authorization"));
    let scope = format!("repository%3A{}%3Apull", NAME.replace('/', "%2F"));
    let service = SERVICE.replace(' ', "+").replace('\'', "%27");
    assert_eq!(asked[0].target, format!("/token?of=this&service={service}&scope={scope}"));
    // Without a supervisor the command asks by itself, through a job with one.
    let mut hearth = Hearth::new();
    hearth.set("HEARTH_UPDATE__IMAGE", registry.image());
    assert_eq!(hearth.done(&["update", "check"]).trim(), "New version v1.10.0 available");
    // A token that is not believed, and none at all, end as a sign-in that Hearth has not.
    for refused in [
        answer("200 OK", "", json!({"token": Signer::new().token()}).to_string()),
        answer("200 OK", "", r#"{"access_token": "nonsense"}"#),
        answer("403 Forbidden", "", r#"{"errors": [{"code": "DENIED"}]}"#),
        answer("401 Unauthorized", "www-authenticate: Basic realm=\"x\"\r\n", ""),
    ] {
        *section.lock().unwrap() = refused;
        let told = check(&registry.image(), "1.2.0").unwrap_err();
        assert_eq!(told, format!("the registry {} wants a sign-in for {NAME}", registry.address));
    }
}

#[test]
#[cfg_attr(not(has = "docker-registry"), ignore = "needs docker-registry")]
fn a_real_registry_that_wants_a_password_is_left_alone() {
    let registry = Registry::with(TAGS);
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("htpasswd");
    fs::write(&file, "someone:$2y$05$aaaaaaaaaaaaaaaaaaaaauaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n").unwrap();
    let registry = registry.guarded(&format!("auth: {{htpasswd: {{realm: house, path: {file:?}}}}}\n"));
    let told = check(&registry.image(), "1.0.0").unwrap_err();
    assert_eq!(told, format!("the registry {} wants a sign-in for {NAME}", registry.address));
}

#[test]
#[cfg_attr(not(all(has = "docker-registry", has = "openssl")), ignore = "needs docker-registry and openssl")]
fn a_registry_that_is_not_this_machine_is_asked_over_tls() {
    let signer = Signer::new();
    let registry = Registry::with(TAGS).over_tls(&signer);
    // 127.0.0.1 in a way that is none of Docker's names for this machine.
    let place = format!("127.1:{}", registry.address.port());
    let mut hearth = Hearth::new();
    hearth.set("HEARTH_UPDATE__IMAGE", format!("{place}/{NAME}"));
    hearth.set("SSL_CERT_FILE", signer.certificate().display().to_string());
    assert_eq!(hearth.done(&["update", "check"]).trim(), "New version v1.10.0 available");
    // A certificate that nobody has vouched for,
    let stranger = Signer::new();
    hearth.set("SSL_CERT_FILE", stranger.certificate().display().to_string());
    let told = hearth.refused(&["update", "check"]);
    assert!(
        told.starts_with(&format!("error: the registry {place} presents a certificate that is not trusted")),
        "{told}"
    );
    // a system that trusts nobody, and a server without TLS are not asked.
    hearth.set("SSL_CERT_FILE", "/nowhere");
    hearth.set("SSL_CERT_DIR", "/nowhere");
    let told = hearth.refused(&["update", "check"]);
    assert!(told.contains("has no root certificates"), "{told}");
    let plain = Registry::with(&["v9.0.0"]);
    hearth.set("SSL_CERT_FILE", signer.certificate().display().to_string());
    hearth.set("HEARTH_UPDATE__IMAGE", format!("127.1:{}/{NAME}", plain.address.port()));
    let told = hearth.refused(&["update", "check"]);
    assert!(told.contains("cannot be reached ("), "{told}");
}

/// Cuts the list of tags into pages of two, and links them as `link` writes it: given the server's address, path and query.
fn pages(tags: impl Fn() -> Vec<String> + Send + Sync + 'static, link: fn(&str, &str, &str) -> String) -> StandIn {
    StandIn::start(move |asked, stream| {
        let tags = tags();
        let from = asked.target.split_once("last=").map_or(0, |(_, last)| last.parse().unwrap());
        let page = &tags[from..tags.len().min(from + 2)];
        let path = format!("/v2/{NAME}/tags/list");
        assert!(asked.target.starts_with(&path), "{asked:?}");
        let next = link(&asked.headers["host"], &path, &format!("?n=2&last={}", from + 2));
        let headers = if from + 2 < tags.len() { format!("link: {next}\r\n") } else { String::new() };
        stream.write_all(&list(page, &headers)).unwrap();
    })
}

#[test]
#[cfg_attr(not(has = "docker-registry"), ignore = "needs docker-registry")]
fn all_pages_are_read_however_they_are_linked() {
    for link in [
        |_: &str, path: &str, query: &str| format!("<{path}{query}>; rel=\"next\""),
        |host: &str, path: &str, query: &str| format!("<http://{host}{path}{query}>; rel=next"),
        |_: &str, _: &str, query: &str| format!("<x>; rel=\"prev\", <{query}>; title=\"a, b\"; rel=\"next\""),
    ] {
        let registry = Registry::with(TAGS);
        // Not the registry itself: a stand-in lives on with the process, and what it owns is never dropped.
        let behind = registry.address;
        let all = move || {
            let listed = send(behind, "GET", &format!("/v2/{NAME}/tags/list"), "", "").json();
            listed["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()).collect()
        };
        let front = pages(all, link);
        assert_eq!(newest(&front.image(), "1.2.0").as_deref(), Some("1.10.0"));
        let asked = front.asked();
        assert_eq!(asked.len(), TAGS.len() / 2);
        asked.iter().for_each(assert_anonymous);
    }
}

#[test]
fn the_list_goes_on_at_no_other_host() {
    let other = StandIn::saying(list(&["v9.0.0"], ""));
    for link in [
        format!("http://{}/v2/{NAME}/tags/list", other.address),
        format!("//{}/v2/{NAME}/tags/list", other.address),
        format!("https://{}/v2/{NAME}/tags/list", other.address),
        "file:///etc/passwd".to_owned(),
    ] {
        let server = StandIn::saying(list(&["v1.0.0"], &format!("link: <{link}>; rel=next\r\n")));
        let told = check(&server.image(), "1.0.0").unwrap_err();
        assert!(told.contains("goes on at another host"), "{link}: {told}");
        assert_eq!(server.asked().len(), 1);
    }
    // What stands before the host is not sent either.
    let tags = || vec!["v1.0.0".to_owned(), "v1.1.0".to_owned(), "v1.2.0".to_owned()];
    let server = pages(tags, |host, path, query| format!("<http://name:secret@{host}{path}{query}#x>; rel=next"));
    assert_eq!(newest(&server.image(), "1.0.0").as_deref(), Some("1.2.0"));
    server.asked().iter().for_each(|asked| assert!(!asked.headers.contains_key("authorization"), "{asked:?}"));
    for place in [format!("http://{}/", other.address), format!("/v2/{NAME}/tags/list?again")] {
        for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
            let server = StandIn::saying(answer(status, &format!("location: {place}\r\n"), ""));
            let told = check(&server.image(), "1.0.0").unwrap_err();
            assert!(told.contains("sends the question elsewhere (3"), "{told}");
            assert_eq!(server.asked().len(), 1);
        }
    }
    assert!(other.asked().is_empty(), "{:?}", other.asked());
}

#[test]
fn a_token_is_fetched_where_it_is_safe_and_shown_to_the_registry_alone() {
    let tokens = StandIn::saying(answer("200 OK", "set-cookie: a=b\r\n", r#"{"token":"a.b-c_d="}"#));
    let guarded = |challenge: String| {
        StandIn::start(move |asked, stream| {
            let answer = match asked.headers.get("authorization").map(String::as_str) {
                Some("Bearer a.b-c_d=") if asked.target.contains("last") => list(&["v1.2.0"], ""),
                Some("Bearer a.b-c_d=") => list(&["v1.1.0"], "set-cookie: c=d\r\nlink: <?last=1>; rel=next\r\n"),
                _ => answer("401 Unauthorized", &format!("set-cookie: e=f\r\nwww-authenticate: {challenge}\r\n"), ""),
            };
            let _ = stream.write_all(&answer);
        })
    };
    let registry = guarded(format!(
        r#"Basic realm="x", Bearer realm="http://{}/token",service="a&b",scope="x:y""#,
        tokens.address
    ));
    assert_eq!(newest(&registry.image(), "1.0.0").as_deref(), Some("1.2.0"));
    assert_eq!(registry.asked().len(), 3, "one token for all pages");
    registry.asked().iter().chain(&tokens.asked()).for_each(assert_anonymous);
    assert_eq!(tokens.asked()[0].target, "/token?service=a%26b&scope=x%3Ay");
    let registry = guarded(format!(r#"Bearer realm="http://{}/token""#, tokens.address));
    assert_eq!(newest(&registry.image(), "1.0.0").as_deref(), Some("1.2.0"));
    assert_eq!(tokens.asked()[1].target, "/token?scope=repository%3Ahouse%2Fhearth%3Apull");
    for (realm, words) in [
        ("http://registry.example.org/token", "cannot be trusted"),
        ("http://127.0.0.1.example.org/token", "cannot be trusted"),
        ("http://name:secret@127.0.0.1:1/token", "cannot be trusted"),
        ("file:///etc/passwd", "cannot be trusted"),
        ("/token", "no list of tags"),
        ("http://", "no list of tags"),
    ] {
        let told = check(&guarded(format!("Bearer realm=\"{realm}\"")).image(), "1.0.0").unwrap_err();
        assert!(told.contains(words), "{realm}: {told}");
    }
    for garbage in [
        "",
        "{}",
        "[]",
        "{\"token\":5}",
        "{\"token\":\"\"}",
        "{\"token\":\"a\\r\\nb: c\"}",
        "\u{0}",
        &"x".repeat(70_000),
    ] {
        let tokens = StandIn::saying(answer("200 OK", "", garbage));
        let registry = guarded(format!(r#"Bearer realm="http://{}/token""#, tokens.address));
        let told = check(&registry.image(), "1.0.0").unwrap_err();
        assert!(told.contains("no list of tags") || told.contains("more than"), "{garbage:?}: {told}");
    }
}

#[test]
fn garbage_ends_as_a_sentence() {
    let trouble = |bytes: Vec<u8>| check(&StandIn::saying(bytes).image(), "1.0.0");
    for (status, words) in [
        ("401 Unauthorized", "wants a sign-in"),
        ("403 Forbidden", "wants a sign-in"),
        ("404 Not Found", "knows no image"),
        ("429 Too Many Requests", "too often"),
        ("500 Internal Server Error", "answers 500"),
        ("503 \u{1b}[31mred", "does not speak HTTP"),
        ("503 Red", "answers 503 Service Unavailable"),
        ("204 No Content", "answers 204"),
        ("999 Nothing", "answers 999"),
    ] {
        let told = trouble(answer(status, "retry-after: 99999999\r\n", "nonsense")).unwrap_err();
        assert!(told.contains(words), "{status}: {told}");
    }
    for body in [
        &b""[..],
        b"{",
        b"null",
        b"[]",
        b"5",
        b"{}",
        b"{\"tags\":5}",
        b"{\"tags\":{\"v9.0.0\":1}}",
        b"<html>v9.0.0</html>",
        b"{\"tags\":[\"v9.0.0\"]",
        b"{\"tags\":[\"\xff\xfe\"]}",
        b"\x1f\x8b\x08\x00",
        b"\0\0\0\0",
    ] {
        let told = trouble(answer("200 OK", "", body)).unwrap_err();
        assert!(told.contains("no list of tags"), "{:?}: {told}", String::from_utf8_lossy(body));
    }
    let deep = format!("{{\"tags\":[{}{}]}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(trouble(answer("200 OK", "", deep)).unwrap_err().contains("no list of tags"));
    let huge = format!("{{\"tags\":[\"{}\"]}}", "v9".repeat(9 << 20));
    assert!(trouble(answer("200 OK", "", huge)).unwrap_err().contains("more than can be"));
    let short = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"tags\":[\"v9.0.0\"]}".to_vec();
    for bytes in
        [short, b"SSH-2.0-OpenSSH\r\n".to_vec(), Vec::new(), vec![0xff; 9999], b"HTTP/1.1 200 OK\r\n".repeat(99_999)]
    {
        let told = trouble(bytes).unwrap_err();
        assert!(told.contains("closed the connection"), "{told}");
    }
    // What is in a list and no version is nothing, whatever it is.
    let mixed = r#"{"tags":[null,5,["v9.0.0"],{"a":"v9.0.0"},"v9.0.0\r\nX: y","v9.0.0\u001b[2J","v9.0.0;x","v1.1.0","9.9"],"more":1}"#;
    assert_eq!(trouble(answer("200 OK", "link: <b>; rel=next; title=\u{e9}\r\n", mixed)), Ok(Some("1.1.0".to_owned())));
    assert_eq!(trouble(answer("200 OK", "link: <a\r\nlink: <b>; rel=prev\r\n", "{\"tags\":null}")), Ok(None));
}

#[test]
fn tens_of_thousands_of_tags_are_read_and_no_list_without_an_end() {
    let page = |from: usize| -> Vec<String> { (from..from + 1000).map(|number| format!("v1.{number}.0")).collect() };
    let server = StandIn::start(move |asked, stream| {
        let from: usize = asked.target.split_once("last=").map_or(0, |(_, last)| last.parse().unwrap());
        let next = format!("link: </v2/{NAME}/tags/list?last={}>; rel=next\r\n", from + 1000);
        let _ = stream.write_all(&list(&page(from), if from < 49_000 { &next } else { "" }));
    });
    assert_eq!(newest(&server.image(), "1.0.0").as_deref(), Some("1.49999.0"));
    assert_eq!(server.asked().len(), 50);
    assert!(server.asked()[0].target.ends_with("?n=1000"), "{:?}", server.asked()[0]);
    // The same page for ever.
    let server = StandIn::saying(list(&["v1.1.0"], &format!("link: </v2/{NAME}/tags/list>; rel=next\r\n")));
    let told = check(&server.image(), "1.0.0").unwrap_err();
    assert!(told.contains("over 1000 pages") || told.contains("in full within 20s"), "{told}");
    // Pages that are small each, and too many bytes together.
    let long: Vec<String> = (0..8000).map(|number| format!("v1.1.0-{}{number}", "x".repeat(100))).collect();
    let server = StandIn::saying(list(&long, &format!("link: </v2/{NAME}/tags/list>; rel=next\r\n")));
    let told = check(&server.image(), "1.0.0").unwrap_err();
    assert!(told.contains("more than can be a list of tags"), "{told}");
    assert!(server.asked().len() < 30);
}

#[test]
fn a_dead_or_slow_registry_costs_a_bounded_time() {
    // Bound and not listening: connections are refused, and no other test can get the port.
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
    bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    let dead: SockaddrIn = getsockname(socket.as_raw_fd()).unwrap();
    let told = check(&format!("{dead}/{NAME}"), "1.0.0").unwrap_err();
    assert_eq!(told, format!("the registry {dead} cannot be reached (connection refused)"));
    let silent: fn(&Asked, &mut TcpStream) = |_, stream| {
        let _ = stream.read(&mut [0]);
    };
    let dribble: fn(&Asked, &mut TcpStream) = |_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 999999\r\n\r\n{\"tags\":[");
        while stream.write_all(b"\"v9.0.0\",").is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    for slow in [silent, dribble] {
        let server = StandIn::start(slow);
        let begun = Instant::now();
        let image = Reference::parse(&server.image()).unwrap();
        let told = registry::tags(&image, Duration::from_millis(300), |_| {}).unwrap_err();
        assert!(told.message.contains("has not answered in full within 300ms"), "{told}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}
