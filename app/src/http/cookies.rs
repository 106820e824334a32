//! Which cookies are this instance's, among all that a browser sends?
//!
//! Cookies know hosts and no ports: the browser sends those of every program on the host, in whatever encoding, and two
//! instances of Hearth would take each other's for their own. So each instance has names of its own, and of the header it
//! reads those alone. Names of 0.4.0, which all instances shared, are read until their cookies expire.

use std::sync::Arc;

use cookie::{Cookie, SameSite};
use poem::http::{HeaderMap, header};
use time::Duration;

/// What a cookie is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Somebody is signed in.
    Session,
    /// A user has signed in with this browser before.
    Device,
    /// A sign-in at a provider is under way.
    Oidc,
}

impl Purpose {
    const ALL: [Self; 3] = [Self::Session, Self::Device, Self::Oidc];

    fn suffix(self) -> &'static str {
        match self {
            Self::Session => "",
            Self::Device => "-device",
            Self::Oidc => "-oidc",
        }
    }
}

/// Stands for the instance in the API's document where that describes no instance in particular.
pub(crate) const ANY_INSTANCE: &str = "INSTANCE";

/// The names of an instance's cookies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CookieNames {
    instance: Arc<str>,
}

impl Default for CookieNames {
    fn default() -> Self {
        Self { instance: ANY_INSTANCE.into() }
    }
}

/// The value of a cookie, and by which name it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) value: String,
    /// Whether it came by the name that 0.4.0 gave it, which any instance on the host may have set.
    pub(crate) is_shared: bool,
}

impl CookieNames {
    /// Returns the names of the instance with this number.
    pub(crate) fn of(instance: u32) -> Self {
        Self { instance: format!("{instance:08x}").into() }
    }

    /// Returns a cookie's name. Over https the browser itself sees to the promises of `__Host-` (RFC 6265bis, 4.1.3.2):
    /// Secure, this host alone, the whole of it. Over https a cookie of plain http is never taken for one, since whoever can
    /// write into plain http could plant it.
    pub(crate) fn name(&self, purpose: Purpose, https: bool) -> String {
        format!("{}hearth-{}{}", prefix(https), self.instance, purpose.suffix())
    }

    /// Returns the value of a cookie; of several with its name nobody knows which one is ours, and none is taken.
    pub(crate) fn find(&self, headers: &HeaderMap, purpose: Purpose, https: bool) -> Option<Found> {
        let own = values(headers, &self.name(purpose, https));
        let (values, is_shared) =
            if own.is_empty() { (values(headers, &shared_name(purpose, https)), true) } else { (own, false) };
        let [value] = <[String; 1]>::try_from(values).ok()?;
        Some(Found { value, is_shared })
    }

    /// Returns the `Set-Cookie` of a value for so long, or, without one, of its end.
    pub(crate) fn set(&self, purpose: Purpose, https: bool, value: Option<&str>, age: Duration) -> String {
        // Lax: a link from elsewhere finds somebody signed in, and a provider sends the browser back from another site.
        let cookie = Cookie::build((self.name(purpose, https), value.unwrap_or_default()))
            .path("/")
            .max_age(if value.is_some() { age } else { Duration::ZERO })
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(https);
        cookie.build().to_string()
    }

    /// Whether the browser sent a cookie that it sends over https alone.
    pub(super) fn shows_https(&self, headers: &HeaderMap) -> bool {
        Purpose::ALL.into_iter().any(|purpose| {
            [self.name(purpose, true), shared_name(purpose, true)].iter().any(|name| !values(headers, name).is_empty())
        })
    }
}

/// The name that 0.4.0 gave to a cookie.
fn shared_name(purpose: Purpose, https: bool) -> String {
    format!("{}hearth{}", prefix(https), purpose.suffix())
}

fn prefix(https: bool) -> &'static str {
    if https { "__Host-" } else { "" }
}

/// Returns the values of all cookies with a name. A header is bytes: what is not UTF-8 is another program's.
fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    let headers = headers.get_all(header::COOKIE).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    headers.flat_map(|header| values_in(&header, name)).collect()
}

fn values_in(header: &str, name: &str) -> Vec<String> {
    let cookies = Cookie::split_parse(header).filter_map(Result::ok);
    cookies.filter(|cookie| cookie.name() == name).map(|cookie| cookie.value().to_owned()).collect()
}

/// Returns a document of the API with the names of an instance.
pub(crate) fn named(document: &str, names: &CookieNames) -> String {
    document.replace(&format!("hearth-{ANY_INSTANCE}"), &format!("hearth-{}", names.instance))
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const NAMES: u32 = 0x1a2b_3c4d;
    const OWN: &str = "hearth-1a2b3c4d";

    fn headers(lines: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        headers
    }

    fn session(lines: &[&[u8]]) -> Option<String> {
        let found = CookieNames::of(NAMES).find(&headers(lines), Purpose::Session, false);
        found.map(|found| format!("{}{}", found.value, if found.is_shared { " (shared)" } else { "" }))
    }

    #[test]
    fn ours_is_found_beside_whatever_other_programs_send() {
        for (lines, value) in [
            (&[&b"hearth-1a2b3c4d=x"[..]][..], Some("x")),
            (&[b"lang=de; hearth-1a2b3c4d=x; theme=dark"], Some("x")),
            // UTF-8, Latin-1, nonsense; as a value, as a name, and what is no cookie.
            (&["user=J\u{f6}rg; hearth-1a2b3c4d=x".as_bytes()], Some("x")),
            (&[b"user=J\xf6rg; hearth-1a2b3c4d=x"], Some("x")),
            (&[b"hearth-1a2b3c4d=x; k\xe4se=1"], Some("x")),
            (&["k\u{e4}se=1; hearth-1a2b3c4d=x".as_bytes()], Some("x")),
            (&[b"\xff\xfe\x80; =; ;;; a; =b; hearth-1a2b3c4d=x"], Some("x")),
            (&[b"a=\"q; hearth-1a2b3c4d=x"], Some("x")),
            (&[b"{\"json\":[1,2]}; hearth-1a2b3c4d=x"], Some("x")),
            (&[b"hearth-1a2b3c4d=x;a\xc3"], Some("x")),
            // HTTP/2 proxies split the header.
            (&[b"a=\xff", b"hearth-1a2b3c4d=x", b"\x80"], Some("x")),
            // Another instance's, and another cookie's.
            (&[b"hearth-00000000=y; hearth-1a2b3c4d=x; hearth-1a2b3c4d-device=z"], Some("x")),
            (&[b"hearth-00000000=y; xhearth-1a2b3c4d=z; HEARTH-1A2B3C4D=z"], None),
            // 0.4.0's name, where there is none of our own.
            (&[b"hearth=x"], Some("x (shared)")),
            (&[b"hearth=y; hearth-1a2b3c4d=x"], Some("x")),
            // Of two nobody knows which one is ours.
            (&[b"hearth-1a2b3c4d=x; hearth-1a2b3c4d=y"], None),
            (&[b"hearth-1a2b3c4d=x", b"hearth-1a2b3c4d=y"], None),
            (&[b"hearth-1a2b3c4d=x; hearth-1a2b3c4d=y; hearth=z"], None),
            (&[b"hearth=x; hearth=y"], None),
            (&[], None),
        ] {
            assert_eq!(session(lines).as_deref(), value, "{lines:?}");
        }
    }

    proptest! {
        #[test]
        fn no_byte_of_others_hides_ours(before in others(), after in others()) {
            let line = [&before[..], b"; ", OWN.as_bytes(), b"=x; ", &after].concat();
            let found = session(&[&line]);
            prop_assert_eq!(found.as_deref(), Some("x"));
        }
    }

    /// All bytes that hyper lets into a header's value.
    fn others() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![0x20..=0x7e_u8, 0x80..=0xff_u8, Just(b'\t'), Just(b';'), Just(b'=')], 0..40)
    }

    #[test]
    fn a_cookie_is_the_hosts_alone_over_https_and_of_another_name_without() {
        let names = CookieNames::of(NAMES);
        let week = Duration::days(7);
        assert_eq!(
            names.set(Purpose::Session, true, Some("x"), week),
            "__Host-hearth-1a2b3c4d=x; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=604800"
        );
        assert_eq!(
            names.set(Purpose::Device, false, None, week),
            "hearth-1a2b3c4d-device=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0"
        );
        for (line, https) in [(&b"hearth-1a2b3c4d=x"[..], true), (b"__Host-hearth-1a2b3c4d=x", false)] {
            assert_eq!(names.find(&headers(&[line]), Purpose::Session, https), None);
        }
    }

    #[test]
    fn our_own_cookies_show_that_the_browser_speaks_https() {
        let names = CookieNames::of(NAMES);
        for (line, shows) in [
            (&b"__Host-hearth-1a2b3c4d=x"[..], true),
            (b"a=\xff; __Host-hearth-1a2b3c4d-device=x", true),
            (b"__Host-hearth=x", true),
            (b"__Host-hearth-oidc=x", true),
            // On localhost browsers send them over plain http, too: another instance's says nothing of this one.
            (b"__Host-hearth-00000000=x", false),
            (b"hearth-1a2b3c4d=__Host-hearth", false),
            (b"x__Host-hearth=x", false),
        ] {
            assert_eq!(names.shows_https(&headers(&[line])), shows, "{}", String::from_utf8_lossy(line));
        }
    }
}
