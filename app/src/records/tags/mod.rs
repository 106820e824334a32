//! Words that records are marked with.

pub(crate) mod api;
pub(crate) mod page;
pub(crate) mod store;

pub(crate) use self::store::recent;

#[cfg(test)]
mod tests;
