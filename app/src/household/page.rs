//! The household, for those who look after it: its people and its open invitations, on one page.

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
    invitations::{self, page as invitation},
    people::page::{Person, card},
};
use crate::{
    auth::{
        Accounts, audit_log,
        caller::{Caller, Visitor},
        entity::verification,
    },
    datetime::Timestamp,
    html::{Frame, PageState, answer, on_page, refused, timestamp, title_of},
    http::Problem,
    sign_in::page::again,
};

/// How things are with the household.
struct Household {
    caller: Caller,
    people: Vec<Person>,
    invitations: Vec<verification::Model>,
    /// Whether Tailscale says who somebody is.
    tailscale: bool,
    /// When the data was restored, if that was not long ago.
    restored: Option<Timestamp>,
}

/// How long the page says that the data was restored.
const RESTORED_SHOWN: time::Duration = time::Duration::days(30);

impl Household {
    async fn of(accounts: &Accounts, caller: &Caller) -> Result<Self, Problem> {
        Ok(Self {
            caller: caller.clone(),
            people: Person::all(accounts).await?,
            invitations: invitations::list(accounts.reads()).await.map_err(|error| accounts.database.failed(error))?,
            tailscale: accounts.tailscale.is_on(),
            restored: audit_log::newest(accounts.reads(), audit_log::Kind::Restored)
                .await
                .map_err(|error| accounts.database.failed(error))?
                .map(|event| event.at)
                .filter(|at| *at > Timestamp::now().before(RESTORED_SHOWN)),
        })
    }
}

/// What the address of the page may ask for.
#[derive(Default, Deserialize)]
pub(crate) struct PageQuery {
    done: Option<String>,
}

#[handler]
pub(crate) async fn show(
    frame: Frame,
    visitor: Visitor,
    Data(accounts): Data<&Arc<Accounts>>,
    Query(query): Query<PageQuery>,
) -> Result<Response> {
    let done = match query.done.as_deref() {
        Some("changed") => Some("The changes were saved."),
        Some("disabled") => Some("The account was disabled and signed out everywhere."),
        Some("enabled") => Some("The account was enabled."),
        Some("revoked") => Some("The invitation was revoked. Its link no longer works."),
        _ => None,
    };
    let household = Household::of(accounts, &visitor).await?;
    Ok(answer(StatusCode::OK, page(&frame, &household, done, &PageState::default())))
}

/// Returns a form of the page, with the page around it when it is refused.
pub(crate) fn form(form: impl Endpoint<Output = Response> + 'static) -> BoxEndpoint<'static, Response> {
    on_page(form, |request| {
        let frame = request.data::<Frame>().cloned().unwrap_or_default();
        let (caller, accounts) = (Caller::of(request)?, request.data::<Arc<Accounts>>().cloned());
        Ok(async move |refusal| {
            let Some(accounts) = accounts else { return Err(poem::Error::from(refusal)) };
            let household = Household::of(&accounts, &caller).await?;
            let state = PageState { done: None, refusal: Some(&refusal) };
            Ok(refused(&refusal.problem, page(&frame, &household, None, &state)))
        })
    })
}

fn page(frame: &Frame, household: &Household, done: Option<&str>, state: &PageState<'_>) -> Markup {
    let caller = &household.caller;
    let content = html! {
        h1 { "People" }
        @if let Some(done) = done { p.done role="status" { (done) } }
        @if let Some(at) = household.restored {
            p.hint {
                "The data was restored " (timestamp(at)) ". Users, roles and passwords are as they were in the backup. Disable \
                 again the accounts that were disabled since. Recovery codes, and the tokens of all users but owners, must be \
                 created again."
            }
        }
        (again(caller, "/people", "To invite or edit people"))
        div.columns {
            ul.people { @for person in &household.people { (card(person, caller, household.tailscale, state)) } }
            (invitation::section(&household.invitations, caller.role(), state))
        }
    };
    frame.page(&title_of("People", state.problem()), &content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::{
            entity::user,
            for_tests::{caller, user},
            role::Role,
        },
        html::{
            Refusal,
            for_tests::{EVIL, assert_harmless},
        },
        http::FieldError,
    };

    fn household(viewer: Role, other: Role) -> Household {
        let person = |user| Person {
            user,
            tailscale_login: Some(EVIL.to_owned()),
            last_seen: None,
            alike: vec![EVIL.to_owned()],
        };
        Household {
            caller: caller(viewer),
            people: vec![person(user(viewer)), person(user::Model { id: 2, ..user(other) })],
            invitations: Vec::new(),
            tailscale: false,
            restored: Some(Timestamp::now()),
        }
    }

    fn text(household: &Household) -> String {
        page(&Frame::default(), household, None, &PageState::default()).into_string()
    }

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        let problem = Problem::fields(vec![FieldError::new("tailscale_login", EVIL)]);
        let refusal = Refusal::new("person-2", problem).with("tailscale_login", EVIL);
        let state = PageState { done: None, refusal: Some(&refusal) };
        assert_harmless(&page(&Frame::default(), &household(Role::Owner, Role::Guest), None, &state));
    }

    #[test]
    fn only_what_the_viewer_may_is_offered() {
        let text = |viewer, other| text(&household(viewer, other));
        let disable = r#"name="disabled" value="true""#;
        let (owner, admin) = (text(Role::Owner, Role::Admin), text(Role::Admin, Role::Owner));
        assert_eq!(owner.matches(disable).count(), 1, "oneself is not disabled: {owner}");
        assert!(owner.contains("/people/2/reset") && !owner.contains("/people/1/reset"));
        assert!(!admin.contains(disable) && !admin.contains("/reset"), "{admin}");
        assert!(!admin.contains(r#"value="owner""#) && !admin.contains(r#"value="admin""#), "{admin}");
        assert!(text(Role::Admin, Role::Guest).contains(disable));
    }

    #[test]
    fn who_is_disabled_is_let_in_again_before_they_get_a_link() {
        let mut household = household(Role::Owner, Role::Guest);
        household.people[1].user.disabled = true;
        let text = text(&household);
        assert!(!text.contains("/people/2/reset") && text.contains("<button>Enable "), "{text}");
    }

    #[test]
    fn what_is_wrong_with_a_role_stands_by_it() {
        let refusal = Refusal::new("person-2", Problem::fields(vec![FieldError::new("role", "is none")]));
        let state = PageState { done: None, refusal: Some(&refusal) };
        let text = page(&Frame::default(), &household(Role::Owner, Role::Guest), None, &state).into_string();
        assert!(text.contains(r##"href="#person-2-role">The role is none."##), "{text}");
        assert!(text.contains(r#"id="person-2-role-error">The role is none."#), "{text}");
        assert!(text.contains("<title>Error: People"), "{text}");
    }
}
