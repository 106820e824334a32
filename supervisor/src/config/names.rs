//! Is a variable of the environment a setting, a misspelt one, or none of Hearth's?
//!
//! The environment has variables that nobody meant for Hearth: Kubernetes and `docker --link` describe a service of this
//! name (`HEARTH_PORT=tcp://…`), and compose's own `.env` may be handed on whole. They do not keep Hearth from starting. A
//! misspelt setting does: ignoring it could leave backups unencrypted.

use super::{key::Key, table::KEYS};

/// What begins each of Hearth's variables.
pub(super) const PREFIX: &str = "HEARTH_";
/// The variable that names the file of settings.
pub(super) const FILE: &str = "HEARTH_CONFIG";
/// What the name of a variable ends with that names a file with a secret.
pub(super) const FROM_FILE: &str = "_FILE";

/// Known, and not the supervisor's: what the compose files put in themselves.
pub(super) const COMPOSE: [&str; 10] =
    ["IMAGE", "USER", "BIND", "PORT", "DATA", "BACKUPS", "MEMORY", "TAILSCALE", "TAILNET_IP", "VOLUMES"];

/// Known, and not the supervisor's: what app and migrator are told.
const TOLD: [&str; 5] = ["DATABASE", "FILES", "PROBATION", "RESTORED", "SOURCES"];

/// What a variable is.
pub(super) enum Name {
    /// The setting of this key.
    Setting(&'static Key),
    /// It names a file with the secret of this key.
    SecretFile(&'static Key),
    /// It names the file of settings.
    File,
    /// The compose files put it in themselves.
    Compose,
    /// The app and the migrator are told it.
    Told,
    /// Most probably this variable was meant.
    NearMiss(String),
    /// Nothing that is known.
    Unknown,
}

/// Tells what a variable is that begins with [`PREFIX`].
pub(super) fn identify(name: &str, value: &str) -> Name {
    if name == FILE {
        return Name::File;
    }
    let named = |name: &str| KEYS.iter().find(|key| key.variable() == name);
    if let Some(key) = named(name) {
        return Name::Setting(key);
    }
    let of_file = name.strip_suffix(FROM_FILE);
    if let Some(key) = of_file.and_then(named).filter(|key| key.is_secret()) {
        return Name::SecretFile(key);
    }
    let rest = name.strip_prefix(PREFIX).unwrap_or_default();
    if COMPOSE.contains(&rest) {
        return Name::Compose;
    }
    let is_test = cfg!(feature = "faults") && name == "HEARTH_FAULT";
    if is_test || TOLD.contains(&rest) {
        return Name::Told;
    }
    if describes_a_service(name, value) {
        return Name::Unknown;
    }
    // A setting that does not come from a file of its own.
    if let Some(name) = of_file.filter(|name| *name == FILE || named(name).is_some()) {
        return Name::NearMiss(name.to_owned());
    }
    near_miss(name).map_or(Name::Unknown, Name::NearMiss)
}

/// Whether this is how Kubernetes and `docker --link` describe a service to those that may want it.
pub(super) fn describes_a_service(name: &str, value: &str) -> bool {
    let address = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let port = ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| name.contains(protocol)) && name.contains("_PORT_");
    address || port || name.contains("_SERVICE_") || name.contains("_ENV_")
}

/// Returns the variable of which this is a misspelling: other separators, a letter or two too many, missing or changed, or
/// without the section.
fn near_miss(name: &str) -> Option<String> {
    let word = letters(name);
    let variables = KEYS.iter().flat_map(|key| {
        let file = key.is_secret().then(|| key.variable() + FROM_FILE);
        [Some(key.variable()), file].into_iter().flatten()
    });
    let nearest = variables
        .chain([FILE.to_owned()])
        .map(|variable| (strsim::osa_distance(&word, &letters(&variable)), variable))
        .filter(|(distance, variable)| *distance <= (letters(variable).len() / 6).max(1))
        .min();
    nearest.map(|(_, variable)| variable).or_else(|| {
        // One word, like IMAGE or DIR, may be anybody's.
        let meant: Vec<_> = KEYS
            .iter()
            .filter(|key| key.name.split_once('.').is_some_and(|(_, last)| last.len() >= 8 && letters(last) == word))
            .collect();
        match meant[..] {
            [key] => Some(key.variable()),
            _ => None,
        }
    })
}

/// The letters and digits of a name, in upper case, without what begins each.
pub(super) fn letters(name: &str) -> String {
    let name = name.strip_prefix(PREFIX).unwrap_or(name);
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_uppercase).collect()
}

/// Returns the name that a misspelt one in a file was most probably meant to be.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::osa_distance(name, known), known))
        .filter(|(distance, known)| *distance <= known.len() / 4 + 1)
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missed(name: &str) -> Option<String> {
        match identify(name, "1") {
            Name::NearMiss(variable) => Some(variable),
            _ => None,
        }
    }

    #[test]
    fn a_misspelt_setting_is_recognised() {
        for (name, meant) in [
            ("HEARTH_LOG_FORMAT", "HEARTH_LOG__FORMAT"),
            ("HEARTH_LOGFORMAT", "HEARTH_LOG__FORMAT"),
            ("HEARTH_LOG.FORMAT", "HEARTH_LOG__FORMAT"),
            ("HEARTH_log__format", "HEARTH_LOG__FORMAT"),
            ("HEARTH__LOG__FORMAT", "HEARTH_LOG__FORMAT"),
            ("HEARTH_STOP__GRASE", "HEARTH_STOP__GRACE"),
            ("HEARTH_STOP__GARCE", "HEARTH_STOP__GRACE"),
            ("HEARTH_BACKUP_DIR", "HEARTH_BACKUP__DIR"),
            ("HEARTH_BACKUPS__DIR", "HEARTH_BACKUP__DIR"),
            ("HEARTH_LISTN", "HEARTH_LISTEN"),
            ("HEARTH_DATADIR", "HEARTH_DATA_DIR"),
            ("HEARTH_BACKUP__SHEDULE", "HEARTH_BACKUP__SCHEDULE"),
            ("HEARTH_BACKUP__RECIPIENT", "HEARTH_BACKUP__RECIPIENTS"),
            ("HEARTH_AUTH__ADMIN_PASWORD_FILE", "HEARTH_AUTH__ADMIN_PASSWORD_FILE"),
            ("HEARTH_AUTH_OIDC_CLIENT_SECRET", "HEARTH_AUTH__OIDC_CLIENT_SECRET"),
            ("HEARTH_STOP__GRACE_FILE", "HEARTH_STOP__GRACE"),
            ("HEARTH_CONFIG_FILE", "HEARTH_CONFIG"),
            ("HEARTH_PUBLIC_URL", "HEARTH_HTTP__PUBLIC_URL"),
            ("HEARTH_RECIPIENTS", "HEARTH_BACKUP__RECIPIENTS"),
        ] {
            assert_eq!(missed(name).as_deref(), Some(meant), "{name}");
        }
    }

    #[test]
    fn what_others_bring_is_no_misspelling() {
        for name in [
            "HEARTH_COLOUR",
            "HEARTH_HOME",
            "HEARTH_BIN",
            "HEARTH_VERSION",
            "HEARTH_HOST",
            "HEARTH_BACKUP",
            "HEARTH_LOG",
            "HEARTH_",
            "HEARTH_PATH",
            "HEARTH_LOG_FORMAT_SERVICE_HOST",
            "HEARTH_LISTEN_SERVICE_PORT",
            "HEARTH_PORT_3000_TCP",
            "HEARTH_PORT_3000_TCP_ADDR",
            "HEARTH_ENV_HEARTH_LISTN",
        ] {
            assert!(matches!(identify(name, "1"), Name::Unknown), "{name}: {:?}", missed(name));
        }
        assert!(matches!(identify("HEARTH_LISTENS", "tcp://10.0.0.5:3000"), Name::Unknown));
        for name in COMPOSE.map(|name| format!("{PREFIX}{name}")) {
            assert!(matches!(identify(&name, "tcp://10.0.0.5:3000"), Name::Compose), "{name}");
        }
        assert!(matches!(identify("HEARTH_DATABASE", "tcp://10.0.0.5:3000"), Name::Told));
    }

    #[test]
    fn near_names_in_a_file_are_found_and_far_ones_not() {
        let names = || KEYS.iter().map(|key| key.name);
        assert_eq!(nearest("stop.grase", names()), Some("stop.grace"));
        assert_eq!(nearest("datadir", names()), Some("data_dir"));
        assert_eq!(nearest("theme.colour", names()), None);
    }
}
