//! What happened, in sentences: who did what, from where, and how they were known.

use std::sync::Arc;

use maud::{Markup, html};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Query},
};
use serde::Deserialize;

use crate::{
    auth::{
        Accounts,
        audit_log::{self, Kind, PAGE, Page},
        entity::audit_event::Model,
    },
    datetime::TimeZone,
    html::{Frame, answer, browser},
    http::Problem,
};

/// What the address of the page may ask for.
#[derive(Default, Deserialize)]
pub(crate) struct PageQuery {
    before: Option<i64>,
}

#[handler]
pub(crate) async fn show(
    frame: Frame,
    Data(accounts): Data<&Arc<Accounts>>,
    Query(query): Query<PageQuery>,
) -> Result<Response> {
    let found = audit_log::list(accounts.reads(), query.before, PAGE).await;
    let found = found.map_err(|error| Problem::from(accounts.database.failed(error)))?;
    Ok(answer(StatusCode::OK, page(&frame, &found, query.before.is_some())))
}

fn page(frame: &Frame, found: &Page, is_later: bool) -> Markup {
    let Page { events, next } = found;
    let content = html! {
        h1 { "Audit log" }
        p.quiet { "Sign-ins, changes to accounts and records, backups and restores. The time zone is " (TimeZone::name()) "." }
        @if events.is_empty() { p.nothing { "No events." } }
        @else { ol.events { @for event in events { (entry(event)) } } }
        @if is_later || next.is_some() {
            nav.pages aria-label="Pages" {
                @if is_later { a rel="first" href="/audit" { "Newest" } }
                @if let Some(next) = next { a rel="next" href={ "/audit?before=" (next) } { "Older" } }
            }
        }
    };
    frame.page("Audit log", &content)
}

fn entry(event: &Model) -> Markup {
    let kind = Kind::named(&event.kind);
    let is_bad = matches!(kind, Some(Kind::SignInFailed | Kind::SignInThrottled));
    html! {
        li.bad[is_bad] {
            time datetime=(event.at) { (event.at.short()) }
            div {
                p { strong { (event.who) } " " (what(kind, event)) "." }
                p.quiet title=(event.user_agent) {
                    (event.method)
                    @if !event.address.is_empty() { " from " (event.address) }
                    @if !event.user_agent.is_empty() { ", " (browser::words(&event.user_agent)) }
                }
            }
        }
    }
}

/// What somebody did, reading on from who they are.
fn what(kind: Option<Kind>, event: &Model) -> String {
    let subject = &event.subject;
    let own = subject.is_empty() || *subject == event.who;
    let Some(kind) = kind else {
        // Of a later version, whose data this one was given.
        return format!("{} {subject}", event.kind.replace('_', " "));
    };
    match kind {
        Kind::SetUp if own => "set up this Hearth and became its owner".to_owned(),
        Kind::SetUp => format!("made {subject} the owner"),
        Kind::SignedIn => "signed in".to_owned(),
        Kind::SignInFailed => "failed to sign in".to_owned(),
        Kind::SignInThrottled => "was blocked after too many attempts".to_owned(),
        Kind::SignedOut => "signed out".to_owned(),
        Kind::SessionRevoked => format!("ended another session ({subject})"),
        Kind::PasswordChanged => "changed their password".to_owned(),
        Kind::PasswordReset => "chose a new password with a reset link".to_owned(),
        Kind::ProfileChanged => format!("changed their profile to {subject}"),
        Kind::TotpAdded => "turned on two-factor authentication".to_owned(),
        Kind::TotpRemoved if own => "turned off two-factor authentication".to_owned(),
        Kind::TotpRemoved => format!("turned off two-factor authentication for {subject}"),
        Kind::RecoveryCodeUsed => format!("used a recovery code ({subject})"),
        Kind::PasskeyAdded => format!("added the passkey {subject}"),
        Kind::PasskeyRemoved => format!("deleted the passkey {subject}"),
        Kind::TokenCreated => format!("created the token {subject}"),
        Kind::TokenRevoked => format!("revoked the token {subject}"),
        Kind::InvitationCreated => format!("invited {subject}"),
        Kind::InvitationRevoked => format!("revoked the invitation for {subject}"),
        Kind::InvitationAccepted => format!("accepted an invitation ({subject})"),
        Kind::ResetCreated => format!("created a password reset link for {subject}"),
        Kind::UserCreated => format!("joined the household with {subject}"),
        Kind::UserChanged => format!("changed {subject}"),
        Kind::AccountLinked => format!("linked the account {subject}"),
        Kind::AccountUnlinked => format!("unlinked the account {subject}"),
        Kind::Restored => format!("restored a backup: {subject}"),
        Kind::BackupMade => format!("created the backup {subject}").trim_end().to_owned(),
        Kind::RecordDeleted => format!("deleted the {subject}"),
        Kind::RecordPutBack => format!("put the {subject} back from the trash"),
        Kind::RecordErased => format!("deleted the {subject} for good"),
        Kind::RecordVisibilityChanged => format!("changed the visibility of {subject}"),
        Kind::BinderExported => "exported the binder".to_owned(),
        Kind::BinderImported => format!("imported {subject}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        datetime::Timestamp,
        html::for_tests::{EVIL, assert_harmless},
    };

    fn event(kind: &str, who: &str, subject: &str) -> Model {
        Model {
            id: 7,
            at: Timestamp::now(),
            kind: kind.to_owned(),
            user_id: None,
            who: who.to_owned(),
            subject: subject.to_owned(),
            method: EVIL.to_owned(),
            address: EVIL.to_owned(),
            user_agent: EVIL.to_owned(),
        }
    }

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        let mut events: Vec<_> = Kind::ALL.iter().map(|kind| event(kind.name(), EVIL, EVIL)).collect();
        events.push(event(EVIL, EVIL, EVIL));
        assert_harmless(&page(&Frame::default(), &Page { events, next: Some(7) }, true));
    }

    #[test]
    fn what_happened_reads_as_a_sentence() {
        let said = |kind: Kind, who, subject| {
            let event = event(kind.name(), who, subject);
            format!("{who} {}", what(Kind::named(&event.kind), &event))
        };
        assert_eq!(said(Kind::SetUp, "a@b", "a@b"), "a@b set up this Hearth and became its owner");
        assert_eq!(said(Kind::SetUp, "the operator", "a@b"), "the operator made a@b the owner");
        assert_eq!(said(Kind::UserChanged, "a@b", "c@d: disabled"), "a@b changed c@d: disabled");
        assert_eq!(what(None, &event("from_tomorrow", "a@b", "x")), "from tomorrow x");
    }

    #[test]
    fn a_full_page_leads_on() {
        let events: Vec<_> = (0..PAGE).map(|_| event("signed_in", "a@b", "")).collect();
        let text = |events: &[Model], next, later| {
            page(&Frame::default(), &Page { events: events.to_owned(), next }, later).into_string()
        };
        assert!(text(&events, Some(7), false).contains("/audit?before=7"));
        assert!(!text(&events[1..], None, false).contains("before="));
        assert!(text(&events[1..], None, true).contains(r#"rel="first""#));
    }
}
