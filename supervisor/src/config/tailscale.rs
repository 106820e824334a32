//! What does the supervisor itself need to know of how Tailscale signs people in?
//!
//! It binds the socket of `auth.tailscale_listen`, and confines an app otherwise that asks tailscaled.

use std::path::{Component, Path};

use super::{Config, Mistake, Tailscale};
use crate::process::endpoint::Endpoint;

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
    pub fn asks_tailscaled(&self) -> Option<&Path> {
        (self.auth.tailscale == Tailscale::Localapi).then_some(self.auth.tailscale_socket.as_path())
    }

    /// Returns where `tailscale serve` reaches Hearth, if it does.
    pub fn serves_tailscale(&self) -> Option<Endpoint> {
        (self.auth.tailscale == Tailscale::Serve).then(|| Endpoint::parse(&self.auth.tailscale_listen)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{load, words},
        *,
    };

    const LISTEN: &str = "HEARTH_AUTH__TAILSCALE_LISTEN";
    const SERVE: (&str, &str) = ("HEARTH_AUTH__TAILSCALE", "serve");

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
    fn tailscaled_is_asked_at_its_socket() {
        let asked = load(&[("HEARTH_AUTH__TAILSCALE", "localapi")]).unwrap().config;
        assert_eq!(asked.asks_tailscaled(), Some(Path::new("/var/run/tailscale/tailscaled.sock")));
        assert_eq!(asked.serves_tailscale(), None);
    }
}
