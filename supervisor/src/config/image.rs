//! From which registry does an image come, and what is it called there?
//!
//! The grammar is that of Docker's references (github.com/distribution/reference), for a name without a tag or digest:
//! `host[:port]/path`. The host is always written out; of Docker's short names only those with `docker.io/` are understood.

use std::{fmt, net::Ipv4Addr};

/// What Docker Hub is called in the names of its images, and where it answers.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");
/// The registry whose images have their releases on GitHub under the same name.
const GITHUB: &str = "ghcr.io";
/// The longest path, in bytes (the OCI distribution specification).
const LONGEST: usize = 255;

/// The name of an image without a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The host in small letters.
    host: String,
    port: Option<u16>,
    path: String,
}

impl Reference {
    /// Reads a name such as `ghcr.io/owner/name`.
    ///
    /// # Errors
    /// What is wrong with it, reading on from its name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((place, path)) = text.split_once('/') else {
            return Err(format!("{text:?} names no registry: it begins with a host, such as ghcr.io/"));
        };
        if path.contains('@') {
            return Err(format!("{text:?} has a digest; only the name is wanted"));
        }
        if path.contains(':') {
            return Err(format!("{text:?} has a tag; only the name is wanted"));
        }
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (place, None),
        };
        let port = port.map(|port| {
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            port.parse().ok().filter(|&number: &u16| digits && number > 0)
        });
        let is_host = if host.starts_with('[') { is_ipv6(host) } else { is_domain(host) };
        // A first part without a dot is a part of the path in Docker's own short names.
        let is_named = host.contains(['.', '[']) || host == "localhost" || port.is_some();
        if !is_host || !is_named || port == Some(None) {
            return Err(format!("{place:?} is no registry's host, such as ghcr.io or registry.example.org:5000"));
        }
        if path.len() > LONGEST || !path.split('/').all(is_component) {
            return Err(format!(
                "{path:?} is no image's name: small letters and digits, with single . _ - between them, and / between parts"
            ));
        }
        Ok(Self { host: host.to_ascii_lowercase(), port: port.flatten(), path: path.to_owned() })
    }

    /// Returns the host for people, with its port.
    pub fn registry(&self) -> String {
        self.at(&self.host)
    }

    /// Whether it is asked without TLS: on this machine alone, as Docker does it.
    pub fn is_plain(&self) -> bool {
        is_loopback(&self.host)
    }

    /// Returns where it is asked: `https://ghcr.io`.
    pub fn origin(&self) -> String {
        let scheme = if self.is_plain() { "http" } else { "https" };
        let host = if self.is_docker_hub() { DOCKER_HUB.1 } else { &self.host };
        format!("{scheme}://{}", self.at(host))
    }

    /// Returns the image's name within the registry: `owner/name`.
    pub fn name(&self) -> String {
        if self.is_docker_hub() && !self.path.contains('/') {
            return format!("library/{}", self.path);
        }
        self.path.clone()
    }

    /// Returns where the notes of a version are, for an image whose name tells it.
    pub fn notes(&self, version: &str) -> Option<String> {
        let is_of_a_repository = self.host == GITHUB && self.port.is_none() && self.path.split('/').count() == 2;
        is_of_a_repository.then(|| format!("https://github.com/{}/releases/tag/v{version}", self.path))
    }

    fn is_docker_hub(&self) -> bool {
        self.host == DOCKER_HUB.0 && self.port.is_none()
    }

    fn at(&self, host: &str) -> String {
        match self.port {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry(), self.path)
    }
}

/// Whether this host is this machine: `localhost`, 127.0.0.0/8 or `[::1]`.
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host == "[::1]"
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

fn is_domain(host: &str) -> bool {
    host.split('.').all(|label| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    })
}

fn is_ipv6(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    inner.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
}

/// Whether this is a part of a path: `[a-z0-9]+` with one `.`, one or two `_`, or any number of `-` between two of them.
fn is_component(part: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut between = part.split(|byte: char| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let ends = part.bytes().next().is_some_and(letter) && part.bytes().last().is_some_and(letter);
    ends && between.all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|byte| byte == b'-'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_says_where_to_ask_for_what() {
        for (text, origin, name) in [
            ("ghcr.io/owner/name", "https://ghcr.io", "owner/name"),
            ("GHCR.IO/owner/name", "https://ghcr.io", "owner/name"),
            ("registry.example.org:5000/name", "https://registry.example.org:5000", "name"),
            ("registry.example.org/a/b__c/d-e.f/0", "https://registry.example.org", "a/b__c/d-e.f/0"),
            ("nas:5000/hearth", "https://nas:5000", "hearth"),
            ("localhost/hearth", "http://localhost", "hearth"),
            ("localhost:5000/hearth", "http://localhost:5000", "hearth"),
            ("127.0.0.1:5000/hearth", "http://127.0.0.1:5000", "hearth"),
            ("127.1.2.3/hearth", "http://127.1.2.3", "hearth"),
            ("[::1]:5000/hearth", "http://[::1]:5000", "hearth"),
            ("[::1]/hearth", "http://[::1]", "hearth"),
            ("[2001:db8::1]/hearth", "https://[2001:db8::1]", "hearth"),
            ("192.168.1.2:5000/hearth", "https://192.168.1.2:5000", "hearth"),
            ("localhost.example.org/hearth", "https://localhost.example.org", "hearth"),
            ("docker.io/owner/name", "https://registry-1.docker.io", "owner/name"),
            ("docker.io/name", "https://registry-1.docker.io", "library/name"),
        ] {
            let reference = Reference::parse(text).unwrap_or_else(|wrong| panic!("{wrong}"));
            assert_eq!((reference.origin().as_str(), reference.name().as_str()), (origin, name), "{text}");
            assert_eq!(reference.to_string(), text.replace("GHCR.IO", "ghcr.io"));
        }
    }

    #[test]
    fn what_is_no_name_is_refused_with_what_is_wrong() {
        for (text, wrong) in [
            ("", "names no registry"),
            ("hearth", "names no registry"),
            ("owner/name", "no registry's host"),
            ("ghcr.io/", "no image's name"),
            ("ghcr.io//name", "no image's name"),
            ("ghcr.io/owner/", "no image's name"),
            ("ghcr.io/Owner/name", "no image's name"),
            ("ghcr.io/owner/na me", "no image's name"),
            ("ghcr.io/owner/../name", "no image's name"),
            ("ghcr.io/owner/a..b", "no image's name"),
            ("ghcr.io/owner/a___b", "no image's name"),
            ("ghcr.io/owner/-a", "no image's name"),
            ("ghcr.io/owner/name?n=1", "no image's name"),
            ("ghcr.io/owner/name#x", "no image's name"),
            ("ghcr.io/owner/näme", "no image's name"),
            ("ghcr.io/owner/name\r\nx", "no image's name"),
            ("ghcr.io/owner/name:v1.2.3", "has a tag"),
            ("ghcr.io/owner/name@sha256:0123", "has a digest"),
            ("https://ghcr.io/owner/name", "no registry's host"),
            ("user@ghcr.io/owner/name", "no registry's host"),
            ("ghcr.io:0/name", "no registry's host"),
            ("ghcr.io:65536/name", "no registry's host"),
            ("ghcr.io:+80/name", "no registry's host"),
            ("ghcr.io:/name", "no registry's host"),
            ("-ghcr.io/name", "no registry's host"),
            ("ghcr..io/name", "no registry's host"),
            ("[::g]/name", "no registry's host"),
            ("[127.0.0.1]/name", "no registry's host"),
        ] {
            let told = Reference::parse(text).map(|read| read.to_string()).unwrap_err();
            assert!(told.contains(wrong), "{text}: {told}");
            assert!(!told.chars().any(char::is_control), "{told:?}");
        }
        assert!(Reference::parse(&format!("ghcr.io/{}", "a".repeat(256))).is_err());
    }

    #[test]
    fn notes_are_where_the_name_says_or_nowhere() {
        let notes = |text| Reference::parse(text).unwrap().notes("1.2.0");
        let there = "https://github.com/owner/name/releases/tag/v1.2.0";
        assert_eq!(notes("ghcr.io/owner/name").as_deref(), Some(there));
        for none in ["ghcr.io/name", "ghcr.io/owner/name/more", "ghcr.io:444/owner/name", "docker.io/owner/name"] {
            assert_eq!(notes(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_taken_for_a_name_makes_an_address_of_that_host(text in r"[a-zA-Z0-9.:/_\-\[\]@%? ]{0,40}") {
            if let Ok(reference) = Reference::parse(&text) {
                let address = format!("{}/v2/{}/tags/list", reference.origin(), reference.name());
                let url = reqwest::Url::parse(&address);
                // A host such as 1.2.3 is a name to Docker, and no address of the web's.
                if let Ok(url) = url {
                    prop_assert_eq!(url.path(), format!("/v2/{}/tags/list", reference.name()));
                    prop_assert!(url.username().is_empty() && url.query().is_none() && url.fragment().is_none());
                    prop_assert_eq!(url.scheme() == "http", reference.is_plain());
                }
                prop_assert_eq!(Reference::parse(&reference.to_string()), Ok(reference));
            }
        }

        #[test]
        fn no_text_at_all_is_too_much(text in any::<String>()) {
            let _ = Reference::parse(&text);
        }
    }
}
