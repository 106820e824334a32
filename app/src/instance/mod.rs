//! What the app says about itself: whether it is well, whether it can read its data, how its backups are, whether there is a newer
//! version, and whether the upgrade to one failed.

mod api;
mod backup_report;
mod check;
mod disk;
pub(crate) mod endpoint;
mod health;
mod look;
mod notice;
mod page;
mod update;

pub(crate) use self::{
    backup_report::BackupReport,
    check::Status,
    health::{Backups, Health, Report},
    update::News,
};

use poem::EndpointExt;

use crate::{
    auth::role::{Role, Scope},
    feature::{Entry, Feature, Operation, Page, Rule},
};

/// What the rest has to know of the instance.
pub(crate) const FEATURE: Feature<api::InstanceApi> = Feature {
    api: api::InstanceApi,
    operations: &[Operation::new("show_instance", Rule::role(Role::Guest, Scope::Read))],
    // Names of places and what is wrong with them are for those who can do something about it.
    pages: &[Page::get("/status", Rule::page(Role::Admin), || page::show.boxed())],
    navigation: Some(Entry { address: "/status", label: "Status", within: "/status", is_named: false }),
    tables: &[],
    // Health has queries of its own, which it tests itself.
    self_test: |_| Box::pin(async { Ok(()) }),
};
