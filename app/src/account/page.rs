//! What is one's own: name and password, second factor, passkeys, browsers and programs, on one page.
//!
//! Each part has a file of its own with its look and its forms. What a form did, or why it was refused, stands in its
//! part, where the addresses of the forms lead by their fragment.

use std::sync::Arc;

use maud::{Markup, html};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Query},
};
use serde::Deserialize;

use super::{linked::page as linked, profile::page as profile, sessions::page as sessions, tokens::page as tokens};
use crate::{
    auth::{
        self,
        caller::{By, Caller, Visitor},
        entity::{account, api_token, passkey, session, verification::Kind::Recovery},
        verification, ways,
    },
    html::{Fields, Frame, answer, refused, see, title_of},
    http::Problem,
    sign_in::{
        SignIn, page as sign_in,
        passkey::page as passkeys,
        totp::{self, Offer, page as second_factor},
    },
};

/// A part of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Profile,
    Password,
    SecondFactor,
    Passkeys,
    Linked,
    Sessions,
    Tokens,
}

impl Part {
    const ALL: [Self; 7] =
        [Self::Profile, Self::Password, Self::SecondFactor, Self::Passkeys, Self::Linked, Self::Sessions, Self::Tokens];

    /// Returns the fragment of its address.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Password => "password",
            Self::SecondFactor => "second-factor",
            Self::Passkeys => "passkeys",
            Self::Linked => "linked",
            Self::Sessions => "browsers",
            Self::Tokens => "tokens",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Profile => "Profile",
            Self::Password => "Password",
            Self::SecondFactor => "Second factor",
            Self::Passkeys => "Passkeys",
            Self::Linked => "Linked accounts",
            Self::Sessions => "Browsers",
            Self::Tokens => "API tokens",
        }
    }

    /// Returns the part as it looks, with what was just done in it.
    pub(crate) fn section(self, said: &Said<'_>, content: &Markup) -> Markup {
        html! {
            section.card aria-labelledby=(self.id()) {
                h2 id=(self.id()) { (self.title()) }
                @if let Some(done) = said.done.filter(|done| done.is_of(self)) {
                    p.done role="status" { (done.sentence) }
                }
                (content)
            }
        }
    }
}

/// Something that was just done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    name: &'static str,
    part: Part,
    sentence: &'static str,
}

impl Done {
    /// Whether it was done in this part.
    pub(crate) fn is_of(self, part: Part) -> bool {
        self.part == part
    }
}

/// What the address of the page can say that was done.
const DONE: [Done; 9] = [
    Done { name: "profile", part: Part::Profile, sentence: "Your profile was saved." },
    Done {
        name: "password",
        part: Part::Password,
        sentence: "Your password was changed. All your other browsers were signed out.",
    },
    Done { name: "totp-removed", part: Part::SecondFactor, sentence: "Your second factor was removed." },
    Done { name: "passkey-added", part: Part::Passkeys, sentence: "Your passkey was added." },
    Done { name: "passkey-deleted", part: Part::Passkeys, sentence: "The passkey was deleted." },
    Done {
        name: "unlinked",
        part: Part::Linked,
        sentence: "It is taken away. What answers for the e-mail that you have here would be linked again.",
    },
    Done { name: "session", part: Part::Sessions, sentence: "That browser was signed out." },
    Done { name: "sessions", part: Part::Sessions, sentence: "All your other browsers were signed out." },
    Done { name: "token", part: Part::Tokens, sentence: "The token was revoked. It is good for nothing any more." },
];

/// What a page says beside how things are.
#[derive(Default)]
pub(crate) struct Said<'a> {
    pub(crate) done: Option<Done>,
    /// Why a form of this part was refused.
    pub(crate) refused: Option<(Part, &'a Problem)>,
    /// Whether somebody is about to set up a second factor.
    pub(crate) offering: bool,
    /// What was typed into the form that was refused.
    pub(crate) profile: Option<&'a profile::Filled>,
    pub(crate) token: Option<&'a tokens::Filled>,
}

impl<'a> Said<'a> {
    /// Returns that a form of this part was refused.
    pub(crate) fn refused(part: Part, problem: &'a Problem) -> Self {
        Self { refused: Some((part, problem)), ..Self::default() }
    }

    /// Returns the fields of the form of a part.
    pub(crate) fn fields(&self, part: Part) -> Fields<'a> {
        let refusal = self.refused.filter(|(refused, _)| *refused == part).map(|(_, problem)| problem);
        // Not the name of the part alone, which is the id of its title.
        Fields::new(format!("{}-form", part.id()), refusal).unfocused()
    }
}

/// How things are with somebody's account.
pub(crate) struct Account {
    pub(crate) caller: Caller,
    pub(crate) has_password: bool,
    pub(crate) second_factor: SecondFactor,
    /// None where passkeys are off.
    pub(crate) passkeys: Option<Vec<passkey::Model>>,
    pub(crate) linked: Vec<account::Model>,
    pub(crate) sessions: Vec<session::Model>,
    pub(crate) tokens: Vec<api_token::Model>,
}

/// How things are with somebody's second factor.
pub(crate) enum SecondFactor {
    Off,
    /// A secret waits for its first code.
    Offered(Offer),
    On {
        recovery_codes: usize,
    },
}

impl Account {
    async fn of(sign_in: &SignIn, caller: &Caller, said: &Said<'_>) -> Result<Self, Problem> {
        let (reads, id) = (sign_in.reads(), caller.user.id);
        let failed = |error| Problem::from(sign_in.database.failed(error));
        let second_factor = if totp::of(reads, id).await.map_err(failed)?.is_some() {
            let left = verification::list_of(reads, Recovery, id).await.map_err(failed)?.len();
            SecondFactor::On { recovery_codes: left }
        } else {
            let offer = match said.offering && caller.is_fresh() {
                true => totp::offered(sign_in, caller).await?,
                false => None,
            };
            offer.map_or(SecondFactor::Off, SecondFactor::Offered)
        };
        Ok(Self {
            has_password: ways::password(reads, id).await.map_err(failed)?.is_some(),
            second_factor,
            passkeys: passkeys::of(sign_in, caller).await?,
            linked: ways::linked(reads, id).await.map_err(failed)?,
            sessions: auth::sessions::list(reads, id).await.map_err(failed)?,
            tokens: super::tokens::store::list(reads, id).await.map_err(failed)?,
            caller: caller.clone(),
        })
    }
}

/// What the address of the page may ask for.
#[derive(Default, Deserialize)]
pub(crate) struct Asked {
    done: Option<String>,
    totp: Option<String>,
}

#[handler]
pub(crate) async fn show(
    frame: Frame,
    visitor: Visitor,
    Data(sign_in): Data<&Arc<SignIn>>,
    Query(asked): Query<Asked>,
) -> Result<Response> {
    let done = DONE.into_iter().find(|done| asked.done.as_deref() == Some(done.name));
    let said = Said { done, offering: asked.totp.is_some(), ..Said::default() };
    let account = Account::of(sign_in, &visitor, &said).await?;
    Ok(answer(StatusCode::OK, page(&frame, &account, &said)))
}

/// Answers a form that was refused.
pub(crate) async fn refuse(
    frame: &Frame,
    sign_in: &SignIn,
    caller: &Caller,
    problem: &Problem,
    said: Said<'_>,
) -> Result<Response> {
    let account = Account::of(sign_in, caller, &said).await?;
    Ok(refused(problem, page(frame, &account, &said)))
}

/// Answers a form that took something away: `name` is what the page says of that, and `gone` what it says where there was
/// nothing any more.
pub(crate) async fn taken_away(
    frame: &Frame,
    sign_in: &SignIn,
    caller: &Caller,
    part: Part,
    outcome: Result<bool, Problem>,
    name: &str,
    gone: &str,
) -> Result<Response> {
    let problem = match outcome {
        Ok(true) => return Ok(see(&done(name))),
        Ok(false) => Problem::not_found(gone),
        Err(problem) => problem,
    };
    refuse(frame, sign_in, caller, &problem, Said::refused(part, &problem)).await
}

/// Returns the address of the page that says that something was done.
pub(crate) fn done(name: &str) -> String {
    let part = DONE.iter().find(|done| done.name == name).map_or("main", |done| done.part.id());
    format!("/account?done={name}#{part}")
}

fn page(frame: &Frame, account: &Account, said: &Said<'_>) -> Markup {
    let by_tailscale = account.caller.by == By::Tailscale;
    let shown = |part: &Part| match part {
        Part::Passkeys => account.passkeys.is_some(),
        Part::Linked => !account.linked.is_empty(),
        _ => true,
    };
    let content = html! {
        h1 { "Your account" }
        p.quiet {
            (account.caller.user.email) ", " (account.caller.user.role.name())
            @if by_tailscale { ", signed in by Tailscale" }
        }
        // Whom Tailscale answers for cannot sign out, but a session goes before its word.
        @if by_tailscale { p { a.button href="/sign-in" { "Sign in as somebody else" } } }
        (sign_in::again(&account.caller, "/account", "Another e-mail, a second factor, a passkey or a token"))
        div.parts {
            nav.contents aria-label="On this page" {
                ul {
                    @for part in Part::ALL.iter().filter(|part| shown(part)) {
                        li { a href={ "#" (part.id()) } { (part.title()) } }
                    }
                }
            }
            div.stack {
                (profile::section(account, said))
                (profile::password_section(account, said))
                (second_factor::section(account, said))
                (passkeys::section(account, said))
                (linked::section(account, said))
                (sessions::section(account, said))
                (tokens::section(account, said))
            }
        }
    };
    frame.page(&title_of("Your account", said.refused.map(|(_, problem)| problem)), &content)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        auth::{
            for_tests::caller,
            role::{Method, Role, Scope},
        },
        html::for_tests::{EVIL, assert_harmless},
        http::FieldError,
        when::Moment,
    };

    /// An account that is hostile in each of its texts.
    pub(crate) fn evil() -> Account {
        let (now, text) = (Moment::now(), || EVIL.to_owned());
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
        let passkey = passkey::Model {
            id: 1,
            user_id: 1,
            name: text(),
            credential_id: text(),
            credential: text(),
            created_at: now,
            last_used_at: None,
        };
        let token = api_token::Model {
            id: 1,
            user_id: 1,
            name: text(),
            token_hash: text(),
            scope: Scope::Read,
            created_at: now,
            expires_at: Some(now),
            last_used_at: Some(now),
        };
        let linked = account::Model {
            id: 1,
            user_id: 1,
            provider: text(),
            provider_id: text(),
            password_hash: None,
            created_at: now,
            updated_at: now,
        };
        Account {
            caller: caller(Role::Owner),
            has_password: true,
            second_factor: SecondFactor::Offered(Offer { secret: text(), uri: text() }),
            passkeys: Some(vec![passkey]),
            sessions: vec![session(1), session(2)],
            linked: vec![linked],
            tokens: vec![token],
        }
    }

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        let mut account = evil();
        let parts = |account: &Account, said: &Said<'_>| {
            assert_harmless(&profile::section(account, said));
            assert_harmless(&sessions::section(account, said));
            assert_harmless(&tokens::section(account, said));
        };
        parts(&account, &Said::default());
        for part in [Part::Profile, Part::Sessions, Part::Tokens] {
            let problem = Problem::fields(vec![FieldError::new("name", EVIL)]);
            let profile = profile::Filled { name: EVIL.to_owned(), email: EVIL.to_owned() };
            let token = tokens::Filled::named(EVIL);
            let said = Said { profile: Some(&profile), token: Some(&token), ..Said::refused(part, &problem) };
            parts(&account, &said);
        }
        account.second_factor = SecondFactor::On { recovery_codes: 10 };
        assert_harmless(&second_factor::section(&account, &Said::default()));
        account.passkeys = None;
        assert_harmless(&page(&Frame::default(), &account, &Said::default()));
    }

    #[test]
    fn whom_tailscale_answers_for_is_offered_to_sign_in_as_somebody_else() {
        let mut account = evil();
        let text = |account: &Account| page(&Frame::default(), account, &Said::default()).into_string();
        assert!(!text(&account).contains("Sign in as somebody else"));
        account.caller.by = By::Tailscale;
        assert!(text(&account).contains(r#"href="/sign-in">Sign in as somebody else"#));
    }

    #[test]
    fn what_was_done_is_said_in_its_part() {
        assert_eq!(done("sessions"), "/account?done=sessions#browsers");
        let done = DONE.into_iter().find(|done| done.name == "token");
        let said = Said { done, ..Said::default() };
        let text = page(&Frame::default(), &evil(), &said).into_string();
        assert_eq!(text.matches(r#"role="status""#).count(), 2, "the token's, and the empty one of passkeys: {text}");
        assert!(text.contains("good for nothing any more"));
    }
}
