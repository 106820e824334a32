//! Is it asked whether there is a newer version, and where?

use serde::Deserialize;

/// `update.*`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Update {
    /// Whether the registry is asked once a day. Default: on.
    pub check: Switch,
    /// The image whose tags are asked for, such as `ghcr.io/owner/name`; empty: none, and nothing is asked. Default: empty;
    /// the container image names itself.
    pub image: String,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// It is done.
    On,
    /// It is not.
    Off,
}
