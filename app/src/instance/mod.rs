//! What the app says about itself: whether it is well, and whether it can read its data.

mod health;
mod self_test;

pub(crate) use self::{
    health::{Backups, Health, Report, Status},
    self_test::self_test,
};
