//! What the app says about itself: whether it is well, whether it can read its data, and whether there is a newer version.

mod api;
mod check;
mod disk;
pub(crate) mod endpoint;
mod health;
mod look;
mod self_test;
mod update;

pub(crate) use self::{
    api::InstanceApi,
    check::Status,
    health::{Backups, Health, Report},
    self_test::self_test,
    update::News,
};
