//! Which names does Hearth go by, and who may sign in how?
//!
//! These are the app's own settings. The supervisor checks them like all others, binds the socket of `auth.tailscale_listen`, and
//! hands the app those that are set, as variables of the same names ([`Config::for_the_app`]). No other process gets them.

use std::path::{Component, Path};

use super::{Config, Http, Mistake, Tailscale};
use crate::process::endpoint::Endpoint;

/// Checks what one setting asks of another.
pub(super) fn check(config: &Config) -> Result<(), Mistake> {
    let auth = &config.auth;
    let given = |text: &str| !text.is_empty();
    match (given(&auth.admin_email), given(&auth.admin_password)) {
        (true, false) => {
            return Err((
                "auth.admin_email",
                "it needs auth.admin_password".into(),
                "HEARTH_AUTH__ADMIN_PASSWORD_FILE names a file with it",
            ));
        }
        (false, true) => {
            let hint = "HEARTH_AUTH__ADMIN_EMAIL is the e-mail address that the owner signs in with";
            return Err(("auth.admin_password", "it needs auth.admin_email".into(), hint));
        }
        _ => {}
    }
    let client = "HEARTH_AUTH__OIDC_ISSUER and HEARTH_AUTH__OIDC_CLIENT_ID belong together; the provider says both";
    if given(&auth.oidc_issuer) && !given(&auth.oidc_client_id) {
        return Err(("auth.oidc_issuer", "it needs auth.oidc_client_id".into(), client));
    }
    for (key, value) in
        [("auth.oidc_client_id", &auth.oidc_client_id), ("auth.oidc_client_secret", &auth.oidc_client_secret)]
    {
        if given(value) && !given(&auth.oidc_issuer) {
            return Err((key, "it needs auth.oidc_issuer".into(), client));
        }
    }
    if given(&auth.oidc_issuer) && config.http.public_url.is_empty() {
        let hint = "HEARTH_HTTP__PUBLIC_URL is the address that the provider sends browsers back to";
        return Err(("auth.oidc_issuer", "it needs http.public_url".into(), hint));
    }
    check_listen(config)
}

/// Checks that `tailscale serve` has a way in of its own.
fn check_listen(config: &Config) -> Result<(), Mistake> {
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
    /// Returns what the app is handed of these settings, as its variables: what is set, and nothing where it is not.
    #[must_use]
    pub fn for_the_app(&self) -> Vec<(&'static str, String)> {
        let auth = &self.auth;
        let mut variables = self.http.variables();
        let mut set = |name, value: String| {
            if !value.is_empty() {
                variables.push((name, value));
            }
        };
        set("HEARTH_AUTH__ADMIN_EMAIL", auth.admin_email.clone());
        set("HEARTH_AUTH__ADMIN_PASSWORD", auth.admin_password.clone());
        match auth.tailscale {
            Tailscale::Off => {}
            Tailscale::Serve => {
                set("HEARTH_AUTH__TAILSCALE", "serve".into());
                set("HEARTH_AUTH__TAILSCALE_LISTEN", auth.tailscale_listen.clone());
            }
            Tailscale::Localapi => {
                set("HEARTH_AUTH__TAILSCALE", "localapi".into());
                set("HEARTH_AUTH__TAILSCALE_SOCKET", auth.tailscale_socket.display().to_string());
            }
        }
        if auth.tailscale != Tailscale::Off {
            set("HEARTH_AUTH__TAILSCALE_JOIN", auth.tailscale_join.clone());
        }
        if !auth.oidc_issuer.is_empty() {
            set("HEARTH_AUTH__OIDC_ISSUER", auth.oidc_issuer.clone());
            set("HEARTH_AUTH__OIDC_CLIENT_ID", auth.oidc_client_id.clone());
            set("HEARTH_AUTH__OIDC_CLIENT_SECRET", auth.oidc_client_secret.clone());
            set("HEARTH_AUTH__OIDC_NAME", auth.oidc_name.clone());
            set("HEARTH_AUTH__OIDC_JOIN", auth.oidc_join.clone());
        }
        variables
    }

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

impl Http {
    /// Returns the variables of what is set: for the app, and for the page that has its place while none lives.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let public_url = self.public_url.trim_end_matches('/').to_owned();
        let all = [("HEARTH_HTTP__PUBLIC_URL", public_url), ("HEARTH_HTTP__HOSTS", self.hosts.join(","))];
        all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }
}

#[cfg(test)]
#[path = "household_tests.rs"]
mod tests;
