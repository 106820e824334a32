//! Which names lead to Hearth, and which ways to sign in has the operator opened?
//!
//! Read key by key, then checked together: what belongs together is there as a whole or not at all.

#[cfg(test)]
mod tests;

use std::{fmt, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Deserializer, de};
use url::{Host, Url};

use crate::{accounts::Secret, failure::Failure};

/// Where tailscaled listens on Linux, unless told otherwise.
const TAILSCALED: &str = "/var/run/tailscale/tailscaled.sock";
/// The words on the button for OIDC.
const OIDC_NAME: &str = "single sign-on";
/// A longer name does not fit on a button.
const LONGEST_NAME: usize = 40;
/// A name in the DNS is not longer (RFC 1035, 2.3.4).
const LONGEST_HOST: usize = 253;

/// The settings as they stand.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    http: Http,
    #[serde(default)]
    auth: AskedAuth,
}

#[derive(Debug, Default, Deserialize)]
struct AskedAuth {
    #[serde(default, deserialize_with = "email")]
    admin_email: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    admin_password: Option<Secret>,
    #[serde(default)]
    tailscale: Mode,
    #[serde(default, deserialize_with = "parsed")]
    tailscale_listen: Option<TailscaleListen>,
    #[serde(default, deserialize_with = "absolute")]
    tailscale_socket: Option<PathBuf>,
    #[serde(default)]
    tailscale_join: Join,
    #[serde(default, deserialize_with = "issuer")]
    oidc_issuer: Option<String>,
    #[serde(default, deserialize_with = "text")]
    oidc_client_id: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    oidc_client_secret: Option<Secret>,
    #[serde(default, deserialize_with = "button")]
    oidc_name: Option<String>,
    #[serde(default)]
    oidc_join: Join,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Off,
    Serve,
    Localapi,
}

/// Which names lead here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Http {
    /// Where browsers find Hearth; passkeys and OIDC need it.
    #[serde(default, deserialize_with = "parsed")]
    pub(crate) public_url: Option<PublicUrl>,
    /// Further names, in lower case and as the DNS has them.
    #[serde(default, deserialize_with = "hosts")]
    pub(crate) hosts: Vec<String>,
}

/// The ways to sign in that are off unless asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Auth {
    /// The owner to make on a first start without a person.
    pub(crate) admin: Option<Admin>,
    pub(crate) tailscale: TailscaleSettings,
    pub(crate) oidc: Option<OidcSettings>,
}

/// The owner to make on a first start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Admin {
    pub(crate) email: String,
    pub(crate) password: Secret,
}

/// Whether and how Tailscale says who somebody is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum TailscaleSettings {
    #[default]
    Off,
    /// By the headers of `tailscale serve`, on a socket of its own.
    Serve {
        /// The socket to bind when none is inherited.
        listen: Option<TailscaleListen>,
        join: Join,
    },
    /// By asking tailscaled.
    Localapi { socket: PathBuf, join: Join },
}

/// Where nothing but `tailscale serve` gets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TailscaleListen {
    Address(SocketAddr),
    Socket(PathBuf),
}

/// What becomes of somebody whom Hearth does not know yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Join {
    #[default]
    Refuse,
    Guest,
    Member,
}

/// A provider of OpenID Connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OidcSettings {
    /// Its address, exactly as it writes it itself.
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    /// None for a public client, which PKCE alone protects.
    pub(crate) client_secret: Option<Secret>,
    /// The words on the button.
    pub(crate) name: String,
    pub(crate) join: Join,
}

impl Asked {
    /// Returns the settings when those that belong together are there together.
    pub(super) fn check(self) -> Result<(Http, Auth), Failure> {
        let Self { http, auth } = self;
        let admin = match (auth.admin_email, auth.admin_password) {
            (Some(email), Some(password)) => Some(Admin { email, password }),
            (None, None) => None,
            (Some(_), None) => return Err(alone("auth.admin_email", "auth.admin_password")),
            (None, Some(_)) => return Err(alone("auth.admin_password", "auth.admin_email")),
        };
        let join = auth.tailscale_join;
        let tailscale = match auth.tailscale {
            Mode::Off => TailscaleSettings::Off,
            Mode::Serve => TailscaleSettings::Serve { listen: auth.tailscale_listen, join },
            Mode::Localapi => {
                TailscaleSettings::Localapi { socket: auth.tailscale_socket.unwrap_or_else(|| TAILSCALED.into()), join }
            }
        };
        let oidc = match (auth.oidc_issuer, auth.oidc_client_id) {
            (Some(_), Some(_)) if http.public_url.is_none() => {
                return Err(alone("auth.oidc_issuer", "http.public_url"));
            }
            (Some(issuer), Some(client_id)) => Some(OidcSettings {
                issuer,
                client_id,
                client_secret: auth.oidc_client_secret,
                name: auth.oidc_name.unwrap_or_else(|| OIDC_NAME.to_owned()),
                join: auth.oidc_join,
            }),
            (None, Some(_)) => return Err(alone("auth.oidc_client_id", "auth.oidc_issuer")),
            (Some(_), None) => return Err(alone("auth.oidc_issuer", "auth.oidc_client_id")),
            (None, None) => None,
        };
        Ok((http, Auth { admin, tailscale, oidc }))
    }
}

fn alone(set: &str, missing: &str) -> Failure {
    let failure = Failure::new(format!("{set} is set, and {missing} is not"));
    match super::KEYS.iter().find(|key| key.name == missing) {
        Some(key) => failure.hint(format!("{missing} ({}) is {}", key.variable, key.allowed)),
        None => failure,
    }
}

/// Where browsers find Hearth: `https://` and a name, or `http://localhost`, since browsers offer passkeys nowhere
/// else (Web Authentication, secure contexts).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicUrl {
    host: String,
    port: Option<u16>,
    https: bool,
}

impl PublicUrl {
    /// Returns the name in it, in lower case and as the DNS has it.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, also where it is the scheme's own.
    pub(crate) fn port(&self) -> u16 {
        self.port.unwrap_or(if self.https { 443 } else { 80 })
    }

    /// Returns whether it begins with `https://`.
    pub(crate) fn is_https(&self) -> bool {
        self.https
    }
}

/// Its origin, as browsers send it: no slash at its end, and no port that is the scheme's own.
impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl std::str::FromStr for PublicUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| "not an address of the web")?;
        let Some(Host::Domain(host)) = url.host() else { return Err("no name in it") };
        let https = match (url.scheme(), host) {
            ("https", _) => true,
            ("http", "localhost") => false,
            _ => return Err("neither https nor http://localhost"),
        };
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err("more than scheme, name and port");
        }
        let host = host_name(host).ok_or("no name in it")?;
        Ok(Self { host, port: url.port(), https })
    }
}

impl std::str::FromStr for TailscaleListen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('/') {
            return Ok(Self::Socket(text.into()));
        }
        text.parse().map(Self::Address).map_err(|_| "neither an address and a port nor an absolute path")
    }
}

impl fmt::Display for TailscaleListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Socket(path) => path.display().fmt(f),
        }
    }
}

/// Returns a name as the DNS has it: lower case, `xn--…` for other alphabets, no full stop at its end.
fn host_name(text: &str) -> Option<String> {
    let Ok(Host::Domain(name)) = Host::parse(text) else { return None };
    let name = name.strip_suffix('.').unwrap_or(&name);
    let is_name = !name.is_empty()
        && name.len() <= LONGEST_HOST
        && name.split('.').all(|label| !label.is_empty())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    is_name.then(|| name.to_owned())
}

fn hosts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| host_name(name).ok_or_else(|| de::Error::custom(format!("{name:?} is no name")))).collect()
}

fn parsed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err = &'static str>,
{
    String::deserialize(deserializer)?.parse().map(Some).map_err(de::Error::custom)
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.is_empty() || text.chars().any(char::is_control) {
        true => Err(de::Error::custom("empty, or with control characters")),
        false => Ok(Some(text)),
    }
}

fn button<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let name = text(deserializer)?;
    match name.as_ref().is_some_and(|name| name.chars().count() > LONGEST_NAME) {
        true => Err(de::Error::custom("too long")),
        false => Ok(name),
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(text(deserializer)?.map(Secret::from))
}

fn email<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_one = text.split_once('@').is_some_and(|(who, whereabouts)| !who.is_empty() && !whereabouts.is_empty())
        && !text.chars().any(|character| character.is_whitespace() || character.is_control());
    if is_one { Ok(Some(text)) } else { Err(de::Error::custom("no e-mail address")) }
}

fn absolute<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::from(String::deserialize(deserializer)?);
    if path.is_absolute() { Ok(Some(path)) } else { Err(de::Error::custom("not absolute")) }
}

/// Plain http is for a provider on this very machine; the id, the secret and the tokens go there.
fn issuer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let url = Url::parse(&text).map_err(de::Error::custom)?;
    let bare = url.query().is_none() && url.fragment().is_none();
    let safe = url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url);
    if safe && bare && url.username().is_empty() && url.password().is_none() {
        Ok(Some(text))
    } else {
        Err(de::Error::custom("neither https nor http on this machine, or with a query"))
    }
}

/// Returns whether an address leads to this very machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
