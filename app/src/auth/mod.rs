//! Who is at the door, and what may they do?
//!
//! `gate` stands before every route: it finds out who is calling (`caller`), by a session, a token or Tailscale, and whether
//! the rule of the operation or page (`access`) lets them. What the gate and several features need of users, sessions, tokens and
//! links is here; how somebody signs in, and what they change, is in the features.

pub(crate) mod access;
pub(crate) mod api;
pub(crate) mod audit_log;
pub(crate) mod auth_cache;
pub(crate) mod authority;
pub(crate) mod caller;
pub(crate) mod email;
pub(crate) mod email_keys;
#[allow(unreachable_pub, missing_docs, reason = "SeaORM's macros make public types of their own")]
pub(crate) mod entity;
pub(crate) mod external_identity;
#[cfg(test)]
pub(crate) mod for_tests;
pub(crate) mod gate;
pub(crate) mod idempotency;
pub(crate) mod last_used_writer;
pub(crate) mod login_methods;
pub(crate) mod profile;
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

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sea_orm::DatabaseConnection;

use self::{
    audit_log::{Actor, Kind},
    auth_cache::Recent,
    caller::ClientInfo,
    last_used_writer::InPassing,
    tailscale::Tailscale,
    throttle::{Attempt, Throttle, Ticket},
};
use crate::{
    config::{Auth, Http},
    db::{Database, DbError},
    http::{CookieNames, Problem},
};

/// How often what anybody can bring about is written down: a flood must fill neither the audit log nor the other one.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// Everything that accounts need, in one.
pub(crate) struct Accounts {
    pub(crate) database: Arc<Database>,
    pub(crate) throttle: Throttle,
    pub(crate) tailscale: Tailscale,
    pub(crate) http: Http,
    pub(crate) cookies: CookieNames,
    pub(crate) auth: Auth,
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
    /// Returns the accounts of a database.
    pub(crate) fn new(database: Arc<Database>, http: &Http, auth: &Auth, cookies: CookieNames) -> Self {
        Self {
            database,
            throttle: Throttle::default(),
            tailscale: Tailscale::new(&auth.tailscale),
            http: http.clone(),
            cookies,
            auth: auth.clone(),
            in_passing: InPassing::default(),
            recent_sessions: Recent::default(),
            recent_tokens: Recent::default(),
            noted: Mutex::default(),
        }
    }

    /// Returns the pool of readers.
    pub(crate) fn reads(&self) -> &DatabaseConnection {
        self.database.reads()
    }

    /// Lets a try to come in through, or says when the next may be. `account` is what the tries are counted by, such as the
    /// e-mail as it was typed; `who` is written down, and so nothing that was only typed.
    pub(crate) async fn admit(
        &self,
        client: &ClientInfo,
        account: &str,
        who: &str,
        device: Option<i64>,
    ) -> Result<Ticket, Problem> {
        let address = client.address_or_none();
        let wait = match self.throttle.admit(Instant::now(), &Attempt { address, account, device }) {
            Ok(ticket) => return Ok(ticket),
            Err(wait) => wait,
        };
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        if self.is_news(News::Throttled) {
            self.note(Kind::SignInThrottled, Actor::somebody(who, "", client)).await;
        }
        let unit = if seconds == 1 { "second" } else { "seconds" };
        Err(Problem::too_many(format!("There were too many attempts. Try again in {seconds} {unit}."), seconds))
    }

    /// As [`admit`](Self::admit), for what is nobody's account and too long to be guessed: it counts for the address
    /// alone, so that no other address can use it up.
    pub(crate) async fn admit_from(&self, client: &ClientInfo, what: &str) -> Result<Ticket, Problem> {
        let account = format!("{what} from {}", client.address());
        self.admit(client, &account, &account, None).await
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

    /// Returns the address that a link begins with: where the household is reached from.
    pub(crate) fn address_of(&self, path: &str) -> String {
        match &self.http.public_url {
            Some(url) => format!("{url}{path}"),
            None => path.to_owned(),
        }
    }
}
