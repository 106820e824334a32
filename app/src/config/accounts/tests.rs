//! What the settings of accounts may be, and what belongs together.

use super::*;

const EMAIL: (&str, &str) = ("auth.admin_email", "ada@example.org");
const PASSWORD: (&str, &str) = ("auth.admin_password", "correct horse battery staple");
const URL: (&str, &str) = ("http.public_url", "https://hearth.example.org");
const ISSUER: (&str, &str) = ("auth.oidc_issuer", "https://id.example.org");
const CLIENT: (&str, &str) = ("auth.oidc_client_id", "hearth");

fn read(set: &[(&'static str, &str)]) -> Result<(Http, Auth), String> {
    let mut settings = Settings::default();
    set.iter().for_each(|(name, text)| settings.set(name, text, "HEARTH_TEST"));
    let read = super::read(&mut settings);
    let wrong: Vec<_> = settings.wrong.iter().map(ToString::to_string).collect();
    if wrong.is_empty() { Ok(read) } else { Err(wrong.join("\n")) }
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
    for (text, why) in [
        ("", "does not begin with https://"),
        ("hearth.example.org", "does not begin with https://"),
        ("hearth.example.org:3000", "does not begin with https://"),
        ("ftp://hearth.example.org", "does not begin with https://"),
        ("javascript:alert(1)", "does not begin with https://"),
        ("http://hearth.example.org", "only localhost"),
        ("http://127.0.0.1:3000", "no host name"),
        ("https://192.168.1.2", "no host name"),
        ("https://[::1]:3000", "no host name"),
        ("https://", "no host name"),
        ("https://hearth.example.org:https", "port is not valid"),
        ("https://hearth.example.org/app", "without a path"),
        ("https://hearth.example.org/?a", "without a path"),
        ("https://hearth.example.org/#a", "without a path"),
        ("https://someone@hearth.example.org", "without a path or a user"),
    ] {
        let said = read(&[("http.public_url", text)]).unwrap_err();
        assert!(said.starts_with("error: http.public_url (from HEARTH_TEST) cannot be used: "), "{said}");
        assert!(
            said.contains(why) && said.contains("\nhint: allowed: https:// and a name, such as "),
            "{text}: {said}"
        );
    }
}

#[test]
fn names_are_read_between_commas_and_kept_as_the_dns_has_them() {
    let (http, _) = read(&[("http.hosts", "NAS.local, hearth.example.org.,, b\u{fc}cher.example")]).unwrap();
    assert_eq!(http.hosts, ["nas.local", "hearth.example.org", "xn--bcher-kva.example"]);
    for text in [
        "nas.local,192.168.1.2",
        "https://nas.local",
        "nas.local:3000",
        "*.local",
        "a b",
        "a..b",
        "-a.b",
        "192.168.1.2",
    ] {
        let said = read(&[("http.hosts", text)]).unwrap_err();
        assert!(said.starts_with("error: http.hosts (from HEARTH_TEST) cannot be used: \""), "{said}");
        assert!(said.contains("is not a host name"), "{said}");
    }
}

#[test]
fn proxies_are_addresses_and_networks() {
    let (http, _) = read(&[("http.trusted_proxies", "172.18.0.2, 10.1.2.3/8,, fd00::/8,::ffff:192.0.2.1")]).unwrap();
    let read_as: Vec<_> = http.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(read_as, ["172.18.0.2/32", "10.0.0.0/8", "fd00::/8", "192.0.2.1/32"]);
    for (text, why) in [
        ("caddy", "is neither an IP address nor a network"),
        ("10.0.0.0/33", "is neither an IP address nor a network"),
        ("10.0.0.1:3000", "is neither an IP address nor a network"),
        ("172.18.0.2,localhost", "\"localhost\" is neither an IP address"),
        ("0.0.0.0/0", "matches every address"),
        ("::/0", "matches every address"),
    ] {
        let said = read(&[("http.trusted_proxies", text)]).unwrap_err();
        assert!(said.contains(why) && said.contains("hint: allowed: IP addresses"), "{said}");
    }
}

#[test]
fn what_belongs_together_is_set_together() {
    for (settings, alone, missing) in [
        (&[EMAIL][..], EMAIL.0, PASSWORD.0),
        (&[PASSWORD], PASSWORD.0, EMAIL.0),
        (&[URL, ISSUER], ISSUER.0, CLIENT.0),
        (&[URL, CLIENT], CLIENT.0, ISSUER.0),
        (&[ISSUER, CLIENT], ISSUER.0, URL.0),
        (&[("auth.oidc_client_secret", "hush")], "auth.oidc_client_secret", ISSUER.0),
    ] {
        let said = read(settings).unwrap_err();
        let told = format!("error: {alone} (from HEARTH_TEST) cannot be used: it needs {missing}\nhint: HEARTH_");
        assert!(said.starts_with(&told) && !said.contains("hush"), "{said}");
    }
    let (_, auth) = read(&[URL, ISSUER, CLIENT, ("auth.oidc_join", "guest")]).unwrap();
    let oidc = auth.oidc.unwrap();
    assert_eq!((&*oidc.issuer, &*oidc.name, oidc.join), ("https://id.example.org", "single sign-on", Join::Guest));
    assert_eq!(oidc.client_secret, None);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let wrong = [("auth.tailscale", "on"), ("auth.admin_email", "ada"), ISSUER, ("auth.oidc_name", "")];
    let said = read(&wrong).unwrap_err();
    for wrong in [
        "auth.tailscale = \"on\" (from HEARTH_TEST) cannot be used\nhint: allowed: off, serve, localapi",
        "auth.admin_email = \"ada\" (from HEARTH_TEST) cannot be used\nhint: allowed: an e-mail address, such as ada@",
        "auth.admin_email (from HEARTH_TEST) cannot be used: it needs auth.admin_password",
        "auth.oidc_issuer (from HEARTH_TEST) cannot be used: it needs auth.oidc_client_id",
        "auth.oidc_issuer (from HEARTH_TEST) cannot be used: it needs http.public_url",
        "auth.oidc_name = \"\" (from HEARTH_TEST) cannot be used",
    ] {
        assert!(said.contains(wrong), "{wrong}: {said}");
    }
    assert_eq!(said.matches("error: ").count(), 6, "{said}");
}

#[test]
fn secrets_are_taken_as_they_are_written_and_never_shown() {
    let (_, auth) = read(&[EMAIL, (PASSWORD.0, "0012345678")]).unwrap();
    assert_eq!(auth.admin.as_ref().unwrap().password.expose(), "0012345678");
    assert!(!format!("{auth:?}").contains("12345678"));
    for wrong in ["too short", &"x".repeat(129), "with a tab\tin it"] {
        let said = read(&[EMAIL, (PASSWORD.0, wrong)]).unwrap_err();
        assert!(said.contains("10 to 128 characters") && !said.contains(wrong), "{said}");
    }
    assert!(read(&[EMAIL, (PASSWORD.0, "zehn Zeichen: äöü")]).is_ok());
    let said = read(&[URL, ISSUER, CLIENT, ("auth.oidc_client_secret", "hush\nhush")]).unwrap_err();
    assert!(said.contains("printable ASCII") && !said.contains("hush"), "{said}");
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
        ("auth.tailscale_listen", "/run/hearth/"),
        ("auth.tailscale_socket", "tailscaled.sock"),
        ("auth.tailscale_join", "owner"),
        ("auth.admin_email", "nobody"),
        ("auth.admin_password", ""),
        ("auth.oidc_issuer", "http://id.example.org"),
        ("auth.oidc_issuer", "id.example.org"),
        ("auth.oidc_issuer", "https://ada@id.example.org"),
        ("auth.oidc_issuer", "https://id.example.org/?tenant=1"),
        ("auth.oidc_client_id", ""),
        ("auth.oidc_client_id", "two\nlines"),
        ("auth.oidc_name", "forty-one characters and so one too many.."),
    ] {
        let said = read(&[(key, text)]).unwrap_err();
        assert!(
            said.starts_with(&format!("error: {key} ")) && said.contains("\nhint: allowed: "),
            "{key} {text} {said}"
        );
    }
}

#[test]
fn a_provider_on_this_machine_may_do_without_tls() {
    let said = read(&[URL, CLIENT, (ISSUER.0, "http://id.example.org")]).unwrap_err();
    assert!(said.contains("anybody on the network could sign in"), "{said}");
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
