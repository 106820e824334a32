//! Is the app alive, and what happens when it is not?
//!
//! [`lifecycle`] starts it, waits for its readiness and stops it. [`notify`] receives its notifications, [`health`] asks for its
//! health. [`policy`] decides when it starts again. [`memory`] recognises a kill for memory, [`cause`] a disk on which no app
//! could work. [`proof`] compares what two apps show people.

pub mod cause;
pub mod health;
pub mod lifecycle;
pub mod memory;
pub mod notify;
pub mod policy;
pub mod proof;
