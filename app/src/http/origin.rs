//! Does a request that changes something come from one of our own pages?
//!
//! Any page in a user's browser can post to Hearth, and the browser sends the session with it. Browsers say where a request
//! comes from; programs such as curl do not, and pass. A request with a bearer token passes as well: no cookie is read then,
//! and no browser sends a token unasked, so pages of any origin may use one (CORS).

use poem::{
    Request, Response,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
};

use super::{
    host::Hosts,
    problem::{Code, Problem},
};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The request headers that a page of another origin may send with a token.
const CORS_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, if-match, if-none-match, if-range, range, upload-offset",
);
/// The response headers that such a page may read.
const CORS_EXPOSED: HeaderValue = HeaderValue::from_static(
    "accept-ranges, allow, content-disposition, content-range, etag, location, retry-after, upload-offset, www-authenticate",
);
/// For how many seconds browsers keep what a preflight said; at most two hours (Chromium).
const CORS_KEPT: HeaderValue = HeaderValue::from_static("7200");

/// Refuses a changing request that a browser sends for another site.
pub(crate) fn check_origin(request: &Request, hosts: &Hosts) -> Result<(), Problem> {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    check(request.headers(), hosts)
}

/// Returns whether a browser says where a request comes from; [`check_origin`] has seen to it that it is from here.
pub(crate) fn shows_its_origin(request: &Request) -> bool {
    request.headers().contains_key(FETCH_SITE) || request.headers().contains_key(header::ORIGIN)
}

/// Returns whether a request is to be judged by a bearer token, good or not.
pub(crate) fn shows_token(request: &Request) -> bool {
    bearer_tokens(request).next().is_some()
}

/// Returns the bearer tokens of a request. A header is bytes: what is no text is no token of ours, and refused as such.
pub(crate) fn bearer_tokens(request: &Request) -> impl Iterator<Item = String> {
    request.headers().get_all(header::AUTHORIZATION).iter().filter_map(|value| {
        let value = String::from_utf8_lossy(value.as_bytes());
        let (scheme, token) = value.split_once([' ', '\t'])?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    })
}

/// `Sec-Fetch-Site` decides where there is one; browsers leave it out on plain HTTP to other than localhost, and
/// send `Origin` there too. Each that is there counts: proxies may have added one.
fn check(headers: &HeaderMap, hosts: &Hosts) -> Result<(), Problem> {
    let mut sites = headers.get_all(FETCH_SITE).iter().peekable();
    if sites.peek().is_some() {
        return match sites.all(|site| matches!(site.as_bytes(), b"same-origin" | b"none")) {
            true => Ok(()),
            false => Err(foreign("This request comes from a page of another site. Nothing was changed.")),
        };
    }
    // `null` is a sandboxed frame or a file, and no host.
    let host = headers.get(header::HOST);
    match headers.get_all(header::ORIGIN).iter().find(|origin| !hosts.is_own_origin(origin, host)) {
        None => Ok(()),
        Some(origin) => {
            let text = |value: Option<&HeaderValue>| {
                value.map_or_else(String::new, |value| value.to_str().unwrap_or("something else").to_owned())
            };
            Err(foreign(format!(
                "This request comes from a page of {}, and Hearth was asked as {}; nothing was changed. If that page is \
                 Hearth's own, a proxy changes the header Host: its operator sets http.public_url (HEARTH_HTTP__PUBLIC_URL) \
                 to the address that browsers use, or has the proxy pass Host on, with the port.",
                text(Some(origin)),
                text(host)
            )))
        }
    }
}

fn foreign(why: impl Into<String>) -> Problem {
    Problem::new(StatusCode::FORBIDDEN).code(Code::ForeignOrigin).detail(why)
}

/// Answers the question of a browser whether a page of another origin may send a token to an operation with these methods.
/// `None`: it asks for something else, and gets no such permission.
pub(crate) fn preflight(request: &Request, methods: &HeaderValue) -> Option<Response> {
    let wanted = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS)?;
    let wanted = String::from_utf8_lossy(wanted.as_bytes());
    let asks = *request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        && wanted.split(',').any(|name| name.trim().eq_ignore_ascii_case("authorization"));
    asks.then(|| {
        let mut response = Response::builder().status(StatusCode::NO_CONTENT).finish();
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, CORS_HEADERS);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, CORS_KEPT);
        response
    })
}

/// Lets a page of another origin read the response to a request that it sent a token with. Never to one without: it could
/// be Tailscale that answers for the browser. Never with credentials.
pub(crate) fn share(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, CORS_EXPOSED);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Http;

    fn is_own(headers: &[(&'static str, &[u8])]) -> bool {
        let hosts = Hosts::new(&Http {
            public_url: Some("https://hearth.example.org:8443".parse().unwrap()),
            hosts: vec!["nas.lan".to_owned(), "xn--bcher-kva.example".to_owned()],
            ..Http::default()
        });
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        check(&map, &hosts).is_ok()
    }

    #[test]
    fn pages_of_other_sites_are_refused_and_programs_pass() {
        let host = ("host", &b"nas.tail1.ts.net:3000"[..]);
        for (headers, own) in [
            (&[][..], true),
            (&[("sec-fetch-site", &b"same-origin"[..]), ("origin", b"http://nas.tail1.ts.net:3000")], true),
            (&[("sec-fetch-site", b"none")], true),
            (&[("sec-fetch-site", b"cross-site"), ("origin", b"https://evil.example")], false),
            (&[("sec-fetch-site", b"cross-site"), ("origin", b"http://nas.tail1.ts.net:3000")], false),
            (&[("sec-fetch-site", b"same-site"), ("origin", b"http://other.tail1.ts.net")], false),
            (&[("origin", b"http://nas.tail1.ts.net:3000")], true),
            (&[("origin", b"http://NAS.tail1.ts.net:3000")], true),
            (&[("origin", b"http://nas.tail1.ts.net.:3000")], true),
            (&[("origin", b"https://nas.tail1.ts.net:3000")], true),
            (&[("origin", b"http://nas.tail1.ts.net")], false),
            (&[("origin", b"http://nas.tail1.ts.net:3001")], false),
            (&[("origin", b"http://evil.example")], false),
            (&[("origin", b"http://nas.tail1.ts.net:3000.evil.example")], false),
            (&[("origin", b"http://someone@nas.tail1.ts.net:3000")], false),
            (&[("origin", b"null")], false),
            (&[("origin", b"")], false),
            (&[("origin", b"nas.tail1.ts.net:3000")], false),
            (&[("origin", b"ftp://nas.tail1.ts.net:3000")], false),
            // A header is bytes, and each that is there counts.
            (&[("origin", b"http://\xe9vil.example")], false),
            (&[("origin", "http://\u{e9}vil.example".as_bytes())], false),
            (&[("origin", b"http://nas.tail1.ts.net:3000\xff")], false),
            (&[("sec-fetch-site", b"\xff")], false),
            (&[("sec-fetch-site", b"")], false),
            (&[("sec-fetch-site", b"same-origin\xff"), ("origin", b"http://nas.tail1.ts.net:3000")], false),
            (&[("sec-fetch-site", b"same-origin"), ("sec-fetch-site", b"cross-site")], false),
            (&[("origin", b"http://nas.tail1.ts.net:3000"), ("origin", b"http://evil.example")], false),
        ] {
            let all: Vec<_> = headers.iter().copied().chain([host]).collect();
            assert_eq!(is_own(&all), own, "{headers:?}");
        }
        for (origin, host, own) in [
            ("https://nas.ts.net", "nas.ts.net:443", true),
            ("https://nas.ts.net:443", "nas.ts.net", true),
            ("http://nas.ts.net:80", "nas.ts.net", true),
            // `tailscale serve` speaks https to the browser and plain http to Hearth.
            ("https://nas.ts.net", "nas.ts.net", true),
            ("http://[::1]:3000", "[::1]:3000", true),
            ("http://[0:0:0:0:0:0:0:1]:3000", "[::1]:3000", true),
            ("http://[::1]:3000", "[::2]:3000", false),
        ] {
            assert_eq!(is_own(&[("host", host.as_bytes()), ("origin", origin.as_bytes())]), own, "{origin} {host}");
        }
        assert!(!is_own(&[("origin", b"http://nas.ts.net")]));
    }

    #[test]
    fn a_page_under_a_configured_name_is_ours_whatever_a_proxy_makes_of_host() {
        for (origin, host, own) in [
            ("https://hearth.example.org:8443", "127.0.0.1:3000", true),
            ("https://HEARTH.example.org:8443", "hearth:3000", true),
            ("https://hearth.example.org:8443", "hearth.example.org", true),
            ("https://hearth.example.org:8443", "nas.lan", true),
            // Another port or scheme of the same name may be another program.
            ("https://hearth.example.org", "127.0.0.1:3000", false),
            ("http://hearth.example.org:8443", "127.0.0.1:3000", false),
            ("https://hearth.example.org:8444", "127.0.0.1:3000", false),
            ("http://nas.lan", "127.0.0.1:3000", true),
            ("https://nas.lan", "127.0.0.1:3000", true),
            ("https://nas.lan:443", "hearth", true),
            ("https://xn--bcher-kva.example", "127.0.0.1:3000", true),
            ("http://nas.lan:8080", "127.0.0.1:3000", false),
            // The page of another program on this very host, which the browser sends our cookies for.
            ("http://nas.lan", "nas.lan:3000", false),
            ("http://nas.lan:8080", "nas.lan:3000", false),
            ("http://x.nas.lan", "127.0.0.1:3000", false),
            ("http://evil.example", "127.0.0.1:3000", false),
            ("null", "127.0.0.1:3000", false),
        ] {
            assert_eq!(is_own(&[("host", host.as_bytes()), ("origin", origin.as_bytes())]), own, "{origin} {host}");
        }
    }

    #[test]
    fn the_refusal_names_both_addresses_and_the_setting() {
        let mut headers = HeaderMap::new();
        headers.insert("origin", HeaderValue::from_static("https://home.example:8443"));
        headers.insert("host", HeaderValue::from_static("127.0.0.1:3000"));
        let refused = check(&headers, &Hosts::default()).unwrap_err();
        for words in ["https://home.example:8443", "127.0.0.1:3000", "HEARTH_HTTP__PUBLIC_URL"] {
            assert!(refused.sentence().contains(words), "{refused}");
        }
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    }

    #[test]
    fn a_token_is_recognised_whatever_bytes_it_has() {
        let tokens = |value: &[u8]| {
            let value = HeaderValue::from_bytes(value).unwrap();
            bearer_tokens(&Request::builder().header(header::AUTHORIZATION, value).finish()).collect::<Vec<_>>()
        };
        assert_eq!(tokens(b"Bearer hearth_x"), ["hearth_x"]);
        assert_eq!(tokens(b"bEARER  hearth_x "), ["hearth_x"]);
        assert_eq!(tokens(b"Bearer hearth_\xff").len(), 1);
        assert_eq!(tokens(b"Basic \xff").len(), 0);
        assert_eq!(tokens(b"Bearer").len(), 0);
    }
}
