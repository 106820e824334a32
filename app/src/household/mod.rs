//! The household: its people, invitations, and links for a new password.

pub(crate) mod invitations;
pub(crate) mod link;
pub(crate) mod links;
pub(crate) mod page;
pub(crate) mod people;
pub(crate) mod resets;

use poem::EndpointExt;

use crate::{
    auth::{
        entity,
        role::{Role, Scope},
        self_test::{read_through, unread},
    },
    feature::{Entry, Feature, Operation, Page, Rule, Table},
};

/// What the rest has to know of the household.
pub(crate) const FEATURE: Feature<Api> = Feature {
    api: (people::api::PeopleApi, invitations::api::InvitationsApi, resets::api::ResetsApi),
    operations: &[
        Operation::new("list_people", Rule::role(Role::Guest, Scope::Read)),
        Operation::new("list_users", ADMINS),
        Operation::new("update_user", ADMINS),
        Operation::new("create_reset", SIGNED_IN),
        Operation::new("list_invitations", ADMINS),
        Operation::new("create_invitation", ADMINS),
        Operation::new("revoke_invitation", ADMINS),
        Operation::new("accept_invitation", Rule::Public).may_give(&[404]),
        Operation::new("use_reset", Rule::Public).may_give(&[404]),
    ],
    pages: &[
        Page::get("/people", ADMINS, || page::show.boxed()),
        Page::post("/people/invitations", ADMINS, || page::form(invitations::page::create)),
        Page::post("/people/invitations/:id/revoke", ADMINS, || page::form(invitations::page::revoke)),
        Page::post("/people/:id", ADMINS, || page::form(people::page::change)),
        Page::post("/people/:id/reset", SIGNED_IN, || page::form(people::page::reset)),
        Page::get("/invitation/:token", Rule::Public, || links::show_invitation.boxed()),
        Page::post("/invitation/:token", Rule::Public, || links::accept.boxed()),
        Page::get("/reset/:token", Rule::Public, || links::show_reset.boxed()),
        Page::post("/reset/:token", Rule::Public, || links::reset.boxed()),
    ],
    navigation: Some(Entry { address: "/people", label: "People", within: "/people", is_named: false }),
    tables: &[Table::of::<entity::user::Entity>()],
    // The queries are those of every request.
    self_test: |database| {
        Box::pin(async {
            read_through(database).await.map(drop).map_err(|error| unread(database, "the household", error))
        })
    },
};

type Api = (people::api::PeopleApi, invitations::api::InvitationsApi, resets::api::ResetsApi);

/// A link lets its reader in as somebody, which outlives a token.
const SIGNED_IN: Rule = Rule::signed_in(Role::Admin);

/// For those who look after people.
const ADMINS: Rule = Rule::role(Role::Admin, Scope::Admin);
