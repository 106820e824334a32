//! Killed with KILL at every step boundary and at random moments, and started again: what is there then is the old
//! version or the new one, complete, with every write that a client got an answer to, and nothing is left behind.
//!
//! [`story`] tells what a supervisor is in the middle of, [`house`] keeps what the household wrote and looks for it,
//! and [`vault`] does so for backups.

#[path = "../harness/mod.rs"]
mod harness;
mod house;
mod matrix;
mod random;
mod story;
mod vault;
