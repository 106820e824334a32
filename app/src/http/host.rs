//! Is a request meant for this Hearth?
//!
//! A page of another site whose name its owner has pointed at the household's address (DNS rebinding) is of the same
//! origin as Hearth to a browser; only its `Host` tells. So Hearth answers to what nobody outside can own (an IP address,
//! a single label such as `nas` or `localhost`) and to the names that the operator has set.

use std::{
    borrow::Cow,
    net::{Ipv4Addr, Ipv6Addr},
};

use poem::{
    Request,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, Version, header},
};

use super::{cookies::CookieNames, problem::Problem, proxies::Proxies};
use crate::config::{self, Http, PublicUrl};

/// A name in the DNS is not longer (RFC 1035, 2.3.4), but for a full stop at its end.
const LONGEST: usize = 254;

/// The names that Hearth answers to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hosts {
    public: Option<PublicUrl>,
    names: Vec<String>,
    proxies: Proxies,
}

impl Hosts {
    /// Returns the names in the settings.
    pub(crate) fn new(settings: &Http) -> Self {
        Self {
            public: settings.public_url.clone(),
            names: settings.hosts.clone(),
            proxies: Proxies::new(&settings.trusted_proxies),
        }
    }

    /// Returns the proxies that are believed.
    pub(crate) fn proxies(&self) -> &Proxies {
        &self.proxies
    }

    /// Refuses a request that is meant for another site.
    pub(crate) fn check(&self, request: &Request) -> Result<(), Problem> {
        self.admit(request.version(), request.uri(), request.headers())
    }

    fn admit(&self, version: Version, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(target) = request_target(version, uri, headers)? else { return Ok(()) };
        if self.answers_to(target.host) {
            return Ok(());
        }
        Err(Problem::new(StatusCode::MISDIRECTED_REQUEST).detail(format!(
            "Hearth does not answer to the name {} until it is one of http.hosts (HEARTH_HTTP__HOSTS) or that of \
             http.public_url.",
            target.host.name()
        )))
    }

    /// Says which of these names it would not answer to, as they stand in the settings.
    pub(crate) fn refused<'a>(&self, names: &'a [String]) -> Vec<&'a String> {
        let is_refused = |name: &str| {
            // An address has no form in the DNS.
            let name = config::host_name(name).unwrap_or_else(|| name.to_owned());
            read(&name).is_none_or(|target| !self.answers_to(target.host))
        };
        names.iter().filter(|name| is_refused(name)).collect()
    }

    fn answers_to(&self, host: Host) -> bool {
        let Host::Name(name) = host else { return true };
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        !name.contains('.') || self.names.iter().any(|known| is(known)) || self.public().is_some_and(is)
    }

    /// Returns whether a page of this origin is one of ours, where the request says `host`. A proxy may have changed that, or
    /// left the port out: so the page may also be under `http.public_url`, or, with no port of its own, under a name of
    /// `http.hosts`. A name that is the request's own has its port in `Host`: at another one there is another program.
    pub(crate) fn is_own_origin(&self, origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
        let Some((https, origin)) = origin.to_str().ok().and_then(read_origin) else { return false };
        let host = host.and_then(|host| read(host.to_str().ok()?));
        let is_public = self.public.as_ref().is_some_and(|url| url.is_https() == https && origin.is_at(url));
        let is_asked = host.is_some_and(|host| host.host == origin.host);
        match origin.host {
            _ if is_public => true,
            _ if is_asked => host.is_some_and(|host| host.without_default_port() == origin.without_default_port()),
            Host::Name(name) => {
                host.is_some()
                    && origin.port.is_none_or(|port| port == if https { 443 } else { 80 })
                    && self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
            }
            _ => false,
        }
    }

    fn public(&self) -> Option<&str> {
        self.public.as_ref().map(PublicUrl::host)
    }

    /// Returns whether this is the very host and port of an https `http.public_url`.
    fn is_public_https(&self, target: RequestTarget) -> bool {
        self.public.as_ref().is_some_and(|url| url.is_https() && target.is_at(url))
    }
}

/// Returns whether the browser speaks https, though Hearth itself never does. The first of these that there is decides: a
/// cookie that browsers send over https alone, the word of a proxy, the page that the request comes from, and whether
/// its host is where `http.public_url` says that https is. Whoever claims it wrongly gets cookies that a browser takes
/// over https only.
pub(crate) fn is_https(request: &Request, hosts: &Hosts, cookies: &CookieNames) -> bool {
    // It is there at each request once somebody is signed in, also where a proxy says nothing.
    if cookies.shows_https(request.headers()) {
        return true;
    }
    let text = |name: &str| request.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    if let Some(list) = text("x-forwarded-proto") {
        return list.split(',').next().unwrap_or_default().trim().eq_ignore_ascii_case("https");
    }
    match text("origin").as_deref().and_then(|origin| origin.split_once("://")) {
        Some((scheme, _)) => scheme.eq_ignore_ascii_case("https"),
        // Sec-Fetch-Site comes over https and from localhost alone (W3C Fetch Metadata, 5); without a port, the host may be
        // that of plain http, too.
        None => {
            request.headers().contains_key("sec-fetch-site")
                && matches!(request_target(request.version(), request.uri(), request.headers()),
                Ok(Some(target)) if hosts.is_public_https(target))
        }
    }
}

/// Returns whether a request is meant for the very host and port of an address.
pub(crate) fn is_meant_for(request: &Request, url: &PublicUrl) -> bool {
    matches!(request_target(request.version(), request.uri(), request.headers()), Ok(Some(target)) if target.is_at(url))
}

/// What a request is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RequestTarget<'a> {
    host: Host<'a>,
    port: Option<u16>,
}

impl RequestTarget<'_> {
    /// Whether it is the host and port of an address; browsers leave out the port that is the scheme's own.
    fn is_at(&self, url: &PublicUrl) -> bool {
        matches!(self.host, Host::Name(name) if name.eq_ignore_ascii_case(url.host()))
            && self.port.unwrap_or(if url.is_https() { 443 } else { 80 }) == url.port()
    }
}

impl<'a> RequestTarget<'a> {
    /// The scheme is no help: behind `tailscale serve` the browser speaks https and Hearth http.
    fn without_default_port(self) -> Self {
        Self { port: self.port.filter(|port| !matches!(port, 80 | 443)), ..self }
    }
}

/// Reads `scheme://host[:port]`, and whether that is https.
fn read_origin(text: &str) -> Option<(bool, RequestTarget<'_>)> {
    let (scheme, authority) = text.split_once("://")?;
    let https = scheme.eq_ignore_ascii_case("https");
    (https || scheme.eq_ignore_ascii_case("http")).then_some((https, read(authority)?))
}

#[derive(Debug, Clone, Copy)]
enum Host<'a> {
    V4(Ipv4Addr),
    V6(Ipv6Addr),
    /// Without a full stop at its end; in whatever case.
    Name(&'a str),
}

impl PartialEq for Host<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::V4(one), Self::V4(other)) => one == other,
            (Self::V6(one), Self::V6(other)) => one == other,
            (Self::Name(one), Self::Name(other)) => one.eq_ignore_ascii_case(other),
            _ => false,
        }
    }
}

impl Eq for Host<'_> {}

impl<'a> Host<'a> {
    fn name(self) -> Cow<'a, str> {
        match self {
            Self::V4(address) => address.to_string().into(),
            Self::V6(address) => format!("[{address}]").into(),
            Self::Name(name) => name.into(),
        }
    }
}

/// Returns what a request is meant for: RFC 9112, 3.2 wants `Host` exactly once, which only HTTP/1.0 may leave out.
fn request_target<'a>(
    version: Version,
    uri: &'a Uri,
    headers: &'a HeaderMap,
) -> Result<Option<RequestTarget<'a>>, Problem> {
    let refused = |why: &str| Problem::new(StatusCode::BAD_REQUEST).detail(why);
    let malformed = || refused("The Host header is invalid.");
    let mut values = headers.get_all(header::HOST).iter();
    let target = match (values.next(), values.next()) {
        (Some(_), Some(_)) => return Err(refused("The request has more than one Host header.")),
        (Some(value), None) => Some(value.to_str().ok().and_then(read).ok_or_else(malformed)?),
        (None, _) if version >= Version::HTTP_11 => return Err(refused("The Host header is missing.")),
        (None, _) => None,
    };
    // A proxy's form, in which the address counts and not the header (RFC 9112, 3.2.2): everything after this reads the
    // header, so the two must agree.
    match uri.authority() {
        Some(authority) if read(authority.as_str()) != target => {
            Err(refused("The request line and the Host header name different hosts."))
        }
        _ => Ok(target),
    }
}

/// Reads `host[:port]` (RFC 3986, 3.2), without what a browser never sends: user names, zones, other alphabets.
fn read(text: &str) -> Option<RequestTarget<'_>> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            let port = if port.is_empty() { None } else { Some(port.strip_prefix(':')?) };
            (Host::V6(address.parse().ok()?), port)
        }
        None => {
            let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
            let name = host.strip_suffix('.').unwrap_or(host);
            (name.parse().map(Host::V4).ok().or_else(|| is_name(name).then_some(Host::Name(name)))?, port)
        }
    };
    let port = match port.unwrap_or_default() {
        "" => None,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
        _ => return None,
    };
    Some(RequestTarget { host, port })
}

/// Underscores are no part of a host's name in the DNS, but of many a container's.
fn is_name(text: &str) -> bool {
    text.len() < LONGEST
        && text.split('.').all(|label| {
            !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Hosts {
        Hosts::new(&Http {
            public_url: Some("https://hearth.example.org".parse().unwrap()),
            hosts: vec!["nas.tail1.ts.net".to_owned(), "xn--bcher-kva.example".to_owned()],
            ..Http::default()
        })
    }

    fn status(version: Version, uri: &str, host: &[&[u8]]) -> Option<u16> {
        let mut headers = HeaderMap::new();
        for host in host {
            headers.append(header::HOST, poem::http::HeaderValue::from_bytes(host).unwrap());
        }
        let answer = hosts().admit(version, &uri.parse().unwrap(), &headers);
        answer.err().map(|problem| problem.status().as_u16())
    }

    #[test]
    fn it_answers_to_addresses_single_labels_and_the_names_that_were_set() {
        let refused = |status| move |host: &str| (host.to_owned(), status);
        let table = [
            "127.0.0.1",
            "127.0.0.1:3000",
            "192.168.1.2:80",
            "127.0.0.1.",
            "[::1]",
            "[::1]:3000",
            "[FD7A:115C::1]",
            "[::ffff:10.0.0.1]:3000",
            "localhost",
            "localhost:3000",
            "nas",
            "NAS:3000",
            "nas.",
            "hearth_web_1",
            "2130706433",
            "nas:",
            "hearth.example.org",
            "Hearth.Example.Org:8443",
            "hearth.example.org.",
            "nas.tail1.ts.net",
            "nas.tail1.ts.net:443",
            "xn--bcher-kva.example",
        ]
        .map(refused(None))
        .into_iter()
        .chain(
            [
                "evil.example",
                "evil.example:3000",
                "evil.example.",
                "hearth.example.org.evil.example",
                "x.hearth.example.org",
                "xhearth.example.org",
                "nas.local",
                "127.0.0.1.evil.example",
                "127.0.0.1.nip.io",
                "0x7f.1",
                "127.1",
                "256.0.0.1",
                "127.0.0.01",
                "xn--bcher-kva.example.com",
            ]
            .map(refused(Some(421))),
        )
        .chain(
            [
                "",
                ".",
                "..",
                ":3000",
                "::1",
                "[::1",
                "[::1]x",
                "[::1]3000",
                "[::1%25eth0]",
                "[nas]",
                "nas:http",
                "nas:+1",
                "nas:65536",
                "nas:1:2",
                "nas..local",
                ".nas",
                "someone@nas",
                "someone:word@127.0.0.1",
                "nas/",
                "nas?x",
                "nas#x",
                "na s",
                "nas, nas",
                "nas%2elocal",
                "*.local",
                "nas\\local",
            ]
            .map(refused(Some(400))),
        );
        for (host, expected) in table {
            assert_eq!(status(Version::HTTP_11, "/", &[host.as_bytes()]), expected, "{host:?}");
        }
        assert_eq!(status(Version::HTTP_11, "/", &["b\u{fc}cher.example".as_bytes()]), Some(400));
        assert_eq!(status(Version::HTTP_11, "/", &[format!("{}nas", "a.".repeat(126)).as_bytes()]), Some(400));
    }

    #[test]
    fn the_header_is_there_once() {
        assert_eq!(status(Version::HTTP_11, "/", &[]), Some(400));
        assert_eq!(status(Version::HTTP_10, "/", &[]), None);
        assert_eq!(status(Version::HTTP_10, "/", &[b"evil.example"]), Some(421));
        assert_eq!(status(Version::HTTP_11, "/", &[b"nas", b"nas"]), Some(400));
        assert_eq!(status(Version::HTTP_11, "/", &[b"nas", b"evil.example"]), Some(400));
    }

    #[test]
    fn an_address_in_the_first_line_agrees_with_the_header() {
        for (uri, host, expected) in [
            ("http://nas:3000/", "nas:3000", None),
            ("http://NAS/", "nas", None),
            ("http://nas/", "127.0.0.1", Some(400)),
            ("http://nas:3000/", "nas", Some(400)),
            ("http://evil.example/", "nas", Some(400)),
            ("http://nas/", "evil.example", Some(400)),
            ("http://evil.example/", "evil.example", Some(421)),
            ("http://someone@nas/", "nas", Some(400)),
        ] {
            assert_eq!(status(Version::HTTP_11, uri, &[host.as_bytes()]), expected, "{uri} {host}");
        }
        assert_eq!(status(Version::HTTP_10, "http://nas/", &[]), Some(400));
    }

    #[test]
    fn the_refusal_names_the_setting() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, poem::http::HeaderValue::from_static("Evil.example:80"));
        let problem = hosts().admit(Version::HTTP_11, &Uri::from_static("/"), &headers).unwrap_err();
        assert_eq!(
            problem.sentence(),
            "Hearth does not answer to the name Evil.example until it is one of http.hosts (HEARTH_HTTP__HOSTS) or that \
             of http.public_url."
        );
    }

    #[test]
    fn which_names_of_the_settings_are_not_answered_is_said_as_they_stand_there() {
        let own =
            ["hearth.example.org", "nas.tail1.ts.net", "NAS.tail1.TS.net.", "Bücher.example", "nas", "192.168.1.2"];
        assert_eq!(hosts().refused(&own.map(str::to_owned)), Vec::<&String>::new());
        let other = ["example.org", "müller.example", "a b.example", ""].map(str::to_owned);
        assert_eq!(hosts().refused(&other), other.iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_request_is_meant_for_one_host_and_port() {
        let ask = |host: &str, url: &str| {
            is_meant_for(&Request::builder().header("host", host).finish(), &url.parse().unwrap())
        };
        for (host, url, meant) in [
            ("hearth.example.org", "https://hearth.example.org", true),
            ("HEARTH.example.org.:443", "https://hearth.example.org", true),
            ("hearth.example.org:8443", "https://hearth.example.org:8443", true),
            ("localhost:3000", "http://localhost:3000", true),
            ("localhost", "http://localhost", true),
            ("hearth.example.org:80", "https://hearth.example.org", false),
            ("hearth.example.org", "https://hearth.example.org:8443", false),
            ("nas", "https://hearth.example.org", false),
            ("127.0.0.1:3000", "http://localhost:3000", false),
        ] {
            assert_eq!(ask(host, url), meant, "{host} {url}");
        }
        assert!(!is_meant_for(&Request::builder().finish(), &"http://localhost".parse().unwrap()));
    }

    #[test]
    fn https_is_what_a_proxy_the_page_or_the_host_says() {
        let ask = |headers: &[(&str, &str)]| {
            let request =
                headers.iter().fold(Request::builder(), |request, (name, value)| request.header(*name, *value));
            is_https(&request.finish(), &hosts(), &CookieNames::of(1))
        };
        for (headers, https) in [
            (&[("host", "nas:3000")][..], false),
            (&[("host", "nas:3000"), ("x-forwarded-proto", "https")], true),
            (&[("host", "nas:3000"), ("x-forwarded-proto", "HTTPS, http")], true),
            (&[("host", "nas:3000"), ("x-forwarded-proto", "http, https")], false),
            (&[("host", "nas:3000"), ("x-forwarded-proto", "httpsx")], false),
            (&[("host", "nas:3000"), ("origin", "https://nas")], true),
            (&[("host", "nas:3000"), ("origin", "http://nas:3000")], false),
            (&[("host", "nas:3000"), ("origin", "null")], false),
            (&[("host", "hearth.example.org"), ("sec-fetch-site", "none")], true),
            (&[("host", "HEARTH.example.org.:443"), ("sec-fetch-site", "same-origin")], true),
            (&[("host", "hearth.example.org:3000"), ("sec-fetch-site", "none")], false),
            (&[("host", "nas.tail1.ts.net"), ("sec-fetch-site", "none")], false),
            // Over plain http at port 80 of the same name.
            (&[("host", "hearth.example.org")], false),
            // What says more goes first.
            (&[("host", "nas:3000"), ("cookie", "a=b; __Host-hearth=x")], true),
            (&[("host", "nas:3000"), ("cookie", "hearth=__Host-hearth")], false),
            (&[("host", "hearth.example.org"), ("x-forwarded-proto", "http")], false),
            (&[("host", "hearth.example.org"), ("origin", "http://hearth.example.org")], false),
            (&[("host", "nas:3000"), ("x-forwarded-proto", "http"), ("origin", "https://nas")], false),
        ] {
            assert_eq!(ask(headers), https, "{headers:?}");
        }
    }
}
