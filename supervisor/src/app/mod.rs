//! Is the app alive, and what happens when it is not?
//!
//! [`lifecycle`] starts it, waits for its readiness and stops it; [`notify`] and [`health`] listen to what it says and ask
//! how it is; [`policy`] decides when it starts again; [`memory`] tells a kill for memory, [`cause`] a disk on which no app
//! could work.

pub mod cause;
pub mod health;
pub mod lifecycle;
pub mod memory;
pub mod notify;
pub mod policy;
