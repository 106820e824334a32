//! What the app says about itself: whether it is well, whether it can read its data, and whether there is a newer version.

mod api;
mod check;
mod disk;
pub(crate) mod endpoint;
mod health;
mod look;
mod update;

pub(crate) use self::{
    check::Status,
    health::{Backups, Health, Report},
    update::News,
};

use crate::{
    auth::role::{Role, Scope},
    feature::{Feature, Operation, Rule},
};

/// What the rest has to know of the instance.
pub(crate) const FEATURE: Feature<api::InstanceApi> = Feature {
    api: api::InstanceApi,
    operations: &[Operation::new("show_instance", Rule::role(Role::Guest, Scope::Read))],
    pages: &[],
    navigation: None,
    tables: &[],
    // Health has queries of its own, which it tests itself.
    self_test: |_| Box::pin(async { Ok(()) }),
};
