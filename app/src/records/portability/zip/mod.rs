//! How is a zip archive written and read?
//!
//! What goes out is written as it is sent ([`writer`]); what comes in may have been made by anybody ([`reader`]).

pub(super) mod reader;
pub(super) mod writer;
