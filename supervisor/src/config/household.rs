//! Which settings are the app's own?
//!
//! `http`, `auth` and `attachments`: which names Hearth goes by, who may sign in how, and what attachments may take. The app is handed those that are set, unread: it
//! checks them itself, all at once. No other process gets them, but that the maintenance page is told the names.

use std::fmt;

use reqwest::Url;
use serde_json::Value;

use super::key::Key;

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
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns them as variables of their names.
    pub fn variables(&self) -> Vec<(&str, String)> {
        let elsewhere = self.0.iter().filter(|set| set.source != set.variable);
        let sources: Vec<_> = elsewhere.map(|set| format!("{}={}", set.variable, set.source)).collect();
        let sources = (!sources.is_empty()).then(|| (SOURCES, sources.join("\n")));
        self.0.iter().map(|set| (set.variable.as_str(), set.text.clone())).chain(sources).collect()
    }

    /// Returns those that are names of Hearth, for the page that has the app's place while none lives.
    pub fn names(&self) -> Vec<(&str, String)> {
        const NAMES: [&str; 2] = ["HEARTH_HTTP__PUBLIC_URL", "HEARTH_HTTP__HOSTS"];
        self.variables().into_iter().filter(|(variable, _)| NAMES.contains(variable)).collect()
    }

    /// Returns the names that people may reach Hearth by, as they stand in the settings.
    pub fn hosts(&self) -> Vec<String> {
        let names = self.names();
        let of = |wanted: &str| names.iter().find(|(name, _)| *name == wanted).map_or("", |(_, text)| text.as_str());
        hosts_in(of("HEARTH_HTTP__HOSTS"), of("HEARTH_HTTP__PUBLIC_URL"))
    }
}

/// Returns the names in a list with commas and in an address, unread. What has none is the app's to complain of.
pub fn hosts_in(hosts: &str, public_url: &str) -> Vec<String> {
    let public = Url::parse(public_url).ok().and_then(|url| url.host_str().map(str::to_owned));
    let listed = hosts.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
    listed.chain(public).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{load, load_file, words},
        *,
    };

    const PASSWORD: (&str, &str) = ("HEARTH_AUTH__ADMIN_PASSWORD", "correct horse battery staple");

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
