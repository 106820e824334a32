//! How is a password kept and checked, and how does somebody sign in with one?

mod guessable;
pub(crate) mod hash;
mod store;

pub(crate) use self::store::{Outcome, by_password, by_second_step, second_step};
