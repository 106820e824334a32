//! Who does Tailscale say that somebody is?
//!
//! Off unless asked for. With `serve`, the headers that `tailscale serve` sets are believed on the socket that nothing
//! else reaches, and nowhere else: an address proves nothing, since in userspace mode every peer of the tailnet arrives
//! from localhost, and behind Docker's proxy everybody is the gateway. With `localapi`, tailscaled is asked who the other
//! end of the connection is. Devices with tags belong to nobody, and who comes through Funnel is nobody.

mod header;
#[cfg(test)]
#[path = "../../../tests/blackbox/tailscaled.rs"]
mod tailscaled;
mod whois;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use poem::{
    Addr, Request,
    http::{HeaderMap, HeaderName, header as names},
};
use tokio::sync::OnceCell;

use self::whois::Tailscaled;
use crate::{config::TailscaleSettings, http::Entrance};

/// What all of its headers begin with.
const PREFIX: &str = "tailscale-";
const LOGIN: HeaderName = HeaderName::from_static("tailscale-user-login");
const NAME: HeaderName = HeaderName::from_static("tailscale-user-name");
/// `?1` on what comes from the internet at large by `tailscale funnel`.
const FUNNEL: HeaderName = HeaderName::from_static("tailscale-funnel-request");
/// Any of these says that a proxy passed a request on: then the other end of the connection is the proxy.
const PASSED_ON: [HeaderName; 4] =
    [names::FORWARDED, names::VIA, HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("x-real-ip")];
/// The login that tailscaled gives to all devices with tags.
const TAGGED: &str = "tagged-devices";
/// The longest login and name that are taken, in bytes; an e-mail address has 254 at most (RFC 5321, 4.5.3.1.3).
const LONGEST_LOGIN: usize = 254;
const LONGEST_NAME: usize = 256;

/// How long tailscaled may take; it answers from memory.
const PATIENCE: Duration = Duration::from_secs(2);

/// Somebody, by Tailscale's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TailscaleIdentity {
    /// What the identity provider of the tailnet calls them: `alice@example.org`, `alice@github`.
    pub(crate) login: String,
    /// Their name for people; the login if they have none.
    pub(crate) name: String,
}

impl TailscaleIdentity {
    fn new(login: &str, name: &str) -> Option<Self> {
        let (login, name) = (login.trim(), name.trim());
        let fits =
            |text: &str, longest| !text.is_empty() && text.len() <= longest && !text.chars().any(char::is_control);
        let is_somebody = fits(login, LONGEST_LOGIN) && login != TAGGED && !login.contains(char::is_whitespace);
        let name = if fits(name, LONGEST_NAME) { name } else { login };
        is_somebody.then(|| Self { login: login.to_owned(), name: name.to_owned() })
    }
}

/// What is known of the other end of a connection; each of its requests carries it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peer(Arc<OnceCell<Option<TailscaleIdentity>>>);

/// The way to ask.
#[derive(Debug)]
pub(crate) struct Tailscale(Way);

#[derive(Debug)]
enum Way {
    Off,
    Serve,
    Localapi(Tailscaled),
}

impl Tailscale {
    /// Returns the way that the settings name.
    pub(crate) fn new(settings: &TailscaleSettings) -> Self {
        Self(match settings {
            TailscaleSettings::Off => Way::Off,
            TailscaleSettings::Serve { .. } => Way::Serve,
            TailscaleSettings::Localapi { socket, .. } => Way::Localapi(Tailscaled::new(socket.clone(), PATIENCE)),
        })
    }

    /// Returns whether anybody can be somebody.
    pub(crate) fn is_on(&self) -> bool {
        !matches!(self.0, Way::Off)
    }

    /// Returns who sent a request; nobody in case of doubt.
    pub(crate) async fn identify(&self, request: &Request) -> Option<TailscaleIdentity> {
        match &self.0 {
            Way::Off => None,
            Way::Serve => served(request.data().copied(), request.headers()),
            Way::Localapi(tailscaled) => {
                let remote = address(&request.remote_addr().0)?;
                let peer = request.data::<Peer>()?.clone();
                // This very machine is at the other end: a proxy, for all that is known.
                let is_own = address(&request.local_addr().0).is_some_and(|local| local.ip() == remote.ip());
                match is_own || request.data::<PassedOn>().is_some() {
                    true => None,
                    false => tailscaled.ask_once(&peer, remote).await,
                }
            }
        }
    }
}

/// Marks a request that a proxy passed on: its identity would be the proxy's own, for everybody behind it.
#[derive(Debug, Clone, Copy)]
struct PassedOn;

/// Takes away all of Tailscale's headers, so that nothing can see them where anybody could have set them; that they
/// were there is remembered.
pub(crate) fn strip(request: &mut Request) {
    if is_passed_on(request.headers()) {
        request.set_data(PassedOn);
    }
    let headers = request.headers_mut();
    // Most requests have none.
    let found: Vec<_> = headers.keys().filter(|name| name.as_str().starts_with(PREFIX)).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// Returns who `tailscale serve` says that somebody is. It sets each header itself, after taking away what came with the
/// request, for people and not for devices with tags; so two of a kind are not its own.
fn served(entrance: Option<Entrance>, headers: &HeaderMap) -> Option<TailscaleIdentity> {
    if entrance != Some(Entrance::TailscaleServe) || headers.contains_key(FUNNEL) {
        return None;
    }
    let login = header::single(headers, &LOGIN)??;
    let name = header::single(headers, &NAME)?;
    TailscaleIdentity::new(&login, &name.unwrap_or_default())
}

/// Returns whether the other end is a proxy.
fn is_passed_on(headers: &HeaderMap) -> bool {
    PASSED_ON.iter().any(|name| headers.contains_key(name))
        || headers.keys().any(|name| name.as_str().starts_with(PREFIX))
}

/// Returns the address of the other end as tailscaled knows it: on a socket for both protocols, `::ffff:100.64.0.1` is
/// 100.64.0.1.
fn address(remote: &Addr) -> Option<SocketAddr> {
    let address = remote.as_socket_addr()?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

#[cfg(test)]
mod tests {
    use poem::web::RemoteAddr;

    use super::*;

    fn from_serve(headers: &[(&str, &str)]) -> Option<String> {
        let request = headers.iter().fold(Request::builder(), |request, (name, value)| request.header(*name, *value));
        let mut request = request.finish();
        let identity = served(Some(Entrance::TailscaleServe), request.headers())?;
        assert_eq!(served(Some(Entrance::Public), request.headers()), None);
        assert_eq!(served(None, request.headers()), None);
        strip(&mut request);
        assert_eq!(served(Some(Entrance::TailscaleServe), request.headers()), None);
        Some(format!("{}|{}", identity.login, identity.name))
    }

    #[test]
    fn serves_headers_are_believed_on_its_own_socket_alone() {
        let login = ("Tailscale-User-Login", "alice@example.org");
        let name = ("Tailscale-User-Name", "Alice");
        for (headers, somebody) in [
            (&[login, name][..], Some("alice@example.org|Alice")),
            (
                &[login, ("Tailscale-User-Name", "=?utf-8?q?Zo=C3=AB_Fran=C3=A7ois?=")],
                Some("alice@example.org|Zoë François"),
            ),
            (&[login], Some("alice@example.org|alice@example.org")),
            (&[login, ("tailscale-user-name", "")], Some("alice@example.org|alice@example.org")),
            (&[("tailscale-user-login", "alice@github"), name], Some("alice@github|Alice")),
            // Devices with tags have no headers; nor has Funnel, but it says so as well.
            (&[], None),
            (&[name], None),
            (&[login, name, ("Tailscale-Funnel-Request", "?1")], None),
            (&[login, name, ("Tailscale-Funnel-Request", "")], None),
            (&[("Tailscale-User-Login", "tagged-devices"), name], None),
            // Not by `tailscale serve`.
            (&[login, login, name], None),
            (&[login, ("Tailscale-User-Login", "mallory@example.org")], None),
            (&[login, name, name], None),
            (&[("Tailscale-User-Login", "")], None),
            (&[("Tailscale-User-Login", "  ")], None),
            (&[("Tailscale-User-Login", "alice@example.org, bob@example.org")], None),
            (&[("Tailscale-User-Login", "=?utf-8?q?a=00b?=")], None),
            (&[("Tailscale-User-Login", "=?utf-8?q?a=FF?=")], None),
        ] {
            assert_eq!(from_serve(headers).as_deref(), somebody, "{headers:?}");
        }
        let long = format!("{}@example.org", "a".repeat(300));
        assert_eq!(from_serve(&[("tailscale-user-login", &*long)]), None);
    }

    #[tokio::test]
    async fn in_each_way_the_other_ones_word_means_nothing() {
        let headers = |request: poem::RequestBuilder| {
            request.header("Tailscale-User-Login", "alice@example.org").header("Tailscale-User-Name", "Alice")
        };
        let mut request = headers(Request::builder()).finish();
        request.set_data(Entrance::TailscaleServe);
        assert_eq!(Tailscale::new(&TailscaleSettings::Off).identify(&request).await, None);
        let localapi = TailscaleSettings::Localapi { socket: "/nowhere".into(), join: Default::default() };
        assert_eq!(Tailscale::new(&localapi).identify(&request).await, None);
        let serve = TailscaleSettings::Serve { listen: None, join: Default::default() };
        assert_eq!(Tailscale::new(&serve).identify(&request).await.unwrap().login, "alice@example.org");
        request.set_data(Entrance::Public);
        assert_eq!(Tailscale::new(&serve).identify(&request).await, None);
    }

    #[test]
    fn an_address_is_what_tailscaled_knows() {
        for (remote, known) in [
            ("100.64.0.1:5000", "100.64.0.1:5000"),
            ("[::ffff:100.64.0.1]:5000", "100.64.0.1:5000"),
            ("[fd7a:115c:a1e0::1]:5000", "[fd7a:115c:a1e0::1]:5000"),
        ] {
            let remote = RemoteAddr(Addr::SocketAddr(remote.parse().unwrap()));
            assert_eq!(address(&remote.0).unwrap().to_string(), known);
        }
        assert_eq!(address(&Addr::custom("unix", "")), None);
    }

    #[test]
    fn who_comes_through_a_proxy_is_not_the_proxy() {
        for (name, passed_on) in [
            ("x-forwarded-for", true),
            ("forwarded", true),
            ("via", true),
            ("x-real-ip", true),
            ("tailscale-user-login", true),
            ("tailscale-headers-info", true),
            ("user-agent", false),
        ] {
            let request = Request::builder().header(name, "x").finish();
            assert_eq!(is_passed_on(request.headers()), passed_on, "{name}");
        }
    }
}
