//! How does somebody sign in by the household's own provider (Pocket ID, Authelia, Keycloak)?
//!
//! By OpenID Connect's authorization code flow with PKCE (RFC 7636): the browser goes to the provider with a state, a nonce
//! and a challenge, comes back with a code, and Hearth fetches the ID token for it and checks its signature, issuer,
//! audience, nonce and expiry. What the provider says is fetched when it is first needed.

mod client;
mod id_token;
pub(crate) mod page;
#[cfg(test)]
mod provider;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use openidconnect::{
    AuthType, AuthenticationFlow, AuthorizationCode, ClientId, ClientSecret, CsrfToken, DiscoveryError,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, UserInfoUrl,
    core::{
        CoreClient, CoreClientAuthMethod, CoreJsonWebKeySet, CoreProviderMetadata, CoreResponseType, CoreTokenResponse,
    },
    http::{Request, header},
};
use tokio::sync::Mutex;

use self::{
    client::{Broken, Client, TokenClient, printable},
    id_token::{Claims, Disbelief, Expected},
};
use super::pending_challenges::PendingChallenges;
use crate::{
    config::{OidcSettings, PublicUrl},
    secret::Secret,
};

/// Where the provider sends browsers back to.
pub(crate) const CALLBACK: &str = "/sign-in/oidc/callback";

/// How long what the provider says of itself is believed; its keys change more rarely.
const KEPT: Duration = Duration::from_secs(60 * 60);
/// How long it is not asked again after it could not be.
const PAUSE: Duration = Duration::from_secs(5);
/// A key that is not known may be a new one, if the known ones are older than this.
const FRESH: Duration = Duration::from_secs(60);

/// The longest e-mail address (RFC 5321, 4.5.3.1.3) and the longest name that are taken, in bytes.
const LONGEST_EMAIL: usize = 254;
const LONGEST_NAME: usize = 256;

/// Somebody, by the provider's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OidcIdentity {
    /// The provider; the subject is unique within it.
    pub(crate) issuer: String,
    /// Who it is, for good: an e-mail address may pass to somebody else.
    pub(crate) subject: String,
    pub(crate) email: Option<String>,
    /// Whether the provider has made sure that the address is theirs.
    pub(crate) email_verified: bool,
    pub(crate) name: Option<String>,
}

/// A sign-in that was begun.
pub(crate) struct StartedLogin {
    /// Where the browser goes now.
    pub(crate) redirect: String,
    /// What the browser keeps until it comes back, in a cookie that is not for scripts and lives for [`WITHIN`]. All its tabs
    /// share it.
    pub(crate) browser: String,
}

/// How long somebody may take at the provider.
pub(crate) const WITHIN: Duration = Duration::from_secs(10 * 60);

/// A sign-in that came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) identity: OidcIdentity,
    /// Where they wanted to go.
    pub(crate) next: String,
    /// Why the provider did not say all that was asked for. For whoever is linked that does not matter.
    pub(crate) trouble: Option<OidcError>,
    /// Whether another sign-in that the browser began still waits.
    pub(crate) others_wait: bool,
}

/// What the browser comes back with, in its query.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Callback<'a> {
    pub(crate) state: Option<&'a str>,
    pub(crate) code: Option<&'a str>,
    pub(crate) error: Option<&'a str>,
}

/// Why somebody is not signed in; a sentence for them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OidcError {
    /// It is not theirs, or took too long.
    #[error("This sign-in was started in another browser or has expired. Start again.")]
    Stale,
    /// They, or the provider, did not want to.
    #[error("The sign-in was cancelled at the provider ({0}).")]
    BrokenOff(String),
    /// The provider cannot be reached, or does not do what a provider does.
    #[error("The provider {issuer} {why}.")]
    Provider {
        /// Which one.
        issuer: String,
        /// What is the matter with it; reads on from its address.
        why: String,
    },
    /// What it said is not to be believed.
    #[error("The provider's response is not valid: {0}.")]
    Unbelievable(String),
}

/// The ends of a provider that an authorization code needs.
type Ends = CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// What was last learnt of the provider.
struct Learnt {
    at: Instant,
    ends: Result<Arc<Discovered>, OidcError>,
}

/// A provider's ends and its keys.
struct Discovered {
    ends: Ends,
    keys: CoreJsonWebKeySet,
}

/// What has to be known when the browser comes back.
struct Login {
    /// What the browser keeps.
    browser: String,
    state: CsrfToken,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    /// Where they wanted to go: kept here, so that nothing of it goes by the provider.
    next: String,
}

/// The way to sign in by a provider.
pub(crate) struct Oidc {
    settings: OidcSettings,
    redirect: String,
    client: Client,
    learnt: Mutex<Option<Learnt>>,
    pending: PendingChallenges<IpAddr, Login>,
}

impl fmt::Debug for Oidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oidc").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Oidc {
    /// Returns the way that the settings name. Asks nobody yet.
    pub(crate) fn new(settings: OidcSettings, public_url: &PublicUrl) -> Self {
        Self {
            redirect: format!("{public_url}{CALLBACK}"),
            client: Client::new(&settings.issuer),
            settings,
            learnt: Mutex::default(),
            pending: PendingChallenges::new(WITHIN),
        }
    }

    /// Returns the words on the button.
    pub(crate) fn name(&self) -> &str {
        &self.settings.name
    }

    /// Begins a sign-in, from an address, of somebody who wants to go to `next`. `browser` is what the browser kept of an
    /// earlier one, which goes on.
    ///
    /// # Errors
    /// What is the matter with the provider.
    pub(crate) async fn begin(
        &self,
        address: IpAddr,
        next: &str,
        browser: Option<&str>,
    ) -> Result<StartedLogin, OidcError> {
        let known = self.known(KEPT).await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (redirect, state, nonce) = known
            .ends
            .authorize_url(
                AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scope(Scope::new("email".to_owned()))
            .add_scope(Scope::new("profile".to_owned()))
            .set_pkce_challenge(challenge)
            .url();
        let now = Instant::now();
        let browser = browser.filter(|browser| self.pending.any(now, |login| login.browser == *browser));
        let browser = browser.map_or_else(|| Secret::token().expose().to_owned(), str::to_owned);
        let login = Login { browser: browser.clone(), state, nonce, verifier, next: next.to_owned() };
        self.pending.begin(now, address, login);
        Ok(StartedLogin { redirect: redirect.into(), browser })
    }

    /// Returns who came back, and where they wanted to go. `browser` is what their browser kept. A sign-in ends by a code or an
    /// error with its own state in its own browser, once; whatever else comes here ends none, since anybody can send it.
    ///
    /// # Errors
    /// Why it is not known who that is.
    pub(crate) async fn finish(&self, browser: &str, callback: Callback<'_>) -> Result<Finished, OidcError> {
        if callback.code.is_none() && callback.error.is_none() {
            return Err(OidcError::Stale);
        }
        let is_meant =
            |login: &Login| callback.state == Some(login.state.secret().as_str()) && login.browser == browser;
        let (_, login) = self.pending.end_where(Instant::now(), is_meant).ok_or(OidcError::Stale)?;
        let code = match (callback.error, callback.code) {
            (Some(error), _) => return Err(OidcError::BrokenOff(printable(error))),
            (None, code) => AuthorizationCode::new(code.unwrap_or_default().to_owned()),
        };
        let mut known = self.known(KEPT).await?;
        let asks = TokenClient::new(&self.client);
        let request = known.ends.exchange_code(code).map_err(|_| self.trouble("does not name a token endpoint"))?;
        let tokens = request.set_pkce_verifier(login.verifier).request_async(&asks).await;
        let tokens = tokens.map_err(|error| self.no_tokens(error))?;
        let token = asks.into_id_token();
        let token = token.ok_or_else(|| OidcError::Unbelievable("there is no ID token".to_owned()))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let (issuer, client) = (&*self.settings.issuer, &*self.settings.client_id);
        let expected = Expected { issuer, client, nonce: &login.nonce, now };
        let mut claims = id_token::check(&token, &known.keys, &expected);
        // A new key, under a new name, the same one or none.
        if let Err(Disbelief::Signature(_)) = claims {
            known = self.known(FRESH).await?;
            claims = id_token::check(&token, &known.keys, &expected);
        }
        let claims = claims.map_err(|why| self.disbelieve(&why))?;
        let (identity, trouble) = self.identity(&known.ends, &tokens, &claims).await?;
        let others_wait = self.pending.any(Instant::now(), |login| login.browser == browser);
        Ok(Finished { identity, next: login.next, trouble, others_wait })
    }

    /// Returns who the tokens are about. What an ID token leaves out, since it may (OpenID Connect Core, 5.4), is asked for; why
    /// that failed is returned beside it.
    async fn identity(
        &self,
        ends: &Ends,
        tokens: &CoreTokenResponse,
        claims: &Claims,
    ) -> Result<(OidcIdentity, Option<OidcError>), OidcError> {
        let subject = claims.text("sub").unwrap_or_default();
        let verified = |claims: &Claims| claims.email_verified().map_err(|why| self.disbelieve(&why));
        let mut is_verified = verified(claims)?;
        let mut identity = OidcIdentity {
            issuer: self.settings.issuer.clone(),
            subject: subject.to_owned(),
            email: claims.text("email").map(str::to_owned),
            email_verified: false,
            name: claims.name().map(str::to_owned),
        };
        let mut trouble = None;
        let lacks = identity.email.is_none() || is_verified.is_none() || identity.name.is_none();
        if let Some(url) = ends.user_info_url().filter(|_| lacks) {
            match self.user_info(url, tokens).await {
                Ok(info) if info.text("sub") != Some(subject) => {
                    return Err(self.trouble("names one user in its ID token and another in its user info"));
                }
                Ok(info) => {
                    // The address and whether it is verified are one statement.
                    if identity.email.is_none()
                        || (is_verified.is_none() && info.text("email") == identity.email.as_deref())
                    {
                        identity.email = info.text("email").map(str::to_owned);
                        is_verified = verified(&info)?;
                    }
                    identity.name = identity.name.or_else(|| info.name().map(str::to_owned));
                }
                Err(error) => trouble = Some(error),
            }
        }
        identity.email = identity.email.filter(|email| fits(email, LONGEST_EMAIL) && email.contains('@'));
        identity.email_verified = identity.email.is_some() && is_verified == Some(true);
        identity.name = identity.name.filter(|name| fits(name, LONGEST_NAME));
        Ok((identity, trouble))
    }

    async fn user_info(&self, url: &UserInfoUrl, tokens: &CoreTokenResponse) -> Result<Claims, OidcError> {
        let unsaid = |why: &str| self.trouble(&format!("does not return the user info ({})", printable(why)));
        let request = Request::builder()
            .uri(url.as_str())
            .header(header::ACCEPT, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {}", tokens.access_token().secret()))
            .body(Vec::new())
            .map_err(|_| self.trouble("returned an access token that is not valid"))?;
        let answer = self.client.ask(request).await.map_err(|broken| unsaid(&broken.to_string()))?;
        if !answer.status().is_success() {
            return Err(unsaid(&answer.status().to_string()));
        }
        Claims::read(answer.body()).ok_or_else(|| unsaid("the response is not a JSON object"))
    }

    /// Returns what the provider says of itself, asked at most so long ago. One asks, and the others wait for that.
    async fn known(&self, at_most: Duration) -> Result<Arc<Discovered>, OidcError> {
        let mut learnt = self.learnt.lock().await;
        if let Some(Learnt { at, ends }) = &*learnt {
            let good_for = if ends.is_ok() { at_most } else { PAUSE };
            if at.elapsed() < good_for {
                return ends.clone();
            }
        }
        let ends = self.discover().await.map(Arc::new);
        if let Err(error) = &ends {
            tracing::warn!("{error} Single sign-on (auth.oidc_issuer) does not work until this is fixed.");
        }
        *learnt = Some(Learnt { at: Instant::now(), ends: ends.clone() });
        ends
    }

    async fn discover(&self) -> Result<Discovered, OidcError> {
        let unusable = |what: &str| self.trouble(&format!("{what} that cannot be used"));
        let issuer = IssuerUrl::new(self.settings.issuer.clone()).map_err(|_| unusable("has an address"))?;
        let said = CoreProviderMetadata::discover_async(issuer, &self.client).await;
        let said = said.map_err(|error| self.undiscovered(error))?;
        if !self.client.may_ask(said.authorization_endpoint().url()) {
            return Err(unusable("names an authorization endpoint"));
        }
        let secret = self.settings.client_secret.as_ref().map(|secret| ClientSecret::new(secret.expose().to_owned()));
        // In a header unless the provider wants it in the body alone (OpenID Connect Discovery, 3: the default is Basic).
        let only_by_post = said.token_endpoint_auth_methods_supported().is_some_and(|methods| {
            methods.contains(&CoreClientAuthMethod::ClientSecretPost)
                && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
        });
        let keys = said.jwks().clone();
        let redirect = RedirectUrl::new(self.redirect.clone())
            .map_err(|_| self.trouble("cannot send browsers back to http.public_url"))?;
        let ends = CoreClient::from_provider_metadata(said, ClientId::new(self.settings.client_id.clone()), secret)
            .set_redirect_uri(redirect)
            .set_auth_type(if only_by_post { AuthType::RequestBody } else { AuthType::BasicAuth });
        if ends.token_uri().is_none() {
            return Err(self.trouble("does not name a token endpoint"));
        }
        Ok(Discovered { ends, keys })
    }

    fn undiscovered(&self, error: DiscoveryError<Broken>) -> OidcError {
        let what = "does not describe how to sign in with it";
        self.trouble(&match error {
            DiscoveryError::Request(broken) => broken.to_string(),
            DiscoveryError::Response(status, _, _) if !status.is_success() => format!(
                "{what}: {status} at its address followed by /.well-known/openid-configuration, or at the address of its \
                 keys"
            ),
            DiscoveryError::Validation(why) => format!(
                "names another issuer URL ({}); auth.oidc_issuer must match it exactly, including any slash at its end",
                printable(&why)
            ),
            DiscoveryError::Parse(why) => format!("{what} ({})", printable(&why.to_string())),
            other => format!("{what} ({})", printable(&other.to_string())),
        })
    }

    fn no_tokens<T: openidconnect::ErrorResponse>(&self, error: RequestTokenError<Broken, T>) -> OidcError {
        self.trouble(&match error {
            RequestTokenError::Request(broken) => broken.to_string(),
            RequestTokenError::ServerResponse(refusal) => format!(
                "rejects the code ({}); if this happens every time, auth.oidc_client_id, auth.oidc_client_secret or the \
                 redirect URL {} does not match the settings of the provider",
                printable(&refusal.to_string()),
                self.redirect
            ),
            RequestTokenError::Parse(why, _) => {
                format!("returned tokens that cannot be read ({})", printable(&why.to_string()))
            }
            RequestTokenError::Other(why) => format!("returned no tokens ({})", printable(&why)),
        })
    }

    fn disbelieve(&self, why: &Disbelief) -> OidcError {
        match why {
            Disbelief::Unreadable(why) => self.trouble(&format!("returned tokens that cannot be read ({why})")),
            Disbelief::Signature(why) | Disbelief::Claims(why) => OidcError::Unbelievable((*why).to_owned()),
        }
    }

    fn trouble(&self, why: &str) -> OidcError {
        OidcError::Provider { issuer: self.settings.issuer.clone(), why: why.to_owned() }
    }
}

fn fits(text: &str, longest: usize) -> bool {
    !text.trim().is_empty() && text.len() <= longest && !text.chars().any(char::is_control)
}
