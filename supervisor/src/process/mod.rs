//! What does it take to be PID 1?
//!
//! Signals are blocked before anything else and read from one descriptor ([`signals`]); one place waits for
//! children and adopted orphans ([`reaper`]); every child is started through one step ([`spawn`] here,
//! [`launch`] in the child); limits count only the time in which this process ran ([`deadline`]); and what escaped from
//! the app can be found and ended ([`strays`]). The programs are opened once, at the start ([`programs`]). Where an old container
//! engine refuses a system call, an older one is used ([`clone3`]).

pub mod clone3;
pub mod deadline;
pub mod endpoint;
pub mod launch;
pub mod listener;
pub mod programs;
pub mod reaper;
pub mod sandbox;
pub mod signals;
pub mod spawn;
pub mod strays;
