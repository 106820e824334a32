//! What the settings of accounts may be, and what belongs together.

use figment::{Figment, providers::Serialized};

use super::*;

fn read(settings: &[(&str, &str)]) -> Result<(Http, Auth), Failure> {
    let figment = settings
        .iter()
        .fold(Figment::new(), |figment, (key, value)| figment.merge(Serialized::global(key, (*value).to_owned())));
    figment
        .extract::<Asked>()
        .map_err(|error| crate::config::explain(&error, &Default::default()))
        .and_then(Asked::check)
}

#[test]
fn nothing_is_on_unless_it_is_asked_for() {
    assert_eq!(read(&[]), Ok((Http::default(), Auth::default())));
    assert_eq!(read(&[("auth.tailscale", "off")]), Ok((Http::default(), Auth::default())));
}

#[test]
fn an_address_for_browsers_is_https_or_this_machine_and_nothing_more() {
    for (text, host, port, https, origin) in [
        ("https://Hearth.Example.org", "hearth.example.org", 443, true, "https://hearth.example.org"),
        ("https://hearth.example.org:443/", "hearth.example.org", 443, true, "https://hearth.example.org"),
        ("https://nas.tail1.ts.net:8443", "nas.tail1.ts.net", 8443, true, "https://nas.tail1.ts.net:8443"),
        ("https://b\u{fc}cher.example", "xn--bcher-kva.example", 443, true, "https://xn--bcher-kva.example"),
        ("http://localhost:3000", "localhost", 3000, false, "http://localhost:3000"),
        ("http://localhost", "localhost", 80, false, "http://localhost"),
    ] {
        let url: PublicUrl = text.parse().unwrap();
        assert_eq!((url.host(), url.port(), url.is_https(), &*url.to_string()), (host, port, https, origin));
    }
    for text in [
        "",
        "hearth.example.org",
        "http://hearth.example.org",
        "http://127.0.0.1:3000",
        "https://192.168.1.2",
        "https://[::1]",
        "https://hearth.example.org/app",
        "https://hearth.example.org/?a",
        "https://hearth.example.org/#a",
        "https://someone@hearth.example.org",
        "https://",
        "ftp://hearth.example.org",
        "javascript:alert(1)",
    ] {
        assert!(text.parse::<PublicUrl>().is_err(), "{text}");
        let failure = read(&[("http.public_url", text)]).unwrap_err();
        assert!(failure.hint.as_deref().unwrap().starts_with("http.public_url (HEARTH_HTTP__PUBLIC_URL) is "));
    }
}

#[test]
fn names_are_read_between_commas_and_kept_as_the_dns_has_them() {
    let (http, _) = read(&[("http.hosts", "NAS.local, hearth.example.org.,, b\u{fc}cher.example")]).unwrap();
    assert_eq!(http.hosts, ["nas.local", "hearth.example.org", "xn--bcher-kva.example"]);
    for text in ["nas.local,192.168.1.2", "https://nas.local", "nas.local:3000", "*.local", "a b", "a..b"] {
        assert!(read(&[("http.hosts", text)]).is_err(), "{text}");
    }
}

#[test]
fn what_belongs_together_is_set_together() {
    let url = ("http.public_url", "https://hearth.example.org");
    let issuer = ("auth.oidc_issuer", "https://id.example.org");
    let client = ("auth.oidc_client_id", "hearth");
    for (settings, words) in [
        (&[("auth.admin_email", "a@example.org")][..], "auth.admin_email is set, and auth.admin_password is not"),
        (&[("auth.admin_password", "0123456789")], "auth.admin_password is set, and auth.admin_email is not"),
        (&[url, issuer], "auth.oidc_issuer is set, and auth.oidc_client_id is not"),
        (&[url, client], "auth.oidc_client_id is set, and auth.oidc_issuer is not"),
        (&[issuer, client], "auth.oidc_issuer is set, and http.public_url is not"),
    ] {
        assert_eq!(read(settings).unwrap_err().message, words);
    }
    let (_, auth) = read(&[url, issuer, client, ("auth.oidc_join", "guest")]).unwrap();
    let oidc = auth.oidc.unwrap();
    assert_eq!((&*oidc.issuer, &*oidc.name, oidc.join), ("https://id.example.org", "single sign-on", Join::Guest));
    assert_eq!(oidc.client_secret, None);
}

#[test]
fn secrets_are_taken_as_they_are_written_and_never_shown() {
    let (_, auth) = read(&[("auth.admin_email", "a@example.org"), ("auth.admin_password", "0012345678")]).unwrap();
    assert_eq!(auth.admin.as_ref().unwrap().password.expose(), "0012345678");
    assert!(!format!("{auth:?}").contains("12345678"));
}

#[test]
fn tailscale_is_one_of_its_three_ways() {
    for (text, listen) in [
        ("127.0.0.1:3001", TailscaleListen::Address("127.0.0.1:3001".parse().unwrap())),
        ("[::1]:3001", TailscaleListen::Address("[::1]:3001".parse().unwrap())),
        ("/run/hearth/serve", TailscaleListen::Socket("/run/hearth/serve".into())),
    ] {
        let (_, auth) = read(&[("auth.tailscale", "serve"), ("auth.tailscale_listen", text)]).unwrap();
        assert_eq!(auth.tailscale, TailscaleSettings::Serve { listen: Some(listen), join: Join::Refuse });
    }
    let (_, auth) = read(&[("auth.tailscale", "localapi"), ("auth.tailscale_join", "member")]).unwrap();
    assert_eq!(auth.tailscale, TailscaleSettings::Localapi { socket: TAILSCALED.into(), join: Join::Member });
    for (key, text) in [
        ("auth.tailscale", "on"),
        ("auth.tailscale_listen", "3001"),
        ("auth.tailscale_listen", "serve.sock"),
        ("auth.tailscale_socket", "tailscaled.sock"),
        ("auth.tailscale_join", "owner"),
        ("auth.admin_email", "nobody"),
        ("auth.admin_password", ""),
        ("auth.oidc_issuer", "http://id.example.org"),
        ("auth.oidc_issuer", "https://id.example.org/?tenant=1"),
        ("auth.oidc_client_id", ""),
        ("auth.oidc_name", "forty-one characters and so one too many.."),
    ] {
        let failure = read(&[(key, text)]).unwrap_err();
        assert!(failure.hint.as_deref().unwrap_or_default().starts_with(key), "{key} {text} {failure}");
    }
}

#[test]
fn a_provider_on_this_machine_may_do_without_tls() {
    for (url, loopback) in [
        ("http://localhost:8080", true),
        ("http://127.0.0.9", true),
        ("http://[::1]:1/x", true),
        ("http://localhost.example", false),
        ("http://10.0.0.1", false),
    ] {
        assert_eq!(is_loopback(&Url::parse(url).unwrap()), loopback, "{url}");
    }
}
