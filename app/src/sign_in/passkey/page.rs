//! One's own passkeys: the only part of the pages that takes a script, since only a script can ask a browser for one.

use std::sync::Arc;

use maud::{Markup, html};
use poem::{
    Response, Result, handler,
    web::{Data, Path},
};

use super::store;
use crate::{
    auth::{
        caller::{Caller, Visitor},
        entity::passkey,
        profile::NAME_MAX,
    },
    html::{PageState, Part, asset_address, timestamp},
    http::Problem,
    sign_in::SignIn,
};

/// The part of one's account with the passkeys.
pub(crate) const PASSKEYS: Part = Part {
    page: "/account",
    id: "passkeys",
    title: "Passkeys",
    done: &[("passkey-added", "Your passkey was added."), ("passkey-deleted", "The passkey was deleted.")],
};

/// Whether somebody can sign in with a passkey here.
pub(crate) fn passkeys_on(sign_in: &SignIn) -> bool {
    sign_in.passkeys.is_some()
}

/// Returns somebody's passkeys; none at all where passkeys are off.
pub(crate) async fn of(sign_in: &SignIn, caller: &Caller) -> Result<Option<Vec<passkey::Model>>, Problem> {
    if !passkeys_on(sign_in) {
        return Ok(None);
    }
    let found = store::list(sign_in.reads(), caller.user.id).await;
    found.map(Some).map_err(|error| sign_in.database.failed(error).into())
}

/// Returns where the script says how it goes and what went wrong: a screen reader says aloud only what comes into an element
/// that was there before, so both are, empty.
pub(crate) fn says() -> Markup {
    html! {
        p.say role="status" data-passkey-says="progress" {}
        p.say.error role="alert" data-passkey-says="failure" {}
    }
}

/// Returns the script, for a page with a button for passkeys.
pub(crate) fn script() -> Markup {
    html! { script src=(asset_address("passkey.js")) defer {} }
}

#[handler]
pub(crate) async fn delete(
    visitor: Visitor,
    Data(sign_in): Data<&Arc<SignIn>>,
    Path(id): Path<i64>,
) -> Result<Response> {
    let outcome = store::delete(sign_in, &visitor, id).await;
    PASSKEYS.taken_away(outcome, "passkey-deleted", "This passkey has already been deleted.")
}

/// Returns the part with the passkeys; nothing where they are off.
pub(crate) fn section(passkeys: Option<&[passkey::Model]>, state: &PageState<'_>) -> Markup {
    let Some(passkeys) = passkeys else { return html! {} };
    let fields = PASSKEYS.fields(state);
    let name = fields.id("name");
    let content = html! {
        (fields.summary("Nothing was changed."))
        p { "A passkey lets you sign in with the fingerprint, face or PIN of your device, without a password or code." }
        @if !passkeys.is_empty() {
            ul.things { @for passkey in passkeys { (entry(passkey)) } }
        }
        // Shown by the script where the browser has passkeys; the form is sent by nothing else.
        div.field {
            label for=(name) { "Passkey name" span.optional { "optional" } }
            input id=(name) type="text" maxlength=(NAME_MAX) autocomplete="off" placeholder="Phone" data-passkey-name;
        }
        button type="button" hidden data-passkey="register" data-next=(PASSKEYS.address("passkey-added")) { "Add passkey" }
        (says())
        noscript { p.quiet { "Adding a passkey requires JavaScript." } }
        (script())
    };
    PASSKEYS.section(state, &content)
}

fn entry(passkey: &passkey::Model) -> Markup {
    html! {
        li {
            div {
                h3 { (passkey.name) }
                p.quiet {
                    "Added " (timestamp(passkey.created_at)) "; "
                    @match passkey.last_used_at {
                        Some(last) => { "last used " (timestamp(last)) "." }
                        None => "not used yet.",
                    }
                }
            }
            form method="post" action={ "/account/passkeys/" (passkey.id) "/delete#passkeys" } {
                button aria-label={ "Delete " (passkey.name) } { "Delete" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{datetime::Timestamp, html::for_tests::EVIL};

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        let passkey = passkey::Model {
            id: 1,
            user_id: 1,
            name: EVIL.to_owned(),
            credential_id: EVIL.to_owned(),
            credential: EVIL.to_owned(),
            created_at: Timestamp::now(),
            last_used_at: None,
        };
        let text = section(Some(&[passkey]), &PageState::default()).into_string();
        assert!(text.contains("&lt;script&gt;") && !text.contains(EVIL), "{text}");
        assert!(text.contains(r#"data-next="/account?done=passkey-added#passkeys""#), "{text}");
        assert!(text.contains(r#"role="status""#) && text.contains(r#"role="alert""#), "{text}");
        assert_eq!(text.matches("<script").count(), 1, "{text}");
    }

    #[test]
    fn there_is_nothing_where_they_are_off() {
        assert_eq!(section(None, &PageState::default()).into_string(), "");
    }
}
