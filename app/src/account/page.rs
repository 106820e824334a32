//! What is one's own: name and password, second factor, passkeys, browsers and programs, on one page.
//!
//! Each part has a file of its own with its look and its forms. What a form did, or why it was refused, stands in its
//! part, where the addresses of the forms lead by their fragment.

use std::sync::Arc;

use maud::{Markup, html};
use poem::{
    Endpoint, Response, Result,
    endpoint::BoxEndpoint,
    handler,
    http::StatusCode,
    web::{Data, Query},
};
use serde::Deserialize;

use super::{
    linked::page::{self as linked, LINKED},
    profile::page::{self as profile, PASSWORD, PROFILE},
    sessions::page::{self as sessions, SESSIONS},
    tokens::{
        page::{self as tokens, TOKENS},
        store,
    },
};
use crate::{
    auth::{
        self,
        caller::{Caller, Credential, Visitor},
        entity::{account, api_token, passkey, session},
        login_methods,
    },
    html::{Frame, PageState, Part, answer, on_page, refused, title_of},
    http::Problem,
    sign_in::{
        SignIn,
        page::again,
        passkey::page::{self as passkeys, PASSKEYS},
        totp::page::{self as second_factor, SECOND_FACTOR, SecondFactor},
    },
};

/// The parts, in their order.
const PARTS: [&Part; 7] = [&PROFILE, &PASSWORD, &SECOND_FACTOR, &PASSKEYS, &LINKED, &SESSIONS, &TOKENS];

/// Everything that is somebody's own.
struct Account {
    caller: Caller,
    has_password: bool,
    second_factor: SecondFactor,
    /// None where passkeys are off.
    passkeys: Option<Vec<passkey::Model>>,
    linked: Vec<account::Model>,
    /// Whether single sign-on is set up here.
    oidc: bool,
    sessions: Vec<session::Model>,
    tokens: Vec<api_token::Model>,
}

impl Account {
    async fn of(sign_in: &SignIn, caller: &Caller, offering: bool) -> Result<Self, Problem> {
        let (reads, id) = (sign_in.reads(), caller.user.id);
        let failed = |error| Problem::from(sign_in.database.failed(error));
        Ok(Self {
            has_password: login_methods::password(reads, id).await.map_err(failed)?.is_some(),
            second_factor: SecondFactor::of(sign_in, caller, offering).await?,
            passkeys: passkeys::of(sign_in, caller).await?,
            linked: login_methods::linked(reads, id).await.map_err(failed)?,
            oidc: sign_in.oidc.is_some(),
            sessions: auth::sessions::list(reads, id).await.map_err(failed)?,
            tokens: store::list(reads, id).await.map_err(failed)?,
            caller: caller.clone(),
        })
    }

    /// Whether a part is shown.
    fn has(&self, part: &Part) -> bool {
        match part.id {
            id if id == PASSKEYS.id => self.passkeys.is_some(),
            id if id == LINKED.id => self.oidc || !self.linked.is_empty(),
            _ => true,
        }
    }
}

/// What the address of the page may ask for.
#[derive(Default, Deserialize)]
pub(crate) struct PageQuery {
    done: Option<String>,
    totp: Option<String>,
}

#[handler]
pub(crate) async fn show(
    frame: Frame,
    visitor: Visitor,
    Data(sign_in): Data<&Arc<SignIn>>,
    Query(query): Query<PageQuery>,
) -> Result<Response> {
    let state = PageState { done: query.done.as_deref(), refusal: None };
    let account = Account::of(sign_in, &visitor, query.totp.is_some()).await?;
    Ok(answer(StatusCode::OK, page(&frame, &account, &state)))
}

/// Returns a form of one of the parts, with the page around it when it is refused.
pub(crate) fn form(form: impl Endpoint<Output = Response> + 'static) -> BoxEndpoint<'static, Response> {
    on_page(form, |request| {
        let frame = request.data::<Frame>().cloned().unwrap_or_default();
        let (caller, sign_in) = (Caller::of(request)?, request.data::<Arc<SignIn>>().cloned());
        Ok(async move |refusal| {
            let Some(sign_in) = sign_in else { return Err(poem::Error::from(refusal)) };
            let state = PageState { done: None, refusal: Some(&refusal) };
            let account = Account::of(&sign_in, &caller, second_factor::is_offering(&state)).await?;
            Ok(refused(&refusal.problem, page(&frame, &account, &state)))
        })
    })
}

fn page(frame: &Frame, account: &Account, state: &PageState<'_>) -> Markup {
    let user = &account.caller.user;
    let by_tailscale = account.caller.by == Credential::Tailscale;
    let content = html! {
        h1 { "Account" }
        p.quiet {
            (user.email) ", " (user.role.name())
            @if by_tailscale { ", signed in with Tailscale" }
        }
        // Whom Tailscale answers for cannot sign out, but a session goes before its word.
        @if by_tailscale { p { a.button href="/sign-in" { "Sign in as another user" } } }
        (again(&account.caller, "/account", "To change your e-mail or add a two-factor method, a passkey or a token"))
        div.parts {
            nav.contents aria-label="On this page" {
                ul {
                    @for part in PARTS.iter().filter(|part| account.has(part)) {
                        li { a href={ "#" (part.id) } { (part.title) } }
                    }
                }
            }
            div.stack {
                (profile::section(user, state))
                (profile::password_section(user, account.has_password, state))
                (second_factor::section(&account.second_factor, account.has_password, &user.email, state))
                (passkeys::section(account.passkeys.as_deref(), state))
                (linked::section(&account.linked, &user.email, account.oidc, state))
                (sessions::section(&account.sessions, account.caller.session(), state))
                (tokens::section(&account.tokens, state))
            }
        }
    };
    frame.page(&title_of("Account", state.problem()), &content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::{
            for_tests::caller,
            role::{Method, Role},
        },
        datetime::Timestamp,
        html::for_tests::{EVIL, assert_harmless},
        http::FieldError,
    };

    fn evil() -> Account {
        let (now, text) = (Timestamp::now(), || EVIL.to_owned());
        let session = |id| session::Model {
            id,
            user_id: 1,
            token_hash: text(),
            method: Method::Password,
            address: text(),
            user_agent: text(),
            created_at: now,
            last_seen_at: now,
            expires_at: now,
        };
        Account {
            caller: caller(Role::Owner),
            has_password: true,
            second_factor: SecondFactor::Off,
            passkeys: None,
            sessions: vec![session(1), session(2)],
            linked: Vec::new(),
            oidc: true,
            tokens: Vec::new(),
        }
    }

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        let account = evil();
        let frame = Frame::default();
        assert_harmless(&page(&frame, &account, &PageState::default()));
        let user = &account.caller.user;
        for part in [&PROFILE, &SESSIONS, &TOKENS] {
            let problem = Problem::fields(vec![FieldError::new("name", EVIL)]);
            let refusal = part.refuse(problem).with("name", EVIL).with("email", EVIL);
            let state = PageState { done: None, refusal: Some(&refusal) };
            assert_harmless(&profile::section(user, &state));
            assert_harmless(&sessions::section(&account.sessions, None, &state));
            assert_harmless(&page(&frame, &account, &state));
        }
    }

    #[test]
    fn whom_tailscale_answers_for_is_offered_to_sign_in_as_somebody_else() {
        let mut account = evil();
        let text = |account: &Account| page(&Frame::default(), account, &PageState::default()).into_string();
        assert!(!text(&account).contains("Sign in as another user"));
        account.caller.by = Credential::Tailscale;
        assert!(text(&account).contains(r#"href="/sign-in">Sign in as another user"#));
    }

    #[test]
    fn what_was_done_is_said_in_its_part() {
        assert_eq!(SESSIONS.address("sessions"), "/account?done=sessions#browsers");
        let state = PageState { done: Some("token"), refusal: None };
        let text = page(&Frame::default(), &evil(), &state).into_string();
        assert_eq!(text.matches(r#"role="status""#).count(), 1, "{text}");
        assert!(text.contains("The token was revoked"));
    }

    #[test]
    fn what_a_form_was_refused_for_stands_in_its_part_and_in_the_title() {
        let refusal = PASSWORD.refuse(Problem::fields(vec![FieldError::new("new_password", "is too short")]));
        let text = page(&Frame::default(), &evil(), &PageState { done: None, refusal: Some(&refusal) }).into_string();
        assert!(text.contains("<title>Error: Account"), "{text}");
        assert!(text.contains(r##"href="#password-form-new_password">The new password is too short."##), "{text}");
        assert_eq!(text.matches(r#"role="alert""#).count(), 1, "{text}");
    }
}
