//! What the app says about itself: whether it is well, whether it can read its data, and whether there is a newer version.

mod api;
mod health;
mod self_test;
mod update;

pub(crate) use self::{
    api::InstanceApi,
    health::{Backups, Health, Report, Status},
    self_test::self_test,
    update::{Newer, News},
};
