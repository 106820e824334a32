//! Somebody of the household, for those who look after it: what they may, whether they can come in, and by what.
//!
//! Only what the viewer may do to somebody is offered; the functions behind it refuse the rest all the same.

use std::sync::Arc;

use maud::{Markup, html};
use poem::{
    Request, Response, Result, handler,
    http::StatusCode,
    web::{Data, Form, Path},
};
use serde::Deserialize;

use super::store::{self, Change};
use crate::{
    auth::{
        Accounts,
        caller::{Caller, ClientInfo, Visitor},
        email,
        entity::user,
        login_methods,
        role::Role,
        sessions, users,
    },
    datetime::Timestamp,
    household::{
        link::{Link, link_page},
        resets,
    },
    html::{Fields, Frame, Input, PageState, Refusal, answer, redirect, timestamp},
    http::Problem,
};

/// Somebody of the household, with what is known of them elsewhere.
pub(crate) struct Person {
    pub(crate) user: user::Model,
    pub(crate) tailscale_login: Option<String>,
    /// When a browser of theirs that is still signed in was seen last.
    pub(crate) last_seen: Option<Timestamp>,
    /// The names of the others whose e-mail folds into theirs.
    pub(crate) alike: Vec<String>,
}

impl Person {
    /// Returns everybody.
    pub(crate) async fn all(accounts: &Accounts) -> Result<Vec<Self>, Problem> {
        let reads = accounts.reads();
        let failed = |error| Problem::from(accounts.database.failed(error));
        let logins = login_methods::list_by(reads, login_methods::TAILSCALE).await.map_err(failed)?;
        let mut people = Vec::new();
        let users = users::list(reads).await.map_err(failed)?;
        let keys: Vec<_> = users.iter().map(|user| email::key(&user.email)).collect();
        for (user, key) in users.iter().zip(&keys) {
            let login = logins.iter().find(|login| login.user_id == user.id);
            // The last used comes first.
            let last = sessions::list(reads, user.id).await.map_err(failed)?.into_iter().next();
            let others = users.iter().zip(&keys).filter(|(other, others)| other.id != user.id && *others == key);
            people.push(Self {
                alike: others.map(|(other, _)| other.name.clone()).collect(),
                tailscale_login: login.map(|login| login.provider_id.clone()),
                last_seen: last.map(|session| session.last_seen_at),
                user: user.clone(),
            });
        }
        Ok(people)
    }
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
pub(crate) async fn change(
    visitor: Visitor,
    Data(accounts): Data<&Arc<Accounts>>,
    Path(id): Path<i64>,
    Form(filled): Form<FilledChange>,
) -> Result<Response> {
    let known = login_methods::list_by(accounts.reads(), login_methods::TAILSCALE).await;
    let known = known.map_err(|error| Problem::from(accounts.database.failed(error)))?;
    let known = known.iter().find(|login| login.user_id == id).map_or("", |login| login.provider_id.as_str());
    // The form sends it whether it was touched or not, and what did not change is not to be written down.
    let login = filled.tailscale_login.clone().filter(|login| login.trim() != known);
    let change = Change { role: filled.role, disabled: filled.disabled, tailscale_login: login };
    match store::update(&accounts.database, &visitor, id, change).await {
        Ok(Some(_)) => Ok(redirect(match filled.disabled {
            Some(true) => "/people?done=disabled",
            Some(false) => "/people?done=enabled",
            None => "/people?done=changed",
        })),
        Ok(None) => Err(no_such_person(id).into()),
        Err(problem) => {
            let login = filled.tailscale_login.unwrap_or_default();
            Err(Refusal::new(part(id), problem).with("tailscale_login", login).into())
        }
    }
}

#[handler]
pub(crate) async fn reset(
    request: &Request,
    frame: Frame,
    visitor: Visitor,
    client: ClientInfo,
    Data(accounts): Data<&Arc<Accounts>>,
    Path(id): Path<i64>,
    Form(filled): Form<FilledReset>,
) -> Result<Response> {
    let user = users::get(accounts.reads(), id).await;
    let user =
        user.map_err(|error| Problem::from(accounts.database.failed(error)))?.ok_or_else(|| no_such_person(id))?;
    match resets::create_reset(accounts, &visitor, id, filled.remove_totp, None).await {
        Ok(Some(secret)) => {
            let link = Link::to(accounts, request, &client, &format!("/reset/{}", secret.expose()));
            let what = html! { "With this link, " strong { (user.name) } " can choose a new password." };
            let page = link_page(&frame, "Password reset link", &what, "a day", &link);
            Ok(answer(StatusCode::OK, page))
        }
        Ok(None) => Err(no_such_person(id).into()),
        Err(problem) => Err(Refusal::new(part(id), problem).into()),
    }
}

fn no_such_person(id: i64) -> Problem {
    Problem::not_found(format!("There is no user with the id {id}."))
}

/// What somebody with a role does, in few words: they have to fit in a list on a phone.
fn does(role: Role) -> &'static str {
    match role {
        Role::Guest => "view only",
        Role::Member => "edit records",
        Role::Admin => "manage people",
        Role::Owner => "full access",
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

/// Returns what the part about somebody is known by.
pub(crate) fn part(id: i64) -> String {
    format!("person-{id}")
}

/// Returns somebody, with what the viewer may do to them; `tailscale`: it says who somebody is here.
pub(crate) fn card(person: &Person, caller: &Caller, tailscale: bool, state: &PageState<'_>) -> Markup {
    let user = &person.user;
    let fields = Fields::new(part(user.id), state.problem_of(&part(user.id)));
    let is_self = user.id == caller.user.id;
    let rules = !is_self && caller.role().rules(user.role);
    let names_login = caller.role() == Role::Owner && (tailscale || person.tailscale_login.is_some());
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
                @for other in &person.alike {
                    br; strong { "This e-mail can be confused with that of " (other) "." }
                    " Single sign-on and Tailscale link neither account. One of them should use another e-mail."
                }
                @if let Some(login) = &person.tailscale_login { br; "Tailscale: " (login) }
                br;
                @match person.last_seen {
                    Some(last) => { "Last seen " (timestamp(last)) }
                    None => "Not signed in anywhere",
                }
                "; joined " (timestamp(user.created_at)) "."
            }
            @if rules || (is_self && names_login) {
                details.ask open[fields.is_refused()] {
                    summary { "Edit" span.hidden { " " (user.name) } "…" }
                    (fields.summary("Nothing was changed."))
                    (change_form(person, caller.role(), &fields, rules, names_login, state))
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
    viewer: Role,
    fields: &Fields<'_>,
    rules: bool,
    names_login: bool,
    state: &PageState<'_>,
) -> Markup {
    let typed = state.submitted(&part(person.user.id), "tailscale_login");
    let login = typed.or(person.tailscale_login.as_deref()).unwrap_or_default();
    html! {
        form method="post" action={ "/people/" (person.user.id) } {
            @if rules { (roles(fields, viewer, person.user.role)) }
            @if names_login {
                (fields.input(&Input::new("text", "tailscale_login", "Tailscale login").value(login).longest(254)
                    .optional().hint("The Tailscale user with this login is signed in as this person.")))
            }
            button { "Save" }
        }
    }
}

fn reset_form(user: &user::Model) -> Markup {
    html! {
        form method="post" action={ "/people/" (user.id) "/reset" } {
            fieldset.choice {
                legend { "Password reset" }
                label {
                    input type="checkbox" name="remove_totp" value="true";
                    "Also turn off two-factor authentication (for a lost phone)"
                }
            }
            button { "Create reset link" }
        }
    }
}

fn disable_form(user: &user::Model) -> Markup {
    html! {
        form method="post" action={ "/people/" (user.id) } {
            input type="hidden" name="disabled" value=(!user.disabled);
            @if user.disabled {
                p { "This account cannot sign in. Its records are kept." }
                button { "Enable " (user.name) }
            } @else {
                p { "A disabled account is signed out everywhere and cannot sign in. Its records are kept." }
                button.danger { "Disable " (user.name) }
            }
        }
    }
}
