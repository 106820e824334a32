//! Is a request meant for Hearth, by the name that it asks for?
//!
//! A web page anywhere can have its own name lead to an address in the household's network, and then counts, for the
//! browser, as the same site as what answers there (DNS rebinding). So Hearth answers to IP addresses, to names without a
//! dot, which nobody out there can have, and to the names that it was told; the app does the same.

use std::net::{Ipv4Addr, Ipv6Addr};

use hyper::{Request, Version, header};
use reqwest::Url;

use crate::config::hosts_in;

/// Names that Hearth goes by, in lower case.
#[derive(Clone, Debug, Default)]
pub struct Names(Vec<String>);

/// What a request's host is.
#[derive(Debug, PartialEq, Eq)]
pub enum Host {
    /// One of ours.
    Own,
    /// A name that is none of ours.
    Foreign(String),
    /// None, several, or none that can be read (RFC 9112, section 3.2: 400).
    Unclear,
}

impl Names {
    /// Reads them from what the supervisor hands on: `HEARTH_HTTP__HOSTS` and `HEARTH_HTTP__PUBLIC_URL`.
    pub fn handed_on() -> Self {
        let variable = |name| std::env::var(name).unwrap_or_default();
        Self::of(&variable("HEARTH_HTTP__HOSTS"), &variable("HEARTH_HTTP__PUBLIC_URL"))
    }

    /// Returns those of a list with commas, and that of an address.
    fn of(hosts: &str, public_url: &str) -> Self {
        // As the DNS has them: browsers ask for xn--… where there is an ü.
        let name = |host: String| match read(Url::parse(&format!("http://{host}")).ok()?.host_str()?) {
            Some(Read::Name(name)) => Some(name),
            Some(Read::Address) | None => None,
        };
        Self(hosts_in(hosts, public_url).into_iter().filter_map(name).collect())
    }

    /// Judges the host of a request.
    pub fn judge<B>(&self, request: &Request<B>) -> Host {
        let mut hosts = request.headers().get_all(header::HOST).iter();
        let first = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().ok().and_then(read),
            // From before there was such a header; no browser asks like that.
            (None, _) if request.version() < Version::HTTP_11 => Some(Read::Address),
            _ => None,
        };
        // What a proxy would be asked with: `GET http://name/ HTTP/1.1`.
        let target = request.uri().authority().map(|authority| read(authority.as_str()));
        let Some(first) = first else { return Host::Unclear };
        for host in [Some(Some(first)), target].into_iter().flatten() {
            match host {
                None => return Host::Unclear,
                Some(Read::Name(name)) if name.contains('.') && !self.0.contains(&name) => return Host::Foreign(name),
                Some(Read::Name(_) | Read::Address) => {}
            }
        }
        Host::Own
    }
}

/// A host that could be read.
enum Read {
    /// An IP address.
    Address,
    /// A name, in lower case, without its last dot.
    Name(String),
}

/// Reads a host, its port left out; `None` for what is none.
fn read(text: &str) -> Option<Read> {
    let is_port = |port: &str| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        // A zone is this machine's business: RFC 6874.
        let (address, _zone) = address.split_once('%').unwrap_or((address, ""));
        let port = if port.is_empty() { "" } else { port.strip_prefix(':')? };
        return (address.parse::<Ipv6Addr>().is_ok() && is_port(port)).then_some(Read::Address);
    }
    let (name, port) = text.trim().split_once(':').unwrap_or((text.trim(), ""));
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.parse::<Ipv4Addr>() {
        _ if !is_port(port) => None,
        Ok(_) => Some(Read::Address),
        Err(_) => is_name(name).then(|| Read::Name(name.to_ascii_lowercase())),
    }
}

/// Whether this is a host's name: labels of letters, digits and hyphens (and underscores, which Docker's have), with dots
/// between them: RFC 1123, section 2.1.
fn is_name(text: &str) -> bool {
    let fits = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label of digits is an address, or nothing: WHATWG URL, "ends in a number".
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 253 && text.split('.').all(fits) && !text.rsplit('.').next().is_some_and(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(version: Version, target: &str, hosts: &[&str]) -> Host {
        let names = Names::of("records.example.org, OTHER.example.org", "https://hearth.example.ts.net:8443");
        let mut request = Request::builder().version(version).uri(target);
        for host in hosts {
            request = request.header("host", *host);
        }
        names.judge(&request.body(()).unwrap())
    }

    #[test]
    fn addresses_plain_names_and_those_that_were_told_are_ours() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:3000",
            "100.64.0.1:3000",
            "192.168.1.2.",
            "[::1]",
            "[::1]:3000",
            "[fd7a::1]:80",
            "[fe80::1%25eth0]:3000",
            "[::ffff:10.0.0.1]",
            "localhost",
            "localhost:3000",
            "LocalHost.",
            "nas",
            "NAS:3000",
            "hearth_web_1:3000",
            "hearth:",
            "records.example.org",
            "Records.Example.ORG:443",
            "records.example.org.",
            "other.example.org",
            "hearth.example.ts.net",
            "hearth.example.ts.net:8443",
            "hearth.example.ts.net.:8443",
        ] {
            assert_eq!(judged(Version::HTTP_11, "/health", &[host]), Host::Own, "{host}");
        }
    }

    #[test]
    fn other_names_are_not() {
        for (host, name) in [
            ("evil.example", "evil.example"),
            ("Evil.Example:3000", "evil.example"),
            ("evil.example.", "evil.example"),
            ("127.0.0.1.nip.example", "127.0.0.1.nip.example"),
            ("xrecords.example.org", "xrecords.example.org"),
            ("records.example.org.evil.example", "records.example.org.evil.example"),
            ("example.org", "example.org"),
            ("hearth.localhost", "hearth.localhost"),
        ] {
            assert_eq!(judged(Version::HTTP_11, "/", &[host]), Host::Foreign(name.to_owned()), "{host}");
        }
        assert_eq!(
            judged(Version::HTTP_11, "http://evil.example/", &["localhost"]),
            Host::Foreign("evil.example".into())
        );
        assert_eq!(
            judged(Version::HTTP_11, "http://localhost/", &["evil.example"]),
            Host::Foreign("evil.example".into())
        );
        assert_eq!(judged(Version::HTTP_11, "http://nas:3000/", &["nas:3000"]), Host::Own);
    }

    #[test]
    fn what_is_no_host_is_said_to_be_none() {
        for host in [
            "",
            " ",
            ":3000",
            ".",
            "..",
            "a..b",
            "::1",
            "[::1",
            "[::1]x",
            "[localhost]",
            "[]",
            "127.0.0.1:http",
            "nas:99999999",
            "ada@nas",
            "nas/records",
            "2130706433",
            "0x7f.1",
            "127.1",
            "nas nas",
            "nas,evil.example",
            "-nas",
            "näs",
        ] {
            assert_eq!(judged(Version::HTTP_11, "/", &[host]), Host::Unclear, "{host:?}");
        }
        assert_eq!(judged(Version::HTTP_11, "/", &[]), Host::Unclear);
        assert_eq!(judged(Version::HTTP_10, "/", &[]), Host::Own);
        assert_eq!(judged(Version::HTTP_10, "/", &["evil.example"]), Host::Foreign("evil.example".into()));
        for both in [["localhost", "localhost"], ["localhost", "evil.example"]] {
            assert_eq!(judged(Version::HTTP_11, "/", &both), Host::Unclear);
            assert_eq!(judged(Version::HTTP_10, "/", &both), Host::Unclear);
        }
        assert_eq!(judged(Version::HTTP_11, "http://ada@nas/", &["nas"]), Host::Unclear);
    }
}
