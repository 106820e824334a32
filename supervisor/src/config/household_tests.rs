//! Tests of the settings of names and accounts.

use super::{
    super::{
        tests::{load, load_file, words},
        url::wrong_public_url,
    },
    *,
};

const PASSWORD: (&str, &str) = ("HEARTH_AUTH__ADMIN_PASSWORD", "correct horse battery staple");
const LISTEN: &str = "HEARTH_AUTH__TAILSCALE_LISTEN";
const SERVE: (&str, &str) = ("HEARTH_AUTH__TAILSCALE", "serve");

fn handed(environment: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    load(environment).unwrap().config.for_the_app()
}

#[test]
fn the_app_is_handed_what_is_set_and_nothing_else() {
    assert_eq!(handed(&[]), []);
    assert_eq!(handed(&[("HEARTH_HTTP__HOSTS", ""), ("HEARTH_HTTP__PUBLIC_URL", "")]), []);
    // Where Tailscale is off, the rest of it is nobody's.
    assert_eq!(handed(&[(LISTEN, "127.0.0.2:3001"), ("HEARTH_AUTH__TAILSCALE_JOIN", "guest")]), []);
    let own = |pairs: &[(&'static str, &str)]| {
        pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect::<Vec<_>>()
    };
    let serve = handed(&[SERVE, (LISTEN, "/run/hearth/tailscale.sock"), ("HEARTH_AUTH__TAILSCALE_JOIN", "guest")]);
    let expected = [
        ("HEARTH_AUTH__TAILSCALE", "serve"),
        (LISTEN, "/run/hearth/tailscale.sock"),
        ("HEARTH_AUTH__TAILSCALE_JOIN", "guest"),
    ];
    assert_eq!(serve, own(&expected));
    let names = handed(&[
        ("HEARTH_HTTP__PUBLIC_URL", "https://hearth.example.ts.net/"),
        ("HEARTH_HTTP__HOSTS", "a.example.org, b.example.org,"),
    ]);
    let expected = [
        ("HEARTH_HTTP__PUBLIC_URL", "https://hearth.example.ts.net"),
        ("HEARTH_HTTP__HOSTS", "a.example.org,b.example.org"),
    ];
    assert_eq!(names, own(&expected));
    let owner = handed(&[("HEARTH_AUTH__ADMIN_EMAIL", "ada@example.org"), PASSWORD]);
    assert_eq!(owner, own(&[("HEARTH_AUTH__ADMIN_EMAIL", "ada@example.org"), PASSWORD]));
    let single = handed(&[
        ("HEARTH_HTTP__PUBLIC_URL", "https://hearth.example.ts.net"),
        ("HEARTH_AUTH__OIDC_ISSUER", "https://id.example.org/realms/home"),
        ("HEARTH_AUTH__OIDC_CLIENT_ID", "hearth"),
    ]);
    let expected = [
        ("HEARTH_HTTP__PUBLIC_URL", "https://hearth.example.ts.net"),
        ("HEARTH_AUTH__OIDC_ISSUER", "https://id.example.org/realms/home"),
        ("HEARTH_AUTH__OIDC_CLIENT_ID", "hearth"),
        ("HEARTH_AUTH__OIDC_NAME", "single sign-on"),
        ("HEARTH_AUTH__OIDC_JOIN", "refuse"),
    ];
    assert_eq!(single, own(&expected));
    let asked = load(&[("HEARTH_AUTH__TAILSCALE", "localapi")]).unwrap().config;
    assert_eq!(asked.asks_tailscaled(), Some(Path::new("/var/run/tailscale/tailscaled.sock")));
    assert_eq!(asked.serves_tailscale(), None);
}

#[test]
fn a_list_of_hosts_has_commas_in_the_environment_and_is_an_array_in_the_file() {
    for written in ["a.example.org,b.example.org", r#"["a.example.org", "b.example.org"]"#] {
        assert_eq!(
            load(&[("HEARTH_HTTP__HOSTS", written)]).unwrap().config.http.hosts,
            ["a.example.org", "b.example.org"]
        );
    }
    let loaded = load_file("[http]\nhosts = [\"a.example.org\"]\npublic_url = \"https://x.example.org:8443\"").unwrap();
    assert_eq!(loaded.config.http.hosts, ["a.example.org"]);
    for wrong in ["https://a.example.org", "a.example.org:3000", "*.example.org", "a..b", "192.168.1.2", "-a.b", "a b"]
    {
        let said = words(load(&[("HEARTH_HTTP__HOSTS", wrong)]));
        assert!(
            said.contains("http.hosts (from HEARTH_HTTP__HOSTS) cannot be used")
                && said.contains("is no name of a host"),
            "{said}"
        );
    }
}

#[test]
fn the_public_address_has_a_name_and_is_secure() {
    for right in [
        "https://hearth.example.ts.net",
        "https://hearth.example.ts.net:8443/",
        "https://nas",
        "http://localhost:3000",
        "http://localhost",
    ] {
        assert_eq!(wrong_public_url(right), None, "{right}");
    }
    for (wrong, why) in [
        ("hearth.example.ts.net", "does not begin with https://"),
        ("ftp://hearth.example.ts.net", "does not begin with https://"),
        ("http://hearth.example.ts.net", "only localhost"),
        ("https://192.168.1.2", "no name"),
        ("https://[::1]:3000", "port"),
        ("https://", "no name"),
        ("https://a.example.org/hearth", "without a path"),
        ("https://ada@a.example.org", "without a path or a user"),
        ("https://a.example.org:https", "no port"),
    ] {
        let said = words(load(&[("HEARTH_HTTP__PUBLIC_URL", wrong)]));
        assert!(said.contains(why) && said.contains("http.public_url"), "{wrong}: {said}");
    }
}

#[test]
fn serve_has_a_way_in_of_its_own() {
    let said = words(load(&[SERVE]));
    assert!(
        said.starts_with(
            "auth.tailscale (from HEARTH_AUTH__TAILSCALE) cannot be used: serve needs auth.tailscale_listen"
        ),
        "{said}"
    );
    for (listen, why) in [
        ("127.0.0.2:3000", "it has the port of listen"),
        ("/nowhere/data/files/x.sock", "where the app may write"),
        ("/run/../nowhere/data/live/x.sock", ".."),
    ] {
        let said = words(load(&[SERVE, (LISTEN, listen)]));
        assert!(said.starts_with("auth.tailscale_listen (from ") && said.contains(why), "{listen}: {said}");
    }
    for wrong in ["tailscale.sock", "localhost:3001", "/run/hearth/", &format!("/{}", "x".repeat(107))] {
        let said = words(load(&[SERVE, (LISTEN, wrong)]));
        assert!(said.contains("such as /run/hearth/tailscale.sock"), "{wrong}: {said}");
    }
    let both_free = [SERVE, (LISTEN, "127.0.0.1:0"), ("HEARTH_LISTEN", "127.0.0.1:0")];
    assert_eq!(
        load(&both_free).unwrap().config.serves_tailscale(),
        Some(Endpoint::Tcp("127.0.0.1:0".parse().unwrap()))
    );
}

#[test]
fn what_belongs_together_comes_together() {
    for (environment, why) in [
        (&[("HEARTH_AUTH__ADMIN_EMAIL", "ada@example.org")][..], "it needs auth.admin_password"),
        (&[PASSWORD], "it needs auth.admin_email"),
        (&[("HEARTH_AUTH__OIDC_ISSUER", "https://id.example.org")], "it needs auth.oidc_client_id"),
        (&[("HEARTH_AUTH__OIDC_CLIENT_ID", "hearth")], "it needs auth.oidc_issuer"),
        (
            &[("HEARTH_AUTH__OIDC_ISSUER", "https://id.example.org"), ("HEARTH_AUTH__OIDC_CLIENT_ID", "hearth")],
            "it needs http.public_url",
        ),
        (&[("HEARTH_AUTH__OIDC_CLIENT_SECRET", "hush")], "it needs auth.oidc_issuer"),
        (&[("HEARTH_AUTH__OIDC_ISSUER", "http://id.example.org")], "anybody on the way"),
        (&[("HEARTH_AUTH__ADMIN_EMAIL", "ada")], "an e-mail address"),
    ] {
        let said = words(load(environment));
        assert!(said.contains(why) && !said.contains("hush"), "{said}");
    }
}

#[test]
fn a_password_is_checked_and_never_shown() {
    let email = ("HEARTH_AUTH__ADMIN_EMAIL", "ada@example.org");
    let loaded = load(&[email, PASSWORD]).unwrap();
    let shown = format!("{} {:?}", crate::config::table(&loaded.document()), loaded.config);
    assert!(shown.contains("(set)") && !shown.contains("horse"), "{shown}");
    for wrong in ["too short", &"x".repeat(129), "with a tab\tin it"] {
        let said = words(load(&[email, (PASSWORD.0, wrong)]));
        assert!(said.contains("10 to 128 characters") && !said.contains(wrong), "{said}");
    }
    assert!(load(&[email, (PASSWORD.0, "zehn Zeichen: äöü")]).is_ok());
}

#[test]
fn who_is_let_in_is_not_taken_from_where_the_app_can_write() {
    let said = words(load_file("[auth]\ntailscale_join = \"member\""));
    assert!(said.starts_with("auth.tailscale_join: set in ") && said.contains("HEARTH_AUTH__TAILSCALE_JOIN"), "{said}");
}
