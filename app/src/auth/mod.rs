//! Who is at the door, and what may they do?
//!
//! `gate` stands before every route: it finds out who asks (`caller`) and whether they may (`access`, the one table).
//! Ways in: `setup` for the first owner, `sign_in` by password and second factor, `passkeys`, `invitations`, resets
//! (`passwords`), `tailscale`, `oidc`; what each leaves is a session (`sessions`). `people` are the household, `tokens`
//! their programs, `audit` what happened. API and pages call the same functions.

pub(crate) mod access;
pub(crate) mod acting;
pub(crate) mod api;
pub(crate) mod audit_log;
pub(crate) mod caller;
#[allow(unreachable_pub, missing_docs, reason = "SeaORM's macros make public types of their own")]
pub(crate) mod entity;
#[cfg(test)]
pub(crate) mod for_tests;
pub(crate) mod gate;
pub(crate) mod in_passing;
pub(crate) mod joining;
pub(crate) mod profile;
pub(crate) mod recent;
pub(crate) mod restored;
#[allow(unreachable_pub, missing_docs, reason = "SeaORM's macros make public types of their own")]
pub(crate) mod role;
pub(crate) mod self_test;
pub(crate) mod sessions;
pub(crate) mod tailscale;
pub(crate) mod throttle;
pub(crate) mod tokens;
pub(crate) mod users;
pub(crate) mod verification;
pub(crate) mod ways;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sea_orm::DatabaseConnection;

use self::{
    audit_log::{Actor, Kind},
    caller::Place,
    in_passing::InPassing,
    recent::Recent,
    tailscale::Tailscale,
    throttle::{Attempt, Throttle, Ticket},
};
pub(crate) use crate::{audit::heard_backups::HeardBackups, secret::Secret};
use crate::{
    config::{Auth, Http},
    db::{Database, DbError},
    failure::Failure,
    http::{CookieNames, Problem},
    sign_in::{
        oidc::Oidc,
        passkey::webauthn::Passkeys,
        password::hash::{Busy, Hasher},
    },
};

/// How often what anybody can bring about is written down: a flood must fill neither the audit log nor the other one.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// Everything that accounts need, in one.
pub(crate) struct Accounts {
    pub(crate) database: Arc<Database>,
    pub(crate) hasher: Hasher,
    pub(crate) throttle: Throttle,
    pub(crate) tailscale: Tailscale,
    /// None where browsers offer no passkeys: `http.public_url` is not set.
    pub(crate) passkeys: Option<Passkeys>,
    /// None where no provider is set up.
    pub(crate) oidc: Option<Oidc>,
    pub(crate) http: Http,
    pub(crate) cookies: CookieNames,
    pub(crate) auth: Auth,
    /// Where the set-up code lies while there is one.
    pub(crate) code_file: PathBuf,
    pub(crate) in_passing: InPassing,
    pub(crate) recent_sessions: Recent<(entity::session::Model, entity::user::Model)>,
    pub(crate) recent_tokens: Recent<(entity::api_token::Model, entity::user::Model)>,
    /// When each was written down last.
    pub(crate) noted: Mutex<HashMap<News, Instant>>,
}

/// What anybody can bring about as often as they like, and is written down once in a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum News {
    /// Attempts were turned away.
    Throttled,
    /// Tailscale knows somebody whom the household does not.
    TailscaleStranger,
    /// The provider of single sign-on does not do its part.
    Provider,
}

impl Accounts {
    /// Returns the accounts of a database, which lies at `path`.
    pub(crate) fn new(
        database: Arc<Database>,
        path: &Path,
        http: &Http,
        auth: &Auth,
        cookies: CookieNames,
    ) -> Result<Self, Failure> {
        let url = http.public_url.as_ref().map(ToString::to_string);
        Ok(Self {
            passkeys: Passkeys::new(url.as_deref()).map_err(Failure::new)?,
            database,
            hasher: Hasher::new(),
            throttle: Throttle::default(),
            tailscale: Tailscale::new(&auth.tailscale),
            oidc: auth.oidc.clone().zip(http.public_url.as_ref()).map(|(oidc, url)| Oidc::new(oidc, url)),
            http: http.clone(),
            cookies,
            auth: auth.clone(),
            code_file: crate::sign_in::setup::file(path),
            in_passing: InPassing::default(),
            recent_sessions: Recent::default(),
            recent_tokens: Recent::default(),
            noted: Mutex::default(),
        })
    }

    /// Returns the pool of readers.
    pub(crate) fn reads(&self) -> &DatabaseConnection {
        self.database.reads()
    }

    /// Lets a try to come in through, or says when the next may be; `account` is the e-mail as it was typed.
    pub(crate) async fn admit(&self, place: &Place, account: &str, device: Option<i64>) -> Result<Ticket, Problem> {
        let address = place.address_or_none();
        let wait = match self.throttle.admit(Instant::now(), &Attempt { address, account, device }) {
            Ok(ticket) => return Ok(ticket),
            Err(wait) => wait,
        };
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        if self.is_news(News::Throttled) {
            self.note(Kind::SignInThrottled, Actor::somebody(account, "", place)).await;
        }
        Err(Problem::too_many(format!("There were too many attempts; try again in {seconds} seconds."), seconds))
    }

    /// As [`admit`](Self::admit), for what is nobody's account and too long to be guessed: it counts for the address
    /// alone, so that no other address can use it up.
    pub(crate) async fn admit_from(&self, place: &Place, what: &str) -> Result<Ticket, Problem> {
        self.admit(place, &format!("{what} from {}", place.address()), None).await
    }

    /// Writes down that somebody was turned away, which they are all the same when the disk is full.
    pub(crate) async fn note(&self, kind: Kind, actor: Actor) {
        let _: Result<(), DbError> =
            self.database.write(async move |tx| Ok(audit_log::write(tx, kind, &actor, "").await?)).await;
    }

    /// Whether this was not written down a moment ago.
    pub(crate) fn is_news(&self, what: News) -> bool {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = noted.get(&what).is_none_or(|last| last.elapsed() > NOTED_EVERY);
        if is_news {
            noted.insert(what, Instant::now());
        }
        is_news
    }

    /// Refuses a password that is too short, too long or too common.
    pub(crate) fn check_password(&self, field: &str, password: &str, email: &str, name: &str) -> Result<(), Problem> {
        crate::sign_in::password::hash::check(field, password, email, name)
            .map_err(|error| Problem::fields(vec![error]))
    }

    /// Returns the address that a link begins with: where the household is reached from.
    pub(crate) fn address_of(&self, path: &str) -> String {
        match &self.http.public_url {
            Some(url) => format!("{url}{path}"),
            None => path.to_owned(),
        }
    }
}

impl From<Busy> for Problem {
    fn from(busy: Busy) -> Self {
        Self::unavailable(busy.to_string(), 2)
    }
}
