//! Which names does Hearth go by, and who may sign in how?
//!
//! The app's own settings: the supervisor checks them as all others, binds the socket of `auth.tailscale_listen`, and
//! hands the app what is set, as variables of the same names ([`Config::for_the_app`]). Nobody else gets them.

use std::{
    fmt,
    net::SocketAddr,
    path::{Component, Path, PathBuf},
};

use super::{Config, Http, Mistake, Tailscale};

/// The longest path that fits a unix socket's address, without its closing zero (unix(7)).
const LONGEST_SOCKET: usize = 107;

/// Where something listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An address and a port.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl Place {
    /// Reads one; `None` for what is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.parse() {
            Ok(address) => Some(Self::Tcp(address)),
            Err(_) => is_socket(text).then(|| Self::Unix(text.into())),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Whether this is the path of a file that can be the address of a unix socket.
pub(super) fn is_socket(text: &str) -> bool {
    text.starts_with('/') && !text.ends_with('/') && text.len() <= LONGEST_SOCKET && !text.contains(char::is_control)
}

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

/// Checks what one setting asks of another.
pub(super) fn check(config: &Config) -> Result<(), Mistake> {
    let auth = &config.auth;
    let given = |text: &str| !text.is_empty();
    match (given(&auth.admin_email), given(&auth.admin_password)) {
        (true, false) => {
            return Err((
                "auth.admin_email",
                "it needs auth.admin_password".into(),
                "HEARTH_AUTH__ADMIN_PASSWORD_FILE names a file with it",
            ));
        }
        (false, true) => {
            let hint = "HEARTH_AUTH__ADMIN_EMAIL is the e-mail address that the owner signs in with";
            return Err(("auth.admin_password", "it needs auth.admin_email".into(), hint));
        }
        _ => {}
    }
    let client = "HEARTH_AUTH__OIDC_ISSUER and HEARTH_AUTH__OIDC_CLIENT_ID belong together; the provider says both";
    if given(&auth.oidc_issuer) && !given(&auth.oidc_client_id) {
        return Err(("auth.oidc_issuer", "it needs auth.oidc_client_id".into(), client));
    }
    for (key, value) in
        [("auth.oidc_client_id", &auth.oidc_client_id), ("auth.oidc_client_secret", &auth.oidc_client_secret)]
    {
        if given(value) && !given(&auth.oidc_issuer) {
            return Err((key, "it needs auth.oidc_issuer".into(), client));
        }
    }
    if given(&auth.oidc_issuer) && config.http.public_url.is_empty() {
        let hint = "HEARTH_HTTP__PUBLIC_URL is the address that the provider sends browsers back to";
        return Err(("auth.oidc_issuer", "it needs http.public_url".into(), hint));
    }
    check_listen(config)
}

/// Checks that `tailscale serve` has a way in of its own.
fn check_listen(config: &Config) -> Result<(), Mistake> {
    const OWN: &str = "HEARTH_AUTH__TAILSCALE_LISTEN is where `tailscale serve` alone reaches Hearth: a unix socket such as /run/hearth/tailscale.sock, or an address such as 127.0.0.2:3001 (docs/TAILSCALE.md)";
    if config.auth.tailscale != Tailscale::Serve {
        return Ok(());
    }
    let wrong = match config.serves_tailscale() {
        None => return Err(("auth.tailscale", "serve needs auth.tailscale_listen".into(), OWN)),
        Some(Place::Tcp(address)) if address.port() == config.listen.port() && address.port() != 0 => {
            format!("it has the port of listen, {}, which others reach as well", config.listen)
        }
        Some(Place::Tcp(_)) => return Ok(()),
        Some(Place::Unix(path)) => {
            let within = |name: &&&str| path.starts_with(config.data_dir.join(name));
            match ["generations", "files", "live"].iter().find(within) {
                _ if path.components().any(|part| part == Component::ParentDir) => "the path has .. in it".to_owned(),
                Some(name) => format!("{} lies in {name}/, where the app may write", path.display()),
                None => return Ok(()),
            }
        }
    };
    Err(("auth.tailscale_listen", wrong, OWN))
}

impl Config {
    /// Returns what the app is handed of these settings, as its variables: what is set, and nothing where it is not.
    #[must_use]
    pub fn for_the_app(&self) -> Vec<(&'static str, String)> {
        let auth = &self.auth;
        let mut variables = self.http.variables();
        let mut set = |name, value: String| {
            if !value.is_empty() {
                variables.push((name, value));
            }
        };
        set("HEARTH_AUTH__ADMIN_EMAIL", auth.admin_email.clone());
        set("HEARTH_AUTH__ADMIN_PASSWORD", auth.admin_password.clone());
        match auth.tailscale {
            Tailscale::Off => {}
            Tailscale::Serve => {
                set("HEARTH_AUTH__TAILSCALE", "serve".into());
                set("HEARTH_AUTH__TAILSCALE_LISTEN", auth.tailscale_listen.clone());
            }
            Tailscale::Localapi => {
                set("HEARTH_AUTH__TAILSCALE", "localapi".into());
                set("HEARTH_AUTH__TAILSCALE_SOCKET", auth.tailscale_socket.display().to_string());
            }
        }
        if auth.tailscale != Tailscale::Off {
            set("HEARTH_AUTH__TAILSCALE_JOIN", auth.tailscale_join.clone());
        }
        if !auth.oidc_issuer.is_empty() {
            set("HEARTH_AUTH__OIDC_ISSUER", auth.oidc_issuer.clone());
            set("HEARTH_AUTH__OIDC_CLIENT_ID", auth.oidc_client_id.clone());
            set("HEARTH_AUTH__OIDC_CLIENT_SECRET", auth.oidc_client_secret.clone());
            set("HEARTH_AUTH__OIDC_NAME", auth.oidc_name.clone());
            set("HEARTH_AUTH__OIDC_JOIN", auth.oidc_join.clone());
        }
        variables
    }

    /// Returns tailscaled's socket, if the app is to ask it.
    #[must_use]
    pub fn asks_tailscaled(&self) -> Option<&Path> {
        (self.auth.tailscale == Tailscale::Localapi).then_some(self.auth.tailscale_socket.as_path())
    }

    /// Returns where `tailscale serve` reaches Hearth, if it does.
    #[must_use]
    pub fn serves_tailscale(&self) -> Option<Place> {
        (self.auth.tailscale == Tailscale::Serve).then(|| Place::parse(&self.auth.tailscale_listen)).flatten()
    }
}

impl Http {
    /// Returns the variables of what is set: for the app, and for the page that has its place while none lives.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let public_url = self.public_url.trim_end_matches('/').to_owned();
        let all = [("HEARTH_HTTP__PUBLIC_URL", public_url), ("HEARTH_HTTP__HOSTS", self.hosts.join(","))];
        all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }
}

#[cfg(test)]
#[path = "household_tests.rs"]
mod tests;
