//! What happened: the audit log as people read it.

pub(crate) mod heard_backups;
pub(crate) mod page;
