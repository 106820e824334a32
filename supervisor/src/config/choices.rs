//! Which values does a setting with a fixed choice have?

use std::fmt;

use serde::{Deserialize, Serialize};

/// Makes the settings with a fixed choice: their values, and what each is called.
macro_rules! choices {
    ($( $(#[doc = $about:literal])+ $Choice:ident { $( $(#[doc = $inner:literal])+ $Value:ident = $word:literal, )+ } )+) => { $(
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $Choice {
            $( $(#[doc = $inner])+ #[serde(rename = $word)] $Value, )+
        }

        impl $Choice {
            pub(super) const WORDS: &[&str] = &[$($word),+];
        }

        impl fmt::Display for $Choice {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $( Self::$Value => $word, )+ })
            }
        }
    )+ };
}

choices! {
    /// How a line of the log looks.
    LogFormat {
        /// For people: `[Migrate] Applying: m0002_accounts`.
        Text = "text",
        /// A JSON object a line.
        Json = "json",
    }

    /// How important an event is.
    LogLevel {
        /// Failures.
        Error = "error",
        /// And what is not as it should be.
        Warn = "warn",
        /// And what happens.
        Info = "info",
        /// And how.
        Debug = "debug",
        /// And every detail.
        Trace = "trace",
    }

    /// Whether lines for people begin with the time.
    LogTimestamps {
        /// Where nobody else adds it.
        Auto = "auto",
        /// Each line does.
        Always = "always",
        /// None does.
        Never = "never",
    }

    /// How much the sandbox is insisted on.
    SandboxMode {
        /// What the kernel offers; what it does not is said.
        BestEffort = "best-effort",
        /// Nothing starts without Landlock and seccomp.
        Enforce = "enforce",
        /// None.
        Off = "off",
    }

    /// How Tailscale tells who somebody is.
    Tailscale {
        /// It does not.
        Off = "off",
        /// By the headers of `tailscale serve`, on a socket that nothing but it reaches.
        Serve = "serve",
        /// Tailscaled is asked whose address it is.
        Localapi = "localapi",
    }

    /// On or off.
    Switch {
        /// It is done.
        On = "on",
        /// It is not.
        Off = "off",
    }
}
