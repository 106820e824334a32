//! A household to look around in, which can be loaded into an empty binder and removed again.
//!
//! What belongs to it has the tag “Sample”, and nothing else tells it from other records. So whoever takes the tag from a record
//! keeps it.

mod content;
pub(crate) mod page;
pub(crate) mod store;

/// What each record of the sample is marked with.
const TAG: &str = "Sample";
