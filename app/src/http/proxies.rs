//! Who is at the other end, where a proxy passes requests on?
//!
//! To Hearth all of a proxy's users have one address. A proxy of `http.trusted_proxies` is believed when it says in
//! `X-Forwarded-For` whom it passes on, and in `X-Forwarded-Host` which name the browser asked for. Nobody else is.

use std::net::{IpAddr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use poem::http::HeaderMap;

/// The proxies that are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Proxies(Vec<IpNet>);

/// The first 48 bits of all addresses of a tailnet (Tailscale, IP address pool).
const TAILNET: [u16; 3] = [0xfd7a, 0x115c, 0xa1e0];

impl Proxies {
    /// Returns the proxies in these networks.
    pub(crate) fn new(networks: &[IpNet]) -> Self {
        Self(networks.to_vec())
    }

    /// Returns what believes in whatever is at the other end, where nothing but a proxy gets in.
    pub(crate) fn all() -> Self {
        Self(vec![IpNet::from(Ipv4Net::default()), IpNet::from(Ipv6Net::default())])
    }

    /// Returns whether the proxy at this address is believed.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Returns the address of the client, where the connection is from `peer`: the last one of `X-Forwarded-For` that a proxy
    /// which is believed has added, and that is no such proxy itself.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let lists: Vec<_> = headers.get_all("x-forwarded-for").iter().map(|value| value.as_bytes()).collect();
        let mut client = peer.to_canonical();
        for said in lists.iter().rev().flat_map(|list| list.rsplit(|byte| *byte == b',')) {
            if !self.trusts(client) {
                break;
            }
            match read(said) {
                Some(address) => client = address.to_canonical(),
                None => break,
            }
        }
        client
    }
}

/// Reads an address; some proxies add the port.
fn read(said: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(said).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// Returns what counts as one address: an IPv4 address, or the /64 of an IPv6 one, since every customer has as many
/// addresses in it as he likes. All of a tailnet share one /64 (`fd7a:115c:a1e0::/48`), in which nobody chooses their
/// address, and each is counted alone.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.segments().starts_with(&TAILNET) => {
            IpAddr::V6((address.to_bits() >> 64 << 64).into())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    #[test]
    fn the_client_is_who_a_believed_proxy_says_it_is() {
        let proxies = Proxies::new(&["10.0.0.0/8", "192.168.1.5/32", "fd00::/8"].map(|text| text.parse().unwrap()));
        for (peer, lists, client) in [
            ("10.0.0.1", &[&b"203.0.113.7"[..]][..], "203.0.113.7"),
            ("::ffff:10.0.0.1", &[b"203.0.113.7"], "203.0.113.7"),
            ("fd00::1", &[b"2001:db8::1"], "2001:db8::1"),
            // What the client itself wrote stands further left.
            ("10.0.0.1", &[b"1.1.1.1, 203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", &[b"1.1.1.1", b"203.0.113.7"], "203.0.113.7"),
            // One proxy behind another.
            ("10.0.0.1", &[b"203.0.113.7, 192.168.1.5"], "203.0.113.7"),
            ("10.0.0.1", &[b"1.1.1.1, 203.0.113.7 ,192.168.1.5,10.2.2.2"], "203.0.113.7"),
            ("10.0.0.1", &[b"10.1.1.1"], "10.1.1.1"),
            ("10.0.0.1", &[b"203.0.113.7:4711"], "203.0.113.7"),
            ("10.0.0.1", &[b"[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", &[b"[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", &[b"::ffff:203.0.113.7"], "203.0.113.7"),
            // Nonsense is nobody's address, and hides nobody.
            ("10.0.0.1", &[b"unknown"], "10.0.0.1"),
            ("10.0.0.1", &[b"203.0.113.7, \xff"], "10.0.0.1"),
            ("10.0.0.1", &[b""], "10.0.0.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            // Nobody else is believed.
            ("192.168.1.6", &[b"203.0.113.7"], "192.168.1.6"),
            ("127.0.0.1", &[b"203.0.113.7"], "127.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            for list in lists {
                headers.append("x-forwarded-for", HeaderValue::from_bytes(list).unwrap());
            }
            assert_eq!(proxies.client(peer.parse().unwrap(), &headers).to_string(), client, "{peer} {lists:?}");
        }
    }
}
