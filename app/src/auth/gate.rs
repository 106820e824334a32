//! Who asks, and may they?
//!
//! Stands before every route of the household's: finds out who asks, looks up in the rules (`access`) who may, and
//! leaves `Caller` and `ClientInfo` in the request. A bearer token alone decides when there is one. A cookie and Tailscale's
//! word come with whatever a browser sends, so a change has to show beside them that a page of this site asks for it.

use std::sync::Arc;

use poem::{Request, http::Method};
use time::Duration;

use super::{
    Accounts, News,
    access::{Access, Rule, Terms},
    audit_log::{Actor, Kind},
    caller::{Caller, ClientInfo, Credential, unauthenticated},
    email,
    external_identity::{self, ExternalIdentity},
    last_used_writer::Used,
    login_methods,
    sessions::{self, Due},
    tailscale, tokens,
};
use crate::{
    datetime::Timestamp,
    http::{Entrance, Guest, Hosts, Problem, bearer_tokens, check_origin, is_https, shows_its_origin},
    secret::API_PREFIX,
};

/// What the household's requests pass, at one entrance.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) access: Arc<Access>,
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) entrance: Entrance,
}

/// What the answer has to carry for a request that passed.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// The `Set-Cookie` of a session that was renewed.
    pub(crate) cookie: Option<String>,
}

impl Gate {
    /// Lets a request through or says why not.
    pub(crate) async fn admit(&self, request: &mut Request) -> Result<Passed, Problem> {
        if self.entrance != Entrance::TailscaleServe {
            tailscale::strip(request);
        }
        request.set_data(self.entrance);
        let Some(Terms { rule, body }) = self.access.terms(request.method(), request.uri().path()) else {
            return Ok(Passed::default());
        };
        let cookies = &self.accounts.cookies;
        let client = ClientInfo::of(request, self.address(request), is_https(request, &self.hosts, cookies), cookies);
        request.set_data(client.clone());
        let reads = reads(request);
        if rule == Rule::Public && !reads {
            // A token exempts from this only where it is looked at.
            check_origin(request, &self.hosts)?;
            return Ok(Passed::default());
        }
        let mut passed = Passed::default();
        let caller = match self.identify(request, &client, &mut passed).await {
            // What is for anybody is for who shows something that is not good, too.
            Err(problem) if rule == Rule::Public && problem.status().is_client_error() => {
                tracing::debug!("Taken for nobody: {problem}");
                None
            }
            outcome => outcome?,
        };
        let verdict = check(rule, caller.as_ref()).and_then(|()| check_asked(request, caller.as_ref(), reads));
        if let Some(caller) = caller {
            request.set_data(body);
            request.data::<Arc<Guest>>().into_iter().for_each(|guest| guest.sign_in());
            // Also for the page that refuses them.
            request.extensions_mut().insert(caller);
        }
        verdict?;
        Ok(passed)
    }

    /// The address of who asks: `tailscale serve` says it and is believed on its own socket, and so is a trusted proxy.
    fn address(&self, request: &Request) -> Option<std::net::IpAddr> {
        let peer = request.remote_addr().as_socket_addr().map(|address| address.ip().to_canonical());
        match self.entrance {
            Entrance::Public => peer.map(|peer| self.hosts.proxies().client(peer, request.headers())),
            Entrance::TailscaleServe => {
                let said = request.headers().get_all("x-forwarded-for").iter().next_back();
                let said = said.and_then(|list| list.as_bytes().rsplit(|byte| *byte == b',').next());
                said.and_then(|text| std::str::from_utf8(text).ok()?.trim().parse().ok()).or(peer)
            }
        }
    }

    async fn identify(
        &self,
        request: &Request,
        client: &ClientInfo,
        passed: &mut Passed,
    ) -> Result<Option<Caller>, Problem> {
        if let Some(token) = bearer(request)? {
            return self.by_token(&token, client).await.map(Some);
        }
        if let Some(caller) = self.by_session(client, passed).await? {
            return Ok(Some(caller));
        }
        let is_over = client.session.is_some() && !client.is_session_shared;
        // What somebody sent as themselves is not done as whom Tailscale answers for on their device.
        if is_over && !reads(request) {
            return Err(unauthenticated());
        }
        let caller = self.by_tailscale(request, client).await?;
        if is_over && caller.is_some() {
            passed.cookie = Some(sessions::cookie(client, None, sessions::LIFE));
        }
        Ok(caller)
    }

    async fn by_token(&self, token: &str, client: &ClientInfo) -> Result<Caller, Problem> {
        let accounts = &self.accounts;
        let look = tokens::find(accounts.reads(), token);
        let found = accounts.recent_tokens.find(&accounts.database, token, look).await;
        let found = found.map_err(|error| accounts.database.failed(error))?;
        let (token, user) =
            found.ok_or_else(|| Problem::unauthorized("The token is unknown, has expired or was revoked."))?;
        if tokens::is_due(&token, Timestamp::now()) {
            let (database, id) = (accounts.database.clone(), token.id);
            accounts.in_passing.write(Used::Token(id), async move { tokens::used(&database, id).await });
        }
        Ok(Caller {
            user,
            by: Credential::Token { id: token.id, name: token.name, scope: token.scope },
            client: client.clone(),
        })
    }

    async fn by_session(&self, client: &ClientInfo, passed: &mut Passed) -> Result<Option<Caller>, Problem> {
        let accounts = &self.accounts;
        let Some(secret) = &client.session else {
            return Ok(None);
        };
        let look = sessions::find(accounts.reads(), secret);
        let found = accounts.recent_sessions.find(&accounts.database, secret, look).await;
        let found = found.map_err(|error| accounts.database.failed(error))?;
        let Some((session, user)) = found else {
            return Ok(None);
        };
        let now = Timestamp::now();
        if client.is_session_shared {
            // From now on it goes by this instance's own name.
            let left = Duration::seconds(session.expires_at.unix().saturating_sub(now.unix()));
            passed.cookie = Some(sessions::cookie(client, Some(secret), left));
        }
        let due = sessions::due(&session, now);
        if due != Due::Nothing {
            let (database, id) = (accounts.database.clone(), session.id);
            if due == Due::Renewal {
                passed.cookie = Some(sessions::cookie(client, Some(secret), sessions::LIFE));
            }
            accounts.in_passing.write(Used::Session(id), async move { sessions::seen(&database, id, due).await });
        }
        let by = Credential::Session { id: session.id, method: session.method, began: session.created_at };
        Ok(Some(Caller { user, by, client: client.clone() }))
    }

    async fn by_tailscale(&self, request: &Request, client: &ClientInfo) -> Result<Option<Caller>, Problem> {
        let Some(identity) = self.accounts.tailscale.identify(request).await else {
            return Ok(None);
        };
        let login = email::lower_case(&email::spelling(&identity.login));
        let known = ExternalIdentity {
            provider: login_methods::TAILSCALE,
            provider_id: login.clone(),
            // The tailnet's own identity provider answers for it.
            verified_email: Some(login),
            name: Some(identity.name.clone()),
            join: self.accounts.tailscale_join(),
        };
        let user = external_identity::user_of(&self.accounts, client, known, None).await?.ok();
        if user.is_none() && self.accounts.is_news(News::TailscaleStranger) {
            let actor = Actor::somebody(&identity.login, login_methods::TAILSCALE, client);
            self.accounts.note(Kind::SignInFailed, actor).await;
        }
        Ok(user.map(|user| Caller { user, by: Credential::Tailscale, client: client.clone() }))
    }
}

/// Whether a request changes nothing.
fn reads(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
}

/// Says why a caller may not, when they may not.
fn check(rule: Rule, caller: Option<&Caller>) -> Result<(), Problem> {
    let Rule::Role { least, scope: needed } = rule else {
        return Ok(());
    };
    let caller = caller.ok_or_else(unauthenticated)?;
    if caller.role() < least {
        return Err(Problem::forbidden(format!(
            "This requires the role {} or higher. {} is {}.",
            least.name(),
            caller.user.email,
            caller.role().name()
        )));
    }
    match &caller.by {
        Credential::Token { scope, .. } => match needed {
            None => Err(Problem::forbidden("A token cannot do this. Sign in as a user.")),
            Some(needed) if *scope < needed => Err(Problem::forbidden(format!(
                "This requires a token with the scope {}. This token has the scope {}.",
                needed.name(),
                scope.name()
            ))),
            Some(_) => Ok(()),
        },
        Credential::Session { .. } | Credential::Tailscale => Ok(()),
    }
}

/// Refuses a change that a browser may have sent unasked: with all but a token, it has to show that a page of this site
/// asks.
fn check_asked(request: &Request, caller: Option<&Caller>, reads: bool) -> Result<(), Problem> {
    let unasked = caller.is_some_and(|caller| !matches!(caller.by, Credential::Token { .. }));
    if unasked && !reads && !shows_its_origin(request) {
        return Err(Problem::forbidden(
            "A change with a session needs the header Origin or Sec-Fetch-Site. Browsers send them; programs use a \
             token.",
        ));
    }
    Ok(())
}

/// Returns the bearer token of a request. Other schemes are some proxy's business; two tokens are nobody's.
fn bearer(request: &Request) -> Result<Option<String>, Problem> {
    let mut found = bearer_tokens(request);
    let token = found.next();
    if found.next().is_some() {
        return Err(Problem::unauthorized("The request has more than one Authorization header."));
    }
    match token {
        Some(token) if !token.starts_with(API_PREFIX) => {
            Err(Problem::unauthorized("The token is not a Hearth token: those begin with hearth_."))
        }
        token => Ok(token),
    }
}
