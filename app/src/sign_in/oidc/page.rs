//! How does somebody come in by a provider of OpenID Connect?
//!
//! `/sign-in/oidc` sends the browser there, and it comes back to the callback with a code. What ties both together is
//! kept in a cookie of that browser alone, so nobody can be signed in by a link that somebody else began. The provider
//! sends everybody back to `http.public_url`, and a cookie is one host's: so a sign-in begins there as well.

use std::sync::Arc;

use poem::{
    IntoResponse, Response, Result, handler,
    http::header,
    web::{Data, Query, Redirect},
};
use serde::Deserialize;

use super::{Callback, Finished, OidcError, OidcIdentity};
use crate::{
    auth::{
        News,
        audit_log::{Actor, Kind},
        caller::ClientInfo,
        caller::is_fresh,
        external_identity::{self, ExternalIdentity, Stranger},
        login_methods,
        role::Method,
        sessions, users,
    },
    config::PublicUrl,
    html::{encoded, redirect},
    http::{Problem, Purpose, is_meant_for, network},
    sign_in::{SignIn, next},
};

/// Where a sign-in by the provider begins.
pub(crate) const BEGIN: &str = "/sign-in/oidc";

/// The longest place to go to, in bytes: it is kept for whoever asks, and the pages' own are far shorter.
const LONGEST_NEXT: usize = 2000;

/// What the browser begins with.
#[derive(Debug, Default, Deserialize)]
struct StartQuery {
    next: Option<String>,
    /// Whether it was sent here from another host. That happens once: before a proxy that puts a name of its own in `Host`,
    /// it would go on for ever.
    #[serde(default)]
    moved: bool,
}

/// What the browser comes back with.
#[derive(Debug, Default, Deserialize)]
struct Brought {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
}

#[handler]
pub(crate) async fn begin(
    request: &poem::Request,
    Data(sign_in): Data<&Arc<SignIn>>,
    client: ClientInfo,
    Query(query): Query<StartQuery>,
) -> Result<Response> {
    let Some(oidc) = &sign_in.oidc else { return Err(off().into()) };
    let next = Some(next::local(query.next.as_deref())).filter(|next| next.len() <= LONGEST_NEXT).unwrap_or("/");
    let client = at_public_url(sign_in, client);
    if let Some(url) = &sign_in.http.public_url
        && !query.moved
        && !is_meant_for(request, url)
    {
        return Ok(redirect(&format!("{url}{BEGIN}?moved=true&next={}", encoded(next))));
    }
    let browser = client.cookies.find(request.headers(), Purpose::Oidc, client.https).map(|found| found.value);
    let new_session = oidc
        .begin(network(client.address_or_none()), next, browser.as_deref())
        .await
        .map_err(|error| Problem::unavailable(error.to_string(), 10))?;
    let cookie = pending_cookie(&client, Some(&new_session.browser));
    Ok(Redirect::see_other(new_session.redirect)
        .with_header(header::SET_COOKIE, cookie)
        .with_header(header::CACHE_CONTROL, "no-store")
        .into_response())
}

#[handler]
pub(crate) async fn come_back(
    request: &poem::Request,
    Data(sign_in): Data<&Arc<SignIn>>,
    client: ClientInfo,
    Query(brought): Query<Brought>,
) -> Result<Response> {
    let Some(oidc) = &sign_in.oidc else { return Err(off().into()) };
    let client = at_public_url(sign_in, client);
    let pending = client.cookies.find(request.headers(), Purpose::Oidc, client.https).map(|found| found.value);
    let callback =
        Callback { state: brought.state.as_deref(), code: brought.code.as_deref(), error: brought.error.as_deref() };
    let Finished { identity, next, trouble, others_wait } = oidc
        .finish(pending.as_deref().unwrap_or_default(), callback)
        .await
        .map_err(|error| refused(sign_in, &error))?;
    let new_session = enter(sign_in, &client, identity, trouble).await?;
    let mut response = redirect(&next);
    for cookie in new_session.cookies(&client).into_iter().chain((!others_wait).then(|| pending_cookie(&client, None)))
    {
        if let Ok(value) = cookie.parse() {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    Ok(response)
}

/// Returns the place as it is for the browser: the provider sends it back to `http.public_url`, whatever a proxy on the way
/// makes of the request.
fn at_public_url(sign_in: &SignIn, client: ClientInfo) -> ClientInfo {
    let https = sign_in.http.public_url.as_ref().map_or(client.https, PublicUrl::is_https);
    ClientInfo { https, ..client }
}

/// Refuses a sign-in that came to nothing. Where it was the provider's doing, such as a wrong `auth.oidc_client_secret`,
/// the log tells the operator, once in a minute at most.
fn refused(sign_in: &SignIn, error: &OidcError) -> Problem {
    if matches!(error, OidcError::Provider { .. } | OidcError::Unbelievable(_)) && sign_in.is_news(News::Provider) {
        tracing::warn!("Single sign-on failed. {error}");
    }
    Problem::unauthorized(error.to_string())
}

/// Begins the session of whom the provider names, if they are of the household or may join.
async fn enter(
    sign_in: &SignIn,
    client: &ClientInfo,
    identity: OidcIdentity,
    trouble: Option<OidcError>,
) -> Result<sessions::NewSession, Problem> {
    let who = identity.email.clone().unwrap_or_else(|| identity.subject.clone());
    let (email, is_verified) = (identity.email.clone(), identity.email_verified);
    let why_not = move |stranger| unknown(email.as_deref(), is_verified, stranger);
    let known = ExternalIdentity {
        provider: login_methods::OIDC,
        // No issuer holds a blank.
        provider_id: format!("{} {}", identity.issuer, identity.subject),
        verified_email: identity.email.filter(|_| identity.email_verified),
        name: identity.name,
        join: sign_in.auth.oidc.as_ref().map(|oidc| oidc.join).unwrap_or_default(),
    };
    let present = present(sign_in, client).await?;
    let user = match external_identity::user_of(sign_in, client, known, present).await? {
        Ok(user) => user,
        Err(stranger) => {
            sign_in.note(Kind::SignInFailed, Actor::somebody(&who, Method::Oidc.name(), client)).await;
            return Err(match trouble {
                Some(error) if !is_verified => refused(sign_in, &error),
                _ => Problem::forbidden(why_not(stranger)),
            });
        }
    };
    let client = client.clone();
    sign_in
        .database
        .write(async move |tx| {
            // They may have been disabled a moment ago.
            let Some(user) = users::enabled(tx, user.id).await? else {
                return Err(Problem::forbidden(why_not(Stranger::Unknown)).into());
            };
            Ok(sessions::begin(tx, &user, Method::Oidc, &client).await?)
        })
        .await
}

/// Returns who signed in in this browser not long ago: that and the provider's word are enough to link an account.
async fn present(sign_in: &SignIn, client: &ClientInfo) -> Result<Option<i64>, Problem> {
    let Some(secret) = &client.session else { return Ok(None) };
    let found = sessions::find(sign_in.reads(), secret).await.map_err(|error| sign_in.database.failed(error))?;
    Ok(found.filter(|(session, _)| is_fresh(session.created_at)).map(|(_, user)| user.id))
}

/// Says why somebody whom the provider knows is nobody of the household, and what they can do.
fn unknown(email: Option<&str>, is_verified: bool, stranger: Stranger) -> String {
    match email {
        Some(email) if is_verified && stranger == Stranger::Ambiguous => format!(
            "The e-mail {email} can be confused with that of another user, so it was not linked. Sign in with your \
             password, or ask an admin or an owner for help: they see both e-mails under People."
        ),
        Some(email) if is_verified && stranger == Stranger::Unproven => format!(
            "An account with the e-mail {email} exists, but the e-mail was never verified. If the account is yours, sign in \
             with its password or passkey, then use single sign-on in the same browser within the hour. That links the \
             accounts. If it is not yours, tell an admin or an owner."
        ),
        Some(email) if is_verified => format!(
            "No active user has the e-mail {email}, or that user is linked to another account at the provider. Ask an \
             admin or an owner for an invitation."
        ),
        Some(email) => format!(
            "The provider has not verified that {email} is your e-mail, so it was not linked. Verify it there and try \
             again, or sign in with your password. If you have none, ask an admin for a reset link."
        ),
        None => {
            "The provider did not send your e-mail, so the account was not linked. Add one there, verify it and try \
                 again, or sign in with your password. If you have none, ask an admin for a reset link."
                .to_owned()
        }
    }
}

fn off() -> Problem {
    Problem::not_found("Single sign-on is not set up.")
}

fn pending_cookie(client: &ClientInfo, value: Option<&str>) -> String {
    client.cookie(Purpose::Oidc, value, super::WITHIN.try_into().unwrap_or(time::Duration::ZERO))
}
