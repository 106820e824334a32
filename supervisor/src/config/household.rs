//! Which settings are the app's own?
//!
//! `http` and `auth`: which names Hearth goes by, and who may sign in how. The app is handed those that are set, unread: it
//! checks them itself, all at once. No other process gets them, but that the maintenance page is told the names. The supervisor
//! reads how Tailscale signs people in, since it binds the socket of `auth.tailscale_listen` and confines the app.

use std::{
    fmt,
    path::{Component, Path},
};

use serde_json::Value;

use super::{Config, Mistake, Tailscale, key::Key};
use crate::process::endpoint::Endpoint;

/// Tells the app where those come from that no variable of their own name sets: `NAME=source`, one a line.
const SOURCES: &str = "HEARTH_SOURCES";

/// The app's own settings that are set.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ForTheApp(Vec<Handed>);

#[derive(Clone, PartialEq, Eq)]
struct Handed {
    variable: String,
    text: String,
    source: String,
}

/// Without what they are: some are secrets.
impl fmt::Debug for ForTheApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|set| &set.variable)).finish()
    }
}

impl ForTheApp {
    /// Adds a setting that was set, if it is the app's.
    pub(super) fn add(&mut self, key: &Key, value: &Value, source: &str) {
        let text = match value {
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
            value => value.as_str().unwrap_or_default().to_owned(),
        };
        if key.is_the_apps() && !text.is_empty() {
            self.0.push(Handed { variable: key.variable(), text, source: source.to_owned() });
        }
    }

    /// Whether none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns them as variables of their names.
    #[must_use]
    pub fn variables(&self) -> Vec<(&str, String)> {
        let elsewhere = self.0.iter().filter(|set| set.source != set.variable);
        let sources: Vec<_> = elsewhere.map(|set| format!("{}={}", set.variable, set.source)).collect();
        let sources = (!sources.is_empty()).then(|| (SOURCES, sources.join("\n")));
        self.0.iter().map(|set| (set.variable.as_str(), set.text.clone())).chain(sources).collect()
    }

    /// Returns those that are names of Hearth, for the page that has the app's place while none lives.
    #[must_use]
    pub fn names(&self) -> Vec<(&str, String)> {
        self.variables().into_iter().filter(|(variable, _)| variable.starts_with("HEARTH_HTTP__")).collect()
    }
}

/// Checks that `tailscale serve` has a way in of its own.
pub(super) fn check_listen(config: &Config) -> Result<(), Mistake> {
    const OWN: &str = "HEARTH_AUTH__TAILSCALE_LISTEN is where `tailscale serve` alone reaches Hearth: a unix socket such as /run/hearth/tailscale.sock, or an address such as 127.0.0.2:3001 (docs/TAILSCALE.md)";
    if config.auth.tailscale != Tailscale::Serve {
        return Ok(());
    }
    let wrong = match config.serves_tailscale() {
        None => return Err(("auth.tailscale", "serve needs auth.tailscale_listen".into(), OWN)),
        Some(Endpoint::Tcp(address)) if address.port() == config.listen.port() && address.port() != 0 => {
            format!("it has the port of listen, {}, which others reach as well", config.listen)
        }
        Some(Endpoint::Tcp(_)) => return Ok(()),
        Some(Endpoint::Unix(path)) => {
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
    /// Returns tailscaled's socket, if the app is to ask it.
    #[must_use]
    pub fn asks_tailscaled(&self) -> Option<&Path> {
        (self.auth.tailscale == Tailscale::Localapi).then_some(self.auth.tailscale_socket.as_path())
    }

    /// Returns where `tailscale serve` reaches Hearth, if it does.
    #[must_use]
    pub fn serves_tailscale(&self) -> Option<Endpoint> {
        (self.auth.tailscale == Tailscale::Serve).then(|| Endpoint::parse(&self.auth.tailscale_listen)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{load, load_file, words},
        *,
    };

    const PASSWORD: (&str, &str) = ("HEARTH_AUTH__ADMIN_PASSWORD", "correct horse battery staple");
    const LISTEN: &str = "HEARTH_AUTH__TAILSCALE_LISTEN";
    const SERVE: (&str, &str) = ("HEARTH_AUTH__TAILSCALE", "serve");

    #[test]
    fn the_app_is_handed_what_is_set_unread_and_nothing_else() {
        assert!(
            load(&[("HEARTH_HTTP__HOSTS", ","), ("HEARTH_HTTP__PUBLIC_URL", " ")])
                .unwrap()
                .config
                .for_the_app
                .is_empty()
        );
        let all = [
            ("HEARTH_HTTP__PUBLIC_URL", "nowhere"),
            ("HEARTH_HTTP__HOSTS", "a b,*"),
            ("HEARTH_AUTH__ADMIN_EMAIL", "ada"),
            ("HEARTH_AUTH__ADMIN_PASSWORD", "short"),
            ("HEARTH_AUTH__TAILSCALE_SOCKET", "tailscaled"),
            ("HEARTH_AUTH__TAILSCALE_JOIN", "owner"),
            ("HEARTH_AUTH__OIDC_ISSUER", "http://id.example.org"),
            ("HEARTH_AUTH__OIDC_CLIENT_SECRET", "hush hush"),
        ];
        let config = load(&all).unwrap().config;
        let handed = config.for_the_app.variables();
        assert_eq!(handed, all.map(|(variable, text)| (variable, text.to_owned())));
        assert_eq!(config.for_the_app.names(), handed[..2]);
        let asked = load(&[("HEARTH_AUTH__TAILSCALE", "localapi")]).unwrap().config;
        assert_eq!(asked.asks_tailscaled(), Some(Path::new("/var/run/tailscale/tailscaled.sock")));
        assert_eq!(asked.serves_tailscale(), None);
    }

    #[test]
    fn a_list_of_hosts_has_commas_in_the_environment_and_is_an_array_in_the_file() {
        let names = "a.example.org,b.example.org";
        for written in ["a.example.org, b.example.org,", r#"["a.example.org", "b.example.org"]"#] {
            let config = load(&[("HEARTH_HTTP__HOSTS", written)]).unwrap().config;
            assert_eq!(config.for_the_app.variables(), [("HEARTH_HTTP__HOSTS", names.to_owned())]);
        }
        let config = load_file("[http]\nhosts = [\"a.example.org\", \"b.example.org\"]").unwrap().config;
        let [hosts, sources] = &config.for_the_app.variables()[..] else { panic!("it says where they are from") };
        assert_eq!(*hosts, ("HEARTH_HTTP__HOSTS", names.to_owned()));
        assert!(sources.0 == SOURCES && sources.1.starts_with("HEARTH_HTTP__HOSTS=/"), "{sources:?}");
        assert!(sources.1.ends_with("/data/config.toml"), "{sources:?}");
        let said = words(load_file("[http]\nhosts = \"a.example.org\""));
        assert!(said.contains("allowed: a list of names"), "{said}");
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
    fn a_password_is_never_shown() {
        let loaded = load(&[("HEARTH_AUTH__ADMIN_EMAIL", "ada@example.org"), PASSWORD]).unwrap();
        let shown = format!("{} {:?}", crate::config::table(&loaded.document()), loaded.config);
        assert!(shown.contains("(set)") && !shown.contains("horse"), "{shown}");
        let said = words(load(&[(PASSWORD.0, "with a tab\tin it")]));
        assert!(said.contains("10 to 128 characters") && !said.contains("tab"), "{said}");
    }

    #[test]
    fn who_is_let_in_is_not_taken_from_where_the_app_can_write() {
        let said = words(load_file("[auth]\ntailscale_join = \"member\""));
        assert!(
            said.starts_with("auth.tailscale_join: set in ") && said.contains("HEARTH_AUTH__TAILSCALE_JOIN"),
            "{said}"
        );
    }
}
