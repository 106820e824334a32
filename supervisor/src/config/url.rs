//! Is this text the name of a host, the address of Hearth or that of a provider?

use std::net::SocketAddr;

/// Whether this is a host's name: labels of letters, digits and hyphens (and underscores, which Docker's have), with dots
/// between them: RFC 1123, section 2.1.
pub(crate) fn is_name(text: &str) -> bool {
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

/// Says what is wrong with the address that people reach Hearth at.
pub(super) fn wrong_public_url(text: &str) -> Option<&'static str> {
    let Some((scheme, rest)) = text.split_once("://") else { return Some("it does not begin with https://") };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#', '@']) {
        return Some("it is the address alone, without a path or a user");
    }
    let (name, port) = authority.split_once(':').unwrap_or((authority, "443"));
    if port.parse::<u16>().is_err() {
        return Some("its port is no port");
    }
    match scheme {
        _ if !is_name(name) => Some("it has no name: passkeys are bound to one, and an IP address is none"),
        "https" => None,
        "http" if name.eq_ignore_ascii_case("localhost") => None,
        "http" => Some("over plain http:// a browser takes only localhost for secure"),
        _ => Some("it does not begin with https://"),
    }
}

/// Says what is wrong with the address of a provider of single sign-on.
pub(super) fn wrong_issuer(text: &str) -> Option<&'static str> {
    let Some((scheme, rest)) = text.split_once("://") else { return Some("it does not begin with https://") };
    if rest.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_graphic()) || rest.contains(['?', '#', '@']) {
        return Some("it is no address of a provider");
    }
    let authority = rest.split('/').next().unwrap_or_default();
    let here = authority.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback())
        || authority.split(':').next() == Some("localhost");
    match scheme {
        "https" => None,
        "http" if here => None,
        "http" => Some("over plain http:// anybody on the way could sign in as anybody"),
        _ => Some("it does not begin with https://"),
    }
}
