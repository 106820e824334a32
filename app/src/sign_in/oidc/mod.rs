//! How does somebody sign in by the household's own provider (Pocket ID, Authelia, Keycloak)?
//!
//! By OpenID Connect's authorization code flow with PKCE (RFC 7636): the browser goes to the provider with a state, a nonce
//! and a challenge, comes back with a code, and Hearth fetches the ID token for it and checks its signature, issuer,
//! audience, nonce and expiry. What the provider says is fetched when it is first needed.

mod client;
pub(crate) mod page;
#[cfg(test)]
mod provider;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use openidconnect::{
    AuthType, AuthenticationFlow, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken,
    DiscoveryError, EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, Nonce, OAuth2TokenResponse,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, SignatureVerificationError,
    TokenResponse,
    core::{
        CoreClient, CoreClientAuthMethod, CoreIdTokenClaims, CoreJwsSigningAlgorithm, CoreProviderMetadata,
        CoreResponseType, CoreTokenResponse, CoreUserInfoClaims,
    },
};
use tokio::sync::Mutex;

use self::client::{Broken, Client, printable};
use super::ceremonies::Ceremonies;
use crate::config::{OidcSettings, PublicUrl};

/// Where the provider sends browsers back to.
pub(crate) const CALLBACK: &str = "/sign-in/oidc/callback";

/// How long what the provider says of itself is believed; its keys change more rarely.
const KEPT: Duration = Duration::from_secs(60 * 60);
/// How long it is not asked again after it could not be.
const PAUSE: Duration = Duration::from_secs(5);
/// A key that is not known may be a new one, if the known ones are older than this.
const FRESH: Duration = Duration::from_secs(60);

/// Signatures that are believed: those of a key that only the provider has. Never `none`, and never one by the client's
/// secret (HS256), which this end knows too.
const SIGNATURES: [CoreJwsSigningAlgorithm; 3] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EdDsa,
];

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
pub(crate) struct Begun {
    /// Where the browser goes now.
    pub(crate) redirect: String,
    /// What the browser keeps until it comes back, in a cookie that is not for scripts and lives for [`WITHIN`].
    pub(crate) pending: String,
}

/// How long somebody may take at the provider.
pub(crate) const WITHIN: Duration = Duration::from_secs(10 * 60);

/// A sign-in that came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) identity: OidcIdentity,
    /// Where they wanted to go.
    pub(crate) next: String,
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
    #[error("This sign-in was begun in another browser, or over ten minutes ago. Please begin it again.")]
    Stale,
    /// They, or the provider, did not want to.
    #[error("The sign-in was broken off at the provider ({0}).")]
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
    #[error("What the provider says cannot be believed: {0}.")]
    Unbelievable(String),
}

/// The ends of a provider that an authorization code needs.
type Ends = CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// What was last learnt of the provider.
struct Learnt {
    at: Instant,
    ends: Result<Arc<Ends>, OidcError>,
}

/// What has to be known when the browser comes back.
struct Login {
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
    pending: Ceremonies<IpAddr, Login>,
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
            pending: Ceremonies::new(WITHIN),
        }
    }

    /// Returns the words on the button.
    pub(crate) fn name(&self) -> &str {
        &self.settings.name
    }

    /// Begins a sign-in, from an address, of somebody who wants to go to `next`.
    ///
    /// # Errors
    /// What is the matter with the provider.
    pub(crate) async fn begin(&self, address: IpAddr, next: &str) -> Result<Begun, OidcError> {
        let ends = self.ends(KEPT).await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (redirect, state, nonce) = ends
            .authorize_url(
                AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scope(Scope::new("email".to_owned()))
            .add_scope(Scope::new("profile".to_owned()))
            .set_pkce_challenge(challenge)
            .url();
        let pending =
            self.pending.begin(Instant::now(), address, Login { state, nonce, verifier, next: next.to_owned() });
        Ok(Begun { redirect: redirect.into(), pending })
    }

    /// Returns who came back, and where they wanted to go. `pending` is what their browser kept; it is good for one try.
    ///
    /// # Errors
    /// Why it is not known who that is.
    pub(crate) async fn finish(&self, pending: &str, callback: Callback<'_>) -> Result<Finished, OidcError> {
        let (_, login) = self.pending.end(Instant::now(), pending).ok_or(OidcError::Stale)?;
        if callback.state != Some(login.state.secret().as_str()) {
            return Err(OidcError::Stale);
        }
        let code = match (callback.error, callback.code) {
            (Some(error), _) => return Err(OidcError::BrokenOff(printable(error))),
            (None, Some(code)) => AuthorizationCode::new(code.to_owned()),
            // Anybody can send a browser here so.
            (None, None) => return Err(OidcError::Stale),
        };
        let mut ends = self.ends(KEPT).await?;
        let request = ends.exchange_code(code).map_err(|_| self.trouble("names no token endpoint"))?;
        let tokens = request.set_pkce_verifier(login.verifier).request_async(&self.client).await;
        let tokens = tokens.map_err(|error| self.no_tokens(error))?;
        let mut claims = claims(&ends, &tokens, &login.nonce);
        if let Err(ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey)) = claims {
            ends = self.ends(FRESH).await?;
            claims = self::claims(&ends, &tokens, &login.nonce);
        }
        let claims = claims.map_err(|error| disbelieve(&error))?;
        Ok(Finished { identity: self.identity(&ends, &tokens, &claims).await?, next: login.next })
    }

    /// Returns who the tokens are about. What an ID token leaves out, since it may (OpenID Connect Core, 5.4), is asked for.
    async fn identity(
        &self,
        ends: &Ends,
        tokens: &CoreTokenResponse,
        claims: &CoreIdTokenClaims,
    ) -> Result<OidcIdentity, OidcError> {
        let subject = claims.subject();
        if subject.is_empty() || subject.len() > 255 {
            return Err(OidcError::Unbelievable("it names nobody".to_owned()));
        }
        let first = |name: Option<&openidconnect::LocalizedClaim<openidconnect::EndUserName>>| {
            name.and_then(|name| name.get(None).or_else(|| name.iter().next().map(|(_, name)| name)))
                .map(|it| it.to_string())
        };
        let mut identity = OidcIdentity {
            issuer: self.settings.issuer.clone(),
            subject: subject.to_string(),
            email: claims.email().map(|email| email.to_string()),
            email_verified: claims.email_verified() == Some(true),
            name: first(claims.name()),
        };
        if (identity.email.is_none() || identity.name.is_none()) && ends.user_info_url().is_some() {
            let info = self.user_info(ends, tokens, claims).await?;
            // The address and whether it is verified are one statement.
            if identity.email.is_none() {
                identity.email = info.email().map(|email| email.to_string());
                identity.email_verified = info.email_verified() == Some(true);
            }
            identity.name = identity.name.or_else(|| first(info.name()));
        }
        identity.email = identity.email.filter(|email| fits(email, LONGEST_EMAIL) && email.contains('@'));
        identity.email_verified &= identity.email.is_some();
        identity.name = identity.name.filter(|name| fits(name, LONGEST_NAME));
        Ok(identity)
    }

    async fn user_info(
        &self,
        ends: &Ends,
        tokens: &CoreTokenResponse,
        claims: &CoreIdTokenClaims,
    ) -> Result<CoreUserInfoClaims, OidcError> {
        let token = tokens.access_token().clone();
        // The crate panics on a token that is no header's value.
        if token.secret().is_empty() || !token.secret().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(self.trouble("gives an access token that is none"));
        }
        let request = ends
            .user_info(token, Some(claims.subject().clone()))
            .map_err(|_| self.trouble("has no end for what it knows of somebody"))?;
        request.request_async(&self.client).await.map_err(|error| {
            let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            self.trouble(&format!("does not say who somebody is ({})", printable(&why)))
        })
    }

    /// Returns what the provider says of itself, asked at most so long ago. One asks, and the others wait for that.
    async fn ends(&self, at_most: Duration) -> Result<Arc<Ends>, OidcError> {
        let mut learnt = self.learnt.lock().await;
        if let Some(Learnt { at, ends }) = &*learnt {
            let good_for = if ends.is_ok() { at_most } else { PAUSE };
            if at.elapsed() < good_for {
                return ends.clone();
            }
        }
        let ends = self.discover().await.map(Arc::new);
        if let Err(error) = &ends {
            tracing::warn!("{error} Nobody can sign in by it (auth.oidc_issuer) until that has changed.");
        }
        *learnt = Some(Learnt { at: Instant::now(), ends: ends.clone() });
        ends
    }

    async fn discover(&self) -> Result<Ends, OidcError> {
        let unusable = |what: &str| self.trouble(&format!("{what} that cannot be used"));
        let issuer = IssuerUrl::new(self.settings.issuer.clone()).map_err(|_| unusable("has an address"))?;
        let said = CoreProviderMetadata::discover_async(issuer, &self.client).await;
        let said = said.map_err(|error| self.undiscovered(error))?;
        if !self.client.may_ask(said.authorization_endpoint().url()) {
            return Err(unusable("sends browsers to an address"));
        }
        let secret = self.settings.client_secret.as_ref().map(|secret| ClientSecret::new(secret.expose().to_owned()));
        // In a header unless the provider wants it in the body alone (OpenID Connect Discovery, 3: the default is Basic).
        let only_by_post = said.token_endpoint_auth_methods_supported().is_some_and(|methods| {
            methods.contains(&CoreClientAuthMethod::ClientSecretPost)
                && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
        });
        let redirect = RedirectUrl::new(self.redirect.clone()).map_err(|_| unusable("is told an address"))?;
        let ends = CoreClient::from_provider_metadata(said, ClientId::new(self.settings.client_id.clone()), secret)
            .set_redirect_uri(redirect)
            .set_auth_type(if only_by_post { AuthType::RequestBody } else { AuthType::BasicAuth });
        if ends.token_uri().is_none() {
            return Err(self.trouble("names no token endpoint"));
        }
        Ok(ends)
    }

    fn undiscovered(&self, error: DiscoveryError<Broken>) -> OidcError {
        let what = "does not say how to sign in by it";
        self.trouble(&match error {
            DiscoveryError::Request(broken) => broken.to_string(),
            DiscoveryError::Response(status, _, _) if !status.is_success() => {
                format!(
                    "{what}: {status} at its address with /.well-known/openid-configuration behind it, or at its keys"
                )
            }
            DiscoveryError::Validation(why) => {
                format!("goes by another name ({}); auth.oidc_issuer must be that, to the last slash", printable(&why))
            }
            DiscoveryError::Parse(why) => format!("{what} ({})", printable(&why.to_string())),
            other => format!("{what} ({})", printable(&other.to_string())),
        })
    }

    fn no_tokens<T: openidconnect::ErrorResponse>(&self, error: RequestTokenError<Broken, T>) -> OidcError {
        self.trouble(&match error {
            RequestTokenError::Request(broken) => broken.to_string(),
            RequestTokenError::ServerResponse(refusal) => format!(
                "does not take the code ({}); if that happens each time, auth.oidc_client_id, auth.oidc_client_secret or \
                 the address to return to, {}, is not what it knows",
                printable(&refusal.to_string()),
                self.redirect
            ),
            RequestTokenError::Parse(why, _) => {
                format!("gives tokens that cannot be read ({})", printable(&why.to_string()))
            }
            RequestTokenError::Other(why) => format!("gives no tokens ({})", printable(&why)),
        })
    }

    fn trouble(&self, why: &str) -> OidcError {
        OidcError::Provider { issuer: self.settings.issuer.clone(), why: why.to_owned() }
    }
}

/// Returns what the ID token says, once its signature, issuer, audience, nonce and expiry hold.
fn claims(
    ends: &Ends,
    tokens: &CoreTokenResponse,
    nonce: &Nonce,
) -> Result<CoreIdTokenClaims, ClaimsVerificationError> {
    let verifier = ends.id_token_verifier().set_allowed_algs(SIGNATURES);
    let token = tokens.id_token().ok_or_else(|| ClaimsVerificationError::Other("there is no ID token".to_owned()))?;
    token.claims(&verifier, nonce).cloned()
}

fn disbelieve(error: &ClaimsVerificationError) -> OidcError {
    use ClaimsVerificationError as Why;
    OidcError::Unbelievable(match error {
        Why::Expired(_) => "it has expired, or a clock is wrong, here or there".to_owned(),
        Why::InvalidAudience(_) => "it is meant for another program".to_owned(),
        Why::InvalidIssuer(_) => "it is another provider's".to_owned(),
        Why::InvalidNonce(_) => "it belongs to another sign-in".to_owned(),
        Why::SignatureVerification(SignatureVerificationError::DisallowedAlg(_)) => {
            "it is not signed in a way that is believed (RS256, ES256 or EdDSA)".to_owned()
        }
        Why::SignatureVerification(SignatureVerificationError::NoSignature) => "it is not signed".to_owned(),
        Why::SignatureVerification(SignatureVerificationError::NoMatchingKey) => {
            "it is signed with a key that is not the provider's".to_owned()
        }
        Why::SignatureVerification(_) => "its signature is wrong".to_owned(),
        other => printable(&other.to_string()),
    })
}

fn fits(text: &str, longest: usize) -> bool {
    !text.trim().is_empty() && text.len() <= longest && !text.chars().any(char::is_control)
}
