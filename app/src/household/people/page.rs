//! The household, for those who look after it: what somebody may, whether they can come in, and by what.
//!
//! Only what the viewer may do to somebody is offered; the functions behind it refuse the rest all the same.

use std::sync::Arc;

use maud::{Markup, html};
use poem::{
    Request, Response, Result, handler,
    http::StatusCode,
    web::{Data, Form, Path, Query},
};
use serde::Deserialize;

use super::store::{self as people, Change};
use crate::{
    auth::{
        Accounts,
        caller::{Caller, Place, Visitor},
        entity::{user, verification},
        role::Role,
        sessions, users, ways,
    },
    household::{
        invitations::{self, page as invitation_page},
        link::Link,
        resets, secrets,
    },
    html::{Fields, Frame, Input, answer, moment, refused, see, title_of},
    http::Problem,
    sign_in,
    when::Moment,
};

/// Somebody of the household, with what is known of them elsewhere.
pub(crate) struct Person {
    user: user::Model,
    tailscale_login: Option<String>,
    /// When a browser of theirs that is still signed in was seen last.
    last_seen: Option<Moment>,
}

/// How things are with the household.
pub(crate) struct Household {
    caller: Caller,
    people: Vec<Person>,
    pub(crate) invitations: Vec<verification::Model>,
    /// Whether Tailscale says who somebody is.
    tailscale: bool,
}

impl Household {
    pub(crate) async fn of(accounts: &Accounts, caller: &Caller) -> Result<Self, Problem> {
        let reads = accounts.reads();
        let failed = |error| Problem::from(accounts.database.failed(error));
        let logins = ways::list_by(reads, ways::TAILSCALE).await.map_err(failed)?;
        let mut people = Vec::new();
        for user in people::list(reads).await.map_err(failed)? {
            let login = logins.iter().find(|login| login.user_id == user.id);
            // The last used comes first.
            let last = sessions::list(reads, user.id).await.map_err(failed)?.into_iter().next();
            people.push(Person {
                tailscale_login: login.map(|login| login.provider_id.clone()),
                last_seen: last.map(|session| session.last_seen_at),
                user,
            });
        }
        Ok(Self {
            caller: caller.clone(),
            people,
            invitations: invitations::list(reads).await.map_err(failed)?,
            tailscale: accounts.tailscale.is_on(),
        })
    }
}

/// Whose form was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    Person(i64),
    Invitations,
}

/// What the page says beside how things are.
#[derive(Default)]
pub(crate) struct Said<'a> {
    pub(crate) done: Option<&'static str>,
    pub(crate) refused: Option<(About, &'a Problem)>,
    /// What was typed into the form that was refused.
    pub(crate) invitation: Option<&'a invitation_page::Filled>,
    pub(crate) tailscale_login: Option<&'a str>,
}

impl<'a> Said<'a> {
    /// Returns the fields of a form about somebody or something.
    pub(crate) fn fields(&self, about: About) -> Fields<'a> {
        let refusal = self.refused.filter(|(refused, _)| *refused == about).map(|(_, problem)| problem);
        match about {
            About::Person(id) => Fields::new(format!("person-{id}"), refusal),
            About::Invitations => Fields::new("invite", refusal),
        }
    }
}

/// What the address of the page may ask for.
#[derive(Default, Deserialize)]
pub(crate) struct Asked {
    done: Option<String>,
}

/// A change to somebody; what is absent stays as it is.
#[derive(Default, Deserialize)]
pub(crate) struct FilledChange {
    role: Option<Role>,
    disabled: Option<bool>,
    tailscale_login: Option<String>,
}

/// What the form of a reset sends.
#[derive(Deserialize)]
pub(crate) struct FilledReset {
    #[serde(default)]
    remove_totp: bool,
}

#[handler]
pub(crate) async fn show(
    frame: Frame,
    visitor: Visitor,
    Data(accounts): Data<&Arc<Accounts>>,
    Query(asked): Query<Asked>,
) -> Result<Response> {
    let done = match asked.done.as_deref() {
        Some("changed") => Some("It was saved."),
        Some("disabled") => Some("They cannot come in any more, and were signed out everywhere."),
        Some("enabled") => Some("They can come in again."),
        Some("revoked") => Some("The invitation was taken back. Its link is good for nothing any more."),
        _ => None,
    };
    let household = Household::of(accounts, &visitor).await?;
    Ok(answer(StatusCode::OK, page(&frame, &household, &Said { done, ..Said::default() })))
}

#[handler]
pub(crate) async fn change(
    frame: Frame,
    visitor: Visitor,
    Data(accounts): Data<&Arc<Accounts>>,
    Path(id): Path<i64>,
    Form(filled): Form<FilledChange>,
) -> Result<Response> {
    let known = ways::list_by(accounts.reads(), ways::TAILSCALE).await;
    let known = known.map_err(|error| Problem::from(accounts.database.failed(error)))?;
    let known = known.iter().find(|login| login.user_id == id).map_or("", |login| login.provider_id.as_str());
    // The form sends it whether it was touched or not, and what did not change is not to be written down.
    let login = filled.tailscale_login.clone().filter(|login| login.trim().to_lowercase() != known);
    let change = Change { role: filled.role, disabled: filled.disabled, tailscale_login: login };
    match people::update(&accounts.database, &visitor, id, change).await {
        Ok(Some(_)) => Ok(see(match filled.disabled {
            Some(true) => "/people?done=disabled",
            Some(false) => "/people?done=enabled",
            None => "/people?done=changed",
        })),
        Ok(None) => Err(nobody(id).into()),
        Err(problem) => {
            let household = Household::of(accounts, &visitor).await?;
            let said = Said {
                refused: Some((About::Person(id), &problem)),
                tailscale_login: filled.tailscale_login.as_deref(),
                ..Said::default()
            };
            Ok(refused(&problem, page(&frame, &household, &said)))
        }
    }
}

#[handler]
pub(crate) async fn reset(
    request: &Request,
    frame: Frame,
    visitor: Visitor,
    place: Place,
    Data(accounts): Data<&Arc<Accounts>>,
    Path(id): Path<i64>,
    Form(filled): Form<FilledReset>,
) -> Result<Response> {
    let user = users::get(accounts.reads(), id).await;
    let user = user.map_err(|error| Problem::from(accounts.database.failed(error)))?.ok_or_else(|| nobody(id))?;
    match resets::create_reset(accounts, &visitor, id, filled.remove_totp).await {
        Ok(Some(secret)) => {
            let link = Link::to(accounts, request, &place, &format!("/reset/{}", secret.expose()));
            let what = html! { "With this link, " strong { (user.name) } " chooses a new password." };
            let page = secrets::link(&frame, "A link for a new password", &what, "a day", &link);
            Ok(answer(StatusCode::OK, page))
        }
        Ok(None) => Err(nobody(id).into()),
        Err(problem) => {
            let household = Household::of(accounts, &visitor).await?;
            let said = Said { refused: Some((About::Person(id), &problem)), ..Said::default() };
            Ok(refused(&problem, page(&frame, &household, &said)))
        }
    }
}

fn nobody(id: i64) -> Problem {
    Problem::not_found(format!("There is nobody with the number {id}."))
}

/// What somebody with a role does, in few words: they have to fit in a list on a phone.
fn does(role: Role) -> &'static str {
    match role {
        Role::Guest => "only reads",
        Role::Member => "keeps records",
        Role::Admin => "looks after people",
        Role::Owner => "does everything",
    }
}

/// Returns the choice of a role out of those that the viewer gives away.
pub(crate) fn roles(fields: &Fields<'_>, viewer: Role, chosen: Role) -> Markup {
    let id = fields.id("role");
    html! {
        div.field {
            label for=(id) { "Role" }
            select id=(id) name="role" aria-invalid=[fields.invalid("role")]
                aria-describedby=[fields.described("role")] autofocus[fields.is_first("role")] {
                @for role in Role::ALL.into_iter().filter(|role| viewer.rules(*role)) {
                    option value=(role.name()) selected[role == chosen] { (role.name()) ": " (does(role)) }
                }
            }
            (fields.error("role"))
        }
    }
}

pub(crate) fn page(frame: &Frame, household: &Household, said: &Said<'_>) -> Markup {
    let content = html! {
        h1 { "People" }
        @if let Some(done) = said.done { p.done role="status" { (done) } }
        (sign_in::page::again(&household.caller, "/people", "An invitation, a link or a change"))
        div.columns {
            ul.people { @for person in &household.people { (card(person, household, said)) } }
            (invitation_page::section(household, household.caller.role(), said))
        }
    };
    frame.page(&title_of("People", said.refused.map(|(_, problem)| problem)), &content)
}

fn card(person: &Person, household: &Household, said: &Said<'_>) -> Markup {
    let (user, caller) = (&person.user, &household.caller);
    let fields = said.fields(About::Person(user.id));
    let is_self = user.id == caller.user.id;
    let rules = !is_self && caller.role().rules(user.role);
    let names_login = caller.role() == Role::Owner && (household.tailscale || person.tailscale_login.is_some());
    html! {
        li.card {
            h2 {
                (user.name) " "
                span.mark { (user.role.name()) }
                @if is_self { span.mark { "You" } }
                @if user.disabled { span.mark.off { "Disabled" } }
            }
            p.quiet {
                (user.email)
                @if let Some(login) = &person.tailscale_login { br; "Tailscale: " (login) }
                br;
                @match person.last_seen {
                    Some(last) => { "Last seen " (moment(last)) }
                    None => "Not signed in anywhere",
                }
                "; came " (moment(user.created_at)) "."
            }
            @if rules || (is_self && names_login) {
                details.ask open[fields.is_refused()] {
                    summary { "Change" span.hidden { " " (user.name) } "…" }
                    (fields.summary("Nothing was changed."))
                    (change_form(person, household, &fields, rules, names_login, said))
                    @if rules {
                        // Who is disabled can use no link.
                        @if !user.disabled { (reset_form(user)) }
                        (disable_form(user))
                    }
                }
            }
        }
    }
}

fn change_form(
    person: &Person,
    household: &Household,
    fields: &Fields<'_>,
    rules: bool,
    names_login: bool,
    said: &Said<'_>,
) -> Markup {
    let typed = said.tailscale_login.filter(|_| fields.is_refused());
    let login = typed.or(person.tailscale_login.as_deref()).unwrap_or_default();
    html! {
        form method="post" action={ "/people/" (person.user.id) } {
            @if rules { (roles(fields, household.caller.role(), person.user.role)) }
            @if names_login {
                (fields.input(&Input::new("text", "tailscale_login", "Tailscale login").value(login).longest(254)
                    .optional().hint("Whom Tailscale calls that is signed in as this person.")))
            }
            button { "Save" }
        }
    }
}

fn reset_form(user: &user::Model) -> Markup {
    html! {
        form method="post" action={ "/people/" (user.id) "/reset" } {
            fieldset.choice {
                legend { "Forgotten password" }
                label {
                    input type="checkbox" name="remove_totp" value="true";
                    "Remove the second factor, too (the phone is gone)"
                }
            }
            button { "Make a link for a new password" }
        }
    }
}

fn disable_form(user: &user::Model) -> Markup {
    html! {
        form method="post" action={ "/people/" (user.id) } {
            input type="hidden" name="disabled" value=(!user.disabled);
            @if user.disabled {
                p { "Now they cannot come in. What they keep is untouched." }
                button { "Let them in again" }
            } @else {
                p { "Who is disabled is signed out everywhere and cannot come in. What they keep stays." }
                button.danger { "Disable " (user.name) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::for_tests::{caller, user},
        html::for_tests::{EVIL, assert_harmless},
        http::FieldError,
    };

    fn household(viewer: Role, other: Role) -> Household {
        let person = |user| Person { user, tailscale_login: Some(EVIL.to_owned()), last_seen: None };
        Household {
            caller: caller(viewer),
            people: vec![person(user(viewer)), person(user::Model { id: 2, ..user(other) })],
            invitations: Vec::new(),
            tailscale: false,
        }
    }

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        let problem = Problem::fields(vec![FieldError::new("tailscale_login", EVIL)]);
        let said = Said { refused: Some((About::Person(2), &problem)), tailscale_login: Some(EVIL), ..Said::default() };
        assert_harmless(&page(&Frame::default(), &household(Role::Owner, Role::Guest), &said));
    }

    #[test]
    fn only_what_the_viewer_may_is_offered() {
        let text = |viewer, other| page(&Frame::default(), &household(viewer, other), &Said::default()).into_string();
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
        let text = page(&Frame::default(), &household, &Said::default()).into_string();
        assert!(!text.contains("/people/2/reset") && text.contains("Let them in again"), "{text}");
    }

    #[test]
    fn what_is_wrong_with_a_role_stands_by_it() {
        let problem = Problem::fields(vec![FieldError::new("role", "is none")]);
        let said = Said { refused: Some((About::Person(2), &problem)), ..Said::default() };
        let text = page(&Frame::default(), &household(Role::Owner, Role::Guest), &said).into_string();
        assert!(text.contains(r##"href="#person-2-role">The role is none."##), "{text}");
        assert!(text.contains(r#"id="person-2-role-error">The role is none."#), "{text}");
        assert!(text.contains("<title>Error: People"), "{text}");
    }
}
