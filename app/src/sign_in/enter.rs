//! Accounts as pages for people: the ways in, one's own account, and the household.
//!
//! Each page calls the function that the API's operation calls; what it refuses is shown in the form's page.

use poem::{
    Response, Route, get,
    http::{HeaderValue, header},
    post,
};

use crate::{
    account::{
        linked::page as linked, page as account, profile::page as profile, sessions::page as sessions,
        tokens::page as tokens,
    },
    audit::page as audit,
    auth::{caller::Place, profile::Profile, sessions::Begun},
    household::{invitations::page as invitations, links, page as household, people::page as people},
    html::see,
    http::Problem,
    sign_in::{SignIn, page as sign_in, passkey::page as passkeys, setup::page as setup, totp::page as second_factor},
};

/// Adds the pages to the routes; they find the accounts in the request's data.
pub(crate) fn add(route: Route) -> Route {
    route
        .at("/set-up", get(setup::show).post(setup::set_up))
        .at("/sign-in", get(sign_in::show).post(sign_in::by_password))
        .at("/sign-in/code", post(sign_in::by_code))
        .at("/sign-out", post(sign_in::sign_out))
        .at("/invitation/:token", get(links::show_invitation).post(links::accept))
        .at("/reset/:token", get(links::show_reset).post(links::reset))
        .at("/account", get(account::show))
        .at("/account/profile", post(account::form(profile::change)))
        .at("/account/password", post(account::form(profile::change_password)))
        .at("/account/totp", post(account::form(second_factor::begin)))
        .at("/account/totp/confirm", post(account::form(second_factor::confirm)))
        .at("/account/totp/remove", post(account::form(second_factor::remove)))
        .at("/account/passkeys/:id/delete", post(account::form(passkeys::delete)))
        .at("/account/linked/:id/unlink", post(account::form(linked::unlink)))
        .at("/account/sessions/revoke-others", post(account::form(sessions::revoke_others)))
        .at("/account/sessions/:id/revoke", post(account::form(sessions::revoke)))
        .at("/account/tokens", post(account::form(tokens::create)))
        .at("/account/tokens/:id/revoke", post(account::form(tokens::revoke)))
        .at("/people", get(household::show))
        .at("/people/invitations", post(household::form(invitations::create)))
        .at("/people/invitations/:id/revoke", post(household::form(invitations::revoke)))
        .at("/people/:id", post(household::form(people::change)))
        .at("/people/:id/reset", post(household::form(people::reset)))
        .at("/audit", get(audit::show))
}

/// Sends somebody on who has just come in, with the cookies of their session.
pub(crate) fn enter(begun: &Begun, place: &Place, next: &str) -> Response {
    let mut response = see(next);
    for cookie in begun.cookies(place) {
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
