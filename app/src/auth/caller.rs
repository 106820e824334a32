//! Who asks, and from where?
//!
//! The gate finds out once for each request and leaves both in it; handlers take [`Caller`] as an argument, which also
//! tells the API's document that the operation wants somebody who is signed in.

use std::{
    net::{IpAddr, Ipv4Addr},
    ops::Deref,
};

use poem::{
    FromRequest, Request, RequestBody, Result,
    http::{StatusCode, header},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaSecurityScheme, Registry},
};
use time::Duration;

use super::{
    entity::user,
    role::{Method, Role, Scope},
};
use crate::{
    datetime::Timestamp,
    http::{Code, CookieNames, Problem, Purpose, is_unseen, shows_token},
};

/// How long after a sign-in somebody may open further ways in, or let others in.
const FRESH: Duration = Duration::hours(1);

/// Somebody of the household, and how that is known.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) user: user::Model,
    pub(crate) by: Credential,
    pub(crate) client: ClientInfo,
}

/// How it is known who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// By the cookie of this session.
    Session { id: i64, method: Method, began: Timestamp },
    /// By this token of a program.
    Token { id: i64, name: String, scope: Scope },
    /// By Tailscale's word on the device.
    Tailscale,
}

impl Credential {
    /// Returns the words for the audit log.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Session { method, .. } => format!("session ({})", method.name()),
            Self::Token { name, .. } => format!("token “{name}”"),
            Self::Tailscale => "Tailscale".to_owned(),
        }
    }
}

/// From where a request comes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ClientInfo {
    /// The peer's address; that of a proxy where there is one.
    pub(crate) address: Option<IpAddr>,
    /// What the browser calls itself; cut to a length that is still told apart, control characters left out.
    pub(crate) user_agent: String,
    /// Whether it came over https.
    pub(crate) https: bool,
    /// The names of this instance's cookies.
    pub(crate) cookies: CookieNames,
    /// The secret of the session that the browser has, believed or not.
    pub(crate) session: Option<String>,
    /// Whether that came by the name that all instances once shared: it may be another one's.
    pub(crate) is_session_shared: bool,
    /// The secret by which the browser shows that its user signed in with it before.
    pub(crate) device: Option<String>,
}

impl ClientInfo {
    /// The longest name of a browser that is kept, in characters.
    const USER_AGENT: usize = 200;

    /// Returns the place of a request whose way is known.
    pub(crate) fn of(request: &Request, address: Option<IpAddr>, https: bool, cookies: &CookieNames) -> Self {
        let said = request.headers().get(header::USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let said = said.unwrap_or_default();
        let user_agent = said.chars().filter(|letter| !is_unseen(*letter)).take(Self::USER_AGENT).collect();
        // A token decides alone: what a browser sends along is not looked at.
        let find = |purpose| match shows_token(request) {
            true => None,
            false => cookies.find(request.headers(), purpose, https),
        };
        let session = find(Purpose::Session);
        Self {
            address,
            user_agent,
            https,
            cookies: cookies.clone(),
            is_session_shared: session.as_ref().is_some_and(|found| found.is_shared),
            session: session.map(|found| found.value),
            device: find(Purpose::Device).map(|found| found.value),
        }
    }

    /// Returns the `Set-Cookie` of a value for so long, or, without one, of its end.
    pub(crate) fn cookie(&self, purpose: Purpose, value: Option<&str>, age: Duration) -> String {
        self.cookies.set(purpose, self.https, value, age)
    }

    /// Returns the address that attempts from here count for.
    pub(crate) fn address_or_none(&self) -> IpAddr {
        self.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }

    /// Returns the address as text; empty when there is none.
    pub(crate) fn address(&self) -> String {
        self.address.map(|address| address.to_string()).unwrap_or_default()
    }
}

/// Whether somebody who signed in then showed not long ago who they are.
pub(crate) fn is_fresh(began: Timestamp) -> bool {
    began > Timestamp::now().before(FRESH)
}

impl Caller {
    /// Whether they showed who they are not long ago. A token was given out for what it does, and Tailscale answers for
    /// each request.
    pub(crate) fn is_fresh(&self) -> bool {
        match self.by {
            Credential::Session { began, .. } => is_fresh(began),
            Credential::Token { .. } | Credential::Tailscale => true,
        }
    }

    /// Refuses to make a lasting way in for whoever sits down at a browser that was left open, or has got hold of its
    /// cookie (OWASP Authentication Cheat Sheet: reauthentication for sensitive features).
    pub(crate) fn check_fresh(&self) -> Result<(), Problem> {
        match self.is_fresh() {
            true => Ok(()),
            false => {
                Err(Problem::forbidden("You must have signed in within the last hour. Sign in again, then retry.")
                    .code(Code::SignInAgain))
            }
        }
    }

    /// Returns the role.
    pub(crate) fn role(&self) -> Role {
        self.user.role
    }

    /// Returns the number of the session, for who came with one.
    pub(crate) fn session(&self) -> Option<i64> {
        match self.by {
            Credential::Session { id, .. } => Some(id),
            _ => None,
        }
    }

    /// Returns the caller of a request that went through the gate.
    pub(crate) fn of(request: &Request) -> Result<Self, Problem> {
        request.extensions().get::<Self>().cloned().ok_or_else(unauthenticated)
    }
}

/// The refusal of somebody who is not signed in.
pub(crate) fn unauthenticated() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED).detail("You are not signed in. A session or a token is required.")
}

/// The schemes of the API's document.
const SCHEMES: [&str; 3] = ["session", "session_https", "token"];

impl<'a> ApiExtractor<'a> for Caller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        let scheme = |ty| MetaSecurityScheme {
            ty,
            description: None,
            name: None,
            key_in: None,
            scheme: None,
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        };
        let cookie = |name, description| MetaSecurityScheme {
            name: Some(name),
            key_in: Some("cookie"),
            description: Some(description),
            ..scheme("apiKey")
        };
        let [session, session_https, token] = SCHEMES;
        registry.create_security_scheme(
            session,
            cookie(
                "hearth-INSTANCE",
                "The session of a browser over plain http. Changes also require an Origin header of this site.",
            ),
        );
        registry.create_security_scheme(
            session_https,
            cookie(
                "__Host-hearth-INSTANCE",
                "The session of a browser over https. Changes also require an Origin header of this site.",
            ),
        );
        registry.create_security_scheme(
            token,
            MetaSecurityScheme {
                scheme: Some("bearer"),
                bearer_format: Some("hearth_…"),
                description: Some("An API token."),
                ..scheme("http")
            },
        );
    }

    fn security_schemes() -> Vec<&'static str> {
        SCHEMES.to_vec()
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        Ok(Self::of(request)?)
    }
}

/// The caller of a page.
pub(crate) struct Visitor(pub(crate) Caller);

impl<'a> FromRequest<'a> for Visitor {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> Result<Self> {
        Ok(Self(Caller::of(request)?))
    }
}

impl Deref for Visitor {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0
    }
}

/// Where a request comes from, whoever asks.
impl<'a> FromRequest<'a> for ClientInfo {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> Result<Self> {
        Ok(request.extensions().get::<Self>().cloned().unwrap_or_default())
    }
}
