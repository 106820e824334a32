//! Which names lead to Hearth, and which ways to sign in has the operator opened?
//!
//! Read key by key, then checked together: what belongs together is there as a whole or not at all.

#[cfg(test)]
mod tests;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
};

use ipnet::IpNet;
use url::{Host, ParseError, Url};

use super::{
    choices::{JOIN, Join, TAILSCALE, TailscaleMode},
    settings::{Settings, UNFIT, choice},
};
use crate::secret::Secret;

/// Where tailscaled listens on Linux, unless told otherwise.
const TAILSCALED: &str = "/var/run/tailscale/tailscaled.sock";
/// The words on the button for OIDC.
const OIDC_NAME: &str = "single sign-on";
/// A longer name does not fit on a button.
const LONGEST_NAME: usize = 40;
/// More than any provider's id of a client has.
const LONGEST_ID: usize = 255;
/// The longest secret, in bytes.
const LONGEST_SECRET: usize = 1024;
/// The longest path of a mailbox (RFC 5321, 4.5.3.1.3).
const LONGEST_EMAIL: usize = 254;
/// A name in the DNS is not longer, nor is a part of it (RFC 1035, 2.3.4).
const LONGEST_HOST: usize = 253;
const LONGEST_LABEL: usize = 63;
/// The longest path that fits a unix socket's address, without its closing zero (unix(7)).
const LONGEST_SOCKET: usize = 107;

/// What is wrong with an address of any other scheme.
const NO_HTTPS: &str = "it does not begin with https://";

/// Which names lead here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Http {
    /// Where browsers find Hearth; passkeys and OIDC need it.
    pub(crate) public_url: Option<PublicUrl>,
    /// Further names, in lower case and as the DNS has them.
    pub(crate) hosts: Vec<String>,
    /// Whose word on clients is believed.
    pub(crate) trusted_proxies: Vec<IpNet>,
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

/// Fewer characters are refused in a password: NIST wants 8 at least, the household's door has no other lock on most days.
pub(crate) const PASSWORD_SHORTEST: usize = 10;
pub(crate) const PASSWORD_LONGEST: usize = 128;

/// A provider of OpenID Connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OidcSettings {
    /// Its address, exactly as it writes it itself.
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    /// None for a public client, which PKCE alone protects.
    pub(crate) client_secret: Option<Secret>,
    /// The label of the sign-in button.
    pub(crate) name: String,
    pub(crate) join: Join,
}

/// Reads them all; what belongs together is set together.
pub(super) fn read(settings: &mut Settings) -> (Http, Auth) {
    let public_url = settings.read("http.public_url", str::parse);
    let hosts = settings.read("http.hosts", hosts).unwrap_or_default();
    let trusted_proxies = settings.read("http.trusted_proxies", networks).unwrap_or_default();
    let email = settings.read("auth.admin_email", email);
    let password =
        settings.read("auth.admin_password", |text| line(text, PASSWORD_SHORTEST..=PASSWORD_LONGEST).map(Secret::from));
    let first = "HEARTH_AUTH__ADMIN_PASSWORD_FILE names a file that holds the password";
    settings.together("auth.admin_email", "auth.admin_password", first);
    let owner = "HEARTH_AUTH__ADMIN_EMAIL is the e-mail address with which the owner signs in";
    settings.together("auth.admin_password", "auth.admin_email", owner);
    let admin = email.zip(password).map(|(email, password)| Admin { email, password });

    let listen = settings.read("auth.tailscale_listen", str::parse);
    let socket = settings.read("auth.tailscale_socket", socket).unwrap_or_else(|| TAILSCALED.into());
    let join = settings.read("auth.tailscale_join", choice(JOIN)).unwrap_or_default();
    let tailscale = match settings.read("auth.tailscale", choice(TAILSCALE)).unwrap_or_default() {
        TailscaleMode::Off => TailscaleSettings::Off,
        TailscaleMode::Serve => TailscaleSettings::Serve { listen, join },
        TailscaleMode::Localapi => TailscaleSettings::Localapi { socket, join },
    };

    let issuer = settings.read("auth.oidc_issuer", issuer);
    let client_id = settings.read("auth.oidc_client_id", |text| line(text, 1..=LONGEST_ID));
    let client_secret = settings.read("auth.oidc_client_secret", secret);
    let name =
        settings.read("auth.oidc_name", |text| line(text, 1..=LONGEST_NAME)).unwrap_or_else(|| OIDC_NAME.to_owned());
    let join = settings.read("auth.oidc_join", choice(JOIN)).unwrap_or_default();
    let both = "HEARTH_AUTH__OIDC_ISSUER and HEARTH_AUTH__OIDC_CLIENT_ID must be set together; the provider shows both";
    settings.together("auth.oidc_issuer", "auth.oidc_client_id", both);
    settings.together("auth.oidc_client_id", "auth.oidc_issuer", both);
    settings.together("auth.oidc_client_secret", "auth.oidc_issuer", both);
    let back = "HEARTH_HTTP__PUBLIC_URL is the address to which the provider sends browsers back";
    settings.together("auth.oidc_issuer", "http.public_url", back);
    let oidc =
        issuer.zip(client_id).map(|(issuer, client_id)| OidcSettings { issuer, client_id, client_secret, name, join });

    (Http { public_url, hosts, trusted_proxies }, Auth { admin, tailscale, oidc })
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
        const NO_NAME: &str = "it has no host name: passkeys are bound to a name, and an IP address is not a name";
        let url = Url::parse(text).map_err(|error| match error {
            ParseError::RelativeUrlWithoutBase => NO_HTTPS,
            ParseError::InvalidPort => "its port is not valid",
            _ => NO_NAME,
        })?;
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(NO_HTTPS),
        };
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err("it must be an address without a path or a user");
        }
        let Some(Host::Domain(host)) = url.host() else { return Err(NO_NAME) };
        let host = host_name(host).ok_or(NO_NAME)?;
        if !https && host != "localhost" {
            return Err("over plain http:// browsers treat only localhost as secure");
        }
        Ok(Self { host, port: url.port(), https })
    }
}

impl std::str::FromStr for TailscaleListen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::Address).or_else(|_| socket(text).map(Self::Socket))
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
pub(crate) fn host_name(text: &str) -> Option<String> {
    let Ok(Host::Domain(name)) = Host::parse(text) else { return None };
    let name = name.strip_suffix('.').unwrap_or(&name);
    let fits =
        |label: &str| (1..=LONGEST_LABEL).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
    let is_name = name.len() <= LONGEST_HOST
        && name.split('.').all(fits)
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    is_name.then(|| name.to_owned())
}

fn hosts(text: &str) -> Result<Vec<String>, String> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| host_name(name).ok_or_else(|| format!("{name:?} is not a host name"))).collect()
}

/// Reads addresses and networks between commas.
fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let networks = text.split(',').map(str::trim).filter(|network| !network.is_empty());
    networks
        .map(|text| {
            let network = text.parse::<IpAddr>().map(|address| address.to_canonical().into());
            match network.or_else(|_| text.parse::<IpNet>()) {
                Ok(network) if network.prefix_len() == 0 => {
                    Err(format!("{text:?} matches every address, so anybody could forge theirs"))
                }
                Ok(network) => Ok(network.trunc()),
                Err(_) => Err(format!("{text:?} is neither an IP address nor a network")),
            }
        })
        .collect()
}

/// Reads a line of so many characters.
fn line(text: &str, length: RangeInclusive<usize>) -> Result<String, &'static str> {
    let fits = length.contains(&text.chars().count()) && !text.contains(char::is_control);
    fits.then(|| text.to_owned()).ok_or(UNFIT)
}

/// Reads the secret of a client: RFC 6749, appendix A.2.
fn secret(text: &str) -> Result<Secret, &'static str> {
    let fits = (1..=LONGEST_SECRET).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    fits.then(|| Secret::from(text.to_owned())).ok_or(UNFIT)
}

/// Reads the address of a mailbox, as far as that can be seen.
fn email(text: &str) -> Result<String, &'static str> {
    let (name, host) = text.split_once('@').unwrap_or_default();
    let fits = !name.is_empty() && !host.is_empty() && !host.contains('@') && text.len() <= LONGEST_EMAIL;
    let odd = |letter: char| letter.is_control() || letter.is_whitespace();
    (fits && !text.contains(odd)).then(|| text.to_owned()).ok_or(UNFIT)
}

/// Reads the path of a file that can be the address of a unix socket.
fn socket(text: &str) -> Result<PathBuf, &'static str> {
    let fits = text.starts_with('/') && !text.ends_with('/') && text.len() <= LONGEST_SOCKET;
    (fits && !text.contains(char::is_control)).then(|| text.into()).ok_or(UNFIT)
}

/// Plain http is for a provider on this very machine; the id, the secret and the tokens go there.
fn issuer(text: &str) -> Result<String, &'static str> {
    const NO_ADDRESS: &str = "it is not the address of a provider";
    let url = Url::parse(text).map_err(|error| match error {
        ParseError::RelativeUrlWithoutBase => NO_HTTPS,
        _ => NO_ADDRESS,
    })?;
    let bare = url.query().is_none() && url.fragment().is_none() && !text.contains('@');
    match url.scheme() {
        "https" | "http" if !bare || !text.bytes().all(|byte| byte.is_ascii_graphic()) => Err(NO_ADDRESS),
        "https" => Ok(text.to_owned()),
        "http" if is_loopback(&url) => Ok(text.to_owned()),
        "http" => Err("over plain http:// anybody on the network could sign in as anybody"),
        _ => Err(NO_HTTPS),
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
