//! What does somebody get who has just signed in, in a browser and by the API?

use crate::{
    auth::{api::UserBody, caller::ClientInfo, profile::Profile, sessions::NewSession},
    html::redirect,
    http::Problem,
    sign_in::SignIn,
};
use poem::{
    Response,
    http::{HeaderValue, header},
};
use poem_openapi::{
    ApiResponse, Enum, Object,
    payload::{self, Json},
};

/// Sends somebody on who has just come in, with the cookies of their session.
pub(crate) fn enter(new_session: &NewSession, client: &ClientInfo, next: &str) -> Response {
    let mut response = redirect(next);
    for cookie in new_session.cookies(client) {
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    response
}

/// Checks what somebody new typed, so that all wrong fields are named at once.
pub(crate) fn check_person(sign_in: &SignIn, name: &str, email: &str, password: &str) -> Result<Profile, Problem> {
    let profile = Profile::check(name, email);
    match (profile, sign_in.check_password("password", password, email, name)) {
        (Ok(profile), Ok(())) => Ok(profile),
        (profile, password) => {
            let mut errors = profile.err().unwrap_or_default();
            if let Err(problem) = password {
                errors.extend(problem.errors().iter().cloned());
            }
            Err(Problem::fields(errors))
        }
    }
}

/// How the request was authenticated: by a browser's `session`, a program's `token`, or `tailscale`.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum SignedInBy {
    Session,
    Token,
    Tailscale,
}

/// The signed-in user and how they are authenticated.
#[derive(Debug, Object)]
#[oai(rename = "CurrentSession", skip_serializing_if_is_none)]
pub(crate) struct CurrentBody {
    /// The id of the session. Absent if there is none.
    pub(crate) id: Option<i64>,
    pub(crate) by: SignedInBy,
    pub(crate) user: UserBody,
}

impl CurrentBody {
    pub(crate) fn of(new_session: &NewSession) -> Self {
        Self { id: Some(new_session.session.id), by: SignedInBy::Session, user: new_session.user.clone().into() }
    }
}

#[derive(ApiResponse)]
pub(crate) enum SignedIn {
    /// Signed in. The response sets the session cookie.
    #[oai(status = 201)]
    Session(Json<CurrentBody>),
}

/// Returns the response to somebody who has signed in, with the cookies of their session.
pub(crate) fn signed_in(new_session: &NewSession, client: &ClientInfo) -> payload::Response<SignedIn> {
    let response = payload::Response::new(SignedIn::Session(Json(CurrentBody::of(new_session))));
    new_session.cookies(client).into_iter().fold(response, |response, cookie| response.header("set-cookie", cookie))
}
