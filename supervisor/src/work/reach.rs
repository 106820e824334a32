//! Which hint helps when a server cannot be reached or trusted?

use std::{error, io};

use rustls::CertificateError;

use crate::data::backup::printable;

/// What helps where a proxy on the way fails.
pub(super) const PROXY: &str =
    "does the proxy run, and does it let this through? NO_PROXY names the servers that are reached without it";

/// Returns what is wrong with the certificate that a server has shown.
pub(super) fn certificate_error<'a>(error: &'a (dyn error::Error + 'static)) -> Option<CertificateError> {
    let mut inner: Option<&'a (dyn error::Error + 'static)> = Some(error);
    while let Some(error) = inner {
        if let Some(rustls::Error::InvalidCertificate(wrong)) = error.downcast_ref::<rustls::Error>() {
            return Some(wrong.clone());
        }
        inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref).map(|error| error as _);
    }
    None
}

/// Says what helps, given the file of certificates that is trusted beside the system's own.
pub(super) fn help_with(wrong: &CertificateError, trusted: Option<String>) -> String {
    let trust = "a certificate of the house's own goes into the system's root certificates, or into a file that SSL_CERT_FILE names";
    match wrong {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "renew it on the server; if it has not expired, set this machine's clock".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "set this machine's clock".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "name the server in backup.destinations as its certificate does, or make one with that name or address (openssl req … -addext subjectAltName=DNS:nas.local,IP:192.168.1.2)".to_owned()
        }
        // What rustls passes on from webpki, without a case of its own.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "it is a certificate authority's, as openssl req -x509 makes them, and no server may show one of those: make another with -addext basicConstraints=critical,CA:FALSE, and name its file in SSL_CERT_FILE".to_owned()
        }
        CertificateError::UnknownIssuer => match trusted {
            Some(file) => format!(
                "SSL_CERT_FILE is {file}, and neither this certificate nor the one that signed it is in there; does the server show another one?"
            ),
            None => trust.to_owned(),
        },
        _ => format!("{trust}; also check this machine's clock"),
    }
}

/// Returns the proxy that requests to this endpoint go through, as the HTTP client finds it, without a password: `http://proxy:3128
/// (HTTPS_PROXY)`.
pub(super) fn proxy(endpoint: Option<&str>, setting: impl Fn(&str) -> Option<String>) -> Option<String> {
    let endpoint = endpoint.unwrap_or("https://amazonaws.com");
    let (scheme, rest) = endpoint.split_once("://")?;
    let host = rest.split(['/', ':']).next()?;
    let set = |name: &str| {
        let both = [name.to_owned(), name.to_ascii_uppercase()];
        both.into_iter().find_map(|name| Some((setting(&name).filter(|value| !value.is_empty())?, name)))
    };
    let (exceptions, _) = set("no_proxy").unwrap_or_default();
    let is_excepted = exceptions.split(',').map(str::trim).filter(|name| !name.is_empty()).any(|name| {
        let name = name.trim_start_matches("*.").trim_start_matches('.');
        name == "*" || host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
    });
    if is_excepted {
        return None;
    }
    let (proxy, name) = set(&format!("{scheme}_proxy")).or_else(|| set("all_proxy"))?;
    let (before, address) = proxy.rsplit_once('@').unwrap_or(("", &proxy));
    let scheme = before.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
    Some(format!("{} ({name})", printable(&format!("{scheme}{address}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_on_the_way_is_named_without_its_password() {
        let proxy = |endpoint, settings: &[(&str, &str)]| {
            super::proxy(endpoint, |name| {
                settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        let https = Some("https://s3.example.org:9000/x");
        assert_eq!(proxy(https, &[]), None);
        let shown = proxy(https, &[("HTTPS_PROXY", "http://me:HUSH@proxy:3128")]);
        assert_eq!(shown.as_deref(), Some("http://proxy:3128 (HTTPS_PROXY)"));
        assert_eq!(proxy(None, &[("all_proxy", "proxy:1")]).as_deref(), Some("proxy:1 (all_proxy)"));
        assert_eq!(proxy(Some("http://nas:9000"), &[("HTTPS_PROXY", "http://proxy:3128")]), None);
        for except in ["s3.example.org", "a, .example.org", "*.example.org", "example.org", "*"] {
            assert_eq!(proxy(https, &[("https_proxy", "http://proxy"), ("NO_PROXY", except)]), None, "{except}");
        }
        assert!(proxy(https, &[("https_proxy", "http://proxy"), ("NO_PROXY", "ample.org")]).is_some());
    }

    #[test]
    fn each_certificate_that_is_not_trusted_gets_its_own_help() {
        let help = |wrong: CertificateError| help_with(&wrong, Some("/etc/nas.pem".into()));
        assert!(help(CertificateError::Expired).contains("renew it"));
        assert!(help(CertificateError::NotValidYet).contains("clock"));
        assert!(help(CertificateError::NotValidForName).contains("subjectAltName"));
        assert!(help(CertificateError::UnknownIssuer).starts_with("SSL_CERT_FILE is /etc/nas.pem, "));
        assert!(help_with(&CertificateError::UnknownIssuer, None).contains("into a file that SSL_CERT_FILE names"));
    }
}
