//! The second factor: one-time passwords of a phone, and recovery codes.

pub(crate) mod api;
pub(crate) mod code;
pub(crate) mod page;
pub(crate) mod qr;
mod store;

pub(crate) use self::store::{Code, Offer, clear, of, take};
